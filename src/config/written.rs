//! The settings as they are written: the shape of the TOML text and the default of every key.
//!
//! The comments here become the descriptions in `insightd config schema`. A key stands here
//! only if something reads it; what later capabilities will read is refused by name
//! ([`RESERVED`]), so that nobody believes it does something.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Seconds;
use super::knowledge_written::{WrittenCalendar, WrittenKnowledge, WrittenStories};
use super::service_written::{
    Role, WrittenCheckpoint, WrittenHttp, WrittenIngest, WrittenKafka, WrittenLog, WrittenSilence,
};
use crate::formats::MappingSpec;
use crate::ingest::SelectorsSpec;

/// Keys that this build refuses with a reason instead of calling them unknown.
pub(super) const RESERVED: [(&str, &str); 1] = [("store", "the delivery of insights to stores")];

/// All settings of insightd.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenSettings {
    /// What this instance of the service does: "all", "ingest" or "detect".
    pub role: Role,
    pub kafka: WrittenKafka,
    pub ingest: WrittenIngest,
    pub silence: WrittenSilence,
    pub checkpoint: WrittenCheckpoint,
    pub http: WrittenHttp,
    pub log: WrittenLog,
    pub detector: WrittenDetector,
    pub counting: WrittenCounting,
    pub attribution: WrittenAttribution,
    pub output: WrittenOutput,
    pub stories: WrittenStories,
    pub knowledge: WrittenKnowledge,
    /// Calendars of parts of all series.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calendars: Vec<WrittenCalendar>,
    pub input: WrittenInput,
    pub rates_log: WrittenRatesLog,
    pub limits: WrittenLimits,
    /// Which events are looked at: the event selectors of a CloudTrail trail, basic or advanced.
    pub selectors: SelectorsSpec,
    /// Mappings for other sources: `[formats.NAME]` is used by `--format NAME`.
    pub formats: BTreeMap<String, MappingSpec>,
}

/// How sensitive the detector is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenDetector {
    /// What kind of unusual counts: "default" (the budget decides), "compat" (as eager as AWS) or
    /// "watch" (about one insight per series and week).
    pub profile: ProfileName,
    /// False insights a week that are acceptable over all series together, but for those that
    /// `budgets` names; heeded by profile "default" without fixed_z.
    pub budget_per_week: f64,
    /// Budgets of their own for parts of all series; of several that match the first counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<WrittenBudget>,
    /// Score a Start needs, fixed by hand; wins over profile and budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_z: Option<f64>,
}

/// A budget of its own for a part of all series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WrittenBudget {
    /// Which series.
    #[serde(default)]
    pub scope: WrittenScope,
    /// Only surges ("up", new activity included) or only drops ("down"); unset, both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<DirectionName>,
    /// False insights a week that are acceptable over all that matches.
    pub per_week: f64,
}

/// Which series; what is unset matches any. Texts are exact, or have `*` (any text), `?` (any
/// character) and `[...]` (any of these characters).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenScope {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_name: Option<String>,
    /// `ApiCallRateInsight` or `ApiErrorRateInsight`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insight_type: Option<String>,
    /// Empty for call rates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DirectionName {
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProfileName {
    Default,
    Compat,
    Watch,
}

/// What is counted, and when a count is final.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenCounting {
    /// Width of a bucket: 1m, 5m, 15m or 1h; unset, 1m, or 5m with profile "watch".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Seconds>,
    /// How far an event may lie behind its source's highest event time and still count in time.
    pub lateness: Seconds,
    /// How long an event id is remembered to find duplicates.
    pub dedup_horizon: Seconds,
    /// An event this far ahead of its stream is believed only when the next one confirms it.
    pub jump_max: Seconds,
    /// Over Kafka, an event this far after its message's timestamp is rejected.
    pub future_max: Seconds,
    /// Count read calls too; by default call rates are those of write calls.
    pub read_calls: bool,
    /// Count data events too.
    pub data_events: bool,
    /// Event types (CloudTrail's eventType) that are never counted.
    pub event_types_excluded: Vec<String>,
    /// Add up the calls and errors of each "service", of each "account", or both, as series of
    /// their own beside those of APIs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rollups: Vec<RollUpName>,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum RollUpName {
    Service,
    Account,
}

/// Who made the difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenAttribution {
    /// Values kept per series, dimension and UTC day.
    pub values_max: u32,
}

/// What records look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenOutput {
    /// Add the `insightd` object (why it fired) to every record.
    pub extension: bool,
}

/// How files are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenInput {
    /// Decompressed bytes decoded in one go; changes speed and memory, never the output.
    pub chunk_bytes: u32,
    /// Files held open at once; others are closed, and go on where they were on their turn.
    pub open_files_max: u32,
}

/// The ordered log between counting and detection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenRatesLog {
    /// "memory", "segments" (a directory of checksummed files), or "kafka"; unset, a replay has it
    /// in memory and the service in Kafka. A replay never writes to Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<RatesLogName>,
    /// Directory of the segments; needed by kind "segments".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RatesLogName {
    Memory,
    Segments,
    Kafka,
}

/// Bounds on everything that input can grow; what exceeds one is counted and told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenLimits {
    /// Series tracked; a 1,024th part of them in each shard.
    pub series_max: u64,
    /// A longer record is rejected.
    pub record_bytes_max: u64,
    /// A longer account, region, source, name or error code is rejected.
    pub key_bytes_max: u64,
    /// A longer attribution value is cut.
    pub value_bytes_max: u64,
    /// Levels of nesting in a record.
    pub nesting_max: u32,
    /// Decompressed bytes of the payloads in one input value; of a short one less, 64 KiB and 256
    /// times its length.
    pub payload_bytes_max: u64,
    /// Decompressed bytes of one file; the rest of the file is not read.
    pub decompressed_bytes_max: u64,
    /// Bytes kept of a rejected record.
    pub reject_bytes_max: u64,
    /// Rejected records kept of one input value; over it they are only counted.
    pub rejects_kept_max: u32,
    /// Event ids remembered for deduplication; over it the oldest are forgotten.
    pub dedup_entries_max: u32,
    /// Different series in minutes that are not final, by minute; over it counts go on to
    /// detection early. For `--format rates`: different series at all; over it the replay fails.
    pub pending_series_max: u32,
    /// Different attribution values in minutes that are not final, by minute; over it counts go on
    /// to detection early.
    pub pending_values_max: u32,
    /// Calls and errors in minutes that are not final; over it counts go on to detection early.
    pub pending_rows_max: u32,
    /// Rows of `--format rates` held for sorting, 12 bytes each.
    pub rates_rows_max: u64,
    /// Bytes of rates that `tune`, `diff`, `explain` and reports hold in memory; over it the former
    /// two fail, the others go on without charts.
    pub kept_rates_bytes_max: u64,
    /// Insights that a report lists, the first.
    pub report_insights_max: u64,
    /// Insights of a report that are drawn, those that exceed their threshold most.
    pub report_charts_max: u64,
    /// Minutes pending at once; over it counts go on to detection early.
    pub open_minutes_max: u32,
    /// Counts and attributions in detection whose minute has not closed; over it series that
    /// `series_max` will not let in are refused before.
    pub waiting_max: u32,
}

impl Default for WrittenDetector {
    fn default() -> Self {
        WrittenDetector {
            profile: ProfileName::Default,
            budget_per_week: 1.0,
            budgets: Vec::new(),
            fixed_z: None,
        }
    }
}

impl Default for WrittenCounting {
    fn default() -> Self {
        WrittenCounting {
            bucket: None,
            lateness: Seconds(600),
            dedup_horizon: Seconds(1800),
            jump_max: Seconds(86_400),
            future_max: Seconds(300),
            read_calls: false,
            data_events: false,
            event_types_excluded: Vec::new(),
            rollups: Vec::new(),
        }
    }
}

impl Default for WrittenAttribution {
    fn default() -> Self {
        WrittenAttribution { values_max: 64 }
    }
}

impl Default for WrittenOutput {
    fn default() -> Self {
        WrittenOutput { extension: true }
    }
}

impl Default for WrittenInput {
    fn default() -> Self {
        WrittenInput {
            chunk_bytes: 128 << 10,
            open_files_max: 500,
        }
    }
}

impl Default for WrittenLimits {
    fn default() -> Self {
        WrittenLimits {
            series_max: 2_000_000,
            record_bytes_max: 16 << 20,
            key_bytes_max: 1024,
            value_bytes_max: 2048,
            nesting_max: 512,
            payload_bytes_max: 64 << 20,
            decompressed_bytes_max: 64 << 30,
            reject_bytes_max: 64 << 10,
            rejects_kept_max: 1000,
            dedup_entries_max: 4_000_000,
            pending_series_max: 4_000_000,
            pending_values_max: 4_000_000,
            pending_rows_max: 4_000_000,
            rates_rows_max: 1 << 30,
            kept_rates_bytes_max: 8 << 30,
            report_insights_max: 10_000,
            report_charts_max: 500,
            open_minutes_max: 64,
            waiting_max: 1_000_000,
        }
    }
}
