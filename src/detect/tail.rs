//! Tails of the negative binomial and Poisson distributions, as logarithms (6.4).
//!
//! Closed-form bounds that are never below the true probability and never underflow, at the
//! price of three log-gammas. A count has mean `mean` and variance `phi * mean`; below a `phi` of
//! 1.01 it counts as Poisson. Counts may be fractions, where a window holds expectations in place
//! of counts.

use libm::{lgamma, log};

/// Dispersion below which a count is taken as Poisson.
pub const POISSON_PHI: f64 = 1.01;
/// Ratio of neighbouring terms from which the geometric bound says nothing.
const RATIO_MAX: f64 = 0.9999;

/// Largest count and shape for which a product stands in for log-gammas. Its first factor may be
/// as small as r, all others lie between 0.0099 / 2 and 1e8: sixteen of them neither underflow nor
/// overflow.
const FACTORS_MAX: f64 = 16.0;
const SHAPE_MAX: f64 = 1e8;

/// Upper bound of ln P(X >= x); 0 unless x is above the mean.
pub fn ln_upper(x: f64, mean: f64, phi: f64) -> f64 {
    if x <= mean {
        return 0.0;
    }
    let ratio = if phi < POISSON_PHI {
        mean / (x + 1.0)
    } else {
        let r = mean / (phi - 1.0);
        let limit = (phi - 1.0) / phi;
        let ratio = (x + r) / (x + 1.0) * limit;
        if r < 1.0 { ratio.max(limit) } else { ratio }
    };
    geometric_bound(x, mean, phi, ratio)
}

/// Upper bound of ln P(X <= x); 0 unless x is below the mean.
pub fn ln_lower(x: f64, mean: f64, phi: f64) -> f64 {
    if x >= mean {
        return 0.0;
    }
    let ratio = if x == 0.0 {
        0.0
    } else if phi < POISSON_PHI {
        x / mean
    } else {
        let r = mean / (phi - 1.0);
        x / ((x + r - 1.0) * (phi - 1.0) / phi)
    };
    geometric_bound(x, mean, phi, ratio)
}

/// Whether P(X >= x) is at least `chance`, told without a logarithm; false when that takes more.
/// The tail is no less than its first term, and φ^-r no less than e^-M, because ln φ <= φ - 1, nor
/// that than (1 - M/8)^8.
pub fn is_upper_at_least(chance: f64, x: f64, mean: f64, phi: f64) -> bool {
    if x > FACTORS_MAX || x != x.trunc() || mean >= 8.0 || phi < POISSON_PHI {
        return false;
    }
    let r = mean / (phi - 1.0);
    let shrunk = 1.0 - mean / 8.0;
    let eighth = (shrunk * shrunk) * (shrunk * shrunk);
    r <= SHAPE_MAX && coefficient(x as u32, r, (phi - 1.0) / phi) * (eighth * eighth) >= chance
}

/// The tail as a geometric series that starts at x and shrinks by `ratio`.
fn geometric_bound(x: f64, mean: f64, phi: f64, ratio: f64) -> f64 {
    if !(0.0..RATIO_MAX).contains(&ratio) {
        return 0.0;
    }
    (ln_pmf(x, mean, phi) - log(1.0 - ratio)).min(0.0)
}

pub fn ln_pmf(x: f64, mean: f64, phi: f64) -> f64 {
    if phi < POISSON_PHI {
        return x * log(mean) - mean - lgamma(x + 1.0);
    }
    let r = mean / (phi - 1.0);
    let p = (phi - 1.0) / phi;
    if x <= FACTORS_MAX && r <= SHAPE_MAX && x == x.trunc() {
        return log(coefficient(x as u32, r, p)) - r * log(phi);
    }
    let coefficient = lgamma(x + r) - lgamma(r) - lgamma(x + 1.0);
    coefficient - r * log(phi) + x * log(p)
}

/// Γ(x+r) p^x / (Γ(r) Γ(x+1)) as a product, for x up to [`FACTORS_MAX`] and r up to
/// [`SHAPE_MAX`]: exact to a few bits, and cheaper than log-gammas.
fn coefficient(x: u32, r: f64, p: f64) -> f64 {
    (0..x).fold(1.0, |product, i| {
        let i = f64::from(i);
        product * ((r + i) * p / (i + 1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bound and the cheap test are of one tail: where the test holds, the bound is no lower.
    #[test]
    fn a_tail_told_without_logarithms_is_as_large() {
        let mut told = 0;
        for chance in [1e-2, 1e-4, 1e-8] {
            for x in (0..=16).map(f64::from) {
                for mean in [2e-5, 0.01, 0.3, 1.0, 4.0, 7.9]
                    .into_iter()
                    .filter(|m| *m < x)
                {
                    for phi in [1.01, 1.5, 3.0, 40.0, 1e6] {
                        if is_upper_at_least(chance, x, mean, phi) {
                            told += 1;
                            let bound = ln_upper(x, mean, phi);
                            assert!(bound >= log(chance), "{x} of {mean}, {phi}: {bound}");
                        }
                    }
                }
            }
        }
        assert!(told > 200, "{told} of the cases are told");
    }
}
