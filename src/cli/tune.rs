//! `insightd tune`: what settings cost and find on recorded logs, and which to take.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::arguments::{ConfigArgument, InputArguments, has_input_failed, parse_time};
use super::interrupt::Interrupt;
use super::report_file::{Form, json, write_report};
use super::{CliError, Exit, grid};
use crate::config::RatesLogKind;
use crate::model::EventTime;
use crate::service::ReplayJob;
use crate::service::tune::{TuneJob, TuneProgress};
use crate::source::{InputFile, expand};
use crate::tuning::scoring::{Label, parse_labels};
use crate::tuning::{csv, markdown, page};

/// Try settings on recorded logs: what they cost, what they find, and which to take
///
/// Reads the input once, runs the present settings and a grid of others over its counts, plants
/// labelled incidents on copies of its series, and recommends only what the input supports.
/// The report goes to standard output as Markdown.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct TuneCommand {
    #[command(flatten)]
    config: ConfigArgument,
    #[command(flatten)]
    input: InputArguments,
    /// Known incidents, CSV:
    /// account,region,event_source,event_name,insight_type,error_code,start,end,kind
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Settings to try: TOML with a list of values for each key, all combinations of them
    /// [default: the present ones and budgets from a tenth to thirty times]
    #[arg(long, value_name = "FILE")]
    grid: Option<PathBuf>,
    /// False insights a week that you accept [default: detector.budget_per_week]
    #[arg(long, value_name = "N")]
    budget: Option<f64>,
    /// Judge insights from this time on; what is before teaches only
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<EventTime>,
    /// Input from this time on is not read
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<EventTime>,
    /// Write the report here, too; its ending says the form: .html, .md, .csv or .json
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
}

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
        let budget = self.budget.unwrap_or(present.detect.budget_per_week);
        if !(0.001..=1e6).contains(&budget) {
            let problem = format!("--budget: {budget} is not between 0.001 and 1000000");
            return Err(CliError::Usage(problem));
        }
        let forms = Form::of_all(&self.report)?;
        let mut settings = match &self.grid {
            Some(path) => grid::read(&document, path)?,
            None => grid::ladder(&document, budget)?,
        };
        for setting in &mut settings {
            // Rates stay in memory, whatever the configuration says.
            setting.settings.rates_log = RatesLogKind::Memory;
        }
        let labels = self.labels.as_deref().map(read_labels).transpose()?;
        let expanded = expand(&self.input.paths);
        for problem in &expanded.problems {
            tracing::error!("{problem}");
        }
        let interrupt = Interrupt::install()?;
        let job = TuneJob {
            replay: ReplayJob {
                files: expanded.files.clone(),
                kind: self.input.kind(&present)?,
                until: self.until,
                since: None,
                threads: self.input.threads()?,
                stop: interrupt.stop.clone(),
            },
            settings,
            labels: labels.unwrap_or_default(),
            budget_per_week: budget,
            from: self.from,
        };
        if job.recordings() > 1 && expanded.files.contains(&InputFile::Stdin) {
            return Err(CliError::Usage(
                "the grid changes what is counted, so the input has to be read more than once; \
                 standard input cannot be: write it to a file first"
                    .to_string(),
            ));
        }
        let bar = bar(!is_quiet);
        let ended = job.run(&|progress| show(&bar, progress))?;
        bar.finish_and_clear();
        let (Some((report, losses)), None) = (ended, interrupt.exit()) else {
            return Ok(interrupt.exit().unwrap_or(Exit::Failure));
        };
        let text = |form: Form| match form {
            Form::Html => page::tune(&report),
            Form::Markdown => markdown::tune(&report),
            Form::Csv => csv::tune(&report),
            Form::Json => json(&report),
        };
        write_report(None, &text(Form::Markdown))?;
        for (path, form) in self.report.iter().zip(forms) {
            write_report(Some(path), &text(form))?;
        }
        Ok(if has_input_failed(&expanded, &losses) {
            Exit::Failure
        } else {
            Exit::Done
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
