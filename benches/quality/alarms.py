"""The rules by which alarms are scored against labelled incidents, the same for every detector.

* An alarm is the moment at which a detector begins to complain: a Start of insightd's, or a step at
  or above a detector's threshold whose predecessor was below it.
* Alarms of one series within two hours of one that counts do not count again. One that counts is
  true if it, or one that it stands for, lies inside an incident.
* An incident is hit by an alarm from its start to three minutes after its end; the delay runs from
  its start to the end of the minute of the first such alarm.
* The warm-up of a series is left out for all alike.
"""

import dataclasses
import math

import numpy
import scipy.stats

GRACE_SECONDS = 180
APART_SECONDS = 7200
# Intervals hold the truth in nine of ten cases.
CONFIDENCE = 0.90


@dataclasses.dataclass
class Tally:
    """What some series came to; adds up."""

    alarms: int = 0
    true: int = 0
    incidents: int = 0
    hits: int = 0
    weeks: float = 0.0
    delays: list = dataclasses.field(default_factory=list)

    def __add__(self, other):
        return Tally(self.alarms + other.alarms, self.true + other.true,
                     self.incidents + other.incidents, self.hits + other.hits,
                     self.weeks + other.weeks, self.delays + other.delays)

    @property
    def false(self):
        return self.alarms - self.true


def judge(series, times):
    """Tally of one series; times of its alarms in order, in seconds."""
    times = [t for t in times if series.judged_from <= t < series.end]
    incidents = series.judged_incidents
    inside = [any(start <= t < end + GRACE_SECONDS for start, end in series.incidents)
              for t in times]
    counted = true = 0
    last, is_true = -math.inf, False
    for t, is_inside in zip(times, inside):
        if t - last >= APART_SECONDS:
            counted, last, is_true = counted + 1, t, False
        if is_inside and not is_true:
            true, is_true = true + 1, True
    delays = []
    for start, end in incidents:
        within = [t for t in times if start <= t < end + GRACE_SECONDS]
        if within:
            delays.append((within[0] - start) // 60 + 1)
    return Tally(counted, true, len(incidents), len(delays), series.judged_weeks, delays)


def always(series):
    """What complaining at every step comes to: an alarm every two hours, every incident at once."""
    slots = numpy.arange(series.judged_from, series.end, APART_SECONDS)
    true = sum(any(start < slot + APART_SECONDS and slot < end + GRACE_SECONDS
                   for start, end in series.incidents) for slot in slots)
    incidents = len(series.judged_incidents)
    return Tally(len(slots), true, incidents, incidents, series.judged_weeks, [1] * incidents)


def rising(series, scores, threshold):
    """Times of the steps at or above a threshold that follow one below it."""
    above = scores >= threshold
    above[1:] &= ~(scores[:-1] >= threshold)
    return (series.first + series.step * numpy.flatnonzero(above)).tolist()


def by_corpus(several, alarms):
    """{corpus: Tally}; alarms has the times of each series."""
    found = {}
    for series, times in zip(several, alarms):
        found[series.corpus] = found.get(series.corpus, Tally()) + judge(series, times)
    return found


def poisson_interval(count, exposure):
    """Rate interval of a count (Garwood 1936)."""
    low = scipy.stats.chi2.ppf((1 - CONFIDENCE) / 2, 2 * count) / 2 if count else 0.0
    high = scipy.stats.chi2.ppf((1 + CONFIDENCE) / 2, 2 * count + 2) / 2
    return low / exposure, high / exposure


def share_interval(hits, trials):
    """Interval of a share (Clopper and Pearson 1934)."""
    if not trials:
        return 0.0, 1.0
    low = scipy.stats.beta.ppf((1 - CONFIDENCE) / 2, hits, trials - hits + 1) if hits else 0.0
    high = scipy.stats.beta.ppf((1 + CONFIDENCE) / 2, hits + 1, trials - hits) \
        if hits < trials else 1.0
    return float(low), float(high)
