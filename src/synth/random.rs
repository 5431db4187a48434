//! Seeded random numbers that stay the same for ever.
//!
//! xoshiro256++ (Blackman and Vigna, 2019) seeded by SplitMix64, with the few distributions that
//! traffic needs on top of `libm`'s pure-Rust functions. Written here, not imported: committed
//! seeds and results must survive every update of a dependency and every platform. Not for
//! secrets.

/// A stream of random numbers; equal seeds give equal streams.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

/// Means from which the transformed rejection is valid and faster than inversion.
const POISSON_INVERSION_MEAN_MAX: f64 = 12.0;

/// One SplitMix64 step: a bijection that spreads every input bit over all output bits.
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// The stream that belongs to `keys` under `seed`; different keys give unrelated streams.
    pub fn keyed(seed: u64, keys: &[u64]) -> Self {
        let mut hash = mix(seed);
        for key in keys {
            hash = mix(hash ^ mix(*key));
        }
        let mut state = [0; 4];
        for word in &mut state {
            hash = mix(hash);
            *word = hash;
        }
        Random { state }
    }

    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Ten to a uniform exponent in `[low, high)`: every decade is as likely.
    pub fn decades(&mut self, low: f64, high: f64) -> f64 {
        libm::pow(10.0, self.between(low, high))
    }

    /// Uniform in `0 .. bound`; the bias of at most bound / 2^32 is accepted.
    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// Uniform in `low ..= high`.
    pub fn within(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u32) as usize]
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// Standard normal (Marsaglia's polar method, the second value is not kept).
    pub fn normal(&mut self) -> f64 {
        loop {
            let u = 2.0 * self.unit() - 1.0;
            let v = 2.0 * self.unit() - 1.0;
            let square = u * u + v * v;
            if square < 1.0 && square > 0.0 {
                return u * (-2.0 * libm::log(square) / square).sqrt();
            }
        }
    }

    /// Log-normal: exp of a normal with this mean and deviation.
    pub fn log_normal(&mut self, mean: f64, deviation: f64) -> f64 {
        libm::exp(mean + deviation * self.normal())
    }

    /// Gamma with this shape and mean 1 (Marsaglia and Tsang, 2000).
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = libm::pow(1.0 - self.unit(), 1.0 / shape);
            return self.gamma(shape + 1.0) * (shape + 1.0) / shape * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = 1.0 + c * x;
            if v <= 0.0 {
                continue;
            }
            let v = v * v * v;
            let u = 1.0 - self.unit();
            if libm::log(u) < 0.5 * x * x + d - d * v + d * libm::log(v) {
                return d * v / shape;
            }
        }
    }

    /// Poisson counts with this mean.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        if mean <= 0.0 {
            return 0;
        }
        if mean < POISSON_INVERSION_MEAN_MAX {
            return self.poisson_by_inversion(mean);
        }
        self.poisson_by_rejection(mean)
    }

    fn poisson_by_inversion(&mut self, mean: f64) -> u32 {
        let mut rest = self.unit();
        // A uniform below 1 - mean is below exp(-mean): silent minutes cost no exponential.
        if rest < 1.0 - mean {
            return 0;
        }
        let mut probability = libm::exp(-mean);
        let mut count = 0u32;
        while rest >= probability && count < 200 {
            rest -= probability;
            count += 1;
            probability *= mean / f64::from(count);
        }
        count
    }

    /// PTRS (Hoermann, 1993), valid from a mean of 10.
    fn poisson_by_rejection(&mut self, mean: f64) -> u32 {
        let log_mean = libm::log(mean);
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let v_r = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.unit() - 0.5;
            let v = 1.0 - self.unit();
            let us = 0.5 - u.abs();
            let k = libm::floor((2.0 * a / us + b) * u + mean + 0.43);
            if us >= 0.07 && v <= v_r {
                return k as u32;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let left = libm::log(v) + libm::log(inverse_alpha) - libm::log(a / (us * us) + b);
            if left <= k * log_mean - mean - libm::lgamma(k + 1.0) {
                return k as u32;
            }
        }
    }

    /// How many of `trials` succeed, each with this probability.
    pub fn binomial(&mut self, trials: u32, probability: f64) -> u32 {
        if probability <= 0.0 {
            return 0;
        }
        if probability >= 1.0 {
            return trials;
        }
        (0..trials).filter(|_| self.chance(probability)).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published test vector of xoshiro256++: state 1, 2, 3, 4.
    #[test]
    fn the_generator_is_xoshiro256_plus_plus() {
        let mut random = Random {
            state: [1, 2, 3, 4],
        };
        let first: Vec<u64> = (0..4).map(|_| random.bits()).collect();
        assert_eq!(
            first,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386
            ]
        );
        assert_eq!(
            mix(0),
            0xe220_a839_7b1d_cdaf,
            "SplitMix64's first output for seed 0"
        );
    }

    /// Mean and variance against the textbook values, five standard errors wide.
    #[test]
    fn distributions_have_their_moments() {
        let check = |name: &str, mean: f64, variance: f64, draw: &mut dyn FnMut() -> f64| {
            let n = 40_000;
            let values: Vec<f64> = (0..n).map(|_| draw()).collect();
            let average = values.iter().sum::<f64>() / f64::from(n);
            let spread = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / f64::from(n);
            let error = 5.0 * (variance / f64::from(n)).sqrt();
            assert!(
                (average - mean).abs() < error,
                "{name}: mean {average} not {mean}"
            );
            assert!(
                (spread / variance - 1.0).abs() < 0.15,
                "{name}: variance {spread}"
            );
        };
        let mut random = Random::keyed(1, &[2]);
        check("unit", 0.5, 1.0 / 12.0, &mut || random.unit());
        check("normal", 0.0, 1.0, &mut || random.normal());
        check("exponential", 3.0, 9.0, &mut || random.exponential(3.0));
        for shape in [0.3, 1.0, 7.5] {
            check("gamma", 1.0, 1.0 / shape, &mut || random.gamma(shape));
        }
        for mean in [0.05, 0.9, 5.0, 11.9, 12.1, 300.0, 20_000.0] {
            check("poisson", mean, mean, &mut || {
                f64::from(random.poisson(mean))
            });
        }
        check("binomial", 30.0, 21.0, &mut || {
            f64::from(random.binomial(100, 0.3))
        });
        check("below", 4.5, 8.25, &mut || f64::from(random.below(10)));
    }

    #[test]
    fn keys_give_unrelated_streams() {
        let first = |keys: &[u64]| Random::keyed(9, keys).bits();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        assert!(first(&[1, 2]) != first(&[2, 1]) && first(&[0]) != first(&[0, 0]));
    }
}
