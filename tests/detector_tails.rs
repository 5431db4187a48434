//! Tail bounds against second opinions: statrs where it can follow, and exact values from
//! `tests/oracles/tails.py`, whose CSV the environment variable `INSIGHTD_TAILS` names.

use insightd::detect::ln_tails;
use statrs::distribution::{DiscreteCDF, NegativeBinomial, Poisson};

const LN_10: f64 = std::f64::consts::LN_10;

/// How far a bound may lie above the truth, in decades. Measured on the grid: 0.06 beyond three
/// decades as the reference says (detection, 6.11 row 14), but 0.15 for drops of a gamma shape
/// under 10; up to 1.75 for shapes under 1; and anything within a decade of certainty.
fn slack_max(is_upper: bool, mean: f64, phi: f64, decades: f64) -> f64 {
    let shape = if phi < 1.01 {
        f64::INFINITY
    } else {
        mean / (phi - 1.0)
    };
    if decades <= 1.0 {
        1.0
    } else if shape < 1.0 {
        1.75
    } else if decades <= 3.0 {
        0.5
    } else if is_upper || shape >= 10.0 {
        0.06
    } else {
        0.15
    }
}

/// A bound is not below the truth and not far above it; 0, which says nothing, is such a bound.
fn check(x: f64, mean: f64, phi: f64, exact: f64, precision: f64) {
    let is_upper = x > mean;
    let (upper, lower) = ln_tails(x, mean, phi);
    let bound = if is_upper { upper } else { lower };
    let told = format!("x {x} mean {mean} phi {phi}: bound {bound}, exact {exact}");
    assert!(bound >= exact - precision * exact.abs(), "{told}");
    let slack = (bound - exact) / LN_10;
    assert!(
        slack <= slack_max(is_upper, mean, phi, -exact / LN_10) + precision,
        "{told}"
    );
    assert_eq!(
        if is_upper { lower } else { upper },
        0.0,
        "{told}: no tail on the other side"
    );
}

#[test]
fn bounds_agree_with_statrs_where_it_does_not_underflow() {
    for mean in [0.01, 0.4, 3.3, 20.0, 100.0] {
        for phi in [1.0, 1.5, 3.0, 12.0] {
            for x in [0u64, 1, 2, 3, 5, 12, 36, 60, 100, 150] {
                let (cdf, sf): (f64, f64) = if phi == 1.0 {
                    let poisson = Poisson::new(mean).unwrap();
                    (poisson.cdf(x), if x > 0 { poisson.sf(x - 1) } else { 1.0 })
                } else {
                    let nb = NegativeBinomial::new(mean / (phi - 1.0), 1.0 / phi).unwrap();
                    (nb.cdf(x), if x > 0 { nb.sf(x - 1) } else { 1.0 })
                };
                let tail = if x as f64 > mean { sf } else { cdf };
                if tail > 1e-200 {
                    check(x as f64, mean, phi, tail.ln(), 1e-6);
                }
            }
        }
    }
}

#[test]
fn bounds_agree_with_exact_values_down_to_the_thousandth_decade() {
    let Some(path) = std::env::var_os("INSIGHTD_TAILS") else {
        eprintln!("SKIPPED: INSIGHTD_TAILS names no CSV of tests/oracles/tails.py");
        return;
    };
    let text = std::fs::read_to_string(&path).expect("the CSV that INSIGHTD_TAILS names");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("x,mean,phi,ln_upper,ln_lower"));
    let mut deepest: f64 = 0.0;
    let mut rows = 0;
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let [x, mean, phi, upper, lower] = fields[..] else {
            panic!("five columns: {line}")
        };
        let number = |text: &str| text.parse::<f64>().expect("a number");
        let exact = number(if upper.is_empty() { lower } else { upper });
        assert_eq!(lower.is_empty(), number(x) > number(mean), "{line}");
        check(number(x), number(mean), number(phi), exact, 1e-9);
        deepest = deepest.min(exact);
        rows += 1;
    }
    println!("{rows} rows, deepest 1e{:.0}", deepest / LN_10);
    assert!(deepest < -3000.0 * LN_10, "the grid reaches 1e-3000");
}
