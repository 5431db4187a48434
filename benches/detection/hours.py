#!/usr/bin/env python3
"""Detection of what takes hours: ramps, drops of slow series, periodic calls that do not come.

A clean fleet of the reference data's generator gets copies of some of its series with one incident
each in the scored days; a replay with a budget says how many Starts are decided from the
incident's start to three minutes after its end. The clean series are in the same replay, so what
is found is found at the false rate that the table shows beside it.

  hours.py [--series 600] [--seeds 5101 5102] [--requests 0.1 0.03 0.01]

With INSIGHTD_PEER, another build of insightd replays the same files, for comparison. Seeds 1 to 20
are for development.
"""

import argparse
import collections
import os
import pathlib
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


def first_day(draws):
    """A scored day that has a whole one after it."""
    return int(draws.integers(fleets.FIRST_SCORED_DAY + 1, fleets.DAYS - 2))


def ramp(factor):
    """Rises over eight hours and stays so for four."""
    def plant(row, draws):
        if not 0.1 <= row.mean() <= 300 or (row.reshape(-1, DAY).sum(1) < 100).any():
            return None
        start = first_day(draws) * DAY + int(draws.integers(DAY))
        span = slice(start, start + 12 * HOUR)
        rise = numpy.minimum(1, numpy.arange(12 * HOUR) / (8 * HOUR)) * (factor - 1)
        row[span] += draws.poisson(row[span] * rise)
        return span
    return plant


def slow(share):
    """Less than a call a minute, and for a day only a share of them."""
    def plant(row, draws):
        days = row.reshape(-1, DAY).sum(1)
        is_steady = (row.reshape(-1, 4 * HOUR).sum(1) > 0).mean() > 0.8
        if not (20 <= days.min() and numpy.median(days) <= 1000 and is_steady):
            return None
        start = first_day(draws) * DAY + int(draws.integers(DAY))
        span = slice(start, start + 24 * HOUR)
        row[span] = draws.binomial(row[span], share)
        return span
    return plant


def job_hours(row, days):
    """The hour of day, since the fleet began, that stands out on each of some days and nowhere
    else: three times the mean of an hour and ten calls more; `None` without one."""
    hours = row.reshape(-1, 24, HOUR).sum(2)
    busy = hours[days] > 3 * hours.mean() + 10
    of_hour = busy.mean(0)
    return int(of_hour.argmax()) if of_hour.max() == 1 and busy.sum() <= 1.1 * len(days) else None


def skip_run(row, day, hour):
    """Lets the minutes of a run be like those of three hours before."""
    start = day * DAY + hour * HOUR
    row[start - HOUR:start + 2 * HOUR] = row[start - 4 * HOUR:start - HOUR]
    return slice(start, start + 12 * HOUR)


def missed_day(row, draws):
    """A job of every day that does not run once."""
    day = first_day(draws)
    hour = job_hours(row, list(range(day - 14, day + 1)))
    return None if hour is None else skip_run(row, day, hour)


def missed_weekday(row, draws):
    """A job of working days that does not run once."""
    day = first_day(draws)
    # The first day of the fleet is a Monday.
    days = numpy.arange(day - 14, day + 1)
    hour = job_hours(row, days[days % 7 < 5])
    if day % 7 >= 5 or hour is None:
        return None
    idle = row.reshape(-1, 24, HOUR).sum(2)[days[days % 7 >= 5], hour]
    return skip_run(row, day, hour) if idle.max() < row.mean() * 3 * HOUR else None


def missed_hours(row, draws):
    """A job of every hour that does not run for six."""
    hours = row.reshape(-1, HOUR)
    is_job = ((hours > 0).sum(1) <= 10).mean() > 0.95 and (hours.sum(1) > 0).mean() > 0.95
    if not is_job:
        return None
    start = first_day(draws) * DAY + int(draws.integers(24)) * HOUR
    span = slice(start, start + 6 * HOUR)
    row[span] = 0
    return span


PLANTS = {"ramp 2": ramp(2), "ramp 3": ramp(3), "slow stop": slow(0), "slow drop 0.3": slow(0.3),
          "missed day": missed_day, "missed weekday": missed_weekday,
          "missed hours": missed_hours}


def plant(fleet, per_kind):
    """Writes copies with an incident each beside the clean series; the labels."""
    keys, labels = {}, []
    parts = [fleets.counts(path, keys) for path in sorted(fleet.path("clean").glob("*.csv"))]
    matrix = numpy.zeros((len(keys), fleets.MINUTES), numpy.int32)
    for part in parts:
        matrix[:len(part)] += part
    names = list(keys)
    with open(fleet.path("clean") / "planted.csv", "w") as out:
        out.write("time,account,region,event_source,event_name,error_code,count\n")
        for number, (kind, plants) in enumerate(PLANTS.items()):
            draws = numpy.random.default_rng([fleet.seed, number])
            found = 0
            for index in draws.permutation(len(names)):
                if found == per_kind:
                    break
                row = matrix[index].copy()
                span = plants(row, draws)
                if span is None:
                    continue
                found += 1
                account, region, source, name, error = names[index].split(",")
                key = f"{account},{region},{source},{name}-{number}-{found},{error}"
                for minute in numpy.flatnonzero(row):
                    moment = iso(fleets.ORIGIN + 60 * int(minute))
                    out.write(f"{moment},{key},{row[minute]}\n")
                labels.append((fleets.insight_series(key), fleets.ORIGIN + 60 * span.start,
                               fleets.ORIGIN + 60 * span.stop, kind))
    return labels


def iso(seconds):
    return scoring.time.strftime("%Y-%m-%dT%H:%M:%SZ", scoring.time.gmtime(seconds))


def replay(fleet, request, binary):
    config, out = fleet.path("budget.toml"), fleet.path("out.ndjson")
    series = fleet.series
    config.write_text(f"[detector]\nbudget_per_week = {request * series:g}\n")
    subprocess.run([binary, "replay", "-c", config, "--format", "rates", "--out", out,
                    fleet.path("clean")], check=True, stderr=subprocess.DEVNULL)
    return scoring.read_insights(out)[0]


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=600)
    parser.add_argument("--per-kind", type=int, default=25)
    parser.add_argument("--seeds", type=int, nargs="+", default=[5101])
    parser.add_argument("--requests", type=float, nargs="+", default=[0.1, 0.03, 0.01])
    return parser.parse_args()


def main():
    arguments = parse()
    binaries = {"insightd": common.BINARY}
    if "INSIGHTD_PEER" in os.environ:
        binaries["peer"] = os.environ["INSIGHTD_PEER"]
    hits = {(name, request): {} for name in binaries for request in arguments.requests}
    costs = collections.defaultdict(lambda: [0, 0])
    for seed in arguments.seeds:
        with common.scratch() as scratch:
            fleet = fleets.make_reference_clean(pathlib.Path(scratch), arguments.series, seed)
            labels = plant(fleet, arguments.per_kind)
            planted = {label[0] for label in labels}
            for (name, request), found in hits.items():
                insights = replay(fleet, request, binaries[name])
                for kind, counts in scoring.hits(insights, labels).items():
                    sums = found.setdefault(kind, [0, 0, []])
                    for i in range(3):
                        sums[i] += counts[i]
                clean = {key: own for key, own in insights.items() if key not in planted}
                cost = scoring.false_and_all(clean, fleet.neutral(), *fleets.SCORED)
                costs[name, request][0] += cost[0]
                costs[name, request][1] += cost[1]
    weeks = arguments.series * len(arguments.seeds) * fleets.WEEKS
    head = " | ".join(f"{name} at {request}" for name, request in hits)
    print(f"| kind | {head} |\n|---|{'---|' * len(hits)}")
    for kind in PLANTS:
        cells = []
        for found in hits.values():
            count, hit, delays = found.get(kind, (0, 0, []))
            delay = f"{sorted(delays)[len(delays) // 2]} min" if delays else "-"
            cells.append(f"{100 * hit / max(1, count):.0f} % of {count}, {delay}")
        print(f"| {kind} | {' | '.join(cells)} |")
    cells = [f"{costs[key][0] / weeks / key[1]:.2f}, {costs[key][1] / weeks / key[1]:.2f}"
             for key in hits]
    print(f"| false, all / requested | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
