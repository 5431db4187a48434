//! Threads that read messages: bytes of one source in, events out, in their order.
//!
//! A source always goes to the same thread, so its batches come back in the order in which they
//! went.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use rdkafka::message::{BorrowedMessage, Message};

use crate::formats::{DecodeCounts, DecodeLimits, Decoded, Decoder, Format};
use crate::model::EventBatch;
use crate::protocol::{IngestMember, MessageEnd, Messages, SourceName};

/// Messages and bytes of a source that go to a reader at once.
const BATCH_MESSAGES: usize = 2000;
const BATCH_BYTES: usize = 512 << 10;
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
    /// Threads that read messages; of those with an event more than `future_max_seconds` after
    /// their timestamp they keep the bytes.
    pub fn start(
        threads: u32,
        format: &Format,
        limits: &DecodeLimits,
        future_max_seconds: u64,
    ) -> std::io::Result<Self> {
        let (results_in, results) = channel();
        let mut queues = Vec::new();
        let mut handles = Vec::new();
        for number in 0..threads {
            let (queue, work) = sync_channel(WAITING_MAX);
            let (format, limits, out) = (format.clone(), limits.clone(), results_in.clone());
            let name = format!("reader-{number}");
            let thread = std::thread::Builder::new().name(name);
            let reading = Reading {
                format,
                limits,
                future_max_ms: future_max_seconds as i64 * 1000,
            };
            handles.push(thread.spawn(move || reading.read_all(&work, &out))?);
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

/// How messages are read.
struct Reading {
    format: Format,
    limits: DecodeLimits,
    future_max_ms: i64,
}

impl Reading {
    fn read_all(&self, work: &Receiver<RawMessages>, out: &Sender<ReadMessages>) {
        while let Ok(raw) = work.recv() {
            if out.send(self.read(&raw)).is_err() {
                return;
            }
        }
    }

    fn read(&self, raw: &RawMessages) -> ReadMessages {
        let mut decoded = Decoded::default();
        let mut messages = Messages {
            bytes: raw.bytes.len() as u64,
            ..Messages::default()
        };
        let mut start = 0;
        for message in &raw.messages {
            let bytes = &raw.bytes[start..message.end];
            let first = decoded.events.len();
            let mut decoder = Decoder::new(self.format.clone(), self.limits.clone());
            decoder.feed(bytes, &mut decoded);
            decoder.finish(&mut decoded);
            start = message.end;
            let of_this = decoded.take_rejects().into_iter();
            let rejects = of_this.map(|reject| (message.offset, reject));
            messages.rejects.extend(rejects);
            messages.messages.push(MessageEnd {
                offset: message.offset,
                timestamp_ms: message.timestamp_ms,
                events_end: decoded.events.len(),
            });
            if self.is_suspect(message, &decoded.events, first) {
                let kept = bytes.len().min(self.limits.reject_bytes_max);
                messages
                    .suspects
                    .push((message.offset, bytes[..kept].to_vec()));
            }
        }
        messages.events = std::mem::take(&mut decoded.events);
        ReadMessages {
            source: raw.source.clone(),
            generation: raw.generation,
            counts: decoded.counts,
            messages,
        }
    }

    /// Whether an event from `first` on lies too far after the message's timestamp.
    fn is_suspect(&self, message: &RawMessage, events: &EventBatch, first: usize) -> bool {
        message.timestamp_ms.is_some_and(|timestamp_ms| {
            let latest_ms = timestamp_ms + self.future_max_ms;
            let mut events = (first..events.len()).map(|index| events.get(index).time());
            events.any(|time| time.seconds() * 1000 > latest_ms)
        })
    }
}

/// Adds a message to its source's batch; the batch if that is full.
pub fn add(
    batches: &mut BTreeMap<SourceName, RawMessages>,
    member: &IngestMember,
    message: &BorrowedMessage<'_>,
) -> Option<RawMessages> {
    let (topic, partition) = (message.topic(), message.partition() as u32);
    // There are few sources: looking through them costs less than making a key for each message.
    let mut open = batches.values_mut();
    let found = open.find(|one| one.source.partition == partition && one.source.topic == topic);
    let batch = match found {
        Some(batch) => batch,
        None => {
            let source = SourceName {
                topic: topic.to_string(),
                partition,
            };
            let generation = member.generation_of(&source)?;
            batches.entry(source.clone()).or_insert(RawMessages {
                source,
                generation,
                bytes: Vec::with_capacity(BATCH_BYTES),
                messages: Vec::with_capacity(BATCH_MESSAGES / 4),
            })
        }
    };
    batch
        .bytes
        .extend_from_slice(message.payload().unwrap_or_default());
    batch.messages.push(RawMessage {
        offset: message.offset() as u64,
        timestamp_ms: message.timestamp().to_millis(),
        end: batch.bytes.len(),
    });
    let is_full = batch.messages.len() >= BATCH_MESSAGES || batch.bytes.len() >= BATCH_BYTES;
    let source = is_full.then(|| batch.source.clone())?;
    batches.remove(&source)
}
