"""The detectors that the engine has to beat: plain, well-known, each on the same counts.

A detector turns the counts of one series into a score per minute, larger for more unusual, up or
down. They know no explanations, no history of their own surprises and no freeze; thresholds are
set for each on clean traffic to the same false rate. Every minute at or above the threshold
inside an incident is a hit, whether or not it was above before: kinder to them than to the engine.
"""

import math

import numba
import numpy

DAY, WEEK = 1440, 10080
# A silent series is taken to make half a call a week.
SILENT = 0.5 / WEEK
# Lengths of the scan that is no FOCuS: neighbours differ by a quarter.
LENGTHS = numpy.array([1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 19, 24, 30, 38, 48, 60, 75, 94, 120, 150,
                       190, 240])
SCALES = numpy.array([1, 5, 15, 60])
FACTORS = numpy.array([0.05, 0.33, 2.0, 3.0, 5.0, 10.0])


@numba.njit(cache=True)
def log_tail(x, mean, phi):
    """-log10 of the negative-binomial tail beyond x on its side of the mean, bounded from above
    by a geometric series; Poisson for phi near 1."""
    if phi < 1.01:
        log_pmf = x * math.log(mean) - mean - math.lgamma(x + 1)
        q = mean / (x + 1) if x > mean else x / mean
    else:
        r = mean / (phi - 1)
        log_pmf = (math.lgamma(x + r) - math.lgamma(r) - math.lgamma(x + 1)
                   - r * math.log(phi) + x * math.log((phi - 1) / phi))
        if x > mean:
            q = (x + r) / (x + 1) * (phi - 1) / phi
            if r < 1:
                q = max(q, (phi - 1) / phi)
        else:
            below = (x + r - 1) * (phi - 1) / phi
            q = x / below if x > 0 and below > 0 else 0.0
    if not 0 <= q < 0.9999:
        return 0.0
    return max(0.0, -(log_pmf - math.log(1 - q)) / math.log(10))


@numba.njit(cache=True)
def flat_baseline(x):
    """Mean and variance of the seven days before each minute."""
    n = len(x)
    mean, variance = numpy.empty(n), numpy.empty(n)
    total, squares = 0.0, 0.0
    for t in range(n):
        length = max(1, min(t, WEEK))
        mean[t] = total / length
        variance[t] = max(0.0, squares / length - mean[t] * mean[t])
        total += x[t]
        squares += x[t] * x[t]
        if t >= WEEK:
            total -= x[t - WEEK]
            squares -= x[t - WEEK] * x[t - WEEK]
    return mean, variance


@numba.njit(cache=True)
def seasonal_baseline(x):
    """Mean by hour of day over the seven days before, drawn to the flat mean by one day's weight;
    between the middles of two hours on a straight line."""
    n = len(x)
    hours = n // 60
    sums = numpy.zeros(hours)
    for t in range(hours * 60):
        sums[t // 60] += x[t]
    mean = numpy.empty(n)
    flat = 0.0
    level = numpy.empty(hours + 1)
    for h in range(hours):
        if h > 0:
            first = max(0, h - 168)
            flat = sums[first:h].sum() / (60.0 * (h - first))
        for offset in range(-1, 2):
            total, days = 0.0, 0
            for d in range(1, 8):
                past = h + offset - 24 * d
                if 0 <= past < h:
                    total += sums[past]
                    days += 1
            level_now = (total / 60 + flat) / (days + 1)
            if offset == -1:
                before = level_now
            elif offset == 0:
                middle = level_now
            else:
                after = level_now
        for m in range(60):
            place = (m + 0.5) / 60 - 0.5
            other = after if place > 0 else before
            value = (1 - abs(place)) * middle + abs(place) * other
            mean[60 * h + m] = max(value, SILENT)
    return mean


@numba.njit(cache=True)
def dispersions(x, mean):
    """Variance over mean at each of SCALES as it stood before each minute (half-life two days)."""
    n = len(x)
    phi = numpy.ones((len(SCALES), n))
    for i in range(len(SCALES)):
        w = SCALES[i]
        keep = 2.0 ** (-w / 2880.0)
        top, bottom, sum_x, sum_mean, now = 15.0, 5.0, 0.0, 0.0, 3.0
        for t in range(n):
            phi[i, t] = now
            sum_x += x[t]
            sum_mean += mean[t]
            if (t + 1) % w == 0:
                top = keep * top + (sum_x - sum_mean) ** 2
                bottom = keep * bottom + sum_mean
                now = max(1.0, (top + 15.0) / (bottom + 5.0))
                sum_x, sum_mean = 0.0, 0.0
    return phi


@numba.njit(cache=True)
def phi_of_length(phi, length, t):
    """Dispersion of a window of this length, between the scales on the logarithm."""
    for i in range(len(SCALES) - 1):
        if length <= SCALES[i + 1]:
            part = math.log(length / SCALES[i]) / math.log(SCALES[i + 1] / SCALES[i])
            return phi[i, t] * (1 - part) + phi[i + 1, t] * part
    return phi[len(SCALES) - 1, t]


@numba.njit(cache=True)
def ratio_week(x):
    mean, _ = flat_baseline(x)
    score = numpy.zeros(len(x))
    window = 0.0
    for t in range(len(x)):
        window += x[t]
        if t >= 5:
            window -= x[t - 5]
        expected = 5 * mean[max(0, t - 4)]
        score[t] = abs(math.log((window + 0.5) / (expected + 0.5)))
    return score


@numba.njit(cache=True)
def three_sigma(x):
    mean, variance = flat_baseline(x)
    return numpy.abs(x - mean) / numpy.sqrt(numpy.maximum(variance, 1.0 / WEEK))


@numba.njit(cache=True)
def ewma(x):
    """Exponential mean and variance, half-life twelve hours."""
    share = 1 - 2.0 ** (-1 / 720.0)
    mean, variance = 0.0, 0.0
    score = numpy.zeros(len(x))
    for t in range(len(x)):
        off = x[t] - mean
        score[t] = abs(off) / math.sqrt(max(variance, 1.0 / WEEK))
        mean += share * off
        variance = (1 - share) * (variance + share * off * off)
    return score


@numba.njit(cache=True)
def poisson_tail(x):
    mean, _ = flat_baseline(x)
    score = numpy.zeros(len(x))
    for t in range(len(x)):
        score[t] = log_tail(float(x[t]), max(mean[t], SILENT), 1.0)
    return score


@numba.njit(cache=True)
def nb_flat(x):
    mean, variance = flat_baseline(x)
    score = numpy.zeros(len(x))
    for t in range(len(x)):
        m = max(mean[t], SILENT)
        score[t] = log_tail(float(x[t]), m, max(1.0, variance[t] / m))
    return score


@numba.njit(cache=True)
def nb_windows(x, lengths):
    mean = seasonal_baseline(x)
    phi = dispersions(x, mean)
    score = numpy.zeros(len(x))
    sum_x = numpy.concatenate((numpy.zeros(1), numpy.cumsum(x.astype(numpy.float64))))
    sum_mean = numpy.concatenate((numpy.zeros(1), numpy.cumsum(mean)))
    for t in range(len(x)):
        for w in lengths:
            if w > t + 1:
                continue
            observed = sum_x[t + 1] - sum_x[t + 1 - w]
            expected = sum_mean[t + 1] - sum_mean[t + 1 - w]
            tail = log_tail(observed, expected, phi_of_length(phi, w, t))
            score[t] = max(score[t], tail)
    return score


@numba.njit(cache=True)
def nb_seasonal(x):
    return nb_windows(x, numpy.array([1]))


@numba.njit(cache=True)
def nb_seasonal_windows(x):
    return nb_windows(x, numpy.array([1, 5, 10, 60]))


@numba.njit(cache=True)
def focus(x, by_length):
    """FOCuS for Poisson counts (Ward, Dilillo, Eagling-Vose, Fearnhead): the largest
    log-likelihood ratio over all windows that end now, up or down, found among the vertices of
    the convex hull of the cumulative (expected, observed); over its dispersion if asked."""
    mean = seasonal_baseline(x)
    phi = dispersions(x, mean)
    score = numpy.zeros(len(x))
    for sign in (1.0, -1.0):
        starts = numpy.empty(len(x) + 1, numpy.int64)
        vertex_m, vertex_x = numpy.empty(len(x) + 1), numpy.empty(len(x) + 1)
        count, sum_m, sum_x = 0, 0.0, 0.0
        for t in range(len(x)):
            # The window that starts here; vertices that it puts inside the hull can never win.
            while count > 0:
                m, y = vertex_m[count - 1], vertex_x[count - 1]
                if count == 1:
                    # Against no change at all, of slope one.
                    if sign * ((sum_x - y) - (sum_m - m)) > 0:
                        break
                else:
                    left = (y - vertex_x[count - 2]) * (sum_m - m)
                    if sign * ((sum_x - y) * (m - vertex_m[count - 2]) - left) > 0:
                        break
                count -= 1
            starts[count], vertex_m[count], vertex_x[count] = t, sum_m, sum_x
            count += 1
            sum_m += mean[t]
            sum_x += x[t]
            for i in range(count):
                observed, expected = sum_x - vertex_x[i], sum_m - vertex_m[i]
                if sign * (observed - expected) <= 0:
                    continue
                ratio = expected - observed
                if observed > 0:
                    ratio += observed * math.log(observed / expected)
                if by_length:
                    ratio /= phi_of_length(phi, t + 1 - starts[i], t)
                score[t] = max(score[t], ratio)
    return score


@numba.njit(cache=True)
def poisson_focus(x):
    return focus(x, False)


@numba.njit(cache=True)
def quasi_focus(x):
    return focus(x, True)


@numba.njit(cache=True)
def quasi_scan(x):
    """As quasi_focus, but over windows of at most four hours: it forgets where FOCuS does not."""
    mean = seasonal_baseline(x)
    phi = dispersions(x, mean)
    score = numpy.zeros(len(x))
    sum_x = numpy.concatenate((numpy.zeros(1), numpy.cumsum(x.astype(numpy.float64))))
    sum_mean = numpy.concatenate((numpy.zeros(1), numpy.cumsum(mean)))
    for t in range(len(x)):
        for w in LENGTHS:
            if w > t + 1:
                break
            observed = sum_x[t + 1] - sum_x[t + 1 - w]
            expected = sum_mean[t + 1] - sum_mean[t + 1 - w]
            ratio = expected - observed
            if observed > 0:
                ratio += observed * math.log(observed / expected)
            score[t] = max(score[t], ratio / phi_of_length(phi, w, t))
    return score


@numba.njit(cache=True)
def e_detector(x):
    """Shiryaev-Roberts e-detector (Shin, Ramdas, Rinaldo): mean over six factors of the sum of
    likelihood ratios over all starts, negative-binomial with the series' shape."""
    mean = seasonal_baseline(x)
    phi = dispersions(x, mean)
    score = numpy.zeros(len(x))
    logs = numpy.full(len(FACTORS), -50.0)
    for t in range(len(x)):
        r = mean[t] / max(phi[0, t] - 1, 0.01)
        best = -1e300
        for i in range(len(FACTORS)):
            f = FACTORS[i]
            step = x[t] * math.log(f) + (x[t] + r) * math.log((r + mean[t]) / (r + f * mean[t]))
            # log(1 + R) for R given by its logarithm.
            high = max(0.0, logs[i])
            grown = high + math.log1p(math.exp(min(0.0, logs[i]) - high)) if high == 0.0 \
                else logs[i] + math.log1p(math.exp(-logs[i]))
            logs[i] = max(-50.0, grown + step)
            best = max(best, logs[i])
        total = 0.0
        for i in range(len(FACTORS)):
            total += math.exp(max(logs[i] - best, -700.0))
        score[t] = max(0.0, (best + math.log(total / len(FACTORS))) / math.log(10))
    return score


@numba.njit(cache=True)
def esd(x):
    """Seasonal hybrid ESD (Vallis, Hochenbaum, Kejariwal) online: distance to the median by hour
    of day over seven days, in median absolute deviations, refreshed once a day."""
    n = len(x)
    score = numpy.zeros(n)
    middle = numpy.zeros(24)
    scale = 1.0
    for day in range(n // DAY):
        if day > 0:
            first = max(0, day - 7)
            past = x[first * DAY:day * DAY].astype(numpy.float64)
            days = day - first
            off = numpy.empty(len(past))
            for hour in range(24):
                values = numpy.empty(days * 60)
                for d in range(days):
                    at = d * DAY + hour * 60
                    values[d * 60:(d + 1) * 60] = past[at:at + 60]
                middle[hour] = numpy.median(values)
                for d in range(days):
                    at = d * DAY + hour * 60
                    off[at:at + 60] = numpy.abs(past[at:at + 60] - middle[hour])
            scale = max(1.4826 * numpy.median(off), 0.01)
        for m in range(DAY):
            t = day * DAY + m
            score[t] = abs(x[t] - middle[m // 60]) / scale
    return score


DETECTORS = {
    "7-day mean ratio, 5 min": ratio_week,
    "7-day mean, k sigma": three_sigma,
    "EWMA z, 12 h": ewma,
    "Poisson tail, 7-day mean": poisson_tail,
    "NB tail, 7-day mean and variance": nb_flat,
    "NB tail, seasonal, 1 min": nb_seasonal,
    "NB tail, seasonal, 4 windows": nb_seasonal_windows,
    "Poisson-FOCuS, seasonal": poisson_focus,
    "quasi-Poisson FOCuS by length": quasi_focus,
    "SR e-detector, 6-factor NB": e_detector,
    "S-H-ESD, online": esd,
}
# Stronger than what the bars are set against (reference detection, section 4): shown beside it.
BESIDE = {"beside: quasi-Poisson scan to 4 h": quasi_scan}


def scores(detector, matrix, first_minute):
    """Scores of all series from `first_minute` on, as float32."""
    found = numpy.empty((len(matrix), matrix.shape[1] - first_minute), numpy.float32)
    for row, x in enumerate(matrix):
        found[row] = detector(x)[first_minute:]
    return found


@numba.njit(cache=True)
def false_alarms(scored, threshold, neutral, gap):
    """Alarms that begin outside neutral hours; minutes above at most `gap` apart are one."""
    count = 0
    for row in range(scored.shape[0]):
        last = -gap - 1
        for t in range(scored.shape[1]):
            if scored[row, t] >= threshold:
                if t - last > gap and not neutral[row, t // 60]:
                    count += 1
                last = t
    return count


def threshold_for(scored_fleets, neutral_fleets, false_max, gap_minutes):
    """The lowest threshold with at most `false_max` false alarms over all fleets, by bisection
    between the values that scores take."""
    kept = min(2_000_000, min(scored.size for scored in scored_fleets))
    values = numpy.unique(numpy.concatenate([
        numpy.partition(scored.ravel(), -kept)[-kept:] for scored in scored_fleets]))
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        count = sum(false_alarms(scored, values[middle], neutral, gap_minutes)
                    for scored, neutral in zip(scored_fleets, neutral_fleets))
        if count > false_max:
            low = middle + 1
        else:
            high = middle
    return values[low]
