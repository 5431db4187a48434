//! Outputs as records of the output topic, in the form of CloudEvents' Kafka binding, binary mode;
//! and dead letters.

use crate::model::Edge;
use crate::protocol::{DeadLetter, OutputContent, OutputRecord};
use crate::sink::kafka::OutgoingRecord;

/// Key of a record: what joins the two ends of an incident.
pub fn key_of(output: &OutputRecord) -> String {
    match &output.content {
        OutputContent::Insight(event) => event.shared_event_id.to_string(),
        OutputContent::PipelineSilent { .. } => "pipeline_silent".to_string(),
    }
}

/// The record of an output.
pub fn outgoing<'a>(
    output: &'a OutputRecord,
    key: &'a str,
    topic: &'a str,
    group: &str,
) -> OutgoingRecord<'a> {
    let (id, kind, time, subject) = match &output.content {
        OutputContent::Insight(event) => (
            event.event_id.to_string(),
            match event.edge {
                Edge::Start => "insightd.insight.start",
                Edge::End => "insightd.insight.end",
            },
            event.decided_at,
            event.series.to_string(),
        ),
        OutputContent::PipelineSilent { since } => (
            format!("pipeline-silent-{}", since.0),
            "insightd.pipeline_silent",
            *since,
            String::new(),
        ),
    };
    let mut headers = vec![
        ("ce_specversion", "1.0".to_string()),
        ("ce_id", id),
        ("ce_source", format!("/insightd/{group}")),
        ("ce_type", kind.to_string()),
        ("ce_time", time.to_string()),
        ("content-type", "application/json".to_string()),
        ("ce_partitionkey", key.to_string()),
        ("insightd_partition", output.partition.to_string()),
        ("insightd_offset", output.offset.to_string()),
        ("insightd_ordinal", output.ordinal.to_string()),
    ];
    if !subject.is_empty() {
        headers.push(("ce_subject", subject));
    }
    OutgoingRecord {
        topic,
        partition: None,
        key: Some(key.as_bytes()),
        value: &output.value,
        headers,
    }
}

/// A dead letter, with headers after Kafka Connect's.
pub fn dead_letter<'a>(topic: &'a str, letter: &'a DeadLetter) -> OutgoingRecord<'a> {
    OutgoingRecord {
        topic,
        partition: None,
        key: None,
        value: &letter.record,
        headers: vec![
            ("insightd.errors.stage", "ingest".to_string()),
            ("insightd.errors.topic", letter.topic.clone()),
            ("insightd.errors.partition", letter.partition.to_string()),
            ("insightd.errors.offset", letter.offset.to_string()),
            ("insightd.errors.reason", letter.reason.to_string()),
            ("insightd.errors.exception.message", letter.detail.clone()),
            (
                "insightd.errors.version",
                env!("CARGO_PKG_VERSION").to_string(),
            ),
        ],
    }
}
