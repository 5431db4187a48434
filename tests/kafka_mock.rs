//! What the Kafka clients of the shell make of errors that brokers answer with.
//!
//! librdkafka's own mock brokers inject them. Its transactions are acknowledged and no more: nothing
//! is rolled back, nobody is shut out, offsets of transactions are not kept. So this tells how calls
//! end, not what readers see; that is for `tests/judges/kafka_exactly_once.py`.

#![cfg(feature = "kafka")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use insightd::sink::kafka::{OutgoingRecord, PlainProducer, TransactionEnd, TransactionProducer};
use insightd::source::kafka::{GroupConsumer, Place, Polled, Rebalance};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::message::Message;
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::RDKafkaApiKey as Api;
use rdkafka::types::RDKafkaRespErr::{
    self as Code, RD_KAFKA_RESP_ERR__TRANSPORT as CUT_OFF,
    RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED as CLUSTER_DENIED,
    RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS as CONCURRENT_TRANSACTIONS,
    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS as LOADING,
    RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE as NO_COORDINATOR,
    RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID as FENCED_INSTANCE,
    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED as GROUP_DENIED,
    RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION as ILLEGAL_GENERATION,
    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH as OLD_EPOCH,
    RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR as STORAGE,
    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE as TOO_LARGE,
    RD_KAFKA_RESP_ERR_NOT_COORDINATOR as NOT_COORDINATOR,
    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as FEW_REPLICAS,
    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER,
    RD_KAFKA_RESP_ERR_PRODUCER_FENCED as FENCED,
    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as TOPIC_DENIED,
    RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED as NAME_DENIED,
    RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID as UNKNOWN_MEMBER,
    RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT as UNSTABLE,
};

const TOPIC: &str = "log";
const INPUT: &str = "input";
const GROUP: &str = "group";
const NAME: &str = "writer";
const BROKERS: i32 = 3;
/// More than anything here takes that ends at all.
const DEADLINE: Duration = Duration::from_secs(15);
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
const SESSION: Duration = Duration::from_secs(6);

/// How a transaction may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Committed,
    Aborted,
    /// Given up for a record that is taken at no time.
    Refused,
    OutOfGroup,
    Lost,
    Replaced,
}

struct Brokers {
    cluster: MockCluster<'static, DefaultProducerContext>,
    properties: BTreeMap<String, String>,
}

impl Brokers {
    fn start() -> Self {
        let cluster = MockCluster::new(BROKERS).expect("mock brokers");
        for topic in [TOPIC, INPUT] {
            cluster.create_topic(topic, 1, BROKERS).expect("a topic");
        }
        let properties = [
            ("bootstrap.servers", cluster.bootstrap_servers().as_str()),
            ("retry.backoff.ms", "10"),
            ("reconnect.backoff.ms", "10"),
            ("reconnect.backoff.max.ms", "50"),
            ("fetch.error.backoff.ms", "10"),
            ("statistics.interval.ms", "50"),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()));
        Brokers {
            cluster,
            properties: BTreeMap::from(properties),
        }
    }

    fn producer(&self) -> TransactionProducer {
        self.try_producer().expect("a producer")
    }

    fn try_producer(&self) -> rdkafka::error::KafkaResult<TransactionProducer> {
        TransactionProducer::begin(&self.properties, NAME, TRANSACTION_TIMEOUT)
    }

    /// A member that was given the topic.
    fn member(&self) -> GroupConsumer {
        let member = GroupConsumer::join(&self.properties, GROUP, SESSION, &[TOPIC]);
        let member = member.expect("a consumer");
        assert_eq!(next_change(&member), Rebalance::Assigned(vec![place()]));
        member
    }

    /// Who a member is that has not joined: the mock asks no more.
    fn stranger(&self) -> Arc<ConsumerGroupMetadata> {
        let mut config = ClientConfig::new();
        config.extend(self.properties.clone());
        let consumer: BaseConsumer = config.set("group.id", GROUP).create().expect("a consumer");
        Arc::new(consumer.group_metadata().expect("the name of its group"))
    }
}

fn place() -> Place {
    (TOPIC.to_string(), 0)
}

/// Writes one record and one position.
fn write(producer: &TransactionProducer, value: &str, group: &Arc<ConsumerGroupMetadata>) -> End {
    let record = OutgoingRecord {
        topic: TOPIC,
        partition: Some(0),
        key: None,
        value: value.as_bytes(),
        headers: Vec::new(),
    };
    match producer.write(&[record], &[(INPUT, 0, 7, "metadata")], Some(group)) {
        TransactionEnd::Committed => End::Committed,
        TransactionEnd::Aborted {
            is_out_of_group: true,
            ..
        } => End::OutOfGroup,
        TransactionEnd::Aborted {
            is_refused: true,
            topic,
            ..
        } => {
            assert_eq!(topic.as_deref(), Some(TOPIC));
            End::Refused
        }
        TransactionEnd::Aborted { .. } => End::Aborted,
        TransactionEnd::Lost {
            is_replaced: true, ..
        } => End::Replaced,
        TransactionEnd::Lost { .. } => End::Lost,
    }
}

/// Polls until `wanted` makes something of what came.
fn poll_until<T>(member: &GroupConsumer, mut wanted: impl FnMut(Polled<'_>) -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    while Instant::now() < deadline {
        if let Some(found) = wanted(member.poll(Duration::from_millis(10))) {
            return found;
        }
    }
    panic!("nothing came within {DEADLINE:?}");
}

fn next_change(member: &GroupConsumer) -> Rebalance {
    poll_until(member, |_| member.rebalances().into_iter().next())
}

/// Reads values from the beginning on until the last of them is `last`.
fn read_until(member: &GroupConsumer, last: &str) -> Vec<String> {
    let mut values = Vec::new();
    poll_until(member, |polled| {
        if let Polled::Message(message) = polled {
            let value = message.payload().unwrap_or_default();
            values.push(String::from_utf8_lossy(value).into_owned());
        }
        (values.last()? == last).then_some(())
    });
    values
}

/// For each case one transaction under errors, and another after that.
fn check_write(cases: &[(Api, &[Code], End)]) {
    std::thread::scope(|scope| {
        for (api, errors, expected) in cases {
            scope.spawn(move || check_write_under(*api, errors, *expected));
        }
    });
}

fn check_write_under(api: Api, errors: &[Code], expected: End) {
    let told = format!("{api:?} answers {errors:?}");
    let brokers = Brokers::start();
    let group = brokers.stranger();
    let producer = brokers.producer();
    brokers.cluster.request_errors(api, errors);
    assert_eq!(write(&producer, "first", &group), expected, "{told}");
    brokers.cluster.clear_request_errors(api);
    let producer = match expected {
        // What was lost is of no use any more.
        End::Lost | End::Replaced => brokers.producer(),
        _ => producer,
    };
    // librdkafka gives up one more after a record that was refused, to renew its numbers.
    let mut ends = (0..2).map(|_| write(&producer, "second", &group));
    assert!(ends.any(|end| end == End::Committed), "after {told}");
}

#[test]
fn errors_that_go_by_are_waited_for() {
    check_write(&[
        (Api::Produce, &[NOT_LEADER, FEW_REPLICAS], End::Committed),
        (
            Api::AddPartitionsToTxn,
            &[NO_COORDINATOR, CONCURRENT_TRANSACTIONS],
            End::Committed,
        ),
        (
            Api::AddOffsetsToTxn,
            &[NOT_COORDINATOR, CUT_OFF],
            End::Committed,
        ),
        (
            Api::TxnOffsetCommit,
            &[LOADING, NO_COORDINATOR],
            End::Committed,
        ),
        (Api::EndTxn, &[LOADING, NOT_COORDINATOR], End::Committed),
    ]);
}

/// The answer was lost, not the request: asking again is right.
#[test]
fn lost_answers_are_asked_for_again() {
    check_write(&[
        (Api::Produce, &[CUT_OFF], End::Committed),
        (Api::TxnOffsetCommit, &[CUT_OFF], End::Committed),
        (Api::EndTxn, &[CUT_OFF, CUT_OFF], End::Committed),
    ]);
}

#[test]
fn what_is_refused_is_given_up_and_can_be_tried_again() {
    check_write(&[
        (Api::Produce, &[TOO_LARGE], End::Refused),
        (Api::AddPartitionsToTxn, &[TOPIC_DENIED], End::Aborted),
        (Api::AddOffsetsToTxn, &[GROUP_DENIED], End::Aborted),
        (Api::TxnOffsetCommit, &[GROUP_DENIED], End::Aborted),
    ]);
}

#[test]
fn a_member_that_the_group_does_not_know_is_told_so() {
    check_write(&[
        (Api::TxnOffsetCommit, &[ILLEGAL_GENERATION], End::OutOfGroup),
        (Api::TxnOffsetCommit, &[UNKNOWN_MEMBER], End::OutOfGroup),
        (Api::TxnOffsetCommit, &[FENCED_INSTANCE], End::OutOfGroup),
    ]);
}

#[test]
fn a_producer_whose_name_was_taken_knows_it() {
    check_write(&[
        (Api::AddPartitionsToTxn, &[OLD_EPOCH], End::Replaced),
        (Api::AddOffsetsToTxn, &[OLD_EPOCH], End::Replaced),
        (Api::EndTxn, &[OLD_EPOCH], End::Replaced),
        (Api::EndTxn, &[FENCED], End::Replaced),
        (Api::EndTxn, &[NAME_DENIED], End::Lost),
    ]);
}

#[test]
fn a_producer_begins_as_soon_as_there_is_a_coordinator() {
    let brokers = Brokers::start();
    let errors = [NO_COORDINATOR, LOADING, CUT_OFF];
    brokers
        .cluster
        .request_errors(Api::FindCoordinator, &errors);
    brokers
        .cluster
        .request_errors(Api::InitProducerId, &[LOADING, NOT_COORDINATOR]);
    assert_eq!(
        write(&brokers.producer(), "first", &brokers.stranger()),
        End::Committed
    );

    brokers
        .cluster
        .request_errors(Api::InitProducerId, &[NAME_DENIED]);
    assert!(brokers.try_producer().is_err());
}

/// A user without the right to write was told that a request stood on the topic: the client drops
/// what it has for a fatal error, and says of each record only that it was purged.
#[test]
fn what_a_plain_producer_may_not_write_is_not_taken_for_written() {
    for error in [CLUSTER_DENIED, TOPIC_DENIED] {
        let brokers = Brokers::start();
        let api = match error {
            CLUSTER_DENIED => Api::InitProducerId,
            _ => Api::Produce,
        };
        brokers.cluster.request_errors(api, &[error; 100]);
        let producer = PlainProducer::begin_prompt(&brokers.properties).expect("a producer");
        let sent = producer.send(&OutgoingRecord {
            topic: TOPIC,
            partition: Some(0),
            key: None,
            value: b"request",
            headers: Vec::new(),
        });
        let reason = match sent {
            Ok(()) => producer.flush().expect_err("it is not there"),
            Err(error) => error.to_string(),
        };
        assert!(reason.contains("authorization failed"), "{reason}");
    }
}

#[test]
fn transactions_follow_their_coordinator() {
    let brokers = Brokers::start();
    let group = brokers.stranger();
    let producer = brokers.producer();
    for broker in 1..=BROKERS {
        for coordinator in [
            MockCoordinator::Transaction(NAME.to_string()),
            MockCoordinator::Group(GROUP.to_string()),
        ] {
            brokers
                .cluster
                .coordinator(coordinator, broker)
                .expect("a broker");
        }
        assert_eq!(
            write(&producer, "one", &group),
            End::Committed,
            "broker {broker}"
        );
    }
}

#[test]
fn distant_brokers_only_take_time() {
    let brokers = Brokers::start();
    let group = brokers.stranger();
    let producer = brokers.producer();
    let distance = Duration::from_millis(300);
    brokers
        .cluster
        .broker_round_trip_time(-1, distance)
        .expect("brokers");
    assert_eq!(write(&producer, "one", &group), End::Committed);
}

/// Nobody knows how a transaction ended whose end was not answered: the producer is lost, and
/// another one begins when there are brokers again.
#[test]
fn a_producer_without_brokers_is_lost() {
    let brokers = Brokers::start();
    let group = brokers.stranger();
    let producer = brokers.producer();
    assert_eq!(write(&producer, "first", &group), End::Committed);
    brokers
        .cluster
        .request_errors(Api::EndTxn, &[CUT_OFF; 10_000]);
    assert_eq!(write(&producer, "second", &group), End::Lost);
    brokers.cluster.clear_request_errors(Api::EndTxn);
    drop(producer);
    assert_eq!(write(&brokers.producer(), "third", &group), End::Committed);
}

#[test]
fn reading_goes_on_after_errors_of_fetches() {
    let brokers = Brokers::start();
    let (group, producer) = (brokers.stranger(), brokers.producer());
    let member = brokers.member();
    let expected: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    member.read(&place(), 0).expect("a position");
    for (number, value) in expected.iter().enumerate() {
        let errors = [NOT_LEADER, STORAGE, CUT_OFF, NO_COORDINATOR];
        let error = errors[number % errors.len()];
        brokers.cluster.request_errors(Api::Fetch, &[error]);
        assert_eq!(write(&producer, value, &group), End::Committed);
    }
    assert_eq!(read_until(&member, "7"), expected);
}

/// A dead instance's transaction holds its offsets back; they are asked for until they are stable.
/// Where there is no answer, the caller asks again.
#[test]
fn offsets_are_asked_for_until_they_are_stable_wherever_their_coordinator_is() {
    let brokers = Brokers::start();
    let member = brokers.member();
    let none = vec![(place(), None)];
    for (error, is_told) in [
        (UNSTABLE, false),
        (LOADING, false),
        (CUT_OFF, false),
        (NOT_COORDINATOR, true),
        (GROUP_DENIED, true),
    ] {
        brokers.cluster.request_errors(Api::OffsetFetch, &[error]);
        let mut committed = member.committed(&[place()]);
        assert_eq!(committed.is_err(), is_told, "{error:?}");
        if is_told {
            committed = member.committed(&[place()]);
        }
        assert_eq!(committed.ok().as_ref(), Some(&none), "{error:?}");
    }

    for broker in 1..=BROKERS {
        let coordinator = MockCoordinator::Group(GROUP.to_string());
        brokers
            .cluster
            .coordinator(coordinator, broker)
            .expect("a broker");
        brokers
            .cluster
            .request_errors(Api::Heartbeat, &[NOT_COORDINATOR]);
        let committed = member.committed(&[place()]);
        assert_eq!(committed.ok().as_ref(), Some(&none), "broker {broker}");
    }
    assert!(member.group().is_some());
    assert_eq!(member.rebalances(), []);
}

/// Thrown out, a member has no name to commit with until it was given partitions again.
#[test]
fn a_member_that_was_thrown_out_comes_back() {
    let brokers = Brokers::start();
    let member = brokers.member();
    assert!(member.group().is_some());
    brokers
        .cluster
        .request_errors(Api::Heartbeat, &[UNKNOWN_MEMBER]);
    assert_eq!(next_change(&member), Rebalance::Lost(vec![place()]));
    assert!(member.group().is_none());
    assert!(member.trouble().is_some());
    assert_eq!(next_change(&member), Rebalance::Assigned(vec![place()]));
    assert!(member.group().is_some());
}

#[test]
fn brokers_that_are_gone_are_told_and_come_back() {
    let brokers = Brokers::start();
    let (group, producer) = (brokers.stranger(), brokers.producer());
    assert_eq!(write(&producer, "first", &group), End::Committed);
    let member = brokers.member();
    member.read(&place(), 0).expect("a position");
    assert_eq!(read_until(&member, "first"), ["first"]);
    assert_eq!(member.trouble(), None);
    brokers.cluster.broker_down(-1).expect("brokers");
    let trouble = poll_until(&member, |_| member.trouble());
    assert_eq!(trouble, "no broker can be reached");
    brokers.cluster.broker_up(-1).expect("brokers");
    poll_until(&member, |_| member.trouble().is_none().then_some(()));
    assert_eq!(write(&producer, "second", &group), End::Committed);
    assert_eq!(read_until(&member, "second"), ["second"]);
}
