//! A member of the group that reads the input topics: messages in, transactions out.
//!
//! A transaction holds, of every source, the counts and the progress made from its messages and the
//! offset they end at. While it is not known to be committed it is kept and offered again; a source
//! that is taken away takes its part out. So nothing is counted twice and nothing is left out,
//! whatever fails in between.

use std::collections::BTreeMap;

use super::ingest_actions::{IngestAction, IngestNote};
use super::ingest_source::{Messages, Phase, Resumed, Source, SourceFound, SourceTransaction};
use super::{Coordination, CoordinationRecord, SourceName};
use crate::ingest::{IngestCounts, IngestSettings};
use crate::model::{EventBatch, EventTime, SourceState};

/// Pause after a transaction that was given up.
const RETRY_MS: u64 = 100;

/// Batches that are kept for another use of their memory.
const SPENT_MAX: usize = 16;

/// Bytes of one source's messages that may wait before it is paused.
const QUEUE_BYTES_MIN: u64 = 1 << 20;
const QUEUE_BYTES_MAX: u64 = 16 << 20;

/// What does not change while a member runs.
#[derive(Clone, Debug)]
pub struct IngestSetup {
    pub settings: IngestSettings,
    /// Partitions of the rates log.
    pub partitions: u32,
    /// A new group begins at the end of a source, and not at its beginning.
    pub starts_at_end: bool,
    pub future_max_seconds: u64,
    pub ahead_max_seconds: u64,
    pub delivery_delay_seconds: u64,
    pub commit_interval_ms: u64,
    /// Bytes of messages after which a commit does not wait for its time.
    pub commit_bytes_max: u64,
}

/// Everything for one transaction.
#[derive(Clone, Debug, Default)]
pub struct IngestTransaction {
    pub sources: Vec<SourceTransaction>,
}

/// The member.
#[derive(Debug)]
pub struct IngestMember {
    setup: IngestSetup,
    coordination: Coordination,
    sources: BTreeMap<SourceName, Source>,
    generation: u64,
    transaction: Option<IngestTransaction>,
    next_commit_ms: u64,
    bytes: u64,
    /// Counts of sources that were taken away.
    counts_before: IngestCounts,
    futures_before: u64,
    notes: Vec<IngestNote>,
    /// Batches that were taken in.
    spent: Vec<EventBatch>,
}

impl IngestMember {
    pub fn new(setup: IngestSetup) -> Self {
        IngestMember {
            setup,
            coordination: Coordination::default(),
            sources: BTreeMap::new(),
            generation: 0,
            transaction: None,
            next_commit_ms: 0,
            bytes: 0,
            counts_before: IngestCounts::default(),
            futures_before: 0,
            notes: Vec::new(),
            spent: Vec::new(),
        }
    }

    /// Sources were given to this member.
    pub fn assigned(&mut self, names: Vec<SourceName>) -> Vec<IngestAction> {
        let mut actions = Vec::new();
        for name in names {
            self.generation += 1;
            let source = Source::new(name.clone(), self.generation, &self.setup.settings);
            self.sources.insert(name.clone(), source);
            actions.push(IngestAction::Find {
                source: name,
                generation: self.generation,
            });
        }
        actions
    }

    /// Sources were taken away: what was made of them and not committed is the next owner's.
    pub fn revoked(&mut self, names: &[SourceName]) {
        for name in names {
            if let Some(source) = self.sources.remove(name) {
                self.futures_before += source.futures;
                if let Some(ingest) = source.ingest() {
                    self.counts_before.add(ingest.counts());
                }
            }
        }
        if let Some(transaction) = &mut self.transaction {
            transaction
                .sources
                .retain(|part| !names.contains(&part.source));
            if transaction.sources.is_empty() {
                self.transaction = None;
            }
        }
    }

    /// The answer to [`IngestAction::Find`].
    pub fn found(
        &mut self,
        name: &SourceName,
        generation: u64,
        found: &SourceFound,
    ) -> Vec<IngestAction> {
        let starts_at_end = self.setup.starts_at_end;
        let Some(source) = self.sources.get_mut(name) else {
            return Vec::new();
        };
        if source.generation != generation || source.phase != Phase::Finding {
            return Vec::new();
        }
        let resumed = Resumed::new(found, starts_at_end);
        if resumed.cut_off > 0 {
            self.notes.push(IngestNote::CutOff {
                source: name.clone(),
                messages: resumed.cut_off,
            });
        }
        if resumed.lost > 0 {
            self.notes.push(IngestNote::Lost {
                source: name.clone(),
                messages: resumed.lost,
            });
        }
        source.resumed = Some(resumed);
        source.phase = Phase::Unnamed;
        self.begin_named()
    }

    /// The coordination topic went on, by all that has come of it.
    pub fn coordinate(&mut self, records: &[CoordinationRecord]) -> Vec<IngestAction> {
        for record in records {
            self.coordination.apply(record);
        }
        let mut actions = self.begin_anew();
        actions.extend(self.begin_named());
        actions
    }

    /// Begins sources of this member anew that were taken for gone: what is read of them counts as
    /// that of new ones, once they are named again.
    fn begin_anew(&mut self) -> Vec<IngestAction> {
        let coordination = &self.coordination;
        let retired = self.sources.iter().filter(|(name, source)| {
            source.index.is_some() && source.index != coordination.index_of(name)
        });
        let retired: Vec<SourceName> = retired.map(|(name, _)| name.clone()).collect();
        self.revoked(&retired);
        let stops = retired.iter().cloned();
        let mut actions: Vec<IngestAction> =
            stops.map(|source| IngestAction::Stop { source }).collect();
        actions.extend(self.assigned(retired));
        actions
    }

    /// Has sources read that know their place and their index.
    fn begin_named(&mut self) -> Vec<IngestAction> {
        let mut actions = Vec::new();
        for (name, source) in &mut self.sources {
            let (Phase::Unnamed, Some(resumed)) = (source.phase, source.resumed) else {
                continue;
            };
            let Some(index) = self.coordination.index_of(name) else {
                continue;
            };
            source.begin(index, &resumed, &self.setup.settings);
            actions.push(IngestAction::Read {
                source: name.clone(),
                from: resumed.read_from,
            });
            self.notes.push(match source.phase {
                Phase::Warming(until) => IngestNote::Warming {
                    source: name.clone(),
                    messages: until - resumed.read_from,
                },
                _ => IngestNote::Running {
                    source: name.clone(),
                    from: resumed.read_from,
                },
            });
        }
        actions
    }

    /// The next messages of a source.
    pub fn take(
        &mut self,
        name: &SourceName,
        generation: u64,
        batch: Messages,
    ) -> Vec<IngestAction> {
        let Some(source) = self.sources.get_mut(name) else {
            return Vec::new();
        };
        if source.generation != generation || source.ingest().is_none() {
            return Vec::new();
        }
        source.keep(batch);
        self.catch_up();
        self.hold_back()
    }

    /// Batches that were taken in since the last call, for whoever has use for their memory.
    pub fn take_spent(&mut self) -> Vec<EventBatch> {
        std::mem::take(&mut self.spent)
    }

    /// Takes in what waits, of all sources that are not too far ahead of the slowest.
    fn catch_up(&mut self) {
        let future_max_ms = self.setup.future_max_seconds as i64 * 1000;
        loop {
            let limit = self.limit();
            let mut has_moved = false;
            for (name, source) in &mut self.sources {
                if is_ahead(source, limit) {
                    continue;
                }
                let was_warming = matches!(source.phase, Phase::Warming(_));
                let Some(batch) = source.take_next(future_max_ms) else {
                    continue;
                };
                self.bytes += batch.bytes;
                if self.spent.len() < SPENT_MAX {
                    self.spent.push(batch.events);
                }
                has_moved = true;
                if was_warming && source.phase == Phase::Running {
                    self.notes.push(IngestNote::Running {
                        source: name.clone(),
                        from: source.resumed.map_or(0, |resumed| resumed.committed),
                    });
                }
            }
            if !has_moved {
                return;
            }
        }
    }

    /// Seconds since 1970 that a source may not go beyond: `ahead_max` after the slowest. While the
    /// time of one is unknown, none that is known goes on; proven idle ones do not count.
    fn limit(&self) -> Limit {
        let mut slowest: Option<i64> = None;
        for source in self.sources.values().filter(|source| source.is_awaited()) {
            match source.highest() {
                None => return Limit::Unknown,
                Some(time) => {
                    let seconds = time.seconds();
                    slowest = Some(slowest.map_or(seconds, |least| least.min(seconds)));
                }
            }
        }
        match slowest {
            Some(seconds) => Limit::At(seconds + self.setup.ahead_max_seconds as i64),
            None => Limit::None,
        }
    }

    /// A broker said, when asked at `at_ms`, that a source ends at `end`, and if that was looked
    /// at, from which offset on there is no message before it.
    pub fn ended(
        &mut self,
        name: &SourceName,
        generation: u64,
        (end, empty_from): (u64, Option<u64>),
        at_ms: u64,
    ) {
        let delay_ms = self.setup.delivery_delay_seconds * 1000;
        let Some(source) = self.sources.get_mut(name) else {
            return;
        };
        if source.generation != generation {
            return;
        }
        let is_read = source.next >= end || empty_from == Some(source.next);
        let is_proven = is_read && source.queue.is_empty();
        source.note_end(is_proven);
        let time = at_ms
            .checked_sub(delay_ms)
            .and_then(|ms| i64::try_from(ms).ok());
        match time.and_then(EventTime::from_milliseconds) {
            Some(time) if is_proven => source.prove_idle(time),
            _ => source.block(),
        }
    }

    /// Nobody could say where a source ends: what was proven of it holds no longer.
    pub fn unproven(&mut self, name: &SourceName, generation: u64) {
        if let Some(source) = self.sources.get_mut(name)
            && source.generation == generation
        {
            source.block();
        }
    }

    /// Time has passed: what is due.
    pub fn tick(&mut self, now_ms: u64) -> Vec<IngestAction> {
        self.catch_up();
        let mut actions = self.hold_back();
        let is_due = now_ms >= self.next_commit_ms || self.bytes >= self.setup.commit_bytes_max;
        if is_due && self.prepare() {
            self.next_commit_ms = now_ms + self.setup.commit_interval_ms;
            actions.push(IngestAction::Commit);
        }
        actions
    }

    /// Whether there is a transaction to commit now, whatever the time.
    pub fn prepare(&mut self) -> bool {
        if self.transaction.is_none() {
            let partitions = self.setup.partitions;
            let sources = self.sources.values_mut();
            let parts: Vec<SourceTransaction> = sources
                .filter_map(|source| source.take_transaction(partitions))
                .collect();
            self.bytes = 0;
            if !parts.is_empty() {
                self.transaction = Some(IngestTransaction { sources: parts });
            }
        }
        self.transaction.is_some()
    }

    /// The transaction to commit.
    pub fn transaction(&self) -> Option<&IngestTransaction> {
        self.transaction.as_ref()
    }

    /// Leaves the dead letters out of the transaction, because their topic does not take them; how
    /// many there were.
    pub fn drop_dead_letters(&mut self) -> u64 {
        let parts = self.transaction.iter_mut().flat_map(|one| &mut one.sources);
        parts
            .map(|part| std::mem::take(&mut part.dead_letters).len() as u64)
            .sum()
    }

    /// It is committed.
    pub fn committed(&mut self) {
        self.transaction = None;
    }

    /// It is not committed, and is offered again at the next tick.
    pub fn aborted(&mut self, now_ms: u64) {
        self.next_commit_ms = now_ms + RETRY_MS;
    }

    /// Pauses sources of which enough waits, and has others go on.
    fn hold_back(&mut self) -> Vec<IngestAction> {
        let share = self.setup.commit_bytes_max / self.sources.len().max(1) as u64;
        let most = share.clamp(QUEUE_BYTES_MIN, QUEUE_BYTES_MAX);
        let mut actions = Vec::new();
        for source in self.sources.values_mut() {
            let name = source.name.clone();
            if !source.is_paused && source.queued_bytes > most {
                source.is_paused = true;
                actions.push(IngestAction::Pause { source: name });
            } else if source.is_paused && source.queued_bytes <= most / 2 {
                source.is_paused = false;
                actions.push(IngestAction::Resume { source: name });
            }
        }
        actions
    }

    /// What happened since the last call.
    pub fn take_notes(&mut self) -> Vec<IngestNote> {
        std::mem::take(&mut self.notes)
    }

    /// Whether messages of a source wait to be taken in.
    pub fn has_waiting(&self, name: &SourceName) -> bool {
        let source = self.sources.get(name);
        source.is_some_and(|source| !source.queue.is_empty())
    }

    /// Whether messages up to an offset count, and are not read for their event ids only.
    pub fn counts_at(&self, name: &SourceName, offset: u64) -> bool {
        let source = self.sources.get(name).and_then(|source| source.resumed);
        source.is_none_or(|resumed| offset >= resumed.committed)
    }

    /// What became of events, of sources that were taken away as well.
    pub fn counts(&self) -> IngestCounts {
        let mut counts = self.counts_before;
        for ingest in self.sources.values().filter_map(Source::ingest) {
            counts.add(ingest.counts());
        }
        counts
    }

    /// Events rejected because they lay in the future.
    pub fn futures(&self) -> u64 {
        self.futures_before
            + self
                .sources
                .values()
                .map(|source| source.futures)
                .sum::<u64>()
    }

    /// Sources with their state, next offset and watermark.
    pub fn states(
        &self,
    ) -> impl Iterator<Item = (&SourceName, SourceState, u64, Option<EventTime>)> {
        self.sources.iter().map(|(name, source)| {
            let state = source.ingest().and_then(|ingest| ingest.state());
            let state = match (source.phase, source.is_paused) {
                (Phase::Running, false) => state.unwrap_or(SourceState::Active),
                _ => SourceState::Blocked,
            };
            let watermark = source.ingest().map(|ingest| ingest.watermark());
            (name, state, source.next, watermark)
        })
    }

    /// Whether messages wait for slower sources.
    pub fn is_held_up(&self) -> bool {
        self.sources.values().any(|source| !source.queue.is_empty())
    }

    /// Sources that do not count yet.
    pub fn waiting(&self) -> usize {
        let waiting = self.sources.values();
        waiting
            .filter(|source| source.phase != Phase::Running)
            .count()
    }

    /// The assignment that a source came with, for answers that may come late.
    pub fn generation_of(&self, name: &SourceName) -> Option<u64> {
        self.sources.get(name).map(|source| source.generation)
    }
}

/// How far sources may go.
#[derive(Clone, Copy)]
enum Limit {
    None,
    Unknown,
    /// Seconds since 1970.
    At(i64),
}

/// Whether a source has to wait for others.
fn is_ahead(source: &Source, limit: Limit) -> bool {
    if matches!(source.phase, Phase::Warming(_)) {
        return false;
    }
    match (source.highest(), limit) {
        (None, _) | (_, Limit::None) => false,
        (Some(_), Limit::Unknown) => true,
        (Some(highest), Limit::At(limit)) => highest.seconds() > limit,
    }
}
