//! Which count would have started an incident at a minute where none started.
//!
//! The engine answers itself: its state before the minute and the records until the minute
//! closes are kept, and played again with other counts. Nothing is approximated.

use crate::detect::{DetectSettings, Engine, Output};
use crate::model::{Edge, LogRecord, Minute, RatesBuilder, SeriesKey, SourceCategory};
use crate::tuning::bisection::least;

/// Counts are tried up to this.
const COUNT_MAX: u64 = 1 << 32;

/// A question about one minute of one series, with what is kept to answer it.
pub struct WhatIf {
    series: SeriesKey,
    minute: Minute,
    /// Engine before the minute closes.
    before: Option<Vec<u8>>,
    /// Records since then, up to the one that closed it.
    records: Vec<LogRecord>,
    is_closed: bool,
}

impl WhatIf {
    pub fn new(series: SeriesKey, minute: Minute) -> Self {
        WhatIf {
            series,
            minute,
            before: None,
            records: Vec::new(),
            is_closed: false,
        }
    }

    /// Whether `record` brings the engine to the minute. Called before the record is applied.
    pub(super) fn see(&mut self, engine: &Engine, record: &LogRecord) {
        if self.is_closed {
            return;
        }
        if engine
            .stats()
            .closed
            .is_some_and(|closed| closed > self.minute)
        {
            self.is_closed = true;
            return;
        }
        let closes_soon = matches!(record, LogRecord::Progress(progress)
            if progress.watermark.minute() > self.minute);
        if closes_soon && self.before.is_none() {
            self.before = Some(engine.snapshot());
        }
        if self.before.is_some() {
            self.records.push(record.clone());
        }
    }

    /// How many more counts in the minute start an incident there, at least; `None` when no
    /// number does, one started anyway, or the minute did not close.
    pub fn more_to_fire(&self, settings: &DetectSettings) -> Option<u64> {
        let before = self.before.as_ref()?;
        let fires = |extra: u64| self.fires(settings, before, extra);
        if fires(0) {
            return None;
        }
        least(COUNT_MAX, &fires)
    }

    /// Whether `extra` more calls or errors would have started an incident in the minute.
    fn fires(&self, settings: &DetectSettings, before: &[u8], extra: u64) -> bool {
        let Ok(mut engine) = Engine::restore(settings.clone(), before) else {
            return false;
        };
        let mut output = Output::default();
        if extra > 0 {
            engine.apply(&self.extra_record(extra), &mut output);
        }
        for record in &self.records {
            engine.apply(record, &mut output);
        }
        output.insights.iter().any(|event| {
            event.edge == Edge::Start
                && event.decided_at == self.minute
                && event.series == self.series
        })
    }

    fn extra_record(&self, extra: u64) -> LogRecord {
        let mut builder = RatesBuilder::default();
        let key = builder.add_key(self.series.as_ref(), SourceCategory::Management);
        builder.add_entry(key, self.minute, extra, &[]);
        LogRecord::Rates(builder.finish(0, (0, 0)))
    }
}
