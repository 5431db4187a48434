//! Lines as messages of a topic: what a load generator writes to.
//!
//! Each line is one message without its line break and without a key, so the client spreads them
//! over the partitions, a batch at a time. A rate, if there is one, is kept by waiting.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use memchr::memchr;
use rdkafka::error::KafkaResult;

use super::kafka::{OutgoingRecord, PlainProducer};

/// Gathers bytes into lines and sends them.
pub struct KafkaLines {
    producer: PlainProducer,
    topic: String,
    /// A line that is not complete.
    open: Vec<u8>,
    lines: u64,
    per_second: Option<u32>,
    started: Instant,
}

impl KafkaLines {
    /// Sends to `topic`, at most `per_second` lines a second.
    pub fn begin(
        properties: &BTreeMap<String, String>,
        topic: &str,
        per_second: Option<u32>,
    ) -> KafkaResult<Self> {
        let mut properties = properties.clone();
        properties
            .entry("linger.ms".to_string())
            .or_insert_with(|| "20".to_string());
        Ok(KafkaLines {
            producer: PlainProducer::begin(&properties)?,
            topic: topic.to_string(),
            open: Vec::new(),
            lines: 0,
            per_second,
            started: Instant::now(),
        })
    }

    pub fn lines(&self) -> u64 {
        self.lines
    }

    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(per_second) = self.per_second {
            let due = Duration::from_secs_f64(self.lines as f64 / f64::from(per_second));
            while let Some(wait) = due.checked_sub(self.started.elapsed()) {
                std::thread::park_timeout(wait);
            }
        }
        self.lines += 1;
        let record = OutgoingRecord {
            topic: &self.topic,
            partition: None,
            key: None,
            value: line,
            headers: Vec::new(),
        };
        self.producer.send(&record).map_err(io::Error::other)
    }
}

impl Write for KafkaLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = memchr(b'\n', rest) {
            if self.open.is_empty() {
                self.send(&rest[..end])?;
            } else {
                let mut line = std::mem::take(&mut self.open);
                line.extend_from_slice(&rest[..end]);
                self.send(&line)?;
            }
            rest = &rest[end + 1..];
        }
        self.open.extend_from_slice(rest);
        Ok(bytes.len())
    }

    /// Waits until everything is with the brokers.
    fn flush(&mut self) -> io::Result<()> {
        self.producer.flush().map_err(io::Error::other)
    }
}
