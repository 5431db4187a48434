//! Threads that read messages: bytes of one source in, events out, in their order.
//!
//! A source always goes to the same thread, so its batches come back in the order in which they
//! went.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use crate::formats::{DecodeCounts, DecodeLimits, Decoded, Decoder, Format};
use crate::protocol::{MessageEnd, Messages, SourceName};

/// Batches that wait for a thread.
const WAITING_MAX: usize = 4;

/// Consecutive messages of a source, as they came.
#[derive(Debug)]
pub struct RawMessages {
    pub source: SourceName,
    pub generation: u64,
    pub bytes: Vec<u8>,
    pub messages: Vec<RawMessage>,
}

#[derive(Clone, Copy, Debug)]
pub struct RawMessage {
    pub offset: u64,
    pub timestamp_ms: Option<i64>,
    /// End of its bytes, which begin where those of the one before end.
    pub end: usize,
}

/// What a thread made of a batch.
pub struct ReadMessages {
    pub source: SourceName,
    pub generation: u64,
    pub messages: Messages,
    pub counts: DecodeCounts,
}

/// The threads.
pub struct Readers {
    queues: Vec<SyncSender<RawMessages>>,
    results: Receiver<ReadMessages>,
    threads: Vec<JoinHandle<()>>,
    outstanding: usize,
}

impl Readers {
    pub fn start(threads: u32, format: &Format, limits: &DecodeLimits) -> std::io::Result<Self> {
        let (results_in, results) = channel();
        let mut queues = Vec::new();
        let mut handles = Vec::new();
        for number in 0..threads {
            let (queue, work) = sync_channel(WAITING_MAX);
            let (format, limits, out) = (format.clone(), limits.clone(), results_in.clone());
            let name = format!("reader-{number}");
            let thread = std::thread::Builder::new().name(name);
            handles.push(thread.spawn(move || read_all(&work, &format, &limits, &out))?);
            queues.push(queue);
        }
        Ok(Readers {
            queues,
            results,
            threads: handles,
            outstanding: 0,
        })
    }

    /// Whether another batch may be sent without waiting for long.
    pub fn has_room(&self) -> bool {
        self.outstanding < self.queues.len() * WAITING_MAX
    }

    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Hands a batch to the thread of its source; false if that has ended.
    pub fn send(&mut self, raw: RawMessages) -> bool {
        let sum = raw.source.topic.bytes().map(usize::from).sum::<usize>();
        let thread = (sum + raw.source.partition as usize) % self.queues.len();
        self.outstanding += 1;
        self.queues[thread].send(raw).is_ok()
    }

    /// The next result, waiting up to `timeout`.
    pub fn receive(&mut self, timeout: std::time::Duration) -> Option<ReadMessages> {
        let result = self.results.recv_timeout(timeout).ok()?;
        self.outstanding -= 1;
        Some(result)
    }

    /// Whether a thread has ended, which none does by itself.
    pub fn has_failed(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }
}

fn read_all(
    work: &Receiver<RawMessages>,
    format: &Format,
    limits: &DecodeLimits,
    out: &Sender<ReadMessages>,
) {
    while let Ok(raw) = work.recv() {
        let read = read(&raw, format, limits);
        if out.send(read).is_err() {
            return;
        }
    }
}

fn read(raw: &RawMessages, format: &Format, limits: &DecodeLimits) -> ReadMessages {
    let mut decoded = Decoded::default();
    let mut messages = Vec::with_capacity(raw.messages.len());
    let mut rejects = Vec::new();
    let mut start = 0;
    for message in &raw.messages {
        let mut decoder = Decoder::new(format.clone(), limits.clone());
        decoder.feed(&raw.bytes[start..message.end], &mut decoded);
        decoder.finish(&mut decoded);
        start = message.end;
        let of_this = decoded.take_rejects().into_iter();
        rejects.extend(of_this.map(|reject| (message.offset, reject)));
        messages.push(MessageEnd {
            offset: message.offset,
            timestamp_ms: message.timestamp_ms,
            events_end: decoded.events.len(),
        });
    }
    ReadMessages {
        source: raw.source.clone(),
        generation: raw.generation,
        counts: decoded.counts.clone(),
        messages: Messages {
            events: std::mem::take(&mut decoded.events),
            messages,
            rejects,
            bytes: raw.bytes.len() as u64,
        },
    }
}
