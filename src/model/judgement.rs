//! What the detector made of one series at one minute, for those who look closely at it.
//!
//! The detector fills it in while it decides; it holds numbers and no decision. Surprises and
//! scores are in decades: 6 is one in a million.

use super::{Direction, Minute, ScoreState};

/// A verdict with what it was made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    pub minute: Minute,
    pub count: u64,
    /// Count expected in the minute.
    pub expected: f64,
    /// 5 % and 95 % quantiles of the count expected in the minute.
    pub low: f64,
    pub high: f64,
    /// Surprise that no explanation took away.
    pub surprise: f64,
    /// Score after recalibration, per series-hour.
    pub z: f64,
    pub state: ScoreState,
    /// Where it was asked for.
    pub reasons: Option<Box<Reasons>>,
}

/// Everything that led to a score, and what a Start needed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasons {
    /// Windows that end with the minute, shortest first.
    pub windows: Vec<WindowReasons>,
    /// Place of the window that surprises most after explanations; `None` where none does.
    pub chosen: Option<usize>,
    /// Hours whose surprise was beyond the limit that recalibration counts, and hours in all; of
    /// both half is forgotten in a week. How easily the series surprises.
    pub exceedances: f64,
    pub hours: f64,
    /// Score before precedents were asked.
    pub z_alone: f64,
    /// Comparable episodes of the last week; two of them excuse.
    pub precedents: u32,
    /// What of the score counts towards a Start.
    pub start_z: f64,
    /// Score that a Start needs; infinite before the first is known.
    pub needed: f64,
    /// It needs more because the series is in its first week.
    pub is_first_week: bool,
    /// It needs more because it would continue an incident that ended a moment ago.
    pub continues: bool,
}

/// One window: what was seen in it, and what each explanation leaves of its surprise.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowReasons {
    pub minutes: u32,
    pub count: f64,
    /// Mean of the expected count.
    pub expected: f64,
    /// 5 % and 95 % quantiles of the expected count.
    pub low: f64,
    pub high: f64,
    /// Variance over mean.
    pub dispersion: f64,
    pub direction: Direction,
    /// Surprise under the baseline itself.
    pub raw: f64,
    /// Whether it surprised enough for explanations to be looked for.
    pub is_explained: bool,
    /// Calls that came early or late; `None` where that changes nothing.
    pub shifted: Option<Explained>,
    /// The same time of other days; `None` where nothing like it happened then.
    pub same_phase: Option<Explained>,
    /// Surprise that is left in the end.
    pub surprise: f64,
}

/// An explanation that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Explained {
    /// Count that the window should have under it.
    pub expected: f64,
    /// Surprise that it and those before it leave.
    pub left: f64,
}
