//! What people know better than the data, as it is written in the settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Seconds;
use super::written::WrittenScope;

/// What people know better than the data: mutes, and feedback on insights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenKnowledge {
    /// File that it is kept in, one JSON object a line, only ever appended to; a service keeps it
    /// on the coordination topic instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Records there may be; over it nothing is added.
    pub records_max: u32,
    /// Bytes it may have; over it a file is refused, and a service adds nothing.
    pub bytes_max: u64,
}

/// Insights of one account grouped because one cause may explain them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenStories {
    /// Starts of one account decided in less than this after the first of them make one story.
    pub within: Seconds,
    /// Stories open at once; over it the oldest ends early.
    pub open_max: u32,
    /// Insights listed in one story; over it they are only counted.
    pub insights_max: u32,
}

/// What a part of all series lives by: a time zone, times at which it is worked on, days off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenCalendar {
    /// Which series; a series has the first calendar that matches.
    pub scope: WrittenScope,
    /// IANA name of the zone whose clocks the series lives by.
    pub zone: String,
    /// Windows in which nothing starts and nothing is learned.
    pub maintenance: Vec<WrittenMaintenance>,
    /// Local dates that are expected to be like the weekday `like`.
    pub holidays: Vec<String>,
    /// Weekday that holidays are like.
    pub like: String,
}

/// When something is worked on: every week between two times of the day, or once between two times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenMaintenance {
    /// Weekdays on which it begins; none for every day. Belongs to times of the day.
    pub days: Vec<String>,
    /// `22:00`, `2024-12-24T18:00` in the zone, or a time with an offset.
    pub from: String,
    /// The same, exclusive; a time of the day that is not later is that of the next day.
    pub to: String,
}

impl Default for WrittenCalendar {
    fn default() -> Self {
        WrittenCalendar {
            scope: WrittenScope::default(),
            zone: "UTC".to_string(),
            maintenance: Vec::new(),
            holidays: Vec::new(),
            like: "sunday".to_string(),
        }
    }
}

impl Default for WrittenStories {
    fn default() -> Self {
        WrittenStories {
            within: Seconds(600),
            open_max: 10_000,
            insights_max: 1_000,
        }
    }
}

impl Default for WrittenKnowledge {
    fn default() -> Self {
        WrittenKnowledge {
            path: None,
            records_max: 10_000,
            bytes_max: 16 << 20,
        }
    }
}
