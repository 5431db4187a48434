//! One input as decoded pieces: bytes in chunks, events and rejects out.
//!
//! A piece is a bounded amount of events and rejects, whatever the file holds. Where pieces are
//! cut means nothing: the decoder gives the same events for any cuts.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::{FileBytes, FileLoss, InputFile};
use crate::formats::{DecodeLimits, DecodeRoom, Decoded, Decoder, Format};
use crate::model::{EventBatch, EventTime};

/// Bytes of lines given to the decoder at a time; bounds what one call can add to a piece.
const SLICE_BYTES: usize = 256 << 10;
/// What ends a piece even if its chunk is not used up.
const PIECE_ROOM: DecodeRoom = DecodeRoom {
    events: 1 << 16,
    text_bytes: EventBatch::TEXT_FULL,
    reject_bytes: 16 << 20,
};

/// How files are to be read.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    pub format: Format,
    pub limits: DecodeLimits,
    /// Decompressed bytes of a compressed file.
    pub decompressed_bytes_max: u64,
    /// Events before this time were counted by an earlier run and are left out.
    pub since: Option<EventTime>,
    /// Events from this time on are left out.
    pub until: Option<EventTime>,
    /// Bytes read from disk so far, for progress.
    pub bytes_read: Arc<AtomicU64>,
}

/// Some of a file, decoded.
#[derive(Debug, Default)]
pub struct Piece {
    pub decoded: Decoded,
    /// Decompressed bytes this piece was made of.
    pub bytes: u64,
    /// Events left out because they lie before [`ReadPlan::since`].
    pub before_since: u64,
    /// Events left out because they lie at or after [`ReadPlan::until`].
    pub after_until: u64,
    /// The file broke, here.
    pub loss: Option<FileLoss>,
    /// It ended early because it holds so much.
    pub is_full: bool,
    /// No piece follows.
    pub is_last: bool,
}

/// Reads one file piece by piece.
pub struct FileReader {
    bytes: FileBytes,
    decoder: Decoder,
    plan: Arc<ReadPlan>,
    chunk: Vec<u8>,
    /// Bytes of the chunk that were decoded.
    used: usize,
    /// Bytes ended; what is left of the chunk is the last.
    is_at_end: bool,
    records: u64,
    problem: Option<String>,
}

impl FileReader {
    pub fn new(file: InputFile, plan: Arc<ReadPlan>) -> Self {
        FileReader {
            bytes: FileBytes::new(
                file,
                plan.decompressed_bytes_max,
                Arc::clone(&plan.bytes_read),
            ),
            decoder: Decoder::new(plan.format.clone(), plan.limits.clone()),
            plan,
            chunk: Vec::new(),
            used: 0,
            is_at_end: false,
            records: 0,
            problem: None,
        }
    }

    pub fn name(&self) -> String {
        self.bytes.name()
    }

    /// The input is a pipe or the like and may keep its reader waiting.
    pub fn is_live(&self) -> bool {
        self.bytes.is_live()
    }

    /// Gives back handle and buffers until the next piece is asked for.
    pub fn close_for_now(&mut self) {
        self.bytes.close_for_now();
        if self.used == self.chunk.len() {
            self.chunk = Vec::new();
            self.used = 0;
        }
    }

    /// The next piece, of about `chunk_bytes`; `spare` lends its memory to the events.
    pub fn next_piece(&mut self, chunk_bytes: usize, spare: EventBatch) -> Piece {
        let mut piece = Piece::default();
        piece.decoded.events = spare;
        piece.decoded.clear();
        if self.used == self.chunk.len() && !self.is_at_end {
            self.refill(chunk_bytes);
            piece.bytes = self.chunk.len() as u64;
        }
        let decoded = &mut piece.decoded;
        while self.used < self.chunk.len() && !decoded.is_full(&PIECE_ROOM) {
            let end = self.chunk.len().min(self.used + SLICE_BYTES);
            let slice = &self.chunk[self.used..end];
            self.used += self.decoder.feed_some(slice, &PIECE_ROOM, decoded);
        }
        if self.used == self.chunk.len() && self.is_at_end {
            piece.is_last = self.decoder.finish_some(&PIECE_ROOM, decoded);
        }
        piece.is_full = decoded.is_full(&PIECE_ROOM);
        self.records += piece.decoded.counts.records;
        if piece.is_last {
            piece.loss = self.problem.take().map(|problem| FileLoss {
                file: self.bytes.name(),
                problem,
                bytes_used: self.bytes.bytes(),
                records: self.records,
            });
        }
        self.leave_out(&mut piece);
        piece
    }

    fn refill(&mut self, chunk_bytes: usize) {
        self.used = 0;
        if let Err(problem) = self.bytes.read_chunk(chunk_bytes, &mut self.chunk) {
            self.problem = Some(problem);
            self.is_at_end = true;
        }
        self.is_at_end |= self.bytes.is_over();
    }

    /// Takes events outside of the plan's span of time out of the piece.
    fn leave_out(&self, piece: &mut Piece) {
        let since = self.plan.since.unwrap_or_default();
        let until = self.plan.until;
        let is_before = |time: EventTime| time < since;
        let is_after = |time: EventTime| until.is_some_and(|until| time >= until);
        let events = &piece.decoded.events;
        if (self.plan.since.is_none() && until.is_none())
            || events
                .iter()
                .all(|event| !is_before(event.time()) && !is_after(event.time()))
        {
            return;
        }
        let mut kept = EventBatch::default();
        for event in events.iter() {
            if is_before(event.time()) {
                piece.before_since += 1;
            } else if is_after(event.time()) {
                piece.after_until += 1;
            } else {
                event.with_fields(|fields| kept.push(fields));
            }
        }
        piece.decoded.events = kept;
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    /// A piece took all payloads of a slice at once: gigabytes of events from a small file.
    /// It ends with the value that fills it, and the pieces add up to the file.
    #[test]
    fn a_piece_ends_with_the_value_that_fills_it() {
        let record = r#"{"eventVersion":"1.08","eventTime":"2024-01-01T00:00:00Z","eventSource":"s",
            "eventName":"n"}"#;
        let records = record.repeat(70_000);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, records.as_bytes()).unwrap();
        let line = BASE64_STANDARD.encode(encoder.finish().unwrap()) + "\n";
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in.json");
        std::fs::write(&path, line.repeat(3)).unwrap();
        let plan = ReadPlan {
            format: Format::Auto,
            limits: DecodeLimits::default(),
            decompressed_bytes_max: 0,
            since: None,
            until: None,
            bytes_read: Arc::default(),
        };
        let mut reader = FileReader::new(InputFile::File(path), Arc::new(plan));
        let mut events = Vec::new();
        loop {
            let piece = reader.next_piece(64 << 20, EventBatch::default());
            events.push(piece.decoded.events.len());
            assert_eq!(piece.decoded.counts.rejected_total(), 0);
            if piece.is_last {
                break;
            }
        }
        events.retain(|events| *events > 0);
        assert_eq!(events, [70_000; 3]);
    }
}
