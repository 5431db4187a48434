//! `insightd state`: look into a state file, take it apart, put it together.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::{CliError, Exit};
use crate::service::{StateFile, StateHeader};
use crate::sink::Target;

/// Inspect, export or import the state that `replay --state-out` leaves
#[derive(Debug, Args)]
pub struct StateCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print what a state holds: time, settings, series, memory by part, open incidents
    Inspect {
        /// State file
        file: PathBuf,
    },
    /// Print a state as JSON: the header readable, the engine in base64
    Export {
        /// State file
        file: PathBuf,
        /// Write here instead of standard output
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make a state file of what `export` printed
    Import {
        /// JSON file
        file: PathBuf,
        /// State file to write
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// A state as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exported {
    header: StateHeader,
    /// The engine's snapshot in base64.
    snapshot: String,
}

impl StateCommand {
    pub fn run(self) -> Result<Exit, CliError> {
        match self.action {
            Action::Inspect { file } => inspect(&file),
            Action::Export { file, out } => export(&file, out.as_deref()),
            Action::Import { file, out } => import(&file, &out),
        }
    }
}

fn inspect(path: &Path) -> Result<Exit, CliError> {
    let state = StateFile::read(path)?;
    let settings = state.settings()?;
    let engine = state.restore(path, &settings)?;
    let stats = engine.stats();
    let minute = |minute: Option<crate::model::Minute>| {
        minute.map_or("-".to_string(), |minute| minute.to_string())
    };
    let mut text = format!(
        "engine version  {}\nsettings hash   {}\norigin          {}\nclosed up to    {}\n\
         series          {}\nopen incidents  {}\n",
        state.header.engine_version,
        state.header.settings_hash,
        minute(stats.origin),
        minute(stats.closed),
        stats.series,
        stats.incidents_open,
    );
    if let Some(threshold) = stats.threshold {
        text += &format!("threshold       {:.2} decades\n", threshold.z);
    }
    text += &format!("memory          {} bytes\n", stats.memory_bytes());
    for (part, bytes) in [
        ("registry", stats.registry_bytes),
        ("window", stats.window_bytes),
        ("days", stats.days_bytes),
        ("values", stats.values_bytes),
        ("recent", stats.recent_bytes),
        ("wheel", stats.wheel_bytes),
        ("states", stats.states_bytes),
        ("waiting", stats.waiting_bytes),
    ] {
        text += &format!("  {part:13} {bytes}\n");
    }
    text += "settings\n";
    for line in settings.canonical.lines() {
        text += &format!("  {line}\n");
    }
    print(&text, None)
}

fn export(path: &Path, out: Option<&Path>) -> Result<Exit, CliError> {
    let state = StateFile::read(path)?;
    let exported = Exported {
        header: state.header,
        snapshot: STANDARD.encode(&state.snapshot),
    };
    let text = serde_json::to_string_pretty(&exported).expect("plain values become JSON");
    print(&(text + "\n"), out)
}

fn import(path: &Path, out: &Path) -> Result<Exit, CliError> {
    let failed = |problem: String| CliError::Failure(format!("{}: {problem}", path.display()));
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let exported: Exported =
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    let snapshot = STANDARD
        .decode(&exported.snapshot)
        .map_err(|error| failed(format!("snapshot: {error}")))?;
    let state = StateFile {
        header: exported.header,
        snapshot,
    };
    state.restore(path, &state.settings()?)?;
    state.write(out)?;
    Ok(Exit::Done)
}

fn print(text: &str, out: Option<&Path>) -> Result<Exit, CliError> {
    let mut target = Target::open(out)?;
    target.write(text.as_bytes())?;
    target.flush()?;
    Ok(Exit::Done)
}
