//! Stage 2 behind its rates log: what is appended is read back and judged.
//!
//! Detection sees records only as the log gives them, in memory and on disk alike, so that
//! what it decides cannot depend on which log it was.

use std::ops::ControlFlow;
use std::path::Path;

use super::WhatIf;
use crate::config::{RatesLogKind, Settings};
use crate::detect::settings::Tuning;
use crate::detect::{DetectSettings, Engine, EngineStats, Output};
use crate::model::LogRecord;
use crate::rateslog::{MemoryLog, Position, RatesLog, RatesLogError, SegmentSettings, SegmentsLog};

/// A rates log and the engine that reads it.
pub struct Detection {
    log: Box<dyn RatesLog>,
    position: Position,
    engine: Engine,
    output: Output,
    settings: DetectSettings,
}

impl Detection {
    /// `engine` goes on at the end of the log, which is created when absent.
    pub fn new(settings: &Settings, engine: Engine) -> Result<Self, RatesLogError> {
        let log: Box<dyn RatesLog> = match &settings.rates_log {
            RatesLogKind::Memory | RatesLogKind::Kafka => Box::new(MemoryLog::default()),
            RatesLogKind::Segments(path) => {
                let log = SegmentsLog::open(Path::new(path), SegmentSettings::default())?;
                if log.bytes_cut() > 0 {
                    let bytes = log.bytes_cut();
                    tracing::warn!(path, bytes, "cut a torn record off the rates log");
                }
                Box::new(log)
            }
        };
        Ok(Detection {
            position: log.end(),
            log,
            engine,
            output: Output::default(),
            settings: settings.detect.clone(),
        })
    }

    /// Whether the log held records before this run.
    pub fn log_has_history(&self) -> bool {
        self.position > self.log.start()
    }

    /// Has the output carry scores, too.
    pub fn with_scores(mut self) -> Self {
        self.output.scores = Some(Vec::new());
        self
    }

    /// Appends the records to the log, then judges what the log gives. What there is to say
    /// stands in [`Self::output`] until the next call. `what_if` sees each record first.
    pub fn take(
        &mut self,
        records: &mut Vec<LogRecord>,
        mut what_if: Option<&mut WhatIf>,
    ) -> Result<(), RatesLogError> {
        self.output.insights.clear();
        if let Some(scores) = &mut self.output.scores {
            scores.clear();
        }
        for record in records.drain(..) {
            self.log.append(record)?;
        }
        let (engine, output) = (&mut self.engine, &mut self.output);
        self.position = self.log.read(self.position, &mut |_, record| {
            if let Some(what_if) = &mut what_if {
                what_if.see(engine, record);
            }
            engine.apply(record, output);
            ControlFlow::Continue(())
        })?;
        self.log.release(self.position);
        Ok(())
    }

    /// What the last call of [`Self::take`] led to.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Makes the log durable.
    pub fn sync(&mut self) -> Result<(), RatesLogError> {
        self.log.sync()
    }

    pub fn stats(&self) -> EngineStats {
        self.engine.stats()
    }

    /// Score that a Start needs now; `None` before the first is known.
    pub fn threshold(&self) -> Option<f64> {
        let fixed = Tuning::new(&self.settings).fixed_z;
        fixed.or_else(|| self.stats().threshold.map(|threshold| threshold.z))
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}
