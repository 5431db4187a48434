"""A detector's whole range: what each threshold comes to, from the strictest on.

Equal alarm rates are read from curves: the loosest threshold up to which the rate was never above
what was asked for. A rate that falls again for looser thresholds (alarms that no longer end) does
not count.
"""

import dataclasses

import alarms
import numpy

# Neighbouring thresholds let through about an eighth more steps.
GROWTH = 1.125
# No rate that is asked for needs more than one step in twenty above the threshold.
SHARE_MAX = 0.05


@dataclasses.dataclass
class Point:
    threshold: float
    tallies: dict

    def over(self, names):
        return sum((self.tallies[name] for name in names), alarms.Tally())


def thresholds(several, scores):
    """Values of the scores of judged steps, from the largest down, ever more steps apart."""
    judged = numpy.concatenate([own[series.times >= series.judged_from]
                                for series, own in zip(several, scores)])
    kept = int(len(judged) * SHARE_MAX)
    best = numpy.sort(numpy.partition(judged, len(judged) - kept)[-kept:])[::-1]
    ranks, rank = [0], 1.0
    while rank < kept:
        ranks.append(int(rank))
        rank = max(rank + 1, rank * GROWTH)
    values = numpy.unique(best[ranks])[::-1]
    return values[values > judged.min()]


def of_scores(several, scores):
    """The curve of a detector that gives every step of every series a score."""
    return [Point(float(threshold), alarms.by_corpus(several, [
        alarms.rising(series, own, threshold) for series, own in zip(several, scores)]))
        for threshold in thresholds(several, scores)]


def read(curve, names, rate, kind="alarms"):
    """The point of a curve at which alarms (or false ones) per series-week over the named corpora
    reach a rate; None where even the strictest threshold is beyond it."""
    found = None
    for point in curve:
        total = point.over(names)
        if getattr(total, kind) > rate * total.weeks:
            break
        found = point
    return found
