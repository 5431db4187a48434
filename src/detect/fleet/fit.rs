//! From how often episodes reach a score to the score that keeps a budget (decision 0013).
//!
//! Two conditions, the stricter decides. Of chance: a straight line through the logarithm of the
//! rate where it is high, where nearly all is chance, must be at the budget. Of everything: not
//! more than [`ALL_MAX`] times the budget may be reached at all, true incidents included, by what
//! the fleet saw and an exponential tail beyond it.

use serde::{Deserialize, Serialize};

use super::{BINS, EPISODE_Z};

/// Insights in all for each false one of the budget: a tenth below the two that are promised, for
/// what a fit to a few weeks is off by, and for missed calls, which are paid for beside it.
const ALL_MAX: f64 = 1.8;
/// Decayed episodes without which an edge says nothing.
const EPISODES_MIN: f64 = 20.0;
/// First edge of the chance line: precedents leave a score of 2 (6.5), which no Start has.
const CHANCE_BIN: usize = 6;
/// The chance line ends where a third of the rate at its first edge is left.
const CHANCE_SPAN: f64 = 3.0;
/// Episodes per series-week above which hours run into each other.
const RATE_MAX: f64 = 1.0;
const EDGES_MIN: u32 = 3;
/// Measured on 1,500 series, ambient incidents removed: what holds before there is a fit.
const SHIPPED: Line = Line {
    alpha: 0.59,
    beta: 0.44,
};
/// How far below and above the nominal threshold the fit may lead. Deep down true incidents, which
/// no threshold removes, outnumber the budget; the limit above keeps them from blinding the fleet.
const BELOW_NOMINAL_MAX: f64 = 0.5;
const ABOVE_NOMINAL_MAX: f64 = 8.0;
/// False insights per series-week down to which thresholds were verified.
pub const VERIFIED_MIN: f64 = 1e-4;

/// log10 of the episodes per series-week at or above z is `alpha - beta z`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub alpha: f64,
    pub beta: f64,
}

/// What a threshold rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Basis {
    /// The curve that comes with the program.
    Shipped,
    /// All series together.
    Fleet,
    /// The series of the scope.
    Scope,
    /// Those of them that count the same kind of rate.
    Class,
}

/// The threshold in force and what it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// z* before the first week's extra decade.
    pub z: f64,
    /// log10(168 S/N), from which z may not stray far.
    pub z_nominal: f64,
    /// How often everything reaches a score about z or more.
    pub tail: Line,
    pub basis: Basis,
    /// Budget and series that the threshold was made for: those of the scope.
    pub budget_per_week: f64,
    pub live_series: u64,
}

/// Two lines of one histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    pub all: Line,
    pub chance: Line,
}

/// Decayed episodes at or above each edge, and the series-weeks they came in.
#[derive(Clone, Debug)]
pub struct Tail {
    at_least: Vec<f64>,
    exposure: f64,
}

impl Line {
    /// The score that so many per series-week reach.
    pub fn z_at(&self, rate: f64) -> f64 {
        (self.alpha - libm::log10(rate)) / self.beta
    }

    pub fn rate_at(&self, z: f64) -> f64 {
        libm::pow(10.0, self.alpha - self.beta * z)
    }

    /// Least squares of log10 of a rate on z, unweighted; `None` where it does not fall.
    pub fn through(points: &[(f64, f64)]) -> Option<Line> {
        let n = points.len() as f64;
        let mean_z = points.iter().map(|point| point.0).sum::<f64>() / n;
        let mean_y = points.iter().map(|point| point.1).sum::<f64>() / n;
        let mut szz = 0.0;
        let mut szy = 0.0;
        for (z, y) in points {
            szz += (z - mean_z) * (z - mean_z);
            szy += (z - mean_z) * (y - mean_y);
        }
        let beta = -szy / szz;
        (beta > 0.0).then_some(Line {
            alpha: mean_y + beta * mean_z,
            beta,
        })
    }
}

impl Tail {
    pub fn new(histogram: &[f64], exposure: f64) -> Self {
        let mut at_least = histogram.to_vec();
        for bin in (1..at_least.len()).rev() {
            at_least[bin - 1] += at_least[bin];
        }
        Tail { at_least, exposure }
    }

    pub fn add(&mut self, other: &Tail) {
        for (sum, more) in self.at_least.iter_mut().zip(&other.at_least) {
            *sum += more;
        }
        self.exposure += other.exposure;
    }

    /// Edges, by bin, with log10 of their rate, where that lies between two rates.
    pub fn edges(&self, from: usize, rates: (f64, f64)) -> Vec<(f64, f64)> {
        let bins = self.at_least.iter().enumerate().skip(from);
        let rated = bins.map(|(bin, count)| (edge(bin), count / self.exposure));
        rated
            .filter(|(_, rate)| (rates.0..=rates.1).contains(rate))
            .map(|(z, rate)| (z, libm::log10(rate)))
            .collect()
    }

    /// Both lines; `None` where there is too little to say.
    pub fn fit(&self, rate: f64) -> Option<Fit> {
        Some(Fit {
            all: self.all(ALL_MAX * rate)?,
            chance: self.chance()?,
        })
    }

    /// Through the highest edge that is still reached at `rate` and often enough to count on, with
    /// the mean excess over it: beyond what was seen an exponential tail.
    fn all(&self, rate: f64) -> Option<Line> {
        let is_safe = |count: &f64| *count >= EPISODES_MIN && count / self.exposure >= rate;
        let anchor = self.at_least.iter().rposition(is_safe)?;
        let count = self.at_least[anchor];
        let beyond: f64 = self.at_least[anchor + 1..].iter().sum();
        let mean_excess = (beyond / count + 0.5) / 10.0;
        let beta = 1.0 / (mean_excess * std::f64::consts::LN_10);
        Some(Line {
            alpha: libm::log10(count / self.exposure) + beta * edge(anchor),
            beta,
        })
    }

    fn chance(&self) -> Option<Line> {
        let highest = (self.at_least.get(CHANCE_BIN)? / self.exposure).min(RATE_MAX);
        let lowest = (highest / CHANCE_SPAN).max(EPISODES_MIN / self.exposure);
        let edges = self.edges(CHANCE_BIN, (lowest, highest));
        if (edges.len() as u32) < EDGES_MIN {
            return None;
        }
        Line::through(&edges)
    }
}

impl Threshold {
    /// One that no fleet led to.
    pub fn fixed(z: f64) -> Self {
        Threshold {
            z,
            z_nominal: z,
            tail: SHIPPED,
            basis: Basis::Shipped,
            budget_per_week: 0.0,
            live_series: 0,
        }
    }

    /// The threshold that keeps a budget over so many series, by a fit if there is one.
    pub fn new(fit: Option<(Fit, Basis)>, budget_per_week: f64, live_series: u64) -> Self {
        let rate = rate(budget_per_week, live_series);
        let (z, tail, basis) = match fit {
            Some((Fit { all, chance }, basis)) => {
                let z = all.z_at(ALL_MAX * rate).max(chance.z_at(rate));
                (z, all, basis)
            }
            None => (SHIPPED.z_at(rate), SHIPPED, Basis::Shipped),
        };
        let z_nominal = libm::log10(168.0 / rate);
        Threshold {
            z: z.clamp(z_nominal - BELOW_NOMINAL_MAX, z_nominal + ABOVE_NOMINAL_MAX),
            z_nominal,
            tail,
            basis,
            budget_per_week,
            live_series,
        }
    }

    /// Insights at least as strong as `z` expected a week over all series of the scope, true ones
    /// included.
    pub fn expected_per_week(&self, z: f64) -> f64 {
        self.live_series as f64 * self.tail.rate_at(z)
    }

    /// Whether the budget asks for less than thresholds were verified for.
    pub fn is_beyond_verified(&self) -> bool {
        self.live_series > 0 && rate(self.budget_per_week, self.live_series) < VERIFIED_MIN
    }

    /// Whether a threshold that was read can be one of at most `series_max` series.
    pub fn is_sound(&self, series_max: u64) -> bool {
        let numbers = [self.z, self.z_nominal];
        numbers.iter().all(|z| z.abs() <= 1e3)
            && self.tail.alpha.abs() <= 1e4
            && (0.0..=50.0).contains(&self.tail.beta)
            && (0.0..=1e9).contains(&self.budget_per_week)
            && self.live_series <= series_max
    }
}

/// False insights per series-week of a budget.
pub fn rate(budget_per_week: f64, live_series: u64) -> f64 {
    budget_per_week / live_series.max(1) as f64
}

/// Lower edge of a bin.
pub fn edge(bin: usize) -> f64 {
    debug_assert!(bin < BINS, "bin {bin} is one of a histogram");
    EPISODE_Z + bin as f64 / 10.0
}
