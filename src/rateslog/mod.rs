//! The rates log: the ordered log of Rates and Progress between ingest and detect.
//!
//! One trait, one file per kind: in memory for replay, a directory of checksummed append-only
//! segments for one machine. The bytes of a record are `formats::rates_record`'s business.

#[cfg(feature = "kafka")]
pub mod kafka;
mod memory;
mod segment_file;
mod segments;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::LogRecord;
pub use memory::MemoryLog;
pub use segments::{SegmentSettings, SegmentsLog, SyncPolicy};

/// A place between two records of a log. Later places compare greater; nothing else may be
/// read out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// What goes wrong with a rates log.
#[derive(Debug, Error)]
pub enum RatesLogError {
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}: corrupt at byte {offset}: {reason}")]
    Corrupt {
        path: PathBuf,
        offset: u64,
        reason: String,
    },
    #[error("{path}: in use by another process")]
    Locked { path: PathBuf },
    #[error("the rates log holds nothing at position {0:?} any more")]
    Forgotten(Position),
    #[error("{0:?} is not a position of this rates log")]
    NoSuchPosition(Position),
    #[error("a record of {bytes} bytes is longer than a segment may be")]
    RecordTooLong { bytes: usize },
}

/// The ordered log of Rates and Progress.
pub trait RatesLog {
    /// Appends a record and returns the position after it.
    fn append(&mut self, record: LogRecord) -> Result<Position, RatesLogError>;

    /// Calls `visit` with every record from `from` on and the position after it, until it says
    /// `Break` or the log ends. Returns the position after the last record visited.
    fn read(
        &mut self,
        from: Position,
        visit: &mut dyn FnMut(Position, &LogRecord) -> ControlFlow<()>,
    ) -> Result<Position, RatesLogError>;

    /// Position of the oldest record kept.
    fn start(&self) -> Position;

    /// Position after the newest record.
    fn end(&self) -> Position;

    /// Makes everything appended so far durable.
    fn sync(&mut self) -> Result<(), RatesLogError>;

    /// Nobody will read before `position` again: a log in memory forgets what lies before.
    fn release(&mut self, position: Position);
}

fn io_error(path: &Path, source: io::Error) -> RatesLogError {
    RatesLogError::Io {
        path: path.to_path_buf(),
        source,
    }
}
