//! The state of an engine as a file: a header that people can read, then the snapshot.
//!
//! Layout: the magic line, the header's length (4 bytes, little-endian), the header as JSON,
//! the snapshot, and the CRC-32C of all before it (4 bytes, little-endian). A state belongs to
//! the settings it was made with; nothing else may go on from it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::{ConfigError, Settings, WrittenSettings};
use crate::detect::Engine;

const MAGIC: &[u8] = b"insightd state 1\n";
/// Length and checksum beside header and snapshot.
const FIXED_BYTES: usize = MAGIC.len() + 4 + 4;

/// Why a state cannot be read, written or gone on from.
#[derive(Debug, Error)]
pub enum StateError {
    #[error("cannot {what} {path}: {source}")]
    Io {
        what: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path}: not a state file of this version: {reason}")]
    Invalid { path: String, reason: String },
    #[error(
        "{path}: it was made with other settings; run with the same ones, or begin without it.\n\
         {difference}"
    )]
    OtherSettings { path: String, difference: String },
}

/// What a state file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateHeader {
    pub engine_version: String,
    pub settings_hash: String,
    /// The settings as written; they belong to the state.
    pub settings: WrittenSettings,
    /// Counts before this minute are final; RFC 3339.
    pub time: Option<String>,
}

/// A state, in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct StateFile {
    pub header: StateHeader,
    pub snapshot: Vec<u8>,
}

impl StateFile {
    pub fn new(engine: &Engine, settings: &Settings) -> Self {
        StateFile {
            header: StateHeader {
                engine_version: env!("CARGO_PKG_VERSION").to_string(),
                settings_hash: settings.hash.clone(),
                settings: settings.written.clone(),
                time: engine.stats().closed.map(|minute| minute.to_string()),
            },
            snapshot: engine.snapshot(),
        }
    }

    pub fn read(path: &Path) -> Result<Self, StateError> {
        let bytes = std::fs::read(path).map_err(|source| io_error("read", path, source))?;
        Self::parse(&bytes).map_err(|reason| StateError::Invalid {
            path: path.display().to_string(),
            reason,
        })
    }

    /// Writes to what `path` names, through links: a file is replaced in one step, so that
    /// there is always a whole one; a device or a pipe is written to.
    pub fn write(&self, path: &Path) -> Result<(), StateError> {
        let write = || match std::fs::canonicalize(path) {
            Ok(existing) if existing.is_file() => self.replace(&existing),
            Ok(existing) => File::create(existing)?.write_all(&self.to_bytes()),
            Err(_) => self.replace(path),
        };
        write().map_err(|source| io_error("write", path, source))
    }

    /// Writes a temporary file beside `path` and renames it.
    fn replace(&self, path: &Path) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.incomplete", std::process::id()));
        let temporary = Path::new(&temporary);
        let write = || {
            let mut file = File::create(temporary)?;
            file.write_all(&self.to_bytes())?;
            file.sync_all()?;
            std::fs::rename(temporary, path)
        };
        write().inspect_err(|_| {
            // What was written of it is of no use; the cause is told in any case.
            let _ = std::fs::remove_file(temporary);
        })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let header = serde_json::to_vec(&self.header).expect("plain values become JSON");
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&self.snapshot);
        let sum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < FIXED_BYTES || !bytes.starts_with(MAGIC) {
            return Err("it does not begin as one".to_string());
        }
        let (body, sum) = bytes.split_at(bytes.len() - 4);
        if crc32c::crc32c(body).to_le_bytes() != sum {
            return Err("its checksum is wrong; it is damaged or cut off".to_string());
        }
        let rest = &body[MAGIC.len()..];
        let (length, rest) = rest.split_at(4);
        let length = length.try_into().expect("four bytes were split off");
        let length = u32::from_le_bytes(length) as usize;
        let Some((header, snapshot)) = rest.split_at_checked(length) else {
            return Err("its header is longer than the file".to_string());
        };
        let header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
        Ok(StateFile {
            header,
            snapshot: snapshot.to_vec(),
        })
    }

    /// The settings that the state was made with.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        Settings::check(&self.header.settings).map_err(|(key, problem)| ConfigError {
            origin: "state file".to_string(),
            line: None,
            key,
            problem,
        })
    }

    /// The engine as it was; `path` is for messages.
    pub fn restore(&self, path: &Path, settings: &Settings) -> Result<Engine, StateError> {
        let path = path.display().to_string();
        if self.header.settings_hash != settings.hash {
            let saved = Settings::check(&self.header.settings).map(|saved| saved.canonical);
            let difference = difference(&saved.unwrap_or_default(), &settings.canonical);
            return Err(StateError::OtherSettings { path, difference });
        }
        Engine::restore(settings.detect.clone(), &self.snapshot).map_err(|error| {
            StateError::Invalid {
                path,
                reason: error.to_string(),
            }
        })
    }
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> StateError {
    StateError::Io {
        what,
        path: path.display().to_string(),
        source,
    }
}

/// The lines in which two canonical texts differ.
fn difference(of_state: &str, of_run: &str) -> String {
    let mut lines = Vec::new();
    for line in of_state.lines() {
        if !of_run.lines().any(|other| other == line) {
            lines.push(format!("  state: {line}"));
        }
    }
    for line in of_run.lines() {
        if !of_state.lines().any(|other| other == line) {
            lines.push(format!("  now:   {line}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> StateFile {
        StateFile {
            header: StateHeader {
                engine_version: "1".to_string(),
                settings_hash: "h".to_string(),
                settings: WrittenSettings::default(),
                time: None,
            },
            snapshot: vec![1, 2, 3],
        }
    }

    #[test]
    fn a_state_comes_back_and_damage_is_noticed() {
        let bytes = state().to_bytes();
        assert_eq!(StateFile::parse(&bytes), Ok(state()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(StateFile::parse(&damaged).is_err(), "byte {at}");
            assert!(StateFile::parse(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_differing_settings_are_named() {
        assert_eq!(
            difference("a = 1\nb = 2\n", "a = 1\nb = 3\n"),
            "  state: b = 2\n  now:   b = 3"
        );
    }
}
