//! How the service stands with Kafka: messages, lag, assignment, transactions and time.

use prometheus::{Error, IntCounter, Registry};

use super::families::{Counters, Gauges, counter};
use super::labels::{RebalanceKind, SourceActivity, Stage, TransactionOutcome};
use super::latencies::{DURATION_BOUNDS, Latencies};
use super::partition_gauges::{PartitionGauges, Watermarks};

/// Messages, lag, assignment, transactions and watermarks.
pub struct KafkaMetrics {
    pub messages_consumed: Counters<Stage>,
    /// Messages.
    pub consumer_lag: PartitionGauges,
    pub consumer_lag_seconds: PartitionGauges,
    /// Messages.
    pub lso_lag: PartitionGauges,
    pub sources: Gauges<SourceActivity>,
    pub watermarks: Watermarks,
    pub watermark_holdback_seconds: PartitionGauges,
    pub watermark_regressions: IntCounter,
    pub rebalances: Counters<(Stage, RebalanceKind)>,
    pub rebalance_duration: Latencies<Stage>,
    pub assigned_partitions: Gauges<Stage>,
    pub transactions: Counters<(Stage, TransactionOutcome)>,
    pub transaction_duration: Latencies<Stage>,
}

impl KafkaMetrics {
    pub(super) fn register(registry: &Registry, has_partitions: bool) -> Result<Self, Error> {
        let by_partition = |name: &str, help: &str| {
            PartitionGauges::register(registry, name, help, has_partitions)
        };
        Ok(KafkaMetrics {
            messages_consumed: Counters::register(
                registry,
                "insightd_messages_consumed_total",
                "Kafka messages taken in",
            )?,
            consumer_lag: by_partition(
                "insightd_kafka_consumer_lag",
                "messages between position and end",
            )?,
            consumer_lag_seconds: by_partition(
                "insightd_kafka_consumer_lag_seconds",
                "age of the message read last, while there are more",
            )?,
            lso_lag: by_partition(
                "insightd_kafka_lso_lag",
                "messages held back by open transactions",
            )?,
            sources: Gauges::register(
                registry,
                "insightd_sources",
                "input partitions of this instance",
            )?,
            watermarks: Watermarks::register(
                registry,
                "insightd_watermark_timestamp_seconds",
                "event time before which counts are final; the least for ingest",
                has_partitions,
            )?,
            watermark_holdback_seconds: by_partition(
                "insightd_watermark_holdback_seconds",
                "how far a source lies behind the furthest source known",
            )?,
            watermark_regressions: counter(
                registry,
                "insightd_watermark_regressions_total",
                "watermarks that went back and were not followed",
            )?,
            rebalances: Counters::register(
                registry,
                "insightd_rebalances_total",
                "changes of assignment",
            )?,
            rebalance_duration: duration(
                registry,
                "insightd_rebalance_duration_seconds",
                "time a change of assignment took",
            )?,
            assigned_partitions: Gauges::register(
                registry,
                "insightd_assigned_partitions",
                "partitions owned now",
            )?,
            transactions: Counters::register(
                registry,
                "insightd_transaction_commits_total",
                "transactions",
            )?,
            transaction_duration: duration(
                registry,
                "insightd_transaction_duration_seconds",
                "begin to end of a transaction",
            )?,
        })
    }

    /// A partition of an input topic or of the rates log is not owned any more.
    pub fn forget_partition(&self, topic: &str, partition: i32) {
        let gauges = [
            &self.consumer_lag,
            &self.consumer_lag_seconds,
            &self.lso_lag,
            &self.watermark_holdback_seconds,
        ];
        for gauge in gauges {
            gauge.forget(topic, partition);
        }
    }
}

fn duration(registry: &Registry, name: &str, help: &str) -> Result<Latencies<Stage>, Error> {
    Latencies::register(registry, name, help, DURATION_BOUNDS)
}
