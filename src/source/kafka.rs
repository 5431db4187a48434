//! Kafka as a source: a consumer whose positions are decided elsewhere.
//!
//! What the group gives is read from where it is said, and not before. Nothing is committed here:
//! positions are committed with what was made of the messages. The reader of one partition that
//! all instances read is here, too.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

/// A partition of a topic.
pub type Place = (String, u32);

/// Offset and metadata that a group has committed; `None` if it has not.
pub type Committed = Option<(u64, String)>;

/// Time that a question to the brokers may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a member may do something else than poll; not less than its session.
const POLL_INTERVAL: Duration = Duration::from_secs(300);
const POLL_PROPERTY: &str = "max.poll.interval.ms";

/// A change of what a member owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebalance {
    Assigned(Vec<Place>),
    Revoked(Vec<Place>),
    /// As revoked, but others may own them already.
    Lost(Vec<Place>),
}

/// What a poll brought.
pub enum Polled<'a> {
    Message(BorrowedMessage<'a>),
    /// A partition is read to its end.
    End,
    Nothing,
    /// Something failed; the client goes on by itself.
    Failed(KafkaError),
}

/// What the client's statistics say of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionStats {
    /// End of the partition, and of what is committed in it.
    pub high: i64,
    pub stable: i64,
}

/// What the client tells beside messages.
#[derive(Default)]
pub struct GroupContext {
    rebalances: Mutex<VecDeque<Rebalance>>,
    /// Who this member was when it last heard of the group. What the client knows by itself may be
    /// newer: thrown out, it has no name, and a commit without a name is refused by nobody.
    group: Mutex<Option<Arc<ConsumerGroupMetadata>>>,
    /// Partitions that the client fetches from. Those that the group gave and nobody has said from
    /// where to read are not among them: assigned anywhere else, a partition may meet an offset
    /// that is no more, or one that is looked up and comes late (librdkafka 2.12).
    fetched: Mutex<HashSet<Place>>,
    stats: Mutex<HashMap<Place, PartitionStats>>,
    /// No broker can be reached.
    is_cut_off: AtomicBool,
}

/// A member of a consumer group, or with [`GroupConsumer::read_alone`] a reader without one.
pub struct GroupConsumer {
    consumer: BaseConsumer<GroupContext>,
}

impl ClientContext for GroupContext {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("kafka: {error}: {reason}");
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.is_cut_off.store(true, Ordering::Relaxed);
        }
    }

    fn stats(&self, statistics: Statistics) {
        if statistics
            .brokers
            .values()
            .any(|broker| broker.state == "UP")
        {
            self.is_cut_off.store(false, Ordering::Relaxed);
        }
        let mut stats = lock(&self.stats);
        for (topic, inner) in &statistics.topics {
            for (partition, one) in &inner.partitions {
                let Ok(partition) = u32::try_from(*partition) else {
                    continue;
                };
                let found = PartitionStats {
                    high: one.hi_offset,
                    stable: one.ls_offset,
                };
                stats.insert((topic.clone(), partition), found);
            }
        }
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let places = places_of(list);
        let is_assign = error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        // To be asked before the client is told that they are given up: then it forgets.
        let is_lost = !is_assign && consumer.assignment_lost();
        // The group's protocol waits for these calls, also where they change nothing.
        let result = if is_assign {
            consumer.incremental_assign(&TopicPartitionList::new())
        } else {
            let mut fetched = lock(&self.fetched);
            let given_up = places.iter().filter(|place| fetched.remove(*place));
            let mut list = TopicPartitionList::new();
            for (topic, partition) in given_up {
                list.add_partition(topic, *partition as i32);
            }
            consumer.incremental_unassign(&list)
        };
        if let Err(error) = result {
            tracing::warn!("a change of assignment failed: {error}");
        }
        let group = consumer.group_metadata().filter(|_| !is_lost);
        *lock(&self.group) = group.map(Arc::new);
        if places.is_empty() {
            return;
        }
        let change = match (is_assign, is_lost) {
            (true, _) => Rebalance::Assigned(places),
            (false, false) => Rebalance::Revoked(places),
            (false, true) => Rebalance::Lost(places),
        };
        lock(&self.rebalances).push_back(change);
    }
}

impl GroupConsumer {
    /// Joins `group` for `topics`.
    pub fn join(
        properties: &BTreeMap<String, String>,
        group: &str,
        session_timeout: Duration,
        topics: &[&str],
    ) -> KafkaResult<Self> {
        let member = Self::member(properties, group, session_timeout)?;
        member.consumer.subscribe(topics)?;
        Ok(member)
    }

    /// A member of a group that has not joined it; an error where properties do not fit.
    pub fn member(
        properties: &BTreeMap<String, String>,
        group: &str,
        session_timeout: Duration,
    ) -> KafkaResult<Self> {
        let mut config = base_config(properties);
        let session_ms = session_timeout.as_millis();
        config.set("group.id", group);
        config.set("partition.assignment.strategy", "cooperative-sticky");
        config.set("session.timeout.ms", session_ms.to_string());
        let heartbeat_ms = (session_ms / 5).clamp(100, 3000);
        config.set("heartbeat.interval.ms", heartbeat_ms.to_string());
        if !properties.contains_key(POLL_PROPERTY) {
            let longest_ms = session_ms.max(POLL_INTERVAL.as_millis());
            config.set(POLL_PROPERTY, longest_ms.to_string());
        }
        let consumer = config.create_with_context(GroupContext::default())?;
        Ok(GroupConsumer { consumer })
    }

    /// Reads one partition from its oldest record on, whoever else does. `group` is not joined: a
    /// consumer needs the name of one.
    pub fn read_alone(
        properties: &BTreeMap<String, String>,
        group: &str,
        topic: &str,
        partition: u32,
    ) -> KafkaResult<Self> {
        let mut config = base_config(properties);
        config.set("group.id", group);
        config.set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer<GroupContext> =
            config.create_with_context(GroupContext::default())?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition as i32, Offset::Beginning)?;
        consumer.assign(&list)?;
        Ok(GroupConsumer { consumer })
    }

    /// Whether a partition has no message from `offset` to its end, but marks of transactions;
    /// `None` if that was not to be learned within `timeout`. For a consumer that reads nothing
    /// else.
    pub fn is_empty_from(&self, place: &Place, offset: u64, timeout: Duration) -> Option<bool> {
        let deadline = Instant::now() + timeout;
        let begun = self.read(place, offset);
        let mut found = None;
        while begun.is_ok() && found.is_none() && Instant::now() < deadline {
            found = match self.poll(Duration::from_millis(50)) {
                Polled::Message(_) => Some(false),
                Polled::End => Some(true),
                Polled::Nothing => None,
                Polled::Failed(_) => break,
            };
        }
        // Nothing of it may be taken for an answer to the next question.
        let stopped = self.stop(place);
        found.filter(|_| stopped.is_ok())
    }

    /// The next message, the end of a partition, or nothing within `timeout`. Changes of assignment
    /// happen in here.
    pub fn poll(&self, timeout: Duration) -> Polled<'_> {
        match self.consumer.poll(timeout) {
            None => Polled::Nothing,
            Some(Ok(message)) => Polled::Message(message),
            Some(Err(KafkaError::PartitionEOF(_))) => Polled::End,
            Some(Err(error)) => Polled::Failed(error),
        }
    }

    /// Changes of assignment since the last call.
    pub fn rebalances(&self) -> Vec<Rebalance> {
        lock(&self.consumer.context().rebalances)
            .drain(..)
            .collect()
    }

    /// Why this client cannot do its work: no broker, or no group.
    pub fn trouble(&self) -> Option<&'static str> {
        if self.consumer.context().is_cut_off.load(Ordering::Relaxed) {
            return Some("no broker can be reached");
        }
        self.group()
            .is_none()
            .then_some("this instance is in no group yet, or no longer")
    }

    /// What statistics say of a partition.
    pub fn stats(&self, place: &Place) -> Option<PartitionStats> {
        lock(&self.consumer.context().stats).get(place).copied()
    }

    /// Committed offsets with their metadata.
    pub fn committed(&self, places: &[Place]) -> KafkaResult<Vec<(Place, Committed)>> {
        let mut list = TopicPartitionList::new();
        for (topic, partition) in places {
            list.add_partition(topic, *partition as i32);
        }
        let found = self.consumer.committed_offsets(list, ASK_TIMEOUT)?;
        let mut committed = Vec::new();
        for one in found.elements() {
            // Of a topic that is gone nothing is committed.
            one.error()
                .or_else(|error| match is_unknown_topic(&error) {
                    true => Ok(()),
                    false => Err(error),
                })?;
            let offset = match one.offset() {
                Offset::Offset(offset) => Some((offset as u64, one.metadata().to_string())),
                _ => None,
            };
            committed.push(((one.topic().to_string(), one.partition() as u32), offset));
        }
        Ok(committed)
    }

    /// Oldest offset, and the one after the newest.
    pub fn ends(&self, (topic, partition): &Place) -> KafkaResult<(u64, u64)> {
        let ends = self
            .consumer
            .fetch_watermarks(topic, *partition as i32, ASK_TIMEOUT)?;
        Ok((ends.0.max(0) as u64, ends.1.max(0) as u64))
    }

    /// Reads a partition that the group gave from `offset` on.
    pub fn read(&self, place: &Place, offset: u64) -> KafkaResult<()> {
        self.stop(place)?;
        // A pause outlives the assignment in which it was said.
        self.resume(place)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&place.0, place.1 as i32, Offset::Offset(offset as i64))?;
        self.consumer.incremental_assign(&list)?;
        lock(&self.consumer.context().fetched).insert(place.clone());
        Ok(())
    }

    /// Reads a partition no further until it is said from where.
    pub fn stop(&self, place: &Place) -> KafkaResult<()> {
        if lock(&self.consumer.context().fetched).remove(place) {
            self.consumer.incremental_unassign(&list_of(place))?;
        }
        Ok(())
    }

    pub fn pause(&self, place: &Place) -> KafkaResult<()> {
        self.consumer.pause(&list_of(place))
    }

    pub fn resume(&self, place: &Place) -> KafkaResult<()> {
        self.consumer.resume(&list_of(place))
    }

    /// Who this member is, for a transaction; `None` while it is in no group.
    pub fn group(&self) -> Option<Arc<ConsumerGroupMetadata>> {
        lock(&self.consumer.context().group).clone()
    }

    /// Whether there is a topic, and its partitions.
    pub fn partitions(&self, topic: &str) -> KafkaResult<Vec<u32>> {
        let metadata = self.consumer.fetch_metadata(Some(topic), ASK_TIMEOUT)?;
        let mut partitions = Vec::new();
        for found in metadata.topics() {
            if let Some(error) = found.error() {
                let code = RDKafkaErrorCode::from(error);
                return Err(KafkaError::MetadataFetch(code));
            }
            partitions.extend(found.partitions().iter().map(|one| one.id() as u32));
        }
        partitions.sort_unstable();
        Ok(partitions)
    }
}

/// Whether the position of a partition is no more: what it was to read was deleted.
pub fn is_out_of_range(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset)
    )
}

/// Whether there is no such topic.
pub fn is_unknown_topic(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)
    )
}

/// What all consumers have in common.
fn base_config(properties: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("client.id", "insightd"),
        ("fetch.queue.backoff.ms", "50"),
        ("fetch.wait.max.ms", "200"),
        ("queued.min.messages", "20000"),
        ("statistics.interval.ms", "5000"),
        ("topic.metadata.refresh.interval.ms", "30000"),
        ("auto.offset.reset", "error"),
    ] {
        config.set(name, value);
    }
    for (name, value) in properties {
        config.set(name, value);
    }
    for (name, value) in [
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        ("isolation.level", "read_committed"),
    ] {
        config.set(name, value);
    }
    config
}

fn places_of(list: &TopicPartitionList) -> Vec<Place> {
    let elements = list.elements();
    let places = elements
        .iter()
        .map(|one| (one.topic().to_string(), one.partition() as u32));
    places.collect()
}

fn list_of((topic, partition): &Place) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, *partition as i32);
    list
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
