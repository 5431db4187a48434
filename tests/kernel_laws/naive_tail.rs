//! The closed-form tail bound once more, with another crate's log-gamma and the platform's
//! logarithms.

use statrs::function::gamma::ln_gamma;

/// Decades of the closed-form bound.
pub fn tail(up: bool, x: f64, mean: f64, phi: f64) -> f64 {
    if up && x <= mean || !up && x >= mean {
        return 0.0;
    }
    let poisson = phi < 1.01;
    let r = mean / (phi - 1.0);
    let p = (phi - 1.0) / phi;
    let q = match (up, poisson) {
        (true, true) => mean / (x + 1.0),
        (true, false) if r < 1.0 => ((x + r) / (x + 1.0) * p).max(p),
        (true, false) => (x + r) / (x + 1.0) * p,
        (false, _) if x == 0.0 => 0.0,
        (false, true) => x / mean,
        (false, false) => x / ((x + r - 1.0) * p),
    };
    if !(0.0..0.9999).contains(&q) {
        return 0.0;
    }
    let ln_pmf = if poisson {
        x * mean.ln() - mean - ln_gamma(x + 1.0)
    } else {
        let ways = ln_gamma(x + r) - ln_gamma(r) - ln_gamma(x + 1.0);
        ways - r * phi.ln() + x * p.ln()
    };
    (-(ln_pmf - (1.0 - q).ln()) / 10f64.ln()).max(0.0)
}
