//! Settings: as somebody wrote them, and as the rest of the house may rely on them.
//!
//! One TOML text plus `INSIGHTD_SECTION__KEY` overrides becomes [`WrittenSettings`]; checked
//! against each other they become [`Settings`]. A wrong key or value is an error that says
//! what is wrong, where, and what to do. It reads no file and no environment itself.

mod budgets;
mod calendars;
mod document;
mod knowledge;
mod knowledge_written;
mod quantity;
mod service;
mod service_written;
mod settings;
mod written;

pub use document::{ConfigError, WrittenDocument};
pub use knowledge::KnowledgeSettings;
pub use quantity::Seconds;
pub use service::{
    CheckpointSettings, HttpSettings, IngestStageSettings, KafkaSettings, ServiceSettings,
    SilenceSettings,
};
pub use service_written::{LogStyle, OnGap, Role, Secret, Start};
pub use settings::{RatesLogKind, Settings};
pub use written::{ProfileName, RatesLogName, WrittenSettings};

/// The default configuration: every key with its default and a comment.
pub const DEFAULT_TEXT: &str = include_str!("../../config/insightd.toml");
