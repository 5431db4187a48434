#!/usr/bin/env python3
"""Incidents spread thinly over the APIs of a service or an account, with and without roll-ups.

Fleets of the reference data's generator: APIs of 17 services in some accounts. In the scored days
services and accounts do something of which each API shows little: all are called a half more or
twice as often for half an hour, or lose some of their calls for an hour; or each of them refuses
one call with an error that nobody had before. No API has more than 60 % of the calls. A replay
says how many Starts on any of their series or roll-ups are decided from an incident's start to
three minutes after its end; by chance as many as in the same times of the clean fleet. The budget
is the same with roll-ups and without: what roll-ups say falsely is paid for by all.

With --thin APIs each account has two services of so many more APIs, steady ones that are called
less than once a minute each, and incidents are of these services only: what roll-ups are for.

  roll_ups.py [--series 1000] [--accounts 5] [--thin 20] [--seeds 5201] [--requests 0.1 0.03 0.01]

Seeds 1 to 20 are for development.
"""

import argparse
import collections
import concurrent.futures
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/judges"))
sys.path.insert(0, str(HERE))
import common
import fleets
import numpy
import scoring

HOUR, DAY = 60, 1440
# An error that no series of the generator has.
NOVEL = "UnauthorizedOperation"
WORKERS = 2
LARGEST_SHARE = 0.6
CALLS_MIN = 60
# Incidents of one account do not meet, and mostly do not excuse each other.
APART = 6 * HOUR
# Calls a minute of an API of a thin service, as powers of ten.
THIN_RATES = (-1, 0)
THIN_SERVICES = ("thin0", "thin1")
ROLL_UPS = {"without": "", "with": 'rollups = ["service", "account"]'}
HEADER = "time,account,region,event_source,event_name,error_code,count\n"


def factor(times, minutes):
    """Every API is called so many times as often."""
    def plant(matrix, rows, start, draws):
        span = slice(start, start + minutes)
        for row in rows:
            counts = matrix[row, span]
            if times > 1:
                counts += draws.poisson(counts * (times - 1)).astype(counts.dtype)
            else:
                counts[:] = draws.binomial(counts, times)
        return minutes, []
    return plant


def novelty(apis, minutes):
    """So many APIs, or all there are, refuse one call each."""
    def plant(matrix, rows, start, draws):
        errors = []
        for row in draws.permutation(rows)[:apis]:
            minute = start + int(draws.integers(minutes))
            matrix[row, minute] += 1
            errors.append((row, minute))
        return minutes, errors
    return plant


KINDS = {
    "service x1.5": (True, factor(1.5, 30)), "service x2": (True, factor(2, 30)),
    "service x0.7": (True, factor(0.7, 60)), "service x0.5": (True, factor(0.5, 60)),
    "service new errors": (True, novelty(12, 10)),
    "account x1.25": (False, factor(1.25, 30)), "account x1.5": (False, factor(1.5, 30)),
    "account x0.7": (False, factor(0.7, 60)), "account new errors": (False, novelty(40, 15)),
}


class Planted:
    """A clean fleet, and the same with incidents."""

    def __init__(self, folder, arguments, seed):
        self.fleet = fleets.make_reference_clean(folder, arguments.series, seed,
                                                 arguments.accounts)
        if arguments.thin:
            self.add_thin(arguments, seed)
        keys = {}
        parts = [fleets.counts(path, keys)
                 for path in sorted(self.fleet.path("clean").glob("*.csv"))]
        self.matrix = numpy.zeros((len(keys), fleets.MINUTES), numpy.int32)
        for part in parts:
            self.matrix[:len(part)] += part
        self.keys = [tuple(key.split(",")) for key in keys]
        self.labels, self.errors, self.taken = [], [], collections.defaultdict(list)
        for number, (kind, (is_service, plant)) in enumerate(kinds(arguments).items()):
            draws = numpy.random.default_rng([seed, number])
            for _ in range(arguments.per_kind):
                self.plant(kind, is_service, plant, draws)
        self.write()

    def add_thin(self, arguments, seed):
        """Thin services: steady series of the generator of which some calls are kept."""
        theirs = fleets.reference_generator()
        keys = [(f"{111122223333 + account}", "us-east-1", source, f"Thin{api:02}", "")
                for account in range(arguments.accounts) for source in THIN_SERVICES
                for api in range(arguments.thin)]
        counts = numpy.zeros((len(keys), fleets.MINUTES), numpy.int64)
        hours = numpy.zeros((len(keys), fleets.MINUTES // HOUR), numpy.uint8)
        for number, row in enumerate(counts):
            draws = numpy.random.default_rng([seed, number, 11])
            theirs.series(draws, "normal", "steady", fleets.ORIGIN, [], row, hours[number])
            rate = 10 ** draws.uniform(*THIN_RATES)
            row[:] = draws.binomial(row, min(1, rate / max(row.mean(), 1e-9)))
        theirs.write_rates(self.fleet.path("clean") / "thin.csv", counts, keys, fleets.ORIGIN)
        with open(self.fleet.path("neutral.csv"), "a") as neutral:
            fleets.write_neutral(neutral, hours, keys, theirs)
        self.fleet.series += len(keys)

    def groups(self, is_service):
        """Call series by (account, service), or by (account, None)."""
        found = collections.defaultdict(list)
        is_thin = any(key[2] in THIN_SERVICES for key in self.keys)
        for row, (account, _, source, _, error) in enumerate(self.keys):
            if not error and (not is_thin or source in THIN_SERVICES):
                found[account, source if is_service else None].append(row)
        return sorted(found.items(), key=str)

    def plant(self, kind, is_service, plant, draws):
        groups = self.groups(is_service)
        for _ in range(10_000):
            (account, source), rows = groups[draws.integers(len(groups))]
            start = int(draws.integers(fleets.FIRST_SCORED_DAY * DAY, fleets.MINUTES - 3 * HOUR))
            calls = self.matrix[rows, start - HOUR:start].sum(1)
            is_thin = calls.sum() >= CALLS_MIN and calls.max() <= LARGEST_SHARE * calls.sum()
            is_free = all(abs(start - other) > APART for other in self.taken[account])
            if is_thin and is_free and len(rows) >= 6:
                minutes, errors = plant(self.matrix, rows, start, draws)
                self.taken[account].append(start)
                self.errors += errors
                first = fleets.ORIGIN + 60 * start
                self.labels.append((kind, account, source, first, first + 60 * minutes))
                return
        sys.exit(f"no place for {kind}")

    def write(self):
        folder = self.fleet.path("injected")
        folder.mkdir()
        theirs = fleets.reference_generator()
        for first in range(0, len(self.keys), fleets.CHUNK):
            rows = slice(first, first + fleets.CHUNK)
            theirs.write_rates(folder / f"{first:06}.csv", self.matrix[rows], self.keys[rows],
                               fleets.ORIGIN)
        with open(folder / "errors.csv", "w") as out:
            out.write(HEADER)
            for row, minute in self.errors:
                moment = theirs.iso(fleets.ORIGIN + 60 * minute)
                out.write(",".join((moment, *self.keys[row][:4], NOVEL, "1")) + "\n")

    def replay(self, name, request, roll_ups):
        run = f"{name}-{request}-{roll_ups}"
        config, out = self.fleet.path(f"{run}.toml"), self.fleet.path(f"{run}.ndjson")
        config.write_text(f"[detector]\nbudget_per_week = {request * self.fleet.series:g}\n"
                          f"[counting]\n{ROLL_UPS[roll_ups]}\n")
        subprocess.run([common.BINARY, "replay", "-c", config, "--format", "rates", "--out", out,
                        self.fleet.path(name)], check=True, stderr=subprocess.DEVNULL)
        return scoring.read_insights(out)[0]

    def neutral(self):
        """Neutral hours: of series, and of roll-ups those of what they add up."""
        hours = self.fleet.neutral()
        for (account, region, source, _, kind, error), hour in list(hours):
            hours.add(((account, region, source, "*", kind, error), hour))
            hours.add(((account, "*", "*", "*", kind, error), hour))
        return hours


def is_roll_up(series):
    return series[3] == "*"


def found(insights, label, only_roll_ups=False):
    """Minutes until the first Start that belongs to an incident; None without one."""
    _, account, source, first, last = label
    delays = []
    for series, own in insights.items():
        is_of = series[0] == account and (source in (None, series[2]) or series[2] == "*")
        if not is_of or only_roll_ups and not is_roll_up(series):
            continue
        for _, decided, _ in own:
            if first <= decided <= last + scoring.GRACE_SECONDS:
                delays.append((decided - first) // 60 + 1)
    return min(delays, default=None)


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--accounts", type=int, default=5)
    parser.add_argument("--thin", type=int, default=0)
    parser.add_argument("--per-kind", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[5201])
    parser.add_argument("--requests", type=float, nargs="+", default=[0.1, 0.03, 0.01])
    return parser.parse_args()


def kinds(arguments):
    """Incidents of services, and without thin ones those of accounts."""
    return {kind: plant for kind, plant in KINDS.items() if plant[0] or not arguments.thin}


class Tally:
    """What one request and setting came to over all fleets."""

    def __init__(self):
        self.delays = collections.defaultdict(list)
        self.of_roll_ups, self.chance = collections.Counter(), collections.Counter()
        self.false, self.all = [0, 0], [0, 0]

    def add(self, planted, request, roll_ups, neutral):
        injected = planted.replay("injected", request, roll_ups)
        clean = planted.replay("clean", request, roll_ups)
        for label in planted.labels:
            self.delays[label[0]].append(found(injected, label))
            self.of_roll_ups[label[0]] += found(injected, label, True) is not None
            self.chance[label[0]] += found(clean, label) is not None
        for place in (0, 1):
            of = {key: own for key, own in clean.items() if is_roll_up(key) == bool(place)}
            false, total = scoring.false_and_all(of, neutral, *fleets.SCORED)
            self.false[place] += false
            self.all[place] += total

    def cell(self, kind, has_roll_ups):
        delays = self.delays[kind]
        hits = [delay for delay in delays if delay is not None]
        share = lambda count: f"{100 * count / len(delays):.0f}"
        by_roll_ups = f", by roll-ups {share(self.of_roll_ups[kind])}" if has_roll_ups else ""
        delay = f", {statistics.median(hits):.0f} min" if hits else ""
        return f"{share(len(hits))} %{by_roll_ups}, by chance {share(self.chance[kind])}{delay}"


def report(arguments, tallies, last):
    """What all fleets up to that of the last seed came to."""
    seeds = arguments.seeds[:arguments.seeds.index(last) + 1]
    series = arguments.series + arguments.thin * arguments.accounts * len(THIN_SERVICES)
    weeks = series * len(seeds) * fleets.WEEKS
    print(f"\nseeds {seeds}\n")
    head = " | ".join(f"{name}, {request}" for request, name in tallies)
    print(f"| kind | {head} |\n|---|{'---|' * len(tallies)}")
    for kind in kinds(arguments):
        cells = (tally.cell(kind, name == "with") for (_, name), tally in tallies.items())
        count = arguments.per_kind * len(seeds)
        print(f"| {kind} ({count}) | {' | '.join(cells)} |")
    for title in ("false", "all"):
        cells = []
        for (request, _), tally in tallies.items():
            apis, roll_ups = getattr(tally, title)
            cells.append(f"{(apis + roll_ups) / weeks / request:.2f} ({apis} + {roll_ups})")
        print(f"| {title} / requested (APIs + roll-ups) | {' | '.join(cells)} |", flush=True)


def main():
    arguments = parse()
    tallies = {(request, name): Tally() for request in arguments.requests for name in ROLL_UPS}
    for seed in arguments.seeds:
        with common.scratch() as scratch:
            planted = Planted(pathlib.Path(scratch), arguments, seed)
            neutral = planted.neutral()
            with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
                runs = [pool.submit(tally.add, planted, request, name, neutral)
                        for (request, name), tally in tallies.items()]
                for run in runs:
                    run.result()
            report(arguments, tallies, seed)


if __name__ == "__main__":
    main()
