//! Many streams of events become one source: which stream's event comes next.
//!
//! The next event always comes from the stream whose highest event time so far is lowest; a
//! stream not begun counts with its first event's time; ties go to the lower stream index, which
//! the caller gives in path order. An event that lies more than `jump_max` ahead of its stream
//! waits for the stream's next event to confirm the jump: the next one has to lie no more than
//! `jump_max` before it. A stream's first event is confirmed in the same way, but needs no
//! confirmation when it is the only one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::model::{EventBatch, EventTime};

/// The pure choice of the next events among streams.
#[derive(Debug)]
pub struct Merge {
    jump_max_seconds: i64,
    streams: Vec<Stream>,
    /// Streams whose first event is not settled yet, the next one to look at last.
    unsettled: Vec<u32>,
    /// Settled streams by (highest event time so far or first event's time, index), lowest
    /// first. The stream whose turn it is stays on top while it is served.
    turns: BinaryHeap<Reverse<(EventTime, u32)>>,
}

/// What the caller has to do next.
#[derive(Debug)]
pub enum Step<'a> {
    /// Call [`Merge::offer`] with the stream's next batch, or [`Merge::end`] when it has no more.
    Need { stream: u32 },
    /// These events of `batch` are next.
    Take {
        stream: u32,
        batch: &'a EventBatch,
        range: Range<usize>,
    },
    /// One event is not believed and left out.
    Reject(JumpReject),
    /// All streams have ended and all their events were taken.
    Done,
}

/// An event whose time was not believed.
#[derive(Debug)]
pub struct JumpReject {
    pub stream: u32,
    /// Index of the event among all events of its stream.
    pub event_index: u64,
    pub time: EventTime,
    pub reason: JumpReason,
    /// The event alone.
    pub event: EventBatch,
}

/// Why a jump was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JumpReason {
    /// The stream's next event was more than `jump_max` before it.
    Contradicted,
    /// The stream ended with it.
    Unconfirmed,
}

#[derive(Debug, Default)]
struct Stream {
    batch: EventBatch,
    /// Index in `batch` of the next event to look at.
    cursor: usize,
    /// Events looked at in earlier batches.
    events_before: u64,
    has_ended: bool,
    /// Highest event time so far; `None` before the first event is taken.
    highest: Option<EventTime>,
    held: Option<Held>,
    /// A batch of one event that was held and is being taken.
    taken: EventBatch,
}

/// An event that waits for its stream's next one.
#[derive(Debug)]
struct Held {
    time: EventTime,
    event_index: u64,
    event: EventBatch,
    is_confirmed: bool,
}

/// What a stream can do by itself.
enum Readiness {
    NeedsBatch,
    Rejected(JumpReject),
    /// An event is believed and can be taken on the stream's turn.
    Ready,
    Ended,
}

impl JumpReason {
    /// The reason in words that fit a list of rejected records.
    pub fn name(self) -> &'static str {
        match self {
            JumpReason::Contradicted => "time_jump_contradicted",
            JumpReason::Unconfirmed => "time_jump_unconfirmed",
        }
    }
}

impl Merge {
    /// A merge of `streams` streams, indexed in path order.
    pub fn new(streams: u32, jump_max_seconds: u32) -> Self {
        Merge {
            jump_max_seconds: i64::from(jump_max_seconds),
            streams: (0..streams).map(|_| Stream::default()).collect(),
            unsettled: (0..streams).rev().collect(),
            turns: BinaryHeap::new(),
        }
    }

    /// Says what is next.
    pub fn step(&mut self) -> Step<'_> {
        while let Some(&index) = self.unsettled.last() {
            match self.settle(index) {
                Readiness::NeedsBatch => return Step::Need { stream: index },
                Readiness::Rejected(reject) => return Step::Reject(reject),
                Readiness::Ready => {
                    self.unsettled.pop();
                    let first = self.streams[index as usize].held.as_ref();
                    let time = first.expect("a settled stream holds its first event").time;
                    self.turns.push(Reverse((time, index)));
                }
                Readiness::Ended => {
                    self.unsettled.pop();
                }
            }
        }
        while let Some(&Reverse((_, index))) = self.turns.peek() {
            match self.settle(index) {
                Readiness::NeedsBatch => return Step::Need { stream: index },
                Readiness::Rejected(reject) => return Step::Reject(reject),
                Readiness::Ready => return self.take(index),
                Readiness::Ended => {
                    self.turns.pop();
                }
            }
        }
        Step::Done
    }

    /// Gives the next batch of a stream that [`Step::Need`] asked for; an empty one is asked
    /// for again. Returns the stream's used-up batch for another use.
    pub fn offer(&mut self, stream: u32, batch: EventBatch) -> EventBatch {
        let stream = &mut self.streams[stream as usize];
        let is_used_up = stream.cursor == stream.batch.len();
        assert!(is_used_up && !stream.has_ended, "a batch nobody asked for");
        stream.events_before += stream.batch.len() as u64;
        stream.cursor = 0;
        std::mem::replace(&mut stream.batch, batch)
    }

    /// Says that a stream that [`Step::Need`] asked for has no more events.
    pub fn end(&mut self, stream: u32) {
        self.streams[stream as usize].has_ended = true;
    }

    /// Looks at the stream's next event, and settles the one that waits for it.
    fn settle(&mut self, index: u32) -> Readiness {
        let jump_max = self.jump_max_seconds;
        let stream = &mut self.streams[index as usize];
        loop {
            if stream.held.as_ref().is_some_and(|held| held.is_confirmed) {
                return Readiness::Ready;
            }
            let next = stream.next_time();
            let Some(held) = &mut stream.held else {
                match next {
                    Some(next) if stream.is_believed(next, jump_max) => return Readiness::Ready,
                    Some(_) => stream.hold(),
                    None => return stream.out_of_events(),
                }
                continue;
            };
            let reason = match next {
                Some(next) if held.time.seconds() - next.seconds() <= jump_max => None,
                Some(_) => Some(JumpReason::Contradicted),
                None if !stream.has_ended => return Readiness::NeedsBatch,
                None if stream.highest.is_none() => None,
                None => Some(JumpReason::Unconfirmed),
            };
            match reason {
                None => held.is_confirmed = true,
                Some(reason) => return Readiness::Rejected(stream.reject(index, reason)),
            }
        }
    }

    /// Takes the events of the stream at the top of `turns` for as long as it stays there.
    fn take(&mut self, index: u32) -> Step<'_> {
        self.turns.pop();
        let limit = self.turns.peek().map(|Reverse(turn)| *turn);
        let jump_max = self.jump_max_seconds;
        let stream = &mut self.streams[index as usize];
        if let Some(held) = stream.held.take() {
            let highest = stream.highest.unwrap_or(held.time).max(held.time);
            stream.highest = Some(highest);
            stream.taken = held.event;
            self.turns.push(Reverse((highest, index)));
            return Step::Take {
                stream: index,
                batch: &stream.taken,
                range: 0..1,
            };
        }
        let start = stream.cursor;
        let mut highest = stream.highest.expect("the first event of a stream is held");
        while stream.cursor < stream.batch.len() {
            let time = stream.batch.get(stream.cursor).time();
            if time.seconds() - highest.seconds() > jump_max {
                break;
            }
            stream.cursor += 1;
            highest = highest.max(time);
            if limit.is_some_and(|limit| (highest, index) > limit) {
                break;
            }
        }
        stream.highest = Some(highest);
        self.turns.push(Reverse((highest, index)));
        Step::Take {
            stream: index,
            batch: &stream.batch,
            range: start..stream.cursor,
        }
    }
}

impl Stream {
    fn next_time(&self) -> Option<EventTime> {
        (self.cursor < self.batch.len()).then(|| self.batch.get(self.cursor).time())
    }

    /// Whether an event at `time` can be taken without waiting for the one after it.
    fn is_believed(&self, time: EventTime, jump_max: i64) -> bool {
        self.highest
            .is_some_and(|highest| time.seconds() - highest.seconds() <= jump_max)
    }

    /// Moves the next event aside until the one after it is known.
    fn hold(&mut self) {
        let next = self.batch.get(self.cursor);
        let mut event = EventBatch::default();
        next.with_fields(|fields| event.push(fields));
        self.held = Some(Held {
            time: next.time(),
            event_index: self.events_before + self.cursor as u64,
            event,
            is_confirmed: false,
        });
        self.cursor += 1;
    }

    fn reject(&mut self, stream: u32, reason: JumpReason) -> JumpReject {
        let held = self.held.take().expect("only a held event is rejected");
        JumpReject {
            stream,
            event_index: held.event_index,
            time: held.time,
            reason,
            event: held.event,
        }
    }

    fn out_of_events(&mut self) -> Readiness {
        if !self.has_ended {
            return Readiness::NeedsBatch;
        }
        self.batch = EventBatch::default();
        self.cursor = 0;
        Readiness::Ended
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
