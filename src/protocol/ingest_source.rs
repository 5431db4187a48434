//! One partition of an input topic: from its assignment through what has to be read again to
//! counting, and what a transaction holds of it.

use std::collections::VecDeque;
use std::ops::Range;

use super::dead_letter::{DeadLetter, REJECT_FUTURE};
use super::dedup_window::DedupWindow;
use super::outbox::split;
use super::{IngestMetadata, SourceName};
use crate::formats::Reject;
use crate::ingest::{Ingest, IngestSettings};
use crate::model::{EventBatch, EventTime, LogRecord, Progress, SourceState};

/// Consecutive messages of one source, decoded.
#[derive(Debug, Default)]
pub struct Messages {
    pub events: EventBatch,
    pub messages: Vec<MessageEnd>,
    /// Offset of the message that each reject stood in.
    pub rejects: Vec<(u64, Reject)>,
    pub bytes: u64,
    /// Bytes of messages with an event too far after their timestamp, by offset.
    pub suspects: Vec<(u64, Vec<u8>)>,
}

/// One message of [`Messages`].
#[derive(Clone, Copy, Debug)]
pub struct MessageEnd {
    pub offset: u64,
    /// Milliseconds since 1970; `None` if the message has no timestamp.
    pub timestamp_ms: Option<i64>,
    /// Events of this message and those before, in the batch.
    pub events_end: usize,
}

/// What the brokers say of a source.
#[derive(Clone, Debug, Default)]
pub struct SourceFound {
    /// Offset and metadata of the last commit.
    pub committed: Option<(u64, String)>,
    /// Oldest offset that is kept, and the one after the newest.
    pub ends: (u64, u64),
}

/// Where a source stands between assignment and counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Brokers are asked for position and ends.
    Finding,
    /// It has no index yet.
    Unnamed,
    /// Messages up to this offset are read for their event ids only.
    Warming(u64),
    Running,
}

/// One source.
#[derive(Debug)]
pub(super) struct Source {
    pub name: SourceName,
    pub generation: u64,
    pub phase: Phase,
    pub index: Option<u32>,
    pub is_paused: bool,
    /// Messages that came and wait for slower sources.
    pub queue: VecDeque<Messages>,
    /// Bytes of the messages in `queue`.
    pub queued_bytes: u64,
    /// There was nothing more to read when a broker was last asked.
    is_at_end: bool,
    ingest: Option<Ingest>,
    pub resumed: Option<Resumed>,
    /// Next offset to take in.
    pub next: u64,
    /// Offset up to which records were made for a transaction.
    sent: u64,
    records: Vec<LogRecord>,
    dead_letters: Vec<DeadLetter>,
    dedup: DedupWindow,
    dedup_horizon_seconds: i64,
    pub futures: u64,
}

/// Where an earlier owner stood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resumed {
    pub read_from: u64,
    pub committed: u64,
    pub metadata: Option<IngestMetadata>,
    /// Messages that were committed over, or never read, and are kept no longer.
    pub lost: u64,
    /// Messages that were counted, and that the source ends before.
    pub cut_off: u64,
}

impl Resumed {
    /// Where to read on, given what the brokers know.
    pub fn new(found: &SourceFound, starts_at_end: bool) -> Self {
        let (start, end) = found.ends;
        let Some((committed, text)) = &found.committed else {
            let from = if starts_at_end { end } else { start };
            return Resumed {
                read_from: from,
                committed: from,
                metadata: None,
                lost: 0,
                cut_off: 0,
            };
        };
        let metadata = IngestMetadata::parse(text);
        let position = (*committed).max(start).min(end.max(start));
        let dedup_from = metadata.map_or(position, |metadata| metadata.dedup_from);
        Resumed {
            read_from: dedup_from.clamp(start, position),
            committed: position,
            metadata,
            lost: position.saturating_sub(*committed),
            cut_off: committed.saturating_sub(position),
        }
    }
}

/// What a transaction holds of one source.
#[derive(Clone, Debug)]
pub struct SourceTransaction {
    pub source: SourceName,
    /// Records by partition of the rates log.
    pub records: Vec<(u32, LogRecord)>,
    pub dead_letters: Vec<DeadLetter>,
    /// Next offset to read, with its metadata.
    pub offset: u64,
    pub metadata: String,
}

impl Source {
    pub fn new(name: SourceName, generation: u64, settings: &IngestSettings) -> Self {
        Source {
            name,
            generation,
            phase: Phase::Finding,
            index: None,
            is_paused: false,
            queue: VecDeque::new(),
            queued_bytes: 0,
            is_at_end: false,
            ingest: None,
            resumed: None,
            next: 0,
            sent: 0,
            records: Vec::new(),
            dead_letters: Vec::new(),
            dedup: DedupWindow::default(),
            dedup_horizon_seconds: i64::from(settings.dedup_horizon_seconds),
            futures: 0,
        }
    }

    /// Begins to read as `resumed` says, as source `index`.
    pub fn begin(&mut self, index: u32, resumed: &Resumed, settings: &IngestSettings) {
        let mut ingest = Ingest::new(settings.clone(), index);
        if let Some(metadata) = &resumed.metadata {
            ingest.resume(metadata.highest, metadata.watermark);
        }
        self.ingest = Some(ingest);
        self.index = Some(index);
        self.next = resumed.read_from;
        self.sent = resumed.committed;
        self.phase = if resumed.read_from < resumed.committed {
            Phase::Warming(resumed.committed)
        } else {
            Phase::Running
        };
    }

    /// Keeps messages, the next of the source, until they are taken in.
    pub fn keep(&mut self, batch: Messages) {
        self.is_at_end = false;
        self.queued_bytes += batch.bytes;
        self.queue.push_back(batch);
    }

    /// Takes in the oldest messages that wait, and gives them back; `None` if none wait.
    pub fn take_next(&mut self, future_max_ms: i64) -> Option<Messages> {
        let batch = self.queue.pop_front()?;
        self.queued_bytes -= batch.bytes;
        self.take(&batch, future_max_ms);
        Some(batch)
    }

    /// Highest event time so far; `None` while nothing is known of the source's time.
    pub fn highest(&self) -> Option<EventTime> {
        self.ingest.as_ref()?.highest()
    }

    /// Whether others have to wait for the source: not if it has nothing more to read, or is not
    /// among those that time waits for.
    pub fn is_awaited(&self) -> bool {
        let state = self.ingest.as_ref().and_then(Ingest::state);
        let is_idle = self.is_at_end || state == Some(SourceState::IdleProven);
        self.phase != Phase::Unnamed && !is_idle
    }

    /// Takes in messages, the next of the source.
    fn take(&mut self, batch: &Messages, future_max_ms: i64) {
        let mut start = 0;
        // Events to be counted, of as many messages as come one after the other.
        let mut run = 0..0;
        for message in &batch.messages {
            let range = start..message.events_end;
            start = message.events_end;
            if message.offset < self.next {
                continue;
            }
            let highest = batch_highest(&batch.events, range.clone());
            let believed = message
                .timestamp_ms
                .and_then(|ms| EventTime::from_milliseconds(ms + future_max_ms));
            if let Some(highest) = highest {
                // An event of the future is not counted, so its id does not matter.
                let highest = believed.map_or(highest, |believed| highest.min(believed));
                self.dedup.add(message.offset, highest);
            }
            if let Phase::Warming(until) = self.phase
                && message.offset >= until
            {
                self.take_events(&batch.events, std::mem::take(&mut run));
                self.phase = Phase::Running;
            }
            self.next = message.offset + 1;
            let believed = believed.filter(|time| highest.is_some_and(|highest| highest > *time));
            if believed.is_some() || run.end != range.start {
                self.take_events(&batch.events, std::mem::take(&mut run));
            }
            match believed {
                Some(believed) => self.take_suspect(batch, message.offset, range, believed),
                None if run.is_empty() => run = range,
                None => run.end = range.end,
            }
        }
        self.take_events(&batch.events, run);
        self.reject(batch);
        if let Phase::Warming(until) = self.phase
            && self.next >= until
        {
            self.phase = Phase::Running;
        }
    }

    /// Counts events, or while warming remembers them.
    fn take_events(&mut self, events: &EventBatch, range: Range<usize>) {
        let ingest = self.ingest.as_mut().expect("a source that reads has begun");
        match self.phase {
            Phase::Warming(_) => ingest.warm(events, range),
            _ => ingest.push(events, range, &mut self.records),
        }
    }

    /// Counts the events of a message that do not lie after `believed`; the others are rejected,
    /// with one dead letter, which is the whole message. One that is read again was told before.
    fn take_suspect(
        &mut self,
        batch: &Messages,
        offset: u64,
        range: Range<usize>,
        believed: EventTime,
    ) {
        let mut futures = 0;
        let mut latest = believed;
        for index in range {
            let time = batch.events.get(index).time();
            if time <= believed {
                self.take_events(&batch.events, index..index + 1);
                continue;
            }
            futures += 1;
            latest = latest.max(time);
        }
        if matches!(self.phase, Phase::Warming(_)) {
            return;
        }
        self.futures += futures;
        let mut suspects = batch.suspects.iter();
        let record = suspects.find(|(other, _)| *other == offset);
        self.dead_letters.push(DeadLetter {
            topic: self.name.topic.clone(),
            partition: self.name.partition,
            offset,
            reason: REJECT_FUTURE,
            detail: format!(
                "{futures} events, up to event time {latest}, lie further after the message's \
                 timestamp than counting.future_max"
            ),
            record: record.map(|(_, bytes)| bytes.clone()).unwrap_or_default(),
        });
    }

    /// Everything up to the end of the source was taken in, or not.
    pub fn note_end(&mut self, is_at_end: bool) {
        self.is_at_end = is_at_end;
        if is_at_end && matches!(self.phase, Phase::Warming(_)) {
            // What stood before the committed offset is no more, or marks of transactions.
            self.phase = Phase::Running;
        }
    }

    fn reject(&mut self, batch: &Messages) {
        let counted_from = self.resumed.map_or(0, |resumed| resumed.committed);
        for (offset, reject) in &batch.rejects {
            if *offset < counted_from {
                continue;
            }
            self.dead_letters.push(DeadLetter {
                topic: self.name.topic.clone(),
                partition: self.name.partition,
                offset: *offset,
                reason: reject.reason.name(),
                detail: reject.detail.clone(),
                record: reject.record.clone(),
            });
        }
    }

    /// The source is proven to have nothing more: counts before `time` are final.
    pub fn prove_idle(&mut self, time: EventTime) {
        if self.phase == Phase::Running
            && let Some(ingest) = &mut self.ingest
        {
            ingest.advance_to(time, &mut self.records);
        }
    }

    /// What was proven of the source holds no longer.
    pub fn block(&mut self) {
        if self.phase == Phase::Running
            && let Some(ingest) = &mut self.ingest
            && ingest.state() == Some(SourceState::IdleProven)
        {
            ingest.block(&mut self.records);
        }
    }

    /// Whether there is anything to commit.
    pub fn has_news(&self) -> bool {
        self.phase == Phase::Running && (self.next > self.sent || !self.records.is_empty())
    }

    /// All since the last call, for a transaction. After it the source counts on as if it were
    /// committed; until it is, the caller keeps it.
    pub fn take_transaction(&mut self, partitions: u32) -> Option<SourceTransaction> {
        if !self.has_news() {
            return None;
        }
        let ingest = self.ingest.as_mut()?;
        ingest.send_pending(&mut self.records);
        let now = Progress {
            source: self.index?,
            position: self.next,
            watermark: ingest.watermark(),
            state: ingest.state().unwrap_or(SourceState::Active),
        };
        let highest = ingest.highest();
        let horizon = highest.unwrap_or_default();
        let horizon = horizon.minus_seconds(self.dedup_horizon_seconds);
        let metadata = IngestMetadata {
            watermark: now.watermark,
            highest,
            dedup_from: self.dedup.from(horizon, self.next),
        };
        let records = std::mem::take(&mut self.records);
        let from = std::mem::replace(&mut self.sent, self.next);
        // A source that has not met an event has no watermark to tell.
        let has_time = ingest.state().is_some();
        Some(SourceTransaction {
            source: self.name.clone(),
            records: if has_time {
                split(records, from, &now, partitions)
            } else {
                Vec::new()
            },
            dead_letters: std::mem::take(&mut self.dead_letters),
            offset: self.next,
            metadata: metadata.to_string(),
        })
    }

    pub fn ingest(&self) -> Option<&Ingest> {
        self.ingest.as_ref()
    }
}

/// Highest time of a range of events.
fn batch_highest(events: &EventBatch, range: Range<usize>) -> Option<EventTime> {
    range.map(|index| events.get(index).time()).max()
}
