//! Score rows of one bucket, put in the order of series keys.

use std::collections::HashMap;
use std::sync::Arc;

use super::clock::Clock;
use super::registry::Registry;
use super::verdict::{Phase, Verdict};
use crate::model::{Direction, ScoreRow, ScoreState, SeriesKey};

/// Rows of the running bucket, and the keys of series that had rows before.
#[derive(Debug, Default)]
pub struct ScoreRows {
    rows: Vec<ScoreRow>,
    keys: HashMap<u32, Arc<SeriesKey>>,
}

impl ScoreRows {
    pub fn push(&mut self, id: u32, verdict: &Verdict, registry: &Registry, clock: Clock) {
        let key = self
            .keys
            .entry(id)
            .or_insert_with(|| Arc::new(registry.key(id).to_key()));
        let (low, high) = verdict.expected_range();
        self.rows.push(ScoreRow {
            key: key.clone(),
            minute: clock.minute(verdict.t),
            count: verdict.count,
            expected: verdict.expected,
            low,
            high,
            surprise: verdict.surprise,
            z: verdict.z,
            state: score_state(verdict.phase),
        });
    }

    /// Appends the rows of the bucket to `out`.
    pub fn finish(&mut self, out: &mut Vec<ScoreRow>) {
        self.rows.sort_by(|a, b| a.key.cmp(&b.key));
        out.append(&mut self.rows);
    }

    /// Drops the key of a series whose id may come to mean another.
    pub fn forget(&mut self, id: u32) {
        self.keys.remove(&id);
    }
}

/// The phase as rows and judgements have it.
pub fn score_state(phase: Phase) -> ScoreState {
    match phase {
        Phase::WarmUp => ScoreState::Warmup,
        Phase::New => ScoreState::New,
        Phase::Calm => ScoreState::None,
        Phase::Incident(Direction::Up) => ScoreState::Up,
        Phase::Incident(Direction::Down) => ScoreState::Down,
    }
}
