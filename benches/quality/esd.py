"""S-H-ESD (Vallis, Hochenbaum, Kejariwal 2014) by the package `sesd`, a day at a time.

Every UTC day is judged among the seven days that end with it: the whole day is known when its first
minute is judged, which no one who has to answer at once could do. A step's score is the statistic
with which the package's test takes it out, in median absolute deviations; what is not taken out
scores nothing. At most 2 % of a week are taken out, as in the examples of Twitter's own package.

The package calls `STL` of statsmodels at every point; here STL interpolates as R's does unless told
otherwise, which Twitter's own package relies on. That is a hundred times as fast, and takes the
same steps out first.
"""

import concurrent.futures
import importlib.metadata
import math
import warnings

import numpy
import sesd
import statsmodels.tsa.seasonal

DAY = 86_400
DAYS, DAYS_MIN = 7, 3
TAKEN_OUT_MAX = 0.02
# Width of statsmodels' seasonal smoother unless told otherwise.
SEASONAL = 7
WORKERS = 2


def versions():
    return ", ".join(f"{name} {importlib.metadata.version(name)}"
                     for name in ("sesd", "statsmodels"))


def stl_as_in_r(counts, period, robust):
    """STL with R's default jumps: a tenth of each smoother's width."""
    trend = math.ceil(1.5 * period / (1 - 1.5 / SEASONAL)) | 1
    return statsmodels.tsa.seasonal.STL(
        counts, period=period, robust=robust, seasonal=SEASONAL, trend=trend,
        trend_jump=math.ceil(trend / 10), low_pass_jump=math.ceil((period + 1) / 10))


def statistics_of(counts, period):
    """{step: statistic} of the steps that the package's test looks at, most extreme first."""
    found = {}

    def recording(residuals, hybrid):
        step, value = original(residuals, hybrid)
        if numpy.isfinite(value):
            found.setdefault(int(step), float(value))
        return step, value

    original = sesd.calculate_test_statistic
    sesd.STL, sesd.calculate_test_statistic = stl_as_in_r, recording
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sesd.seasonal_esd(counts.astype(float), periodicity=period, hybrid=True,
                              max_anomalies=max(1, int(TAKEN_OUT_MAX * len(counts))))
    finally:
        sesd.calculate_test_statistic = original
    return found


def score(series):
    """A score for every step of one series."""
    found = numpy.zeros(len(series.counts))
    period = DAY // series.step
    for day in range(DAYS_MIN, math.ceil(len(series.counts) / period) + 1):
        end = min(day * period, len(series.counts))
        first = max(0, end - DAYS * period)
        today = (day - 1) * period
        for step, value in statistics_of(series.counts[first:end], period).items():
            if first + step >= today:
                found[first + step] = value
    return found


def scores(several):
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
        return list(pool.map(score, several))
