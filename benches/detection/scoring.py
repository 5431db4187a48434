"""The rules by which insights are scored against labels and neutral hours.

The same rules as the reference data's score.py, written once more so that fleets of our own can
be scored without it; where it is present, the bench checks that both say the same.

* A hit is a Start decided from an incident's start to three minutes after its end.
* A false insight is a Start of the scored days whose decision and onset lie outside neutral hours.
* Insights of one series less than two hours apart count once.
"""

import calendar
import collections
import csv
import importlib.util
import json
import math
import statistics
import time

KINDS = ["surge 2", "surge 3", "surge 5", "surge 10", "drop 0.3", "drop 0", "novel 1", "novel 3",
         "novel 12", "burst 5", "burst 20", "burst 100"]
GRACE_SECONDS = 180
GAP_SECONDS = 7200


def seconds(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def series_of(row):
    """The key of a series in a row of a labels or neutral file."""
    return (row["account"], row["region"], row["event_source"], row["event_name"],
            row["insight_type"], row["error_code"])


def read_insights(path):
    """({series: insights by time}, number of Starts, number of Starts that continue another).

    An insight is (onset, decided, end), the end None while it is open.
    """
    pairs, starts, continuing = {}, 0, 0
    with open(path) as lines:
        for line in lines:
            record = json.loads(line)
            detail, shared = record["insightDetails"], record["sharedEventID"]
            if detail["state"] == "Start":
                key = (record["recipientAccountId"], record["awsRegion"], detail["eventSource"],
                       detail["eventName"], detail["insightType"], detail.get("errorCode") or "")
                own = record["insightd"]
                pairs[shared] = [key, seconds(record["eventTime"]), seconds(own["decidedAt"]), None]
                starts += 1
                continuing += "continues" in own
            else:
                pairs[shared][3] = seconds(record["eventTime"])
    insights = collections.defaultdict(list)
    for key, *insight in pairs.values():
        insights[key].append(insight)
    for own in insights.values():
        own.sort(key=lambda insight: insight[1])
    return insights, starts, continuing


def read_labels(path):
    """[(series, start, end, kind)]"""
    with open(path, newline="") as lines:
        return [(series_of(row), seconds(row["start"]), seconds(row["end"]), row["kind"])
                for row in csv.DictReader(lines)]


def read_neutral(path):
    """{(series, hour since 1970)}"""
    hours = set()
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            first, last = seconds(row["start"]) // 3600, seconds(row["end"]) // 3600
            hours.update((series_of(row), hour) for hour in range(first, last))
    return hours


def false_and_all(insights, neutral, low, high):
    """False insights, and all, decided in [low, high)."""
    false = total = 0
    for key, own in insights.items():
        last = -math.inf
        for onset, decided, end in own:
            if low <= decided < high and decided - last > GAP_SECONDS:
                total += 1
                false += not {(key, decided // 3600), (key, onset // 3600)} & neutral
            last = max(last, end or decided)
    return false, total


def hits(insights, labels):
    """{kind: (labels, hits, delays in minutes)}"""
    found = {}
    for key, start, end, kind in labels:
        counts = found.setdefault(kind, [0, 0, []])
        counts[0] += 1
        for _, decided, _ in insights.get(key, ()):
            if start <= decided <= end + GRACE_SECONDS:
                counts[1] += 1
                counts[2].append((decided - start) // 60 + 1)
                break
    return found


def add_hits(several):
    """The hits of several fleets as if they were one."""
    total = {}
    for found in several:
        for kind, (labels, hit, delays) in found.items():
            counts = total.setdefault(kind, [0, 0, []])
            counts[0] += labels
            counts[1] += hit
            counts[2] += delays
    return total


def mean_detection(found):
    """Mean over the kinds of the share that was found."""
    return statistics.fmean(found[kind][1] / found[kind][0] for kind in KINDS if kind in found)


def between(points, rate):
    """Reads a curve of (threshold, false rate, value) at a false rate: between the two nearest
    thresholds, straight on the logarithm of the rate. (threshold, value), or None outside."""
    points = sorted(points)
    for (z_low, rate_low, low), (z_high, rate_high, high) in zip(points, points[1:]):
        if rate_low >= rate >= rate_high:
            if rate_low == rate_high:
                return z_low, low
            floor = 1e-9
            whole = math.log(max(rate_low, floor)) - math.log(max(rate_high, floor))
            part = (math.log(max(rate_low, floor)) - math.log(rate)) / whole
            return z_low + part * (z_high - z_low), low + part * (high - low)
    return None


def disagreement(reference, path, labels, neutral, low, high):
    """What the reference data's scorer says differently of one run; empty when it agrees."""
    spec = importlib.util.spec_from_file_location("reference_score", reference)
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    insights, _, _ = read_insights(path)
    by, bad, _ = theirs.read_records(path)
    complaints = [f"malformed pairs: {dict(bad)}"] if bad else []
    ours = false_and_all(insights, read_neutral(neutral), low, high)
    other = theirs.false_and_all(by, theirs.neutral_set(neutral), low, high)
    if ours != other:
        complaints.append(f"false and all {ours}, by the reference scorer {other}")
    if labels:
        ours = mean_detection(hits(insights, read_labels(labels)))
        other = theirs.mean_detection(theirs.detection(by, labels))
        if abs(ours - other) > 1e-12:
            complaints.append(f"mean detection {ours}, by the reference scorer {other}")
    return complaints
