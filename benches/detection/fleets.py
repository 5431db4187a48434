"""Labelled fleets on disk: made by the reference data's generator or by `insightd simulate`."""

import csv
import dataclasses
import pathlib
import subprocess
import sys

import numpy

import common
import scoring

DAYS = 28
FIRST_SCORED_DAY = 14
# Monday, 2026-01-05T00:00:00Z, where both generators begin.
ORIGIN = 1767571200
SCORED = (ORIGIN + 86400 * FIRST_SCORED_DAY, ORIGIN + 86400 * DAYS)
MINUTES = DAYS * 1440
WEEKS = (DAYS - FIRST_SCORED_DAY) / 7


@dataclasses.dataclass
class Fleet:
    folder: pathlib.Path
    series: int
    seed: int

    def path(self, name):
        return self.folder / name

    def labels(self):
        return scoring.read_labels(self.path("labels.csv"))

    def neutral(self):
        return scoring.read_neutral(self.path("neutral.csv"))


def make_reference(folder, series, seed):
    """A fleet of the reference data's generator."""
    generator = common.require_data("detection-fleets") / "fleet.py"
    command = [sys.executable, generator, folder, "--series", series, "--seed", seed]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    return Fleet(folder, series, seed)


def make_own(folder, series, seed):
    """A fleet of `insightd simulate`."""
    folder.mkdir(parents=True, exist_ok=True)
    common.run("simulate", "--profile", "fleet", "--format", "rates", "--series", series,
               "--seed", seed, "--days", DAYS, "--out", folder / "injected.csv",
               "--clean", folder / "clean.csv", "--labels", folder / "labels.csv",
               "--neutral", folder / "neutral.csv")
    return Fleet(folder, series, seed)


def counts(path, keys):
    """Counts of a rates file as series by minute; `keys` numbers the series and grows."""
    rows, columns, values = [], [], []
    minute_of = {}
    with open(path) as lines:
        next(lines)
        for line in lines:
            moment, rest = line.split(",", 1)
            key, count = rest.rsplit(",", 1)
            minute = minute_of.get(moment)
            if minute is None:
                minute = minute_of[moment] = (scoring.seconds(moment) - ORIGIN) // 60
            rows.append(keys.setdefault(key, len(keys)))
            columns.append(minute)
            values.append(int(count))
    matrix = numpy.zeros((len(keys), MINUTES), numpy.int32)
    numpy.add.at(matrix, (rows, columns), values)
    return matrix


def insight_series(key):
    """The series of an insight from a key of a rates file."""
    account, region, source, name, error = next(csv.reader([key]))
    kind = "ApiErrorRateInsight" if error else "ApiCallRateInsight"
    return (account, region, source, name, kind, error)
