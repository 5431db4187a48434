//! `insightd tune`: what settings cost and find on recorded logs, and which to take.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::arguments::ConfigArgument;
use super::recording::RecordingArguments;
use super::report_file::{Form, ReportFiles, json, write_text};
use super::{CliError, Exit, grid, knowledge};
use crate::config::RatesLogKind;
use crate::service::tune::{TuneJob, TuneProgress};
use crate::tuning::report::TuneReport;
use crate::tuning::scoring::{Label, parse_labels};
use crate::tuning::{csv, markdown, page};

/// Try settings on recorded logs: what they cost, what they find, and which to take
///
/// Reads the input once, runs the present settings and a grid of others over its counts, plants
/// labelled incidents on copies of its series, and recommends only what the input supports.
/// The report goes to standard output as Markdown; files can be .html, .md, .csv and .json.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct TuneCommand {
    #[command(flatten)]
    config: ConfigArgument,
    #[command(flatten)]
    recording: RecordingArguments,
    /// Known incidents, CSV:
    /// account,region,event_source,event_name,insight_type,error_code,start,end,kind
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Settings to try: TOML with a list of values for each key, all combinations of them
    /// [default: the present ones and budgets from a tenth to thirty times]
    #[arg(long, value_name = "FILE")]
    grid: Option<PathBuf>,
    /// False insights a week that you accept [default: those of the settings]
    #[arg(long, value_name = "N")]
    budget: Option<f64>,
}

const FORMS: [Form<TuneReport>; 4] = [
    ("html", page::tune),
    ("md", markdown::tune),
    ("csv", csv::tune),
    ("json", json),
];

const EXAMPLES: &str = "\
Examples:
  insightd tune logs/                                     what would a budget cost and find?
  insightd tune --budget 3 --report tune.html logs/       the same for three a week, as a page
  insightd tune --labels incidents.csv --grid g.toml logs/

A grid:
  detector.budget_per_week = [0.5, 1, 2]
  counting.read_calls = [false, true]";

impl TuneCommand {
    pub fn run(self, is_quiet: bool) -> Result<Exit, CliError> {
        let document = self.config.read()?;
        let present = document.check()?;
        let budget = self
            .budget
            .unwrap_or_else(|| present.detect.budget_in_all());
        if !(0.001..=1e6).contains(&budget) {
            let problem = format!("--budget: {budget} is not between 0.001 and 1000000");
            return Err(CliError::Usage(problem));
        }
        let files = ReportFiles::new(&self.recording.report, &FORMS)?;
        let mut settings = match &self.grid {
            Some(path) => grid::read(&document, path)?,
            None => grid::ladder(&document, budget)?,
        };
        for setting in &mut settings {
            // Rates stay in memory, whatever the configuration says.
            setting.settings.rates_log = RatesLogKind::Memory;
        }
        let labels = self.labels.as_deref().map(read_labels).transpose()?;
        let input = self.recording.open(&present)?;
        for setting in &mut settings {
            knowledge::give(&mut setting.settings, &input.replay.knowledge);
        }
        let job = TuneJob {
            replay: input.replay.clone(),
            settings,
            labels: labels.unwrap_or_default(),
            budget_per_week: budget,
            from: self.recording.from,
        };
        input.check_readings(job.recordings())?;
        let bar = bar(!is_quiet);
        let ended = job.run(&|progress| show(&bar, progress))?;
        bar.finish_and_clear();
        let (Some((report, losses)), None) = (ended, input.interrupt.exit()) else {
            return Ok(input.interrupt.exit().unwrap_or(Exit::Failure));
        };
        write_text(None, &markdown::tune(&report))?;
        files.write(&report)?;
        Ok(match input.has_failed(&losses) {
            true => Exit::Failure,
            false => Exit::Done,
        })
    }
}

fn read_labels(path: &Path) -> Result<Vec<Label>, CliError> {
    let failed = |problem: String| CliError::Usage(format!("{}: {problem}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|error| failed(format!("cannot be read: {error}")))?;
    parse_labels(&text).map_err(failed)
}

fn bar(is_shown: bool) -> ProgressBar {
    let target = match is_shown {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar
}

fn show(bar: &ProgressBar, progress: TuneProgress) {
    let text = match progress {
        TuneProgress::Reading(progress) => {
            let time = progress.time.map_or(String::new(), |time| time.to_string());
            format!("reading, {} bytes, {time}", progress.bytes_read)
        }
        TuneProgress::Running(done, all) => format!("{done} of {all} settings ran"),
        TuneProgress::Planting => "planting incidents, running every setting on them".to_string(),
    };
    bar.set_message(text);
    bar.tick();
}
