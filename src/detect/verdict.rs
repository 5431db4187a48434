//! What the kernel is asked and what it answers, as values.
//!
//! A `Verdict` is an opinion on one bucket of one series, a `Change` a decision about an incident.

use serde::{Deserialize, Serialize};

use crate::model::{Direction, EndReason, Explanation, Minute};

use super::calendars::InForce;
use super::quantile::quantiles;
use super::settings::{Tuning, WEEK_HOURS};

/// What a series' decisions depend on besides its own counts.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub tuning: &'a Tuning,
    /// Hours since 1970 of the engine's origin.
    pub origin_hour: u32,
    /// The z* in force this hour, before the first week's extra decade.
    pub needed: Needed,
    /// No drop starts now: everything is silent, and the user wants to hear that only.
    pub withholds_drops: bool,
    /// The calendar of the series, if it has one.
    pub calendar: Option<InForce<'a>>,
}

/// The score that a Start needs, by direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needed {
    pub up: f64,
    pub down: f64,
    /// By the scale of missed calls.
    pub missed: f64,
}

/// The raw counts of one series, late ones included.
pub trait History {
    /// Counts of the buckets from `from` on; 0 where there are none and before the origin.
    fn counts(&self, from: i64, out: &mut [u64]);
    /// True only if the buckets `from .. to` certainly hold no count.
    fn is_silent(&self, from: i64, to: i64) -> bool;
    /// Whether any bucket before `t` holds a count.
    fn has_count_before(&self, t: u32) -> bool;
}

/// What a series is in after a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Too young to start an incident.
    WarmUp,
    /// A Start is withheld: the engine is in its first week and never saw this series before.
    New,
    Calm,
    Incident(Direction),
}

/// An opinion on one bucket of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    pub t: u32,
    pub count: u64,
    /// Calls expected in this bucket.
    pub expected: f64,
    /// Dispersion of single buckets, as at the start of the hour.
    pub phi1: f64,
    /// Decades before and after innocent explanations.
    pub surprise_raw: f64,
    pub surprise: f64,
    /// Decades per series-hour after recalibration.
    pub z: f64,
    /// The side of the largest explained surprise; `None` when nothing surprised.
    pub direction: Option<Direction>,
    pub phase: Phase,
}

impl Verdict {
    /// 5 % and 95 % quantiles of the count expected in this bucket.
    pub fn expected_range(&self) -> (f64, f64) {
        quantiles(self.expected, self.phi1)
    }
}

/// A decision that a bucket brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Start {
        /// First unusual bucket.
        onset: u32,
        direction: Direction,
        /// Complete but for what the fleet knows.
        explanation: Explanation,
        /// It follows an incident of the same direction that ended within two hours.
        continues: bool,
    },
    End {
        /// First bucket after the incident.
        end: u32,
        reason: EndReason,
    },
}

/// Hours of an episode that are counted.
pub const EPISODE_HOURS_MAX: u16 = 10_000;

/// A run of hours with a notable z that is over (6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpisodeEnd {
    /// Hour since the origin that fell below and so ended the run.
    pub hour: u32,
    /// Hours of the run, at most [`EPISODE_HOURS_MAX`].
    pub hours: u16,
    /// Bin of the run's largest z, below [`super::fleet::BINS`].
    pub bin: u8,
    /// The side of that score.
    pub direction: Direction,
}

/// What judging a bucket brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub verdict: Verdict,
    pub change: Option<Change>,
    /// A Start that a maintenance window kept from being one; at most one in two hours.
    pub is_withheld_start: bool,
    pub episode_ended: Option<EpisodeEnd>,
    /// Bin of the score of regular hours that were missed, without an open incident.
    pub missed: Option<u8>,
}

impl EpisodeEnd {
    /// Whether an episode that was read can be one.
    pub fn is_sound(&self) -> bool {
        let is_bin = usize::from(self.bin) < super::fleet::BINS;
        is_bin && (1..=EPISODE_HOURS_MAX).contains(&self.hours)
    }
}

impl Needed {
    /// The same in both directions.
    pub fn both(z: f64) -> Self {
        Needed {
            up: z,
            down: z,
            missed: z,
        }
    }

    pub fn of(&self, direction: Direction) -> f64 {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }
}

impl<'a> Context<'a> {
    /// One in which nothing starts and no calendar is heeded: to pass silence with.
    pub fn silent(tuning: &'a Tuning, origin_hour: u32) -> Self {
        Context {
            tuning,
            origin_hour,
            needed: Needed::both(f64::INFINITY),
            withholds_drops: false,
            calendar: None,
        }
    }
}

impl Context<'_> {
    /// Whether a bucket lies in a maintenance window of the series' calendar.
    pub fn is_maintained(&self, t: u32) -> bool {
        let calendar = self.calendar.map(|own| own.calendar);
        calendar.is_some_and(|calendar| calendar.is_maintained(self.minute(t)))
    }

    /// Whether a bucket lies in a maintenance window or a holiday of the series' calendar.
    pub fn is_excused(&self, t: u32) -> bool {
        let calendar = self.calendar.map(|own| own.calendar);
        let is_holiday = calendar.is_some_and(|calendar| calendar.is_holiday(self.minute(t)));
        is_holiday || self.is_maintained(t)
    }

    fn minute(&self, t: u32) -> Minute {
        Minute(self.origin_hour * Minute::PER_HOUR + t * self.tuning.bucket_minutes)
    }

    /// Slot of the week of an hour since the origin, as it is learned and expected; `knows_week`
    /// once the series has lived a week, from when on holidays are like other days.
    pub fn slot(&self, hour: u32, knows_week: bool) -> usize {
        if let Some(own) = &self.calendar {
            return own.calendar.slot(self.origin_hour + hour, knows_week);
        }
        self.slot_utc(hour)
    }

    /// Slots from the one of an hour to that of the hour after it: 1, but for local clocks that
    /// are set forward (2 or more) or back (0).
    pub fn slots_ahead(&self, hour: u32) -> u8 {
        let Some(own) = &self.calendar else { return 1 };
        let slot = |hour: u32| own.calendar.slot(self.origin_hour + hour, false);
        let ahead = (slot(hour + 1) + WEEK_HOURS - slot(hour)) % WEEK_HOURS;
        if ahead > WEEK_HOURS / 2 {
            0
        } else {
            ahead as u8
        }
    }

    /// Whether the hours of the coming day have slots that follow each other.
    pub fn is_plain_day(&self) -> bool {
        self.calendar.is_none_or(|own| own.now.is_plain_day)
    }

    fn slot_utc(&self, hour: u32) -> usize {
        ((u64::from(self.origin_hour) + u64::from(hour)) % WEEK_HOURS as u64) as usize
    }
}
