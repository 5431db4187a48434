//! Rejected records as NDJSON: the reason, the place, and the record itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::{SinkError, Target};

/// A record that could not be used, and where it stands.
#[derive(Debug, Serialize)]
pub struct Rejected<'a> {
    pub reason: &'a str,
    pub file: &'a str,
    /// How many records of the file stand before it.
    #[serde(rename = "recordIndex", skip_serializing_if = "Option::is_none")]
    pub record_index: Option<u64>,
    /// Byte of the decompressed file at which its outermost value begins.
    #[serde(rename = "byteOffset", skip_serializing_if = "Option::is_none")]
    pub byte_offset: Option<u64>,
    pub detail: &'a str,
    #[serde(skip)]
    pub record: &'a [u8],
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    rejected: &'a Rejected<'a>,
    /// The record where it is UTF-8 text,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    /// else in base64.
    #[serde(rename = "recordBase64", skip_serializing_if = "Option::is_none")]
    record_base64: Option<String>,
}

/// Writes rejected records.
pub struct RejectSink {
    target: Target,
}

impl RejectSink {
    pub fn new(target: Target) -> Self {
        RejectSink { target }
    }

    pub fn write(&mut self, rejected: &Rejected<'_>) -> Result<(), SinkError> {
        let text = std::str::from_utf8(rejected.record).ok();
        let line = Line {
            rejected,
            record: text,
            record_base64: text.is_none().then(|| STANDARD.encode(rejected.record)),
        };
        let mut line = serde_json::to_vec(&line).expect("plain values become JSON");
        line.push(b'\n');
        self.target.write(&line)
    }

    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.target.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_bytes_become_base64() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rejects");
        let mut sink = RejectSink::new(Target::create(&path).unwrap());
        for (place, record) in [(Some(7), &b"{\"a\"\x00"[..]), (None, &b"\xff"[..])] {
            let rejected = Rejected {
                reason: "not_json",
                file: "f",
                record_index: place,
                byte_offset: place,
                detail: "why",
                record,
            };
            sink.write(&rejected).unwrap();
        }
        sink.flush().unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"reason\":\"not_json\",\"file\":\"f\",\"recordIndex\":7,\"byteOffset\":7,\
             \"detail\":\"why\",\"record\":\"{\\\"a\\\"\\u0000\"}\n\
             {\"reason\":\"not_json\",\"file\":\"f\",\
             \"detail\":\"why\",\"recordBase64\":\"/w==\"}\n"
        );
    }
}
