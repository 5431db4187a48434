//! The settings of the service as checked.
//!
//! What librdkafka is told stands here as a plain map, so that which of its properties are ours and
//! which are the user's is decided in one place. Files with secrets are named, not read.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::service_written::{
    AllSilent, Mechanism, OnGap, Role, SecurityProtocol, Start, WrittenKafka, WrittenSecurity,
};
use super::{Seconds, Secret, WrittenSettings};

/// A key with what is wrong with its value.
type Problem = (String, String);

/// Settings of `insightd run`.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    pub role: Role,
    pub kafka: KafkaSettings,
    pub ingest: IngestStageSettings,
    pub silence: SilenceSettings,
    pub checkpoint: CheckpointSettings,
    pub http: HttpSettings,
}

/// Brokers, topics and groups.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// What every client is told, secrets in files aside.
    pub properties: BTreeMap<String, String>,
    /// The password, if it was written down.
    pub password: Option<Secret>,
    pub password_file: Option<String>,
    pub key_password_file: Option<String>,
    pub input_topics: Vec<String>,
    pub format: String,
    pub group: String,
    pub start: Start,
    pub instance: Option<String>,
    pub rates_topic: String,
    pub rates_partitions: u32,
    pub rates_retention_seconds: u64,
    pub coordination_topic: String,
    pub output_topic: String,
    pub dead_letter_topic: String,
    /// Replicas of topics that are created; `None` is the broker's default.
    pub replication: Option<u32>,
    pub session_timeout_seconds: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct IngestStageSettings {
    pub ahead_max_seconds: u64,
    pub commit_interval_seconds: u64,
    pub commit_bytes_max: u64,
    pub threads: u32,
    pub idle_probe_seconds: u64,
    pub future_max_seconds: u64,
    pub retire_after_seconds: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct SilenceSettings {
    pub delivery_delay_seconds: u64,
}

#[derive(Clone, Debug)]
pub struct CheckpointSettings {
    pub path: String,
    pub interval_seconds: u64,
    pub keep: u32,
    pub on_gap: OnGap,
}

#[derive(Clone, Copy, Debug)]
pub struct HttpSettings {
    pub listen: SocketAddr,
    pub partition_metrics: bool,
}

/// Properties that exactly-once rests on, or that have a key of their own, and why or which.
const OURS: [(&str, &str); 26] = [
    ("bootstrap.servers", "use kafka.brokers"),
    ("metadata.broker.list", "use kafka.brokers"),
    ("group.id", "use kafka.group"),
    (
        "group.protocol",
        "the classic protocol fences what exactly-once relies on",
    ),
    ("group.instance.id", "members of the groups are not static"),
    ("session.timeout.ms", "use kafka.session_timeout"),
    ("transactional.id", "use kafka.instance"),
    ("enable.idempotence", "exactly-once needs it on"),
    ("enable.gapless.guarantee", "exactly-once needs it as it is"),
    ("acks", "exactly-once needs all replicas"),
    ("request.required.acks", "exactly-once needs all replicas"),
    ("max.in.flight", "exactly-once needs it as it is"),
    (
        "max.in.flight.requests.per.connection",
        "exactly-once needs it as it is",
    ),
    (
        "enable.auto.commit",
        "positions are committed with what was made of them",
    ),
    (
        "enable.auto.offset.store",
        "positions are committed with what was made of them",
    ),
    ("auto.offset.reset", "use kafka.start"),
    ("isolation.level", "uncommitted records must not be read"),
    (
        "partition.assignment.strategy",
        "the service relies on cooperative-sticky",
    ),
    ("enable.partition.eof", "silence is proven with it"),
    (
        "partitioner",
        "series stay together by the service's own rule",
    ),
    ("security.protocol", "use kafka.security.protocol"),
    ("sasl.mechanism", "use kafka.security.mechanism"),
    ("sasl.mechanisms", "use kafka.security.mechanism"),
    ("sasl.username", "use kafka.security.username"),
    ("sasl.password", "use kafka.security.password_file"),
    ("message.copy.max.bytes", "it changes nothing here"),
];

impl ServiceSettings {
    pub fn check(written: &WrittenSettings) -> Result<Self, Problem> {
        check_spans(written)?;
        let http = &written.http;
        let listen = http.listen.parse().map_err(|_| {
            let text = format!(
                "`{}` is not ADDRESS:PORT, for example 0.0.0.0:9469",
                http.listen
            );
            problem("http.listen", text)
        })?;
        let checkpoint = &written.checkpoint;
        if checkpoint.path.is_empty() {
            return Err(problem("checkpoint.path", "write a directory"));
        }
        if !(1..=1000).contains(&checkpoint.keep) {
            let text = format!("{} is not between 1 and 1000", checkpoint.keep);
            return Err(problem("checkpoint.keep", text));
        }
        let ingest = &written.ingest;
        if !(1..=64).contains(&ingest.threads) {
            let text = format!("{} is not between 1 and 64", ingest.threads);
            return Err(problem("ingest.threads", text));
        }
        if !((64 << 10)..=(4 << 30)).contains(&ingest.commit_bytes_max) {
            let text = format!("{} is not between 65536 and 4 GiB", ingest.commit_bytes_max);
            return Err(problem("ingest.commit_bytes_max", text));
        }
        Ok(ServiceSettings {
            role: written.role,
            kafka: kafka_settings(&written.kafka)?,
            ingest: IngestStageSettings {
                ahead_max_seconds: ingest.ahead_max.0,
                commit_interval_seconds: ingest.commit_interval.0,
                commit_bytes_max: ingest.commit_bytes_max,
                threads: ingest.threads,
                idle_probe_seconds: ingest.idle_probe.0,
                future_max_seconds: written.counting.future_max.0,
                retire_after_seconds: ingest.retire_after.0,
            },
            silence: SilenceSettings {
                delivery_delay_seconds: written.silence.delivery_delay.0,
            },
            checkpoint: CheckpointSettings {
                path: checkpoint.path.clone(),
                interval_seconds: checkpoint.interval.0,
                keep: checkpoint.keep,
                on_gap: checkpoint.on_gap,
            },
            http: HttpSettings {
                listen,
                partition_metrics: http.partition_metrics,
            },
        })
    }

    /// What `insightd run` needs of these beyond settings that are right by themselves.
    pub(super) fn check_to_run(&self) -> Result<(), Problem> {
        if self.role != Role::Detect && self.kafka.input_topics.is_empty() {
            let text = "name the topics that hold audit events, for example [\"cloudtrail\"]";
            return Err(problem("kafka.input_topics", text));
        }
        Ok(())
    }
}

/// Whether drops are withheld while all sources are silent.
pub(super) fn holds_drops(written: &WrittenSettings) -> bool {
    written.silence.all == AllSilent::Hold
}

fn check_spans(written: &WrittenSettings) -> Result<(), Problem> {
    let day = 86_400;
    let (ingest, silence) = (&written.ingest, &written.silence);
    for (key, span, from, to) in [
        ("ingest.ahead_max", ingest.ahead_max, 60, 366 * day),
        ("ingest.commit_interval", ingest.commit_interval, 1, 60),
        ("ingest.idle_probe", ingest.idle_probe, 1, 3600),
        ("ingest.retire_after", ingest.retire_after, 10, 366 * day),
        (
            "silence.delivery_delay",
            silence.delivery_delay,
            0,
            36_600 * day,
        ),
        ("checkpoint.interval", written.checkpoint.interval, 1, day),
        (
            "kafka.rates_retention",
            written.kafka.rates_retention,
            3600,
            36_600 * day,
        ),
        (
            "kafka.session_timeout",
            written.kafka.session_timeout,
            1,
            3600,
        ),
    ] {
        if !(from..=to).contains(&span.0) {
            let text = format!(
                "{span} is not between {} and {}",
                Seconds(from),
                Seconds(to)
            );
            return Err(problem(key, text));
        }
    }
    Ok(())
}

fn kafka_settings(written: &WrittenKafka) -> Result<KafkaSettings, Problem> {
    if written.brokers.0.is_empty() {
        return Err(problem("kafka.brokers", "name at least one HOST:PORT"));
    }
    if !(1..=1024).contains(&written.rates_partitions) || 1024 % written.rates_partitions != 0 {
        let text = format!(
            "{} does not divide 1024, the number of shards; use 1, 2, 4 ... 1024",
            written.rates_partitions
        );
        return Err(problem("kafka.rates_partitions", text));
    }
    check_names(written)?;
    Ok(KafkaSettings {
        properties: client_properties(written)?,
        password: written.security.password.clone(),
        password_file: written.security.password_file.clone(),
        key_password_file: written.security.key_password_file.clone(),
        input_topics: written.input_topics.0.clone(),
        format: written.format.clone(),
        group: written.group.clone(),
        start: written.start,
        instance: written.instance.clone(),
        rates_topic: written.rates_topic.clone(),
        rates_partitions: written.rates_partitions,
        rates_retention_seconds: written.rates_retention.0,
        coordination_topic: written.coordination_topic.clone(),
        output_topic: written.output_topic.clone(),
        dead_letter_topic: written.dead_letter_topic.clone(),
        replication: (written.replication > 0).then_some(written.replication),
        session_timeout_seconds: written.session_timeout.0,
    })
}

/// Topics are different and have names that Kafka takes.
fn check_names(written: &WrittenKafka) -> Result<(), Problem> {
    let mut topics: Vec<(&str, &str)> = vec![
        ("kafka.rates_topic", &written.rates_topic),
        ("kafka.coordination_topic", &written.coordination_topic),
        ("kafka.output_topic", &written.output_topic),
        ("kafka.dead_letter_topic", &written.dead_letter_topic),
    ];
    let inputs = written.input_topics.0.iter();
    topics.extend(inputs.map(|topic| ("kafka.input_topics", topic.as_str())));
    let is_taken = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    for (index, (key, topic)) in topics.iter().enumerate() {
        if topic.is_empty() || topic.len() > 249 || !topic.chars().all(is_taken) {
            let text = format!("`{topic}` is no name of a topic: letters, digits, . _ and -");
            return Err(problem(key, text));
        }
        if let Some((other, _)) = topics[..index].iter().find(|(_, before)| before == topic) {
            let text = format!("`{topic}` is named by {other} as well; they must differ");
            return Err(problem(key, text));
        }
    }
    if written.group.is_empty() {
        return Err(problem("kafka.group", "write a name"));
    }
    Ok(())
}

/// What every client is told.
fn client_properties(written: &WrittenKafka) -> Result<BTreeMap<String, String>, Problem> {
    let mut properties = BTreeMap::new();
    for (name, value) in &written.properties {
        if let Some((_, reason)) = OURS.iter().find(|(ours, _)| ours == name) {
            let text = format!("it is not yours to set: {reason}; remove it");
            return Err(problem(&format!("kafka.properties.{name}"), text));
        }
        properties.insert(name.clone(), value.0.clone());
    }
    let mut set = |name: &str, value: &str| {
        properties.insert(name.to_string(), value.to_string());
    };
    set("bootstrap.servers", &written.brokers.0.join(","));
    let security = &written.security;
    set("security.protocol", protocol_name(security.protocol));
    for (name, value) in [
        ("ssl.ca.location", &security.ca),
        ("ssl.certificate.location", &security.certificate),
        ("ssl.key.location", &security.key),
    ] {
        if let Some(value) = value {
            set(name, value);
        }
    }
    if is_sasl(security.protocol) {
        let Some(username) = &security.username else {
            let text = "SASL needs a user: set it, and password_file or password";
            return Err(problem("kafka.security.username", text));
        };
        set("sasl.username", username);
        set("sasl.mechanisms", mechanism_name(security.mechanism));
    }
    check_security(security)?;
    Ok(properties)
}

fn check_security(security: &WrittenSecurity) -> Result<(), Problem> {
    let is_sasl = is_sasl(security.protocol);
    let has_password = security.password.is_some() || security.password_file.is_some();
    if is_sasl && !has_password {
        let text = "SASL needs a password: a file here, or the environment variable \
                    INSIGHTD_KAFKA__SECURITY__PASSWORD";
        return Err(problem("kafka.security.password_file", text));
    }
    if security.password.is_some() && security.password_file.is_some() {
        let text = "there is a password as well; keep one of them";
        return Err(problem("kafka.security.password_file", text));
    }
    if !is_sasl && (security.username.is_some() || has_password) {
        let text = "a user needs protocol \"sasl_ssl\" or \"sasl_plaintext\"";
        return Err(problem("kafka.security.protocol", text));
    }
    if security.certificate.is_some() != security.key.is_some() {
        let text = "a certificate needs its key, and a key its certificate";
        return Err(problem("kafka.security.certificate", text));
    }
    let is_tls = matches!(
        security.protocol,
        SecurityProtocol::Ssl | SecurityProtocol::SaslSsl
    );
    if !is_tls && (security.ca.is_some() || security.certificate.is_some()) {
        let text = "certificates need protocol \"ssl\" or \"sasl_ssl\"";
        return Err(problem("kafka.security.protocol", text));
    }
    Ok(())
}

fn is_sasl(protocol: SecurityProtocol) -> bool {
    matches!(
        protocol,
        SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl
    )
}

fn protocol_name(protocol: SecurityProtocol) -> &'static str {
    match protocol {
        SecurityProtocol::Plaintext => "plaintext",
        SecurityProtocol::Ssl => "ssl",
        SecurityProtocol::SaslPlaintext => "sasl_plaintext",
        SecurityProtocol::SaslSsl => "sasl_ssl",
    }
}

fn mechanism_name(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => "PLAIN",
        Mechanism::ScramSha256 => "SCRAM-SHA-256",
        Mechanism::ScramSha512 => "SCRAM-SHA-512",
    }
}

fn problem(key: &str, text: impl Into<String>) -> Problem {
    (key.to_string(), text.into())
}
