//! Tuning on recorded logs: what a setting costs and finds, and how two settings differ.
//!
//! A recording is turned into rates once ([`KeptRates`]); settings then run over those, in parts
//! ([`part_run`]) so that settings share what does not depend on them ([`sweep`]). It reads no
//! files and starts no threads: the shell does both.

mod kept_rates;
pub mod part_run;
mod series_set;
pub mod sweep;

pub use kept_rates::{KeptRates, KeptSeries, TooMuch};
pub use series_set::SeriesSet;
pub mod assess;
pub mod csv;
pub mod diff;
pub mod injection;
pub mod intervals;
pub mod markdown;
pub mod page;
pub mod recommend;
pub mod report;
pub mod rivals;
pub mod scoring;
pub mod smallest;
pub mod timeline;
