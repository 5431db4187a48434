//! `--report` of `replay`: what it needs of the run, and where it goes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::CliError;
use super::report_file::{Form, ReportFiles, json};
use crate::config::Settings;
use crate::detect::EngineStats;
use crate::model::{EventTime, Minute, Mute};
use crate::service::{Outputs, Recorded, Recorder, ReplayReport, Replayed};
use crate::tuning::timeline::TimelineReport;
use crate::tuning::{TooMuch, csv, page, timeline_markdown};
use crate::view::{InsightPairs, RecordSums};

const FORMS: [Form<TimelineReport>; 4] = [
    ("html", page::timeline),
    ("md", timeline_markdown::timeline),
    ("csv", csv::timeline),
    ("json", json),
];

/// Reports of a replay that are asked for.
pub struct ReportArguments<'a> {
    files: ReportFiles<'a, TimelineReport>,
    is_wanted: bool,
    wants_charts: bool,
}

/// What a replay leaves to report, once it is over.
pub struct EndedReplay {
    recorded: Option<Result<Option<Recorded>, TooMuch>>,
    sums: RecordSums,
    files: u64,
    span: Option<(EventTime, EventTime)>,
    stats: EngineStats,
    wants_charts: bool,
}

impl<'a> ReportArguments<'a> {
    pub fn new(paths: &'a [PathBuf]) -> Result<Self, CliError> {
        let has_charts = |path: &PathBuf| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            ending == Some("html") || ending == Some("json")
        };
        Ok(ReportArguments {
            files: ReportFiles::new(paths, &FORMS)?,
            is_wanted: !paths.is_empty(),
            wants_charts: paths.iter().any(has_charts),
        })
    }

    /// Has the run note what the report needs, without what is muted. A run that goes on from a
    /// state has not all rates.
    pub fn note<'b>(
        &self,
        outputs: &mut Outputs<'b>,
        pairs: &'b mut InsightPairs,
        mutes: &'b [Mute],
        settings: &Settings,
        goes_on: bool,
    ) {
        if self.is_wanted {
            outputs.observer = Some(Box::new(|detection| {
                for event in &detection.output().insights {
                    if !mutes.iter().any(|mute| mute.hides(event)) {
                        pairs.see(std::slice::from_ref(event));
                    }
                }
            }));
        }
        if self.wants_charts && !goes_on {
            outputs.recorder = Some(Recorder::new(settings, None));
        }
    }

    /// What the report needs of the run that ended; `None` where none is wanted.
    pub fn end(&self, replayed: &mut Replayed<'_>, settings: &Settings) -> Option<EndedReplay> {
        if !self.is_wanted {
            return None;
        }
        let pipeline = &mut replayed.pipeline;
        let recorder = pipeline.outputs.recorder.take();
        let engine = pipeline.detection().engine();
        let account = &replayed.account;
        Some(EndedReplay {
            recorded: recorder.map(|recorder| recorder.finish(engine, settings)),
            sums: account.sums(pipeline.ingest_counts()),
            files: account.files_read,
            span: account.span,
            stats: engine.stats(),
            wants_charts: self.wants_charts,
        })
    }

    /// Makes the report and writes it; nothing where it was stopped.
    pub fn write(&self, job: ReplayReport<'_>) -> Result<(), CliError> {
        match job.report() {
            Some(report) => self.files.write(&report),
            None => Ok(()),
        }
    }
}

impl EndedReplay {
    /// What there is to do.
    pub fn job<'a>(
        self,
        settings: &'a Settings,
        pairs: &'a InsightPairs,
        from: Option<Minute>,
        threads: usize,
        stop: Arc<AtomicBool>,
    ) -> ReplayReport<'a> {
        ReplayReport {
            settings,
            pairs,
            recorded: self.recorded,
            wants_charts: self.wants_charts,
            sums: self.sums,
            files: self.files,
            span: self.span,
            stats: self.stats,
            from,
            threads,
            stop,
        }
    }
}
