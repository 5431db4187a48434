//! Log lines: which are wanted and what they look like.
//!
//! A command that a person watches logs briefly, without times. A service logs with times, as
//! text or as one JSON object a line, because somebody reads it later.

use std::io;
use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::LogLines;

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

/// What a log line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Level and message, for a person who watches.
    Brief,
    /// The same behind the time, in UTC.
    Text,
    /// One JSON object a line: `timestamp`, `level`, `message`, the fields, `target`.
    Json,
}

/// How to log.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings<'a> {
    pub verbosity: Verbosity,
    /// The value of `INSIGHTD_LOG`; it overrides `verbosity` unless it cannot be read.
    pub filter: Option<&'a str>,
    pub format: LogFormat,
}

/// Sends log lines to standard error from here on, and returns their counts. Later calls change
/// nothing, and their counts stay at 0.
pub fn start_logging(settings: LogSettings<'_>) -> LogLines {
    let lines = LogLines::default();
    let has_colours = io::stderr().is_terminal();
    // An error here means that a test has set its own subscriber, which may stay.
    let _ = subscriber(settings, lines.clone(), has_colours, io::stderr).try_init();
    lines
}

fn subscriber<W>(
    settings: LogSettings<'_>,
    lines: LogLines,
    has_colours: bool,
    writer: W,
) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::registry()
        .with(filter(settings))
        .with(lines)
        .with(layer(settings.format, has_colours, writer))
}

fn filter(settings: LogSettings<'_>) -> EnvFilter {
    let default = match settings.verbosity {
        Verbosity::Quiet => "error",
        Verbosity::Normal => "warn",
        Verbosity::Verbose => "info",
    };
    let wanted = settings.filter.unwrap_or(default);
    EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new(default))
}

fn layer<S, W>(
    format: LogFormat,
    has_colours: bool,
    writer: W,
) -> Box<dyn Layer<S> + Send + Sync + 'static>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer()
        .with_writer(writer)
        .with_ansi(has_colours)
        .log_internal_errors(false);
    match format {
        LogFormat::Brief => layer.with_target(false).without_time().compact().boxed(),
        LogFormat::Text => layer.with_target(false).compact().boxed(),
        LogFormat::Json => layer
            .json()
            .with_ansi(false)
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing::{debug, error, info, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            written.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged of one line of every level, and the counts of warnings and errors.
    fn logged(settings: LogSettings<'_>) -> (Vec<String>, [u64; 2]) {
        let (paper, lines) = (Paper::default(), LogLines::default());
        let writer = paper.clone();
        let subscriber = subscriber(settings, lines.clone(), false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            debug!("a detail");
            info!(partition = 3, "a change");
            warn!(topic = "audit", "an oddity");
            warn!("another");
            error!("a failure");
        });
        let written = paper.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&written);
        let shown = text.lines().map(|line| line.trim().to_owned()).collect();
        (shown, [lines.warnings(), lines.errors()])
    }

    fn check(verbosity: Verbosity, filter: Option<&str>, shown: &[&str], counts: [u64; 2]) {
        let settings = LogSettings {
            verbosity,
            filter,
            format: LogFormat::Brief,
        };
        assert_eq!(
            logged(settings),
            (shown.iter().map(|s| s.to_string()).collect(), counts),
            "{verbosity:?} {filter:?}"
        );
    }

    #[test]
    fn verbosity_decides_unless_there_is_a_filter() {
        let error = "ERROR a failure";
        let oddity = "WARN an oddity topic=\"audit\"";
        let normal = [oddity, "WARN another", error];
        let verbose = ["INFO a change partition=3", oddity, "WARN another", error];
        check(Verbosity::Quiet, None, &[error], [0, 1]);
        check(Verbosity::Normal, None, &normal, [2, 1]);
        check(Verbosity::Verbose, None, &verbose, [2, 1]);
        check(Verbosity::Verbose, Some("error"), &[error], [0, 1]);
        check(Verbosity::Normal, Some("in=va=lid"), &normal, [2, 1]);
    }

    #[test]
    fn text_for_a_service_has_times() {
        let (shown, _) = logged(LogSettings {
            verbosity: Verbosity::Quiet,
            filter: None,
            format: LogFormat::Text,
        });
        assert_eq!(shown.len(), 1, "{shown:?}");
        let (time, line) = shown[0].split_once(' ').expect("a time before the line");
        assert_eq!(line.trim(), "ERROR a failure");
        let time: Result<jiff::Timestamp, _> = time.parse();
        assert!(time.is_ok(), "{time:?}");
    }

    #[test]
    fn json_has_times_and_fields() {
        let (shown, counts) = logged(LogSettings {
            verbosity: Verbosity::Normal,
            filter: None,
            format: LogFormat::Json,
        });
        assert_eq!((shown.len(), counts), (3, [2, 1]), "{shown:?}");
        let mut line: serde_json::Value = serde_json::from_str(&shown[0]).expect("JSON");
        let time = line["timestamp"].take();
        let time: Result<jiff::Timestamp, _> = time.as_str().unwrap_or_default().parse();
        assert!(time.is_ok(), "{time:?}");
        let expected = serde_json::json!({
            "timestamp": null,
            "level": "WARN",
            "message": "an oddity",
            "topic": "audit",
            "target": "insightd::telemetry::logging::tests",
        });
        assert_eq!(line, expected);
    }
}
