//! `insightd diff`: two settings on the same logs.

use std::path::{Path, PathBuf};

use clap::Args;

use super::arguments::ConfigArgument;
use super::recording::RecordingArguments;
use super::report_file::{Form, ReportFiles, json, write_text};
use super::{CliError, Exit, knowledge};
use crate::config::RatesLogKind;
use crate::service::diff::DiffJob;
use crate::service::tune::TuneSetting;
use crate::tuning::diff::DiffReport;
use crate::tuning::{csv, markdown};

/// Compare two configurations on the same logs: insights gained, lost and moved
///
/// Prints each difference with its reason and exits with 3 if there is one, so that a change of
/// settings can be held to what it does. Reports are Markdown, CSV or JSON (.md, .csv, .json).
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
    recording: RecordingArguments,
}

const FORMS: [Form<DiffReport>; 3] = [("md", markdown::diff), ("csv", csv::diff), ("json", json)];

const EXAMPLES: &str = "\
Examples:
  insightd diff -a now.toml -b then.toml logs/
  insightd diff -a now.toml -b then.toml --report change.md logs/ || echo differs";

impl DiffCommand {
    pub fn run(self) -> Result<Exit, CliError> {
        let files = ReportFiles::new(&self.recording.report, &FORMS)?;
        let mut first = side(&self.first, &self.second)?;
        let mut second = side(&self.second, &self.first)?;
        let input = self.recording.open(&first.settings)?;
        for side in [&mut first, &mut second] {
            knowledge::give(&mut side.settings, &input.replay.knowledge);
        }
        let job = DiffJob {
            replay: input.replay.clone(),
            first,
            second,
            from: self.recording.from,
        };
        input.check_readings(job.recordings())?;
        let ended = job.run(&mut |_| {})?;
        let (Some((report, losses)), None) = (ended, input.interrupt.exit()) else {
            return Ok(input.interrupt.exit().unwrap_or(Exit::Failure));
        };
        write_text(None, &markdown::diff(&report))?;
        files.write(&report)?;
        Ok(match report.differences.is_empty() {
            _ if input.has_failed(&losses) => Exit::Failure,
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
