//! `insightd run`: the Kafka consumer service.

use clap::Args;

use super::arguments::{ConfigArgument, format_named};
use super::interrupt::Interrupt;
use super::{CliError, Exit};
use crate::config::{ConfigError, LogStyle};
use crate::service::run::{RunError, run};
use crate::telemetry::{LogFormat, LogSettings, Verbosity, start_logging};

/// Run the service: read events from Kafka, write insights to Kafka
///
/// Ctrl-C and SIGTERM commit what was counted and save all state; a second one ends at once.
/// config/kafka.toml is a configuration to begin with.
#[derive(Debug, Args)]
pub struct RunCommand {
    #[command(flatten)]
    config: ConfigArgument,
}

impl RunCommand {
    pub fn run(self, is_quiet: bool, filter: Option<&str>) -> Result<Exit, CliError> {
        let document = self.config.read()?;
        let settings = document.check()?;
        let log_lines = start_logging(LogSettings {
            verbosity: if is_quiet {
                Verbosity::Quiet
            } else {
                Verbosity::Verbose
            },
            filter,
            format: match settings.log {
                LogStyle::Text => LogFormat::Text,
                LogStyle::Json => LogFormat::Json,
            },
        });
        let format = format_named(&settings.service.kafka.format, &settings).map_err(|_| {
            let names = settings.mappings.keys().map(String::as_str);
            let names: Vec<&str> = ["auto", "cloudtrail"].into_iter().chain(names).collect();
            document.error(
                "kafka.format",
                format!("no such format; there are {}", names.join(", ")),
            )
        })?;
        let interrupt = Interrupt::install()?;
        match run(settings, format, interrupt.stop, log_lines) {
            Ok(()) => Ok(Exit::Done),
            Err(RunError::Config { key, problem }) => {
                let error: ConfigError = document.error(&key, problem);
                Err(error.into())
            }
            Err(other) => Err(CliError::Failure(other.to_string())),
        }
    }
}
