#!/usr/bin/env python3
"""insightd on series that others recorded, beside detectors that others wrote.

WSD and CMD are labelled; NASA and the World Cup site are not, so there incidents are planted on
copies. On the same counts run: insightd with its default profile at fixed thresholds, a 7-day
ratio, a 7-day 3-sigma, S-H-ESD (package sesd) and Amazon's Random Cut Forest, by its score and as
OpenSearch grades it. They are compared at equal alarm rates, with one threshold for all corpora.
Then the budget: insights asked for against insights seen on five corpora.

  outside.py            short: one WSD series in eight, nothing planted
  outside.py --whole    everything, as does INSIGHTD_BENCH_SIZE=long; --write keeps the report

Exits 3 when a bar is missed. The rules of scoring are in alarms.py, the series in recorded.py.
"""

import argparse
import datetime
import os
import pathlib
import platform
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parents[1] / "tests/judges"))
import alarms
import common
import curves
import engine
import esd
import fleet_calibration
import forests
import injected
import missed
import numpy
import peers
import recorded
from remembered import remembered

LABELLED = ("wsd", "cmd")
UNLABELLED = ("nasa", "wc98")
COMPARED = LABELLED + UNLABELLED
POOLED = ("nab", *COMPARED)
RATES = (0.1, 0.3, 1.0, 3.0)
SHORT_EVERY = 8
# From beyond what any series reached down to where every exceedance is a Start.
Z_MAX, Z_STEPS, Z_RATIO = 30.0, 34, 1.12
INSIGHTD = "insightd, default"
FOREST, GRADE = "Random Cut Forest, score", "Random Cut Forest, grade"
# Three sigma; S-H-ESD at 5 %, by Grubbs' test for one of the 10,080 minutes of a week; any grade.
OWN_THRESHOLDS = {"7-day 3-sigma": 3.0, "S-H-ESD": 4.565, GRADE: 1e-9}
OWN_BUDGETS = (1.0, 0.3, 0.1)
FOREST_FILES = ("forests.py", "forest/CutForest.java", "forest/pom.xml")


def thresholds():
    return [Z_MAX / Z_RATIO ** i for i in range(Z_STEPS)]


def peer_scores(several, folder, class_path):
    """{detector: [scores of each series]}"""
    found = {"7-day ratio": [peers.ratio(series) for series in several],
             "7-day 3-sigma": [peers.sigma(series) for series in several]}
    found["S-H-ESD"], = remembered("esd", several, ("esd.py",), lambda: [esd.scores(several)])
    if class_path:
        found[FOREST], found[GRADE] = remembered(
            "forest", several, FOREST_FILES,
            lambda: forests.scores(class_path, several, folder))
    return found


def own_curve(several, rates, **settings):
    """insightd's curve from a sweep of fixed thresholds."""
    asked = [{"detector__fixed_z": z} | settings for z in thresholds()]
    return [curves.Point(z, alarms.by_corpus(several, starts))
            for z, starts in zip(thresholds(), engine.sweep(rates, len(several), asked))]


def cell(share, interval):
    return f"{share:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def middle(delays):
    if not delays:
        return "-"
    late = sorted(delays)[min(len(delays) - 1, int(0.9 * len(delays)))]
    return f"{statistics.median(delays):.0f} / {late}"


def scored(total, detail):
    """Cells of a table: rate, precision, recall, recall of each corpus, delay."""
    precision = "-" if not total.alarms else cell(
        total.true / total.alarms, alarms.share_interval(total.true, total.alarms))
    recall = "-" if not total.incidents else cell(
        total.hits / total.incidents, alarms.share_interval(total.hits, total.incidents))
    parts = [f"{one.hits / one.incidents:.2f}" for one in detail]
    return " | ".join([f"{total.alarms / total.weeks:.2f}", precision, recall, *parts,
                       middle(total.delays)])


def constants(report, several, names, is_detailed):
    """The two that look at nothing: never an alarm, always one."""
    chosen = [series for series in several if series.corpus in names]
    by_corpus = {}
    for series in chosen:
        by_corpus[series.corpus] = by_corpus.get(series.corpus, alarms.Tally()) \
            + alarms.always(series)
    for name, is_always in (("do nothing", False), ("always fire", True)):
        tallies = by_corpus if is_always else {
            corpus: alarms.Tally(incidents=one.incidents, weeks=one.weeks)
            for corpus, one in by_corpus.items()}
        detail = [tallies[corpus] for corpus in LABELLED] if is_detailed else []
        total = sum(tallies.values(), alarms.Tally())
        report.say(f"| | {name} | | {scored(total, detail)} |")


def comparison(report, several, by_detector, names, kind):
    """One table at equal rates; one threshold for each detector over the named corpora."""
    is_detailed = set(LABELLED) <= set(names)
    parts = [f"recall {name}" for name in LABELLED] if is_detailed else []
    heads = ["asked", "detector", "threshold", "alarms per series-week", "precision (90 %)",
             "recall (90 %)", *parts, "delay, median / p90"]
    report.say("| " + " | ".join(heads) + " |")
    report.say("|---" * len(heads) + "|")
    for rate in RATES:
        for name, curve in by_detector.items():
            point = curves.read(curve, names, rate, kind)
            if point is None:
                report.say(f"| {rate:g} | {name} | none so strict |" + " |" * (len(heads) - 3))
                continue
            detail = [point.tallies[corpus] for corpus in LABELLED] if is_detailed else []
            report.say(f"| {rate:g} | {name} | {point.threshold:.3g} | "
                       f"{scored(point.over(names), detail)} |")
    constants(report, several, names, is_detailed)
    report.say()


def as_they_come(report, several, by_detector, rates):
    """What each does as its makers or its name would have it, untuned."""
    report.say("| detector as it comes | alarms per series-week | precision (90 %) | "
               "recall (90 %) | recall wsd | recall cmd | delay, median / p90 |")
    report.say("|---" * 7 + "|")
    rows = [(name, next((point for point in reversed(by_detector[name])
                         if point.threshold >= threshold), None))
            for name, threshold in OWN_THRESHOLDS.items() if name in by_detector]
    for request in OWN_BUDGETS:
        asked = {"detector__budget_per_week": request * len(several)}
        tallies = alarms.by_corpus(several, engine.starts(rates, len(several), asked))
        rows.append((f"insightd, budget of {request:g} per series-week",
                     curves.Point(0.0, tallies)))
    for name, point in rows:
        detail = [point.tallies[corpus] for corpus in LABELLED]
        report.say(f"| {name} | {scored(point.over(COMPARED), detail)} |")
    report.say()


def unlabelled_rates(report, by_detector):
    """What the thresholds of the first table come to where nothing is labelled."""
    report.say("| detector | " + " | ".join(
        f"{corpus} at {rate:g}" for corpus in UNLABELLED for rate in RATES) + " |")
    report.say("|---" * (1 + len(UNLABELLED) * len(RATES)) + "|")
    for name, curve in by_detector.items():
        cells = []
        for corpus in UNLABELLED:
            for rate in RATES:
                point = curves.read(curve, COMPARED, rate)
                cells.append("-" if point is None else
                             f"{point.tallies[corpus].alarms / point.tallies[corpus].weeks:.1f}")
        report.say(f"| {name} | " + " | ".join(cells) + " |")
    report.say()


def found_kinds(several, kinds, times):
    """{kind: (incidents, hits)} of planted series."""
    found = {}
    for series, own, at in zip(several, kinds, times):
        for (start, end), kind in zip(series.incidents, own):
            incidents, hits = found.get(kind, (0, 0))
            hit = any(start <= t < end + alarms.GRACE_SECONDS for t in at)
            found[kind] = (incidents + 1, hits + hit)
    return found


def false_on(several, kinds, times, family):
    """False alarms per series-week on the copies of one family."""
    names = {kind for kind, _ in injected.KINDS[family]}
    total = sum((alarms.judge(series, at) for series, own, at in zip(several, kinds, times)
                 if own[0].split()[0] in names), alarms.Tally())
    return total.false / total.weeks


def planted(report, several, by_detector, folder, class_path):
    """Detection by kind of what is planted, at the false-alarm rates of the labelled corpora."""
    copies = [copy for series in several if series.corpus in UNLABELLED
              for copy in injected.copies(series)]
    series, kinds = [one for one, _ in copies], [own for _, own in copies]
    scores = peer_scores(series, folder, class_path)
    rates = recorded.write_rates(folder / "planted", series)
    totals = found_kinds(series, kinds, [[] for _ in series])
    report.say("| false per series-week | detector | " + " | ".join(
        f"{kind} ({totals[kind][0]})" for kind in injected.all_kinds())
        + " | mean | false here, dense | false here, thinned |")
    report.say("|---" * (5 + len(injected.all_kinds())) + "|")
    for rate in RATES:
        for name, curve in by_detector.items():
            point = curves.read(curve, COMPARED, rate, "false")
            if point is None:
                report.say(f"| {rate:g} | {name}, none so strict" + " |" * (len(totals) + 4))
                continue
            if name == INSIGHTD:
                times = engine.starts(rates, len(series), {"detector__fixed_z": point.threshold})
            else:
                times = [alarms.rising(one, own, point.threshold)
                         for one, own in zip(series, scores[name])]
            found = found_kinds(series, kinds, times)
            shares = [found[kind][1] / found[kind][0] for kind in injected.all_kinds()]
            report.say(f"| {rate:g} | {name} | " + " | ".join(f"{s:.2f}" for s in shares)
                       + f" | {statistics.fmean(shares):.2f} | "
                       f"{false_on(series, kinds, times, 'dense'):.1f} | "
                       f"{false_on(series, kinds, times, 'sparse'):.1f} |")
    report.say()


def beside(report, several, folder):
    """insightd with what it was not given above: holes as zeros; buckets as wide as the rows."""
    unfilled = [series for series in recorded.load(common.DATA, COMPARED, is_filled=False)
                if any(series.name == one.name for one in several)]
    holes = own_curve(unfilled, recorded.write_rates(folder / "unfilled", unfilled))
    comparison(report, unfilled, {
        f"{INSIGHTD}, holes as zeros": holes,
        "7-day 3-sigma, holes as zeros": curves.of_scores(
            unfilled, [peers.sigma(series) for series in unfilled])}, COMPARED, "false")
    hourly = [series for series in several if series.step == 3600]
    rates = recorded.write_rates(folder / "hourly", hourly)
    comparison(report, hourly, {
        "insightd, buckets of a minute": own_curve(hourly, rates),
        "insightd, buckets of an hour": own_curve(hourly, rates, counting__bucket="1h"),
        "7-day 3-sigma": curves.of_scores(hourly, [peers.sigma(series) for series in hourly]),
    }, ("cmd",), "false")


def head(report, several, class_path, arguments):
    report.say(f"# Outside data, {datetime.date.today()}")
    report.say()
    forest = forests.version() if class_path else "absent"
    report.say(f"* {engine.version()}; Python {platform.python_version()}, "
               f"numpy {numpy.__version__}, {esd.versions()}, Random Cut Forest {forest}; "
               f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}")
    report.say(f"* `benches/quality/outside.py{' --whole' if arguments.whole else ''}`; intervals "
               "hold nine times in ten (Clopper and Pearson, Garwood)")
    report.say()
    report.say("| corpus | series | judged series-weeks | incidents judged |")
    report.say("|---|---|---|---|")
    for name in COMPARED:
        own = [series for series in several if series.corpus == name]
        incidents = sum(len(series.judged_incidents) for series in own)
        report.say(f"| {name} | {len(own)} | {sum(s.judged_weeks for s in own):.1f} | "
                   f"{incidents if name in LABELLED else 'no labels'} |")


def peers_at(several, scores, by_detector, rate):
    """Alarms of every peer at a false rate."""
    found = {}
    for name, own in scores.items():
        point = curves.read(by_detector[name], COMPARED, rate, "false")
        if point is not None:
            found[name] = [alarms.rising(series, one, point.threshold)
                           for series, one in zip(several, own)]
    return found


def compare(report, several, folder, class_path, arguments):
    """All that is compared with others."""
    rates = recorded.write_rates(folder / "rates", several)
    scores = peer_scores(several, folder, class_path)
    by_detector = {INSIGHTD: own_curve(several, rates)} | {
        name: curves.of_scores(several, own) for name, own in scores.items()}
    report.say("\n## One threshold for all corpora, equal alarms\n")
    comparison(report, several, by_detector, COMPARED, "alarms")
    report.say("## One threshold for all corpora, equal false alarms\n")
    comparison(report, several, by_detector, COMPARED, "false")
    for corpus in LABELLED:
        report.say(f"## {corpus} with thresholds of its own, equal false alarms\n")
        comparison(report, several, by_detector, (corpus,), "false")
    report.say("## Alarms per series-week where nothing is labelled, at the first thresholds\n")
    unlabelled_rates(report, by_detector)
    report.say("## As they come\n")
    as_they_come(report, several, by_detector, rates)
    for rate in RATES[:3]:
        report.say(f"## What insightd missed at {rate:g} false a series-week, and who found it\n")
        point = curves.read(by_detector[INSIGHTD], COMPARED, rate, "false")
        missed.table(report, folder, several, rates, point.threshold,
                     peers_at(several, scores, by_detector, rate))
        report.say()
    if arguments.whole:
        report.say("## Planted on copies of the unlabelled series: share found\n")
        planted(report, several, by_detector, folder, class_path)
        report.say("## Beside: holes as zeros; hourly series in buckets of an hour\n")
        beside(report, several, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true", default=common.IS_LONG)
    parser.add_argument("--write", action="store_true", help="keep the report in results/")
    arguments = parser.parse_args()
    for name in POOLED:
        common.require_data(f"series-{name}")
    report, class_path = common.Report(), forests.install()
    if class_path is None:
        print("** NOT COMPARED with Random Cut Forest: it cannot be had here.")
    several = recorded.load(common.DATA, COMPARED)
    if not arguments.whole:
        kept = {id(s) for s in [s for s in several if s.corpus == "wsd"][::SHORT_EVERY]}
        several = [s for s in several if s.corpus != "wsd" or id(s) in kept]
    with common.scratch() as scratch:
        folder = pathlib.Path(scratch)
        head(report, several, class_path, arguments)
        compare(report, several, folder, class_path, arguments)
        report.say("\n## Insights asked for and seen\n")
        fleet_calibration.section(report, folder, recorded.load(common.DATA, POOLED))
    report.say("\nMissed: " + "; ".join(report.missed) if report.missed else "\nAll bars hold.")
    if arguments.write:
        out = HERE / "results" / f"{datetime.date.today()}-outside.md"
        out.write_text("\n".join(report.lines) + "\n")
    sys.exit(3 if report.missed else 0)


if __name__ == "__main__":
    main()
