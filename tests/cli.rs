//! The built binary, data in and data out: what users and scripts see.
//!
//! Each case is files, arguments and what must come out. No case sleeps, uses a network or
//! depends on another.

#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/configuration.rs"]
mod configuration;
#[path = "cli/determinism.rs"]
mod determinism;
#[path = "cli/knowledge.rs"]
mod knowledge;
#[path = "cli/options.rs"]
mod options;
#[path = "cli/reports.rs"]
mod reports;
#[path = "cli/roll_ups.rs"]
mod roll_ups;
#[path = "cli/run.rs"]
mod run;
#[path = "cli/signals.rs"]
mod signals;
#[path = "cli/traffic.rs"]
mod traffic;
#[path = "cli/tuning.rs"]
mod tuning;
