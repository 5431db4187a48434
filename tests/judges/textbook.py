#!/usr/bin/env python3
"""The three textbook cases among ordinary traffic, with default settings.

20 calls a minute become 100; 20 become none for ten minutes; an error not seen in seven days comes
12 times a minute. For the committed seed each gives exactly one pair, decided within 3, 10 and
4 minutes, its End within 2 minutes of the truth, attributed to the caller that made it, and nothing
else fires. Over 20 further seeds there are no more false others than the budget of one a week
allows: an other is false outside the hours in which the traffic itself does something without
precedent (`simulate --neutral`). Both are judged from the engine's second week on; what the first week said is printed beside them.
"""

import calendar
import csv
import json
import pathlib
import subprocess
import sys
import time

import common

START, DAYS = "2026-01-05T00:00:00Z", 14
SEED = 1
FURTHER_SEEDS = range(101, 121)
BUDGET_PER_WEEK, WEEK = 1, 604800
MINUTES_TO_START = {"rate": 3, "surge": 3, "drop": 10, "novel": 4}
MINUTES_TO_END = 2
FIELDS = ("account", "region", "event_source", "event_name", "insight_type", "error_code")


def seconds(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def replay(folder, seed):
    """(labels, neutral hours, records) of one seed; the events go from one process to the other by a pipe."""
    labels = pathlib.Path(folder) / f"{seed}.csv"
    neutral = pathlib.Path(folder) / f"{seed}.neutral.csv"
    simulate = subprocess.Popen(
        [common.BINARY, "simulate", "--profile", "textbook", "--seed", str(seed), "--start",
         START, "--days", str(DAYS), "--labels", labels, "--neutral", neutral], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL)
    replay = subprocess.run([common.BINARY, "replay", "--quiet", "-"], stdin=simulate.stdout,
                            capture_output=True, text=True)
    if simulate.wait() != 0 or replay.returncode != 0:
        sys.exit(f"seed {seed}: {replay.stderr}")
    with open(labels, newline="") as lines:
        truth = list(csv.DictReader(lines))
    return truth, neutral_hours(neutral), [json.loads(line) for line in replay.stdout.splitlines()]


def neutral_hours(path):
    """{(series, hour)} in which an insight is neither false nor counted."""
    hours = set()
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            series = tuple(row[name] for name in FIELDS)
            first, last = seconds(row["start"]) // 3600, -(-seconds(row["end"]) // 3600)
            hours.update((series, hour) for hour in range(first, last))
    return hours


def is_false(start, neutral):
    times = start["eventTime"], start["insightd"]["decidedAt"]
    return not any((series_of(start), seconds(time) // 3600) in neutral for time in times)


def series_of(record):
    detail = record["insightDetails"]
    return (record["recipientAccountId"], record["awsRegion"], detail["eventSource"],
            detail["eventName"], detail["insightType"], detail.get("errorCode", ""))


def pairs_of(records):
    pairs = {}
    for record in records:
        pair = pairs.setdefault(record["sharedEventID"], {})
        pair[record["insightDetails"]["state"]] = record
    return pairs


def is_of(label, pair):
    """The pair is of the label's series and was decided while the planted incident lasted."""
    start = pair["Start"]
    decided = seconds(start["insightd"]["decidedAt"])
    return (series_of(start) == tuple(label[name] for name in FIELDS)
            and seconds(label["start"]) <= decided <= seconds(label["end"]) + 180)


def judge_pair(label, pair):
    """What is wrong with the one pair of a planted incident."""
    start, end, wrong = pair["Start"], pair.get("End"), []
    kind = label["kind"].split()[0]
    delay = (seconds(start["insightd"]["decidedAt"]) - seconds(label["start"])) // 60 + 1
    if delay > MINUTES_TO_START[kind]:
        wrong.append(f"decided in minute {delay}")
    if end is None:
        return wrong + ["no End"]
    off = (seconds(end["eventTime"]) - seconds(label["end"])) // 60
    if abs(off) > MINUTES_TO_END:
        wrong.append(f"End {off} minutes off")
    blocks = {block["attribute"]: block for block in
              end["insightDetails"]["insightContext"].get("attributions", [])}
    identities = blocks.get("userIdentityArn", {"insight": [], "baseline": []})
    if kind != "drop":
        top = identities["insight"][0]["value"] if identities["insight"] else None
        if not top or "planted" not in top:
            wrong.append(f"attributed to {top}")
    elif not identities["baseline"]:
        wrong.append("a drop without the baseline's identities")
    print(f"  {label['kind']}: decided in minute {delay}, End {off:+d} minutes, "
          f"onset {(seconds(start['eventTime']) - seconds(label['start'])) // 60:+d}")
    return wrong


def judge(folder, seed, is_strict):
    """(complaints, others, false others), from the second week on, of one seed."""
    truth, neutral, records = replay(folder, seed)
    pairs, complaints, used = pairs_of(records), [], set()
    for label in truth:
        mine = [shared for shared, pair in pairs.items() if is_of(label, pair)]
        used.update(mine)
        if is_strict and len(mine) != 1:
            complaints.append(f"{label['kind']}: {len(mine)} pairs")
        elif is_strict:
            complaints += [f"{label['kind']}: {text}" for text in judge_pair(label, pairs[mine[0]])]
        elif not mine:
            print(f"  seed {seed}: {label['kind']} not found")
    others = [pair["Start"] for shared, pair in pairs.items() if shared not in used]
    judged = [other for other in others if seconds(other["eventTime"]) >= seconds(START) + WEEK]
    for other in judged:
        print(f"  seed {seed}: other {','.join(series_of(other))} at {other['eventTime']}")
    print(f"  seed {seed}: {len(others) - len(judged)} others while the first week was learned")
    return complaints, len(judged), sum(is_false(other, neutral) for other in judged)


def main():
    with common.scratch() as folder:
        complaints, others, _ = judge(folder, SEED, True)
        print(f"seed {SEED}: {len(complaints)} complaints, {others} others")
        if others:
            complaints.append(f"{others} others with the committed seed")
        judged = [judge(folder, seed, False) for seed in FURTHER_SEEDS]
    total, false = sum(row[1] for row in judged), sum(row[2] for row in judged)
    allowed = BUDGET_PER_WEEK * len(FURTHER_SEEDS) * (DAYS - 7) / 7
    print(f"{len(FURTHER_SEEDS)} further seeds: {total} others, {false} of them false, "
          f"budget {allowed:.0f}")
    if false > allowed:
        complaints.append("more false others than the budget allows")
    print("\n".join(complaints))
    sys.exit(3 if complaints else 0)


if __name__ == "__main__":
    main()
