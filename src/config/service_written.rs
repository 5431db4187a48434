//! The settings of the service as they are written: Kafka, checkpoints, silence, HTTP, logs.
//!
//! As in `written`, the comments become the descriptions in `insightd config schema`. Secrets are
//! values of their own type, which never shows what it holds.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Seconds;

/// What an instance of the service does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Both stages.
    #[default]
    All,
    /// Counts events.
    Ingest,
    /// Judges counts.
    Detect,
}

/// Brokers, topics and groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenKafka {
    /// Brokers to begin with, HOST:PORT each.
    pub brokers: Names,
    /// Topics with audit events; never created.
    pub input_topics: Names,
    /// What the messages of the input topics hold: auto, cloudtrail, or the name of a mapping.
    pub format: String,
    /// Beginning of the names of consumer groups and transactional ids.
    pub group: String,
    /// Where a new group begins: "earliest" or "latest".
    pub start: Start,
    /// Name of this instance, unlike that of any other and the same after a restart; unset, one is
    /// made up at every start, and after a crash its last transaction holds readers up until it
    /// times out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The rates log; created when absent.
    pub rates_topic: String,
    /// Partitions of the rates log; fixed for its life.
    pub rates_partitions: u32,
    /// How long the rates log is kept, when it is created.
    pub rates_retention: Seconds,
    /// What instances agree on; created when absent, with one partition.
    pub coordination_topic: String,
    /// Insights; created when absent, with one partition.
    pub output_topic: String,
    /// Messages and records that could not be read; created when absent, with one partition.
    pub dead_letter_topic: String,
    /// Replicas of topics that are created; 0 is the broker's default.
    pub replication: u32,
    /// A member of a group that is not heard of for this long has left it.
    pub session_timeout: Seconds,
    pub security: WrittenSecurity,
    /// Passed on to librdkafka as they are; what correctness depends on is refused.
    #[serde(serialize_with = "write_properties")]
    pub properties: BTreeMap<String, Property>,
}

/// Encryption and identity towards the brokers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenSecurity {
    /// "plaintext", "ssl", "sasl_plaintext" or "sasl_ssl".
    pub protocol: SecurityProtocol,
    /// File with the certificates of the authorities that are trusted (PEM); unset, the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// File with the certificate that this client shows (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// File with the key of the certificate (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// File with the password of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_password_file: Option<String>,
    /// "PLAIN", "SCRAM-SHA-256" or "SCRAM-SHA-512".
    pub mechanism: Mechanism,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password; better in `password_file`, or the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// File with the password; one line break at its end does not belong to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecurityProtocol {
    #[default]
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    #[default]
    Earliest,
    Latest,
}

/// How the service counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenIngest {
    /// A source further ahead of the slowest is paused.
    pub ahead_max: Seconds,
    /// How often counts and positions are committed.
    pub commit_interval: Seconds,
    /// Bytes of messages after which they are committed in any case.
    pub commit_bytes_max: u64,
    /// Threads that read messages.
    pub threads: u32,
    /// How often a source that has nothing more is asked for its end.
    pub idle_probe: Seconds,
    /// How long after a source was last seen among the input topics time waits for it.
    pub retire_after: Seconds,
}

/// What silence means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenSilence {
    /// How long after it happened an event may arrive: a source that is proven idle is believed to
    /// be complete up to this long ago.
    pub delivery_delay: Seconds,
    /// When all sources are silent at once: "judge" drops as always, or "hold" them.
    pub all: AllSilent,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllSilent {
    #[default]
    Judge,
    Hold,
}

/// Detector state that is saved, so that a restart need not begin at the beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenCheckpoint {
    /// Directory, or s3://BUCKET/PREFIX in builds with feature "s3".
    pub path: String,
    /// How often each partition is saved.
    pub interval: Seconds,
    /// Checkpoints kept of each partition.
    pub keep: u32,
    /// When the rates log no longer holds what a partition needs: "gap" begins it anew, without
    /// insights until it has warmed up; "fail" stops.
    pub on_gap: OnGap,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnGap {
    #[default]
    Gap,
    Fail,
}

/// Metrics and health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenHttp {
    /// Address that is listened on; port 0 takes a free one and tells.
    pub listen: String,
    /// Metrics by topic and partition; false shows the worst of all.
    pub partition_metrics: bool,
}

/// Log lines of the service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenLog {
    /// "text" or "json".
    pub format: LogStyle,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogStyle {
    #[default]
    Text,
    Json,
}

/// Names, as a list or as one text with commas between them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(with = "NamesForm")]
pub struct Names(pub Vec<String>);

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum NamesForm {
    List(Vec<String>),
    Text(String),
}

/// A value of librdkafka's, as text; a number or a truth value may be written as such.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "PropertyForm")]
pub struct Property(pub String);

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum PropertyForm {
    Truth(bool),
    Number(i64),
    Text(String),
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Secret(String);

/// What is shown instead of a secret.
const HIDDEN: &str = "(hidden)";

impl Names {
    fn one(name: &str) -> Self {
        Names(vec![name.to_string()])
    }
}

impl Secret {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

/// A property may hold a secret (`ssl.key.password`), so its value is not shown where its name is
/// not known.
impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Writes properties; of those whose names speak of secrets, the names only.
fn write_properties<S: Serializer>(
    properties: &BTreeMap<String, Property>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    const SECRET: [&str; 5] = ["password", "secret", "pem", "token", "oauthbearer.config"];
    serializer.collect_map(properties.iter().map(|(name, value)| {
        let is_secret = SECRET.iter().any(|word| name.contains(word));
        (name, if is_secret { HIDDEN } else { value.0.as_str() })
    }))
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Names(match NamesForm::deserialize(deserializer)? {
            NamesForm::List(names) => names,
            NamesForm::Text(text) => text
                .split(',')
                .map(|name| name.trim().to_string())
                .filter(|name| !name.is_empty())
                .collect(),
        }))
    }
}

impl<'de> Deserialize<'de> for Property {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Property(match PropertyForm::deserialize(deserializer)? {
            PropertyForm::Truth(truth) => truth.to_string(),
            PropertyForm::Number(number) => number.to_string(),
            PropertyForm::Text(text) => text,
        }))
    }
}

impl Default for WrittenKafka {
    fn default() -> Self {
        WrittenKafka {
            brokers: Names::one("localhost:9092"),
            input_topics: Names::default(),
            format: "auto".to_string(),
            group: "insightd".to_string(),
            start: Start::default(),
            instance: None,
            rates_topic: "insightd-rates".to_string(),
            rates_partitions: 64,
            rates_retention: Seconds(8 * 86_400),
            coordination_topic: "insightd-coordination".to_string(),
            output_topic: "insightd-insights".to_string(),
            dead_letter_topic: "insightd-dead-letters".to_string(),
            replication: 0,
            session_timeout: Seconds(15),
            security: WrittenSecurity::default(),
            properties: BTreeMap::new(),
        }
    }
}

impl Default for WrittenIngest {
    fn default() -> Self {
        WrittenIngest {
            ahead_max: Seconds(3600),
            commit_interval: Seconds(1),
            commit_bytes_max: 64 << 20,
            threads: 1,
            idle_probe: Seconds(5),
            retire_after: Seconds(600),
        }
    }
}

impl Default for WrittenSilence {
    fn default() -> Self {
        WrittenSilence {
            delivery_delay: Seconds(900),
            all: AllSilent::default(),
        }
    }
}

impl Default for WrittenCheckpoint {
    fn default() -> Self {
        WrittenCheckpoint {
            path: "insightd-checkpoints".to_string(),
            interval: Seconds(60),
            keep: 3,
            on_gap: OnGap::default(),
        }
    }
}

impl Default for WrittenHttp {
    fn default() -> Self {
        WrittenHttp {
            listen: "127.0.0.1:9469".to_string(),
            partition_metrics: true,
        }
    }
}
