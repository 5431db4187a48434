//! Telling the operator: log lines on standard error, metrics on a registry that is handed in,
//! and what the process has used.
//!
//! Standard output is data and never carries a log line. Counters of a run are plain values in
//! the rooms that count; this room only shows them.

mod log_lines;
mod logging;
#[cfg(feature = "kafka")]
pub mod metrics;
mod usage;

use std::fmt;
use std::io::{self, Write};

pub use log_lines::LogLines;
pub use logging::{LogFormat, LogSettings, Verbosity, start_logging};
#[cfg(feature = "kafka")]
pub use metrics::{Metrics, MetricsSettings};
pub use usage::cpu_seconds;

/// Says one line on standard error. A standard error that takes nothing is no failure: the data
/// goes another way.
pub fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
