//! Stage 2: rates in, insights out; a pure function of the rates log.
//!
//! Two verbs: observe counts, advance time. `engine` closes minutes one by one; around it are
//! the counts (`window`, `days`, `attribution`) and what decides (`series_state` per series,
//! `fleet` over all). No clock, no randomness, no order but that of minutes and keys.

pub mod budget;
pub mod calendar;
pub mod fleet;
pub mod series_state;
pub mod settings;
pub mod verdict;

mod attribution;
mod bytes;
mod calendars;
mod clock;
mod days;
mod dispersion;
mod engine;
mod entries;
mod expectation;
mod explanation;
mod feedback;
mod fleet_hours;
mod history;
mod hour_lines;
mod hours;
mod incident;
mod incidents;
mod invariants;
mod ledger;
mod open_minutes;
mod output;
mod part;
mod places;
mod quantile;
mod recalibration;
mod recent;
mod registry;
mod routine;
mod score_rows;
mod series_table;
mod slots;
mod slow;
mod snapshot;
mod stats;
mod strings;
mod surprise;
mod tail;
pub(crate) mod varint;
mod watch;
mod watermark;
mod wheel;
mod window;

pub use budget::ScopedBudget;
pub use calendars::{CalendarNow, InForce};
pub use engine::{Engine, Need};
pub use ledger::Confirmed;
pub use output::{NAMESPACE, Output, event_id, shared_event_id};
pub use part::Unchangeable;
pub use settings::{DetectSettings, FleetScope};
pub use snapshot::{LOGIC_VERSION, SnapshotError, SnapshotHeader};
pub use stats::{EngineCounts, EngineStats};
pub use watch::Asked;
pub use watermark::Continuity;

/// Bounds of ln P(X >= x) and ln P(X <= x), for those who check them against a second opinion.
pub fn ln_tails(x: f64, mean: f64, phi: f64) -> (f64, f64) {
    (tail::ln_upper(x, mean, phi), tail::ln_lower(x, mean, phi))
}
