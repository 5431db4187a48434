//! The smallest incident that a series could still show under a setting.
//!
//! Asked of the engine itself: its state some time before the end of the recording is kept, and
//! what follows is played again with calls added, or with none.

use std::ops::ControlFlow;

use super::bisection::least;
use super::part_run::{Known, Part, apply};
use crate::detect::{DetectSettings, Engine, FleetScope, Output};
use crate::model::{Direction, Edge, LogRecord, Minute, Rates, RatesBuilder};

/// Minutes before the end from which is asked.
pub const ASKED_BEFORE_END: u32 = 120;
/// Length of the surge that is looked for.
pub const SURGE_MINUTES: u32 = 10;
/// Calls a minute beyond which nothing is tried.
const SURGE_MAX: u64 = 1 << 30;
/// Minutes after the surge in which its Start still counts.
const GRACE: u32 = 3;

/// What a series could still show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Smallest {
    /// Minute from which was asked.
    pub asked: Minute,
    /// Fewest extra calls a minute, for ten minutes, that start an incident; `None` when none do.
    pub surge: Option<u64>,
    /// Minutes after which a full stop starts an incident; `None` if not within two hours.
    pub stop_minutes: Option<u32>,
    /// The series does something unusual by itself just then, so that nothing can be told.
    pub is_busy: bool,
}

/// What the one series of `part` could still show; `end` is the first minute after the recording.
pub fn smallest(part: &Part<'_>, thresholds: &Known<'_>, end: Minute) -> Option<Smallest> {
    let bucket = part.settings.bucket_minutes;
    let asked = Minute(end.0.checked_sub(ASKED_BEFORE_END)?).bucket(bucket);
    let question = Question::at(part, thresholds, asked)?;
    let own = question.starts(0, false);
    let fires = |extra: u64| question.first(extra, false, Direction::Up).is_some();
    Some(Smallest {
        asked,
        surge: least(SURGE_MAX, &fires),
        stop_minutes: question
            .first(0, true, Direction::Down)
            .map(|decided| decided.0 + bucket - asked.0),
        is_busy: question.is_open || !own.is_empty(),
    })
}

/// A state and what follows it.
struct Question<'a> {
    part: Part<'a>,
    thresholds: Known<'a>,
    asked: Minute,
    state: Vec<u8>,
    records: Vec<LogRecord>,
    is_open: bool,
}

impl<'a> Question<'a> {
    fn at(part: &Part<'a>, thresholds: &Known<'a>, asked: Minute) -> Option<Self> {
        let mut engine = part.engine();
        let mut known = thresholds.clone();
        let (mut state, mut records) = (None, Vec::new());
        let mut is_open = false;
        part.kept.read(part.keep, &mut |record| {
            let passes = matches!(record, LogRecord::Progress(progress)
                if progress.watermark.minute() > asked);
            if passes && state.is_none() {
                is_open = engine.stats().incidents_open > 0;
                state = Some(engine.snapshot());
            }
            match record {
                _ if state.is_some() => records.push(record.clone()),
                LogRecord::Rates(rates) => {
                    // A batch may be of minutes on both sides.
                    let (before, after) = cut(rates, asked);
                    let before = LogRecord::Rates(before);
                    apply(&mut engine, &before, &mut known, &mut Output::default());
                    if !after.is_empty() {
                        records.push(LogRecord::Rates(after));
                    }
                }
                other => apply(&mut engine, other, &mut known, &mut Output::default()),
            }
            ControlFlow::Continue(())
        });
        Some(Question {
            part: *part,
            thresholds: thresholds.clone(),
            asked,
            state: state?,
            records,
            is_open,
        })
    }

    /// Decision minute of the first Start to this side in the time asked about.
    fn first(&self, extra: u64, is_stopped: bool, direction: Direction) -> Option<Minute> {
        let starts = self.starts(extra, is_stopped);
        let mut starts = starts.into_iter().filter(|(_, side)| *side == direction);
        let (decided, _) = starts.next()?;
        let is_in_time = is_stopped || decided.0 < self.asked.0 + SURGE_MINUTES + GRACE;
        is_in_time.then_some(decided)
    }

    /// Starts with so many extra calls a minute, or with none at all.
    fn starts(&self, extra: u64, is_stopped: bool) -> Vec<(Minute, Direction)> {
        let settings = DetectSettings {
            fleet: FleetScope::Part,
            ..self.part.settings.clone()
        };
        let mut engine =
            Engine::restore(settings, &self.state).expect("the state was taken a moment ago");
        engine.set_origin(self.part.origin);
        let (mut known, mut output) = (self.thresholds.clone(), Output::default());
        if extra > 0 {
            apply(&mut engine, &self.surge(extra), &mut known, &mut output);
        }
        for record in &self.records {
            let is_count = matches!(record, LogRecord::Rates(_));
            if !(is_stopped && is_count) {
                apply(&mut engine, record, &mut known, &mut output);
            }
        }
        let starts = output
            .insights
            .iter()
            .filter(|event| event.edge == Edge::Start && event.decided_at >= self.asked);
        starts
            .map(|event| (event.decided_at, event.direction))
            .collect()
    }

    fn surge(&self, extra: u64) -> LogRecord {
        let mut builder = RatesBuilder::default();
        for series in self.part.keep.iter() {
            let series = &self.part.kept.series()[series as usize];
            let key = builder.add_key(series.key.as_ref(), series.category);
            for minute in 0..SURGE_MINUTES {
                builder.add_entry(key, Minute(self.asked.0 + minute), extra, &[]);
            }
        }
        LogRecord::Rates(builder.finish(0, (0, 0)))
    }
}

/// The entries before a minute, and those from it on.
fn cut(rates: &Rates, minute: Minute) -> (Rates, Rates) {
    let part = |is_after: bool| {
        let mut builder = RatesBuilder::default();
        for key in 0..rates.keys_len() as u32 {
            builder.add_key(rates.key(key), rates.category(key));
        }
        for entry in rates.entries() {
            if (entry.minute >= minute) == is_after {
                builder.add_entry(entry.key, entry.minute, entry.count, &[]);
            }
        }
        builder.finish(rates.source, (0, 0))
    };
    (part(false), part(true))
}
