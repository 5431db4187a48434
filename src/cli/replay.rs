//! `insightd replay`: recorded logs in, insights out.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::arguments::{ConfigArgument, InputArguments, has_input_failed, parse_time};
use super::interrupt::Interrupt;
use super::knowledge;
use super::outputs::check_outputs;
use super::replay_report::ReportArguments;
use super::{CliError, Exit};
use crate::config::Settings;
use crate::detect::{Engine, EngineStats};
use crate::formats::RecordContext;
use crate::model::{EventTime, Knowledge, Minute, Mute};
use crate::service::{
    Delivery, Outputs, Pipeline, ReplayJob, ReplayProgress, Replayed, StateFile, replay,
};
use crate::sink::{InsightSink, RatesSink, RejectSink, ScoreSink, StorySink, Target};
use crate::source::{Expanded, InputFile, expand};
use crate::telemetry::{cpu_seconds, say};
use crate::view::{InsightPairs, ReplaySummary, RunCost, ThresholdView};

/// Replay recorded logs through the engine and write its insights, one JSON record a line
///
/// The same input, settings and version give the same bytes, whatever the number of threads.
/// Insights go to standard output, the summary to standard error.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct ReplayCommand {
    #[command(flatten)]
    config: ConfigArgument,
    #[command(flatten)]
    input: InputArguments,
    /// Earlier input is history: insights decided before this time are not written
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<EventTime>,
    /// Input from this time on is not read; time advances to here
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<EventTime>,
    /// Write insights here instead of standard output
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the score of every series and minute that had a count or a surprise, as CSV
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Write the counts per series and minute, as CSV that `--format rates` reads
    #[arg(long, value_name = "FILE")]
    rates: Option<PathBuf>,
    /// Write a report, in the form that the file's ending says: .html (with charts), .md, .csv or
    /// .json; may be repeated
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
    /// Write insights grouped into stories (Starts of one account close in time), one JSON object a
    /// line
    #[arg(long, value_name = "FILE")]
    stories: Option<PathBuf>,
    /// Write records that could not be used, with reason and place, one JSON object a line
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Exit with 5 if more records and files than this could not be used [default: no limit]
    #[arg(long, value_name = "N")]
    max_rejects: Option<u64>,
    /// Go on from the state that an earlier replay left; input it has counted is skipped
    #[arg(long, value_name = "FILE")]
    state_in: Option<PathBuf>,
    /// Leave the state at the end here, for a later replay to go on from
    #[arg(long, value_name = "FILE")]
    state_out: Option<PathBuf>,
}

const WEEK_MINUTES: u32 = 7 * Minute::PER_DAY;

const EXAMPLES: &str = "\
Examples:
  insightd replay logs/                              a directory of .json.gz as delivered to S3
  insightd replay --from 2024-12-08 logs/ > insights.ndjson
                                                     a week to learn, insights from then on
  insightd replay --report week.html logs/           the same as a page with charts
  aws logs ... | insightd replay -                   whatever arrives on standard input
  insightd replay --format rates counts.csv          counts somebody else made
  insightd replay --state-in s --state-out s logs/   only what is new since the last time";

impl ReplayCommand {
    pub fn run(self, is_quiet: bool) -> Result<Exit, CliError> {
        let mut settings = self.config.load()?;
        let report = ReportArguments::new(&self.report)?;
        let knowledge = knowledge::heed(&mut settings)?;
        let kind = self.input.kind(&settings)?;
        let threads = self.input.threads()?;
        self.check_span()?;
        let (engine, since) = self.restore(&settings)?;
        let expanded = expand(&self.input.paths);
        check_outputs(&self.output_paths(), &expanded.files)?;
        for problem in &expanded.problems {
            tracing::error!("{problem}");
        }
        let interrupt = Interrupt::install()?;
        let mutes = Mute::all(&knowledge);
        let mut pairs = InsightPairs::new(settings.report_insights_max);
        let mut outputs = self.open_outputs(&settings, &knowledge)?;
        report.note(
            &mut outputs,
            &mut pairs,
            &mutes,
            &settings,
            engine.is_some(),
        );
        let job = ReplayJob {
            files: expanded.files.clone(),
            kind,
            until: self.until,
            since,
            threads,
            knowledge: Arc::clone(&knowledge),
            stop: interrupt.stop.clone(),
        };
        let begun = Instant::now();
        // Lines of insights on the same terminal would be torn by the bar.
        let is_shown = !is_quiet && (self.out.is_some() || !std::io::stdout().is_terminal());
        let bar = progress_bar(&expanded.files, is_shown);
        let mut replayed = replay(job, &settings, engine, outputs, &mut |progress| {
            advance(&bar, progress);
        })?;
        bar.finish_and_clear();
        if interrupt.exit().is_none()
            && let Some(path) = &self.state_out
        {
            StateFile::new(replayed.pipeline.detection().engine(), &settings).write(path)?;
        }
        let mut summary = summarize(&replayed, &expanded, &settings);
        let exit = self.exit(&replayed, &expanded, &interrupt);
        summary.cut_short = interrupt.name();
        summary.cost = RunCost {
            wall_seconds: begun.elapsed().as_secs_f64(),
            cpu_seconds: cpu_seconds(),
        };
        let ended = report.end(&mut replayed, &settings);
        drop(replayed);
        if !is_quiet {
            say(&summary);
        }
        if let Some(ended) = ended.filter(|_| interrupt.exit().is_none()) {
            let from = self.from.map(knowledge::first_minute_from);
            let job = ended.job(&settings, &pairs, from, threads, interrupt.stop.clone());
            report.write(job)?;
        }
        Ok(interrupt.exit().unwrap_or(exit))
    }

    fn check_span(&self) -> Result<(), CliError> {
        match (self.from, self.until) {
            (Some(from), Some(until)) if from >= until => Err(CliError::Usage(format!(
                "--from {from} is not before --until {until}"
            ))),
            _ => Ok(()),
        }
    }

    /// The engine of an earlier run, and the time from which it has not counted.
    fn restore(
        &self,
        settings: &Settings,
    ) -> Result<(Option<Engine>, Option<EventTime>), CliError> {
        let Some(path) = &self.state_in else {
            return Ok((None, None));
        };
        let engine = StateFile::read(path)?.restore(path, settings)?;
        let since = engine.stats().closed.map(Minute::start);
        Ok((Some(engine), since))
    }

    /// Files that are written, by option.
    fn output_paths(&self) -> Vec<(&'static str, &Path)> {
        let outputs = [
            ("--out", &self.out),
            ("--scores", &self.scores),
            ("--rates", &self.rates),
            ("--stories", &self.stories),
            ("--rejects", &self.rejects),
            ("--state-out", &self.state_out),
        ];
        let named = outputs.into_iter();
        let named = named.filter_map(|(option, path)| Some((option, path.as_deref()?)));
        let reports = self.report.iter().map(|path| ("--report", path.as_path()));
        named.chain(reports).collect()
    }

    fn open_outputs<'a>(
        &self,
        settings: &Settings,
        knowledge: &[Knowledge],
    ) -> Result<Outputs<'a>, CliError> {
        let from = self.from.map(knowledge::first_minute_from);
        let context = RecordContext {
            engine_version: env!("CARGO_PKG_VERSION").to_string(),
            settings_hash: settings.hash.clone(),
            include_extension: settings.extension,
        };
        let insights = Target::open(self.out.as_deref())?;
        let scores = self.scores.as_deref().map(Target::create).transpose()?;
        let stories = self.stories.as_deref().map(Target::create).transpose()?;
        let stories = stories.map(StorySink::new);
        let sink = InsightSink::new(insights, context, from);
        let rates = self.rates.as_deref().map(Target::create).transpose()?;
        let rejects = self.rejects.as_deref().map(Target::create).transpose()?;
        Ok(Outputs {
            insights: Some(Delivery::new(settings, knowledge, sink, stories)),
            scores: scores.map(|target| ScoreSink::new(target, from)),
            rates: rates.map(RatesSink::new),
            rejects: rejects.map(RejectSink::new),
            ..Outputs::default()
        })
    }

    fn exit(&self, replayed: &Replayed<'_>, expanded: &Expanded, interrupt: &Interrupt) -> Exit {
        if let Some(exit) = interrupt.exit() {
            return exit;
        }
        let account = &replayed.account;
        if has_input_failed(expanded, &account.losses) {
            return Exit::Failure;
        }
        let lost = expanded
            .problems
            .iter()
            .filter(|problem| problem.is_loss)
            .count();
        let unusable = account.unusable() + lost as u64;
        if self.max_rejects.is_some_and(|limit| unusable > limit) {
            tracing::error!("{unusable} records and files were unusable, more than --max-rejects");
            return Exit::TooManyRejects;
        }
        Exit::Done
    }
}

fn progress_bar(files: &[InputFile], is_shown: bool) -> ProgressBar {
    if !is_shown {
        return ProgressBar::hidden();
    }
    let total: u64 = files.iter().map(InputFile::disk_bytes).sum();
    let is_known = total > 0 && !files.iter().any(InputFile::is_live);
    let bar =
        ProgressBar::with_draw_target(is_known.then_some(total), ProgressDrawTarget::stderr());
    let template = if is_known {
        "{bar:16} {decimal_bytes}/{decimal_total_bytes}, {eta} left, {wide_msg}"
    } else {
        "{spinner} {decimal_bytes}, {wide_msg}"
    };
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    bar.set_style(style);
    bar
}

fn advance(bar: &ProgressBar, progress: &ReplayProgress) {
    bar.set_position(progress.bytes_read);
    if let Some(time) = progress.time
        && !bar.is_hidden()
    {
        bar.set_message(format!("{} insights, {time}", progress.starts));
    }
}

fn summarize(replayed: &Replayed<'_>, expanded: &Expanded, settings: &Settings) -> ReplaySummary {
    let Replayed {
        pipeline,
        account,
        streams,
    } = replayed;
    let stats = pipeline.detection().stats();
    let ingest = pipeline.ingest_counts();
    let sums = account.sums(ingest);
    debug_assert!(sums.add_up(), "{sums:?}");
    let lost = expanded.problems.iter().filter(|problem| problem.is_loss);
    let delivery = pipeline.outputs.insights.as_ref();
    let story_limits = delivery.map(Delivery::limits);
    let limits = [
        ("event ids forgotten early", ingest.limits.ids_forgotten),
        ("early flushes", ingest.limits.early_flushes),
        (
            "rejected records counted only",
            account.decode.rejects_not_kept,
        ),
        ("attribution values cut", account.decode.values_cut),
        (
            "attribution counts over attribution.values_max",
            stats.counts.values_excess,
        ),
        (
            "counts of untracked series",
            stats.counts.entries_untracked_count,
        ),
        (
            "late counts out of reach",
            stats.counts.corrections_dropped_count,
        ),
        ("counts cut to 2^40", stats.counts.entries_capped),
    ];
    ReplaySummary {
        files: account.files_read,
        streams: *streams as u64,
        files_lost: (account.losses.len() + lost.count()) as u64,
        bytes: account.bytes,
        sums,
        span: account.span,
        series: stats.series,
        limits: limits
            .into_iter()
            .chain(story_limits.into_iter().flatten())
            .filter(|(_, count)| *count > 0)
            .collect(),
        starts: pipeline.starts(),
        ends: pipeline.ends(),
        withheld: delivery.map_or(0, Delivery::withheld),
        feedback: (stats.feedback_heeded, settings.detect.feedback.len() as u64),
        in_maintenance: stats.counts.starts_in_maintenance,
        mutes: delivery.map_or(Vec::new(), |one| one.mutes().to_vec()),
        stories: delivery.map(Delivery::stories).unwrap_or_default(),
        threshold: threshold(pipeline, settings),
        ..ReplaySummary::default()
    }
}

fn threshold(pipeline: &Pipeline<'_>, settings: &Settings) -> Option<ThresholdView> {
    let stats = pipeline.detection().stats();
    let weeks = match (stats.origin, stats.closed) {
        (Some(origin), Some(closed)) => f64::from(closed.0 - origin.0) / f64::from(WEEK_MINUTES),
        _ => 0.0,
    };
    pipeline.detection().threshold().map(|z| ThresholdView {
        z,
        budget_per_week: stats.threshold.map(|_| settings.detect.budget_per_week),
        has_scopes: stats.threshold.is_some() && !settings.detect.budgets.is_empty(),
        warning: EngineStats::warning_of(stats.beyond_verified),
        starts_per_week: (weeks >= 1.0).then(|| pipeline.starts() as f64 / weeks),
    })
}
