//! `insightd explain`: why an insight fired, or why nothing did.
//!
//! It replays the same input with the same settings and looks over the engine's shoulder, so
//! what it says is what happened, not what a second implementation thinks of it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use uuid::Uuid;

use super::arguments::{ConfigArgument, InputArguments, has_input_failed, parse_time};
use super::explain_report::{Explained, FORMS};
use super::interrupt::Interrupt;
use super::knowledge;
use super::outputs::check_outputs;
use super::report_file::{ReportFiles, write_text};
use super::{CliError, Exit};
use crate::config::Settings;
use crate::model::{EventTime, Minute, Mute, SeriesKey};
use crate::service::{Detection, Outputs, Recorded, Recorder, ReplayJob, WhatIf, replay};
use crate::source::expand;
use crate::tuning::TooMuch;
use crate::view::{ExplainedPair, ExplainedSilence, InsightPairs};

/// Minutes around `--at` in which to look.
const AROUND: u32 = 60;

/// Tell why an insight fired, or why nothing did
///
/// Replays the input and prints what was seen, what was expected, which windows were judged, what
/// each explanation left of their surprise, the score and the threshold, and what would have
/// changed the answer, with a plot of the rate and what is usual.
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
    /// Write the same with charts, in the form that the file's ending says: .html, .md or .json;
    /// may be repeated
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  insightd explain --id 5f9b... logs/
  insightd explain --id 5f9b... --report why.html logs/      the same with charts
  insightd explain --at 2024-12-11T16:52:00Z \\
      --series 111122223333,us-east-1,iam.amazonaws.com,CreateUser,ApiCallRateInsight, logs/";

impl ExplainCommand {
    pub fn run(self, _is_quiet: bool) -> Result<Exit, CliError> {
        let mut settings = self.config.load_for_a_look()?;
        let files = ReportFiles::new(&self.report, &FORMS)?;
        let knowledge = knowledge::heed(&mut settings)?;
        let interrupt = Interrupt::install()?;
        let expanded = expand(&self.input.paths);
        let reports = self.report.iter().map(|path| ("--report", path.as_path()));
        check_outputs(&reports.collect::<Vec<_>>(), &expanded.files)?;
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
            recorder: Some(Recorder::new(&settings, self.series.as_ref())),
            ..Outputs::default()
        };
        let mut replayed = replay(job, &settings, None, outputs, &mut |_| {})?;
        let what_if = replayed.pipeline.outputs.what_if.take();
        let recorder = replayed.pipeline.outputs.recorder.take();
        let recorder = recorder.expect("it was given a moment ago");
        let recorded = recorder.finish(replayed.pipeline.detection().engine(), &settings);
        let has_failed = has_input_failed(&expanded, &replayed.account.losses);
        drop(replayed);
        if let Some(exit) = interrupt.exit() {
            return Ok(exit);
        }
        let more = what_if.and_then(|asked| asked.more_to_fire(&settings.detect));
        watcher.silence.count_to_fire = more.map(|more| more + watcher.silence.count());
        let mutes = Mute::all(&knowledge);
        let explained = watcher.explain(&settings, &recorded, &mutes)?;
        write_text(None, &explained.terminal())?;
        if !self.report.is_empty() {
            files.write(&explained.report())?;
        }
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
    pairs: InsightPairs,
    silence: ExplainedSilence,
}

impl Watcher {
    fn new(id: Option<Uuid>, target: Option<(SeriesKey, EventTime)>, bucket_minutes: u32) -> Self {
        let (series, at) = target.unzip();
        let minute = at.map_or(Minute::default(), |at| at.minute().bucket(bucket_minutes));
        Watcher {
            id,
            series,
            pairs: InsightPairs::new(u64::MAX),
            silence: ExplainedSilence {
                minute,
                ..ExplainedSilence::default()
            },
        }
    }

    /// An id may be that of an End, so with an id every pair is kept.
    fn see(&mut self, detection: &Detection) {
        let output = detection.output();
        let Some(series) = &self.series else {
            return self.pairs.see(&output.insights);
        };
        let of_series = output.insights.iter();
        let of_series = of_series.filter(|event| event.series == *series);
        self.pairs.see(&of_series.cloned().collect::<Vec<_>>());
        let around = self.silence.minute.0.saturating_sub(AROUND)..self.silence.minute.0 + AROUND;
        let rows = output.scores.iter().flatten();
        for row in rows.filter(|row| *row.key == *series) {
            self.silence.is_known = true;
            if around.contains(&row.minute.0) {
                self.silence.rows.push(row.clone());
            }
            if row.minute <= self.silence.minute {
                self.silence.threshold = detection.threshold();
            }
        }
    }

    /// The pair that is asked for, or that covers the minute asked for.
    fn pair(&self) -> Option<&ExplainedPair> {
        let mut pairs = self.pairs.pairs().iter();
        if let Some(id) = self.id {
            return pairs.find(|pair| {
                let end = pair.end.as_ref().map(|end| end.event_id);
                id == pair.start.shared_event_id || id == pair.start.event_id || Some(id) == end
            });
        }
        let minute = self.silence.minute;
        pairs.find(|pair| {
            let ends_after = pair.end.as_ref().is_none_or(|end| end.minute > minute);
            pair.start.minute <= minute && (ends_after || pair.start.decided_at == minute)
        })
    }

    /// What was found, with a close look at it where there are rates to look at.
    fn explain(
        mut self,
        settings: &Settings,
        recorded: &Result<Option<Recorded>, TooMuch>,
        mutes: &[Mute],
    ) -> Result<Explained, CliError> {
        let pair = self.pair().cloned();
        let (series, minute, onset) = match (&pair, &self.series) {
            (Some(pair), _) => {
                let start = &pair.start;
                (start.series.clone(), start.decided_at, start.minute)
            }
            (None, Some(series)) => (series.clone(), self.silence.minute, self.silence.minute),
            (None, None) => {
                return Err(CliError::Failure(
                    "this input with these settings has no insight with that id; was it made \
                     with the same input and settings?"
                        .to_string(),
                ));
            }
        };
        let mut notes: Vec<String> = pair
            .iter()
            .filter_map(|pair| mutes.iter().find(|mute| mute.hides(&pair.start)))
            .map(|mute| {
                let (id, owner, reason) = (mute.id, &mute.owner, &mute.reason);
                format!("muted, so not written: {id} by {owner}: {reason}")
            })
            .collect();
        let closely = match recorded {
            Err(too_much) => {
                notes.push(format!("no windows and no plot: {too_much}"));
                None
            }
            Ok(recorded) => recorded
                .as_ref()
                .and_then(|recorded| recorded.look(settings, &series, minute, onset)),
        };
        if let Some(judgement) = closely.as_ref().and_then(|closely| closely.at.as_ref()) {
            self.silence.see_closely(&series, judgement);
        }
        Ok(Explained {
            series,
            minute,
            pair,
            silence: self.silence,
            closely,
            bucket_minutes: settings.detect.bucket_minutes,
            notes,
        })
    }
}
