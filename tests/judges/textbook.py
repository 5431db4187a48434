#!/usr/bin/env python3
"""The three textbook cases among ordinary traffic, with default settings.

20 calls a minute become 100; 20 become none for ten minutes; an error not seen in seven days comes
12 times a minute. For the committed seed each gives exactly one pair, decided within 3, 10 and
4 minutes, its End within 2 minutes of the truth, attributed to the caller that made it, and nothing
else fires. Over 20 further seeds there are no more others than the budget of one a week allows.
"""

import calendar
import csv
import json
import pathlib
import sys
import time

import common

SEED = 1
FURTHER_SEEDS = range(101, 121)
BUDGET_PER_WEEK = 1
MINUTES_TO_START = {"rate": 3, "surge": 3, "drop": 10, "novel": 4}
MINUTES_TO_END = 2
FIELDS = ("account", "region", "event_source", "event_name", "insight_type", "error_code")


def seconds(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def replay(folder, seed):
    """(labels, records, weeks judged) of one seed."""
    folder = pathlib.Path(folder)
    events, labels = folder / f"{seed}.ndjson", folder / f"{seed}.csv"
    insights = folder / f"{seed}.insights"
    common.run("simulate", "--profile", "textbook", "--seed", seed, "--labels", labels,
               "--out", events)
    common.run("replay", "--out", insights, events)
    with open(labels, newline="") as lines:
        truth = list(csv.DictReader(lines))
    records = [json.loads(line) for line in open(insights)]
    with open(events, "rb") as lines:
        first = json.loads(lines.readline())["eventTime"]
        lines.seek(-65536, 2)
        last = json.loads(lines.read().splitlines()[-1])["eventTime"]
    events.unlink()
    return truth, records, (seconds(last) - seconds(first)) / 604800 - 2 / 7


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
    """(complaints, other insights, weeks) of one seed."""
    truth, records, weeks = replay(folder, seed)
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
    for other in others:
        print(f"  seed {seed}: other {','.join(series_of(other))} at {other['eventTime']}")
    return complaints, len(others), weeks


def main():
    with common.scratch() as folder:
        complaints, others, _ = judge(folder, SEED, True)
        print(f"seed {SEED}: {len(complaints)} complaints, {others} others")
        if others:
            complaints.append(f"{others} others with the committed seed")
        total, weeks_total = 0, 0.0
        for seed in FURTHER_SEEDS:
            _, others, weeks = judge(folder, seed, False)
            total, weeks_total = total + others, weeks_total + weeks
    allowed = BUDGET_PER_WEEK * weeks_total
    print(f"{len(FURTHER_SEEDS)} further seeds: {total} others in {weeks_total:.0f} weeks, "
          f"budget {allowed:.0f}")
    if total > allowed:
        complaints.append("more others than the budget allows")
    print("\n".join(complaints))
    sys.exit(3 if complaints else 0)


if __name__ == "__main__":
    main()
