//! Arguments that several subcommands share: configuration, formats, times, paths.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::CliError;
use crate::config::{ConfigError, RatesLogKind, Settings, WrittenDocument};
use crate::formats::Format;
use crate::model::EventTime;
use crate::service::InputKind;
use crate::source::{Expanded, FileLoss};

/// Where the settings come from.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgument {
    /// Configuration file (TOML); without one every key has its default
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What is read, and how.
#[derive(Clone, Debug, Args)]
pub struct InputArguments {
    /// What the input holds: auto, cloudtrail, rates, or the name of a mapping
    /// [shipped: ocsf, kubernetes, access_log]
    #[arg(short, long, value_name = "FORMAT", default_value = "auto")]
    pub format: String,
    /// Threads that read, the one that detects included; the output is the same for any number
    /// [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Files, directories (walked in name order), glob patterns, or - for standard input;
    /// gzip and zstd are recognised by content
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

impl ConfigArgument {
    /// The settings as written, with the environment's overrides.
    pub fn read(&self) -> Result<WrittenDocument, CliError> {
        let (origin, text) = match &self.config {
            None => ("default settings".to_string(), String::new()),
            Some(path) => (path.display().to_string(), read_text(path)?),
        };
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Ok(WrittenDocument::read(&origin, &text, environment)?)
    }

    pub fn load(&self) -> Result<Settings, CliError> {
        Ok(self.read()?.check()?)
    }

    /// The settings for a look at the engine that must leave no trace: the rates log stays in
    /// memory, whatever the configuration says.
    pub fn load_for_a_look(&self) -> Result<Settings, CliError> {
        Ok(Settings {
            rates_log: RatesLogKind::Memory,
            ..self.load()?
        })
    }
}

fn read_text(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| {
        CliError::Config(ConfigError {
            origin: path.display().to_string(),
            line: None,
            key: String::new(),
            problem: format!("cannot be read: {error}"),
        })
    })
}

impl InputArguments {
    pub fn kind(&self, settings: &Settings) -> Result<InputKind, CliError> {
        match self.format.as_str() {
            "rates" => Ok(InputKind::Rates),
            name => Ok(InputKind::Events(format_named(name, settings)?)),
        }
    }

    pub fn threads(&self) -> Result<usize, CliError> {
        match self.threads {
            Some(0) => Err(CliError::Usage("--threads: at least 1".to_string())),
            Some(threads) => Ok(threads.min(256)),
            None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        }
    }
}

/// The format of events with this name.
pub fn format_named(name: &str, settings: &Settings) -> Result<Format, CliError> {
    match name {
        "auto" => Ok(Format::Auto),
        "cloudtrail" => Ok(Format::CloudTrail),
        name => match settings.mappings.get(name) {
            Some(mapping) => Ok(Format::Mapping(Arc::clone(mapping))),
            None => Err(unknown_format(name, settings)),
        },
    }
}

fn unknown_format(name: &str, settings: &Settings) -> CliError {
    let mut known = vec!["auto", "cloudtrail", "rates"];
    known.extend(settings.mappings.keys().map(String::as_str));
    CliError::Usage(format!(
        "--format {name}: no such format; there are {}; others are defined in the \
         configuration under [formats.NAME]",
        known.join(", ")
    ))
}

/// Whether a PATH that was named is not there, or nothing could be read at all.
pub fn has_input_failed(expanded: &Expanded, losses: &[FileLoss]) -> bool {
    let problems = &expanded.problems;
    let nothing_was_read = losses.iter().all(|loss| loss.bytes_used == 0)
        && losses.len() == expanded.files.len()
        && !(expanded.files.is_empty() && problems.is_empty());
    problems.iter().any(|problem| problem.is_named_by_user) || nothing_was_read
}

/// Parses a time of the command line: RFC 3339, or a date for its midnight UTC.
pub fn parse_time(text: &str) -> Result<EventTime, String> {
    let midnight = format!("{text}T00:00:00Z");
    EventTime::parse(text)
        .or_else(|| EventTime::parse(&midnight))
        .ok_or_else(|| {
            "write RFC 3339, for example 2024-12-11T16:52:00Z, or a date, 2024-12-11".to_string()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_times_or_dates() {
        assert_eq!(
            parse_time("2024-12-11"),
            parse_time("2024-12-11T01:00:00+01:00")
        );
        assert!(parse_time("yesterday").is_err());
    }
}
