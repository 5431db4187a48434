#!/usr/bin/env python3
"""Insights per series-week of each profile on series that others recorded.

Every corpus is replayed as one fleet, its series moved by whole hours so that all begin in the same
hour; for `watch` and `compat` also each series by itself. Counted are Starts decided between the
end of the warm-up (48 hours) and the series' last row, labelled or not: what someone would have to
look at. `watch` must stay between 0.5 and 2 of them per series-week over all corpora, and score at
least 57 (standard) on NAB's count-like files by NAB's rules. The others' scores stand beside it.
"""

import argparse
import bisect
import concurrent.futures
import datetime
import pathlib
import platform
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/judges"))

import common  # noqa: E402
import corpora  # noqa: E402
import engine  # noqa: E402
import labels  # noqa: E402
import nab  # noqa: E402

PROFILES = ("watch", "compat", "default")
# Their thresholds do not depend on other series.
ALONE = ("watch", "compat")
BUCKET_SECONDS = {"watch": 300, "compat": 60, "default": 60}
WARM_UP = 48 * corpora.HOUR
WATCH_BAR = (0.5, 2.0)
NAB_BAR = 57.0


def replay(rates, profile):
    """[(place of the series, second decided, continues another)] of the Starts."""
    starts = []
    for record in engine.records(rates, {"detector__profile": profile}):
        if record["insightDetails"]["state"] == "Start":
            more = record["insightd"]
            starts.append((int(record["insightDetails"]["eventName"]),
                           corpora.seconds(more["decidedAt"]), bool(more.get("continues"))))
    return starts


def judged(starts, corpus):
    """Starts after the warm-up of their series and before its end, split at its second week."""
    spans = [(rows[0][0] // corpora.HOUR * corpora.HOUR, rows[-1][0]) for rows in corpus.values()]
    kept = [(place, at, more) for place, at, more in starts
            if spans[place][0] + WARM_UP <= at <= spans[place][1]]
    later = sum(at >= spans[place][0] + corpora.WEEK for place, at, _ in kept)
    return len(kept), sum(more for _, _, more in kept), later


def alone(folder, name, corpus, profile):
    """Starts judged of every series replayed by itself."""
    def one(item):
        series, rows = item
        rates = folder / f"{name}-{profile}-{series.replace('/', '-')}"
        starts = replay(corpora.write_rates(rates, {series: rows}), profile)
        return judged(starts, {series: rows})[0]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return sum(pool.map(one, corpus.items()))


def nab_scores(data, corpus, starts, profile):
    """NAB's scores; a Start is a detection at the last row of the bucket that decided it."""
    windows = labels.nab(data)
    original = corpora.nab(data)
    shifts = [original[name][0][0] - corpus[name][0][0] for name in corpus]
    detections = {name: [] for name in corpus}
    names = list(corpus)
    for place, at, _ in starts:
        times = [second for second, _ in original[names[place]]]
        row = bisect.bisect_left(times, at + BUCKET_SECONDS[profile] + shifts[place]) - 1
        detections[names[place]].append(row)
    scores = []
    for costs in nab.PROFILES:
        total = sum(nab.file_score([second for second, _ in original[name]], windows[name],
                                   detections[name], costs) for name in corpus)
        scores.append(nab.corpus_score(total, sum(map(len, windows.values())), costs))
    return scores


def cell(counts, weeks, later_weeks):
    starts, continuing, later = counts
    return f"{starts / weeks:.2f} ({continuing / weeks:.2f} / {later / later_weeks:.2f})"


def row(name, series, weeks, later_weeks, counts, single):
    cells = [cell(counts[profile], weeks, later_weeks) for profile in PROFILES]
    cells += [f"{single[profile] / weeks:.2f}" for profile in ALONE]
    return f"| {name} | {series} | {weeks:.1f} | " + " | ".join(cells) + " |"


def head():
    columns = ["corpus", "series", "series-weeks", *PROFILES, *(f"{name}, alone" for name in ALONE)]
    return [f"# Insights per series-week by profile, {datetime.date.today()}", "",
            f"* {engine.version()}; Python {platform.python_version()}; "
            f"{platform.machine()}, {platform.system()}",
            "* `benches/quality/profiles.py`: Starts decided after 48 hours per series-week; in "
            "brackets those of them that continue another within two hours, and the rate from the "
            "second week on; alone: every series replayed by itself", "",
            "| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the report in results/")
    arguments = parser.parse_args()
    for name in corpora.CORPORA:
        common.require_data(f"series-{name}")
    lines, scores, total = head(), {}, [0, 0.0, 0.0]
    pooled = {profile: (0, 0, 0) for profile in PROFILES}
    pooled_single = dict.fromkeys(ALONE, 0)
    with common.scratch() as scratch:
        folder = pathlib.Path(scratch)
        for name, make in corpora.CORPORA.items():
            corpus = corpora.from_one_hour(make(common.DATA))
            rates = corpora.write_rates(folder / name, corpus)
            starts = {profile: replay(rates, profile) for profile in PROFILES}
            counts = {profile: judged(starts[profile], corpus) for profile in PROFILES}
            single = {profile: alone(folder, name, corpus, profile) for profile in ALONE}
            size = (len(corpus), *(sum(corpora.weeks(rows, since) for rows in corpus.values())
                                   for since in (WARM_UP, corpora.WEEK)))
            lines.append(row(name, *size, counts, single))
            print(lines[-1], flush=True)
            total = [a + b for a, b in zip(total, size)]
            pooled = {p: tuple(map(sum, zip(pooled[p], counts[p]))) for p in PROFILES}
            pooled_single = {p: pooled_single[p] + single[p] for p in ALONE}
            if name == "nab":
                scores = {p: nab_scores(common.DATA, corpus, starts[p], p) for p in PROFILES}
    lines.append(row("**all**", *total, pooled, pooled_single))
    lines += ["", "| NAB, count-like files | " + " | ".join(nab.PROFILES) + " |",
              "|---|---|---|---|"]
    lines += [f"| {profile} | " + " | ".join(f"{score:.1f}" for score in scores[profile]) + " |"
              for profile in PROFILES]
    found = pooled["watch"][0] / total[1]
    is_kept = WATCH_BAR[0] <= found <= WATCH_BAR[1]
    is_scored = scores["watch"][0] >= NAB_BAR
    lines += ["", f"watch: {found:.2f} per series-week over all, bar {WATCH_BAR[0]} to "
              f"{WATCH_BAR[1]}: {'ok' if is_kept else 'MISSED'}",
              f"watch: {scores['watch'][0]:.1f} standard by NAB's rules, bar {NAB_BAR}: "
              f"{'ok' if is_scored else 'MISSED'}"]
    print("\n" + "\n".join(lines))
    if arguments.write:
        out = HERE / "results" / f"{datetime.date.today()}.md"
        out.parent.mkdir(exist_ok=True)
        out.write_text("\n".join(lines) + "\n")
    sys.exit(0 if is_kept and is_scored else 3)


if __name__ == "__main__":
    main()
