//! Bursts at random times: batch jobs, people at work, storms of retried errors.
//!
//! A burst more than three times as large as any of its series in the seven days before is no
//! false alarm when it is reported: the hours it lies in are neutral.

use std::ops::Range;

use super::calendar::{Calendar, DAY, WEEK};
use super::random::Random;

/// A burst is unprecedented from this factor over the largest of the week before.
const UNPRECEDENTED: f64 = 3.0;
/// Ordinary traffic keeps its bursts below this factor.
const ORDINARY: f64 = 1.5;

#[derive(Clone, Debug)]
pub(super) enum Habit {
    /// Jobs of log-normal length and rate (both means are of logarithms), more of them by day.
    Batch {
        minutes_mean: f64,
        rate_mean: f64,
        rate_spread: f64,
    },
    /// Sessions in office hours.
    Human {
        minutes_mean: f64,
        rate: f64,
        weekend: f64,
    },
    /// A call that fails is tried again and again: up to ten to `decades` times.
    Storm { decades: f64 },
}

#[derive(Clone, Debug)]
pub(super) struct Sessions {
    pub habit: Habit,
    /// Mean minutes between two candidates, of which office hours accept some.
    pub gap: f64,
    pub peak: f64,
    pub next: f64,
    pub random: Random,
    pub past: Past,
}

/// Bursts of the last seven days: start, calls, calls per minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Past(Vec<(u32, f64, f64)>);

impl Sessions {
    /// Adds the bursts that begin on day `day`; `counts` reaches past the end of the day.
    pub fn fill(
        &mut self,
        calendar: &Calendar,
        day: u32,
        counts: &mut [u32],
        neutral: &mut Vec<Range<u32>>,
    ) {
        let day_start = day * DAY;
        while self.next < f64::from(day_start + DAY) {
            let t = self.next as u32;
            self.next += 1.0 + self.random.exponential(self.gap);
            let is_taken = self.random.chance(self.appetite(calendar, t));
            if !is_taken {
                continue;
            }
            let (minutes, rate) = self.burst();
            let rate = self.past.admit(calendar, t, minutes, rate, neutral);
            let offset = (t - day_start) as usize;
            for count in &mut counts[offset..offset + minutes as usize] {
                *count += self.minute(rate);
            }
        }
    }

    /// Probability that a burst offered at `t` happens.
    fn appetite(&self, calendar: &Calendar, t: u32) -> f64 {
        match &self.habit {
            Habit::Batch { .. } => 0.7 + 0.3 * calendar.day_curve(t, self.peak),
            Habit::Human { weekend, .. } => {
                let day = calendar.day_curve(t, self.peak).max(0.0);
                let factor = if calendar.is_weekend(t) {
                    *weekend
                } else {
                    1.0
                };
                0.95 * day * factor + 0.02
            }
            Habit::Storm { .. } => 1.0,
        }
    }

    /// Minutes and calls per minute of a new burst.
    fn burst(&mut self) -> (u32, f64) {
        let random = &mut self.random;
        match &self.habit {
            Habit::Batch {
                minutes_mean,
                rate_mean,
                rate_spread,
            } => {
                let minutes = 1 + random.log_normal(*minutes_mean, 0.8) as u32;
                (
                    minutes.min(240),
                    random.log_normal(*rate_mean, *rate_spread),
                )
            }
            Habit::Human {
                minutes_mean, rate, ..
            } => {
                let minutes = 1 + random.exponential(*minutes_mean) as u32;
                (minutes.min(120), rate * random.log_normal(0.0, 0.5))
            }
            Habit::Storm { decades } => {
                let minutes = random.within(1, 10);
                (minutes, random.decades(0.3, *decades) / f64::from(minutes))
            }
        }
    }

    fn minute(&mut self, rate: f64) -> u32 {
        let wobble = match self.habit {
            Habit::Batch { .. } => self.random.gamma(4.0),
            Habit::Human { .. } => self.random.gamma(1.0),
            Habit::Storm { .. } => 1.0,
        };
        self.random.poisson(rate * wobble)
    }
}

impl Past {
    /// The rate at which a burst of `rate` may happen: its own, but in settled ordinary traffic
    /// never unprecedented. Notes it, and its hours as neutral where it is unprecedented.
    fn admit(
        &mut self,
        calendar: &Calendar,
        t: u32,
        minutes: u32,
        rate: f64,
        neutral: &mut Vec<Range<u32>>,
    ) -> f64 {
        self.0.retain(|(start, ..)| t - start <= WEEK);
        let length = f64::from(minutes);
        let calls_max = self.0.iter().fold(0.0, |max, burst| burst.1.max(max));
        let rate_max = self.0.iter().fold(0.0, |max, burst| burst.2.max(max));
        let mut rate = rate;
        if calendar.is_settled(t) {
            rate = rate
                .min(ORDINARY * rate_max)
                .min(ORDINARY * calls_max / length);
        }
        if rate > UNPRECEDENTED * rate_max || rate * length > UNPRECEDENTED * calls_max {
            neutral.push(t / 60..(t + minutes) / 60 + 2);
        }
        if rate > 0.0 {
            self.0.push((t, rate * length, rate));
        }
        rate
    }
}
