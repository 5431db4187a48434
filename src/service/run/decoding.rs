//! Reads messages: bytes of one source in, events out, in their order.
//!
//! Threads do that. A source always goes to the same one, so its batches come back in the order in
//! which they went. Messages are read where the client has put them: nothing is copied before it
//! is an event.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use rdkafka::message::{BorrowedMessage, Message};

use crate::formats::{DecodeCounts, DecodeLimits, Decoded, Decoder, Format};
use crate::model::EventBatch;
use crate::protocol::{IngestMember, MessageEnd, Messages, SourceName};

/// Messages and bytes of a source that go to a reader at once.
const BATCH_MESSAGES: usize = 2000;
const BATCH_BYTES: usize = 512 << 10;
/// Batches that wait for a thread.
const WAITING_MAX: usize = 4;
/// Batches whose memory is kept.
const SPARE_MAX: usize = 16;

/// Consecutive messages of a source, as they came.
#[derive(Debug)]
pub struct RawMessages<'m> {
    pub source: SourceName,
    pub generation: u64,
    messages: Vec<BorrowedMessage<'m>>,
    bytes: usize,
}

/// What a thread made of a batch.
pub struct ReadMessages {
    pub source: SourceName,
    pub generation: u64,
    pub messages: Messages,
    pub counts: DecodeCounts,
}

/// The threads, in a scope that messages outlive.
pub struct Readers<'scope, 'm> {
    queues: Vec<SyncSender<RawMessages<'m>>>,
    results: Receiver<ReadMessages>,
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
    outstanding: usize,
    spare: Spare,
}

/// Batches whose events were taken in, and whose memory serves again.
type Spare = Arc<Mutex<Vec<EventBatch>>>;

impl<'scope, 'm: 'scope> Readers<'scope, 'm> {
    /// Threads that read messages; of those with an event more than `future_max_seconds` after
    /// their timestamp they keep the bytes.
    pub fn start(
        scope: &'scope Scope<'scope, '_>,
        threads: u32,
        format: &Format,
        limits: &DecodeLimits,
        future_max_seconds: u64,
    ) -> std::io::Result<Self> {
        let spare = Spare::default();
        let (results_in, results) = channel();
        let mut queues = Vec::new();
        let mut handles = Vec::new();
        for number in 0..threads {
            let (queue, work) = sync_channel(WAITING_MAX);
            let out = results_in.clone();
            let mut reading = Reading {
                decoder: Decoder::new(format.clone(), limits.clone()),
                reject_bytes_max: limits.reject_bytes_max,
                rejects_kept_max: limits.rejects_kept_max as usize,
                future_max_ms: future_max_seconds as i64 * 1000,
                spare: Arc::clone(&spare),
            };
            let thread = std::thread::Builder::new().name(format!("reader-{number}"));
            handles.push(thread.spawn_scoped(scope, move || reading.read_all(&work, &out))?);
            queues.push(queue);
        }
        Ok(Readers {
            queues,
            results,
            threads: handles,
            outstanding: 0,
            spare,
        })
    }

    /// Ends the threads. One that met a bug has said so.
    pub fn finish(self) {
        drop(self.queues);
        for thread in self.threads {
            let _ = thread.join();
        }
    }

    /// Whether another batch may be sent without waiting for long.
    pub fn has_room(&self) -> bool {
        self.outstanding < self.queues.len() * WAITING_MAX
    }

    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Has a batch read, by the thread of its source.
    pub fn send(&mut self, raw: RawMessages<'m>) {
        self.outstanding += 1;
        let sum = raw.source.topic.bytes().map(usize::from).sum::<usize>();
        let thread = (sum + raw.source.partition as usize) % self.queues.len();
        // That a thread has ended is noticed elsewhere.
        let _ = self.queues[thread].send(raw);
    }

    /// The next result, waiting up to `timeout`.
    pub fn receive(&mut self, timeout: std::time::Duration) -> Option<ReadMessages> {
        let result = self.results.recv_timeout(timeout).ok()?;
        self.outstanding -= 1;
        Some(result)
    }

    /// Takes the memory of a batch back.
    pub fn give_back(&self, mut events: EventBatch) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX {
            events.clear();
            spare.push(events);
        }
    }

    /// Whether a thread has ended, which none does by itself.
    pub fn has_failed(&self) -> bool {
        self.threads.iter().any(ScopedJoinHandle::is_finished)
    }
}

/// How messages are read.
struct Reading {
    decoder: Decoder,
    reject_bytes_max: usize,
    rejects_kept_max: usize,
    future_max_ms: i64,
    spare: Spare,
}

impl Reading {
    fn read_all(&mut self, work: &Receiver<RawMessages<'_>>, out: &Sender<ReadMessages>) {
        while let Ok(raw) = work.recv() {
            if out.send(self.read(&raw)).is_err() {
                return;
            }
        }
    }

    fn read(&mut self, raw: &RawMessages<'_>) -> ReadMessages {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut decoded = Decoded::default();
        decoded.events = spare.pop().unwrap_or_default();
        drop(spare);
        let mut messages = Messages {
            bytes: raw.bytes as u64,
            messages: Vec::with_capacity(raw.messages.len()),
            ..Messages::default()
        };
        for message in &raw.messages {
            let bytes = message.payload().unwrap_or_default();
            let first = decoded.events.len();
            self.decoder.restart();
            self.decoder.feed(bytes, &mut decoded);
            self.decoder.finish(&mut decoded);
            let end = MessageEnd {
                offset: message.offset() as u64,
                timestamp_ms: message.timestamp().to_millis(),
                events_end: decoded.events.len(),
            };
            let of_this = decoded.take_rejects();
            let surplus = of_this.len().saturating_sub(self.rejects_kept_max);
            decoded.counts.rejects_not_kept += surplus as u64;
            let kept = of_this.into_iter().take(self.rejects_kept_max);
            messages
                .rejects
                .extend(kept.map(|reject| (end.offset, reject)));
            if self.is_suspect(&end, &decoded.events, first) {
                let kept = bytes.len().min(self.reject_bytes_max);
                messages.suspects.push((end.offset, bytes[..kept].to_vec()));
            }
            messages.messages.push(end);
        }
        messages.events = decoded.events;
        ReadMessages {
            source: raw.source.clone(),
            generation: raw.generation,
            counts: decoded.counts,
            messages,
        }
    }

    /// Whether an event from `first` on lies too far after the message's timestamp.
    fn is_suspect(&self, message: &MessageEnd, events: &EventBatch, first: usize) -> bool {
        message.timestamp_ms.is_some_and(|timestamp_ms| {
            let latest_ms = timestamp_ms + self.future_max_ms;
            let mut events = (first..events.len()).map(|index| events.get(index).time());
            events.any(|time| time.seconds() * 1000 > latest_ms)
        })
    }
}

/// Adds a message of one of `topics` to its source's batch; the batch if that is full.
pub fn add<'m>(
    batches: &mut BTreeMap<SourceName, RawMessages<'m>>,
    member: &IngestMember,
    topics: &[String],
    message: BorrowedMessage<'m>,
) -> Option<RawMessages<'m>> {
    // The client looks a name up, measures and checks it at every question.
    let topic = match topics {
        [only] => only.as_str(),
        _ => message.topic(),
    };
    let partition = message.partition() as u32;
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
                messages: Vec::with_capacity(BATCH_MESSAGES / 4),
                bytes: 0,
            })
        }
    };
    batch.bytes += message.payload_len();
    batch.messages.push(message);
    let is_full = batch.messages.len() >= BATCH_MESSAGES || batch.bytes >= BATCH_BYTES;
    let source = is_full.then(|| batch.source.clone())?;
    batches.remove(&source)
}

impl RawMessages<'_> {
    /// Timestamp of the last message, in milliseconds since 1970.
    pub fn last_timestamp_ms(&self) -> Option<i64> {
        self.messages.last()?.timestamp().to_millis()
    }
}
