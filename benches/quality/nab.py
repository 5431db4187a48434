"""NAB's scoring of detections, written from its description (Lavin and Ahmad 2015, section III).

Each labelled window earns what its earliest detection deserves on a sigmoid, from 1 at the window's
start to 0 at its end, or costs a miss; each detection outside costs by its distance from the window
before. Rows of the probation period (15 % of a file, of 5,000 rows at most) neither earn nor cost.
The sum over files is put on a scale from 0 (never a detection) to 100 (every window hit at its
first row). Run as a command it compares itself with the scores that NAB published.
"""

import bisect
import math
import pathlib
import sys

# Costs of a false detection and of a missed window; a hit window earns up to 1.
PROFILES = {"standard": (0.11, 1.0), "low FP": (0.22, 1.0), "low FN": (0.11, 2.0)}
# Names of the profiles in NAB's published files.
PUBLISHED = {"standard": "standard", "reward_low_FP_rate": "low FP",
             "reward_low_FN_rate": "low FN"}
PROBATION_SHARE, PROBATION_ROWS_MAX = 0.15, 5000


def probation_rows(rows):
    return math.floor(PROBATION_SHARE * min(rows, PROBATION_ROWS_MAX))


def sigmoid(position):
    """1 well before 0, 0 at 0, -1 well after."""
    return -1.0 if position > 3.0 else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def file_score(times, windows, detections, profile):
    """Score of one file: its rows' times, its windows as (first, last) time, the rows detected."""
    false_cost, miss_cost = PROFILES[profile]
    spans = [(bisect.bisect_left(times, first), bisect.bisect_right(times, last) - 1)
             for first, last in windows]
    best, false = [None] * len(spans), 0.0
    for row in sorted(set(detections)):
        if row < probation_rows(len(times)):
            continue
        inside = [i for i, (left, right) in enumerate(spans) if left <= row <= right]
        if inside:
            left, right = spans[inside[0]]
            earned = sigmoid(-(right - row + 1) / (right - left + 1)) / sigmoid(-1.0)
            best[inside[0]] = max(earned, best[inside[0]] or earned)
            continue
        before = [span for span in spans if span[1] < row]
        if before:
            left, right = before[-1]
            false += sigmoid((row - right) / (right - left)) * false_cost
        else:
            false -= false_cost
    return false + sum(-miss_cost if earned is None else earned for earned in best)


def corpus_score(scores, windows, profile):
    """0 to 100 from the sum of file scores and the number of windows."""
    worst = -PROFILES[profile][1] * windows
    return 100.0 * (scores - worst) / (windows - worst)


def main():
    """Compares with the scores that NAB itself published for its detectors, file by file."""
    import csv
    import json
    import common
    import corpora
    data = common.require_data("series-nab")
    labels = {}
    for path, lines in corpora.members(data / "nab-data-labels.tar.xz", ".json"):
        if path == "labels/combined_windows.json":
            labels = json.loads("\n".join(lines))
    published, rows_of = [], {}
    for path, lines in corpora.members(data / "nab-results-countlike.tar.xz"):
        detector, _, name = path.partition("/")
        rows = list(csv.DictReader(lines))
        if name.endswith("_scores.csv"):
            key = name.removeprefix(f"{detector}_").removesuffix("_scores.csv")
            published += [(detector, PUBLISHED[key], row) for row in rows]
        else:
            folder, _, file = name.rpartition("/")
            rows_of[detector, f"{folder}/{file.removeprefix(detector + '_')}"] = (
                [corpora.seconds(row["timestamp"][:19]) for row in rows],
                [float(row["anomaly_score"]) for row in rows])
    compared = wrong = 0
    for detector, profile, row in published:
        if (detector, row["File"]) not in rows_of:
            continue
        times, scores = rows_of[detector, row["File"]]
        windows = [[corpora.seconds(time[:19]) for time in window]
                   for window in labels[row["File"]]]
        detections = [i for i, score in enumerate(scores) if score >= float(row["Threshold"])]
        found = file_score(times, windows, detections, profile)
        compared += 1
        if abs(found - float(row["Score"])) > 1e-6:
            wrong += 1
            print(f"{detector}, {profile}, {row['File']}: {found}, published {row['Score']}")
    print(f"{compared} published scores compared, {wrong} differ")
    sys.exit(3 if wrong or not compared else 0)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/judges"))
    main()
