//! Calls that come every day at the same hours, and whether they came.
//!
//! One run of a daily job is too few calls for any window to miss. What makes its absence telling
//! is that it never was absent. An hour is *busy* when it has three times the calls of an hour on
//! average; it is *regular* when it was busy on five of the last seven days and on the same weekday
//! one and two weeks ago; and it is missed when neither it nor the hours beside it are busy.
//! How often the series misses regular hours says what a miss is worth (reference detection,
//! section 8, item 10). It knows nothing of incidents or fleets.

use serde::{Deserialize, Serialize};

use super::invariants::require;

/// Days that are looked back, today, and one to spare.
const DAYS: u32 = 16;
const WEEK: u32 = 168;
/// How many times the average a busy hour has.
const BUSY: f64 = 3.0;
/// Days of the last seven that must have been busy.
const DAYS_MIN: u32 = 5;
/// Calls a day from which a series is followed, and below which it is no longer.
const CALLS_MIN: f64 = 0.5;
const CALLS_KEPT_MIN: f64 = 0.25;
/// Half is forgotten in four weeks.
const KEEP_PER_HOUR: f64 = 0.998_969_062_762_623_5;
/// Misses in a row beyond which nothing more is learned of them.
const RUN_MAX: u16 = 1000;
/// Misses that a series is believed to have before any was seen (Jeffreys' prior of a share).
const MISSED_PRIOR: f64 = 0.5;
/// Runs that are behind an hour that becomes regular: ten at least, and the one that is judged.
const REGULAR_PRIOR: f64 = 11.0;

/// The regular hours of one series; nothing for one that hardly calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Routine(Option<Box<Record>>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    /// Calls of the running hour.
    calls: f32,
    /// Busy hours by day since the origin, modulo [`DAYS`]; a bit for each hour of a day.
    days: [u32; DAYS as usize],
    /// Hours since it is followed, at most two weeks.
    hours: u16,
    /// Decayed regular hours, and those that were missed.
    regular: f32,
    missed: f32,
    /// Regular hours missed in a row, up to now.
    run: u16,
}

impl Routine {
    /// Counts calls of the running hour.
    pub fn count(&mut self, calls: u64) {
        if let Some(record) = &mut self.0 {
            record.calls += calls as f32;
        }
    }

    /// Whether the hour that closed last, or one before, was busy.
    pub fn was_busy(&self, hour: u32) -> bool {
        self.0.as_ref().is_some_and(|one| one.was_busy(hour))
    }

    /// Takes an hour that closed. `calls_of_day` is what the flat level expects of a day.
    pub fn close_hour(&mut self, hour: u32, calls_of_day: f64) {
        if self.0.is_none() && calls_of_day >= CALLS_MIN {
            self.0 = Some(Box::default());
        } else if calls_of_day < CALLS_KEPT_MIN {
            self.0 = None;
        }
        let Some(record) = &mut self.0 else { return };
        let day = hour / 24;
        if hour.is_multiple_of(24) {
            record.days[(day % DAYS) as usize] = 0;
        }
        let calls = f64::from(std::mem::take(&mut record.calls));
        let is_busy = is_busy(calls, calls_of_day);
        record.days[(day % DAYS) as usize] |= u32::from(is_busy) << (hour % 24);
        record.hours = (record.hours + 1).min(2 * WEEK as u16);
        let kept = |sum: f32| (f64::from(sum) * KEEP_PER_HOUR) as f32;
        record.regular = kept(record.regular);
        record.missed = kept(record.missed);
    }

    /// Judges the hour before `closed`, the one that closed last: decades under the series' own
    /// share of misses, for all that were missed in a row; `None` unless it was missed, or is
    /// excused.
    pub fn judge(&mut self, closed: u32, is_excused: impl FnOnce() -> bool) -> Option<f64> {
        let record = self.0.as_mut()?;
        let hour = closed.checked_sub(1)?;
        let is_known = record.hours >= 2 * WEEK as u16 && hour > 2 * WEEK;
        if !is_known || !record.is_regular(hour) {
            return None;
        }
        if record.was_busy(hour) || record.was_busy(closed) {
            record.missed += f32::from(record.run);
            record.regular += f32::from(record.run) + 1.0;
            record.run = 0;
            return None;
        }
        // One that came an hour early was not missed, and tells nothing.
        if record.was_busy(hour - 1) || is_excused() {
            return None;
        }
        record.run = (record.run + 1).min(RUN_MAX);
        let missed = f64::from(record.missed) + MISSED_PRIOR;
        let share = missed / (f64::from(record.regular) + REGULAR_PRIOR);
        Some(-f64::from(record.run) * libm::log10(share.min(1.0)))
    }

    /// The first hour from `hour` on, within a day, at whose beginning [`Self::judge`] has
    /// something to say or to learn.
    pub fn first_judged(&self, hour: u32) -> Option<u32> {
        let record = self.0.as_ref()?;
        (hour.max(2 * WEEK + 2)..=hour + 24).find(|begun| {
            // The hour before this one may be about to close.
            let hours = u32::from(record.hours) + begun + 1 - hour;
            hours >= 2 * WEEK && record.is_regular(begun - 2)
        })
    }

    pub fn check(&self) -> Result<(), String> {
        let Some(record) = &self.0 else { return Ok(()) };
        let are_hours = record.days.iter().all(|day| *day < 1 << 24);
        require(are_hours, "days", "they have 24 hours")?;
        let is_young = record.hours <= 2 * WEEK as u16 && record.run <= RUN_MAX;
        require(is_young, "hours", "they are two weeks at most")?;
        let are_calls = (0.0..=1e18).contains(&record.calls);
        require(are_calls, "calls", "they are those of an hour")?;
        let are_sums = (0.0..=1e4).contains(&record.regular) && record.missed >= 0.0;
        let is_share = record.missed <= record.regular;
        require(are_sums && is_share, "missed", "they are some of the hours")
    }

    pub fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |_| size_of::<Record>())
    }
}

/// Whether an hour of so many calls is busy, where so many are expected of a day.
pub fn is_busy(calls: f64, calls_of_day: f64) -> bool {
    calls >= 1.0 && calls * 24.0 >= BUSY * calls_of_day
}

impl Record {
    fn was_busy(&self, hour: u32) -> bool {
        self.days[(hour / 24 % DAYS) as usize] >> (hour % 24) & 1 == 1
    }

    fn is_regular(&self, hour: u32) -> bool {
        let days = (1..=7).filter(|day| self.was_busy(hour - 24 * day));
        self.was_busy(hour - WEEK)
            && self.was_busy(hour - 2 * WEEK)
            && days.count() as u32 >= DAYS_MIN
    }
}

#[cfg(test)]
#[path = "routine_tests.rs"]
mod tests;
