//! What the engine says at each end of an incident, as values.
//!
//! A `Verdict` (in `detect`) is an opinion on one minute, an `Incident` (in `detect`) a decision
//! about a span; an [`InsightEvent`] is what is published when an incident starts and ends.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Dimension, Minute, SeriesKey, SourceCategory};

/// Which end of an incident an insight event reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edge {
    End,
    Start,
}

/// To which side of its baseline a rate went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// More than usual, novelty included.
    Up,
    /// Less than usual.
    Down,
}

impl Direction {
    /// `up` or `down`, as records and identifiers have it.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
        }
    }
}

/// Why an incident ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndReason {
    /// Five calm minutes in a row.
    Calm,
    /// It lasted a day: the new level is the baseline from here on.
    NewNormal,
}

/// What an incident is made of, and so when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IncidentKind {
    /// Unusual minutes: when some are as usual again.
    Minutes,
    /// Unusual hours: when one closes that is as usual.
    Hours,
    /// Calls that did not come: when a busy hour closes.
    Missed,
}

/// An innocent explanation of a surprising window (reference detection, section 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Innocent {
    /// The baseline itself; nothing else came closer.
    Baseline,
    /// The expected calls came a few minutes early or late.
    Shifted,
    /// It happens at this time of day.
    SamePhase,
    /// Two comparable episodes within the last seven days.
    Precedent,
    /// One hour of the many makes it (windows of hours only).
    SingleHour,
    /// The calls of a regular hour come more than an hour late (missed calls only).
    Late,
}

/// One value of an attribution with its count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributionValue {
    pub value: Box<str>,
    /// Calls or errors over the minutes of the side it belongs to.
    pub count: u64,
}

/// The values of one dimension that made the difference; at most five a side, most first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    pub dimension: Dimension,
    /// Over the insight's minutes.
    pub insight: Vec<AttributionValue>,
    /// Over the baseline's minutes.
    pub baseline: Vec<AttributionValue>,
}

/// Why a Start was decided, with the numbers it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    pub kind: IncidentKind,
    /// Length in minutes of the window that was most surprising.
    pub window_minutes: u32,
    /// Count seen in that window.
    pub observed: f64,
    /// Count expected in that window.
    pub expected: f64,
    /// 5 % and 95 % quantiles of the count expected in that window.
    pub expected_low: f64,
    pub expected_high: f64,
    /// Surprise before innocent explanations, in decades.
    pub surprise_raw: f64,
    /// Surprise that no explanation took away, in decades.
    pub surprise: f64,
    /// Score after recalibration by the series' own history, in decades per series-hour.
    pub z: f64,
    /// Score that was needed.
    pub z_threshold: f64,
    /// False insights a week that the user accepts over what the budget is for; `None` when the
    /// threshold was fixed by hand.
    pub budget_per_week: Option<f64>,
    /// What that budget is for, as `field=pattern` with commas between; `None` for the global one.
    pub budget_scope: Option<Box<str>>,
    /// Insights at least as strong expected a week over all series that share the budget, true ones
    /// included, by the fleet's own history.
    pub expected_per_week: Option<f64>,
    /// The explanation that came closest to taking the surprise away.
    pub closest: Innocent,
    /// Count in the same window nearest to `expected` that would still have started an incident.
    pub count_to_fire: Option<u64>,
}

/// What is published at one end of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct InsightEvent {
    pub series: SeriesKey,
    pub category: SourceCategory,
    pub edge: Edge,
    pub direction: Direction,
    pub shared_event_id: Uuid,
    pub event_id: Uuid,
    /// First unusual minute (Start) or first minute that is usual again (End).
    pub minute: Minute,
    /// The minute whose close brought the decision.
    pub decided_at: Minute,
    /// The minute whose close brought the Start, equal in Start and End.
    pub start_decided_at: Minute,
    /// Count over `baseline_minutes`, equal in Start and End.
    pub baseline_count: u64,
    /// Minutes from midnight UTC of (start - 7 days) to start, 10,080 to 11,519.
    pub baseline_minutes: u32,
    /// Count over `insight_minutes`.
    pub insight_count: u64,
    /// Start: from the first unusual minute to `decided_at`, both included. End: the incident.
    pub insight_minutes: u32,
    pub attributions: Vec<Attribution>,
    /// Counts that attribution left out because a day had more values than are kept.
    pub attribution_truncated: u64,
    /// The pair that this one follows within two hours, in the same direction.
    pub continues: Option<Uuid>,
    /// Why it ended; `None` in a Start.
    pub reason: Option<EndReason>,
    /// The numbers of the Start, equal in Start and End.
    pub explanation: Explanation,
}

#[cfg(test)]
impl InsightEvent {
    /// One end of a pair for tests: only what names it and where it stands in time has a meaning.
    pub(crate) fn sample(key: &str, edge: Edge, minute: u32, decided_at: u32) -> Self {
        let series = SeriesKey::parse(key).expect("the key is well-formed");
        let name = format!("{series}{minute}");
        InsightEvent {
            series,
            category: SourceCategory::Management,
            edge,
            direction: Direction::Up,
            shared_event_id: Uuid::new_v5(&Uuid::nil(), name.as_bytes()),
            event_id: Uuid::nil(),
            minute: Minute(minute),
            decided_at: Minute(decided_at),
            start_decided_at: Minute(decided_at),
            baseline_count: 0,
            baseline_minutes: 10_080,
            insight_count: 0,
            insight_minutes: 1,
            attributions: Vec::new(),
            attribution_truncated: 0,
            continues: None,
            reason: None,
            explanation: Explanation {
                kind: IncidentKind::Minutes,
                window_minutes: 1,
                observed: 0.0,
                expected: 0.0,
                expected_low: 0.0,
                expected_high: 0.0,
                surprise_raw: 0.0,
                surprise: 0.0,
                z: 0.0,
                z_threshold: 0.0,
                budget_per_week: None,
                budget_scope: None,
                expected_per_week: None,
                closest: Innocent::Baseline,
                count_to_fire: None,
            },
        }
    }
}
