//! How far a few counted events can be trusted, for what people read.

use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF, DiscreteCDF};

/// The 90 % interval of the mean of a Poisson count (Garwood, Biometrika 28:437, 1936).
pub fn poisson_90(count: u64) -> (f64, f64) {
    let quantile = |probability: f64, half: f64| {
        let distribution = ChiSquared::new(2.0 * half);
        let distribution = distribution.expect("degrees of freedom are positive");
        distribution.inverse_cdf(probability) / 2.0
    };
    let low = match count {
        0 => 0.0,
        count => quantile(0.05, count as f64),
    };
    (low, quantile(0.95, count as f64 + 1.0))
}

/// The chance of at least `more` of `more + less` fair coins on one side: whether a setting that
/// found `more` incidents that another missed, and missed `less` that it found, is better by luck.
pub fn sign_test(more: u64, less: u64) -> f64 {
    if more == 0 {
        return 1.0;
    }
    let coins = Binomial::new(0.5, more + less).expect("a half is a probability");
    coins.sf(more - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the tables in Garwood's paper and of R's `poisson.test(n, conf.level = 0.9)`.
    #[test]
    fn intervals_are_those_of_the_tables() {
        for (count, low, high) in [
            (0, 0.0, 2.9957),
            (1, 0.0513, 4.7439),
            (10, 5.4254, 16.9622),
            (100, 84.1390, 118.0792),
        ] {
            let (found_low, found_high) = poisson_90(count);
            assert!((found_low - low).abs() < 1e-3, "{count}: {found_low}");
            assert!((found_high - high).abs() < 1e-3, "{count}: {found_high}");
        }
    }

    /// R's `binom.test(8, 10, alternative = "greater")`: 0.0547; ten of ten: 2^-10.
    #[test]
    fn coins_are_fair() {
        assert!((sign_test(8, 2) - 0.0547).abs() < 1e-4);
        assert!((sign_test(10, 0) - 0.000_976_6).abs() < 1e-6);
        assert_eq!(sign_test(0, 3), 1.0);
    }
}
