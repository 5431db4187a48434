//! What an engine can tell of itself: counters that only grow, and sizes.

use serde::{Deserialize, Serialize};

use super::budget::Class;
use super::engine::Engine;
use super::fleet::Threshold;
use super::invariants::require;
use crate::model::Minute;

/// Counters since the engine began; part of its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineCounts {
    /// (Series, bucket) pairs judged.
    pub visits: u64,
    /// Late (series, bucket) counts that repaired history.
    pub corrections: u64,
    /// Late entries from before the window or the origin, and what they counted.
    pub corrections_dropped: u64,
    pub corrections_dropped_count: u64,
    /// Entries of series over the limit of their shard, and what they counted.
    pub entries_untracked: u64,
    pub entries_untracked_count: u64,
    /// Entries whose count was beyond what one entry may count, 2^40.
    pub entries_capped: u64,
    /// Attribution counts over the limit of values a day.
    pub values_excess: u64,
    /// Series forgotten after long silence.
    pub forgotten: u64,
    /// Starts that maintenance windows kept from being ones, those of one series within two hours
    /// as one.
    pub starts_in_maintenance: u64,
}

/// Counters, sizes and where the engine stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineStats {
    pub counts: EngineCounts,
    pub series: u64,
    pub incidents_open: u64,
    /// Feedback that was heeded.
    pub feedback_heeded: u64,
    /// Attribution values held.
    pub values: u64,
    /// Reports of sources that went back in time.
    pub watermark_regressions: u64,
    pub origin: Option<Minute>,
    /// First minute that is not closed.
    pub closed: Option<Minute>,
    /// Threshold that call rates need under the global budget in the running hour, unless it is
    /// fixed by hand.
    pub threshold: Option<Threshold>,
    /// Series of the fleet with a count in the last seven days, where there is a fleet layer.
    pub live_series: Option<u64>,
    /// Budgets below what thresholds were verified for, 1e-4 false insights per series-week: bit 0
    /// is the global one, the others follow in their order.
    pub beyond_verified: u32,
    pub registry_bytes: u64,
    pub window_bytes: u64,
    pub days_bytes: u64,
    pub values_bytes: u64,
    pub recent_bytes: u64,
    pub wheel_bytes: u64,
    pub states_bytes: u64,
    pub waiting_bytes: u64,
}

impl EngineCounts {
    /// Checks counters that were read.
    pub(super) fn check(&self) -> Result<(), String> {
        let counters = [
            self.visits,
            self.corrections,
            self.corrections_dropped,
            self.corrections_dropped_count,
            self.entries_untracked,
            self.entries_untracked_count,
            self.entries_capped,
            self.values_excess,
            self.forgotten,
            self.starts_in_maintenance,
        ];
        let can_go_on = counters.iter().all(|count| *count <= 1 << 62);
        require(can_go_on, "all", "they are counts that can go on")
    }

    pub(super) fn refuse(&mut self, count: u64) {
        self.entries_untracked += 1;
        self.entries_untracked_count += count;
    }

    pub(super) fn drop_correction(&mut self, count: u64) {
        self.corrections_dropped += 1;
        self.corrections_dropped_count += count;
    }
}

impl EngineStats {
    /// What to say of budgets below what thresholds were verified for; `bits` as in
    /// [`Self::beyond_verified`].
    pub fn warning_of(bits: u32) -> Option<String> {
        let scopes = (0..u32::BITS).filter(|scope| bits & (1 << scope) != 0);
        let names: Vec<String> = scopes
            .map(|scope| match scope.checked_sub(1) {
                None => "detector.budget_per_week".to_string(),
                Some(index) => format!("detector.budgets[{index}]"),
            })
            .collect();
        (!names.is_empty()).then(|| {
            format!(
                "{}: less than 1e-4 false insights a week for each live series, for which no \
                 threshold was verified; there may be more, and little is found",
                names.join(", ")
            )
        })
    }

    /// Heap bytes of all parts.
    pub fn memory_bytes(&self) -> u64 {
        self.registry_bytes
            + self.window_bytes
            + self.days_bytes
            + self.values_bytes
            + self.recent_bytes
            + self.wheel_bytes
            + self.states_bytes
            + self.waiting_bytes
    }
}

impl Engine {
    /// Sizes and counters.
    pub fn stats(&self) -> EngineStats {
        let state = &self.state;
        let thresholds = state.fleet.thresholds();
        EngineStats {
            counts: state.counts,
            series: state.registry.len() as u64,
            incidents_open: state.incidents.len() as u64,
            feedback_heeded: state.told.len() as u64,
            values: state.values.len() as u64,
            watermark_regressions: state.watermarks.regressions(),
            origin: state.clock.map(|clock| clock.origin()),
            closed: state.closed.map(Minute),
            threshold: thresholds.and_then(|all| all.of(Class(0))).copied(),
            live_series: thresholds.map(|all| all.live_series),
            beyond_verified: thresholds.map_or(0, |all| {
                all.beyond_verified().fold(0, |bits, one| bits | 1 << one)
            }),
            registry_bytes: state.registry.memory_bytes() as u64,
            window_bytes: state.window.memory_bytes() as u64,
            days_bytes: state.days.memory_bytes() as u64,
            values_bytes: state.values.memory_bytes() as u64,
            recent_bytes: state.recent.memory_bytes() as u64,
            wheel_bytes: state.wheel.memory_bytes() as u64,
            states_bytes: state.series.memory_bytes() as u64,
            waiting_bytes: state.waiting.memory_bytes() as u64,
        }
    }
}
