//! The settings of stage 1. The defaults are those of `config/insightd.toml`.

use super::Selectors;
use crate::model::RollUps;

/// What counts, and when a count is final.
#[derive(Clone, Debug)]
pub struct IngestSettings {
    /// How far an event may lie behind its source's highest event time and still be in time.
    pub lateness_seconds: u32,
    /// How far behind its source's highest event time an event id is remembered.
    pub dedup_horizon_seconds: u32,
    /// Read calls count into call rates, too.
    pub read_calls: bool,
    /// Data events count, too.
    pub data_events: bool,
    /// Width of a bucket of event time: 1, 5, 15 or 60 minutes.
    pub bucket_minutes: u32,
    pub selectors: Selectors,
    /// Event types (CloudTrail's `eventType`) that are never counted.
    pub event_types_excluded: Vec<String>,
    /// What calls and errors are added up by, beside those of APIs.
    pub roll_ups: RollUps,
    pub limits: IngestLimits,
}

/// Bounds on what input can grow. None changes what is counted before it is reached.
#[derive(Clone, Copy, Debug)]
pub struct IngestLimits {
    /// Event ids remembered; over it the oldest are forgotten.
    pub dedup_entries_max: u32,
    /// Different minutes pending, late ones included; over it a batch goes out early.
    pub open_minutes_max: u32,
    /// Different series of pending minutes, by minute; over it a batch goes out early.
    pub series_max: u32,
    /// Different attribution values of pending minutes, by minute; over it a batch goes out
    /// early.
    pub values_max: u32,
    /// Calls, errors and resources pending; over it a batch goes out early.
    pub rows_max: u32,
}

impl Default for IngestSettings {
    fn default() -> Self {
        IngestSettings {
            lateness_seconds: 600,
            dedup_horizon_seconds: 1800,
            read_calls: false,
            data_events: false,
            bucket_minutes: 1,
            selectors: Selectors::default(),
            event_types_excluded: Vec::new(),
            roll_ups: RollUps::default(),
            limits: IngestLimits::default(),
        }
    }
}

impl Default for IngestLimits {
    fn default() -> Self {
        IngestLimits {
            dedup_entries_max: 4_000_000,
            open_minutes_max: 64,
            series_max: 4_000_000,
            values_max: 4_000_000,
            rows_max: 4_000_000,
        }
    }
}
