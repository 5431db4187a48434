//! `insightd explain`: why an insight fired, or why nothing did.
//!
//! It replays the same input with the same settings and looks over the engine's shoulder, so
//! what it says is what happened, not what a second implementation thinks of it.

use std::sync::Arc;

use clap::Args;
use uuid::Uuid;

use super::arguments::{ConfigArgument, InputArguments, has_input_failed, parse_time};
use super::interrupt::Interrupt;
use super::knowledge;
use super::{CliError, Exit};
use crate::formats::sentence;
use crate::model::{Edge, EventTime, InsightEvent, Minute, Mute, SeriesKey};
use crate::service::{Detection, Outputs, ReplayJob, WhatIf, replay};
use crate::sink::Target;
use crate::source::expand;
use crate::view::{ExplainedPair, ExplainedSilence};

/// Minutes around `--at` in which to look.
const AROUND: u32 = 60;

/// Tell why an insight fired, or why nothing did
///
/// Replays the input and prints what was seen, what was expected, which explanations were
/// tried, the score and the threshold, and what would have changed the answer.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct ExplainCommand {
    #[command(flatten)]
    config: ConfigArgument,
    #[command(flatten)]
    input: InputArguments,
    /// The insight: its sharedEventID or eventID
    #[arg(long, value_name = "UUID", required_unless_present = "series")]
    id: Option<Uuid>,
    /// The series: account,region,event_source,event_name,insight_type,error_code
    #[arg(long, value_name = "KEY", requires = "at", conflicts_with = "id",
          value_parser = SeriesKey::parse)]
    series: Option<SeriesKey>,
    /// The minute to explain
    #[arg(long, value_name = "TIME", requires = "series", value_parser = parse_time)]
    at: Option<EventTime>,
}

const EXAMPLES: &str = "\
Examples:
  insightd explain --id 5f9b... logs/
  insightd explain --at 2024-12-11T16:52:00Z \\
      --series 111122223333,us-east-1,iam.amazonaws.com,CreateUser,ApiCallRateInsight, logs/";

impl ExplainCommand {
    pub fn run(self, _is_quiet: bool) -> Result<Exit, CliError> {
        let mut settings = self.config.load_for_a_look()?;
        let knowledge = knowledge::load(&settings)?;
        knowledge::give(&mut settings, &knowledge);
        let interrupt = Interrupt::install()?;
        let expanded = expand(&self.input.paths);
        for problem in &expanded.problems {
            tracing::error!("{problem}");
        }
        let job = ReplayJob {
            files: expanded.files.clone(),
            kind: self.input.kind(&settings)?,
            until: None,
            since: None,
            threads: self.input.threads()?,
            knowledge: Arc::clone(&knowledge),
            stop: interrupt.stop.clone(),
        };
        let target = self.series.clone().zip(self.at);
        let mut watcher = Watcher::new(self.id, target.clone(), settings.detect.bucket_minutes);
        let outputs = Outputs {
            observer: Some(Box::new(|detection| watcher.see(detection))),
            observes_scores: self.series.is_some(),
            what_if: target.map(|(series, at)| {
                let minute = at.minute().bucket(settings.detect.bucket_minutes);
                WhatIf::new(series, minute)
            }),
            ..Outputs::default()
        };
        let mut replayed = replay(job, &settings, None, outputs, &mut |_| {})?;
        let what_if = replayed.pipeline.outputs.what_if.take();
        let has_failed = has_input_failed(&expanded, &replayed.account.losses);
        drop(replayed);
        if let Some(exit) = interrupt.exit() {
            return Ok(exit);
        }
        let more = what_if.and_then(|asked| asked.more_to_fire(&settings.detect));
        watcher.silence.count_to_fire = more.map(|more| more + watcher.silence.count());
        watcher.print(&Mute::all(&knowledge))?;
        Ok(if has_failed {
            Exit::Failure
        } else {
            Exit::Done
        })
    }
}

/// What an explanation needs of a replay.
struct Watcher {
    id: Option<Uuid>,
    series: Option<SeriesKey>,
    pairs: Vec<ExplainedPair>,
    silence: ExplainedSilence,
}

impl Watcher {
    fn new(id: Option<Uuid>, target: Option<(SeriesKey, EventTime)>, bucket_minutes: u32) -> Self {
        let (series, at) = target.unzip();
        let minute = at.map_or(Minute::default(), |at| at.minute().bucket(bucket_minutes));
        Watcher {
            id,
            series,
            pairs: Vec::new(),
            silence: ExplainedSilence {
                minute,
                ..ExplainedSilence::default()
            },
        }
    }

    fn see(&mut self, detection: &Detection) {
        let output = detection.output();
        for event in &output.insights {
            self.see_insight(event);
        }
        let (Some(series), Some(rows)) = (&self.series, &output.scores) else {
            return;
        };
        let around = self.silence.minute.0.saturating_sub(AROUND)..self.silence.minute.0 + AROUND;
        for row in rows.iter().filter(|row| *row.key == *series) {
            self.silence.is_known = true;
            if around.contains(&row.minute.0) {
                self.silence.rows.push(row.clone());
            }
            if row.minute <= self.silence.minute {
                self.silence.threshold = detection.threshold();
            }
        }
    }

    /// An id may be that of an End, so with an id every pair is kept.
    fn see_insight(&mut self, event: &InsightEvent) {
        if self
            .series
            .as_ref()
            .is_some_and(|series| event.series != *series)
        {
            return;
        }
        match event.edge {
            Edge::Start => self.pairs.push(ExplainedPair {
                start: event.clone(),
                end: None,
            }),
            Edge::End => {
                let pair = self
                    .pairs
                    .iter_mut()
                    .find(|pair| pair.start.shared_event_id == event.shared_event_id);
                if let Some(pair) = pair {
                    pair.end = Some(event.clone());
                }
            }
        }
    }

    /// The pair that is asked for, or that covers the minute asked for.
    fn pair(&self) -> Option<&ExplainedPair> {
        if let Some(id) = self.id {
            return self.pairs.iter().find(|pair| {
                let end = pair.end.as_ref().map(|end| end.event_id);
                id == pair.start.shared_event_id || id == pair.start.event_id || Some(id) == end
            });
        }
        let minute = self.silence.minute;
        self.pairs.iter().find(|pair| {
            let ends_after = pair.end.as_ref().is_none_or(|end| end.minute > minute);
            pair.start.minute <= minute && (ends_after || pair.start.decided_at == minute)
        })
    }

    fn print(&self, mutes: &[Mute]) -> Result<(), CliError> {
        let text = match (self.pair(), &self.series) {
            (Some(pair), _) => {
                let muted = mutes.iter().find(|mute| mute.hides(&pair.start));
                let muted = muted.map(|mute| {
                    let (id, owner, reason) = (mute.id, &mute.owner, &mute.reason);
                    format!("muted          not written: {id} by {owner}: {reason}\n")
                });
                pair.text(&sentence(&pair.start)) + &muted.unwrap_or_default()
            }
            (None, Some(series)) => self.silence.text(&series.to_string()),
            (None, None) => {
                return Err(CliError::Failure(
                    "this input with these settings has no insight with that id; was it made \
                     with the same input and settings?"
                        .to_string(),
                ));
            }
        };
        let mut target = Target::stdout();
        target.write(text.as_bytes())?;
        target.flush()?;
        Ok(())
    }
}
