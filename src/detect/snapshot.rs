//! The engine's state as bytes and back.
//!
//! Layout: magic, format version (u32), logic version (u32), length of the settings text (u32),
//! the settings text, the state in postcard's encoding, CRC-32C of all before (u32); integers
//! little-endian. Taking a snapshot changes nothing, and a restored engine goes on to the byte.
//! What was decoded is checked field by field (`invariants`) before anything relies on it.

use thiserror::Error;

use super::engine::{Engine, State};
use super::settings::DetectSettings;

const MAGIC: [u8; 8] = *b"insightS";

/// Form of the bytes.
const FORMAT_VERSION: u32 = 6;

/// Meaning of the state: another number decides otherwise on the same counts.
pub const LOGIC_VERSION: u32 = 6;

/// Bytes before the settings text.
const HEAD_BYTES: usize = 20;

/// Why bytes are no snapshot that this engine can go on from.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SnapshotError {
    #[error("not a snapshot of an insightd engine")]
    Foreign,
    #[error("the snapshot is damaged: its checksum is {found:08x}, not {expected:08x}")]
    Checksum { expected: u32, found: u32 },
    #[error("the snapshot has format {format} and logic {logic}, this version needs {needs}")]
    Version {
        format: u32,
        logic: u32,
        needs: String,
    },
    #[error("the snapshot was made with other settings ({saved}), now ({now})")]
    Settings { saved: String, now: String },
    #[error("the snapshot cannot be decoded: {0}")]
    Malformed(String),
    #[error("the snapshot is no state of an engine: {0}")]
    Inconsistent(String),
}

/// What stands before the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHeader {
    pub format_version: u32,
    pub logic_version: u32,
    /// The settings that change decisions, as text.
    pub settings: String,
}

impl SnapshotHeader {
    /// Checks the whole and reads the head.
    pub fn read(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let word = |at: usize| {
            let bytes = bytes.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let head = (word(8), word(12), word(16));
        let (Some(format_version), Some(logic_version), Some(length)) = head else {
            return Err(SnapshotError::Foreign);
        };
        if !bytes.starts_with(&MAGIC) || bytes.len() < HEAD_BYTES + 4 {
            return Err(SnapshotError::Foreign);
        }
        let body = &bytes[..bytes.len() - 4];
        let expected = word(bytes.len() - 4).unwrap_or_default();
        let found = crc32c::crc32c(body);
        if expected != found {
            return Err(SnapshotError::Checksum { expected, found });
        }
        let text = body[HEAD_BYTES..].get(..length as usize);
        let settings = text.and_then(|text| std::str::from_utf8(text).ok());
        let Some(settings) = settings else {
            return Err(SnapshotError::Malformed(
                "the settings are no text".to_string(),
            ));
        };
        Ok(SnapshotHeader {
            format_version,
            logic_version,
            settings: settings.to_string(),
        })
    }
}

impl Engine {
    /// The state as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let settings = settings_text(&self.settings);
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC);
        for word in [FORMAT_VERSION, LOGIC_VERSION, settings.len() as u32] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(settings.as_bytes());
        let mut bytes = postcard::to_extend(&self.state, bytes)
            .expect("the state holds nothing that postcard cannot write");
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// An engine that goes on where `bytes` were taken, under the same settings.
    pub fn restore(settings: DetectSettings, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let header = SnapshotHeader::read(bytes)?;
        let versions = (header.format_version, header.logic_version);
        if versions != (FORMAT_VERSION, LOGIC_VERSION) {
            return Err(SnapshotError::Version {
                format: versions.0,
                logic: versions.1,
                needs: format!("format {FORMAT_VERSION} and logic {LOGIC_VERSION}"),
            });
        }
        let now = settings_text(&settings);
        if header.settings != now {
            return Err(SnapshotError::Settings {
                saved: header.settings,
                now,
            });
        }
        let body = &bytes[HEAD_BYTES + now.len()..bytes.len() - 4];
        let decoded = postcard::from_bytes::<State>(body);
        let mut state = decoded.map_err(|error| SnapshotError::Malformed(error.to_string()))?;
        let mut engine = Engine::new(settings);
        state
            .check(&engine.settings, &engine.tuning, &engine.state)
            .map_err(SnapshotError::Inconsistent)?;
        state.rebuild(&engine.settings);
        state.fleet.rebuild(&engine.state.fleet);
        engine.state = state;
        Ok(engine)
    }
}

/// The settings that change decisions, as text; floats by their shortest exact form.
fn settings_text(settings: &DetectSettings) -> String {
    let DetectSettings {
        budget_per_week,
        budgets,
        fixed_z,
        profile,
        bucket_minutes,
        series_max,
        values_max,
        waiting_max,
        holds_drops,
        calendars,
        // More may be said of the same state.
        feedback: _,
        fleet,
    } = settings;
    let calendars = match calendars[..] {
        [] => String::new(),
        _ => format!(" calendars={calendars:?}"),
    };
    let budgets: Vec<String> = budgets
        .iter()
        .map(|scope| format!("{}:{:?}", scope.name(), scope.per_week))
        .collect();
    format!(
        "budget_per_week={budget_per_week:?} budgets={budgets:?} fixed_z={fixed_z:?} \
         profile={profile:?} \
         bucket_minutes={bucket_minutes} series_max={series_max} values_max={values_max} \
         waiting_max={waiting_max} holds_drops={holds_drops} fleet={fleet:?}{calendars}"
    )
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
