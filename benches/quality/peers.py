"""The two detectors that anybody would write first: a 7-day ratio and a 7-day 3-sigma.

Each gives every step of a series a score, larger for more unusual, up or down, from the steps
before it only. The same rules as in the detection bench, for any width of step.
"""

import corpora
import numpy

# What the ratio compares with the week before it.
RATIO_SECONDS = 300


def week_before(counts, steps):
    """Mean and variance of the up to `steps` counts before each; zero before the first."""
    sums = numpy.concatenate(([0.0], numpy.cumsum(counts, dtype=float)))
    squares = numpy.concatenate(([0.0], numpy.cumsum(counts.astype(float) ** 2)))
    at = numpy.arange(len(counts))
    since = numpy.maximum(0, at - steps)
    length = numpy.maximum(1, at - since)
    mean = (sums[at] - sums[since]) / length
    return mean, numpy.maximum(0.0, (squares[at] - squares[since]) / length - mean * mean)


def ratio(series):
    """Distance on the logarithm of the last five minutes (or one step) from the mean of the seven
    days before them; half a call is added to both."""
    width = max(1, RATIO_SECONDS // series.step)
    mean, _ = week_before(series.counts, corpora.WEEK // series.step)
    sums = numpy.concatenate(([0.0], numpy.cumsum(series.counts, dtype=float)))
    at = numpy.arange(len(series.counts))
    since = numpy.maximum(0, at + 1 - width)
    observed = sums[at + 1] - sums[since]
    return numpy.abs(numpy.log((observed + 0.5) / ((at + 1 - since) * mean[since] + 0.5)))


def sigma(series):
    """Standard deviations from the mean of the seven days before; a constant series is taken to
    vary by one call a week."""
    steps = corpora.WEEK // series.step
    mean, variance = week_before(series.counts, steps)
    return numpy.abs(series.counts - mean) / numpy.sqrt(numpy.maximum(variance, 1.0 / steps))
