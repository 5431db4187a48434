//! The values all rooms talk about: time, series, audit events, rates and insights.
//!
//! Plain data with invariants; it knows nothing of bytes on the wire, of files or of decisions.

mod event;
mod insight;
mod judgement;
mod knowledge;
mod prefetch;
mod rates;
mod roll_up;
mod scope;
mod score;
mod series;
mod time;

pub use event::{AuditEvent, EventBatch, EventCategory, EventFields};
pub use insight::{
    Attribution, AttributionValue, Direction, Edge, EndReason, Explanation, IncidentKind, Innocent,
    InsightEvent,
};
pub use judgement::{Explained, Judgement, Reasons, WindowReasons};
pub use knowledge::{Feedback, Knowledge, KnowledgeLimits, Known, Mute, Said};
pub use prefetch::{prefetch_read, prefetch_whole};
pub use rates::{
    AttributionDelta, Dimension, LogRecord, Progress, Rates, RatesBuilder, RatesEntry, SourceState,
};
pub use roll_up::{RollUp, RollUps, roll_up_in_words};
pub use scope::Scope;
pub use score::{ScoreRow, ScoreState};
pub use series::{Fingerprint, InsightType, SHARDS, SeriesKey, SeriesRef, SourceCategory};
pub use time::{EventTime, Minute};
