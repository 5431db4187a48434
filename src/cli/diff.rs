//! `insightd diff`: two settings on the same logs.

use std::path::{Path, PathBuf};

use clap::Args;

use super::arguments::{ConfigArgument, InputArguments, has_input_failed, parse_time};
use super::interrupt::Interrupt;
use super::report_file::{Form, write_report};
use super::{CliError, Exit};
use crate::config::RatesLogKind;
use crate::model::EventTime;
use crate::service::ReplayJob;
use crate::service::diff::DiffJob;
use crate::service::tune::TuneSetting;
use crate::source::{InputFile, expand};
use crate::tuning::{csv, markdown};

/// Compare two configurations on the same logs: insights gained, lost and moved
///
/// Prints each difference with its reason and exits with 3 if there is one, so that a change of
/// settings can be held to what it does.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct DiffCommand {
    /// The first configuration (TOML); an empty file has every default
    #[arg(short = 'a', long, value_name = "FILE")]
    first: PathBuf,
    /// The second configuration
    #[arg(short = 'b', long, value_name = "FILE")]
    second: PathBuf,
    #[command(flatten)]
    input: InputArguments,
    /// Insights decided before this time are left out
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<EventTime>,
    /// Input from this time on is not read
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<EventTime>,
    /// Write the report here, too; its ending says the form: .md, .csv or .json
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  insightd diff -a now.toml -b then.toml logs/
  insightd diff -a now.toml -b then.toml --report change.md logs/ || echo differs";

impl DiffCommand {
    pub fn run(self, _is_quiet: bool) -> Result<Exit, CliError> {
        let forms = Form::of_all(&self.report)?;
        if forms.contains(&Form::Html) {
            let problem = "--report: there is no .html of a diff; use .md, .csv or .json";
            return Err(CliError::Usage(problem.to_string()));
        }
        let first = side(&self.first, &self.second)?;
        let second = side(&self.second, &self.first)?;
        let expanded = expand(&self.input.paths);
        for problem in &expanded.problems {
            tracing::error!("{problem}");
        }
        let interrupt = Interrupt::install()?;
        let job = DiffJob {
            replay: ReplayJob {
                files: expanded.files.clone(),
                kind: self.input.kind(&first.settings)?,
                until: self.until,
                since: None,
                threads: self.input.threads()?,
                stop: interrupt.stop.clone(),
            },
            first,
            second,
            from: self.from,
        };
        if job.recordings() > 1 && expanded.files.contains(&InputFile::Stdin) {
            return Err(CliError::Usage(
                "the two configurations count differently, so the input has to be read twice; \
                 standard input cannot be: write it to a file first"
                    .to_string(),
            ));
        }
        let ended = job.run(&mut |_| {})?;
        let (Some((report, losses)), None) = (ended, interrupt.exit()) else {
            return Ok(interrupt.exit().unwrap_or(Exit::Failure));
        };
        let text = |form: Form| match form {
            Form::Html => unreachable!("it was refused"),
            Form::Markdown => markdown::diff(&report),
            Form::Csv => csv::diff(&report),
            Form::Json => super::report_file::json(&report),
        };
        write_report(None, &text(Form::Markdown))?;
        for (path, form) in self.report.iter().zip(forms) {
            write_report(Some(path), &text(form))?;
        }
        Ok(match report.differences.is_empty() {
            _ if has_input_failed(&expanded, &losses) => Exit::Failure,
            true => Exit::Done,
            false => Exit::Found,
        })
    }
}

/// The settings of one side, named as its file is where the other's name differs.
fn side(path: &Path, other: &Path) -> Result<TuneSetting, CliError> {
    let argument = ConfigArgument {
        config: Some(path.to_path_buf()),
    };
    let mut settings = argument.load()?;
    settings.rates_log = RatesLogKind::Memory;
    let short = |path: &Path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let name = match short(path) != short(other) {
        true => short(path),
        false => path.display().to_string(),
    };
    Ok(TuneSetting {
        name,
        overrides: Vec::new(),
        toml: String::new(),
        settings,
    })
}
