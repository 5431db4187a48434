//! `insightd config`: check a configuration, show what is in force, print its schema.

use clap::{Args, Subcommand};
use schemars::schema_for;

use super::arguments::ConfigArgument;
use super::{CliError, Exit};
use crate::config::{DEFAULT_TEXT, WrittenSettings};
use crate::sink::Target;
use crate::telemetry::say;

/// Check a configuration, show what is in force, print its schema
#[derive(Debug, Args)]
pub struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check a configuration and the environment; exit code 4 if something is wrong
    Check {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Print the settings in force as TOML
    Show {
        #[command(flatten)]
        config: ConfigArgument,
        /// Print every key with where its value comes from
        #[arg(long, conflicts_with = "default")]
        origin: bool,
        /// Print the default configuration with its comments
        #[arg(long, conflicts_with = "config")]
        default: bool,
    },
    /// Print the JSON Schema of the configuration
    Schema,
}

impl ConfigCommand {
    pub fn run(self) -> Result<Exit, CliError> {
        match self.action {
            Action::Check { config } => {
                let settings = config.load()?;
                say(format_args!("ok; settings hash {}", settings.hash));
            }
            Action::Show { default: true, .. } => print(DEFAULT_TEXT)?,
            Action::Show { config, origin, .. } => {
                let document = config.read()?;
                let settings = document.check()?;
                let text = toml::to_string(&settings.written)
                    .map_err(|error| CliError::Failure(error.to_string()))?;
                if origin {
                    print(&with_origins(&text, |key| document.origin_of(key)))?;
                } else {
                    print(&text)?;
                }
            }
            Action::Schema => {
                let schema = schema_for!(WrittenSettings);
                let text = serde_json::to_string_pretty(&schema)
                    .map_err(|error| CliError::Failure(error.to_string()))?;
                print(&(text + "\n"))?;
            }
        }
        Ok(Exit::Done)
    }
}

fn print(text: &str) -> Result<(), CliError> {
    let mut target = Target::stdout();
    target.write(text.as_bytes())?;
    target.flush()?;
    Ok(())
}

/// `key = value` lines with the origin as a comment behind each.
fn with_origins(text: &str, origin_of: impl Fn(&str) -> String) -> String {
    let mut section = String::new();
    let mut out = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_matches(['[', ']']).to_string();
        }
        out.push_str(line);
        if let Some((key, _)) = line.split_once(" = ") {
            let origin = origin_of(&format!("{section}.{key}"));
            out.push_str(&format!("  # {origin}"));
        }
        out.push('\n');
    }
    out
}
