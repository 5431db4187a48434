//! Where output goes: insight records, stories, scores, rejected records, each to a file or
//! standard output.
//!
//! A sink writes what it is given, in the order in which it is given, and says which file a
//! failure belongs to. It decides nothing.

mod insights;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "kafka")]
pub mod kafka_lines;
mod rates;
mod rejects;
mod scores;
mod stories;
mod target;

pub use insights::InsightSink;
pub use rates::RatesSink;
pub use rejects::{RejectSink, Rejected};
pub use scores::ScoreSink;
pub use stories::StorySink;
pub use target::{SinkError, Target};
