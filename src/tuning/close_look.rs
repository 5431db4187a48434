//! Some series of a recording once more, at every minute that is asked for.
//!
//! They run as a part of the fleet under the thresholds that were in force, so what is seen here
//! is what the run over all series thought. Memory follows what `see` keeps: nothing is collected.

use std::collections::{BTreeMap, HashMap};
use std::ops::{ControlFlow, Range};

use super::KeptRates;
use super::part_run::{Part, ThresholdSource, apply};
use crate::detect::{Asked, Engine, Output};
use crate::model::{Fingerprint, InsightEvent, Judgement, LogRecord, Minute, Progress};

/// Minutes that close at once at most, so that few judgements wait in memory.
const STEP_MINUTES: u32 = 60;

/// What is asked of one series.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its number in the kept rates.
    pub series: u32,
    /// Every minute of this span is shown.
    pub span: Range<Minute>,
    /// A minute of it that is shown with its reasons.
    pub with_reasons: Option<Minute>,
}

/// Runs the series of `part`, and shows with the place of its question each minute that is asked
/// for. Returns the insights up to the end of the last span.
pub fn look_closely(
    part: &Part<'_>,
    thresholds: &mut dyn ThresholdSource,
    questions: &[Question],
    see: &mut dyn FnMut(usize, &Judgement),
) -> Vec<InsightEvent> {
    let mut engine = part.engine();
    let places = ask(&mut engine, part.kept, questions);
    let until = questions.iter().map(|question| question.span.end).max();
    let mut output = Output::default();
    let mut pass = |record: &LogRecord| {
        apply(&mut engine, record, thresholds, &mut output);
        for (fingerprint, judgement) in engine.take_judgements() {
            for place in &places[&fingerprint] {
                if questions[*place].span.contains(&judgement.minute) {
                    see(*place, &judgement);
                }
            }
        }
        engine.closed()
    };
    let mut closed = None;
    part.kept.read(part.keep, &mut |record| {
        for step in steps(closed, record) {
            pass(&step);
        }
        closed = pass(record);
        match closed >= until {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    output.insights
}

/// Has the engine watch the series that are asked for. Returns the questions of each.
fn ask(
    engine: &mut Engine,
    kept: &KeptRates,
    questions: &[Question],
) -> HashMap<Fingerprint, Vec<usize>> {
    let mut of_series: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, question) in questions.iter().enumerate() {
        of_series.entry(question.series).or_default().push(place);
    }
    let mut places = HashMap::new();
    for (series, of_series) in of_series {
        let key = &kept.series()[series as usize].key;
        let mut asked = Asked::default();
        for question in of_series.iter().map(|place| &questions[*place]) {
            asked.spans.push(question.span.clone());
            asked.with_reasons.extend(question.with_reasons);
        }
        let fingerprint = key.as_ref().fingerprint();
        engine.watch(fingerprint, asked);
        places.insert(fingerprint, of_series);
    }
    places
}

/// Steps on the way to where a record leads that would close many minutes at once.
fn steps(closed: Option<Minute>, record: &LogRecord) -> Vec<LogRecord> {
    let (LogRecord::Progress(progress), Some(closed)) = (record, closed) else {
        return Vec::new();
    };
    let target = progress.watermark.minute();
    let between = (closed.0 + STEP_MINUTES..target.0).step_by(STEP_MINUTES as usize);
    let step = |minute| {
        LogRecord::Progress(Progress {
            watermark: Minute(minute).start(),
            ..progress.clone()
        })
    };
    between.map(step).collect()
}
