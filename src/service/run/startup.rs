//! Before anything runs: is there a broker, are the topics there, are they the right ones?
//!
//! Whatever a new user gets wrong is met here, once, by name, and not later in a thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};

use super::RunError;
use super::clients::explain;
use super::producers::transaction_timeout;
use crate::config::{KafkaSettings, Role, ServiceSettings};
use crate::rateslog::kafka::{InternalTopic, create_topic};
use crate::sink::kafka::TransactionProducer;
use crate::source::kafka::{GroupConsumer, is_unknown_topic};

/// Time in which a broker has to answer.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);
/// Time of one question, and how often it is asked. A login that is refused is not tried again.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
const ASKED_MAX: u32 = 5;

/// Time in which another instance opens new logs.
const OPENING_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps what the client said last, and whether it was that brokers do not let it in.
#[derive(Clone, Default)]
struct LastError(Arc<Mutex<Option<(String, bool)>>>);

impl ClientContext for LastError {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("kafka: {error}: {reason}");
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That all brokers are down follows from what was said before.
        let code = error.rdkafka_error_code();
        let is_shut_out = matches!(
            code,
            Some(
                RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::SaslAuthenticationFailed
                    | RDKafkaErrorCode::SSL
            )
        );
        if code != Some(RDKafkaErrorCode::AllBrokersDown) || last.is_none() {
            *last = Some((reason.to_string(), is_shut_out));
        }
    }
}

impl ConsumerContext for LastError {}

/// Asks brokers about topics.
struct Asker<'a> {
    client: BaseConsumer<LastError>,
    last: LastError,
    brokers: &'a str,
}

/// Checks brokers and topics; makes internal topics that are absent.
pub fn prepare(
    properties: &BTreeMap<String, String>,
    settings: &ServiceSettings,
) -> Result<(), RunError> {
    let kafka = &settings.kafka;
    check_properties(properties, kafka)?;
    let asker = Asker::new(properties, &kafka.group)?;
    asker.ask(None)?;
    if settings.role != Role::Detect {
        for topic in &kafka.input_topics {
            asker.require(
                topic,
                "topic of kafka.input_topics; input topics are never made",
            )?;
            asker.tell_if_empty(topic)?;
        }
    }
    for topic in internal_topics(kafka) {
        let found = match asker.partitions_of(topic.name)? {
            Some(partitions) => partitions,
            None => make(properties, &topic)?,
        };
        check_partitions(kafka, &topic, found)?;
    }
    check_together(&asker, kafka)
}

/// Checks that the client takes the properties together, for a member of a group and for a producer
/// of transactions.
fn check_properties(
    properties: &BTreeMap<String, String>,
    kafka: &KafkaSettings,
) -> Result<(), RunError> {
    let session = Duration::from_secs(kafka.session_timeout_seconds);
    let member = GroupConsumer::member(properties, &kafka.group, session);
    member.map_err(|error| property_error(&error))?;
    let timeout = transaction_timeout(session);
    let producer = TransactionProducer::create(properties, &kafka.group, timeout);
    producer.map_err(|error| property_error(&error))?;
    Ok(())
}

/// Checks that the rates log and the coordination topic belong together: every partition is opened
/// in one transaction with the settings on the coordination topic.
fn check_together(asker: &Asker<'_>, kafka: &KafkaSettings) -> Result<(), RunError> {
    let began = Instant::now();
    let pause = || std::thread::park_timeout(Duration::from_millis(200));
    ask_in_time(&|| began.elapsed(), &pause, &mut || {
        // Whoever counts has opened the log before: asked in this order, an instance that begins
        // meanwhile is no contradiction.
        let has_counted = asker.has_committed(&kafka.input_topics);
        let (opened, is_coordinated) = asker.opened(kafka)?;
        let problem = told_apart(kafka, opened, is_coordinated, has_counted);
        problem.map_or(Ok(()), |problem| {
            Err(RunError::Config {
                key: "kafka.rates_topic".to_string(),
                problem,
            })
        })
    })
}

/// Asks until there is no error, or until one stands after the time that topics need to begin: one
/// that was just made has no leader yet, or another instance opens it now. An answer that took all
/// that time, as when the process was stopped meanwhile, is old, and so never the last.
fn ask_in_time(
    elapsed: &dyn Fn() -> Duration,
    pause: &dyn Fn(),
    ask: &mut dyn FnMut() -> Result<(), RunError>,
) -> Result<(), RunError> {
    loop {
        let is_last = elapsed() >= OPENING_TIMEOUT;
        match ask() {
            Ok(()) => return Ok(()),
            Err(RunError::Kafka(reason)) if is_last => {
                // Partitions without a leader for a while are no reason not to start.
                tracing::warn!("the rates log could not be checked: {reason}");
                return Ok(());
            }
            Err(error) if is_last => return Err(error),
            Err(_) => {}
        }
        pause();
    }
}

/// What is wrong with a rates log of which `opened` partitions have records; none has, and still
/// messages were counted.
fn told_apart(
    kafka: &KafkaSettings,
    opened: u32,
    is_coordinated: bool,
    has_counted: bool,
) -> Option<String> {
    let (rates, coordination) = (&kafka.rates_topic, &kafka.coordination_topic);
    let all = kafka.rates_partitions;
    let problem = match (opened, is_coordinated) {
        (0, _) if has_counted => format!(
            "topic {rates} is empty, though messages were counted: it was deleted and made again"
        ),
        (0, _) => return None,
        (_, true) if opened == all => return None,
        (_, true) => format!(
            "{} of {all} partitions of topic {rates} are empty: it has got more partitions than it \
             was begun with",
            all - opened
        ),
        (_, false) => format!(
            "topic {coordination} is empty and {rates} is not: it was deleted and made again"
        ),
    };
    Some(format!(
        "{problem}; begin anew with another kafka.rates_topic, kafka.coordination_topic and \
         kafka.group"
    ))
}

/// Checks that a topic is there; `what` it is.
pub fn find_topic(
    properties: &BTreeMap<String, String>,
    group: &str,
    topic: &str,
    what: &str,
) -> Result<(), RunError> {
    Asker::new(properties, group)?.require(topic, what)
}

impl<'a> Asker<'a> {
    /// Asks as the ingest group of `group`, and does not join it.
    fn new(properties: &'a BTreeMap<String, String>, group: &str) -> Result<Self, RunError> {
        let last = LastError::default();
        let mut config = ClientConfig::new();
        for (name, value) in properties {
            config.set(name, value);
        }
        config.set("group.id", format!("{group}-ingest"));
        config.set("isolation.level", "read_uncommitted");
        let client = config.create_with_context(last.clone());
        Ok(Asker {
            client: client.map_err(|error| property_error(&error))?,
            last,
            brokers: properties
                .get("bootstrap.servers")
                .map_or("", String::as_str),
        })
    }

    fn ask(&self, topic: Option<&str>) -> Result<Metadata, RunError> {
        let mut asked = 0;
        loop {
            asked += 1;
            let error = match self.client.fetch_metadata(topic, ASK_TIMEOUT) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => error,
            };
            // Errors of connections are told while the client is polled.
            self.client.poll(Duration::from_millis(10));
            let last = self.last.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_shut_out = last.as_ref().is_some_and(|(_, is_shut_out)| *is_shut_out);
            if is_shut_out || asked == ASKED_MAX {
                let reason = last.as_ref().map(|(reason, _)| reason.as_str());
                let doing = format!("no answer from {}", self.brokers);
                return Err(RunError::Kafka(explain(&doing, &error, reason)));
            }
        }
    }

    /// Number of partitions of a topic; `None` if there is no such topic.
    fn partitions_of(&self, topic: &str) -> Result<Option<u32>, RunError> {
        let metadata = self.ask(Some(topic))?;
        let mut topics = metadata.topics().iter();
        let Some(found) = topics.find(|found| found.name() == topic) else {
            return Ok(None);
        };
        let Some(code) = found.error().map(RDKafkaErrorCode::from) else {
            return Ok(Some(found.partitions().len() as u32));
        };
        let error = KafkaError::MetadataFetch(code);
        if is_unknown_topic(&error) {
            return Ok(None);
        }
        let text = explain(&format!("topic {topic}"), &error, None);
        Err(RunError::Kafka(text))
    }

    /// Whether the ingest group has committed an offset of a topic; not if it may not be asked.
    fn has_committed(&self, topics: &[String]) -> bool {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            let partitions = self.partitions_of(topic).ok().flatten().unwrap_or(0);
            for partition in 0..partitions {
                list.add_partition(topic, partition as i32);
            }
        }
        let committed = self.client.committed_offsets(list, BROKER_TIMEOUT);
        committed.is_ok_and(|committed| {
            let mut places = committed.elements().into_iter();
            places.any(|place| matches!(place.offset(), Offset::Offset(_)))
        })
    }

    /// Partitions of the rates log with records, those of open transactions included, and whether
    /// the coordination topic has any.
    fn opened(&self, kafka: &KafkaSettings) -> Result<(u32, bool), RunError> {
        let has_any = |topic: &str, partition: u32| {
            let client = &self.client;
            let ends = client.fetch_watermarks(topic, partition as i32, BROKER_TIMEOUT);
            ends.map(|(_, end)| end > 0).map_err(|error| {
                let doing = format!("topic {topic}, partition {partition}");
                RunError::Kafka(explain(&doing, &error, None))
            })
        };
        let mut opened = 0;
        for partition in 0..kafka.rates_partitions {
            opened += u32::from(has_any(&kafka.rates_topic, partition)?);
        }
        Ok((opened, has_any(&kafka.coordination_topic, 0)?))
    }

    /// Says so where nothing can come yet.
    fn tell_if_empty(&self, topic: &str) -> Result<(), RunError> {
        let partitions = self.partitions_of(topic)?.unwrap_or(0);
        let is_empty = (0..partitions as i32).all(|partition| {
            let ends = self
                .client
                .fetch_watermarks(topic, partition, BROKER_TIMEOUT);
            ends.is_ok_and(|(start, end)| start == end)
        });
        if is_empty {
            tracing::info!(topic, "the topic has no records yet; waiting for the first");
        }
        Ok(())
    }

    fn require(&self, topic: &str, what: &str) -> Result<(), RunError> {
        match self.partitions_of(topic)? {
            Some(_) => Ok(()),
            None => Err(RunError::Kafka(format!(
                "`{topic}`, {what}, does not exist: make it, or correct the name"
            ))),
        }
    }
}

fn check_partitions(
    kafka: &KafkaSettings,
    topic: &InternalTopic<'_>,
    found: u32,
) -> Result<(), RunError> {
    if found != topic.partitions && topic.name == kafka.rates_topic {
        return Err(RunError::Config {
            key: "kafka.rates_partitions".to_string(),
            problem: format!(
                "topic {} has {found} partitions, not {}; they are fixed for its life: write \
                 {found}, or begin anew with another kafka.rates_topic, kafka.coordination_topic \
                 and kafka.group",
                topic.name, topic.partitions
            ),
        });
    }
    if found != 1 && topic.name == kafka.coordination_topic {
        return Err(RunError::Config {
            key: "kafka.coordination_topic".to_string(),
            problem: format!(
                "topic {} has {found} partitions and must have one; choose another name",
                topic.name
            ),
        });
    }
    Ok(())
}

fn make(properties: &BTreeMap<String, String>, topic: &InternalTopic<'_>) -> Result<u32, RunError> {
    let mut tried = 0;
    let made = loop {
        tried += 1;
        match create_topic(properties, topic) {
            // A broker that goes while it is asked; another may make the topic.
            Err(error) if tried < ASKED_MAX && is_passing(&error) => {
                std::thread::park_timeout(Duration::from_secs(1));
            }
            other => break other,
        }
    };
    match made {
        Ok(is_new) => {
            if is_new {
                tracing::info!(
                    topic = topic.name,
                    partitions = topic.partitions,
                    "made a topic"
                );
            }
            Ok(topic.partitions)
        }
        Err(error) => {
            let doing = format!("topic {} is absent and cannot be made", topic.name);
            Err(RunError::Kafka(explain(&doing, &error, None)))
        }
    }
}

fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::NotController
        )
    )
}

fn internal_topics(kafka: &KafkaSettings) -> [InternalTopic<'_>; 4] {
    let retention = (kafka.rates_retention_seconds * 1000).to_string();
    let topic = |name, partitions, properties| InternalTopic {
        name,
        partitions,
        replication: kafka.replication,
        properties,
    };
    [
        topic(
            &kafka.rates_topic,
            kafka.rates_partitions,
            vec![
                ("cleanup.policy", "delete".to_string()),
                ("retention.ms", retention),
            ],
        ),
        topic(
            &kafka.coordination_topic,
            1,
            vec![
                ("cleanup.policy", "delete".to_string()),
                ("retention.ms", "-1".to_string()),
                ("retention.bytes", "-1".to_string()),
            ],
        ),
        topic(&kafka.output_topic, 1, Vec::new()),
        topic(&kafka.dead_letter_topic, 1, Vec::new()),
    ]
}

/// A property that the client does not know, or with a value that it does not take.
fn property_error(error: &KafkaError) -> RunError {
    match error {
        KafkaError::ClientConfig(_, problem, name, value) => RunError::Config {
            key: format!("kafka.properties.{name}"),
            problem: format!("librdkafka does not take `{value}`: {problem}"),
        },
        KafkaError::ClientCreation(problem) => RunError::Config {
            key: "kafka.properties".to_string(),
            problem: format!("librdkafka does not take them together: {problem}"),
        },
        other => RunError::Kafka(explain("cannot make a client", other, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn a_rates_topic_with_another_number_of_partitions_is_refused() {
        let settings = Settings::from_canonical("").unwrap();
        let kafka = &settings.service.kafka;
        let [rates, coordination, output, _] = internal_topics(kafka);
        assert!(check_partitions(kafka, &rates, 64).is_ok());
        for found in [1, 32, 65, 128] {
            let error = check_partitions(kafka, &rates, found).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("kafka.rates_partitions"), "{text}");
            let advice = format!("write {found}, or begin anew");
            assert!(text.contains(&advice), "{text}");
        }
        assert!(check_partitions(kafka, &coordination, 2).is_err());
        assert!(check_partitions(kafka, &output, 3).is_ok(), "any number");
    }

    #[test]
    fn topics_that_do_not_belong_together_are_told_apart() {
        let settings = Settings::from_canonical("").unwrap();
        let kafka = &settings.service.kafka;
        for (opened, is_coordinated, has_counted, expected) in [
            (0, false, false, None),
            // A leader has announced itself and opened nothing yet.
            (0, true, false, None),
            (64, true, true, None),
            (
                0,
                true,
                true,
                Some("insightd-rates is empty, though messages"),
            ),
            (
                0,
                false,
                true,
                Some("insightd-rates is empty, though messages"),
            ),
            (64, false, true, Some("insightd-coordination is empty")),
            (
                32,
                true,
                true,
                Some("32 of 64 partitions of topic insightd-rates"),
            ),
        ] {
            let told = told_apart(kafka, opened, is_coordinated, has_counted);
            let is_right = match (&told, expected) {
                (Some(told), Some(expected)) => told.contains(expected),
                (told, expected) => told.is_none() && expected.is_none(),
            };
            assert!(
                is_right,
                "{opened} {is_coordinated} {has_counted}: {told:?}"
            );
        }
    }

    /// An instance that was stopped for seven seconds in the middle of its first question gave up
    /// on the answer, although the others had gone on meanwhile.
    #[test]
    fn an_answer_from_before_a_stop_is_not_the_last() {
        let asked = std::cell::Cell::new(0);
        let elapsed = || Duration::from_secs(if asked.get() == 0 { 0 } else { 8 });
        let check = |wrong_until: u32| {
            asked.set(0);
            ask_in_time(&elapsed, &|| {}, &mut || {
                asked.set(asked.get() + 1);
                match asked.get() <= wrong_until {
                    true => Err(RunError::Config {
                        key: "kafka.rates_topic".to_string(),
                        problem: "it is empty".to_string(),
                    }),
                    false => Ok(()),
                }
            })
        };
        assert!(check(0).is_ok());
        assert!(check(1).is_ok(), "the second answer is of now");
        assert!(check(9).is_err());
        assert_eq!(asked.get(), 2);
    }
}
