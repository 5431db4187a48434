//! Drives the two stages: files through ingest, the rates log, detection and into the sinks.
//!
//! It moves values between rooms in one order and decides nothing about them. The same
//! [`Pipeline`] serves replay and demo, so what they show is what the service will do.

mod account;
mod delivery;
mod detection;
pub mod diff;
mod pipeline;
mod replay;
#[cfg(feature = "kafka")]
pub mod run;
mod state_file;
mod stream_files;
mod sweep;
pub mod tune;
mod what_if;

pub use account::Account;
pub use delivery::Delivery;
pub use detection::Detection;
pub use pipeline::{Outputs, Pipeline, ServiceError};
pub use replay::{InputKind, ReplayJob, ReplayProgress, Replayed, replay};
pub use state_file::{StateError, StateFile, StateHeader};
pub use sweep::{Sweep, Swept};
pub use what_if::WhatIf;
