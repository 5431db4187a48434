//! Which silent buckets must be judged: those where silence itself, or what came shortly before,
//! could count.
//!
//! A surprise up to the exceedance limit changes nothing, so a bucket may be passed over if no
//! window can reach that limit. Bounds are on the safe side: what is asked for in vain costs time
//! and no decision.

use crate::model::Direction;

use super::super::fleet::FIRST_HOUR;
use super::super::hour_lines::RATE_MIN;
use super::super::recent::{Recent, least_of, most_of};
use super::super::settings::{FIRST_DAY_HOURS, RECENT};
use super::super::surprise::{decades, is_notable};
use super::super::tail::is_upper_at_least;
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
        if is_used && boundary > self.now {
            if self.expects_a_count(ctx) {
                return self.now;
            }
            let visit = self.first_that_may_count(ctx);
            if visit < boundary {
                return visit;
            }
        }
        let may_sleep = hour == 60
            && self.recent.is_none()
            && !self.recalibration.has_episode()
            && !self.slow.is_followed()
            && ctx.is_plain_day();
        // A window of an hour lies in two hours at most.
        if may_sleep
            && self
                .expectation
                .calls_of_day_max(self.slot_of_now(ctx), ctx.tuning)
                < drop_mean_min(ctx) / 2.0
        {
            let latest = self.now + ctx.tuning.day;
            let judged = self.routine.first_judged(self.now.div_ceil(hour));
            return judged.map_or(latest, |begun| latest.min(begun * hour));
        }
        boundary
    }

    /// First bucket in which silence could count, by a drop or by what recent counts still make
    /// of the windows; `u32::MAX` if none of the running hour.
    fn first_that_may_count(&self, ctx: &Context<'_>) -> u32 {
        let least = drop_mean_min(ctx);
        let lines = &self.expectation.lines;
        let Some(recent) = &self.recent else {
            return if lines.calls_near_max() >= least {
                self.now
            } else {
                u32::MAX
            };
        };
        if self.is_beyond_surprise(recent, least, ctx) {
            return u32::MAX;
        }
        let m = self.now % ctx.tuning.hour;
        let mut ahead = [0.0; 60];
        let ahead = &mut ahead[..(ctx.tuning.hour - m) as usize];
        lines.fill_means(m as usize, ahead, ctx.tuning);
        let may_drop =
            lines.calls_of_hour(ctx.tuning) >= least || self.may_drop(recent, ahead, least);
        let calm = if may_drop {
            self.buckets_without_drop(recent, ahead, ctx)
        } else {
            u32::MAX
        };
        if calm == 0 || self.may_surge(recent, ahead, ctx) {
            return self.now;
        }
        self.now.saturating_add(calm)
    }

    /// Whether the next bucket is likely to hold a count: then it is judged soon enough, and to
    /// ask whether it must be costs as much as to judge it.
    fn expects_a_count(&self, ctx: &Context<'_>) -> bool {
        let m = (self.now % ctx.tuning.hour) as usize;
        let lines = &self.expectation.lines;
        let mixture = lines.mixture(m, ctx.tuning);
        lines.mean(mixture, m, ctx.tuning) >= LIKELY_MEAN
    }

    /// What needs no expectation of single buckets: too few calls are expected for a drop, and the
    /// recent counts are too few for a surge over the least expectation of these two hours.
    fn is_beyond_surprise(&self, recent: &Recent, least: f64, ctx: &Context<'_>) -> bool {
        let lines = &self.expectation.lines;
        if ctx.tuning.hour != 60 || recent.has_forgotten() || lines.calls_near_max() >= least {
            return false;
        }
        let calls_min = lines
            .rate_min_if_plain()
            .map_or(RATE_MIN, |rate| rate.max(RATE_MIN));
        !self.may_surge_over(recent, calls_min, ctx)
    }

    /// How many of the next buckets, if silent, hold no drop that counts: the counts that stay in
    /// each window all the while are too many for what it can expect at most.
    fn buckets_without_drop(&self, recent: &Recent, ahead: &[f32], ctx: &Context<'_>) -> u32 {
        if ctx.tuning.hour != 60 || self.now < RECENT as u32 {
            return 0;
        }
        let tuning = ctx.tuning;
        let peak = recent.mean_max().max(most_of(ahead));
        let windows: [_; 4] = std::array::from_fn(|i| {
            let length = tuning.windows[i];
            let known = recent.sum(self.now - 1, length).mean;
            let most = f64::from(length) * f64::from(peak);
            // A drop needs this expectation in units of a dispersion, which is at least 1.
            (length, known, most, tuning.drop_mean_min[i])
        });
        let is_free = |calm: u32| {
            let coming = ahead.iter().take(calm as usize);
            let coming: f64 = coming.map(|mean| f64::from(*mean)).sum();
            windows.iter().all(|(length, known, most, least)| {
                let expected = (known + coming).min(*most);
                if expected < *least {
                    return true;
                }
                let stays = match length.saturating_sub(calm) {
                    0 => 0.0,
                    length => recent.count_sum(self.now - 1, length),
                };
                drop_decades_max(stays, expected) <= tuning.exceedance
            })
        };
        CALM_TRIED
            .into_iter()
            .find(|calm| is_free(*calm))
            .unwrap_or(0)
    }

    /// Whether a drop could count: no window expects enough calls for their absence to be
    /// surprising, however regular the series. `ahead` is expected of the rest of the hour.
    fn may_drop(&self, recent: &Recent, ahead: &[f32], least: f64) -> bool {
        let known = recent
            .sum(self.now - 1, RECENT.min(self.now as usize) as u32)
            .mean;
        known + ahead.iter().map(|mean| f64::from(*mean)).sum::<f64>() >= least
    }

    /// Whether recent counts could still surprise in silence: their windows only lose counts, and
    /// expect no less than the least expectation in reach.
    fn may_surge(&self, recent: &Recent, ahead: &[f32], ctx: &Context<'_>) -> bool {
        let least = recent.mean_min().min(least_of(ahead));
        self.may_surge_over(recent, f64::from(least), ctx)
    }

    /// The same where each bucket expects at least `least` calls.
    fn may_surge_over(&self, recent: &Recent, least: f64, ctx: &Context<'_>) -> bool {
        let tuning = ctx.tuning;
        let phis = window_phis(self.phis.map(f64::from), tuning);
        for (length, phi) in tuning.windows.into_iter().zip(phis).skip(1) {
            let count = recent.count_sum(self.now - 1, (length - 1).min(self.now));
            let mean = least * f64::from(length);
            if is_notable(count, mean, phi)
                && !is_upper_at_least(tuning.exceedance_chance, count, mean, phi)
                && decades(Direction::Up, count, mean, phi) > tuning.exceedance
            {
                return true;
            }
        }
        false
    }
}

/// Expectation from which a bucket is likely to hold a count.
const LIKELY_MEAN: f32 = 0.7;

/// Lengths of silence, in buckets, for which a drop is ruled out at once; longest first.
const CALM_TRIED: [u32; 3] = [24, 9, 4];

/// Decades that no lower tail at `count` exceeds, whatever the dispersion: P(X <= x) of a Poisson
/// variable is at least e^-D / sqrt(8 x) with D = M - x + x ln(x/M) (Ash, "Information Theory",
/// lemma 4.7.2, in the Poisson limit), and e^-M at 0; a wilder variable has more.
fn drop_decades_max(count: f64, mean: f64) -> f64 {
    if count >= mean {
        return 0.0;
    }
    if count < 1.0 {
        return mean * std::f64::consts::LOG10_E;
    }
    let divergence = mean - count + count * libm::log(count / mean);
    (divergence + 0.5 * libm::log(8.0 * count)) * std::f64::consts::LOG10_E
}

/// Calls that a window must expect for their absence to count: e^-M is no less than their
/// probability, whatever the dispersion.
fn drop_mean_min(ctx: &Context<'_>) -> f64 {
    ctx.tuning.exceedance * std::f64::consts::LN_10
}
