//! What a series is expected to do: hourly levels, five experts, a profile within the hour (6.2).
//!
//! Five experts, from a flat level to the hour of week scaled by recent calls, are mixed by how
//! well each has predicted so far. What they say of single buckets is in `HourLines`. All rates
//! are calls per minute.

use libm::{exp, log};
use serde::{Deserialize, Serialize};

use super::hour_lines::{HourLines, RATE_MIN, Shares};
use super::settings::{Tuning, WEEK_HOURS};
use super::slots::Slots;

mod check;

/// Below this rate a bucket says nothing about the profile.
const PROFILE_RATE_MIN: f64 = 1e-4;
const PROFILE_MAX: f64 = 60.0;
/// A profile this near to nothing is nothing.
const PROFILE_NOTHING: f32 = 1e-6;
/// Least share of its line that the profile leaves a bucket.
const SHAPE_MIN: f64 = 0.02;
/// Hours that must have been filled before the profile shapes anything.
const SHAPE_HOURS_MIN: u32 = 6;
const LOSS_KEEP: f64 = 0.985;
/// Differences of loss beyond this make no difference of weight.
const LOSS_SPREAD_MAX: f64 = 50.0;
const RECENT_KEEP: f64 = 0.55;
const LOSS_DISPERSION_INITIAL: f32 = 2.0;

/// Learned levels and what they say about the running hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// H: learned calls by hour of week.
    levels: Slots<WEEK_HOURS>,
    /// nH: hours closed in this life, at most a week. The slots they filled are those of as many
    /// hours before the running one.
    hours_filled: u8,
    /// P: learned share of a bucket of the hour in its line; 0 until learned. Its initial value
    /// never shows: the first hour of a life replaces it, and it shapes nothing before the sixth.
    profile: Slots<60>,

    loss: [f32; 5],
    /// A and B: recent calls, and what the hours of day expected.
    recent: f32,
    recent_expected: f32,
    /// phiL.
    loss_dispersion: f32,
    /// Learned calls of the running hour.
    hour_sum: f64,
    /// Late counts of the running hour, which join its level when it closes.
    hour_late: f64,
    /// Calls that flat, hour of day and hour of week expect of the running hour.
    experts: [f32; 3],
    ratio: f32,
    /// This hour and the two before, bucket by bucket.
    pub lines: HourLines,
}

/// The experts as they stand in the running hour, for those who look inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Experts {
    pub flat: f64,
    /// Hour of day and hour of week: this hour, the one before, the one after.
    pub hour_of_day: [f64; 3],
    pub hour_of_week: [f64; 3],
    pub ratio: f64,
    /// Of flat, hour of day, hour of week, and the latter two scaled by the ratio.
    pub weights: [f64; 5],
    pub loss_dispersion: f64,
}

impl Default for Expectation {
    fn default() -> Self {
        Expectation {
            levels: Slots::default(),
            hours_filled: 0,
            profile: Slots::default(),

            loss: [0.0; 5],
            recent: 0.0,
            recent_expected: 0.0,
            loss_dispersion: LOSS_DISPERSION_INITIAL,
            hour_sum: 0.0,
            hour_late: 0.0,
            experts: [0.0; 3],
            ratio: 1.0,
            lines: HourLines::default(),
        }
    }
}

impl Expectation {
    /// Ends the running hour, which has this slot of the week; the next one's is so many ahead.
    pub fn close_hour(&mut self, slot: usize, ahead: u8, tuning: &Tuning) {
        let calls = std::mem::take(&mut self.hour_sum);
        let late = std::mem::take(&mut self.hour_late);
        self.levels.set(slot, (calls + late) as f32);
        // Hours that a local clock leaves out are taken to be like the one before, while they are
        // not known better.
        for left_out in 1..ahead.max(1) {
            if usize::from(self.hours_filled) + usize::from(left_out) < WEEK_HOURS {
                let slot = (slot + usize::from(left_out)) % WEEK_HOURS;
                self.levels.set(slot, (calls + late) as f32);
            }
        }
        self.hours_filled = (self.hours_filled + ahead).min(WEEK_HOURS as u8);
        if slot == 0 {
            self.levels.repack();
            self.profile.drop_below(PROFILE_NOTHING);
        }
        let [flat, of_day, of_week] = self.experts.map(f64::from);
        let ratio = f64::from(self.ratio);
        let predictions = [flat, of_day, of_week, of_day * ratio, of_week * ratio];
        let dispersion = f64::from(self.loss_dispersion);
        for (loss, prediction) in self.loss.iter_mut().zip(predictions) {
            let prediction = prediction.max(1e-3);
            let surprise = if calls > 0.0 {
                calls * log(calls / prediction)
            } else {
                0.0
            };
            let poisson_loss = (surprise - (calls - prediction)) / dispersion;
            *loss = (LOSS_KEEP * f64::from(*loss) + poisson_loss) as f32;
        }
        let mixture = self.lines.calls_of_hour(tuning);
        let square = (calls - mixture) * (calls - mixture) / mixture.max(1.0);
        let moved = 0.98 * dispersion + 0.02 * square.min(25.0 * dispersion);
        self.loss_dispersion = moved.max(1.0) as f32;
        self.recent = (RECENT_KEEP * f64::from(self.recent) + calls) as f32;
        self.recent_expected = (RECENT_KEEP * f64::from(self.recent_expected) + of_day) as f32;
    }

    /// Calls learned in the running hour, and what the seasons alone expected of it: the experts
    /// that do not follow the last hours, by how well each has predicted.
    pub fn hour_so_far(&self) -> (f64, f64) {
        let [flat, of_day, of_week, ..] = self.loss;
        let least = flat.min(of_day).min(of_week);
        let mut weights = 0.0;
        let mut calls = 0.0;
        for (loss, expert) in [flat, of_day, of_week].into_iter().zip(self.experts) {
            let weight = exp(-f64::from(loss - least).min(LOSS_SPREAD_MAX));
            weights += weight;
            calls += weight * f64::from(expert);
        }
        (self.hour_sum, calls / weights)
    }

    /// Calls that the flat level expects of a day.
    pub fn calls_of_flat_day(&self) -> f64 {
        24.0 * f64::from(self.experts[0])
    }

    /// Forgets all that was learned, for a series whose new normal nothing old explains.
    pub fn begin_anew(&mut self) {
        // Recent expectations are not learned but said; they stay.
        *self = Expectation {
            lines: std::mem::take(&mut self.lines),
            ..Expectation::default()
        };
    }

    /// Forgets the errors of the first day (6.3); levels and profile stay.
    pub fn forget_first_day(&mut self) {
        self.loss = [0.0; 5];
        self.recent = 0.0;
        self.recent_expected = 0.0;
        self.loss_dispersion = LOSS_DISPERSION_INITIAL;
    }

    /// Begins the hour with this slot of the week.
    pub fn open_hour(&mut self, slot: usize, phi1: f64, tuning: &Tuning) {
        let experts = self.experts_of(slot, tuning);
        let [w_flat, w_day, w_week, w_day_ratio, w_week_ratio] = experts.weights;
        let day_weight = w_day + w_day_ratio * experts.ratio;
        let week_weight = w_week + w_week_ratio * experts.ratio;
        let mixture = |i: usize| {
            let seasons =
                day_weight * experts.hour_of_day[i] + week_weight * experts.hour_of_week[i];
            w_flat * experts.flat + seasons
        };
        let mixture = [0, 1, 2].map(mixture);
        let shares = self.shares(experts.flat, phi1, tuning);
        self.lines.open_hour(mixture, shares.as_ref(), tuning);
        let calls = |rates: [f64; 3]| {
            let middle = 60.0 - 2.0 * tuning.half_offsets;
            (middle * rates[0] + tuning.half_offsets * (rates[1] + rates[2])) as f32
        };
        self.experts = [
            (60.0 * experts.flat) as f32,
            calls(experts.hour_of_day),
            calls(experts.hour_of_week),
        ];
        self.ratio = experts.ratio as f32;
    }

    /// The experts for the hour with this slot, from what is learned now.
    pub fn experts_of(&self, slot: usize, tuning: &Tuning) -> Experts {
        let before = if slot == 0 { WEEK_HOURS } else { slot } - 1;
        let after = if slot + 1 == WEEK_HOURS { 0 } else { slot + 1 };
        let around = [slot, before, after];
        let of_day = around.map(|slot| slot % 24);
        let total = self.levels.total();
        let day_sums = self.levels.sums_by_rest::<24, 3>(of_day);
        let flat = self.flat(total);
        let (mut hour_of_day, mut hour_of_week) = ([0.0; 3], [0.0; 3]);
        for i in 0..3 {
            hour_of_day[i] = self.level_of_day(of_day[0], of_day[i], day_sums[i], flat);
            hour_of_week[i] = self.level_of_week(slot, around[i], hour_of_day[i]);
        }
        let dispersion = f64::from(self.loss_dispersion);
        let above = f64::from(self.recent) + 5.0 * dispersion;
        let below = f64::from(self.recent_expected) + 5.0 * dispersion;
        Experts {
            flat,
            hour_of_day,
            hour_of_week,
            ratio: (above / below).clamp(1.0 / tuning.ratio_max, tuning.ratio_max),
            weights: self.weights(),
            loss_dispersion: dispersion,
        }
    }

    /// Learns `calls` in bucket `m`; `pace` is the profile's.
    pub fn learn(&mut self, m: usize, calls: f64, mixture: f64, pace: f64, tuning: &Tuning) {
        self.hour_sum += calls;
        if mixture > PROFILE_RATE_MIN && tuning.hour > 1 {
            let share = f64::from(self.profile.get(m));
            let seen = calls / (mixture * f64::from(tuning.bucket_minutes));
            let learned = (share * (1.0 - pace) + pace * seen).min(PROFILE_MAX);
            self.profile.set(m, learned as f32);
        }
    }

    /// Learns silence in `buckets` of the running hour.
    pub fn learn_silence(&mut self, buckets: std::ops::Range<usize>, pace: f64, tuning: &Tuning) {
        let lines = &self.lines;
        let keep = 1.0 - pace;
        if lines.mixture_min() > PROFILE_RATE_MIN {
            let forget = |_, share| (f64::from(share) * keep) as f32;
            self.profile.update_range(buckets, forget);
            return;
        }
        self.profile.update_range(buckets, |m, share| {
            if lines.mixture(m, tuning) > PROFILE_RATE_MIN {
                (f64::from(share) * keep) as f32
            } else {
                share
            }
        });
    }

    /// Adds late calls to the running hour's level.
    pub fn add_late(&mut self, calls: f64) {
        self.hour_late += calls;
    }

    /// Adds late calls to the level of a closed hour.
    pub fn correct(&mut self, slot: usize, calls: f64) {
        let level = f64::from(self.levels.get(slot)) + calls;
        self.levels.set(slot, level as f32);
    }

    /// Calls that no single hour exceeds, of the two last and those of the coming day if it is
    /// silent from here on: silence raises no level, nor the recent ratio above 1.
    pub fn calls_of_day_max(&self, slot: usize, tuning: &Tuning) -> f64 {
        if self.hour_sum > 0.0 || self.hour_late > 0.0 {
            return f64::INFINITY;
        }
        let mut total = 0.0;
        let mut day_sums = [0.0; 24];
        self.levels.for_each(|slot, calls| {
            total += f64::from(calls);
            day_sums[slot % 24] += f64::from(calls);
        });
        let flat = self.flat(total);
        let mut peak = flat;
        for ahead in 0..=25 {
            let ahead = (slot + ahead) % WEEK_HOURS;
            let level = self.level_of_day(slot % 24, ahead % 24, day_sums[ahead % 24], flat);
            peak = peak.max(level).max(self.level_of_week(slot, ahead, level));
        }
        let recent = (f64::from(self.recent) + 5.0) / (f64::from(self.recent_expected) + 5.0);
        let coming = 60.0 * (peak * recent.clamp(1.0, tuning.ratio_max) + RATE_MIN);
        coming.max(self.lines.calls_of_hours_max())
    }

    /// Fetches the rows that a judged bucket reads.
    pub fn prefetch_parts(&self) {
        self.levels.prefetch();
        self.profile.prefetch();
    }

    pub fn heap_bytes(&self) -> usize {
        self.levels.heap_bytes() + self.profile.heap_bytes() + self.lines.heap_bytes()
    }

    fn flat(&self, total: f64) -> f64 {
        let filled = f64::from(self.hours_filled);
        (total + 0.5) / (60.0 * filled + 1.2 * (168.0 - filled))
    }

    /// `running` is the running hour of the day; its slot's own level is a week old.
    fn level_of_day(&self, running: usize, hour: usize, sum: f64, flat: f64) -> f64 {
        let youngest = hours_since(hour, running, 24);
        let filled = match usize::from(self.hours_filled).checked_sub(youngest) {
            Some(more) => more / 24 + 1,
            None => 0,
        };
        (sum + 60.0 * flat) / (60.0 * (filled as f64 + 1.0))
    }

    fn level_of_week(&self, running: usize, slot: usize, level_of_day: f64) -> f64 {
        if hours_since(slot, running, WEEK_HOURS) <= usize::from(self.hours_filled) {
            (f64::from(self.levels.get(slot)) + 60.0 * level_of_day) / 120.0
        } else {
            level_of_day
        }
    }

    fn weights(&self) -> [f64; 5] {
        let loss = self.loss.map(f64::from);
        let least = loss
            .iter()
            .fold(f64::INFINITY, |least, loss| least.min(*loss));
        let weights = loss.map(|loss| {
            let above = loss - least;
            if above > 0.0 {
                exp(-above.min(LOSS_SPREAD_MAX))
            } else {
                1.0
            }
        });
        let sum: f64 = weights.iter().sum();
        weights.map(|weight| weight / sum)
    }

    /// What the profile makes of the hour that begins; `None` where it tells nothing from noise.
    fn shares(&self, flat: f64, phi1: f64, tuning: &Tuning) -> Option<Shares> {
        let hour = tuning.hour as usize;
        let filled = u32::from(self.hours_filled);
        let calls = flat * f64::from(tuning.bucket_minutes) * f64::from(filled.min(100));
        let noise = 4.0 * phi1 / calls;
        let is_told = |share: f32| {
            let delta = f64::from(share) - 1.0;
            delta * delta > noise
        };
        if hour == 1 || filled < SHAPE_HOURS_MIN || !self.profile.any(hour, is_told) {
            return None;
        }
        let share_of = |profile: f64| {
            let delta = profile - 1.0;
            let trust = 1.0 - noise / (delta * delta).max(1e-12);
            (1.0 + delta * trust.max(0.0)).max(SHAPE_MIN)
        };
        let mut raw = [0.0; 60];
        self.profile
            .for_each(|m, profile| raw[m] = f64::from(profile));
        for share in &mut raw {
            *share = share_of(*share);
        }
        let scale = hour as f64 / raw[..hour].iter().sum::<f64>();
        Some(Shares {
            buckets: raw.map(|share| (share * scale) as f32),
            unlearned: (share_of(0.0) * scale) as f32,
        })
    }
}

/// Hours from the youngest closed hour with a slot to the running one, 1 to `cycle`.
fn hours_since(slot: usize, running: usize, cycle: usize) -> usize {
    if slot < running {
        running - slot
    } else {
        running + cycle - slot
    }
}
