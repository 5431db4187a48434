//! Outcomes of a command and their exit codes, which scripts rely on.

use std::process::ExitCode;

use thiserror::Error;

use crate::config::ConfigError;
use crate::service::{ServiceError, StateError};
use crate::sink::SinkError;
use crate::store::KnowledgeError;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failure,
    Usage,
    /// A check found something.
    Found,
    ConfigInvalid,
    /// More input was unusable than allowed.
    TooManyRejects,
    /// Cut short by Ctrl-C.
    Interrupted,
    /// Cut short by SIGTERM.
    Terminated,
}

/// Why a command could not do what it was asked.
#[derive(Debug, Error)]
pub enum CliError {
    #[error("{0}")]
    Usage(String),
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    #[error("{0}")]
    Failure(String),
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Found => 3,
            Exit::ConfigInvalid => 4,
            Exit::TooManyRejects => 5,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

impl CliError {
    pub fn exit(&self) -> Exit {
        match self {
            CliError::Usage(_) => Exit::Usage,
            CliError::Config(_) => Exit::ConfigInvalid,
            _ if self.is_quiet() => Exit::Done,
            _ => Exit::Failure,
        }
    }

    /// The reader of standard output has seen enough: nothing went wrong, nothing is said.
    pub fn is_quiet(&self) -> bool {
        matches!(self, CliError::Service(ServiceError::Sink(error)) if error.is_broken_pipe())
    }
}

impl From<SinkError> for CliError {
    fn from(error: SinkError) -> Self {
        CliError::Service(error.into())
    }
}

impl From<StateError> for CliError {
    fn from(error: StateError) -> Self {
        CliError::Service(error.into())
    }
}
