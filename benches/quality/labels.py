"""What the makers of the corpora labelled as unusual, as spans of the files' own times.

An incident is a run of consecutive labelled rows: (time of its first row, time of its last). NAB
labels windows instead: a tenth of a file, spread around what is unusual; they are taken as they
stand. The web server of NASA and the World Cup site have no labels at all.
"""

import csv
import json

import corpora


def runs(lines, seconds=corpora.seconds):
    """[(first, last)] of the runs of labelled rows of a CSV whose last column is the label."""
    rows = csv.reader(lines)
    next(rows)
    found, was_labelled = [], False
    for row in rows:
        if not row:
            continue
        is_labelled = row[-1].strip() not in ("", "0", "0.0")
        if is_labelled:
            at = seconds(row[0])
            if was_labelled:
                found[-1] = (found[-1][0], at)
            else:
                found.append((at, at))
        was_labelled = is_labelled
    return found


def cmd(data):
    return {path.removeprefix("data/"): runs(lines)
            for path, lines in corpora.members(data / "series-cmd/cmd.tar.xz")
            if path.split("/")[-2] in corpora.CMD_KINDS}


def wsd(data):
    return {path: runs(lines, int)
            for path, lines in corpora.members(data / "series-wsd/wsd-integer.tar.xz")}


def nab(data):
    archive = data / "series-nab/nab-data-labels.tar.xz"
    for path, lines in corpora.members(archive, ".json"):
        if path == "labels/combined_windows.json":
            labels = json.loads("\n".join(lines))
    return {name: [tuple(corpora.seconds(time[:19]) for time in window) for window in labels[name]]
            for name in corpora.NAB_FILES}


def none(_data):
    return {}


LABELS = {"nab": nab, "cmd": cmd, "wsd": wsd, "nasa": none, "wc98": none}
