"""Why insightd missed what was labelled: from its scores at every minute of every incident."""

import collections
import csv
import math

import alarms
import corpora
import engine
import numpy

# Surprises up to here are no exceedance and have no z (reference detection, 6.5).
SURPRISE_MIN = 4.0
# What precedents leave of z.
PRECEDENT_Z = 2.0
# From the 5th to the 95th percentile of a normal distribution.
BAND_SIGMAS = 3.29
REASONS = ("an incident was open already", "Start up to 30 minutes before the label",
           "nothing surprising (under 4 decades)", "excused by precedents",
           "surprising, but z below the threshold")


def scores_of(path, several):
    """{(place, incident): rows of the score file inside it, as dictionaries}"""
    by_place = collections.defaultdict(list)
    found = {}
    for place, series in enumerate(several):
        for at, (start, end) in enumerate(series.judged_incidents):
            by_place[place].append((start, end + alarms.GRACE_SECONDS, at))
            found[place, at] = []
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            own = by_place.get(int(row["event_name"]))
            if not own:
                continue
            second = corpora.seconds(row["time"])
            for start, end, at in own:
                if start <= second < end:
                    found[int(row["event_name"]), at].append(row)
    return found


def reason(rows, starts, start):
    """The first reason that applies."""
    surprise = max((float(row["surprise"]) for row in rows), default=0.0)
    z = max((float(row["z"]) for row in rows), default=0.0)
    if any(start - 1800 <= at < start for at in starts):
        return REASONS[1]
    if rows and rows[0]["state"] in ("up", "down"):
        return REASONS[0]
    if surprise <= SURPRISE_MIN:
        return REASONS[2]
    return REASONS[3] if z == PRECEDENT_Z else REASONS[4]


def depth(rows):
    """(share, calls over dispersion): the count furthest from what was expected, over what was
    expected; the expectation over the dispersion that the band of 5 to 95 % shows."""
    counted = [row for row in rows if float(row["expected"]) > 0]
    if not counted:
        return None
    row = max(counted, key=lambda row: abs(
        math.log((float(row["count"]) + 0.5) / (float(row["expected"]) + 0.5))))
    expected = float(row["expected"])
    width = (float(row["high"]) - float(row["low"])) / BAND_SIGMAS
    return float(row["count"]) / expected, expected * expected / max(width * width, expected)


def quartiles(values):
    if not values:
        return "-"
    return " / ".join(f"{value:.3g}" for value in numpy.quantile(values, (0.25, 0.5, 0.75)))


def replayed(folder, several, rates, z):
    """(times of the Starts of each series, scores inside incidents) at a fixed threshold."""
    starts = [[] for _ in several]
    for record in engine.records(rates, {"detector__fixed_z": z}, "--scores", folder / "scores"):
        if record["insightDetails"]["state"] == "Start":
            own = starts[int(record["insightDetails"]["eventName"])]
            own.append(corpora.seconds(record["insightd"]["decidedAt"]))
    return [sorted(own) for own in starts], scores_of(folder / "scores", several)


def table(report, folder, several, rates, z, others):
    """Missed incidents by corpus and reason; others maps peers to their alarms at the same rate."""
    starts, scored = replayed(folder, several, rates, z)
    counts, found_by = collections.Counter(), collections.Counter()
    depths = collections.defaultdict(list)
    for (place, at), rows in scored.items():
        series = several[place]
        start, end = series.judged_incidents[at]
        is_hit = any(start <= t < end + alarms.GRACE_SECONDS for t in starts[place])
        depths[series.corpus, is_hit].append(depth(rows))
        if is_hit:
            continue
        why = reason(rows, starts[place], start)
        counts[why, series.corpus] += 1
        for name, peer in others.items():
            found_by[why, name] += any(
                start <= t < end + alarms.GRACE_SECONDS for t in peer[place])
    names = sorted({series.corpus for series in several if series.judged_incidents})
    heads = [*names, *(f"found by {name}" for name in others)]
    report.say("| why missed | " + " | ".join(heads) + " |")
    report.say("|---" * (len(heads) + 1) + "|")
    for why in REASONS:
        cells = [counts[why, name] for name in names] + [found_by[why, name] for name in others]
        report.say(f"| {why} | " + " | ".join(map(str, cells)) + " |")
    report.say("\n| incidents | | count furthest off, over expected (quartiles) | "
               "expected over dispersion (quartiles) |\n|---|---|---|---|")
    for (name, is_hit), own in sorted(depths.items()):
        own = [one for one in own if one]
        report.say(f"| {name} | {'found' if is_hit else 'missed'}, {len(own)} | "
                   f"{quartiles([one[0] for one in own])} | {quartiles([one[1] for one in own])} |")
