//! Insight records, one line of JSON each.

use super::{SinkError, Target};
use crate::formats::{RecordContext, write_insight};
use crate::model::{InsightEvent, Minute};

/// Writes insights decided from a minute on.
pub struct InsightSink {
    target: Target,
    context: RecordContext,
    from: Minute,
    line: Vec<u8>,
    written: u64,
}

impl InsightSink {
    /// Insights decided before `from` are history and are not written.
    pub fn new(target: Target, context: RecordContext, from: Option<Minute>) -> Self {
        InsightSink {
            target,
            context,
            from: from.unwrap_or_default(),
            line: Vec::new(),
            written: 0,
        }
    }

    /// Whether this insight is among those to write.
    pub fn wants(&self, event: &InsightEvent) -> bool {
        event.decided_at >= self.from
    }

    /// Writes all it is given, wanted or not. Insights are rare and somebody may be waiting for
    /// them, so they are not held back.
    pub fn write(&mut self, events: &[InsightEvent]) -> Result<(), SinkError> {
        self.line.clear();
        for event in events {
            write_insight(event, &self.context, &mut self.line);
            self.written += 1;
        }
        if self.line.is_empty() {
            return Ok(());
        }
        self.target.write(&self.line)?;
        self.target.flush()
    }

    pub fn written(&self) -> u64 {
        self.written
    }

    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.target.flush()
    }
}
