//! The steady rate of a service: a level with a daily and weekly shape, growth, slow noise,
//! half-hourly peaks and Gamma-Poisson scatter.

use super::calendar::{Calendar, DAY, Deployment};
use super::random::Random;

#[derive(Clone, Debug)]
pub(super) struct Level {
    /// Calls per minute.
    pub base: f64,
    /// Strength of the daily curve, on the scale of the logarithm.
    pub amplitude: f64,
    /// Minute of the day of the peak.
    pub peak: f64,
    /// Factor on Saturdays and Sundays.
    pub weekend: f64,
    /// Variance over mean of a minute's count; 1 is Poisson.
    pub dispersion: f64,
    /// Standard deviation and memory in minutes of the slow noise of the level's logarithm.
    pub noise: f64,
    pub memory: f64,
    /// Growth of the level's logarithm per minute, and for how many minutes it goes on.
    pub growth: f64,
    pub growth_minutes: u32,
    /// Factor on every thirtieth minute; 1 for none.
    pub half_hour: f64,
    /// Factor while deployed; 1 for none.
    pub deployed: f64,
    pub random: Random,
    pub noise_now: f64,
}

impl Level {
    /// Adds the counts of day `day` to `counts[0 .. 1440]`.
    pub fn fill(
        &mut self,
        calendar: &Calendar,
        day: u32,
        deployments: &[Deployment],
        counts: &mut [u32],
    ) {
        let keep = libm::exp(-1.0 / self.memory);
        let push = self.noise * (1.0 - keep * keep).sqrt();
        for (minute, count) in counts.iter_mut().enumerate().take(DAY as usize) {
            let t = day * DAY + minute as u32;
            let mut logarithm = self.growth * f64::from(t.min(self.growth_minutes));
            if self.amplitude > 0.0 {
                let curve = calendar.day_curve(t, self.peak);
                logarithm += 0.7 * self.amplitude * (curve - 0.3);
            }
            if self.noise > 0.0 {
                self.noise_now = keep * self.noise_now + push * self.random.normal();
                logarithm += self.noise_now - 0.5 * self.noise * self.noise;
            }
            let mut rate = self.base * libm::exp(logarithm);
            if calendar.is_weekend(t) {
                rate *= self.weekend;
            }
            if minute % 30 == 0 {
                rate *= self.half_hour;
            }
            if is_within(t, deployments) {
                rate *= self.deployed;
            }
            *count += scattered(&mut self.random, rate, self.dispersion);
        }
    }
}

/// A count with this mean and `dispersion` times as much variance.
fn scattered(random: &mut Random, rate: f64, dispersion: f64) -> u32 {
    if dispersion < 1.001 {
        return random.poisson(rate);
    }
    let shape = (rate / (dispersion - 1.0)).max(1e-9);
    let mean = rate * random.gamma(shape);
    random.poisson(mean)
}

fn is_within(t: u32, deployments: &[Deployment]) -> bool {
    deployments
        .iter()
        .any(|deployment| t >= deployment.start && t - deployment.start < deployment.minutes)
}
