//! The rates log as a Kafka topic: making it, and what its messages hold.
//!
//! A message is one record in the form of `docs/rates-log.md`. Reading and writing go through the
//! consumer and the transactions of the service, because they belong together there.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use crate::formats::rates_record;
use crate::model::LogRecord;

/// Time that a topic may take to be made.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// A topic that the service makes when it is absent.
#[derive(Clone, Debug)]
pub struct InternalTopic<'a> {
    pub name: &'a str,
    pub partitions: u32,
    /// `None` is the broker's default.
    pub replication: Option<u32>,
    /// Properties of the topic.
    pub properties: Vec<(&'static str, String)>,
}

/// Makes a topic; whether it was absent.
pub fn create_topic(
    properties: &BTreeMap<String, String>,
    topic: &InternalTopic<'_>,
) -> KafkaResult<bool> {
    let mut config = ClientConfig::new();
    for (name, value) in properties {
        config.set(name, value);
    }
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let replication = topic.replication.map_or(-1, |replicas| replicas as i32);
    let replication = TopicReplication::Fixed(replication);
    let mut wanted = NewTopic::new(topic.name, topic.partitions as i32, replication);
    for (name, value) in &topic.properties {
        wanted = wanted.set(name, value);
    }
    let options = AdminOptions::new()
        .request_timeout(Some(CREATE_TIMEOUT))
        .operation_timeout(Some(CREATE_TIMEOUT));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|_| KafkaError::AdminOp(RDKafkaErrorCode::Fail))?;
    let results = runtime.block_on(admin.create_topics([&wanted], &options))?;
    for result in results {
        match result {
            Ok(_) => {}
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => return Ok(false),
            Err((_, code)) => return Err(KafkaError::AdminOp(code)),
        }
    }
    Ok(true)
}

/// The bytes of a record.
pub fn to_message(record: &LogRecord) -> Vec<u8> {
    let mut bytes = Vec::new();
    rates_record::encode(record, &mut bytes);
    bytes
}

/// The record in a message, or why there is none.
pub fn from_message(payload: Option<&[u8]>) -> Result<LogRecord, String> {
    let bytes = payload.ok_or_else(|| "the message is empty".to_string())?;
    rates_record::decode(bytes).map_err(|error| error.to_string())
}
