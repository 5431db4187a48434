//! The metrics against their catalogue, `docs/metrics.md`, and what stories make of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tracing::{error, info, warn};
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::formats::{DecodeLimits, Decoded, Decoder, Format};
use crate::ingest::IngestCounts;
use crate::model::{Edge, EventTime, InsightType};
use crate::view::{Health, STARTING};

const CATALOGUE: &str = include_str!("../../../docs/metrics.md");

/// One row of the catalogue, or one family as it is shown.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    kind: String,
    help: String,
    /// Label names; with their values where the catalogue lists them.
    labels: BTreeMap<String, BTreeSet<String>>,
}

fn registered(partition_labels: bool) -> (Registry, Arc<Metrics>) {
    let registry = Registry::new();
    let settings = MetricsSettings {
        partition_labels,
        logic_version: 2,
        log_lines: LogLines::default(),
    };
    let metrics = Metrics::register(&registry, settings).expect("names are used once");
    (registry, metrics)
}

/// Sets what is shown only when it is known.
fn set_late_gauges(metrics: &Metrics) {
    metrics.kafka.consumer_lag.set("audit", 0, 1.0);
    metrics.kafka.consumer_lag_seconds.set("audit", 0, 1.0);
    metrics.kafka.lso_lag.set("audit", 0, 1.0);
    metrics
        .kafka
        .watermark_holdback_seconds
        .set("audit", 0, 1.0);
    let watermark = EventTime::default();
    metrics.kafka.watermarks.set_ingest(Some(watermark));
    metrics.kafka.watermarks.set_detect(0, watermark);
    metrics.checkpoints.age_seconds.set(1.0);
    metrics.checkpoints.bytes.set(1.0);
    metrics.checkpoints.retention_margin_seconds.set(1.0);
    metrics.detection.state_bytes.set(1.0);
    metrics.detection.threshold_z.set(3.0);
}

/// Texts between backticks.
fn quoted(text: &str) -> Vec<String> {
    let parts = text.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// The rows of the catalogue's table, by metric.
fn catalogue() -> BTreeMap<String, Entry> {
    let rows = CATALOGUE.lines().filter(|line| line.starts_with("| `"));
    let entry = |row: &str| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, help] = cells[..] else {
            panic!("not four cells: {row}");
        };
        // `stage` (`ingest`, `detect`), `kind`: values stand in parentheses behind their label.
        let mut found = BTreeMap::new();
        for part in labels.split("),").flat_map(|part| {
            let (plain, listed) = part.split_once('(').unwrap_or((part, ""));
            let mut names = quoted(plain);
            let last = names.pop().map(|name| (name, quoted(listed)));
            let plain = names.into_iter().map(|name| (name, Vec::new()));
            plain.chain(last).collect::<Vec<_>>()
        }) {
            found.insert(part.0, part.1.into_iter().collect());
        }
        let kind = kind.split(',').next().unwrap_or_default().to_owned();
        let help = help.replace('`', "");
        let labels = found;
        (quoted(name)[0].clone(), Entry { kind, help, labels })
    };
    rows.map(entry).collect()
}

/// The families on a registry, by name.
fn families(registry: &Registry) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    for family in registry.gather() {
        let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for pair in family.get_metric().iter().flat_map(|one| one.get_label()) {
            let values = labels.entry(pair.name().to_owned()).or_default();
            values.insert(pair.value().to_owned());
        }
        let entry = Entry {
            kind: format!("{:?}", family.get_field_type()).to_lowercase(),
            help: family.help().to_owned(),
            labels,
        };
        found.insert(family.name().to_owned(), entry);
    }
    found
}

#[test]
fn the_catalogue_lists_what_is_registered() {
    let (registry, metrics) = registered(true);
    set_late_gauges(&metrics);
    let catalogue = catalogue();
    let mut families = families(&registry);
    assert!(catalogue.len() > 30, "{} rows", catalogue.len());
    // Where the catalogue leaves the values open, only the names are compared.
    for (name, family) in &mut families {
        for (label, values) in &mut family.labels {
            let listed = catalogue.get(name).and_then(|row| row.labels.get(label));
            if listed.is_some_and(BTreeSet::is_empty) {
                values.clear();
            }
        }
    }
    for (name, row) in &catalogue {
        assert_eq!(families.get(name), Some(row), "{name} as documented");
    }
    for name in families.keys() {
        assert!(catalogue.contains_key(name), "{name} is not documented");
    }
}

#[test]
fn names_end_in_their_unit_and_counters_in_total() {
    for (name, row) in catalogue() {
        assert!(name.starts_with("insightd_"), "{name}");
        assert_eq!(name.ends_with("_total"), row.kind == "counter", "{name}");
        let is_latency = row.kind == "histogram";
        assert!(!is_latency || name.ends_with("_seconds"), "{name}");
    }
}

#[test]
fn a_registry_takes_them_once() {
    let (registry, _) = registered(true);
    let settings = MetricsSettings {
        partition_labels: true,
        logic_version: 2,
        log_lines: LogLines::default(),
    };
    assert!(Metrics::register(&registry, settings).is_err());
}

/// What is shown after `story`, without comments and zeros: only what the story changed.
fn check(story: fn(&Metrics), expected: &[&str]) {
    let (registry, metrics) = registered(true);
    let before = shown(&registry);
    story(&metrics);
    let mut after = shown(&registry);
    after.retain(|line| !line.starts_with('#') && !before.contains(line));
    assert_eq!(after, expected);
}

#[test]
fn every_counter_is_there_from_the_start() {
    let (registry, _) = registered(true);
    let lines = shown(&registry);
    for line in [
        concat!(
            "insightd_build_info{logic_version=\"2\",version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"} 1"
        ),
        "insightd_dead_letters_total{outcome=\"dropped\"} 0",
        "insightd_determinism_mismatch_total 0",
        "insightd_events_rejected_total{reason=\"not_json\"} 0",
        "insightd_events_rejected_total{reason=\"time_jump\"} 0",
        "insightd_events_total{outcome=\"counted\"} 0",
        "insightd_events_total{outcome=\"control_message\"} 0",
        "insightd_insights_emitted_total{edge=\"end\",kind=\"error_rate\"} 0",
        "insightd_log_lines_total{level=\"error\"} 0",
        "insightd_rebalances_total{kind=\"lost\",stage=\"detect\"} 0",
        "insightd_transaction_commits_total{outcome=\"fenced\",stage=\"ingest\"} 0",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line}");
    }
    let claims = ["insightd_checkpoint_age", "insightd_retention_margin"];
    for line in &lines {
        assert!(
            !claims.iter().any(|claim| line.starts_with(claim)),
            "{line}"
        );
    }
}

#[test]
fn events_are_counted_by_what_became_of_them() {
    check(
        |metrics| {
            let before = IngestCounts {
                counted: 10,
                late: 1,
                ..IngestCounts::default()
            };
            let now = IngestCounts {
                counted: 14,
                late: 3,
                late_idle: 5,
                too_late: 7,
                insight: 1,
                ..before
            };
            metrics.events.count_ingested(&before, &now);
            metrics.events.count_ingested(&now, &now);
            metrics.events.count_time_jump();
        },
        &[
            "insightd_events_late_total{reason=\"idle\"} 5",
            "insightd_events_late_total{reason=\"late\"} 9",
            "insightd_events_rejected_total{reason=\"time_jump\"} 1",
            "insightd_events_total{outcome=\"counted\"} 4",
            "insightd_events_total{outcome=\"insight\"} 1",
            "insightd_events_total{outcome=\"late\"} 2",
            "insightd_events_total{outcome=\"late_idle\"} 5",
            "insightd_events_total{outcome=\"too_late\"} 7",
        ],
    );
}

#[test]
fn records_are_counted_by_why_they_are_no_events() {
    check(
        |metrics| {
            let mut decoder = Decoder::new(Format::Auto, DecodeLimits::default());
            let mut decoded = Decoded::default();
            decoder.feed(
                b"no json\n{\"messageType\":\"CONTROL_MESSAGE\"}\n",
                &mut decoded,
            );
            decoder.finish(&mut decoded);
            metrics.events.count_decoded(&decoded.counts);
            metrics.events.count_decoded(&decoded.counts);
        },
        &[
            "insightd_events_rejected_total{reason=\"not_json\"} 2",
            "insightd_events_total{outcome=\"control_message\"} 2",
        ],
    );
}

#[test]
fn warnings_and_errors_are_counted_while_they_are_logged() {
    let registry = Registry::new();
    let log_lines = LogLines::default();
    let subscriber = tracing_subscriber::registry().with(log_lines.clone());
    tracing::subscriber::with_default(subscriber, || {
        info!("a change");
        warn!("an oddity");
        warn!("another");
        error!("a failure");
    });
    let settings = MetricsSettings {
        partition_labels: true,
        logic_version: 2,
        log_lines,
    };
    Metrics::register(&registry, settings).expect("names are used once");
    let mut lines = shown(&registry);
    lines.retain(|line| line.starts_with("insightd_log_lines_total"));
    assert_eq!(
        lines,
        [
            "insightd_log_lines_total{level=\"error\"} 1",
            "insightd_log_lines_total{level=\"warn\"} 2",
        ]
    );
}

#[test]
fn the_service_is_told_in_numbers() {
    check(
        |metrics| {
            metrics.kafka.messages_consumed.add(Stage::Detect, 3);
            let revoked = (Stage::Ingest, RebalanceKind::Revoke);
            metrics.kafka.rebalances.add(revoked, 1);
            let fenced = (Stage::Detect, TransactionOutcome::Fenced);
            metrics.kafka.transactions.add(fenced, 2);
            metrics.kafka.sources.set(SourceActivity::IdleProven, 4.0);
            metrics
                .checkpoints
                .failures
                .add(CheckpointFailure::Corrupt, 1);
            metrics.checkpoints.replayed_records.inc_by(9);
            metrics.checkpoints.age_seconds.set(12.5);
            metrics.checkpoints.bytes.set(100.0);
            metrics.checkpoints.bytes.clear();
            metrics.detection.series.set(SeriesState::Live, 20.0);
            let start = (InsightType::ApiErrorRate, Edge::Start);
            metrics.detection.insights_emitted.add(start, 1);
            metrics.detection.pipeline_is_silent.set(true);
            metrics.service.is_coordinator.set(true);
            metrics.service.is_coordinator.set(false);
            metrics.events.dead_letters.add(DeadLetterOutcome::Sent, 6);
        },
        &[
            "insightd_checkpoint_age_seconds 12.5",
            "insightd_checkpoint_failures_total{kind=\"corrupt\"} 1",
            "insightd_dead_letters_total{outcome=\"sent\"} 6",
            "insightd_insights_emitted_total{edge=\"start\",kind=\"error_rate\"} 1",
            "insightd_messages_consumed_total{stage=\"detect\"} 3",
            "insightd_pipeline_silent 1",
            "insightd_rebalances_total{kind=\"revoke\",stage=\"ingest\"} 1",
            "insightd_replayed_records_total 9",
            "insightd_series{state=\"live\"} 20",
            "insightd_sources{state=\"idle_proven\"} 4",
            "insightd_transaction_commits_total{outcome=\"fenced\",stage=\"detect\"} 2",
        ],
    );
}

#[test]
fn a_delay_lands_in_its_buckets() {
    check(
        |metrics| {
            metrics
                .detection
                .delay
                .record((), Duration::from_secs(2_000))
        },
        &[
            "insightd_detection_delay_seconds_bucket{le=\"3600\"} 1",
            "insightd_detection_delay_seconds_bucket{le=\"+Inf\"} 1",
            "insightd_detection_delay_seconds_sum 2000",
            "insightd_detection_delay_seconds_count 1",
        ],
    );
}

#[test]
fn a_partition_that_is_gone_is_forgotten_everywhere() {
    check(
        |metrics| {
            set_late_gauges(metrics);
            metrics.kafka.forget_partition("audit", 0);
            metrics.kafka.watermarks.forget_detect(0);
            metrics.kafka.watermarks.set_ingest(None);
        },
        &[
            "insightd_checkpoint_age_seconds 1",
            "insightd_checkpoint_bytes 1",
            "insightd_retention_margin_seconds 1",
            "insightd_state_bytes 1",
            "insightd_threshold_z 3",
        ],
    );
}

#[test]
fn health_is_shown_as_readiness_and_ages() {
    check(
        |metrics| {
            let mut health = Health::default();
            health.clear_cause(STARTING);
            health.watch_loop(Stage::Ingest.name(), 1_000, 500);
            metrics.service.show_health(&health, 2_000);
        },
        &[
            "insightd_poll_age_seconds{stage=\"ingest\"} 1.5",
            "insightd_ready 1",
        ],
    );
    check(
        |metrics| metrics.service.show_health(&Health::default(), 0),
        &[],
    );
}
