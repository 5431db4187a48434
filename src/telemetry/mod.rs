//! Telling the operator: log lines on standard error, and what the process has used.
//!
//! Standard output is data and never carries a log line. Counters of a run are plain values in
//! the rooms that count; this room only prints.

mod usage;

use std::fmt;
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

pub use usage::cpu_seconds;

/// Which log lines are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// Warnings and errors.
    Normal,
    /// Changes of state as well.
    Verbose,
}

/// Says one line on standard error. A standard error that takes nothing is no failure: the data
/// goes another way.
pub fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Sends log lines to standard error; `filter` (the value of `INSIGHTD_LOG`) overrides
/// `verbosity`. Later calls change nothing.
pub fn start_logging(verbosity: Verbosity, filter: Option<&str>) {
    let default = match verbosity {
        Verbosity::Quiet => "error",
        Verbosity::Normal => "warn",
        Verbosity::Verbose => "info",
    };
    let filter = filter.unwrap_or(default);
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(default));
    // An error here means that a test has set its own subscriber, which may stay.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_target(false)
        .without_time()
        .compact()
        .try_init();
}
