//! Where decoded records go: one call for an event, a skip or a reject, so that counts add up.

use super::decoded::{DecodeLimits, DecodeRoom, Decoded, Reject, RejectReason, SkipRule};
use super::json::Fault;
use super::payload::PayloadBudget;
use crate::model::EventFields;

/// Why a record gave no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: RejectReason,
    pub detail: String,
}

/// Takes the outcome of each record of one outermost value.
#[derive(Debug)]
pub struct Collector<'a> {
    pub out: &'a mut Decoded,
    /// Records met since the input began.
    pub records_seen: &'a mut u64,
    pub limits: &'a DecodeLimits,
    /// Where the outermost value begins.
    pub byte_offset: u64,
    /// What the payloads of this outermost value may still come to.
    pub payload_budget: PayloadBudget,
    /// Rejects of this outermost value that may still be kept.
    pub rejects_left: u32,
    /// How much `out` should hold.
    pub room: DecodeRoom,
}

impl Refusal {
    /// What a grammar found at byte `at` of a value.
    pub fn broken(fault: Fault, at: usize, byte: u8) -> Refusal {
        let found = match byte {
            b' '..=b'~' => format!("`{}`", char::from(byte)),
            _ => format!("byte 0x{byte:02x}"),
        };
        let (reason, what) = match fault {
            Fault::Syntax => (RejectReason::InvalidJson, "cannot stand there"),
            Fault::UnterminatedString => (RejectReason::InvalidJson, "breaks the line in a string"),
            Fault::ControlCharacter => (RejectReason::ControlCharacter, "must be escaped"),
            Fault::NestedTooDeep => (RejectReason::NestedTooDeep, "nests too deep"),
        };
        Refusal::new(reason, format!("{found} at byte {at} {what}"))
    }

    pub fn too_long(bytes_max: usize) -> Refusal {
        let detail = format!("longer than {bytes_max} bytes");
        Refusal::new(RejectReason::RecordTooLong, detail)
    }

    pub fn new(reason: RejectReason, detail: impl Into<String>) -> Self {
        Refusal {
            reason,
            detail: detail.into(),
        }
    }
}

impl Collector<'_> {
    #[inline]
    pub fn event(&mut self, fields: &EventFields<'_>, values_cut: u64) {
        *self.records_seen += 1;
        self.out
            .counts
            .count_event(fields.is_read_only_derived, values_cut);
        self.out.events.push(fields);
    }

    pub fn skip(&mut self, rule: SkipRule) {
        *self.records_seen += 1;
        self.out.counts.count_skip(rule);
    }

    /// Begins an outermost value, or what is wrong between two.
    pub fn begin_value(&mut self, byte_offset: u64) {
        self.byte_offset = byte_offset;
        self.rejects_left = self.limits.rejects_kept_max;
    }

    /// `out` holds as much as it should.
    pub fn is_full(&self) -> bool {
        self.out.is_full(&self.room)
    }

    /// Counts a record that could not be used, and keeps it as long as its value has room.
    pub fn reject(&mut self, refusal: Refusal, record: &[u8]) {
        let is_kept = self.rejects_left > 0;
        self.out.counts.count_reject(refusal.reason, is_kept);
        if is_kept {
            self.rejects_left -= 1;
            self.out.push_reject(Reject {
                reason: refusal.reason,
                record_index: *self.records_seen,
                byte_offset: self.byte_offset,
                detail: refusal.detail,
                record: record[..record.len().min(self.limits.reject_bytes_max)].to_vec(),
            });
        }
        *self.records_seen += 1;
    }
}

/// Cuts `text` to at most `bytes_max` bytes at a character boundary, and counts the cut.
#[inline]
pub fn cut<'t>(text: &'t str, bytes_max: usize, values_cut: &mut u64) -> &'t str {
    if text.len() <= bytes_max {
        return text;
    }
    *values_cut += 1;
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let end = (0..=bytes_max).rev().find(is_boundary).unwrap_or(0);
    &text[..end]
}
