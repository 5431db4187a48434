//! The process itself: which build it is, whether it is well, what it logged.

use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, MetricFamily, MetricType};
use prometheus::{Error, IntCounter, IntGaugeVec, Opts, Registry};

use super::families::{Counters, Flag, Gauges, counter, describe, family, label_pairs};
use super::labels::{Labels, RequestOutcome, Stage};
use crate::telemetry::LogLines;
use crate::view::Health;

const MILLISECONDS_PER_SECOND: f64 = 1e3;

/// Build, health and log lines.
pub struct ServiceMetrics {
    pub is_coordinator: Flag,
    pub clock_jumps: IntCounter,
    pub knowledge_requests: Counters<RequestOutcome>,
    is_ready: Flag,
    poll_age_seconds: Gauges<Stage>,
}

impl ServiceMetrics {
    pub(super) fn register(
        registry: &Registry,
        logic_version: u32,
        log_lines: LogLines,
    ) -> Result<Self, Error> {
        register_build_info(registry, logic_version)?;
        register_log_lines(registry, log_lines)?;
        Ok(ServiceMetrics {
            is_coordinator: Flag::register(
                registry,
                "insightd_coordinator",
                "1 on the instance that coordinates",
            )?,
            clock_jumps: counter(
                registry,
                "insightd_clock_jumps_total",
                "times that the machine's clock was set, which is not followed",
            )?,
            knowledge_requests: Counters::register(
                registry,
                "insightd_knowledge_requests_total",
                "requests for mutes and feedback on the coordination topic by answer, from its \
                 beginning",
            )?,
            is_ready: Flag::register(registry, "insightd_ready", "1 when /ready answers 200")?,
            poll_age_seconds: Gauges::register(
                registry,
                "insightd_poll_age_seconds",
                "time since the poll loop last turned",
            )?,
        })
    }

    /// Shows readiness, and the age of each poll loop that is watched under its stage's name.
    pub fn show_health(&self, health: &Health, now_ms: u64) {
        self.is_ready.set(health.ready().is_ok());
        for stage in Stage::all() {
            let age_ms = health.loop_age_ms(stage.name(), now_ms).unwrap_or(0);
            let age_seconds = age_ms as f64 / MILLISECONDS_PER_SECOND;
            self.poll_age_seconds.set(stage, age_seconds);
        }
    }
}

fn register_build_info(registry: &Registry, logic_version: u32) -> Result<(), Error> {
    let options = Opts::new("insightd_build_info", "which build this is");
    let family = IntGaugeVec::new(options, &["version", "logic_version"])?;
    let logic_version = logic_version.to_string();
    family
        .with_label_values(&[env!("CARGO_PKG_VERSION"), &logic_version])
        .set(1);
    registry.register(Box::new(family))
}

fn register_log_lines(registry: &Registry, lines: LogLines) -> Result<(), Error> {
    let desc = describe(
        "insightd_log_lines_total",
        "warnings and errors logged",
        &["level"],
    )?;
    registry.register(Box::new(CollectedLines { desc, lines }))
}

struct CollectedLines {
    desc: Desc,
    lines: LogLines,
}

impl Collector for CollectedLines {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let counts = [
            ("warn", self.lines.warnings()),
            ("error", self.lines.errors()),
        ];
        let metrics = counts.map(|(level, count)| {
            let mut counter = proto::Counter::default();
            counter.set_value(count as f64);
            let mut metric = proto::Metric::from_label(label_pairs(vec![("level", level)]));
            metric.set_counter(counter);
            metric
        });
        vec![family(&self.desc, MetricType::COUNTER, metrics.into())]
    }
}
