"""Labelled fleets on disk: made by the reference data's generator or by `insightd simulate`."""

import csv
import dataclasses
import importlib.util
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
# Series of which counts are made at once.
CHUNK = 500
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


def make_reference_clean(folder, series, seed, accounts=3):
    """The clean half of a fleet of the reference data's generator, as several files of some series
    each: its own functions, draw for draw, without holding all counts in memory."""
    theirs = reference_generator()
    origin = theirs.ORIGIN["normal"]
    weekend = theirs.weekend(origin, MINUTES)
    draws = numpy.random.default_rng([seed, len("normal")])
    classes = draws.choice(8, size=series, p=theirs.SHARES["normal"])
    groups = [deployments(draws, weekend) for _ in range(20)]
    of_series = [groups[int(draws.integers(20))] for _ in range(series)]
    folder.joinpath("clean").mkdir(parents=True, exist_ok=True)
    with open(folder / "neutral.csv", "w") as neutral:
        neutral.write("account,region,event_source,event_name,insight_type,error_code,start,end\n")
        for first in range(0, series, CHUNK):
            ids = range(first, min(series, first + CHUNK))
            counts = numpy.zeros((len(ids), MINUTES), numpy.int64)
            hours = numpy.zeros((len(ids), MINUTES // 60), numpy.uint8)
            keys = []
            for row, i in enumerate(ids):
                name = theirs.CLASSES[classes[i]]
                theirs.series(numpy.random.default_rng([seed, i, 7]), "normal", name, origin,
                              of_series[i], counts[row], hours[row])
                account, *rest = theirs.key(i, name)
                keys.append((f"{int(account) - i % 3 + i % accounts}", *rest))
            theirs.write_rates(folder / "clean" / f"{first:06}.csv", counts, keys, origin)
            write_neutral(neutral, hours, keys, theirs)
    return Fleet(folder, series, seed)


def reference_generator():
    """The reference data's generator as a module."""
    path = common.require_data("detection-fleets") / "fleet.py"
    spec = importlib.util.spec_from_file_location("reference_fleet", path)
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    return theirs


def deployments(draws, weekend):
    """One group of the reference generator: starts and lengths in minutes."""
    found = []
    for _ in range(draws.poisson(5 * MINUTES / 10080)):
        day = int(draws.integers(DAYS))
        if weekend[day * 1440] and draws.random() < 0.8:
            continue
        start = day * 1440 + int(draws.integers(9 * 60, 19 * 60))
        found.append((start, int(draws.integers(5, 21))))
    return sorted(found)


def write_neutral(out, hours, keys, theirs):
    """Runs of neutral hours as the reference generator writes them."""
    for row, key in zip(hours, keys):
        steps = numpy.diff(numpy.concatenate(([0], row, [0])).astype(int))
        for start, end in zip(numpy.flatnonzero(steps == 1), numpy.flatnonzero(steps == -1)):
            times = (theirs.iso(ORIGIN + 3600 * int(hour)) for hour in (start, end))
            fields = (*key[:4], theirs.insight_type(key), key[4], *times)
            out.write(",".join(fields) + "\n")


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
