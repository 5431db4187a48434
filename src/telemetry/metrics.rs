//! The metrics of the service: exactly those that `docs/metrics.md` lists.
//!
//! They live on a registry that is handed in, in groups of typed fields. No metric is labelled by
//! something that input can grow. What is shown under `# HELP` is the catalogue's sentence, and a
//! test compares the two.

mod checkpoint_metrics;
mod detection_metrics;
mod event_metrics;
mod families;
mod kafka_metrics;
mod labels;
mod latencies;
mod partition_gauges;
mod service_metrics;

#[cfg(test)]
mod catalogue_tests;

use std::sync::Arc;

use prometheus::{Error, Registry};

pub use checkpoint_metrics::CheckpointMetrics;
pub use detection_metrics::DetectionMetrics;
pub use event_metrics::EventMetrics;
pub use families::{Counters, Flag, Gauges, LateGauge};
pub use kafka_metrics::KafkaMetrics;
pub use labels::{
    CheckpointFailure, DeadLetterOutcome, Labels, RebalanceKind, RequestOutcome, SeriesState,
    SourceActivity, Stage, TransactionOutcome,
};
pub use latencies::Latencies;
pub use partition_gauges::{PartitionGauges, Watermarks};
pub use service_metrics::ServiceMetrics;

use super::LogLines;

/// Every metric of the service.
pub struct Metrics {
    pub events: EventMetrics,
    pub kafka: KafkaMetrics,
    pub checkpoints: CheckpointMetrics,
    pub detection: DetectionMetrics,
    pub service: ServiceMetrics,
}

/// What the metrics are told once.
#[derive(Clone, Debug)]
pub struct MetricsSettings {
    /// Show every partition; otherwise the worst of them.
    pub partition_labels: bool,
    /// The detector's, see `detect::LOGIC_VERSION`.
    pub logic_version: u32,
    /// What `start_logging` returned.
    pub log_lines: LogLines,
}

impl Metrics {
    /// Makes all metrics; a registry takes them once.
    pub fn register(registry: &Registry, settings: MetricsSettings) -> Result<Arc<Self>, Error> {
        let (logic_version, log_lines) = (settings.logic_version, settings.log_lines);
        Ok(Arc::new(Metrics {
            events: EventMetrics::register(registry)?,
            kafka: KafkaMetrics::register(registry, settings.partition_labels)?,
            checkpoints: CheckpointMetrics::register(registry)?,
            detection: DetectionMetrics::register(registry)?,
            service: ServiceMetrics::register(registry, logic_version, log_lines)?,
        }))
    }
}

/// Everything on a registry in the text format, line by line.
#[cfg(test)]
fn shown(registry: &Registry) -> Vec<String> {
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather());
    let text = text.expect("no family is empty");
    text.lines().map(str::to_owned).collect()
}
