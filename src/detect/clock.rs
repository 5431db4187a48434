//! From minutes since 1970 to the engine's buckets and back.
//!
//! Bucket 0 begins at the base: the origin, or a whole number of weeks behind it once nothing is
//! left to remember of the weeks between.

use serde::{Deserialize, Serialize};

use super::invariants::require;
use crate::model::Minute;

/// The engine's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// First minute of the UTC hour of the first minute that closed with a count.
    origin: u32,
    base: u32,
    width: u32,
}

impl Clock {
    /// A clock whose origin is the hour of `first`; buckets are `width` minutes long.
    pub fn new(first: Minute, width: u32) -> Self {
        let origin = first.0 - first.0 % Minute::PER_HOUR;
        Clock {
            origin,
            base: origin,
            width,
        }
    }

    pub fn origin(&self) -> Minute {
        Minute(self.origin)
    }

    /// Hours since 1970 of bucket 0.
    pub fn base_hour(&self) -> u32 {
        self.base / Minute::PER_HOUR
    }

    /// First minute of bucket `t`.
    pub fn minute(&self, t: u32) -> Minute {
        Minute(self.base + t * self.width)
    }

    /// Bucket of a minute at or after the base.
    pub fn bucket(&self, minute: Minute) -> u32 {
        (minute.0 - self.base) / self.width
    }

    /// Moves bucket 0 forward by `buckets`, a whole number of weeks.
    pub fn rebase(&mut self, buckets: u32) {
        self.base += buckets * self.width;
    }

    /// Hours that bucket 0 lies behind the origin.
    pub fn hours_moved(&self) -> u32 {
        (self.base - self.origin) / Minute::PER_HOUR
    }

    /// As [`Self::minute`] where it lies within the range of minutes.
    pub fn checked_minute(&self, t: u32) -> Option<u32> {
        t.checked_mul(self.width)?.checked_add(self.base)
    }

    /// Checks a clock that was read.
    pub fn check(&self, width: u32) -> Result<(), String> {
        let is_hour = self.origin.is_multiple_of(Minute::PER_HOUR);
        require(is_hour, "origin", "it begins an hour")?;
        let moved = self.base.checked_sub(self.origin);
        let is_weeks = moved.is_some_and(|moved| moved.is_multiple_of(7 * Minute::PER_DAY));
        require(is_weeks, "base", "it lies whole weeks behind the origin")?;
        require(self.width == width, "width", "it is that of the settings")
    }

    pub fn width(&self) -> u32 {
        self.width
    }
}
