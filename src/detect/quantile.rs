//! The range in which nine of ten counts are expected, for what people read.
//!
//! Exact sums where they are short; beyond, the Cornish-Fisher expansion where the distribution
//! is nearly normal, and the gamma distribution of equal mean and variance where it is not. No
//! decision depends on it.

use libm::{exp, lgamma, log};

use super::tail::{POISSON_PHI, ln_pmf};

const LOW: f64 = 0.05;
const HIGH: f64 = 0.95;
/// The 95 % quantile of the normal distribution; that of 5 % is its negative.
const NORMAL: f64 = 1.644_853_626_951_472_2;
/// Longest exact sum.
const SUM_MAX: f64 = 4096.0;
/// Shape from which a gamma distribution is nearly normal.
const NORMAL_SHAPE_MIN: f64 = 25.0;

/// 5 % and 95 % quantiles of a count with this mean and variance `phi` times the mean: the least
/// counts with at least that much probability up to them.
pub fn quantiles(mean: f64, phi: f64) -> (f64, f64) {
    let phi = if phi < POISSON_PHI { 1.0 } else { phi };
    let deviation = (mean * phi).sqrt();
    let first = exp(ln_pmf(0.0, mean, phi));
    // No more than 5 % lie 4.4 deviations above the mean (Cantelli).
    if mean + 4.5 * deviation < SUM_MAX && first > f64::MIN_POSITIVE {
        return by_sum(first, mean, phi);
    }
    let shape = mean / phi;
    if shape >= NORMAL_SHAPE_MIN {
        let (low, high) = (
            cornish_fisher(-NORMAL, mean, phi),
            cornish_fisher(NORMAL, mean, phi),
        );
        return (low.round().max(0.0), high.round());
    }
    let quantile = |probability: f64| (phi * gamma_quantile(shape, probability)).round();
    (quantile(LOW), quantile(HIGH))
}

fn by_sum(first: f64, mean: f64, phi: f64) -> (f64, f64) {
    let mut low = None;
    let mut sum = first;
    let mut term = first;
    let mut count = 0.0;
    while sum < HIGH && count < SUM_MAX {
        if low.is_none() && sum >= LOW {
            low = Some(count);
        }
        // pmf(k + 1) / pmf(k); with r = mean / (phi - 1) the limit phi = 1 needs no case.
        term *= (mean + count * (phi - 1.0)) / (phi * (count + 1.0));
        sum += term;
        count += 1.0;
    }
    (low.unwrap_or(count), count)
}

/// Quantile at `z` normal deviations, from mean, variance, skewness and kurtosis (Cornish and
/// Fisher 1938).
fn cornish_fisher(z: f64, mean: f64, phi: f64) -> f64 {
    let variance = mean * phi;
    let skewness = (2.0 * phi - 1.0) / variance.sqrt();
    let kurtosis = (6.0 * (phi - 1.0) * phi + 1.0) / variance;
    let shifted = z + (z * z - 1.0) * skewness / 6.0 + (z * z * z - 3.0 * z) * kurtosis / 24.0
        - (2.0 * z * z * z - 5.0 * z) * skewness * skewness / 36.0;
    mean + shifted * variance.sqrt()
}

/// Quantile of the gamma distribution with scale 1, by bisection.
fn gamma_quantile(shape: f64, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, shape + 4.5 * shape.sqrt() + 4.5);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if gamma_below(shape, middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Regularised lower incomplete gamma function P(a, x): the series below, Lentz' continued
/// fraction above (Numerical Recipes, section 6.2).
fn gamma_below(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let scale = exp(a * log(x) - x - lgamma(a));
    if x < a + 1.0 {
        let mut term = 1.0 / a;
        let mut sum = term;
        let mut n = a;
        while term > sum * 1e-12 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return sum * scale;
    }
    let mut b = x + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for i in 1..1000 {
        let i = f64::from(i);
        b += 2.0;
        d = 1.0 / (b - i * (i - a) * d);
        c = b - i * (i - a) / c;
        fraction *= c * d;
        if (c * d - 1.0).abs() < 1e-12 {
            break;
        }
    }
    1.0 - scale * fraction
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{DiscreteCDF, NegativeBinomial, Poisson};

    use super::*;

    /// statrs gives the probability up to the quantile and up to its neighbour.
    #[test]
    fn quantiles_enclose_their_probability() {
        for mean in [2e-5, 0.01, 0.4, 3.0, 20.0, 300.0, 1500.0, 9e3, 2e5] {
            for phi in [1.0, 1.5, 3.0, 12.0, 90.0, 700.0] {
                let (low, high) = quantiles(mean, phi);
                let up_to = |x: f64| {
                    if x < 0.0 {
                        0.0
                    } else if phi == 1.0 {
                        Poisson::new(mean).unwrap().cdf(x as u64)
                    } else {
                        let r = mean / (phi - 1.0);
                        NegativeBinomial::new(r, 1.0 / phi).unwrap().cdf(x as u64)
                    }
                };
                // Beyond the exact sums a count or two per mille of a deviation may be missing.
                let slack = if mean + 4.5 * (mean * phi).sqrt() < SUM_MAX {
                    0.0
                } else {
                    0.004
                };
                for (x, probability) in [(low, LOW), (high, HIGH)] {
                    let told = format!("mean {mean} phi {phi}: {x} for {probability}");
                    assert!(
                        up_to(x) >= probability - slack - 1e-9,
                        "{told}: {}",
                        up_to(x)
                    );
                    assert!(up_to(x - 1.0) < probability + slack + 1e-9, "{told}");
                }
            }
        }
    }
}
