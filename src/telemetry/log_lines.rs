//! Counts the warnings and errors that are logged, as a layer below the filter of log lines.
//!
//! Logging starts before there is a registry of metrics, so the counts are plain numbers that
//! are shown later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How many warnings and errors were logged; a clone shares the counts.
#[derive(Clone, Debug, Default)]
pub struct LogLines(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    warnings: AtomicU64,
    errors: AtomicU64,
}

impl LogLines {
    pub fn warnings(&self) -> u64 {
        self.0.warnings.load(Ordering::Relaxed)
    }

    pub fn errors(&self) -> u64 {
        self.0.errors.load(Ordering::Relaxed)
    }
}

impl<S: Subscriber> Layer<S> for LogLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        match *event.metadata().level() {
            Level::WARN => &self.0.warnings,
            Level::ERROR => &self.0.errors,
            _ => return,
        }
        .fetch_add(1, Ordering::Relaxed);
    }
}
