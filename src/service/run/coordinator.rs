//! Reads what all agree on, tells the stages, and decides it where this instance was elected.
//!
//! Leading is owning the coordination topic's one partition in a consumer group. A leader first
//! shuts out the one before by taking its producer's name, then reads to its own first record, and
//! decides only on what it has read back. Settings and sources, which it alone may say, go out in
//! transactions; what follows from the topic goes out plainly and at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use rdkafka::message::{BorrowedMessage, Message};

use super::clients::explain;
use super::complaints::Complaints;
use super::look_up::LookUp;
use super::producers::Producer;
use super::watch::Watch;
use super::{RunError, Shared};
use crate::config::{Role, Settings};
use crate::model::LogRecord;
use crate::protocol::{
    Coordination, CoordinationRecord, Leader, REQUEST_KIND, Retirement, SourceName, relayed,
};
use crate::rateslog::kafka::to_message;
use crate::sink::kafka::{OutgoingRecord, PlainProducer, TransactionEnd};
use crate::source::kafka::{GroupConsumer, Polled, Rebalance, is_unknown_topic};
use crate::telemetry::metrics::RequestOutcome;

/// How often topics are looked up.
const LOOK_UP_MS: u64 = 10_000;
/// Messages read between two looks at other things.
const MESSAGES_MAX: usize = 1000;

struct Coordinator<'a> {
    shared: &'a Shared,
    listeners: &'a [Sender<Vec<CoordinationRecord>>],
    reader: GroupConsumer,
    /// Where leaders are elected; instances that do not count events stand aside.
    election: Option<GroupConsumer>,
    coordination: Coordination,
    /// Read, and not passed on: nobody acts on a past that was read in part.
    unheard: Vec<CoordinationRecord>,
    has_met_end: bool,
    leading: Option<Leading>,
    next_look_ms: u64,
    complaints: Complaints,
}

/// What a leader has.
struct Leading {
    leader: Leader,
    retirement: Retirement,
    producer: Producer,
    /// Writes what may be said twice.
    teller: Option<PlainProducer>,
    /// Written and not read back.
    awaited: VecDeque<CoordinationRecord>,
    has_begun: bool,
    next_look_up_ms: u64,
}

pub fn run(
    shared: &Arc<Shared>,
    listeners: &[Sender<Vec<CoordinationRecord>>],
) -> Result<(), RunError> {
    let kafka = &shared.settings.service.kafka;
    let topic = kafka.coordination_topic.as_str();
    let client = |error| RunError::Kafka(explain("coordination", &error, None));
    let reader = GroupConsumer::read_alone(&shared.properties, &shared.name("ingest"), topic, 0);
    let reader = reader.map_err(client)?;
    let session = Duration::from_secs(kafka.session_timeout_seconds);
    let election = (shared.settings.service.role != Role::Detect)
        .then(|| {
            let group = shared.name("coordinator");
            GroupConsumer::join(&shared.properties, &group, session, &[topic])
        })
        .transpose()
        .map_err(client)?;
    let mut coordinator = Coordinator {
        shared,
        listeners,
        reader,
        election,
        coordination: Coordination::default(),
        unheard: Vec::new(),
        has_met_end: false,
        leading: None,
        next_look_ms: shared.clock.now_ms() + LOOK_UP_MS,
        complaints: Complaints::default(),
    };
    while !shared.is_stopped() {
        coordinator.turn()?;
    }
    Ok(())
}

impl Coordinator<'_> {
    fn turn(&mut self) -> Result<(), RunError> {
        self.hold_election();
        self.read()?;
        self.look_for_topics();
        self.lead()
    }

    /// Says by name which topics that instances write to are gone.
    fn look_for_topics(&mut self) {
        let now_ms = self.shared.clock.now_ms();
        if now_ms < self.next_look_ms {
            return;
        }
        self.next_look_ms = now_ms + LOOK_UP_MS;
        let kafka = &self.shared.settings.service.kafka;
        let topics = [
            &kafka.rates_topic,
            &kafka.coordination_topic,
            &kafka.output_topic,
            &kafka.dead_letter_topic,
        ];
        let mut detail = None;
        for topic in topics {
            match self.reader.partitions(topic) {
                Ok(_) => {}
                Err(error) if is_unknown_topic(&error) => {
                    detail = Some(format!("topic {topic} is gone: was it deleted?"));
                    break;
                }
                // Without brokers nothing is known of topics.
                Err(_) => return,
            }
        }
        if let Some(detail) = &detail {
            self.complaints.warn(detail);
        }
        self.shared.watch.unready("topics", detail);
    }

    fn hold_election(&mut self) {
        let Some(election) = &self.election else {
            return;
        };
        loop {
            match election.poll(Duration::ZERO) {
                Polled::Message(_) | Polled::End => {}
                Polled::Failed(error) => {
                    self.complaints
                        .warn(&explain("election of a coordinator", &error, None));
                    break;
                }
                Polled::Nothing => break,
            }
        }
        for change in election.rebalances() {
            match change {
                Rebalance::Assigned(_) => {
                    self.shared.watch.metrics.service.is_coordinator.set(true);
                    tracing::info!("this instance coordinates");
                    self.leading = Some(self.begin_leading());
                }
                Rebalance::Revoked(_) | Rebalance::Lost(_) => {
                    self.shared.watch.metrics.service.is_coordinator.set(false);
                    tracing::info!("this instance coordinates no longer");
                    self.leading = None;
                }
            }
        }
    }

    fn begin_leading(&self) -> Leading {
        let settings = &self.shared.settings;
        let leader = Leader::new(
            settings.detect.clone(),
            settings.canonical.clone(),
            settings.service.kafka.rates_partitions,
            settings.knowledge.limits(),
        );
        Leading {
            leader,
            retirement: Retirement::new(settings.service.ingest.retire_after_seconds * 1000),
            producer: Producer::elected(self.shared.name("coordinator")),
            teller: None,
            awaited: VecDeque::new(),
            has_begun: false,
            next_look_up_ms: 0,
        }
    }

    /// Reads what has come, waiting a little for the first.
    fn read(&mut self) -> Result<(), RunError> {
        let mut timeout = Duration::from_millis(20);
        for _ in 0..MESSAGES_MAX {
            match self.reader.poll(timeout) {
                Polled::Message(message) => {
                    timeout = Duration::ZERO;
                    if let Some(record) = to_record(&message, &self.shared.watch)? {
                        self.coordination.apply(&record);
                        self.unheard.push(record);
                    }
                }
                Polled::End => self.has_met_end = true,
                Polled::Failed(error) => {
                    self.complaints.warn(&explain("coordination", &error, None));
                    break;
                }
                Polled::Nothing => break,
            }
        }
        if self.has_met_end && !self.unheard.is_empty() {
            self.pass_on()?;
        }
        Ok(())
    }

    fn pass_on(&mut self) -> Result<(), RunError> {
        let records = std::mem::take(&mut self.unheard);
        let mut settings = records.iter().rev().filter_map(|record| match record {
            CoordinationRecord::Settings { canonical } => Some(canonical),
            _ => None,
        });
        if let Some(in_force) = settings.next() {
            self.compare_settings(in_force)?;
        }
        if let Some(leading) = &mut self.leading {
            for record in &records {
                if leading.awaited.front() == Some(record) {
                    leading.awaited.pop_front();
                }
            }
        }
        for listener in self.listeners {
            // A stage that has ended is about to end the service.
            let _ = listener.send(records.clone());
        }
        Ok(())
    }

    /// Settings that are in force and others than this instance's: told, or refused where the
    /// state cannot go on with them.
    fn compare_settings(&self, canonical: &str) -> Result<(), RunError> {
        let own = &self.shared.settings;
        if canonical == own.canonical {
            return Ok(());
        }
        let in_force = Settings::from_canonical(canonical).map(|settings| settings.detect);
        let Ok(mut in_force) = in_force else {
            tracing::warn!("the settings in force are of another version");
            return Ok(());
        };
        in_force.fleet = own.detect.fleet;
        if let Err(refusal) = in_force.can_become(&own.detect) {
            return Err(RunError::Config {
                key: "settings".to_string(),
                problem: refusal.to_string(),
            });
        }
        tracing::warn!(
            "other settings than this instance's are in force; those of the instance that \
             coordinates count"
        );
        Ok(())
    }

    fn lead(&mut self) -> Result<(), RunError> {
        let Some(mut leading) = self.leading.take() else {
            return Ok(());
        };
        let result = self.lead_on(&mut leading);
        self.leading = Some(leading);
        result
    }

    fn lead_on(&mut self, leading: &mut Leading) -> Result<(), RunError> {
        if !leading.producer.is_ready(self.shared) {
            return Ok(());
        }
        let untold = leading.teller.as_ref().and_then(PlainProducer::take_failed);
        if let Some(reason) = &untold {
            tracing::warn!("a decision could not be written: {reason}; trying again");
            leading.teller = None;
        }
        if leading.producer.take_lost() || untold.is_some() {
            leading.awaited.clear();
            leading.has_begun = false;
        }
        if !leading.has_begun {
            leading.has_begun = true;
            let record = CoordinationRecord::Leader {
                instance: self.shared.instance.clone(),
                token: self.shared.clock.now_ms(),
            };
            return self.say(leading, vec![record], &[]);
        }
        if !leading.awaited.is_empty() {
            return Ok(());
        }
        if let Some(settings) = leading.leader.new_settings(&self.coordination) {
            let canonical = self.shared.settings.canonical.clone();
            tracing::info!("new settings are in force from here on");
            return self.say(leading, vec![settings], &[LogRecord::Settings(canonical)]);
        }
        let now_ms = self.shared.clock.now_ms();
        if now_ms >= leading.next_look_up_ms {
            leading.next_look_up_ms = now_ms + LOOK_UP_MS;
            if let Some(record) = self.look_up(leading, now_ms) {
                let everywhere = self.retired(&record);
                return self.say(leading, vec![record], &everywhere);
            }
        }
        let decided = leading.leader.decide(&self.coordination);
        if !decided.is_empty() {
            return self.tell(leading, decided);
        }
        // However many there are, engines wait for none of them.
        let answers = leading.leader.answers(&self.coordination);
        if answers.is_empty() {
            return Ok(());
        }
        tell_answers(&answers);
        let everywhere = relayed(&answers);
        self.say(leading, answers, &everywhere)
    }

    /// Writes origin and thresholds without a transaction, since every instance waits for them: of
    /// what is said twice the first stays, whoever says it.
    fn tell(
        &self,
        leading: &mut Leading,
        records: Vec<CoordinationRecord>,
    ) -> Result<(), RunError> {
        let client = |error| RunError::Kafka(explain("coordination", &error, None));
        let teller = match leading.teller.take() {
            Some(teller) => teller,
            None => PlainProducer::begin_prompt(&self.shared.properties).map_err(client)?,
        };
        let topic = &self.shared.settings.service.kafka.coordination_topic;
        for record in &records {
            let bytes = record.encode();
            let outgoing = outgoing_record(topic, 0, record.kind(), &bytes);
            if let Err(error) = teller.send(&outgoing) {
                tracing::warn!("a decision could not be written: {error}; trying again");
                leading.awaited.clear();
                leading.has_begun = false;
                return Ok(());
            }
        }
        leading.teller = Some(teller);
        leading.awaited.extend(records);
        Ok(())
    }

    /// Looks at the input topics: names sources that are new, and retires those that are gone.
    fn look_up(&mut self, leading: &mut Leading, now_ms: u64) -> Option<CoordinationRecord> {
        let topics = &self.shared.settings.service.kafka.input_topics;
        let look = LookUp::new(&self.reader, topics, &mut self.complaints);
        let coordination = &self.coordination;
        let found: Vec<SourceName> = look.found.iter().cloned().collect();
        let named = leading.leader.new_sources(coordination, &found);
        let seen = look.sightings(&self.reader, coordination, &mut self.complaints);
        named.or_else(|| leading.retirement.look(coordination, seen, now_ms))
    }

    /// What a record about sources says to every partition of the rates log: who is retired.
    fn retired(&self, record: &CoordinationRecord) -> Vec<LogRecord> {
        let CoordinationRecord::Retired { names } = record else {
            return Vec::new();
        };
        for SourceName { topic, partition } in names {
            tracing::warn!(
                "{topic}[{partition}] is no partition of the input topics any more: time waits for \
                 it no longer"
            );
        }
        let indices = names
            .iter()
            .filter_map(|name| self.coordination.index_of(name));
        indices.map(LogRecord::Retired).collect()
    }

    /// Writes records to the coordination topic, and others to every partition of the rates log
    /// before them, in one transaction.
    fn say(
        &mut self,
        leading: &mut Leading,
        said: Vec<CoordinationRecord>,
        everywhere: &[LogRecord],
    ) -> Result<(), RunError> {
        let kafka = &self.shared.settings.service.kafka;
        let everywhere: Vec<Vec<u8>> = everywhere.iter().map(to_message).collect();
        let kind = said.first().map_or("", CoordinationRecord::kind);
        let mut outgoing = Vec::new();
        for partition in 0..kafka.rates_partitions {
            let topic = kafka.rates_topic.as_str();
            let records = everywhere.iter();
            outgoing.extend(records.map(|bytes| outgoing_record(topic, partition, kind, bytes)));
        }
        let encoded: Vec<(&str, Vec<u8>)> = said
            .iter()
            .map(|record| (record.kind(), record.encode()))
            .collect();
        for (kind, bytes) in &encoded {
            outgoing.push(outgoing_record(&kafka.coordination_topic, 0, kind, bytes));
        }
        match leading.producer.write(&outgoing, &[], None) {
            Ok(TransactionEnd::Committed) => leading.awaited.extend(said),
            Ok(TransactionEnd::Aborted { reason, .. }) => {
                tracing::warn!("a decision could not be written: {reason}; trying again");
                leading.has_begun = false;
            }
            Ok(TransactionEnd::Lost { .. }) => {}
            Err(other) => return Err(other),
        }
        Ok(())
    }
}

/// The record in a message; `None` if it claims to be a request and cannot be read, which no
/// instance may stop for.
fn to_record(
    message: &BorrowedMessage<'_>,
    watch: &Watch,
) -> Result<Option<CoordinationRecord>, RunError> {
    let requests = &watch.metrics.service.knowledge_requests;
    match coordination_record(message) {
        Ok(record) => {
            match &record {
                CoordinationRecord::Known { .. } => requests.add(RequestOutcome::Known, 1),
                CoordinationRecord::Refused { .. } => requests.add(RequestOutcome::Refused, 1),
                _ => {}
            }
            Ok(Some(record))
        }
        Err(error) if message.key() == Some(REQUEST_KIND.as_bytes()) => {
            requests.add(RequestOutcome::Unreadable, 1);
            tracing::warn!("a request for a mute or feedback is passed over: {error}");
            Ok(None)
        }
        Err(error) => Err(RunError::Failed(error)),
    }
}

/// The record in a message of the coordination topic, or why there is none.
pub fn coordination_record(message: &BorrowedMessage<'_>) -> Result<CoordinationRecord, String> {
    let payload = message.payload().unwrap_or_default();
    CoordinationRecord::decode(payload).map_err(|error| {
        format!(
            "offset {} of topic {} cannot be read: {error}; was it written by another version?",
            message.offset(),
            message.topic()
        )
    })
}

fn tell_answers(answers: &[CoordinationRecord]) {
    for answer in answers {
        match answer {
            CoordinationRecord::Known { record, .. } => tracing::info!(
                id = %record.id,
                owner = record.owner,
                "a mute, its removal or feedback is known from here on"
            ),
            CoordinationRecord::Refused { id, reason } => tracing::warn!(
                id = %uuid::Uuid::from_u128(*id),
                "a mute, its removal or feedback is refused: {reason}"
            ),
            _ => {}
        }
    }
}

fn outgoing_record<'a>(
    topic: &'a str,
    partition: u32,
    key: &'a str,
    value: &'a [u8],
) -> OutgoingRecord<'a> {
    OutgoingRecord {
        topic,
        partition: Some(partition),
        key: Some(key.as_bytes()),
        value,
        headers: Vec::new(),
    }
}
