//! One run of the engine: ingest, rates log, detection and sinks in a row.

use std::ops::Range;

use thiserror::Error;

use super::{Delivery, Detection, Recorder, StateError, WhatIf};
use crate::config::Settings;
use crate::detect::Engine;
use crate::ingest::{Ingest, IngestCounts, RowsError};
use crate::model::{Edge, EventBatch, EventTime, LogRecord};
use crate::rateslog::RatesLogError;
use crate::sink::{RatesSink, RejectSink, ScoreSink, SinkError};
use crate::tuning::{KeptRates, TooMuch};

/// The one source that files are merged into.
const SOURCE: u32 = 0;

/// Why a run cannot go on.
#[derive(Debug, Error)]
pub enum ServiceError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("rates log: {0}")]
    RatesLog(#[from] RatesLogError),
    #[error(
        "rates log {0}: it holds an earlier run; a replay begins a new log: remove the \
         directory or choose another rates_log.path"
    )]
    RatesLogInUse(String),
    #[error("rates: {0}")]
    Rows(#[from] RowsError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{0}: raise it, or take a part of the input with --until or fewer paths")]
    TooMuch(#[from] TooMuch),
}

/// Looks over detection's shoulder.
pub type Observer<'a> = Box<dyn FnMut(&Detection) + 'a>;

/// Where the output of a run goes.
#[derive(Default)]
pub struct Outputs<'a> {
    pub insights: Option<Delivery>,
    pub scores: Option<ScoreSink>,
    pub rates: Option<RatesSink>,
    pub rejects: Option<RejectSink>,
    /// Sees detection after every step, before the sinks do.
    pub observer: Option<Observer<'a>>,
    /// Make scores even without a sink for them.
    pub observes_scores: bool,
    /// A question that the run keeps what is needed for.
    pub what_if: Option<WhatIf>,
    /// Keeps the rates beside detection, and has the engine note its thresholds.
    pub recorder: Option<Recorder>,
    /// Takes the rates instead of detection, which is then left out.
    pub kept: Option<&'a mut KeptRates>,
}

/// Events in, insights out.
pub struct Pipeline<'a> {
    ingest: Ingest,
    detection: Detection,
    records: Vec<LogRecord>,
    pub outputs: Outputs<'a>,
    starts: u64,
    ends: u64,
}

impl<'a> Pipeline<'a> {
    /// Begins a run, or goes on from `engine` as an earlier run left it.
    pub fn new(
        settings: &Settings,
        engine: Option<Engine>,
        outputs: Outputs<'a>,
    ) -> Result<Self, ServiceError> {
        let is_new = engine.is_none();
        let mut engine = engine.unwrap_or_else(|| Engine::new(settings.detect.clone()));
        if outputs.recorder.is_some() {
            engine.note_thresholds();
        }
        let mut detection = Detection::new(settings, engine)?;
        let wants_scores = outputs.scores.is_some() || outputs.observes_scores;
        if wants_scores {
            detection = detection.with_scores();
        }
        let mut pipeline = Pipeline {
            ingest: Ingest::new(settings.ingest.clone(), SOURCE),
            detection,
            records: Vec::new(),
            outputs,
            starts: 0,
            ends: 0,
        };
        if is_new {
            if pipeline.detection.log_has_history() {
                let path = format!("{:?}", settings.rates_log);
                return Err(ServiceError::RatesLogInUse(path));
            }
            let canonical = settings.canonical.clone();
            pipeline.records.push(LogRecord::Settings(canonical));
            pipeline.records.push(LogRecord::Sources(1));
        }
        Ok(pipeline)
    }

    /// Takes in the next events of the source.
    pub fn push(&mut self, batch: &EventBatch, range: Range<usize>) -> Result<(), ServiceError> {
        self.ingest.push(batch, range, &mut self.records);
        self.judge()
    }

    /// Takes in records that were made elsewhere, for example from rows of rates.
    pub fn push_records(&mut self, records: &mut Vec<LogRecord>) -> Result<(), ServiceError> {
        self.records.append(records);
        self.judge()
    }

    /// End of input: every minute up to the last event's closes; with `until`, time goes on
    /// to there.
    pub fn finish(&mut self, until: Option<EventTime>) -> Result<(), ServiceError> {
        self.ingest.finish(&mut self.records);
        if let Some(until) = until {
            self.ingest.advance_to(until, &mut self.records);
        }
        self.judge()
    }

    /// Hands all output to the operating system and makes the log durable.
    pub fn flush(&mut self) -> Result<(), ServiceError> {
        self.judge()?;
        self.detection.sync()?;
        let Outputs {
            insights,
            scores,
            rates,
            rejects,
            ..
        } = &mut self.outputs;
        let closed = self.detection.stats().closed;
        insights.as_mut().map_or(Ok(()), |one| one.finish(closed))?;
        scores.as_mut().map_or(Ok(()), ScoreSink::flush)?;
        rates.as_mut().map_or(Ok(()), RatesSink::flush)?;
        rejects.as_mut().map_or(Ok(()), RejectSink::flush)?;
        Ok(())
    }

    /// Has detection judge what ingest made, if anything.
    fn judge(&mut self) -> Result<(), ServiceError> {
        if self.records.is_empty() {
            return Ok(());
        }
        if let Some(kept) = &mut self.outputs.kept {
            for record in self.records.drain(..) {
                kept.push(&record)?;
            }
            return Ok(());
        }
        if let Some(sink) = &mut self.outputs.rates {
            for record in &self.records {
                if let LogRecord::Rates(rates) = record {
                    sink.write(rates)?;
                }
            }
        }
        if let Some(recorder) = &mut self.outputs.recorder {
            self.records.iter().for_each(|record| recorder.see(record));
        }
        let what_if = self.outputs.what_if.as_mut();
        self.detection.take(&mut self.records, what_if)?;
        let output = self.detection.output();
        for event in &output.insights {
            match event.edge {
                Edge::Start => self.starts += 1,
                Edge::End => self.ends += 1,
            }
        }
        if let Some(observer) = &mut self.outputs.observer {
            observer(&self.detection);
        }
        if let (Some(sink), events @ [_, ..]) = (&mut self.outputs.insights, &output.insights[..]) {
            sink.write(events)?;
        }
        if let (Some(sink), Some(rows)) = (&mut self.outputs.scores, &output.scores) {
            sink.write(rows)?;
        }
        Ok(())
    }

    pub fn ingest_counts(&self) -> &IngestCounts {
        self.ingest.counts()
    }

    pub fn detection(&self) -> &Detection {
        &self.detection
    }

    /// Starts decided so far, written or not.
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// Ends decided so far, written or not.
    pub fn ends(&self) -> u64 {
        self.ends
    }
}
