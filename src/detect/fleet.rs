//! From the budget to the threshold: how strong insights of this fleet are, and how often.
//!
//! Once for each closed hour a report of plain integers comes in; reports of several partitions
//! add up. A straight line through the logarithm of the episode rate says which z keeps the
//! budget (reference detection, section 6.7). It knows nothing of single series.

use std::collections::VecDeque;
use std::ops::{AddAssign, SubAssign};

use serde::{Deserialize, Serialize};

use super::invariants::require;
use super::settings::DetectSettings;

#[cfg(test)]
mod tests;

/// Bins of the largest z of an episode, 0.1 wide from 1.5 on, the last one open.
pub const BINS: usize = 85;
/// Lower edge of the first bin.
pub const EPISODE_Z: f64 = 1.5;
/// Hours from the end of the hour that a fit closes with to the hour it is in force from.
pub const FORCE_DELAY_HOURS: u32 = 3;

/// One closed hour of one partition, or the sum over partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourReport {
    /// Episodes that ended in this hour, by bin; always [`BINS`] long.
    pub episodes: Vec<u32>,
    /// Series with any count in the last seven days.
    pub live_series: u64,
}

impl Default for HourReport {
    fn default() -> Self {
        HourReport {
            episodes: vec![0; BINS],
            live_series: 0,
        }
    }
}

impl AddAssign<&HourReport> for HourReport {
    fn add_assign(&mut self, other: &HourReport) {
        for (sum, more) in self.episodes.iter_mut().zip(&other.episodes) {
            *sum += more;
        }
        self.live_series += other.live_series;
    }
}

impl SubAssign<&HourReport> for HourReport {
    /// Takes away what a part of the series reported.
    fn sub_assign(&mut self, part: &HourReport) {
        for (sum, less) in self.episodes.iter_mut().zip(&part.episodes) {
            *sum -= less;
        }
        self.live_series -= part.live_series;
    }
}

/// The threshold in force and the line it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// z* before the first week's extra decade.
    pub z: f64,
    /// log10 of the episodes per series-week at or above z is `alpha - beta z`.
    pub alpha: f64,
    pub beta: f64,
    /// Edges the line was fitted to; 0 for the shipped curve.
    pub bins_used: u32,
    /// log10(168 S/N), from which z may not stray far.
    pub z_nominal: f64,
    /// Series the threshold was made for.
    pub live_series: u64,
}

/// The fleet's memory: decayed episode counts, exposure, and the thresholds not yet in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    budget_per_week: f64,
    histogram: Vec<f64>,
    /// Series-weeks behind the histogram.
    exposure: f64,
    /// The hour that the next report is for.
    next_hour: u32,
    /// Thresholds by the hour they are in force from, oldest first.
    thresholds: VecDeque<(u32, Threshold)>,
}

/// Half is forgotten in a week.
const KEEP_PER_HOUR: f64 = 0.995_882_615_418_725_3;
/// Episodes count from this hour of the engine on: every series' first week is over.
pub const FIRST_HOUR: u32 = 168;
/// Episode rates per series-week that the line is fitted to.
const RATE_MIN: f64 = 0.03;
const RATE_MAX: f64 = 1.0;
const EDGES_MIN: u32 = 3;
const EPISODES_MIN: f64 = 50.0;
/// Measured on 1,500 series, ambient incidents removed: what holds before there is a fit.
const SHIPPED_ALPHA: f64 = 0.59;
const SHIPPED_BETA: f64 = 0.44;
/// How far below and above the nominal threshold the fit may lead.
const BELOW_NOMINAL_MAX: f64 = 0.5;
const ABOVE_NOMINAL_MAX: f64 = 6.0;

impl Threshold {
    /// Insights at least as strong as `z` expected a week over all series.
    pub fn expected_per_week(&self, z: f64) -> f64 {
        self.live_series as f64 * libm::pow(10.0, self.alpha - self.beta * z)
    }

    /// Whether a threshold that was read can be one of at most `series_max` series.
    pub fn is_sound(&self, series_max: u64) -> bool {
        let numbers = [self.z, self.z_nominal];
        numbers.iter().all(|z| z.abs() <= 1e3)
            && self.alpha.abs() <= 250.0
            && (0.0..=50.0).contains(&self.beta)
            && self.live_series <= series_max
    }
}

impl Fleet {
    pub fn new(settings: &DetectSettings) -> Self {
        Fleet {
            budget_per_week: settings.budget_per_week,
            histogram: vec![0.0; BINS],
            exposure: 0.0,
            next_hour: 0,
            thresholds: VecDeque::new(),
        }
    }

    /// Goes on with another budget.
    pub fn reconfigure(&mut self, settings: &DetectSettings) {
        self.budget_per_week = settings.budget_per_week;
    }

    /// The hour that the next report is for.
    pub fn next_hour(&self) -> u32 {
        self.next_hour
    }

    /// Takes the report of closed hour `hour`; hours come in order, each once.
    pub fn report(&mut self, hour: u32, report: &HourReport) {
        assert_eq!(
            hour, self.next_hour,
            "reports come in the order of hours, each once"
        );
        self.next_hour += 1;
        for count in &mut self.histogram {
            *count *= KEEP_PER_HOUR;
        }
        self.exposure *= KEEP_PER_HOUR;
        if hour >= FIRST_HOUR {
            for (count, new) in self.histogram.iter_mut().zip(&report.episodes) {
                *count += f64::from(*new);
            }
            self.exposure += report.live_series as f64 / 168.0;
        }
        let threshold = fit(
            &self.histogram,
            self.exposure,
            report.live_series,
            self.budget_per_week,
        );
        self.thresholds
            .push_back((hour + FORCE_DELAY_HOURS, threshold));
        while self.thresholds.len() > FORCE_DELAY_HOURS as usize + 1 {
            self.thresholds.pop_front();
        }
    }

    /// Takes empty reports up to the one before `hour`; once all is forgotten, at a stroke.
    pub fn skip_to(&mut self, hour: u32) {
        while self.next_hour < hour {
            let is_settled = |value: f64| value * KEEP_PER_HOUR == value;
            let is_empty = self
                .histogram
                .iter()
                .chain([&self.exposure])
                .all(|v| is_settled(*v));
            let oldest = self.thresholds.front().map(|(_, oldest)| *oldest);
            let is_steady = self.thresholds.len() > FORCE_DELAY_HOURS as usize
                && self
                    .thresholds
                    .iter()
                    .all(|(_, other)| Some(*other) == oldest);
            if is_empty && is_steady && self.next_hour > FIRST_HOUR {
                let step = hour - self.next_hour;
                self.thresholds
                    .iter_mut()
                    .for_each(|(from, _)| *from += step);
                self.next_hour = hour;
                return;
            }
            self.report(self.next_hour, &HourReport::default());
        }
    }

    /// Checks a fleet that was read, whose next report is that of `hour`.
    pub fn check(&self, pristine: &Fleet, hour: u32, series_max: u64) -> Result<(), String> {
        let is_set = self.budget_per_week == pristine.budget_per_week;
        require(is_set, "budget_per_week", "it is that of the settings")?;
        require(
            self.next_hour == hour,
            "next_hour",
            "it is that of the next report",
        )?;
        let is_sum = |sum: &f64| (0.0..=1e18).contains(sum);
        let are_sums = self.histogram.len() == BINS
            && self.histogram.iter().chain([&self.exposure]).all(is_sum);
        require(are_sums, "histogram", "it is of decayed counts")?;
        let hours = self.thresholds.iter().map(|(from, _)| *from);
        let latest = hour.saturating_add(FORCE_DELAY_HOURS);
        let first = latest.saturating_sub(self.thresholds.len() as u32);
        let are_next =
            hours.eq(first..latest) && self.thresholds.len() <= FORCE_DELAY_HOURS as usize + 1;
        require(are_next, "thresholds", "they are those of the last reports")?;
        let mut lines = self.thresholds.iter();
        let are_lines = lines.all(|(_, one)| one.is_sound(series_max));
        require(are_lines, "thresholds", "they come of lines")
    }

    /// The threshold in force in `hour`; needs the report of hour - 3 and no more than that of
    /// `hour` itself.
    pub fn threshold_for(&self, hour: u32) -> Threshold {
        let in_force = self.thresholds.iter().rev().find(|(from, _)| *from <= hour);
        match in_force {
            Some((_, threshold)) => *threshold,
            None => fit(&self.histogram, 0.0, 1, self.budget_per_week),
        }
    }
}

/// Fits the line and finds the threshold that keeps `budget_per_week` over `live_series`.
pub fn fit(histogram: &[f64], exposure: f64, live_series: u64, budget_per_week: f64) -> Threshold {
    let series = live_series.max(1) as f64;
    let z_nominal = libm::log10(168.0 * series / budget_per_week);
    let (alpha, beta, bins_used) =
        fit_line(histogram, exposure).unwrap_or((SHIPPED_ALPHA, SHIPPED_BETA, 0));
    let z = (alpha - libm::log10(budget_per_week / series)) / beta;
    Threshold {
        z: z.clamp(z_nominal - BELOW_NOMINAL_MAX, z_nominal + ABOVE_NOMINAL_MAX),
        alpha,
        beta,
        bins_used,
        z_nominal,
        live_series,
    }
}

/// Least squares of log10 of the episode rate on z over the edges where the rate is neither
/// saturated nor thin; `None` where the fleet has too little to say.
fn fit_line(histogram: &[f64], exposure: f64) -> Option<(f64, f64, u32)> {
    let mut above = 0.0;
    let mut edges: Vec<(f64, f64)> = Vec::with_capacity(BINS);
    let mut episodes_most = 0.0;
    for (bin, count) in histogram.iter().enumerate().rev() {
        above += count;
        let rate = above / exposure;
        if (RATE_MIN..=RATE_MAX).contains(&rate) {
            edges.push((EPISODE_Z + bin as f64 / 10.0, libm::log10(rate)));
            episodes_most = above;
        }
    }
    if (edges.len() as u32) < EDGES_MIN || episodes_most < EPISODES_MIN {
        return None;
    }
    let n = edges.len() as f64;
    let mean_z = edges.iter().map(|edge| edge.0).sum::<f64>() / n;
    let mean_y = edges.iter().map(|edge| edge.1).sum::<f64>() / n;
    let mut szz = 0.0;
    let mut szy = 0.0;
    for (z, y) in &edges {
        szz += (z - mean_z) * (z - mean_z);
        szy += (z - mean_z) * (y - mean_y);
    }
    let beta = -szy / szz;
    (beta > 0.0).then_some((mean_y + beta * mean_z, beta, edges.len() as u32))
}
