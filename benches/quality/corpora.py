"""Series that others recorded, as counts by minute, and from there to `--format rates`.

Each corpus of the reference data becomes {name: [(second, count), ...]}: times as they stand in the
file, taken as UTC; counts rounded to whole numbers; rows without a value left out. Only series
that count something are taken: no latencies, ratios, prices or sensors. What is coarser than a
minute stands in the minute of its time stamp, what is finer is added up. A row that a file gives
twice is one measurement. Nothing is resampled, filled or smoothed.
"""

import calendar
import csv
import gzip
import pathlib
import tarfile
import time

HEADER = "time,account,region,event_source,event_name,error_code,count\n"
HOUR = 3600
WEEK = 168 * HOUR

NAB_TWEETS = ("AAPL", "AMZN", "CRM", "CVS", "FB", "GOOG", "IBM", "KO", "PFE", "UPS")
NAB_FILES = tuple(f"realTweets/Twitter_volume_{name}.csv" for name in NAB_TWEETS) + (
    "realKnownCause/nyc_taxi.csv",
    "realAWSCloudwatch/elb_request_count_8c0756.csv",
    "realKnownCause/rogue_agent_key_hold.csv",
    "realKnownCause/rogue_agent_key_updown.csv",
)
# The two rogue_agent files are seconds between keys: read as milliseconds, as the reference did.
NAB_IN_SECONDS = "rogue_agent"
# Kinds of the cloud monitoring data that count: the others are latencies and ratios.
CMD_KINDS = ("application-crash-rate-1", "consumer-purchase-rate", "data-ingress-rate",
             "mongodb-application-rps")
TWITTER_START = calendar.timegm((2021, 8, 1, 0, 0, 0))


def seconds(text):
    text = text.strip().replace("T", " ").removesuffix("Z")
    return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


def read(lines, factor=1.0, seconds=seconds):
    """(second, count) of a CSV whose first two columns are time and value."""
    rows = csv.reader(lines)
    next(rows)
    counts = {}
    for row in rows:
        if row and row[1].strip():
            counts.setdefault((seconds(row[0]), row[1]), round(float(row[1]) * factor))
    return [(second, count) for (second, _), count in counts.items()]


def members(archive, suffix=".csv"):
    """(path without ./, lines) of the files of an archive whose names end so."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(suffix):
                text = tar.extractfile(member).read().decode()
                yield member.name.removeprefix("./"), text.splitlines()


def nab(data):
    found = {}
    for path, lines in members(data / "series-nab/nab-data-labels.tar.xz"):
        if path.removeprefix("data/") in NAB_FILES:
            factor = 1000.0 if NAB_IN_SECONDS in path else 1.0
            found[path.removeprefix("data/")] = read(lines, factor)
    return {path: found[path] for path in NAB_FILES}


def cmd(data):
    return {path.removeprefix("data/"): read(lines)
            for path, lines in members(data / "series-cmd/cmd.tar.xz")
            if path.split("/")[-2] in CMD_KINDS}


def wsd(data):
    return {path: read(lines, seconds=int)
            for path, lines in members(data / "series-wsd/wsd-integer.tar.xz")}


def counted(path):
    with gzip.open(path, "rt") as lines:
        return {path.name.split(".")[0]: read(lines)}


def nasa(data):
    return counted(data / "series-nasa/nasa-http-july.csv.gz")


def wc98(data):
    return counted(data / "series-wc98/wc98-before-june-10.csv.gz")


def twitter(data):
    archive = data / "series-twitterstream/twitter-stream-2021-08-per-second.tbz2"
    (_, lines), = members(archive, ".txt")
    tweets = [int(count) for line in lines for count in line.split()]
    whole = len(tweets) - len(tweets) % 60
    return {"tweets": [(TWITTER_START + second, sum(tweets[second:second + 60]))
                       for second in range(0, whole, 60)]}


# What makes each corpus of the data folder; its part of the data is `series-NAME`.
CORPORA = {"nab": nab, "cmd": cmd, "wsd": wsd, "nasa": nasa, "wc98": wc98, "twitterstream": twitter}


def from_one_hour(corpus):
    """The series moved by whole hours so that all begin in the hour of the first: one fleet."""
    first = min(rows[0][0] for rows in corpus.values()) // HOUR * HOUR
    return {name: [(second - (rows[0][0] // HOUR * HOUR - first), count) for second, count in rows]
            for name, rows in corpus.items()}


def weeks(rows, warm_up):
    """Weeks of a series from the end of the warm-up to its last row."""
    return max(0, rows[-1][0] - rows[0][0] // HOUR * HOUR - warm_up) / WEEK


def write_rates(path, corpus):
    """A file for `--format rates`; the event name is the series' place in the corpus."""
    with open(path, "w") as out:
        out.write(HEADER)
        for place, rows in enumerate(corpus.values()):
            for second, count in rows:
                time_text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
                out.write(f"{time_text},111122223333,us-east-1,series,{place:03},,{count}\n")
    return pathlib.Path(path)
