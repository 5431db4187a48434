//! `insightd diff`: two settings on the same logs.

use std::path::{Path, PathBuf};

use clap::Args;

use super::arguments::ConfigArgument;
use super::recording::RecordingArguments;
use super::report_file::{Form, ReportFiles, json, write_text};
use super::{CliError, Exit, knowledge};
use crate::config::RatesLogKind;
use crate::service::diff::{DiffJob, Differing};
use crate::service::tune::TuneSetting;
use crate::tuning::{csv, markdown, page};

/// Compare two configurations on the same logs: insights gained, lost and moved
///
/// Prints each difference with its reason and exits with 3 if there is one, so that a change of
/// settings can be held to what it does. Reports can be .html (with charts), .md, .csv and .json.
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

const FORMS: [Form<Differing>; 4] = [
    ("html", |differing| page::timeline(&differing.timeline)),
    ("md", |differing| markdown::diff(&differing.report)),
    ("csv", |differing| csv::diff(&differing.report)),
    ("json", |differing| json(&differing.report)),
];

const EXAMPLES: &str = "\
Examples:
  insightd diff -a now.toml -b then.toml logs/
  insightd diff -a now.toml -b then.toml --report change.html logs/ || echo differs";

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
            wants_charts: self.recording.report.iter().any(|path| is_page(path)),
        };
        input.check_readings(job.recordings())?;
        let ended = job.run(&mut |_| {})?;
        let (Some((differing, losses)), None) = (ended, input.interrupt.exit()) else {
            return Ok(input.interrupt.exit().unwrap_or(Exit::Failure));
        };
        write_text(None, &markdown::diff(&differing.report))?;
        files.write(&differing)?;
        Ok(match differing.report.differences.is_empty() {
            _ if input.has_failed(&losses) => Exit::Failure,
            true => Exit::Done,
            false => Exit::Found,
        })
    }
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "html")
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
