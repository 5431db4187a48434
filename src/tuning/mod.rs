//! Tuning on recorded logs: what a setting costs and finds, and how two settings differ.
//!
//! A recording is turned into rates once ([`KeptRates`]); settings then run over those, in parts
//! ([`part_run`]) so that settings share what does not depend on them ([`sweep`]). It reads no
//! files and starts no threads: the shell does both.

// How settings run over rates.
pub mod close_look;
mod kept_rates;
pub mod part_run;
mod series_set;
pub mod sweep;

// What their runs are worth.
pub mod assess;
pub mod bisection;
pub mod injection;
pub mod intervals;
pub mod recommend;
pub mod rivals;
pub mod scoring;
pub mod smallest;

// How two differ.
pub mod diff;

// What is told of it.
pub mod chart;
pub mod csv;
pub mod explain_report;
pub mod markdown;
pub mod page;
pub mod report;
pub mod timeline;
pub mod timeline_insight;
pub mod timeline_markdown;

pub use kept_rates::{KeptRates, KeptSeries, TooMuch};
pub use series_set::SeriesSet;
