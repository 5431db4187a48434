//! Scores as CSV: one row for each evaluated series and minute.

use super::{SinkError, Target};
use crate::formats::{SCORES_HEADER, write_score_row};
use crate::model::{Minute, ScoreRow};

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// Writes the scores of minutes from a minute on.
pub struct ScoreSink {
    target: Target,
    from: Minute,
    buffer: Vec<u8>,
}

impl ScoreSink {
    /// Writes the header.
    pub fn new(target: Target, from: Option<Minute>) -> Self {
        ScoreSink {
            target,
            from: from.unwrap_or_default(),
            buffer: SCORES_HEADER.as_bytes().to_vec(),
        }
    }

    pub fn write(&mut self, rows: &[ScoreRow]) -> Result<(), SinkError> {
        for row in rows {
            if row.minute >= self.from {
                write_score_row(row, &mut self.buffer);
            }
            if self.buffer.len() >= BUFFER_BYTES {
                self.target.write(&self.buffer)?;
                self.buffer.clear();
            }
        }
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.target.write(&self.buffer)?;
        self.buffer.clear();
        self.target.flush()
    }
}
