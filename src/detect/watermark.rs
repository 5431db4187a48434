//! How far all sources together have come: the least of what each has reported.
//!
//! Undefined until every registered source has reported once; a source that appears later holds
//! it from its first report on. It never goes back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::invariants::{COUNT_SUM_MAX, require};
use crate::model::{EventTime, Progress};

/// Watermarks of the sources of one rates log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermarks {
    expected: u32,
    /// Seconds since the epoch by source.
    sources: BTreeMap<u32, i64>,
    regressions: u64,
}

impl Watermarks {
    /// Registers sources `0 .. count`.
    pub fn expect(&mut self, count: u32) {
        self.expected = self.expected.max(count);
    }

    /// Takes one source's report; a watermark that goes back is counted and not followed.
    pub fn report(&mut self, progress: &Progress) {
        let seconds = progress.watermark.seconds();
        let held = self.sources.entry(progress.source).or_insert(seconds);
        if seconds < *held {
            self.regressions += 1;
        }
        *held = (*held).max(seconds);
    }

    /// Event time before which counts are final; `None` until all sources have reported.
    pub fn least(&self) -> Option<EventTime> {
        let is_complete = (0..self.expected).all(|source| self.sources.contains_key(&source));
        let least = self.sources.values().min().filter(|_| is_complete)?;
        EventTime::from_seconds(*least)
    }

    /// Checks watermarks that were read.
    pub fn check(&self) -> Result<(), String> {
        let mut seconds = self.sources.values();
        let are_times = seconds.all(|seconds| EventTime::from_seconds(*seconds).is_some());
        require(are_times, "sources", "they are at times of this era")?;
        let is_count = self.regressions <= COUNT_SUM_MAX;
        require(is_count, "regressions", "it is a count that can go on")
    }

    /// Reports that went back in time.
    pub fn regressions(&self) -> u64 {
        self.regressions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SourceState;

    #[test]
    fn it_waits_for_every_source_and_never_goes_back() {
        let mut watermarks = Watermarks::default();
        let mut after = |source, seconds| {
            watermarks.report(&Progress {
                source,
                position: 0,
                watermark: EventTime::from_seconds(seconds).unwrap(),
                state: SourceState::Active,
            });
            watermarks.least().map(EventTime::seconds)
        };
        assert_eq!(after(0, 600), Some(600));
        assert_eq!(after(0, 60), Some(600));
        assert_eq!(after(1, 300), Some(300));
        watermarks.expect(3);
        assert_eq!(watermarks.least(), None);
        assert_eq!(watermarks.regressions(), 1);
    }
}
