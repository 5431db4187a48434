//! The peer of the Kafka bench: a bare consumer of the same client library, which reads a topic to
//! a number of messages and does nothing with them. `benches/kafka/run.py` runs it.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

fn main() {
    let variable = |name: &str| std::env::var(format!("INSIGHTD_BENCH_{name}"));
    let (Ok(brokers), Ok(topic), Ok(partitions), Ok(count)) = (
        variable("BROKERS"),
        variable("TOPIC"),
        variable("PARTITIONS"),
        variable("MESSAGES"),
    ) else {
        println!("SKIPPED: benches/kafka/run.py says which brokers to read from");
        return;
    };
    let count: u64 = count.parse().expect("a number of messages");
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bare")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions.parse().expect("a number of partitions") {
        list.add_partition_offset(&topic, partition, Offset::Beginning)
            .expect("a partition");
    }
    consumer.assign(&list).expect("an assignment");
    let started = Instant::now();
    let (mut messages, mut bytes) = (0, 0);
    while messages < count {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            messages += 1;
            bytes += message.payload_len();
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{messages} messages, {bytes} bytes, {seconds:.2} s");
}
