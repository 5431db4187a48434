//! Gauges of partitions: what is shown of every partition, or the worst of them all.
//!
//! A partition has a value from the first time it is set until it is forgotten, as partitions
//! come and go with every change of assignment. With labels switched off a scrape has one value
//! however many partitions there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, MetricFamily, MetricType};
use prometheus::{Error, Registry};

use super::families::{describe, family, gauge_metric, label_pairs, lock};
use super::labels::Stage;
use crate::model::EventTime;

/// One value for each partition of each topic; of several the highest is the worst.
#[derive(Clone)]
pub struct PartitionGauges(Arc<Partitions>);

struct Partitions {
    desc: Desc,
    are_labelled: bool,
    /// By topic, then partition.
    values: Mutex<BTreeMap<Box<str>, BTreeMap<i32, f64>>>,
}

/// How far event time has come: one value for all that ingest reads, and one for each partition
/// of the rates log in detection; of several the lowest is the worst.
#[derive(Clone)]
pub struct Watermarks(Arc<WatermarksState>);

struct WatermarksState {
    desc: Desc,
    are_labelled: bool,
    values: Mutex<WatermarkValues>,
}

#[derive(Default)]
struct WatermarkValues {
    ingest: Option<EventTime>,
    detect: BTreeMap<i32, EventTime>,
}

impl PartitionGauges {
    pub(super) fn register(
        registry: &Registry,
        name: &str,
        help: &str,
        are_labelled: bool,
    ) -> Result<Self, Error> {
        let labels: &[&str] = if are_labelled {
            &["topic", "partition"]
        } else {
            &[]
        };
        let gauges = PartitionGauges(Arc::new(Partitions {
            desc: describe(name, help, labels)?,
            are_labelled,
            values: Mutex::default(),
        }));
        registry.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    pub fn set(&self, topic: &str, partition: i32, value: f64) {
        let mut values = lock(&self.0.values);
        match values.get_mut(topic) {
            Some(partitions) => {
                partitions.insert(partition, value);
            }
            None => {
                values.insert(topic.into(), BTreeMap::from([(partition, value)]));
            }
        }
    }

    /// The partition is not owned any more.
    pub fn forget(&self, topic: &str, partition: i32) {
        let mut values = lock(&self.0.values);
        if let Some(partitions) = values.get_mut(topic) {
            partitions.remove(&partition);
        }
    }
}

impl Collector for PartitionGauges {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let topics = lock(&self.0.values);
        let mut metrics = Vec::new();
        for (topic, partitions) in topics.iter().filter(|_| self.0.are_labelled) {
            for (partition, value) in partitions {
                let partition = partition.to_string();
                let labels = vec![("topic", topic.as_ref()), ("partition", &partition)];
                metrics.push(gauge_metric(label_pairs(labels), *value));
            }
        }
        if !self.0.are_labelled {
            let values = topics.values().flat_map(BTreeMap::values).copied();
            let worst = values.reduce(f64::max);
            metrics.extend(worst.map(|value| gauge_metric(Vec::new(), value)));
        }
        vec![family(&self.0.desc, MetricType::GAUGE, metrics)]
    }
}

impl Watermarks {
    pub(super) fn register(
        registry: &Registry,
        name: &str,
        help: &str,
        are_labelled: bool,
    ) -> Result<Self, Error> {
        let labels: &[&str] = if are_labelled {
            &["stage", "partition"]
        } else {
            &["stage"]
        };
        let watermarks = Watermarks(Arc::new(WatermarksState {
            desc: describe(name, help, labels)?,
            are_labelled,
            values: Mutex::default(),
        }));
        registry.register(Box::new(watermarks.clone()))?;
        Ok(watermarks)
    }

    /// The least over the sources of this instance; `None` while it has none.
    pub fn set_ingest(&self, watermark: Option<EventTime>) {
        lock(&self.0.values).ingest = watermark;
    }

    pub fn set_detect(&self, partition: i32, watermark: EventTime) {
        lock(&self.0.values).detect.insert(partition, watermark);
    }

    /// The partition is not owned any more.
    pub fn forget_detect(&self, partition: i32) {
        lock(&self.0.values).detect.remove(&partition);
    }
}

impl Collector for Watermarks {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let values = lock(&self.0.values);
        let mut metrics = Vec::new();
        metrics.extend(
            values
                .ingest
                .map(|time| watermark(Stage::Ingest, None, time)),
        );
        if self.0.are_labelled {
            let detect = values.detect.iter();
            let detect = detect.map(|(partition, time)| {
                let partition = partition.to_string();
                watermark(Stage::Detect, Some(&partition), *time)
            });
            metrics.extend(detect);
        } else {
            let least = values.detect.values().min();
            metrics.extend(least.map(|time| watermark(Stage::Detect, None, *time)));
        }
        vec![family(&self.0.desc, MetricType::GAUGE, metrics)]
    }
}

/// Without a partition the label is absent, which Prometheus reads as empty.
fn watermark(stage: Stage, partition: Option<&str>, time: EventTime) -> proto::Metric {
    let mut labels = vec![("stage", stage.name())];
    labels.extend(partition.map(|partition| ("partition", partition)));
    gauge_metric(label_pairs(labels), time.seconds() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::shown;
    use super::*;

    /// What is shown, without `# HELP` and `# TYPE`, after `story` with labels and without.
    fn check<G>(
        register: fn(&Registry, &str, &str, bool) -> Result<G, Error>,
        story: fn(&G),
        labelled: &[&str],
        worst: &[&str],
    ) {
        for (are_labelled, expected) in [(true, labelled), (false, worst)] {
            let registry = Registry::new();
            let gauges = register(&registry, "a", "Says a.", are_labelled);
            story(&gauges.expect("a new name"));
            let mut lines = shown(&registry);
            lines.retain(|line| !line.starts_with('#'));
            assert_eq!(lines, expected);
        }
    }

    #[test]
    fn every_partition_is_shown_or_the_worst() {
        check(
            PartitionGauges::register,
            |lag| {
                lag.set("audit", 0, 3.0);
                lag.set("audit", 0, 7.0);
                lag.set("audit", 10, 5.0);
                lag.set("rates", 0, 6.5);
            },
            &[
                "a{partition=\"0\",topic=\"audit\"} 7",
                "a{partition=\"0\",topic=\"rates\"} 6.5",
                "a{partition=\"10\",topic=\"audit\"} 5",
            ],
            &["a 7"],
        );
    }

    #[test]
    fn a_forgotten_partition_is_not_shown() {
        check(
            PartitionGauges::register,
            |lag| {
                lag.set("audit", 0, 7.0);
                lag.set("audit", 1, 5.0);
                lag.forget("audit", 0);
                lag.forget("audit", 2);
                lag.forget("rates", 1);
            },
            &["a{partition=\"1\",topic=\"audit\"} 5"],
            &["a 5"],
        );
        let forget_all = |lag: &PartitionGauges| {
            lag.set("audit", 0, 7.0);
            lag.forget("audit", 0);
        };
        check(PartitionGauges::register, forget_all, &[], &[]);
    }

    #[test]
    fn the_worst_watermark_is_the_lowest() {
        fn at(seconds: i64) -> EventTime {
            EventTime::from_seconds(seconds).expect("after 1970")
        }
        check(
            Watermarks::register,
            |watermarks| {
                watermarks.set_ingest(Some(at(1_700_000_060)));
                watermarks.set_detect(3, at(1_700_000_000));
                watermarks.set_detect(4, at(1_699_999_940));
                watermarks.set_detect(5, at(60));
                watermarks.forget_detect(5);
            },
            &[
                "a{stage=\"ingest\"} 1700000060",
                "a{partition=\"3\",stage=\"detect\"} 1700000000",
                "a{partition=\"4\",stage=\"detect\"} 1699999940",
            ],
            &[
                "a{stage=\"detect\"} 1699999940",
                "a{stage=\"ingest\"} 1700000060",
            ],
        );
        let nothing_known = |watermarks: &Watermarks| watermarks.set_ingest(None);
        check(Watermarks::register, nothing_known, &[], &[]);
    }
}
