//! Stage 1 over Kafka: polls messages, has them read, and commits what the member makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::clients::explain;
use super::complaints::Complaints;
use super::decoding::{RawMessages, Readers, add};
use super::prober::{Probed, Prober, Question};
use super::producers::Producer;
use super::to_find::ToFind;
use super::watch::GaugeClock;
use super::{RunError, Shared};
use crate::config::Start;
use crate::ingest::IngestCounts;
use crate::protocol::{
    CoordinationRecord, IngestAction, IngestMember, IngestSetup, SourceFound, SourceName,
};
use crate::source::kafka::{GroupConsumer, Polled, Rebalance, is_out_of_range};
use crate::telemetry::metrics::Stage;

/// Messages polled between two looks at other things.
const POLLS_MAX: usize = 4000;
/// How long is waited for something to do.
const WAIT: Duration = Duration::from_millis(20);
/// Time between two questions where a source ends while others wait for it.
const URGENT_PROBE_MS: u64 = 200;

pub(super) struct IngestLoop<'scope, 'a> {
    pub(super) shared: &'a Shared,
    pub(super) consumer: &'a GroupConsumer,
    pub(super) producer: Producer,
    pub(super) member: IngestMember,
    readers: Readers<'scope, 'a>,
    prober: Prober,
    /// Timestamp of the message read last, by source, in milliseconds since 1970.
    pub(super) last_times: BTreeMap<SourceName, i64>,
    /// Batches of each source that are being read.
    outstanding: BTreeMap<SourceName, usize>,
    owned: BTreeSet<SourceName>,
    /// Sources to ask the brokers for, with their generation.
    to_find: ToFind<(SourceName, u64)>,
    next_probe_ms: u64,
    /// Up to where each source was read when it was last asked about.
    stood_at: BTreeMap<SourceName, u64>,
    next_urgent_probe_ms: u64,
    /// A source was read to its end since brokers were last asked.
    has_met_end: bool,
    pub(super) complaints: Complaints,
    /// Transactions in a row in which dead letters were not taken.
    pub(super) letters_not_taken: u32,
    /// Jumps of the clock that were told.
    pub(super) jumps: u64,
    /// Counts as the metrics have them.
    pub(super) counted: IngestCounts,
    pub(super) futures: u64,
    pub(super) gauges: GaugeClock,
}

pub fn run(
    shared: &Arc<Shared>,
    coordination: &Receiver<Vec<CoordinationRecord>>,
) -> Result<(), RunError> {
    let settings = &shared.settings;
    let kafka = &settings.service.kafka;
    let client = |error| RunError::Kafka(explain("ingest", &error, None));
    let topics: Vec<&str> = kafka.input_topics.iter().map(String::as_str).collect();
    let session = Duration::from_secs(kafka.session_timeout_seconds);
    let group = shared.name("ingest");
    let stage = settings.service.ingest;
    let consumer =
        GroupConsumer::join(&shared.properties, &group, session, &topics).map_err(client)?;
    let prober = Prober::start(&shared.properties, &group).map_err(client)?;
    std::thread::scope(|scope| {
        let readers = Readers::start(
            scope,
            stage.threads,
            &shared.format,
            &settings.decode,
            stage.future_max_seconds,
        );
        let readers =
            readers.map_err(|error| RunError::Failed(format!("cannot start: {error}")))?;
        let mut ingest = IngestLoop {
            shared,
            consumer: &consumer,
            producer: Producer::new(format!("{group}-{}", shared.instance)),
            member: IngestMember::new(setup(shared)),
            readers,
            prober,
            last_times: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            owned: BTreeSet::new(),
            to_find: ToFind::new(),
            next_probe_ms: 0,
            stood_at: BTreeMap::new(),
            next_urgent_probe_ms: 0,
            has_met_end: false,
            complaints: Complaints::default(),
            letters_not_taken: 0,
            jumps: 0,
            counted: IngestCounts::default(),
            futures: 0,
            gauges: GaugeClock::start(),
        };
        let result = ingest.run(coordination);
        ingest.readers.finish();
        result
    })
}

fn setup(shared: &Shared) -> IngestSetup {
    let service = &shared.settings.service;
    IngestSetup {
        settings: shared.settings.ingest.clone(),
        partitions: service.kafka.rates_partitions,
        starts_at_end: service.kafka.start == Start::Latest,
        future_max_seconds: service.ingest.future_max_seconds,
        ahead_max_seconds: service.ingest.ahead_max_seconds,
        delivery_delay_seconds: service.silence.delivery_delay_seconds,
        commit_interval_ms: service.ingest.commit_interval_seconds * 1000,
        commit_bytes_max: service.ingest.commit_bytes_max,
    }
}

impl<'scope, 'a: 'scope> IngestLoop<'scope, 'a> {
    fn run(&mut self, coordination: &Receiver<Vec<CoordinationRecord>>) -> Result<(), RunError> {
        let watch = &self.shared.watch;
        watch.watch_loop(Stage::Ingest, self.shared.clock.now_ms());
        while !self.shared.is_stopped() {
            for records in coordination.try_iter() {
                let actions = self.member.coordinate(&records);
                self.perform(actions)?;
            }
            self.turn()?;
        }
        self.drain()
    }

    fn turn(&mut self) -> Result<(), RunError> {
        if self.readers.has_failed() || self.prober.has_failed() {
            let text = "a thread of ingest met a bug and stopped; please report it";
            return Err(RunError::Failed(text.to_string()));
        }
        let polled = self.poll()?;
        self.rebalance()?;
        self.find()?;
        let is_waiting = polled == 0 && self.readers.outstanding() > 0;
        self.take_read(if is_waiting { WAIT } else { Duration::ZERO })?;
        self.probe();
        self.tick()?;
        self.tell();
        self.show();
        Ok(())
    }

    /// Polls until there is enough or nothing more; how many messages came.
    fn poll(&mut self) -> Result<u64, RunError> {
        if !self.readers.has_room() {
            return Ok(0);
        }
        let is_idle = self.readers.outstanding() == 0;
        let mut timeout = if is_idle { WAIT } else { Duration::ZERO };
        let topics = &self.shared.settings.service.kafka.input_topics;
        let (mut polled, mut failure) = (0, None);
        let mut batches = BTreeMap::new();
        for _ in 0..POLLS_MAX {
            match self.consumer.poll(timeout) {
                Polled::Message(message) => {
                    let full = add(&mut batches, &self.member, topics, message);
                    timeout = Duration::ZERO;
                    polled += 1;
                    if let Some(batch) = full {
                        self.hand_on(batch);
                        if !self.readers.has_room() {
                            break;
                        }
                    }
                }
                Polled::End => self.has_met_end = true,
                Polled::Failed(error) => {
                    failure = Some(error);
                    break;
                }
                Polled::Nothing => break,
            }
        }
        let consumed = &self.shared.watch.metrics.kafka.messages_consumed;
        consumed.add(Stage::Ingest, polled);
        while let Some((_, batch)) = batches.pop_first() {
            self.hand_on(batch);
        }
        if let Some(error) = failure {
            self.complaints.warn(&explain("ingest", &error, None));
            if is_out_of_range(&error) {
                self.begin_again()?;
            }
        }
        Ok(polled)
    }

    fn hand_on(&mut self, batch: RawMessages<'a>) {
        if let Some(time) = batch.last_timestamp_ms() {
            self.last_times.insert(batch.source.clone(), time);
        }
        *self.outstanding.entry(batch.source.clone()).or_default() += 1;
        self.readers.send(batch);
    }

    /// Takes in what was read.
    pub(super) fn take_read(&mut self, timeout: Duration) -> Result<(), RunError> {
        let mut timeout = timeout;
        while let Some(read) = self.readers.receive(timeout) {
            timeout = Duration::ZERO;
            if let Some(count) = self.outstanding.get_mut(&read.source) {
                *count = count.saturating_sub(1);
            }
            let last = read.messages.messages.last().map_or(0, |last| last.offset);
            if self.member.counts_at(&read.source, last) {
                self.shared.watch.metrics.events.count_decoded(&read.counts);
            }
            let actions = self
                .member
                .take(&read.source, read.generation, read.messages);
            for events in self.member.take_spent() {
                self.readers.give_back(events);
            }
            self.perform(actions)?;
        }
        Ok(())
    }

    fn rebalance(&mut self) -> Result<(), RunError> {
        for change in self.consumer.rebalances() {
            let began = std::time::Instant::now();
            let told = change.clone();
            match change {
                Rebalance::Assigned(places) => {
                    let names: Vec<SourceName> = places.into_iter().map(name_of).collect();
                    tracing::info!(sources = names.len(), "sources assigned");
                    self.owned.extend(names.iter().cloned());
                    let actions = self.member.assigned(names);
                    self.perform(actions)?;
                }
                Rebalance::Revoked(places) | Rebalance::Lost(places) => {
                    let names: Vec<SourceName> = places.into_iter().map(name_of).collect();
                    tracing::info!(sources = names.len(), "sources taken away");
                    for name in &names {
                        self.owned.remove(name);
                    }
                    self.to_find.retain(|(name, _)| !names.contains(name));
                    self.member.revoked(&names);
                    for name in &names {
                        let stopped = self.consumer.stop(&place_of(name));
                        stopped.map_err(|error| self.failure("cannot stop", name, &error))?;
                        let kafka = &self.shared.watch.metrics.kafka;
                        kafka.forget_partition(&name.topic, name.partition as i32);
                    }
                }
            }
            let watch = &self.shared.watch;
            watch.rebalanced(Stage::Ingest, &told, self.owned.len());
            let took = &watch.metrics.kafka.rebalance_duration;
            took.record(Stage::Ingest, began.elapsed());
        }
        Ok(())
    }

    fn perform(&mut self, actions: Vec<IngestAction>) -> Result<(), RunError> {
        for action in actions {
            match action {
                IngestAction::Find { source, generation } => {
                    self.to_find.push((source, generation));
                }
                IngestAction::Stop { source } => {
                    let stopped = self.consumer.stop(&place_of(&source));
                    stopped.map_err(|error| self.failure("cannot stop", &source, &error))?;
                }
                IngestAction::Read { source, from } => {
                    let read = self.consumer.read(&place_of(&source), from);
                    read.map_err(|error| self.failure("cannot read", &source, &error))?;
                }
                IngestAction::Pause { source } => {
                    let paused = self.consumer.pause(&place_of(&source));
                    paused.map_err(|error| self.failure("cannot pause", &source, &error))?;
                }
                IngestAction::Resume { source } => {
                    let resumed = self.consumer.resume(&place_of(&source));
                    resumed.map_err(|error| self.failure("cannot resume", &source, &error))?;
                }
                IngestAction::Commit => self.commit()?,
            }
        }
        Ok(())
    }

    fn failure(
        &self,
        doing: &str,
        source: &SourceName,
        error: &rdkafka::error::KafkaError,
    ) -> RunError {
        let doing = format!("{doing} {}[{}]", source.topic, source.partition);
        RunError::Kafka(explain(&doing, error, None))
    }

    /// Asks the brokers for positions and ends.
    fn find(&mut self) -> Result<(), RunError> {
        let now_ms = self.shared.clock.now_ms();
        let wanted = self.to_find.due(now_ms);
        if wanted.is_empty() {
            return Ok(());
        }
        let places: Vec<_> = wanted.iter().map(|(name, _)| place_of(name)).collect();
        let committed = match self.consumer.committed(&places) {
            Ok(committed) => committed,
            Err(error) => {
                let text = explain("committed offsets", &error, None);
                self.complaints.warn(&format!("{text}; trying again"));
                self.to_find.failed(wanted, now_ms);
                return Ok(());
            }
        };
        let mut wanted = wanted.into_iter();
        while let Some((name, generation)) = wanted.next() {
            let place = place_of(&name);
            let ends = match self.consumer.ends(&place) {
                Ok(ends) => ends,
                Err(error) => {
                    let text = explain("ends of sources", &error, None);
                    self.complaints.warn(&format!("{text}; trying again"));
                    // The loop has more to do than to wait for each.
                    self.to_find.failed(wanted.by_ref(), now_ms);
                    self.to_find.failed([(name, generation)], now_ms);
                    break;
                }
            };
            let own = committed.iter().find(|(other, _)| *other == place);
            let found = SourceFound {
                committed: own.and_then(|(_, committed)| committed.clone()),
                ends,
            };
            let actions = self.member.found(&name, generation, &found);
            self.perform(actions)?;
        }
        Ok(())
    }

    /// Asks where sources end that have nothing more to read, and takes in what was said.
    fn probe(&mut self) {
        for answer in self.prober.answers() {
            let is_read = self
                .outstanding
                .get(&answer.source)
                .is_none_or(|count| *count == 0);
            let Some(end) = answer.end else {
                self.member.unproven(&answer.source, answer.generation);
                continue;
            };
            if !is_read {
                continue;
            }
            let ends = (end, answer.empty_from);
            self.member
                .ended(&answer.source, answer.generation, ends, answer.at_ms);
        }
        let now_ms = self.shared.clock.now_ms();
        // Sources may wait for one that has nothing more.
        let is_urgent = self.has_met_end && self.member.is_held_up();
        if now_ms < self.next_probe_ms && !(is_urgent && now_ms >= self.next_urgent_probe_ms) {
            return;
        }
        self.has_met_end = false;
        self.next_probe_ms = now_ms + self.shared.settings.service.ingest.idle_probe_seconds * 1000;
        self.next_urgent_probe_ms = now_ms + URGENT_PROBE_MS;
        let mut stood_at = std::mem::take(&mut self.stood_at);
        let sources = self.member.states().filter_map(|(name, _, next, _)| {
            self.stood_at.insert(name.clone(), next);
            Some(Probed {
                source: name.clone(),
                generation: self.member.generation_of(name)?,
                rests_at: stood_at
                    .remove(name)
                    .filter(|before| *before == next && !self.member.has_waiting(name)),
            })
        });
        let sources = sources.collect();
        self.prober.ask(Question {
            sources,
            at_ms: now_ms,
        });
    }

    fn tick(&mut self) -> Result<(), RunError> {
        let is_ready = self.producer.is_ready(self.shared);
        let detail = "no broker takes transactions of this instance";
        let unready = (!is_ready).then(|| detail.to_string());
        self.shared.watch.unready("ingest_producer", unready);
        if !is_ready {
            return Ok(());
        }
        if self.producer.take_lost() {
            self.begin_again()?;
        }
        let actions = self.member.tick(self.shared.clock.now_ms());
        self.perform(actions)
    }

    /// Finds everything owned anew, as if it had just been given.
    fn begin_again(&mut self) -> Result<(), RunError> {
        let names: Vec<SourceName> = self.owned.iter().cloned().collect();
        self.to_find.clear();
        self.member.revoked(&names);
        for name in &names {
            self.consumer
                .stop(&place_of(name))
                .map_err(|error| self.failure("cannot stop", name, &error))?;
        }
        let actions = self.member.assigned(names);
        self.perform(actions)
    }
}

fn name_of((topic, partition): (String, u32)) -> SourceName {
    SourceName { topic, partition }
}

pub(super) fn place_of(name: &SourceName) -> (String, u32) {
    (name.topic.clone(), name.partition)
}
