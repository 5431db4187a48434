//! The raw counts of one series, as the kernel asks for them.
//!
//! Counts come from the window; the hours that the days hold a count in spare it the buckets of
//! silent hours.

use super::clock::Clock;
use super::days::Days;
use super::verdict::History;
use super::window::Window;
use crate::model::Minute;

/// A view on one series.
pub struct SeriesHistory<'a> {
    pub clock: &'a Clock,
    pub window: &'a Window,
    pub days: &'a Days,
    pub id: u32,
    /// First bucket with a count.
    pub first: u32,
}

impl SeriesHistory<'_> {
    /// Calls `visit` with each run of buckets, of those from `from` to `to` that may hold a count,
    /// which lie in one hour; stops when it returns false.
    fn for_each_hour(&self, from: i64, to: i64, mut visit: impl FnMut(i64, i64) -> bool) {
        if self.window.sum(self.id) == 0 {
            return;
        }
        let mut from = from.max(i64::from(self.first).min(to));
        let (mut day, mut hours) = (u32::MAX, 0);
        while from < to {
            let minute = self.clock.minute(from as u32);
            let left = (Minute::PER_HOUR - minute.0 % Minute::PER_HOUR) / self.clock.width();
            let end = to.min(from + i64::from(left));
            if minute.day() != day {
                day = minute.day();
                hours = self.days.hours(self.id, day);
            }
            if hours >> (minute.hour() % 24) & 1 == 1 && !visit(from, end) {
                return;
            }
            from = end;
        }
    }
}

impl History for SeriesHistory<'_> {
    fn counts(&self, from: i64, out: &mut [u64]) {
        out.fill(0);
        self.for_each_hour(from, from + out.len() as i64, |start, end| {
            for t in start..end {
                out[(t - from) as usize] = self.window.count(self.id, t);
            }
            true
        });
    }

    fn is_silent(&self, from: i64, to: i64) -> bool {
        let mut is_silent = true;
        self.for_each_hour(from, to, |_, _| {
            is_silent = false;
            false
        });
        is_silent
    }

    fn has_count_before(&self, t: u32) -> bool {
        self.first < t
    }
}
