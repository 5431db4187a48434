//! What outsiders may see of a run: sums, spans and reasons, as values that print themselves.

mod explanation;
mod replay_summary;

pub use explanation::{ExplainedPair, ExplainedSilence};
pub use replay_summary::{RecordSums, ReplaySummary, RunCost, ThresholdView};
