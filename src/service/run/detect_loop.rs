//! Stage 2 over Kafka: records of the rates log to the member, and what it answers to brokers and
//! store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rdkafka::message::Message;
use tokio::runtime::Handle;

use super::checkpointing::{Checkpointing, Finding, Loading};
use super::clients::explain;
use super::complaints::Complaints;
use super::detect_watch::Shown;
use super::producers::Producer;
use super::to_find::ToFind;
use super::watch::GaugeClock;
use super::{RunError, Shared};
use crate::config::{OnGap, Settings};
use crate::detect::{DetectSettings, FleetScope};
use crate::formats::RecordContext;
use crate::protocol::{CoordinationRecord, DetectAction, DetectMember, DetectSetup, Found};
use crate::rateslog::kafka::from_message;
use crate::sink::kafka::{OutgoingRecord, PlainProducer};
use crate::source::kafka::{GroupConsumer, Polled, Rebalance, is_out_of_range};
use crate::store::CheckpointStore;
use crate::telemetry::metrics::Stage;

/// Messages polled between two looks at other things.
const POLLS_MAX: usize = 2000;
/// How long is waited for something to do.
const WAIT: Duration = Duration::from_millis(20);

pub(super) struct DetectLoop<'a> {
    pub(super) shared: &'a Shared,
    pub(super) topic: String,
    pub(super) consumer: GroupConsumer,
    pub(super) producer: Producer,
    /// Reports to the coordinator.
    pub(super) teller: PlainProducer,
    pub(super) member: DetectMember,
    pub(super) checkpoints: Checkpointing,
    pub(super) owned: BTreeSet<u32>,
    /// Partitions to ask brokers and store for, with their generation.
    to_find: ToFind<(u32, u64)>,
    /// Something was told that is not known to be there.
    pub(super) has_told: bool,
    pub(super) complaints: Complaints,
    pub(super) gauges: GaugeClock,
    pub(super) shown: Shown,
    /// When each partition was given, until it judges.
    pub(super) given: BTreeMap<u32, Instant>,
    /// Why partitions cannot go on.
    pub(super) failed: BTreeMap<u32, String>,
}

pub fn run(
    shared: &Arc<Shared>,
    coordination: &Receiver<Vec<CoordinationRecord>>,
    runtime: Handle,
) -> Result<(), RunError> {
    let settings = &shared.settings;
    let kafka = &settings.service.kafka;
    let client = |error| RunError::Kafka(explain("detect", &error, None));
    let session = Duration::from_secs(kafka.session_timeout_seconds);
    let group = shared.name("detect");
    let checkpoint = &settings.service.checkpoint;
    let store = CheckpointStore::open(&checkpoint.path, &kafka.group, runtime);
    let store = store.map_err(|error| RunError::Config {
        key: "checkpoint.path".to_string(),
        problem: error.to_string(),
    })?;
    let topic = kafka.rates_topic.clone();
    let mut detect = DetectLoop {
        shared,
        consumer: GroupConsumer::join(&shared.properties, &group, session, &[&topic])
            .map_err(client)?,
        topic,
        producer: Producer::new(format!("{group}-{}", shared.instance)),
        teller: PlainProducer::begin_prompt(&shared.properties).map_err(client)?,
        member: DetectMember::new(setup(settings)),
        checkpoints: Checkpointing::start(store, checkpoint.keep as usize)?,
        owned: BTreeSet::new(),
        to_find: ToFind::new(),
        has_told: false,
        complaints: Complaints::default(),
        gauges: GaugeClock::start(),
        shown: Shown::default(),
        given: BTreeMap::new(),
        failed: BTreeMap::new(),
    };
    shared
        .watch
        .watch_loop(Stage::Detect, shared.clock.now_ms());
    while !shared.is_stopped() {
        detect.turn(coordination)?;
    }
    detect.drain()
}

fn setup(settings: &Settings) -> DetectSetup {
    let service = &settings.service;
    DetectSetup {
        settings: settings.detect.clone(),
        canonical: settings.canonical.clone(),
        parse: parse_settings,
        context,
        commit_interval_ms: service.ingest.commit_interval_seconds * 1000,
        checkpoint_interval_ms: service.checkpoint.interval_seconds * 1000,
        fails_on_gap: service.checkpoint.on_gap == OnGap::Fail,
    }
}

/// What records say of settings in the rates log, which were read before.
fn context(canonical: &str) -> RecordContext {
    let settings = Settings::from_canonical(canonical).ok();
    RecordContext {
        engine_version: env!("CARGO_PKG_VERSION").to_string(),
        settings_hash: settings
            .as_ref()
            .map_or(String::new(), |one| one.hash.clone()),
        include_extension: settings.is_none_or(|one| one.extension),
    }
}

/// What detection needs of settings in the rates log.
fn parse_settings(canonical: &str) -> Option<DetectSettings> {
    let settings = Settings::from_canonical(canonical).ok()?;
    Some(DetectSettings {
        fleet: FleetScope::Part,
        ..settings.detect
    })
}

impl DetectLoop<'_> {
    fn turn(&mut self, coordination: &Receiver<Vec<CoordinationRecord>>) -> Result<(), RunError> {
        if self.checkpoints.has_failed() {
            let text = "a thread for checkpoints met a bug and stopped; please report it";
            return Err(RunError::Failed(text.to_string()));
        }
        let polled = self.poll()?;
        self.rebalance()?;
        // What ends the waiting of an engine comes here and not with a message.
        if polled == 0
            && self.member.is_blocked()
            && let Ok(records) = coordination.recv_timeout(WAIT)
        {
            self.coordinate(&records)?;
        }
        for records in coordination.try_iter() {
            self.coordinate(&records)?;
        }
        if let Some(reason) = self.teller.take_failed() {
            self.lose_teller(&reason)?;
        }
        self.find()?;
        self.take_found()?;
        for Loading {
            partition,
            generation,
            result,
            ..
        } in self.checkpoints.loaded()
        {
            let actions = self.member.loaded(partition, generation, result);
            self.perform(actions)?;
        }
        self.tick()?;
        self.tell();
        self.show();
        Ok(())
    }

    fn coordinate(&mut self, records: &[CoordinationRecord]) -> Result<(), RunError> {
        let actions = self.member.coordinate(records);
        self.perform(actions)
    }

    /// Takes in messages until there is nothing more, or enough; how many.
    fn poll(&mut self) -> Result<u64, RunError> {
        let mut timeout = match (self.member.is_blocked(), self.checkpoints.is_asking()) {
            (true, _) => Duration::ZERO,
            (false, true) => Duration::from_millis(2),
            (false, false) => WAIT,
        };
        let mut polled = 0;
        for _ in 0..POLLS_MAX {
            let actions = match self.consumer.poll(timeout) {
                Polled::Message(message) => {
                    let record = from_message(message.payload());
                    polled += 1;
                    let (partition, offset) = (message.partition() as u32, message.offset() as u64);
                    self.member.record(partition, offset, record)
                }
                Polled::End => continue,
                Polled::Failed(error) => {
                    self.complaints.warn(&explain("detect", &error, None));
                    if is_out_of_range(&error) {
                        self.begin_again()?;
                    }
                    break;
                }
                Polled::Nothing => break,
            };
            timeout = Duration::ZERO;
            if !actions.is_empty() {
                self.perform(actions)?;
            }
        }
        let consumed = &self.shared.watch.metrics.kafka.messages_consumed;
        consumed.add(Stage::Detect, polled);
        Ok(polled)
    }

    fn rebalance(&mut self) -> Result<(), RunError> {
        for change in self.consumer.rebalances() {
            let began = Instant::now();
            let told = change.clone();
            match change {
                Rebalance::Assigned(places) => {
                    let partitions: Vec<u32> = places.iter().map(|place| place.1).collect();
                    tracing::info!(partitions = partitions.len(), "partitions assigned");
                    self.owned.extend(&partitions);
                    self.given
                        .extend(partitions.iter().map(|one| (*one, began)));
                    for partition in &partitions {
                        self.checkpoints.ages.given(*partition, began);
                    }
                    let actions = self.member.assigned(&partitions);
                    self.perform(actions)?;
                }
                Rebalance::Revoked(places) | Rebalance::Lost(places) => {
                    let partitions: Vec<u32> = places.iter().map(|place| place.1).collect();
                    tracing::info!(partitions = partitions.len(), "partitions taken away");
                    let kafka = &self.shared.watch.metrics.kafka;
                    for partition in &partitions {
                        self.owned.remove(partition);
                        self.given.remove(partition);
                        self.failed.remove(partition);
                        self.checkpoints.ages.taken_away(*partition);
                        self.shown.forget(*partition);
                        kafka.forget_partition(&self.topic, *partition as i32);
                        kafka.watermarks.forget_detect(*partition as i32);
                    }
                    self.to_find
                        .retain(|(partition, _)| !partitions.contains(partition));
                    self.member.revoked(&partitions);
                    for partition in &partitions {
                        let stopped = self.consumer.stop(&self.place(*partition));
                        stopped.map_err(|error| self.failure("cannot stop", *partition, &error))?;
                    }
                }
            }
            let watch = &self.shared.watch;
            watch.rebalanced(Stage::Detect, &told, self.owned.len());
            let took = &watch.metrics.kafka.rebalance_duration;
            took.record(Stage::Detect, began.elapsed());
        }
        Ok(())
    }

    pub(super) fn perform(&mut self, actions: Vec<DetectAction>) -> Result<(), RunError> {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                DetectAction::Find {
                    partition,
                    generation,
                } => self.to_find.push((partition, generation)),
                DetectAction::Load {
                    partition,
                    generation,
                    checkpoint,
                } => self.checkpoints.load(partition, generation, checkpoint),
                DetectAction::Read { partition, from } => {
                    let read = self.consumer.read(&self.place(partition), from);
                    read.map_err(|error| self.failure("cannot read", partition, &error))?;
                }
                DetectAction::Pause { partition } => {
                    let paused = self.consumer.pause(&self.place(partition));
                    paused.map_err(|error| self.failure("cannot pause", partition, &error))?;
                }
                DetectAction::Resume { partition } => {
                    let resumed = self.consumer.resume(&self.place(partition));
                    resumed.map_err(|error| self.failure("cannot resume", partition, &error))?;
                }
                DetectAction::Tell(record) => self.report(&record)?,
                DetectAction::Commit(transaction) => actions.extend(self.commit(&transaction)?),
                DetectAction::Store(checkpoint) => self.checkpoints.save(checkpoint),
            }
        }
        Ok(())
    }

    fn report(&mut self, record: &CoordinationRecord) -> Result<(), RunError> {
        let value = record.encode();
        let sent = self.teller.send(&OutgoingRecord {
            topic: &self.shared.settings.service.kafka.coordination_topic,
            partition: Some(0),
            key: Some(record.kind().as_bytes()),
            value: &value,
            headers: Vec::new(),
        });
        self.has_told = true;
        if let Err(error) = sent {
            self.lose_teller(&error.to_string())?;
        }
        Ok(())
    }

    /// Reports may be missing: another producer takes them, and everything is found anew.
    pub(super) fn lose_teller(&mut self, reason: &str) -> Result<(), RunError> {
        self.complaints.warn(&format!(
            "detect: reports were not taken: {reason}; beginning again"
        ));
        let client = |error| RunError::Kafka(explain("detect", &error, None));
        self.teller = PlainProducer::begin_prompt(&self.shared.properties).map_err(client)?;
        self.producer.give_up();
        Ok(())
    }

    /// Asks brokers and store.
    fn find(&mut self) -> Result<(), RunError> {
        let now_ms = self.shared.clock.now_ms();
        let wanted = self.to_find.due(now_ms);
        if wanted.is_empty() {
            return Ok(());
        }
        let places: Vec<_> = wanted
            .iter()
            .map(|(partition, _)| self.place(*partition))
            .collect();
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
        while let Some((partition, generation)) = wanted.next() {
            let place = self.place(partition);
            let ends = match self.consumer.ends(&place) {
                Ok(ends) => ends,
                Err(error) => {
                    // The loop has more to do than to wait for each.
                    self.to_find.failed(wanted.by_ref(), now_ms);
                    self.cannot_find(partition, generation, &error.to_string());
                    break;
                }
            };
            let own = committed.iter().find(|(other, _)| *other == place);
            let found = Found {
                committed: own.and_then(|(_, committed)| committed.clone()),
                ends,
                checkpoints: Vec::new(),
            };
            self.checkpoints.list(Finding {
                partition,
                generation,
                found,
            });
        }
        Ok(())
    }

    /// Takes in what the store said.
    fn take_found(&mut self) -> Result<(), RunError> {
        for (one, failure) in self.checkpoints.listed() {
            match failure {
                None => {
                    let actions = self.member.found(one.partition, one.generation, one.found);
                    self.perform(actions)?;
                }
                Some(reason) if self.owned.contains(&one.partition) => {
                    self.cannot_find(one.partition, one.generation, &reason);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn cannot_find(&mut self, partition: u32, generation: u64, reason: &str) {
        self.complaints.warn(&format!(
            "partitions cannot be restored yet: {reason}; trying again"
        ));
        let now_ms = self.shared.clock.now_ms();
        self.to_find.failed([(partition, generation)], now_ms);
    }

    fn tick(&mut self) -> Result<(), RunError> {
        let is_ready = self.producer.is_ready(self.shared);
        let detail = "no broker takes transactions of this instance";
        let unready = (!is_ready).then(|| detail.to_string());
        self.shared.watch.unready("detect_producer", unready);
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
        let partitions: Vec<u32> = self.owned.iter().copied().collect();
        self.to_find.clear();
        self.failed.clear();
        self.member.revoked(&partitions);
        let now = Instant::now();
        for partition in &partitions {
            self.given.insert(*partition, now);
            self.shown.forget(*partition);
            let stopped = self.consumer.stop(&self.place(*partition));
            stopped.map_err(|error| self.failure("cannot stop", *partition, &error))?;
        }
        let actions = self.member.assigned(&partitions);
        self.perform(actions)
    }

    fn failure(&self, doing: &str, partition: u32, error: &rdkafka::error::KafkaError) -> RunError {
        RunError::Kafka(explain(
            &format!("{doing} {}[{partition}]", self.topic),
            error,
            None,
        ))
    }
}
