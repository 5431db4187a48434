//! Latencies: recorded in HDR histograms, shown as Prometheus histograms.
//!
//! An HDR histogram holds a day in microseconds to three significant digits whatever the values
//! are, so the buckets shown can be chosen for dashboards without losing what was measured. A
//! value that the histogram cannot tell from the bound of a bucket (a thousandth above it) counts
//! as within it.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, MetricFamily, MetricType};
use prometheus::{Error, Registry};

use super::families::{describe, family, label_pairs, lock};
use super::labels::Labels;

/// Upper bounds of the buckets of `*_duration_seconds`, in microseconds: 5 ms to 60 s.
pub(super) const DURATION_BOUNDS: &[u64] = &[
    5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];

/// Upper bounds of the buckets of the detection delay, in microseconds: 1 s to 1 h.
pub(super) const DELAY_BOUNDS: &[u64] = &[
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    600_000_000,
    1_800_000_000,
    3_600_000_000,
];

const MICROSECONDS_PER_SECOND: f64 = 1e6;
/// A day. What takes longer is recorded as a day; the sum has its full length.
const MICROSECONDS_MAX: u64 = 86_400_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Histograms of latencies, one for each value of `L`.
pub struct Latencies<L> {
    recorded: Arc<Recorded>,
    labels: PhantomData<L>,
}

struct Recorded {
    desc: Desc,
    bounds: &'static [u64],
    /// In the order of the labels.
    children: Box<[Child]>,
}

struct Child {
    /// Names and values.
    labels: Vec<(&'static str, &'static str)>,
    latency: Mutex<Latency>,
}

/// Sum and histogram change together, so that what is shown of them fits.
struct Latency {
    histogram: Histogram<u64>,
    sum_microseconds: u64,
}

impl<L: Labels> Latencies<L> {
    pub(super) fn register(
        registry: &Registry,
        name: &str,
        help: &str,
        bounds: &'static [u64],
    ) -> Result<Self, Error> {
        let children = L::all().into_iter().map(|label| Child {
            labels: L::names().into_iter().zip(label.values()).collect(),
            latency: Mutex::new(Latency::new()),
        });
        let recorded = Arc::new(Recorded {
            desc: describe(name, help, &L::names())?,
            bounds,
            children: children.collect(),
        });
        registry.register(Box::new(Collected(recorded.clone())))?;
        Ok(Latencies {
            recorded,
            labels: PhantomData,
        })
    }

    pub fn record(&self, label: L, latency: Duration) {
        let child = &self.recorded.children[label.index()];
        lock(&child.latency).record(latency);
    }
}

impl Latency {
    fn new() -> Self {
        let histogram = Histogram::new_with_max(MICROSECONDS_MAX, SIGNIFICANT_DIGITS)
            .expect("a day is above 1 and three digits are at most five");
        Latency {
            histogram,
            sum_microseconds: 0,
        }
    }

    fn record(&mut self, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.histogram
            .saturating_record(microseconds.min(MICROSECONDS_MAX));
        self.sum_microseconds = self.sum_microseconds.saturating_add(microseconds);
    }

    /// How many values are within each bound.
    fn cumulative(&self, bounds: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len()];
        for step in self.histogram.iter_recorded() {
            let least = self.histogram.lowest_equivalent(step.value_iterated_to());
            let bucket = bounds.partition_point(|bound| *bound < least);
            if let Some(count) = counts.get_mut(bucket) {
                *count += step.count_since_last_iteration();
            }
        }
        let mut sum = 0;
        for count in &mut counts {
            sum += *count;
            *count = sum;
        }
        counts
    }

    fn shown(&self, bounds: &[u64]) -> proto::Histogram {
        let counts = self.cumulative(bounds);
        let bucket = |(bound, count): (&u64, u64)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*bound as f64 / MICROSECONDS_PER_SECOND);
            bucket.set_cumulative_count(count);
            bucket
        };
        let mut shown = proto::Histogram::default();
        shown.set_bucket(bounds.iter().zip(counts).map(bucket).collect());
        shown.set_sample_count(self.histogram.len());
        shown.set_sample_sum(self.sum_microseconds as f64 / MICROSECONDS_PER_SECOND);
        shown
    }
}

/// What the registry asks.
struct Collected(Arc<Recorded>);

impl Collector for Collected {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let metric = |child: &Child| {
            let mut metric = proto::Metric::from_label(label_pairs(child.labels.clone()));
            metric.set_histogram(lock(&child.latency).shown(self.0.bounds));
            metric
        };
        let metrics = self.0.children.iter().map(metric).collect();
        vec![family(&self.0.desc, MetricType::HISTOGRAM, metrics)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::labels::Stage;
    use super::super::shown;
    use super::*;

    #[test]
    fn a_histogram_shows_buckets_sum_and_count() {
        let registry = Registry::new();
        let latencies = Latencies::register(&registry, "a_seconds", "Says a.", &[5_000, 1_000_000]);
        let latencies = latencies.expect("a new name");
        latencies.record(Stage::Detect, Duration::from_millis(5));
        latencies.record(Stage::Detect, Duration::from_millis(250));
        latencies.record(Stage::Detect, Duration::from_secs(100_000));
        assert_eq!(
            shown(&registry),
            [
                "# HELP a_seconds Says a.",
                "# TYPE a_seconds histogram",
                "a_seconds_bucket{stage=\"detect\",le=\"0.005\"} 1",
                "a_seconds_bucket{stage=\"detect\",le=\"1\"} 2",
                "a_seconds_bucket{stage=\"detect\",le=\"+Inf\"} 3",
                "a_seconds_sum{stage=\"detect\"} 100000.255",
                "a_seconds_count{stage=\"detect\"} 3",
                "a_seconds_bucket{stage=\"ingest\",le=\"0.005\"} 0",
                "a_seconds_bucket{stage=\"ingest\",le=\"1\"} 0",
                "a_seconds_bucket{stage=\"ingest\",le=\"+Inf\"} 0",
                "a_seconds_sum{stage=\"ingest\"} 0",
                "a_seconds_count{stage=\"ingest\"} 0",
            ]
        );
    }

    #[test]
    fn buckets_agree_with_a_naive_count() {
        check_against_naive_count(DURATION_BOUNDS);
        check_against_naive_count(DELAY_BOUNDS);
    }

    /// Values over the whole range, the bounds and their neighbours among them. A value within a
    /// thousandth above a bound may count either way.
    fn check_against_naive_count(bounds: &[u64]) {
        let mut values: Vec<u64> = bounds.iter().flat_map(|b| [b - 1, *b, b + 1]).collect();
        // A power law with a generator of whole numbers: multiplier and increment by Knuth.
        let mut state: u64 = 7;
        for _ in 0..5_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            values.push((state >> 20) >> (state % 44));
        }
        let mut latency = Latency::new();
        for value in &values {
            latency.record(Duration::from_micros(*value));
        }
        let counts = latency.cumulative(bounds);
        for (bound, count) in bounds.iter().zip(&counts) {
            let within = |most: u64| values.iter().filter(|value| **value <= most).count() as u64;
            let exact = within(*bound)..=within(bound + bound / 1_000);
            assert!(exact.contains(count), "{bound}: {count}, not {exact:?}");
        }
        assert!(counts.is_sorted(), "{counts:?}");
        let shown = latency.shown(bounds);
        assert_eq!(shown.get_sample_count(), values.len() as u64);
        let sum: u64 = values.iter().sum();
        assert_eq!(shown.get_sample_sum(), sum as f64 / 1e6);
    }
}
