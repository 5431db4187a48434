//! Stage 1: which events count, duplicates, lateness, tallies; `AuditEvent` in, `LogRecord` out.
//!
//! [`Ingest`] takes the events of one source in their order and says, minute by minute, how
//! often each series was called or failed. [`Merge`] makes one source of many streams of files,
//! [`RatesIngest`] takes counts that somebody else made. What goes out depends on the order of
//! the records only, never on how they were cut into batches. It knows no file, no clock and
//! nothing of baselines.

mod counts;
mod fingerprint_table;
mod fingerprints;
mod merge;
mod rates_ingest;
mod recent_ids;
mod roll_up_totals;
mod rules;
mod selectors;
mod selectors_check;
mod selectors_spec;
mod series_keys;
mod settings;
mod source;
mod streams;
mod tallies;

pub use counts::{CountedLimits, IngestCounts, IngestSizes};
pub use merge::{JumpReason, JumpReject, Merge, Step};
pub use rates_ingest::{RatesIngest, RowsError, RowsSettings};
pub use selectors::Selectors;
pub use selectors_spec::{
    AdvancedSelectorSpec, BasicSelectorSpec, DataResourceSpec, FieldSelectorSpec, ReadWriteType,
    SelectorsSpec,
};
pub use settings::{IngestLimits, IngestSettings};
pub use source::Ingest;
pub use streams::stream_name;
