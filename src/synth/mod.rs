//! Labelled traffic with known answers, the same for ever from the same seed.
//!
//! A [`Fleet`] plans what happens; [`RateRows`] and [`Arrivals`] write it as rates CSV or as
//! CloudTrail records; [`Demo`] tells it as a story that goes on live. Nothing here knows the
//! detector: it must not be tuned to it.

// In the order in which traffic is made.
mod random;

mod calendar;

mod level;
mod schedule;
mod sessions;
mod traffic;

mod recipe;

mod cast;
mod catalogue;
mod spec;

mod script;

mod population;

mod label;
mod plant;

mod day;
mod fleet;
mod planning;

mod identity;
mod parameters;
mod record;

mod arrivals;
mod demo;
mod rate_rows;

pub use arrivals::Arrivals;
pub use demo::{Demo, DemoIncident};
pub use fleet::{Fleet, FleetSettings, Profile, START};
pub use label::{Label, Neutral, PlantKind, parse_labels, write_labels, write_neutral};
pub use plant::{Split, bench_kind, level};
pub use random::Random;
pub use rate_rows::RateRows;
