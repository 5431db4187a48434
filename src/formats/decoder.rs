//! The decoder: bytes of one input in any pieces in, events out.
//!
//! It holds what the last piece left open, never more than one record, and lends everything else
//! to the framer, or to the line splitter when the format is lines of text.

use memchr::memchr;

use super::collector::{Collector, Refusal};
use super::decoded::{DecodeLimits, DecodeRoom, Decoded, Format};
use super::framer::Framer;
use super::lines::{Line, LineSplitter};
use super::payload::PayloadBudget;
use super::reader::Reader;

/// Bytes of a piece that are joined to an open record at a time, at least.
const JOIN_BYTES: usize = 64 << 10;

/// Turns the bytes of one input, in any pieces, into events.
///
/// [`Decoder::feed_some`] and [`Decoder::finish_some`] stop when there is enough, since envelopes
/// may inflate many times; what comes out in all is the same.
#[derive(Debug)]
pub struct Decoder {
    framer: Framer,
    reader: Reader,
    limits: DecodeLimits,
    records_seen: u64,
    /// What earlier pieces left open.
    open: Vec<u8>,
    /// There was enough before all that could be taken of `open` was.
    is_behind: bool,
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
            limits,
            records_seen: 0,
            open: Vec::new(),
            is_behind: false,
        }
    }

    /// Begins another input, as a new decoder would, and keeps the memory.
    pub fn restart(&mut self) {
        self.framer.restart();
        self.records_seen = 0;
        self.open.clear();
        self.is_behind = false;
        if let Some(lines) = &mut self.lines {
            *lines = LineSplitter::default();
        }
    }

    /// Takes in the next bytes of the (decompressed) input.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Decoded) {
        let taken = self.feed_some(bytes, &DecodeRoom::UNLIMITED, out);
        assert_eq!(taken, bytes.len(), "there is never enough");
    }

    /// As [`Self::feed`], up to the value that fills `room`; returns how many bytes were taken in.
    /// What was not comes again, first of what follows.
    pub fn feed_some(&mut self, bytes: &[u8], room: &DecodeRoom, out: &mut Decoded) -> usize {
        if let Some(mut lines) = self.lines.take() {
            let bytes_max = self.limits.record_bytes_max;
            lines.feed(bytes, bytes_max, |line| self.take_line(line, out));
            self.lines = Some(lines);
            return bytes.len();
        }
        let mut rest = bytes;
        let mut open = std::mem::take(&mut self.open);
        if self.is_behind {
            let taken = self.drain(&open, false, room, out);
            open.drain(..taken);
        }
        while !open.is_empty() && !rest.is_empty() && !self.is_behind {
            let joined_max = rest.len().min(open.len().max(JOIN_BYTES));
            let joined = memchr(b'\n', &rest[..joined_max]).map_or(joined_max, |at| at + 1);
            open.extend_from_slice(&rest[..joined]);
            let taken = self.drain(&open, false, room, out);
            let left = open.len() - taken;
            if left <= joined {
                // What is left all comes from this piece: go on in the piece itself.
                rest = &rest[joined - left..];
                open.clear();
                self.is_behind = false;
                if out.is_full(room) {
                    break;
                }
            } else {
                rest = &rest[joined..];
                open.drain(..taken);
            }
        }
        if open.is_empty() && !out.is_full(room) {
            let taken = self.drain(rest, false, room, out);
            rest = &rest[taken..];
            if !std::mem::take(&mut self.is_behind) {
                open.extend_from_slice(rest);
                rest = &[];
            }
        }
        self.open = open;
        bytes.len() - rest.len()
    }

    /// Ends the input; what is cut off is rejected.
    pub fn finish(&mut self, out: &mut Decoded) {
        let is_done = self.finish_some(&DecodeRoom::UNLIMITED, out);
        assert!(is_done, "there is never enough");
    }

    /// As [`Self::finish`], up to the value that fills `room`; whether that was all.
    pub fn finish_some(&mut self, room: &DecodeRoom, out: &mut Decoded) -> bool {
        if let Some(mut lines) = self.lines.take() {
            let bytes_max = self.limits.record_bytes_max;
            lines.finish(bytes_max, |line| self.take_line(line, out));
            self.lines = Some(lines);
            return true;
        }
        let mut open = std::mem::take(&mut self.open);
        let taken = self.drain(&open, true, room, out);
        open.drain(..taken);
        self.open = open;
        self.open.is_empty()
    }

    fn take_line(&mut self, line: Line<'_>, out: &mut Decoded) {
        let (Line::Whole { offset, .. } | Line::TooLong { offset, .. }) = line;
        let mut collector = Collector {
            out,
            records_seen: &mut self.records_seen,
            limits: &self.limits,
            byte_offset: offset,
            payload_budget: PayloadBudget::default(),
            rejects_left: self.limits.rejects_kept_max,
            room: DecodeRoom::UNLIMITED,
        };
        match line {
            Line::Whole { bytes, .. } if bytes.trim_ascii().is_empty() => {}
            Line::Whole { bytes, .. } => self.reader.take_line(bytes, &mut collector),
            Line::TooLong { head, .. } => {
                collector.reject(Refusal::too_long(self.limits.record_bytes_max), head);
            }
        }
    }

    /// Takes what can be taken of `view`; notes whether it stopped because there is enough.
    fn drain(&mut self, view: &[u8], is_end: bool, room: &DecodeRoom, out: &mut Decoded) -> usize {
        let mut collector = Collector {
            out,
            records_seen: &mut self.records_seen,
            limits: &self.limits,
            byte_offset: 0,
            payload_budget: PayloadBudget::default(),
            rejects_left: 0,
            room: *room,
        };
        let taken = self
            .framer
            .drain(view, is_end, &mut self.reader, &mut collector);
        self.is_behind = taken < view.len() && collector.is_full();
        taken
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
