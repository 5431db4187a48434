//! The settings as checked: every value in range, every relation between values holding.
//!
//! The hash covers what changes decisions or the text of records and nothing else, so two runs
//! with equal hashes over equal input write equal records.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::budgets;
use super::calendars;
use super::knowledge::{self, KnowledgeSettings};
use super::service::holds_drops;
use super::written::RollUpName;
use super::{LogStyle, ProfileName, RatesLogName, Seconds, ServiceSettings, WrittenSettings};
use crate::detect::settings::Profile;
use crate::detect::{DetectSettings, FleetScope};
use crate::formats::{DecodeLimits, Mapping, mapping};
use crate::ingest::{IngestLimits, IngestSettings, RowsSettings, Selectors};
use crate::model::RollUps;
use crate::view::StorySettings;

/// A key with what is wrong with its value.
pub(super) type Problem = (String, String);

/// Settings that the rest of the house may rely on.
#[derive(Clone, Debug)]
pub struct Settings {
    pub ingest: IngestSettings,
    pub rows: RowsSettings,
    pub detect: DetectSettings,
    pub decode: DecodeLimits,
    /// Mappings by name, shipped and written.
    pub mappings: BTreeMap<String, Arc<Mapping>>,
    /// Events further ahead of their stream need confirmation.
    pub jump_max_seconds: u32,
    pub chunk_bytes: usize,
    pub open_files_max: usize,
    /// Bytes of rates that `tune` and `diff` hold.
    pub kept_rates_bytes_max: u64,
    /// Insights of a report that are listed, and that are drawn.
    pub report_insights_max: u64,
    pub report_charts_max: u64,
    /// Decompressed bytes read of one compressed file.
    pub decompressed_bytes_max: u64,
    pub rates_log: RatesLogKind,
    pub service: ServiceSettings,
    pub log: LogStyle,
    /// Write the `insightd` object into records.
    pub extension: bool,
    pub stories: StorySettings,
    pub knowledge: KnowledgeSettings,
    /// What all of this was made of, with what the profile chose.
    pub written: WrittenSettings,
    /// What the hash was taken of: one `key = value` a line.
    pub canonical: String,
    /// SHA-256 of `canonical`, as 64 hexadecimal digits.
    pub hash: String,
}

/// Which rates log sits between the two stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RatesLogKind {
    Memory,
    /// A directory of segments at this path.
    Segments(String),
    /// A topic, which only the service uses.
    Kafka,
}

/// Beginnings of keys whose values change neither decisions nor the text of records. Counts that
/// leave ingest early, over a limit on what is pending, add up to the same.
const OUTSIDE_HASH: [&str; 17] = [
    "role ",
    "kafka.",
    "ingest.",
    "silence.delivery_delay",
    "checkpoint.",
    "http.",
    "log.",
    "stories.",
    "knowledge.",
    "input.",
    "rates_log.",
    "limits.reject",
    "limits.pending_",
    "limits.open_minutes_max",
    "limits.rates_rows_max",
    "limits.kept_rates_bytes_max",
    "limits.report_",
];

/// Beginnings of keys that detection reads and counting does not.
const DETECTION_ONLY: [&str; 7] = [
    "calendars ",
    "detector.",
    "attribution.",
    "output.",
    "silence.all",
    "limits.series_max",
    "limits.waiting_max",
];

/// Detection counts the entries of a series and day in 16 bits: these of each of four dimensions,
/// its total and what is left over.
const VALUES_MAX: u64 = 16_000;

impl Settings {
    pub fn check(written: &WrittenSettings) -> Result<Self, (String, String)> {
        let written = &in_force(written);
        check_ranges(written)?;
        let canonical = canonical(written);
        let hash = hex(&Sha256::digest(canonical.as_bytes()));
        Ok(Settings {
            ingest: ingest_settings(written)?,
            rows: RowsSettings {
                bucket_minutes: bucket_minutes(written),
                source: 0,
                rows_max: written.limits.rates_rows_max,
                series_max: written.limits.pending_series_max,
                roll_ups: roll_ups(written),
            },
            detect: detect_settings(written)?,
            decode: decode_limits(written),
            mappings: mappings(written)?,
            jump_max_seconds: written.counting.jump_max.0 as u32,
            chunk_bytes: written.input.chunk_bytes as usize,
            open_files_max: written.input.open_files_max as usize,
            kept_rates_bytes_max: written.limits.kept_rates_bytes_max,
            report_insights_max: written.limits.report_insights_max,
            report_charts_max: written.limits.report_charts_max,
            decompressed_bytes_max: written.limits.decompressed_bytes_max,
            rates_log: check_rates_log(written)?,
            service: ServiceSettings::check(written)?,
            log: written.log.format,
            extension: written.output.extension,
            stories: knowledge::stories(&written.stories)?,
            knowledge: knowledge::place(&written.knowledge)?,
            written: written.clone(),
            canonical,
            hash,
        })
    }
}

impl Settings {
    /// What `insightd run` needs beyond settings that are right by themselves.
    pub fn check_to_run(&self) -> Result<(), Problem> {
        if self.knowledge.path.is_some() {
            let text = "the service keeps what people know on kafka.coordination_topic: leave this \
                        out, and give mutes and feedback to the service with `insightd mute` and \
                        `insightd feedback`";
            return Err(problem("knowledge.path", text));
        }
        if let None | Some(RatesLogName::Kafka) = self.written.rates_log.kind {
            return self.service.check_to_run();
        }
        let text = "the service keeps the rates log in Kafka: leave it out";
        Err(problem("rates_log.kind", text))
    }

    /// The part of the canonical text that what is counted depends on: equal for settings whose
    /// rates are equal.
    pub fn counting_keys(&self) -> String {
        let lines = self.canonical.lines();
        let counting =
            lines.filter(|line| !DETECTION_ONLY.iter().any(|prefix| line.starts_with(prefix)));
        counting.map(|line| format!("{line}\n")).collect()
    }

    /// Settings out of canonical text: what changes decisions as it says, all else by default.
    pub fn from_canonical(canonical: &str) -> Result<Self, String> {
        let mut tree = serde_json::Map::new();
        for line in canonical.lines() {
            let (path, value) = line.split_once(" = ").ok_or("a line is no key and value")?;
            let value = serde_json::from_str(value).map_err(|error| format!("{path}: {error}"))?;
            let mut here = &mut tree;
            let mut parts = path.split('.').peekable();
            while let Some(part) = parts.next() {
                if parts.peek().is_none() {
                    here.insert(part.to_string(), value);
                    break;
                }
                let inner = here
                    .entry(part)
                    .or_insert_with(|| Value::Object(Default::default()));
                here = inner
                    .as_object_mut()
                    .ok_or("a key is a value and a table")?;
            }
        }
        let written: WrittenSettings =
            serde_json::from_value(Value::Object(tree)).map_err(|error| error.to_string())?;
        Settings::check(&written).map_err(|(key, problem)| format!("{key}: {problem}"))
    }
}

/// As written, with what the profile chooses for keys that are not, and what has no order in one.
fn in_force(written: &WrittenSettings) -> WrittenSettings {
    let mut written = written.clone();
    let bucket = 60 * u64::from(profile(&written).bucket_minutes());
    written.counting.bucket.get_or_insert(Seconds(bucket));
    written.counting.rollups.sort();
    written
}

fn profile(written: &WrittenSettings) -> Profile {
    match written.detector.profile {
        ProfileName::Default => Profile::Default,
        ProfileName::Compat => Profile::Compat,
        ProfileName::Watch => Profile::Watch,
    }
}

fn ingest_settings(written: &WrittenSettings) -> Result<IngestSettings, Problem> {
    let counting = &written.counting;
    let selectors =
        Selectors::new(&written.selectors).map_err(|text| problem("selectors", text))?;
    Ok(IngestSettings {
        lateness_seconds: counting.lateness.0 as u32,
        dedup_horizon_seconds: counting.dedup_horizon.0 as u32,
        read_calls: counting.read_calls,
        data_events: counting.data_events,
        bucket_minutes: bucket_minutes(written),
        selectors,
        event_types_excluded: counting.event_types_excluded.clone(),
        roll_ups: roll_ups(written),
        limits: IngestLimits {
            open_minutes_max: written.limits.open_minutes_max,
            dedup_entries_max: written.limits.dedup_entries_max,
            series_max: written.limits.pending_series_max,
            values_max: written.limits.pending_values_max,
            rows_max: written.limits.pending_rows_max,
        },
    })
}

fn detect_settings(written: &WrittenSettings) -> Result<DetectSettings, Problem> {
    let budgets = budgets::check(&written.detector)?;
    Ok(DetectSettings {
        budget_per_week: written.detector.budget_per_week,
        budgets,
        fixed_z: written.detector.fixed_z,
        profile: profile(written),
        bucket_minutes: bucket_minutes(written),
        series_max: written.limits.series_max,
        values_max: written.attribution.values_max,
        waiting_max: written.limits.waiting_max,
        holds_drops: holds_drops(written),
        calendars: calendars::check(&written.calendars)?,
        feedback: Arc::default(),
        fleet: FleetScope::Whole,
    })
}

fn decode_limits(written: &WrittenSettings) -> DecodeLimits {
    let limits = &written.limits;
    DecodeLimits {
        record_bytes_max: limits.record_bytes_max as usize,
        key_bytes_max: limits.key_bytes_max as usize,
        value_bytes_max: limits.value_bytes_max as usize,
        nesting_max: limits.nesting_max,
        payload_bytes_max: limits.payload_bytes_max as usize,
        reject_bytes_max: limits.reject_bytes_max as usize,
        rejects_kept_max: limits.rejects_kept_max,
    }
}

fn mappings(written: &WrittenSettings) -> Result<BTreeMap<String, Arc<Mapping>>, Problem> {
    let mut mappings: BTreeMap<String, Arc<Mapping>> = mapping::shipped()
        .into_iter()
        .map(|(name, mapping)| (name.to_string(), mapping))
        .collect();
    for (name, spec) in &written.formats {
        let key = format!("formats.{name}");
        if ["auto", "cloudtrail", "rates"].contains(&name.as_str()) {
            let text = "this name is taken by a built-in format; choose another";
            return Err(problem(&key, text));
        }
        let mapping = Mapping::new(name, spec).map_err(|text| problem(&key, text))?;
        mappings.insert(name.clone(), Arc::new(mapping));
    }
    Ok(mappings)
}

fn roll_ups(written: &WrittenSettings) -> RollUps {
    let names = &written.counting.rollups;
    RollUps {
        service: names.contains(&RollUpName::Service),
        account: names.contains(&RollUpName::Account),
    }
}

fn bucket(written: &WrittenSettings) -> Seconds {
    let bucket = written.counting.bucket;
    bucket.expect("settings in force have a bucket width")
}

fn bucket_minutes(written: &WrittenSettings) -> u32 {
    (bucket(written).0 / 60) as u32
}

pub(super) fn problem(key: &str, text: impl Into<String>) -> Problem {
    (key.to_string(), text.into())
}

fn check_ranges(written: &WrittenSettings) -> Result<(), Problem> {
    let detector = &written.detector;
    budgets::check_amount("detector.budget_per_week", detector.budget_per_week)?;
    if let Some(z) = detector.fixed_z
        && !(z.is_finite() && (0.0..=1e6).contains(&z))
    {
        let text = format!("{z} is not a score between 0 and 1000000");
        return Err(problem("detector.fixed_z", text));
    }
    let counting = &written.counting;
    if ![60, 300, 900, 3600].contains(&bucket(written).0) {
        let text = format!("{} is not one of 1m, 5m, 15m and 1h", bucket(written));
        return Err(problem("counting.bucket", text));
    }
    for (key, span, from, to) in [
        ("counting.lateness", counting.lateness.0, 0, 86_400),
        (
            "counting.dedup_horizon",
            counting.dedup_horizon.0,
            0,
            86_400,
        ),
        ("counting.jump_max", counting.jump_max.0, 3600, 366 * 86_400),
        (
            "counting.future_max",
            counting.future_max.0,
            1,
            366 * 86_400,
        ),
    ] {
        if !(from..=to).contains(&span) {
            let (span, from, to) = (Seconds(span), Seconds(from), Seconds(to));
            return Err(problem(
                key,
                format!("{span} is not between {from} and {to}"),
            ));
        }
    }
    if counting.rollups.windows(2).any(|two| two[0] == two[1]) {
        let text = "it names the same twice; leave one out";
        return Err(problem("counting.rollups", text));
    }
    if counting.jump_max <= counting.lateness {
        let text = format!(
            "{} must be more than counting.lateness ({})",
            counting.jump_max, counting.lateness
        );
        return Err(problem("counting.jump_max", text));
    }
    check_limits(written)
}

fn check_limits(written: &WrittenSettings) -> Result<(), Problem> {
    let WrittenSettings { limits, input, .. } = written;
    let check = |key: &str, value: u64, from: u64, to: u64| {
        if (from..=to).contains(&value) {
            return Ok(());
        }
        Err(problem(
            key,
            format!("{value} is not between {from} and {to}"),
        ))
    };
    let values_max = u64::from(written.attribution.values_max);
    check("attribution.values_max", values_max, 1, VALUES_MAX)?;
    check("input.chunk_bytes", input.chunk_bytes.into(), 1, 64 << 20)?;
    check(
        "input.open_files_max",
        input.open_files_max.into(),
        1,
        1 << 20,
    )?;
    let check = |name: &str, value, from, to| check(&format!("limits.{name}"), value, from, to);
    check("series_max", limits.series_max, 1024, 1 << 32)?;
    check("record_bytes_max", limits.record_bytes_max, 1024, 1 << 30)?;
    check("key_bytes_max", limits.key_bytes_max, 16, 1 << 16)?;
    check("value_bytes_max", limits.value_bytes_max, 16, 1 << 20)?;
    check("nesting_max", limits.nesting_max.into(), 8, 10_000)?;
    check("payload_bytes_max", limits.payload_bytes_max, 1024, 1 << 30)?;
    let decompressed = limits.decompressed_bytes_max;
    check("decompressed_bytes_max", decompressed, 1024, 1 << 60)?;
    let kept = limits.kept_rates_bytes_max;
    check("kept_rates_bytes_max", kept, 1 << 16, 1 << 50)?;
    check(
        "report_insights_max",
        limits.report_insights_max,
        0,
        1 << 20,
    )?;
    check("report_charts_max", limits.report_charts_max, 0, 1 << 20)?;
    check("reject_bytes_max", limits.reject_bytes_max, 0, 1 << 30)?;
    let rejects_kept = limits.rejects_kept_max.into();
    check("rejects_kept_max", rejects_kept, 1, 1_000_000)?;
    check(
        "open_minutes_max",
        limits.open_minutes_max.into(),
        2,
        100_000,
    )
}

fn check_rates_log(written: &WrittenSettings) -> Result<RatesLogKind, Problem> {
    let log = &written.rates_log;
    match (log.kind, &log.path) {
        (None | Some(RatesLogName::Memory), None) => Ok(RatesLogKind::Memory),
        (Some(RatesLogName::Kafka), None) => Ok(RatesLogKind::Kafka),
        (Some(RatesLogName::Segments), Some(path)) if !path.is_empty() => {
            Ok(RatesLogKind::Segments(path.clone()))
        }
        (Some(RatesLogName::Segments), _) => {
            let text = "kind \"segments\" needs rates_log.path, a directory";
            Err(problem("rates_log.kind", text))
        }
        (_, Some(_)) => {
            let text = "a path belongs to kind \"segments\"; set rates_log.kind or remove the path";
            Err(problem("rates_log.path", text))
        }
    }
}

/// One `key = value` a line, sorted by key, of all that changes decisions or record text.
fn canonical(written: &WrittenSettings) -> String {
    let tree = serde_json::to_value(written).expect("settings are plain values");
    let mut lines = Vec::new();
    flatten("", &tree, &mut lines);
    lines.retain(|line: &String| !OUTSIDE_HASH.iter().any(|prefix| line.starts_with(prefix)));
    lines.sort();
    lines.concat()
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    if let Value::Object(map) = value {
        for (name, inner) in map {
            let dot = if path.is_empty() { "" } else { "." };
            flatten(&format!("{path}{dot}{name}"), inner, lines);
        }
    } else {
        lines.push(format!("{path} = {value}\n"));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all text");
        text
    })
}
