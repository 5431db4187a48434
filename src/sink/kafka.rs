//! Kafka as a sink: transactions that hold records and the positions they were made from.
//!
//! Either all of a transaction is there or nothing. What to do after a failure follows from its
//! class: try again, give the transaction up, or give the producer up.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};
use rdkafka::{Offset, TopicPartitionList};

/// Time that a question to the brokers may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(15);
/// Time that the end of a transaction may take. librdkafka leaves open what a call that ran out of
/// time did; then the producer is given up, its name taken anew, and the brokers are asked.
const END_TIMEOUT: Duration = Duration::from_secs(8);
/// Time after which a client that does not answer is given up, whatever the time-out it was given.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);
/// How long a broker waits for the end of a transaction.
const TIMEOUT_PROPERTY: &str = "transaction.timeout.ms";
/// Times that a call is repeated which may be.
const RETRIES: u32 = 5;

/// One record to be written.
pub struct OutgoingRecord<'a> {
    pub topic: &'a str,
    /// `None` lets the client choose by the key.
    pub partition: Option<u32>,
    pub key: Option<&'a [u8]>,
    pub value: &'a [u8],
    pub headers: Vec<(&'a str, String)>,
}

/// A position that a transaction commits: topic, partition, next offset, metadata.
pub type CommittedPosition<'a> = (&'a str, u32, u64, &'a str);

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionEnd {
    Committed,
    /// Nothing of it is there; it may be tried again.
    Aborted {
        reason: String,
        /// The group has another generation: its news come with the next polls.
        is_out_of_group: bool,
        /// Topic of a record that was not taken.
        topic: Option<String>,
        /// It was not taken for what it is, so that another attempt is of no use.
        is_refused: bool,
    },
    /// Nobody knows how it ended, or this producer is of no more use: another has to be begun, and
    /// the brokers asked what is committed.
    Lost {
        reason: String,
        /// Another producer of this name has begun.
        is_replaced: bool,
    },
}

/// Collects what could not be delivered.
#[derive(Clone, Default)]
struct Deliveries {
    failed: Arc<Mutex<Option<Undelivered>>>,
}

/// The first record that was not taken.
struct Undelivered {
    topic: String,
    reason: String,
    is_refused: bool,
}

/// A producer of transactions. It has no thread of its own that takes in what was delivered: a
/// commit does that, and rdkafka's thread for it never rests.
pub struct TransactionProducer {
    producer: Arc<BaseProducer<Deliveries>>,
    failed: Arc<Mutex<Option<Undelivered>>>,
}

/// A producer of single records that are the same whoever writes them, and how often.
pub struct PlainProducer {
    producer: BaseProducer<Deliveries>,
    failed: Arc<Mutex<Option<Undelivered>>>,
}

impl ClientContext for Deliveries {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("kafka: {error}: {reason}");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            if is_purged(error) {
                return;
            }
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| Undelivered {
                topic: message.topic().to_string(),
                reason: format!("{}: {error}", message.topic()),
                is_refused: is_refusal(error),
            });
        }
    }
}

impl TransactionProducer {
    /// A producer that shuts out all earlier ones of its name. What it leaves open when it dies is
    /// given up by the broker after `timeout`, unless properties name another.
    pub fn begin(
        properties: &BTreeMap<String, String>,
        name: &str,
        timeout: Duration,
    ) -> KafkaResult<Self> {
        let producer = Self::create(properties, name, timeout)?;
        producer.producer.init_transactions(ASK_TIMEOUT)?;
        Ok(producer)
    }

    /// A producer that has shut out nobody; an error where properties do not fit.
    pub fn create(
        properties: &BTreeMap<String, String>,
        name: &str,
        timeout: Duration,
    ) -> KafkaResult<Self> {
        let mut config = base_config(properties);
        config.set("transactional.id", name);
        if !properties.contains_key(TIMEOUT_PROPERTY) {
            config.set(TIMEOUT_PROPERTY, timeout.as_millis().to_string());
        }
        let context = Deliveries::default();
        let failed = Arc::clone(&context.failed);
        let producer: BaseProducer<Deliveries> = config.create_with_context(context)?;
        let producer = Arc::new(producer);
        Ok(TransactionProducer { producer, failed })
    }

    /// Writes records and commits positions, all or nothing.
    pub fn write(
        &self,
        records: &[OutgoingRecord<'_>],
        positions: &[CommittedPosition<'_>],
        group: Option<&Arc<ConsumerGroupMetadata>>,
    ) -> TransactionEnd {
        *lock(&self.failed) = None;
        if let Err(error) = self.producer.begin_transaction() {
            return lost(&error);
        }
        let result = match self.fill(records, positions, group) {
            Some(Ok(())) => self.ask(|producer| producer.commit_transaction(END_TIMEOUT)),
            other => other,
        };
        let error = match result {
            None => return unanswered(),
            Some(Ok(())) => return TransactionEnd::Committed,
            Some(Err(error)) => error,
        };
        if is_fatal(&error) {
            return lost(&error);
        }
        let failed = lock(&self.failed).take();
        let reason = failed.as_ref().map(|failed| failed.reason.clone());
        let reason = reason.unwrap_or_else(|| error.to_string());
        // An abort waits for every delivery, and nobody but this takes them in.
        self.producer
            .purge(PurgeConfig::default().queue().inflight());
        let deadline = Instant::now() + END_TIMEOUT;
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            self.producer.poll(Duration::from_millis(10));
        }
        if self.producer.in_flight_count() > 0 {
            return lost(&error);
        }
        match self.ask(|producer| producer.abort_transaction(END_TIMEOUT)) {
            None => return unanswered(),
            Some(Err(error)) => return lost(&error),
            Some(Ok(())) => {}
        }
        TransactionEnd::Aborted {
            reason,
            is_out_of_group: is_out_of_group(&error),
            is_refused: failed.as_ref().is_some_and(|failed| failed.is_refused),
            topic: failed.map(|failed| failed.topic),
        }
    }

    /// Puts records and positions into the transaction; `None` if the client does not answer.
    fn fill(
        &self,
        records: &[OutgoingRecord<'_>],
        positions: &[CommittedPosition<'_>],
        group: Option<&Arc<ConsumerGroupMetadata>>,
    ) -> Option<KafkaResult<()>> {
        let sent = records
            .iter()
            .try_for_each(|record| send(&self.producer, record));
        self.producer.poll(Duration::ZERO);
        let (Ok(()), Some(group), [_, ..]) = (&sent, group, positions) else {
            return Some(sent);
        };
        let list = match list_of(positions) {
            Ok(list) => list,
            Err(error) => return Some(Err(error)),
        };
        let group = Arc::clone(group);
        self.ask(move |producer| producer.send_offsets_to_transaction(&list, &group, END_TIMEOUT))
    }

    /// Calls the client, and calls it again where that may be done. `None` if it does not answer:
    /// librdkafka 2.12 now and then waits for ever for a coordinator that moves, whatever the
    /// time-out. The thread that waits keeps the client; another takes its name.
    fn ask(
        &self,
        call: impl Fn(&BaseProducer<Deliveries>) -> KafkaResult<()> + Send + 'static,
    ) -> Option<KafkaResult<()>> {
        let producer = Arc::clone(&self.producer);
        within(ANSWER_TIMEOUT, move || retried(|| call(&producer)))
    }
}

/// What a call gives, in a thread of its own; `None` if it has not come back after `limit`.
fn within<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (answer, answered) = channel();
    let thread = std::thread::Builder::new().name("transaction".to_string());
    let calling = thread.spawn(move || {
        // Nobody may wait any more.
        let _ = answer.send(call());
    });
    calling.ok()?;
    answered.recv_timeout(limit).ok()
}

fn list_of(positions: &[CommittedPosition<'_>]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset, metadata) in positions {
        let mut one = list.add_partition(topic, *partition as i32);
        one.set_offset(Offset::Offset(*offset as i64))?;
        one.set_metadata(metadata);
    }
    Ok(list)
}

fn unanswered() -> TransactionEnd {
    TransactionEnd::Lost {
        reason: format!("the client did not answer for {ANSWER_TIMEOUT:?}"),
        is_replaced: false,
    }
}

impl PlainProducer {
    pub fn begin(properties: &BTreeMap<String, String>) -> KafkaResult<Self> {
        Self::create(&base_config(properties))
    }

    /// A producer that waits for nothing, because others wait for its records.
    pub fn begin_prompt(properties: &BTreeMap<String, String>) -> KafkaResult<Self> {
        let mut config = base_config(properties);
        config.set("linger.ms", "0");
        Self::create(&config)
    }

    fn create(config: &ClientConfig) -> KafkaResult<Self> {
        let context = Deliveries::default();
        let failed = Arc::clone(&context.failed);
        let producer: BaseProducer<Deliveries> = config.create_with_context(context)?;
        Ok(PlainProducer { producer, failed })
    }

    pub fn send(&self, record: &OutgoingRecord<'_>) -> KafkaResult<()> {
        send(&self.producer, record)?;
        // Takes in what was delivered meanwhile.
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    /// Why something sent is not there, as far as that is known; waits for nothing.
    pub fn take_failed(&self) -> Option<String> {
        self.producer.poll(Duration::ZERO);
        self.why_lost()
    }

    /// Waits until everything sent is there; the reason if something is not.
    pub fn flush(&self) -> Result<(), String> {
        let flushed = self.producer.flush(ASK_TIMEOUT);
        match (self.why_lost(), flushed) {
            (Some(reason), _) => Err(reason),
            (None, Err(error)) => Err(error.to_string()),
            (None, Ok(())) => Ok(()),
        }
    }

    /// Why something is not there. After a fatal error, as without the right to write, the client
    /// takes what it has for purged, which says nothing of each record.
    fn why_lost(&self) -> Option<String> {
        let failed = lock(&self.failed).take().map(|failed| failed.reason);
        let fatal = || self.producer.client().fatal_error();
        failed.or_else(|| fatal().map(|(code, reason)| format!("{code}: {reason}")))
    }
}

/// Sends one record; waits while the client's queue is full.
fn send(producer: &BaseProducer<Deliveries>, record: &OutgoingRecord<'_>) -> KafkaResult<()> {
    let mut outgoing: BaseRecord<'_, [u8], [u8]> =
        BaseRecord::to(record.topic).payload(record.value);
    if let Some(partition) = record.partition {
        outgoing = outgoing.partition(partition as i32);
    }
    if let Some(key) = record.key {
        outgoing = outgoing.key(key);
    }
    if !record.headers.is_empty() {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header {
                key,
                value: Some(value),
            });
        }
        outgoing = outgoing.headers(headers);
    }
    loop {
        match producer.send(outgoing) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                outgoing = back;
                producer.poll(Duration::from_millis(5));
            }
            Err((error, _)) => return Err(error),
        }
    }
}

/// Repeats a call that may be repeated.
fn retried(mut call: impl FnMut() -> KafkaResult<()>) -> KafkaResult<()> {
    let mut attempt = 0;
    loop {
        match call() {
            Err(KafkaError::Transaction(error))
                if error.is_retriable()
                    && error.code() != RDKafkaErrorCode::OperationTimedOut
                    && attempt < RETRIES =>
            {
                attempt += 1;
            }
            other => return other,
        }
    }
}

/// Whether a producer is of no more use after this.
fn is_fatal(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_fatal() || !error.txn_requires_abort(),
        KafkaError::MessageProduction(RDKafkaErrorCode::Fatal) => true,
        _ => false,
    }
}

/// Whether a record was not sent because its transaction had failed: that is not why.
fn is_purged(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
    )
}

/// Whether brokers do not take a record whenever it is sent.
fn is_refusal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::PolicyViolation
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition
        )
    )
}

fn is_out_of_group(error: &KafkaError) -> bool {
    matches!(
        code_of(error),
        Some(
            RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::FencedInstanceId
        )
    )
}

fn lost(error: &KafkaError) -> TransactionEnd {
    TransactionEnd::Lost {
        reason: error.to_string(),
        is_replaced: matches!(
            code_of(error),
            Some(
                RDKafkaErrorCode::Fenced
                    | RDKafkaErrorCode::ProducerFenced
                    | RDKafkaErrorCode::InvalidProducerEpoch
            )
        ),
    }
}

fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::Transaction(error) => Some(error.code()),
        other => other.rdkafka_error_code(),
    }
}

/// What all producers have in common.
fn base_config(properties: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("client.id", "insightd"),
        ("compression.type", "lz4"),
        ("linger.ms", "5"),
        ("batch.size", "1000000"),
        ("queue.buffering.max.messages", "500000"),
    ] {
        config.set(name, value);
    }
    for (name, value) in properties {
        config.set(name, value);
    }
    config.set("enable.idempotence", "true");
    // A topic that was deleted must not come back with as many partitions as brokers like.
    config.set("allow.auto.create.topics", "false");
    config.set("acks", "all");
    config
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `send_offsets_to_transaction` did not come back while a coordinator moved, and ingest stood
    /// still for ever.
    #[test]
    fn a_call_that_does_not_come_back_is_given_up() {
        let (_keep, never) = channel::<()>();
        let answer = within(Duration::from_millis(10), move || never.recv());
        assert_eq!(answer, None);
        assert_eq!(within(ANSWER_TIMEOUT, || 7), Some(7));
    }
}
