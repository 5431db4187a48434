//! Insights over time, as values: the model of what `replay --report` and `diff --report` show.
//!
//! Times are seconds since the epoch, rates are calls or errors a minute. It holds plain text and
//! numbers only, so that a page or a JSON file needs to know nothing of the engine.

use serde::Serialize;

use super::diff::Mark;

/// A whole report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TimelineReport {
    pub title: String,
    pub engine_version: String,
    /// What was read and what came of it, in the order to show.
    pub facts: Vec<Fact>,
    /// First and last second of the input.
    pub first: i64,
    pub last: i64,
    /// When the engine is older than its first week; `None` where that is not known.
    pub warm_up_end: Option<i64>,
    pub budget: Option<BudgetView>,
    /// What the reader should know before believing any of this.
    pub notes: Vec<String>,
    /// In the order to list.
    pub insights: Vec<TimelineInsight>,
}

/// A name and its value, both as a person reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fact {
    pub name: String,
    pub value: String,
}

/// False insights a week, asked for and made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BudgetView {
    pub requested_per_week: f64,
    /// Insights a week, true ones included.
    pub spent_per_week: f64,
    /// 90 % interval of the latter.
    pub spent_per_week_90: (f64, f64),
    /// Weeks that were looked at.
    pub weeks: f64,
}

/// One insight.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TimelineInsight {
    /// Unique in the report.
    pub id: String,
    pub series: SeriesView,
    pub direction: DirectionView,
    pub onset: i64,
    /// `None` while it goes on.
    pub end: Option<i64>,
    pub decided_at: i64,
    pub sentences: Vec<String>,
    pub facts: Vec<Fact>,
    pub attributions: Vec<AttributionView>,
    /// How two settings differ in it.
    pub mark: Option<MarkView>,
    /// Seven days before the onset to some hours after it, in steps of a quarter of an hour.
    pub coarse: Option<ChartView>,
    /// Three hours around it, by minute.
    pub fine: Option<ChartView>,
}

/// The parts of a series' key.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SeriesView {
    pub account: String,
    pub region: String,
    pub event_source: String,
    pub event_name: String,
    pub insight_type: String,
    /// Empty for call rates.
    pub error_code: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectionView {
    /// More than usual.
    #[default]
    Up,
    /// Less than usual.
    Down,
}

/// What one value of a dimension had part in.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AttributionView {
    /// Such as `userIdentityArn`.
    pub dimension: String,
    pub value: String,
    pub insight_average: f64,
    pub baseline_average: f64,
}

/// What became of an insight from one setting to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MarkView {
    pub mark: Mark,
    /// One line.
    pub reason: String,
}

/// A rate and what was expected of it; all arrays are of one length, `None` where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChartView {
    pub start: i64,
    pub step_seconds: i64,
    /// Average count a minute.
    pub seen: Vec<Option<f64>>,
    pub expected: Vec<Option<f64>>,
    /// The range that would have been usual.
    pub low: Vec<Option<f64>>,
    pub high: Vec<Option<f64>>,
}
