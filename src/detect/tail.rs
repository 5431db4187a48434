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
