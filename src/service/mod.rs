//! Drives the two stages: files through ingest, the rates log, detection and into the sinks.
//!
//! It moves values between rooms in one order and decides nothing about them. The same
//! [`Pipeline`] serves replay and demo, so what they show is what the service will do.

mod account;
mod charts;
mod delivery;
mod detection;
pub mod diff;
mod explain;
mod lockstep;
mod pipeline;
mod recorder;
mod replay;
mod replay_report;
#[cfg(feature = "kafka")]
pub mod run;
mod state_file;
mod stream_files;
mod sweep;
pub mod tune;
mod what_if;

pub use account::Account;
pub use charts::{ChartRun, Drawn};
pub use delivery::Delivery;
pub use detection::Detection;
pub use explain::Closely;
pub use pipeline::{Outputs, Pipeline, ServiceError};
pub use recorder::{Recorded, Recorder};
pub use replay::{InputKind, ReplayJob, ReplayProgress, Replayed, replay};
pub use replay_report::ReplayReport;
pub use state_file::{StateError, StateFile, StateHeader};
pub use sweep::{Sweep, Swept};
pub use what_if::WhatIf;
