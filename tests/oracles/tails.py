"""Exact log tails of the negative binomial and Poisson distributions, as CSV on stdout.

mpmath sums each tail term by term at 40 digits, so probabilities of 1e-3000 and below are as good
as any; scipy, which underflows there, must agree with it wherever it has an answer. The CSV's
columns are x,mean,phi,ln_upper,ln_lower: a count, the mean, variance over mean (1 for Poisson),
ln P(X >= x) if x is above the mean and ln P(X <= x) if it is below. Needs mpmath and scipy; takes
about half a minute.
"""

import sys

import mpmath
from scipy.stats import nbinom, poisson

mpmath.mp.dps = 40
MEANS = ["2e-5", "1e-3", "0.05", "0.4", "1", "3.3", "20", "100", "1200", "9000"]
PHIS = ["1", "1.02", "1.5", "2", "3", "5", "12", "60", "300"]
FACTORS = [0, 0.01, 0.1, 0.3, 0.5, 0.8, 0.95, 1.05, 1.3, 2, 3, 5, 10, 40, 300]


def ln_pmf(x, mean, phi):
    x, mean, phi = mpmath.mpf(x), mpmath.mpf(mean), mpmath.mpf(phi)
    if phi == 1:
        return x * mpmath.log(mean) - mean - mpmath.loggamma(x + 1)
    r, q = mean / (phi - 1), (phi - 1) / phi
    ways = mpmath.loggamma(x + r) - mpmath.loggamma(r) - mpmath.loggamma(x + 1)
    return ways - r * mpmath.log(phi) + x * mpmath.log(q)


def step(k, mean, phi):
    """pmf(k + 1) / pmf(k)."""
    return (mean + k * (phi - 1)) / (phi * (k + 1))


def ln_tail(x, mean, phi, upwards):
    mean, phi = mpmath.mpf(mean), mpmath.mpf(phi)
    total = term = mpmath.mpf(1)
    k = x
    while term > total * mpmath.mpf(10) ** -30 and (upwards or k > 0):
        if upwards:
            term *= step(k, mean, phi)
            k += 1
        else:
            k -= 1
            term /= step(k, mean, phi)
        total += term
    return ln_pmf(x, mean, phi) + mpmath.log(total)


def counts(mean):
    found = {round(mean * factor) for factor in FACTORS}
    found |= {0, 1, 2, 3, 5, 12, 36, 100, 1000}
    return sorted(x for x in found if x <= max(1000, 300 * mean) and x <= 200_000)


def agrees_with_scipy(x, mean, phi, exact, upwards):
    mean, phi = float(mean), float(phi)
    family = poisson(mean) if phi == 1 else nbinom(mean / (phi - 1), 1 / phi)
    log = family.logsf(x - 1) if upwards else family.logcdf(x)
    if log > -500 and abs(float(exact) - log) > 1e-6 * max(1e-3, abs(log)):
        print(f"scipy disagrees at {x},{mean},{phi}: {log} for {exact}", file=sys.stderr)
        return False
    return True


def main():
    disagreements = 0
    deepest = 0
    print("x,mean,phi,ln_upper,ln_lower")
    for mean in MEANS:
        for phi in PHIS:
            for x in counts(float(mean)):
                if x == float(mean):
                    continue
                upwards = x > float(mean)
                exact = ln_tail(x, mean, phi, upwards)
                disagreements += not agrees_with_scipy(x, mean, phi, exact, upwards)
                deepest = min(deepest, exact)
                text = mpmath.nstr(exact, 20)
                print(f"{x},{mean},{phi}," + (f"{text}," if upwards else f",{text}"))
    print(f"deepest 1e{float(deepest) / 2.302585:.0f}", file=sys.stderr)
    if disagreements:
        sys.exit(f"{disagreements} disagreements between mpmath and scipy")


main()
