//! The coordination topic as whoever knows something meets it: what is known, and requests.
//!
//! A request is written and then answered by the instance that coordinates, so that all partitions
//! hear of it at a place of their own; nothing that is read here is in force because it is asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::message::Message;
use uuid::Uuid;

use super::RunError;
use super::clients::{client_properties, explain};
use super::coordinator::coordination_record;
use super::startup;
use crate::config::KafkaSettings;
use crate::model::Knowledge;
use crate::protocol::{Coordination, CoordinationRecord, REQUEST_KIND, REQUESTS_MAX};
use crate::sink::kafka::{OutgoingRecord, PlainProducer};
use crate::source::kafka::{GroupConsumer, Polled};

/// Time in which the topic has to be read to its end.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Time in which an instance that runs answers: a takeover is longer, and not waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// The coordination topic, read to its end.
pub struct KnowledgeTopic {
    topic: String,
    properties: BTreeMap<String, String>,
    reader: GroupConsumer,
    coordination: Coordination,
    /// Refusals that were read, by request.
    refused: BTreeMap<u128, String>,
    /// A request that was written and not read back: no refusal so far is of it.
    unread: Option<u128>,
    /// What stood there at first was read.
    has_met_end: bool,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is known, and was before or is from now on.
    Known,
    Refused(String),
    /// It stands there, and no instance has answered it.
    Waits,
}

impl KnowledgeTopic {
    /// Reads what the topic says now.
    pub fn read(kafka: &KafkaSettings) -> Result<Self, RunError> {
        let properties = client_properties(kafka)?;
        let topic = kafka.coordination_topic.clone();
        let what = "kafka.coordination_topic, which the service makes when it first runs";
        startup::find_topic(&properties, &kafka.group, &topic, what)?;
        let group = format!("{}-ingest", kafka.group);
        let reader = GroupConsumer::read_alone(&properties, &group, &topic, 0);
        let reader = reader.map_err(|error| failure(&topic, &error))?;
        let mut read = KnowledgeTopic {
            topic,
            properties,
            reader,
            coordination: Coordination::default(),
            refused: BTreeMap::new(),
            unread: None,
            has_met_end: false,
        };
        read.read_on(READ_TIMEOUT, &|read| read.has_met_end)?;
        Ok(read)
    }

    /// What is known, in its order.
    pub fn known(&self) -> Vec<Knowledge> {
        copies(self.coordination.known())
    }

    /// What was asked for and not answered.
    pub fn requests(&self) -> Vec<Knowledge> {
        copies(self.coordination.requests())
    }

    /// Asks for a record to be known, unless that is done, and waits for the answer for a while.
    pub fn ask(&mut self, record: &Knowledge) -> Result<Asked, RunError> {
        let is_asked = |request: &Arc<Knowledge>| request.id == record.id;
        let waits = self.coordination.requests().iter().any(is_asked);
        if !waits && !self.coordination.is_known(record.id) {
            if self.coordination.requests().len() >= REQUESTS_MAX {
                return Ok(too_many());
            }
            self.refused.remove(&record.id.as_u128());
            self.request(record)?;
            self.unread = Some(record.id.as_u128());
        }
        let (id, number) = (record.id, record.id.as_u128());
        self.read_on(ANSWER_TIMEOUT, &|read| {
            read.coordination.is_known(id) || read.refused.contains_key(&number)
        })?;
        Ok(self.answer(id))
    }

    fn answer(&self, id: Uuid) -> Asked {
        let mut requests = self.coordination.requests().iter();
        match self.refused.get(&id.as_u128()) {
            _ if self.coordination.is_known(id) => Asked::Known,
            Some(reason) => Asked::Refused(reason.clone()),
            None if self.unread.is_some() => Asked::Waits,
            None if requests.any(|request| request.id == id) => Asked::Waits,
            // Others were faster, and readers hear of so many only.
            None => too_many(),
        }
    }

    fn request(&self, record: &Knowledge) -> Result<(), RunError> {
        let client = |error| failure(&self.topic, &error);
        let producer = PlainProducer::begin_prompt(&self.properties).map_err(client)?;
        let request = CoordinationRecord::Request {
            record: Arc::new(record.clone()),
        };
        let sent = producer.send(&OutgoingRecord {
            topic: &self.topic,
            partition: Some(0),
            key: Some(REQUEST_KIND.as_bytes()),
            value: &request.encode(),
            headers: Vec::new(),
        });
        sent.map_err(client)?;
        let taken = producer.flush();
        taken.map_err(|reason| {
            RunError::Kafka(format!(
                "topic {} does not take the request: {reason}",
                self.topic
            ))
        })
    }

    /// Reads on until enough is read, or until `timeout`, which is an error before the first end.
    fn read_on(
        &mut self,
        timeout: Duration,
        is_enough: &dyn Fn(&Self) -> bool,
    ) -> Result<(), RunError> {
        let began = Instant::now();
        let mut trouble = None;
        while !is_enough(self) {
            if began.elapsed() >= timeout {
                let reason = trouble.unwrap_or_else(|| "no answer from the brokers".to_string());
                return match self.has_met_end {
                    true => Ok(()),
                    false => Err(RunError::Kafka(format!(
                        "topic {} cannot be read: {reason}",
                        self.topic
                    ))),
                };
            }
            let record = match self.reader.poll(POLL) {
                Polled::Message(message) => match coordination_record(&message) {
                    Ok(record) => record,
                    Err(_) if message.key() == Some(REQUEST_KIND.as_bytes()) => continue,
                    Err(error) => return Err(RunError::Failed(error)),
                },
                Polled::End => {
                    self.has_met_end = true;
                    continue;
                }
                Polled::Failed(error) => {
                    trouble = Some(explain("reading", &error, None));
                    continue;
                }
                Polled::Nothing => continue,
            };
            self.coordination.apply(&record);
            match record {
                // What was refused before may be asked again.
                CoordinationRecord::Request { record } => {
                    let id = record.id.as_u128();
                    self.refused.remove(&id);
                    self.unread = self.unread.filter(|unread| *unread != id);
                }
                CoordinationRecord::Refused { id, reason } if self.unread != Some(id) => {
                    self.refused.insert(id, reason);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn too_many() -> Asked {
    let text = format!("{REQUESTS_MAX} requests wait already: does an instance run?");
    Asked::Refused(text)
}

fn copies(records: &[Arc<Knowledge>]) -> Vec<Knowledge> {
    records.iter().map(|record| (**record).clone()).collect()
}

fn failure(topic: &str, error: &rdkafka::error::KafkaError) -> RunError {
    RunError::Kafka(explain(&format!("topic {topic}"), error, None))
}
