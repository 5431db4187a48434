//! What decoding gives: events, rejected records with their reason, and counts that add up.
//!
//! Every record met is an event, skipped by a rule, or rejected for a reason; all three sets are
//! closed, so that a metric can have one label per member.

use std::sync::Arc;

use super::mapping::Mapping;
use crate::model::EventBatch;

/// Bounds on what one record may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// A longer record is rejected; its bytes are not kept in memory.
    pub record_bytes_max: usize,
    /// A record with a longer account, region, source, name or error code is rejected.
    pub key_bytes_max: usize,
    /// A longer attribution value is cut at a character boundary, and counted.
    pub value_bytes_max: usize,
    /// A more deeply nested record is rejected.
    pub nesting_max: u32,
    /// Decompressed bytes that the envelopes of one input value may hold together.
    pub payload_bytes_max: usize,
    /// Bytes of a rejected record that are kept.
    pub reject_bytes_max: usize,
    /// Rejected records of one input value that are kept; over it they are only counted.
    pub rejects_kept_max: u32,
}

/// How much one [`Decoded`] should hold; the value that fills it is still taken whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeRoom {
    pub events: usize,
    /// Bytes of the events' text.
    pub text_bytes: usize,
    /// Bytes of the rejects.
    pub reject_bytes: usize,
}

/// How the input is to be understood.
#[derive(Clone, Debug, Default)]
pub enum Format {
    /// CloudTrail records, bare or in any envelope that is recognised by content.
    #[default]
    Auto,
    /// CloudTrail records only, in any framing; envelopes are rejected.
    CloudTrail,
    /// Another audit log, read through a mapping.
    Mapping(Arc<Mapping>),
}

/// Everything decoded since the last [`Decoded::clear`].
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    pub events: EventBatch,
    pub rejects: Vec<Reject>,
    pub counts: DecodeCounts,
    /// Bytes that `rejects` take.
    reject_bytes: usize,
}

/// A record that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub reason: RejectReason,
    /// How many records the decoder had met before this one.
    pub record_index: u64,
    /// Where in the decompressed input the outermost value that holds the record begins.
    pub byte_offset: u64,
    /// What exactly was wrong, for people.
    pub detail: String,
    /// The record as read, cut to [`DecodeLimits::reject_bytes_max`].
    pub record: Vec<u8>,
}

/// How many records went which way; `records == events + skipped + rejected`, always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodeCounts {
    pub records: u64,
    pub events: u64,
    skipped: [u64; SkipRule::ALL.len()],
    rejected: [u64; RejectReason::ALL.len()],
    /// Rejected records over [`DecodeLimits::rejects_kept_max`].
    pub rejects_not_kept: u64,
    /// Attribution values that were cut to [`DecodeLimits::value_bytes_max`].
    pub values_cut: u64,
    /// Events whose read-only flag was derived from the event name.
    pub read_only_derived: u64,
}

/// Declares a closed set of outcomes with their names.
macro_rules! outcomes {
    ($(#[$outer:meta])* $type:ident {
        $($(#[$inner:meta])* $variant:ident => $name:literal,)+
    }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$inner])* $variant,)+ }

        impl $type {
            pub const ALL: [$type; [$($name),+].len()] = [$($type::$variant),+];

            /// The name in metrics, summaries and dead letters.
            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $name,)+ }
            }
        }
    };
}

outcomes! {
    /// Why a record was rejected.
    RejectReason {
        /// Neither JSON nor anything else that is recognised.
        NotJson => "not_json",
        /// It begins as JSON and then breaks the grammar.
        InvalidJson => "invalid_json",
        /// The input ended inside it.
        Truncated => "truncated",
        RecordTooLong => "record_too_long",
        NestedTooDeep => "nested_too_deep",
        InvalidUtf8 => "invalid_utf8",
        /// A control character, for example NUL, where JSON allows none.
        ControlCharacter => "control_character",
        /// Well-formed, but no record and no envelope that is recognised.
        NotARecord => "not_a_record",
        /// An `eventVersion` whose major number is not 1.
        UnsupportedVersion => "unsupported_version",
        MissingTime => "missing_time",
        InvalidTime => "invalid_time",
        MissingSource => "missing_source",
        MissingName => "missing_name",
        /// A part of the series key is of a type that has no sensible text.
        WrongType => "wrong_type",
        KeyTooLong => "key_too_long",
        /// An envelope whose payload is not base64 of gzip, or is damaged.
        InvalidPayload => "invalid_payload",
        PayloadTooLarge => "payload_too_large",
        EnvelopeTooDeep => "envelope_too_deep",
        /// A line that the pattern of its mapping does not match.
        LineMismatch => "line_mismatch",
        /// A row of the rates CSV that cannot be read.
        InvalidRow => "invalid_row",
    }
}

outcomes! {
    /// Why a well-formed record is not an event.
    SkipRule {
        /// An Insights record.
        Insight => "insight",
        /// An aggregate of other events.
        Aggregated => "aggregated",
        /// A digest of delivered log files.
        Digest => "digest",
        /// A notice that log files were delivered to a bucket.
        DeliveryNotice => "delivery_notice",
        /// A CloudWatch Logs `CONTROL_MESSAGE`, or an SNS subscription message.
        ControlMessage => "control_message",
        /// A record that its mapping's `only` leaves out.
        Filtered => "filtered",
    }
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits {
            record_bytes_max: 16 << 20,
            key_bytes_max: 1024,
            value_bytes_max: 2048,
            nesting_max: 512,
            payload_bytes_max: 64 << 20,
            reject_bytes_max: 64 << 10,
            rejects_kept_max: 1000,
        }
    }
}

impl DecodeRoom {
    pub const UNLIMITED: DecodeRoom = DecodeRoom {
        events: usize::MAX,
        text_bytes: usize::MAX,
        reject_bytes: usize::MAX,
    };
}

impl Decoded {
    /// Empties it and keeps the memory of the events.
    pub fn clear(&mut self) {
        self.events.clear();
        self.rejects.clear();
        self.reject_bytes = 0;
        self.counts = DecodeCounts::default();
    }

    /// Takes the rejects out, and leaves the events and counts.
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        self.reject_bytes = 0;
        std::mem::take(&mut self.rejects)
    }

    /// Holds as much as `room` says, or more.
    pub fn is_full(&self, room: &DecodeRoom) -> bool {
        self.events.len() >= room.events
            || self.events.text_bytes() >= room.text_bytes
            || self.reject_bytes >= room.reject_bytes
    }

    pub(super) fn push_reject(&mut self, reject: Reject) {
        self.reject_bytes += size_of::<Reject>() + reject.detail.len() + reject.record.len();
        self.rejects.push(reject);
    }
}

impl DecodeCounts {
    pub fn skipped(&self, rule: SkipRule) -> u64 {
        self.skipped[rule as usize]
    }

    pub fn rejected(&self, reason: RejectReason) -> u64 {
        self.rejected[reason as usize]
    }

    pub fn skipped_total(&self) -> u64 {
        self.skipped.iter().sum()
    }

    pub fn rejected_total(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Adds the counts of another batch.
    pub fn add(&mut self, other: &DecodeCounts) {
        self.records += other.records;
        self.events += other.events;
        self.rejects_not_kept += other.rejects_not_kept;
        self.values_cut += other.values_cut;
        self.read_only_derived += other.read_only_derived;
        for (mine, theirs) in self.skipped.iter_mut().zip(other.skipped) {
            *mine += theirs;
        }
        for (mine, theirs) in self.rejected.iter_mut().zip(other.rejected) {
            *mine += theirs;
        }
    }

    pub(super) fn count_event(&mut self, is_read_only_derived: bool, values_cut: u64) {
        self.records += 1;
        self.events += 1;
        self.read_only_derived += u64::from(is_read_only_derived);
        self.values_cut += values_cut;
    }

    pub(super) fn count_skip(&mut self, rule: SkipRule) {
        self.records += 1;
        self.skipped[rule as usize] += 1;
    }

    pub(super) fn count_reject(&mut self, reason: RejectReason, is_kept: bool) {
        self.records += 1;
        self.rejected[reason as usize] += 1;
        self.rejects_not_kept += u64::from(!is_kept);
    }
}
