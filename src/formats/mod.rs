//! Bytes to values and back, one file per format.
//!
//! A [`Decoder`] takes the bytes of one input in any pieces and gives events; what it recognises
//! and what becomes of everything else is in `docs/formats.md`.

mod cloudtrail;
mod collector;
mod csv_fields;
mod decoded;
mod decoder;
mod envelopes;
mod framer;
mod insight_record;
mod insight_writer;
mod json;
mod knowledge_record;
mod lines;
pub mod mapping;
mod number;
mod payload;
mod rates_csv;
pub mod rates_record;
mod rates_writer;
mod reader;
mod restart;
mod scores_csv;
mod sentence;

pub use decoded::{
    DecodeCounts, DecodeLimits, DecodeRoom, Decoded, Format, Reject, RejectReason, SkipRule,
};
pub use decoder::Decoder;
pub use insight_record::InsightRecord;
pub use insight_writer::{RecordContext, write_insight};
pub use knowledge_record::{
    KnowledgeRead, OWNER_BYTES_MAX, REASON_BYTES_MAX, check_text, parse_knowledge, read_knowledge,
    write_knowledge,
};
pub use mapping::{Mapping, MappingSpec};
pub use rates_csv::{RateRow, RateRows, RatesCsvDecoder};
pub use rates_writer::{RATES_HEADER, write_rates};
pub use scores_csv::{SCORES_HEADER, write_score_row};
pub use sentence::sentence;
