//! insightd: CloudTrail Insights for any audit stream.
//!
//! The map of the rooms, in the order in which an event passes them:
//!
//! | room | what it owns |
//! | --- | --- |
//! | [`model`] | the values every room talks about: time, series, events, rates, insights |
//! | [`formats`] | bytes to values and back, one file per format |
//! | [`ingest`] | stage 1: which events count, duplicates, lateness, tallies |
//! | [`detect`] | stage 2: window, baseline, incident; a pure function of the rates log |
//! | [`protocol`] | the consumer's protocol: assign, restore, commit, as state machines |
//! | [`view`] | what outsiders may see of the engine |
//! | [`tuning`] | what settings cost and find on recorded logs, how two differ |
//! | [`synth`] | labelled traffic with known answers |
//! | [`config`] | settings as written, settings as checked |
//! | [`source`], [`sink`], [`rateslog`] | the shell: where bytes come from and go to |
//! | [`store`] | the shell: checkpoints, and the file of what people know |
//! | `http` | the shell: liveness, readiness and metrics for who runs the service |
//! | [`telemetry`] | logging and metrics |
//! | [`service`] | drives the two stages; the one place that knows a clock |
//! | [`cli`] | one file per subcommand |
//!
//! Rooms above `config` are pure: no files, no network, no clock, no threads, no logging.
//! `tests/tidy.rs` enforces that and the arrows between rooms.

pub mod cli;
pub mod config;
pub mod detect;
pub mod formats;
#[cfg(feature = "kafka")]
pub mod http;
pub mod ingest;
pub mod model;
pub mod protocol;
pub mod rateslog;
pub mod service;
pub mod sink;
pub mod source;
pub mod store;
pub mod synth;
pub mod telemetry;
pub mod tuning;
pub mod view;
