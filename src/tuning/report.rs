//! What `insightd tune` has to say, as values: the model of its reports in every form.
//!
//! Rates are a week over all series, delays in minutes, shares from 0 to 1, times RFC 3339.

use serde::Serialize;

/// A whole report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TuneReport {
    pub engine_version: String,
    pub input: InputView,
    /// The minutes that are judged; `None` where the input is too short for any.
    pub scored: Option<ScoredView>,
    /// False insights a week that the user accepts.
    pub budget_per_week: f64,
    /// The present settings first.
    pub settings: Vec<SettingView>,
    pub rivals: Vec<RivalView>,
    pub injections: InjectionsView,
    pub recommendation: Recommendation,
    /// What important series could still show under the present settings.
    pub smallest: Vec<SmallestView>,
    /// What became of each label under the present settings.
    pub labels: Vec<LabelView>,
    /// What the reader should know before believing any of this.
    pub notes: Vec<String>,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct InputView {
    pub files: u64,
    pub records: u64,
    pub counted: u64,
    pub rejected: u64,
    pub series: u64,
    /// Counts of one series and minute.
    pub counts: u64,
    pub first: Option<String>,
    pub last: Option<String>,
}

/// The time in which insights are judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ScoredView {
    pub from: String,
    pub to: String,
    pub weeks: f64,
    /// Weeks of it in which the engine is older than its first week.
    pub settled_weeks: f64,
}

/// A budget of its own and what was spent of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ScopeView {
    /// What it matches.
    pub name: String,
    pub budget_per_week: f64,
    /// Thresholds at the end, in decades, of call rates and of error rates.
    pub threshold: f64,
    pub threshold_errors: f64,
    pub unlabelled_per_week: f64,
    /// Unlabelled insights over its budget.
    pub budget_spent: f64,
}

/// One setting: what it costs and finds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SettingView {
    pub name: String,
    /// Keys and values by which it differs from the present settings.
    pub overrides: Vec<(String, String)>,
    pub settings_hash: String,
    /// False insights a week that its threshold is made for; `None` where that is fixed.
    pub budget_per_week: Option<f64>,
    /// Thresholds at the end, in decades, of call rates and of error rates outside all scopes.
    pub threshold: Option<f64>,
    pub threshold_errors: Option<f64>,
    /// By scope, the rest first; empty without scopes.
    pub scopes: Vec<ScopeView>,
    pub insights: u64,
    pub insights_per_week: f64,
    /// 90 % interval of the latter.
    pub insights_per_week_90: (f64, f64),
    /// Insights that hit a label, and those that hit none; without labels all are of the second.
    pub labelled: u64,
    pub unlabelled_per_week: f64,
    pub unlabelled_per_week_90: (f64, f64),
    /// Unlabelled insights over its own budget: 1 is all of it.
    pub budget_spent: Option<f64>,
    /// Found of the planted incidents, by kind.
    pub kinds: Vec<KindView>,
    pub mean_detection: Option<f64>,
    /// Found of the labels, by kind.
    pub label_kinds: Vec<KindView>,
    pub precision: Option<f64>,
    pub recall: Option<f64>,
    /// The series with the most insights.
    pub spenders: Vec<SpenderView>,
    pub stories: StoriesView,
    /// Insights of the judged time that mutes hide; they are among the others here.
    pub muted: u64,
}

/// Starts of the judged time that are not muted, grouped into stories; continued ones count, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StoriesView {
    pub starts: u64,
    pub stories: u64,
    /// Those with most Starts, at least two, most first.
    pub largest: Vec<StoryView>,
}

/// One story.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StoryView {
    pub account: String,
    /// First unusual minute of its insights.
    pub start: String,
    pub starts: u64,
    /// Its main APIs, most Starts first.
    pub apis: String,
}

/// Hits of one kind of incidents.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KindView {
    pub kind: String,
    pub incidents: u32,
    pub found: u32,
    pub delay_median: Option<u32>,
    pub delay_90: Option<u32>,
}

/// A series that spends the budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SpenderView {
    pub series: String,
    pub insights: u64,
    /// Of all unlabelled insights.
    pub share: f64,
}

/// A detector that is no better than it has to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RivalView {
    pub name: String,
    pub about: String,
    /// Alarms a week over all series.
    pub alarms_per_week: f64,
    pub mean_detection: Option<f64>,
    pub kinds: Vec<KindView>,
    pub recall: Option<f64>,
}

/// What was planted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct InjectionsView {
    pub planted: u64,
    pub series: u64,
    /// Why nothing was planted, if so.
    pub why_none: Option<String>,
}

/// What the report would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Recommendation {
    /// Place of the setting in the list; `None` where none can be recommended.
    pub setting: Option<usize>,
    /// In a line each: why this and not another.
    pub reasons: Vec<String>,
    /// The keys to set, as TOML ready to paste; empty where nothing changes.
    pub toml: String,
}

/// What one series could still show.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SmallestView {
    pub series: String,
    /// Mean calls or errors a minute over the last seven days.
    pub usual: f64,
    pub asked: String,
    /// Extra calls a minute over ten minutes.
    pub surge: Option<u64>,
    /// Minutes until a full stop is noticed.
    pub stop_minutes: Option<u32>,
    /// Why nothing can be said.
    pub why_unknown: Option<String>,
}

/// What became of one label.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LabelView {
    pub series: String,
    pub start: String,
    pub end: String,
    pub kind: String,
    pub is_hit: bool,
    pub delay: Option<u32>,
    /// Why it was missed.
    pub why_missed: Option<String>,
}
