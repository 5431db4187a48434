"""Why insightd missed what was labelled: from its scores at every minute of every incident."""

import collections
import csv

import alarms
import corpora
import engine

# Surprises up to here are no exceedance and have no z (reference detection, 6.5).
SURPRISE_MIN = 4.0
# What precedents leave of z.
PRECEDENT_Z = 2.0
REASONS = ("an incident was open already", "Start up to 30 minutes before the label",
           "nothing surprising (under 4 decades)", "excused by precedents",
           "surprising, but z below the threshold")


def scores_of(path, several):
    """{(place, incident): [(surprise, z, state before)]} of the steps inside incidents."""
    spans = [(place, at, start, end + alarms.GRACE_SECONDS)
             for place, series in enumerate(several)
             for at, (start, end) in enumerate(series.judged_incidents)]
    by_place = collections.defaultdict(list)
    for place, at, start, end in spans:
        by_place[place].append((start, end, at))
    found = {(place, at): [] for place, at, _, _ in spans}
    with open(path, newline="") as lines:
        for row in csv.reader(lines):
            own = by_place.get(int(row[4])) if row[4].isdigit() else None
            if not own:
                continue
            second = corpora.seconds(row[0])
            for start, end, at in own:
                if start <= second < end:
                    found[int(row[4]), at].append((float(row[11]), float(row[12]), row[13]))
    return found


def reason(scores, starts, start):
    """The first reason that applies."""
    is_open = bool(scores) and scores[0][2] in ("up", "down")
    surprise = max((one[0] for one in scores), default=0.0)
    z = max((one[1] for one in scores), default=0.0)
    if any(start - 1800 <= at < start for at in starts):
        return REASONS[1]
    if is_open:
        return REASONS[0]
    if surprise <= SURPRISE_MIN:
        return REASONS[2]
    if z == PRECEDENT_Z:
        return REASONS[3]
    return REASONS[4]


def table(report, folder, several, rates, z, others):
    """Missed incidents by corpus and reason; others maps peers to their alarms at the same rate."""
    path = folder / "scores"
    all_starts = [[] for _ in several]
    for record in engine.records(rates, {"detector__fixed_z": z}, "--scores", path):
        if record["insightDetails"]["state"] == "Start":
            own = all_starts[int(record["insightDetails"]["eventName"])]
            own.append(corpora.seconds(record["insightd"]["decidedAt"]))
    scored = scores_of(path, several)
    counts, found_by = collections.Counter(), collections.Counter()
    for (place, at), scores in scored.items():
        series, starts = several[place], sorted(all_starts[place])
        start, end = series.judged_incidents[at]
        if any(start <= t < end + alarms.GRACE_SECONDS for t in starts):
            continue
        why = reason(scores, starts, start)
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
