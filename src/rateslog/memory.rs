//! A rates log in memory, for replay: it forgets what was released.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::model::LogRecord;

use super::{Position, RatesLog, RatesLogError};

/// Records since the last release. Positions count records.
#[derive(Debug, Default)]
pub struct MemoryLog {
    records: VecDeque<LogRecord>,
    start: u64,
}

impl RatesLog for MemoryLog {
    fn append(&mut self, record: LogRecord) -> Result<Position, RatesLogError> {
        self.records.push_back(record);
        Ok(self.end())
    }

    fn read(
        &mut self,
        from: Position,
        visit: &mut dyn FnMut(Position, &LogRecord) -> ControlFlow<()>,
    ) -> Result<Position, RatesLogError> {
        if from < self.start() {
            return Err(RatesLogError::Forgotten(from));
        }
        if from > self.end() {
            return Err(RatesLogError::NoSuchPosition(from));
        }
        let mut position = from;
        for record in self.records.range((from.0 - self.start) as usize..) {
            position.0 += 1;
            if visit(position, record).is_break() {
                break;
            }
        }
        Ok(position)
    }

    fn start(&self) -> Position {
        Position(self.start)
    }

    fn end(&self) -> Position {
        Position(self.start + self.records.len() as u64)
    }

    fn sync(&mut self) -> Result<(), RatesLogError> {
        Ok(())
    }

    fn release(&mut self, position: Position) {
        let count = position.0.saturating_sub(self.start);
        let count = count.min(self.records.len() as u64);
        self.records.drain(..count as usize);
        self.start += count;
    }
}
