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
    let coefficient = if x == 0.0 {
        0.0
    } else {
        lgamma(x + r) - lgamma(r) - lgamma(x + 1.0)
    };
    coefficient - r * log(phi) + x * log((phi - 1.0) / phi)
}
