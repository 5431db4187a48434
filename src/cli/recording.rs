//! What commands share that read recorded logs whole before they say anything of them.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::arguments::{InputArguments, has_input_failed, parse_time};
use super::interrupt::Interrupt;
use super::knowledge;
use super::outputs::check_outputs;
use crate::config::Settings;
use crate::model::EventTime;
use crate::service::ReplayJob;
use crate::source::{Expanded, FileLoss, InputFile, expand};

/// What is read, which part of it is judged, and where reports go.
#[derive(Clone, Debug, Args)]
pub struct RecordingArguments {
    #[command(flatten)]
    input: InputArguments,
    /// Look at insights decided from this time on; what is before teaches only
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<EventTime>,
    /// Input from this time on is not read
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<EventTime>,
    /// Write the report here, too, in the form that the file's ending says; may be repeated
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
}

/// What is about to be read.
pub struct RecordingInput {
    pub replay: ReplayJob,
    pub interrupt: Interrupt,
    expanded: Expanded,
}

impl RecordingArguments {
    /// Finds the files, and refuses reports that would overwrite one of them.
    pub fn open(&self, settings: &Settings) -> Result<RecordingInput, CliError> {
        let expanded = expand(&self.input.paths);
        let reports: Vec<_> = self
            .report
            .iter()
            .map(|path| ("--report", path.as_path()))
            .collect();
        check_outputs(&reports, &expanded.files)?;
        for problem in &expanded.problems {
            tracing::error!("{problem}");
        }
        let interrupt = Interrupt::install()?;
        Ok(RecordingInput {
            replay: ReplayJob {
                files: expanded.files.clone(),
                kind: self.input.kind(settings)?,
                until: self.until,
                since: None,
                threads: self.input.threads()?,
                knowledge: knowledge::load(settings)?,
                stop: interrupt.stop.clone(),
            },
            interrupt,
            expanded,
        })
    }
}

impl RecordingInput {
    /// Whether the input can be read so many times.
    pub fn check_readings(&self, readings: usize) -> Result<(), CliError> {
        if readings > 1 && self.expanded.files.contains(&InputFile::Stdin) {
            return Err(CliError::Usage(
                "settings that count differently need the input to be read more than once, and \
                 standard input cannot be: write it to a file first"
                    .to_string(),
            ));
        }
        Ok(())
    }

    /// Whether a PATH that was named is not there, or nothing could be read at all.
    pub fn has_failed(&self, losses: &[FileLoss]) -> bool {
        has_input_failed(&self.expanded, losses)
    }
}
