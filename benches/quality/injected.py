"""Incidents of the twelve usual kinds planted on copies of series that have no labels.

The kinds, sizes and lengths are those of the labelled fleets (detection bench). Surges and drops go
onto the series as it is. Bursts go onto a copy thinned to fifty calls a day, as an error that some
of its requests meet would be: every call is kept with the same chance. Novelties go onto a copy of
which nothing is kept, an error never met before, a week or more apart.
"""

import corpora
import numpy

DAY = 24 * corpora.HOUR
SEED = 20261130
# Days before the first incident: a baseline of a week, and one day.
HISTORY_DAYS = 8
SPARSE_CALLS_PER_DAY = 50
# How many copies of each series, and how many incidents on each.
COPIES = {"dense": (9, 4), "sparse": (6, 4), "silent": (6, None)}
KINDS = {
    "dense": [("surge", 2), ("surge", 3), ("surge", 5), ("surge", 10), ("drop", 0.3), ("drop", 0)],
    "sparse": [("burst", 5), ("burst", 20), ("burst", 100)],
    "silent": [("novel", 1), ("novel", 3), ("novel", 12)],
}
MINUTES = {"surge": (5, 15, 60), "drop": (10, 30, 120), "burst": (5, 10, 30), "novel": (5, 10, 30)}


def thinned(counts, family, random):
    if family == "dense":
        return counts.copy()
    if family == "silent":
        return numpy.zeros_like(counts)
    return random.binomial(counts, SPARSE_CALLS_PER_DAY / (1440 * counts.mean()))


def plant(counts, at, minutes, kind, size, random):
    """Changes counts[at:at + minutes]; the distributions are those of the labelled fleets."""
    within = slice(at, at + minutes)
    around = counts[at - 60:at + 60].mean()
    if kind == "surge":
        level = max(counts[at - 60:at].mean(), 0.3 * around)
        more = (size - 1) * level * random.gamma(20, 1 / 20, minutes)
        counts[within] += random.poisson(more)
    elif kind == "drop":
        counts[within] = random.binomial(counts[within], size)
    else:
        counts[within] += random.poisson(size * random.gamma(10, 0.1, minutes))


def copies(series):
    """[(series, kind of each incident)] of one series of minutes."""
    random = numpy.random.default_rng([SEED, len(series.counts)])
    found, planted = [], 0
    for family, (count, per_copy) in COPIES.items():
        for _ in range(count):
            counts = thinned(series.counts, family, random)
            first, last = HISTORY_DAYS * DAY // 60, len(counts) - DAY // 60
            parts = per_copy or (last - first) // (HISTORY_DAYS * DAY // 60)
            edges = numpy.linspace(first, last, parts + 1)
            incidents, kinds = [], []
            for low, high in zip(edges, edges[1:]):
                # Silent copies keep a week between incidents, the others half a part.
                gap = 7 * DAY // 60 + 30 if family == "silent" else (high - low) / 2
                at = int(random.uniform(low, high - min(gap, high - low - 1)))
                kind, size = KINDS[family][planted % len(KINDS[family])]
                minutes = int(random.choice(MINUTES[kind]))
                planted += 1
                plant(counts, at, minutes, kind, size, random)
                incidents.append((series.first + 60 * at, series.first + 60 * (at + minutes)))
                kinds.append(f"{kind} {size:g}")
            found.append((series.with_counts(counts, incidents), kinds))
    return found


def all_kinds():
    return [f"{kind} {size:g}" for kinds in KINDS.values() for kind, size in kinds]
