//! The decoder: bytes of one input in any pieces in, events out.
//!
//! It holds what the last piece left open, never more than one record, and lends everything else
//! to the framer, or to the line splitter when the format is lines of text.

use memchr::memchr;

use super::collector::{Collector, Refusal};
use super::decoded::{DecodeLimits, Decoded, Format, RejectReason};
use super::framer::Framer;
use super::lines::{Line, LineSplitter};
use super::reader::Reader;

/// Bytes of a piece that are joined to an open record at a time, at least.
const JOIN_BYTES: usize = 64 << 10;

/// Turns the bytes of one input, in any pieces, into events.
///
/// Feed at most 1 MiB at a time: envelopes may inflate a thousandfold, and a batch of events
/// holds less than 4 GiB of text.
#[derive(Debug)]
pub struct Decoder {
    framer: Framer,
    reader: Reader,
    limits: DecodeLimits,
    records_seen: u64,
    payload_budget: usize,
    /// What earlier pieces left open.
    open: Vec<u8>,
    /// Set when records are lines of text.
    lines: Option<LineSplitter>,
}

impl Decoder {
    pub fn new(format: Format, limits: DecodeLimits) -> Self {
        let is_line_based = match &format {
            Format::Mapping(mapping) => mapping.is_line_based(),
            Format::Auto | Format::CloudTrail => false,
        };
        Decoder {
            lines: is_line_based.then(LineSplitter::default),
            framer: Framer::new(&limits),
            reader: Reader::new(format),
            payload_budget: limits.payload_bytes_max,
            limits,
            records_seen: 0,
            open: Vec::new(),
        }
    }

    /// Takes in the next bytes of the (decompressed) input.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Decoded) {
        if let Some(mut lines) = self.lines.take() {
            let bytes_max = self.limits.record_bytes_max;
            lines.feed(bytes, bytes_max, |line| self.take_line(line, out));
            self.lines = Some(lines);
            return;
        }
        let mut rest = bytes;
        let mut open = std::mem::take(&mut self.open);
        while !open.is_empty() && !rest.is_empty() {
            let joined_max = rest.len().min(open.len().max(JOIN_BYTES));
            let joined = memchr(b'\n', &rest[..joined_max]).map_or(joined_max, |at| at + 1);
            open.extend_from_slice(&rest[..joined]);
            let taken = self.drain(&open, false, out);
            let left = open.len() - taken;
            if left <= joined {
                // What is left all comes from this piece: go on in the piece itself.
                rest = &rest[joined - left..];
                open.clear();
            } else {
                rest = &rest[joined..];
                open.drain(..taken);
            }
        }
        if open.is_empty() {
            let taken = self.drain(rest, false, out);
            open.extend_from_slice(&rest[taken..]);
        }
        self.open = open;
    }

    /// Ends the input; what is cut off is rejected.
    pub fn finish(&mut self, out: &mut Decoded) {
        if let Some(mut lines) = self.lines.take() {
            let bytes_max = self.limits.record_bytes_max;
            lines.finish(bytes_max, |line| self.take_line(line, out));
            self.lines = Some(lines);
            return;
        }
        let open = std::mem::take(&mut self.open);
        self.drain(&open, true, out);
    }

    fn take_line(&mut self, line: Line<'_>, out: &mut Decoded) {
        let (Line::Whole { offset, .. } | Line::TooLong { offset, .. }) = line;
        let mut collector = Collector {
            out,
            records_seen: &mut self.records_seen,
            limits: &self.limits,
            byte_offset: offset,
            payload_budget: 0,
        };
        match line {
            Line::Whole { bytes, .. } if bytes.trim_ascii().is_empty() => {}
            Line::Whole { bytes, .. } => self.reader.take_line(bytes, &mut collector),
            Line::TooLong { head, .. } => {
                let limit = self.limits.record_bytes_max;
                let detail = format!("longer than {limit} bytes");
                collector.reject(Refusal::new(RejectReason::RecordTooLong, detail), head);
            }
        }
    }

    fn drain(&mut self, view: &[u8], is_end: bool, out: &mut Decoded) -> usize {
        let mut collector = Collector {
            out,
            records_seen: &mut self.records_seen,
            limits: &self.limits,
            byte_offset: 0,
            payload_budget: self.payload_budget,
        };
        let taken = self
            .framer
            .drain(view, is_end, &mut self.reader, &mut collector);
        self.payload_budget = collector.payload_budget;
        taken
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
