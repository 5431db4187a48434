//! One row of the `--scores` output: what the detector thought of one series at one minute.
//!
//! The detector fills it in, `formats` prints it; it holds numbers and no decision.

use std::sync::Arc;

use super::{Minute, SeriesKey};

/// What a series' incident machinery says after a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScoreState {
    /// The engine is too young to start incidents.
    Warmup,
    /// The series is too young to start incidents.
    New,
    /// No incident is open.
    None,
    /// An incident upwards is open.
    Up,
    /// An incident downwards is open.
    Down,
}

/// One evaluated (series, minute).
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreRow {
    pub key: Arc<SeriesKey>,
    pub minute: Minute,
    pub count: u64,
    /// Count expected in the minute.
    pub expected: f64,
    /// 5 % and 95 % quantiles of the count expected in the minute.
    pub low: f64,
    pub high: f64,
    /// Surprise that no explanation took away, in decades.
    pub surprise: f64,
    /// Score after recalibration, in decades per series-hour.
    pub z: f64,
    pub state: ScoreState,
}

impl ScoreState {
    /// The name in the `state` column.
    pub fn name(self) -> &'static str {
        match self {
            ScoreState::Warmup => "warmup",
            ScoreState::New => "new",
            ScoreState::None => "none",
            ScoreState::Up => "up",
            ScoreState::Down => "down",
        }
    }
}
