//! Kinds of metrics that the library does not have: families over a closed set of labels, and
//! gauges that are not shown before somebody sets them.
//!
//! A counter that is first shown when it becomes 1 has no increase that a rule could see, so
//! every value of a family is shown as 0 from the start. A gauge is a statement about now: where
//! 0 would be a claim (a checkpoint that is 0 seconds old), it is left out until it is known.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};
use prometheus::{Error, GaugeVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::labels::Labels;

/// Counters, one for each value of `L`.
pub struct Counters<L> {
    children: Box<[IntCounter]>,
    labels: PhantomData<L>,
}

/// Gauges, one for each value of `L`.
pub struct Gauges<L> {
    children: Box<[prometheus::Gauge]>,
    labels: PhantomData<L>,
}

/// A gauge that is left out while it is not known.
#[derive(Clone)]
pub struct LateGauge(Arc<LateGaugeState>);

struct LateGaugeState {
    desc: Desc,
    value: Mutex<Option<f64>>,
}

/// A gauge that says yes or no.
pub struct Flag(IntGauge);

impl<L: Labels> Counters<L> {
    pub(super) fn register(registry: &Registry, name: &str, help: &str) -> Result<Self, Error> {
        let family = IntCounterVec::new(Opts::new(name, help), &L::names())?;
        registry.register(Box::new(family.clone()))?;
        let children = L::all()
            .into_iter()
            .map(|label| family.with_label_values(&label.values()));
        Ok(Counters {
            children: children.collect(),
            labels: PhantomData,
        })
    }

    pub fn add(&self, label: L, count: u64) {
        self.children[label.index()].inc_by(count);
    }
}

impl<L: Labels> Gauges<L> {
    pub(super) fn register(registry: &Registry, name: &str, help: &str) -> Result<Self, Error> {
        let family = GaugeVec::new(Opts::new(name, help), &L::names())?;
        registry.register(Box::new(family.clone()))?;
        let children = L::all()
            .into_iter()
            .map(|label| family.with_label_values(&label.values()));
        Ok(Gauges {
            children: children.collect(),
            labels: PhantomData,
        })
    }

    pub fn set(&self, label: L, value: f64) {
        self.children[label.index()].set(value);
    }
}

impl LateGauge {
    pub(super) fn register(registry: &Registry, name: &str, help: &str) -> Result<Self, Error> {
        let gauge = LateGauge(Arc::new(LateGaugeState {
            desc: describe(name, help, &[])?,
            value: Mutex::new(None),
        }));
        registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    pub fn set(&self, value: f64) {
        *lock(&self.0.value) = Some(value);
    }

    /// It is not known any more, for example because no partition is owned.
    pub fn clear(&self) {
        *lock(&self.0.value) = None;
    }
}

impl Collector for LateGauge {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let value = *lock(&self.0.value);
        let metrics = value.map(|value| gauge_metric(Vec::new(), value));
        let metrics = metrics.into_iter().collect();
        vec![family(&self.0.desc, MetricType::GAUGE, metrics)]
    }
}

impl Flag {
    pub(super) fn register(registry: &Registry, name: &str, help: &str) -> Result<Self, Error> {
        let gauge = IntGauge::new(name, help)?;
        registry.register(Box::new(gauge.clone()))?;
        Ok(Flag(gauge))
    }

    pub fn set(&self, is_so: bool) {
        self.0.set(i64::from(is_so));
    }
}

/// A single counter.
pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, Error> {
    let counter = IntCounter::new(name, help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

/// What a metric of our own kind is called and labelled by.
pub(super) fn describe(name: &str, help: &str, labels: &[&str]) -> Result<Desc, Error> {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new())
}

pub(super) fn family(desc: &Desc, kind: MetricType, metrics: Vec<proto::Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(desc.fq_name.clone());
    family.set_help(desc.help.clone());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

pub(super) fn gauge_metric(labels: Vec<LabelPair>, value: f64) -> proto::Metric {
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    let mut metric = proto::Metric::from_gauge(gauge);
    metric.set_label(labels);
    metric
}

/// Labels in the order of their names, as the library shows its own.
pub(super) fn label_pairs(mut labels: Vec<(&str, &str)>) -> Vec<LabelPair> {
    labels.sort_unstable();
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    labels.into_iter().map(pair).collect()
}

/// A thread that panicked while it held one of our numbers has left a number behind.
pub(super) fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
