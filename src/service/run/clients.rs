//! What all Kafka clients of the service share: properties with their secrets, and errors put so
//! that people know what to do.

use std::collections::BTreeMap;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::RunError;
use crate::config::KafkaSettings;

/// Properties of every client, secrets in files included.
pub fn client_properties(kafka: &KafkaSettings) -> Result<BTreeMap<String, String>, RunError> {
    let mut properties = kafka.properties.clone();
    if let Some(password) = &kafka.password {
        properties.insert("sasl.password".to_string(), password.expose().to_string());
    }
    for (file, key, name) in [
        (
            &kafka.password_file,
            "kafka.security.password_file",
            "sasl.password",
        ),
        (
            &kafka.key_password_file,
            "kafka.security.key_password_file",
            "ssl.key.password",
        ),
    ] {
        let Some(file) = file else { continue };
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| RunError::Config {
            key: key.to_string(),
            problem: format!("{file} cannot be read: {error}"),
        })?;
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        properties.insert(name.to_string(), secret.to_string());
    }
    for name in [
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
    ] {
        if let Some(file) = properties.get(name)
            && let Err(error) = std::fs::File::open(file)
        {
            let key = match name {
                "ssl.ca.location" => "kafka.security.ca",
                "ssl.certificate.location" => "kafka.security.certificate",
                _ => "kafka.security.key",
            };
            return Err(RunError::Config {
                key: key.to_string(),
                problem: format!("{file} cannot be read: {error}"),
            });
        }
    }
    Ok(properties)
}

/// An error of the brokers, with what to do about it; `reason` is what the client said last.
pub fn explain(doing: &str, error: &KafkaError, reason: Option<&str>) -> String {
    let said = reason.map_or_else(|| error.to_string(), str::to_string);
    let lower = said.to_lowercase();
    let known = SAID.iter().find(|(part, _)| lower.contains(part));
    let advice = known.map_or_else(|| advice_for(error), |(_, advice)| advice);
    format!("{doing}: {said}; {advice}")
}

/// What the client or a broker may say, in small letters, and what to do about it.
const SAID: [(&str, &str); 12] = [
    (
        "certificate verify failed",
        "the broker's certificate is not signed by an authority in kafka.security.ca",
    ),
    (
        "self-signed",
        "the broker's certificate is not signed by an authority in kafka.security.ca",
    ),
    (
        "certificate required",
        "the broker wants a certificate of this client: set kafka.security.certificate and key",
    ),
    (
        "bad certificate",
        "the broker wants a certificate of this client: set kafka.security.certificate and key",
    ),
    (
        "certificate unknown",
        "the broker does not trust this client's certificate: check kafka.security.certificate",
    ),
    (
        "unsupported sasl mechanism",
        "set kafka.security.mechanism to one that the broker has",
    ),
    (
        "not valid in current sasl state",
        "the listener wants no password: check kafka.security.protocol and the port",
    ),
    ("authentication fail", CREDENTIALS),
    ("invalid credentials", CREDENTIALS),
    ("invalid username", CREDENTIALS),
    ("ssl handshake", LISTENER),
    ("disconnected while requesting", LISTENER),
];
const CREDENTIALS: &str =
    "check kafka.security.username, the password and kafka.security.mechanism";
const LISTENER: &str = "the broker's listener may speak another protocol: check \
     kafka.security.protocol and the port in kafka.brokers";

fn advice_for(error: &KafkaError) -> &'static str {
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    match code {
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            "grant this user Read, Write and Describe on the topic, and Create if it is to be made"
        }
        Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {
            "grant this user Read on groups that begin with kafka.group"
        }
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
            "grant this user Write and Describe on transactional ids that begin with kafka.group"
        }
        Some(RDKafkaErrorCode::ClusterAuthorizationFailed) => {
            "grant this user IdempotentWrite on the cluster, and Create if topics are to be made"
        }
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            "make the topic, or correct its name"
        }
        Some(RDKafkaErrorCode::PolicyViolation | RDKafkaErrorCode::InvalidReplicationFactor) => {
            "set kafka.replication to what the cluster allows"
        }
        _ => {
            "check kafka.brokers and that a broker runs and can be reached there; check \
             kafka.security.protocol: a listener with TLS or passwords does not say that it is \
             one"
        }
    }
}
