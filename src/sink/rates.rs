//! Counts as CSV, as ingest made them: input for a later `--format rates`.

use super::{SinkError, Target};
use crate::formats::{RATES_HEADER, write_rates};
use crate::model::Rates;

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// Writes every batch of rates.
pub struct RatesSink {
    target: Target,
    buffer: Vec<u8>,
}

impl RatesSink {
    /// Writes the header.
    pub fn new(target: Target) -> Self {
        RatesSink {
            target,
            buffer: RATES_HEADER.as_bytes().to_vec(),
        }
    }

    pub fn write(&mut self, rates: &Rates) -> Result<(), SinkError> {
        write_rates(rates, &mut self.buffer);
        if self.buffer.len() < BUFFER_BYTES {
            return Ok(());
        }
        self.target.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.target.write(&self.buffer)?;
        self.buffer.clear();
        self.target.flush()
    }
}
