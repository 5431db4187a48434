//! Which silent buckets must be judged: those where silence itself, or what came shortly before,
//! could count.
//!
//! A surprise up to the exceedance limit changes nothing, so a bucket may be passed over if no
//! window can reach that limit. Bounds are on the safe side: what is asked for in vain costs time
//! and no decision.

use crate::model::Direction;

use super::super::fleet::FIRST_HOUR;
use super::super::settings::{FIRST_DAY_HOURS, RECENT};
use super::super::surprise::{decades, is_notable};
use super::super::verdict::Context;
use super::{SeriesState, window_phis};

impl SeriesState {
    /// First bucket from `now()` on that must be judged even if it is silent; at most a day ahead.
    /// Buckets before it may be skipped unless they hold a count.
    pub fn next_visit(&self, ctx: &Context<'_>) -> u32 {
        if self.is_open() {
            return self.now;
        }
        let hour = ctx.tuning.hour;
        let boundary = self.now.next_multiple_of(hour);
        // No surprise of a first day is used but by the episodes, which count in every life.
        let used_from = self.born + FIRST_DAY_HOURS.min(ctx.tuning.warm_up_hours);
        let is_used = boundary / hour > used_from.min(FIRST_HOUR);
        if is_used && boundary > self.now && (self.may_drop(ctx) || self.may_surge(ctx)) {
            return self.now;
        }
        let may_sleep = hour == 60 && self.recent.is_none() && !self.recalibration.has_episode();
        // A window of an hour lies in two hours at most.
        if may_sleep
            && self.expectation.calls_of_day_max(self.slot_of_now(ctx)) < drop_mean_min(ctx) / 2.0
        {
            return self.now + ctx.tuning.day;
        }
        boundary
    }

    /// Whether a drop could count while the running hour lasts: no window expects enough calls
    /// for their absence to be surprising, however regular the series.
    fn may_drop(&self, ctx: &Context<'_>) -> bool {
        let least = drop_mean_min(ctx);
        let Some(recent) = &self.recent else {
            return self.expectation.lines.calls_near_max() >= least;
        };
        if self.expectation.lines.calls_of_hour(ctx.tuning) >= least {
            return true;
        }
        let known = recent
            .sum(self.now - 1, RECENT.min(self.now as usize) as u32)
            .mean;
        let m = self.now % ctx.tuning.hour;
        let mut ahead = [0.0; 60];
        let ahead = &mut ahead[..(ctx.tuning.hour - m) as usize];
        self.expectation
            .lines
            .fill_means(m as usize, ahead, ctx.tuning);
        known + ahead.iter().map(|mean| f64::from(*mean)).sum::<f64>() >= least
    }

    /// Whether recent counts could still surprise in silence while the running hour lasts: their
    /// windows only lose counts, and expect no less than the least expectation in reach.
    fn may_surge(&self, ctx: &Context<'_>) -> bool {
        let Some(recent) = &self.recent else {
            return false;
        };
        let tuning = ctx.tuning;
        let m = self.now % tuning.hour;
        let mut ahead = [0.0; 60];
        let ahead = &mut ahead[..(tuning.hour - m) as usize];
        self.expectation.lines.fill_means(m as usize, ahead, tuning);
        let least = ahead
            .iter()
            .fold(recent.mean_min(), |least, mean| least.min(*mean));
        let phis = window_phis(self.phis.map(f64::from), tuning);
        for (length, phi) in tuning.windows.into_iter().zip(phis).skip(1) {
            let count = recent.sum(self.now - 1, (length - 1).min(self.now)).count;
            let mean = f64::from(least) * f64::from(length);
            if is_notable(count, mean, phi)
                && decades(Direction::Up, count, mean, phi) > tuning.exceedance
            {
                return true;
            }
        }
        false
    }
}

/// Calls that a window must expect for their absence to count: e^-M is no less than their
/// probability, whatever the dispersion.
fn drop_mean_min(ctx: &Context<'_>) -> f64 {
    ctx.tuning.exceedance * std::f64::consts::LN_10
}
