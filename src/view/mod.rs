//! What outsiders may see of a run: sums, spans, reasons and health, as values that print
//! themselves or are shown by the shell.

mod explanation;
mod health;
mod insight_pairs;
mod mutes;
pub mod plot;
pub mod reasons;
mod replay_summary;
mod stories;

pub use explanation::{ExplainedPair, ExplainedSilence};
pub use health::{Health, HealthReason, STARTING};
pub use insight_pairs::InsightPairs;
pub use mutes::{MuteView, Mutes};
pub use replay_summary::{RecordSums, ReplaySummary, RunCost, StoriesView, ThresholdView};
pub use stories::{LargestStories, Stories, Story, StoryInsight, StorySettings};
