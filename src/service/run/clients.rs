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
    let advice = if lower.contains("certificate verify failed") || lower.contains("self-signed") {
        "the broker's certificate is not signed by an authority in kafka.security.ca"
    } else if lower.contains("certificate required") || lower.contains("bad certificate") {
        "the broker wants a certificate of this client: set kafka.security.certificate and key"
    } else if lower.contains("authentication fail") || lower.contains("invalid credentials") {
        "check kafka.security.username, the password and the mechanism"
    } else if lower.contains("ssl handshake") || lower.contains("disconnected while requesting") {
        "the broker's listener may speak another protocol: check kafka.security.protocol and the \
         port in kafka.brokers"
    } else {
        advice_for(error)
    };
    format!("{doing}: {said}; {advice}")
}

fn advice_for(error: &KafkaError) -> &'static str {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            "grant this user Read, Write and Describe on the topic"
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
        _ => "check kafka.brokers and that a broker runs and can be reached there",
    }
}
