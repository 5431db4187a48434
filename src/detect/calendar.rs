//! A declared calendar: in which zone a series lives, when it is maintained, which days are not
//! like their weekday.
//!
//! A pure function of the minute: zones come from the tables that are built in, so the same build
//! gives the same local times on every machine.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use super::settings::WEEK_HOURS;
use crate::model::{Minute, Scope};

/// Calendars in all.
pub const CALENDARS_MAX: usize = 16;
/// Seconds that every zone can tell the local time of: 9999-12-30T22:00:00Z.
const SECONDS_MAX: i64 = 253_402_207_200;

/// A calendar of the series in its scope.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    pub scope: Scope,
    pub zone: TimeZone,
    pub maintenance: Vec<Maintenance>,
    /// Local days that are expected to be like another weekday.
    pub holidays: BTreeSet<Date>,
    pub like: Weekday,
}

/// When something is worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maintenance {
    /// On these weekdays (from Monday), from one local minute of the day to another; where that is
    /// not later, to the one of the next day.
    Weekly { days: [bool; 7], from: u16, to: u16 },
    /// Once; the end is exclusive.
    Once { from: Minute, to: Minute },
}

impl Calendar {
    /// Slot of the local week of an hour since 1970, by the local time when it begins; slot 0 is a
    /// Thursday's first hour. With `knows_week` a holiday has the slots of the day it is like.
    pub fn slot(&self, hour: u32, knows_week: bool) -> usize {
        let local = self.local(i64::from(hour) * 3600);
        let mut weekday = local.weekday();
        if knows_week && self.holidays.contains(&local.date()) {
            weekday = self.like;
        }
        let day = usize::from(weekday.since(Weekday::Thursday) as u8);
        (day * 24 + local.hour() as usize) % WEEK_HOURS
    }

    /// Whether the local day of a minute is a holiday.
    pub fn is_holiday(&self, minute: Minute) -> bool {
        let local = self.local(minute.start().seconds());
        self.holidays.contains(&local.date())
    }

    /// Whether a minute lies in a maintenance window.
    pub fn is_maintained(&self, minute: Minute) -> bool {
        if self.maintenance.is_empty() {
            return false;
        }
        let local = self.local(minute.start().seconds());
        let today = usize::from(local.weekday().to_monday_zero_offset() as u8);
        let now = local.hour() as u16 * 60 + local.minute() as u16;
        self.maintenance.iter().any(|one| match one {
            Maintenance::Once { from, to } => (*from..*to).contains(&minute),
            Maintenance::Weekly { days, from, to } if from < to => {
                days[today] && (*from..*to).contains(&now)
            }
            Maintenance::Weekly { days, from, to } => {
                let yesterday = (today + 6) % 7;
                (days[today] && now >= *from) || (days[yesterday] && now < *to)
            }
        })
    }

    fn local(&self, seconds: i64) -> jiff::civil::DateTime {
        let time = Timestamp::from_second(seconds.min(SECONDS_MAX));
        self.zone
            .to_datetime(time.expect("it lies in the range of times"))
    }
}
