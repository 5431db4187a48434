//! How far all sources together have come: the least of what each has reported.
//!
//! Undefined until every registered source has reported once; a source that appears later holds
//! it from its first report on, and one that is retired holds it no longer. It never goes back.
//! Whether all are silent at once is told too.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::invariants::{COUNT_SUM_MAX, require};
use crate::model::{EventTime, Progress, SourceState};

/// Watermarks of the sources of one rates log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermarks {
    expected: u32,
    /// Seconds since the epoch by source.
    sources: BTreeMap<u32, i64>,
    regressions: u64,
    /// Sources that are proven idle.
    idle: BTreeSet<u32>,
    /// By source, the position up to which counts were announced.
    positions: BTreeMap<u32, u64>,
    continuity: Continuity,
    /// Sources that nobody waits for any more, whatever they report.
    retired: BTreeSet<u32>,
}

/// How the batches of all sources followed each other. With exactly-once input both stay 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continuity {
    /// Batches that cover positions again; they are passed over.
    pub duplicate_batches: u64,
    /// Batches that leave out positions.
    pub gap_batches: u64,
}

impl Watermarks {
    /// Registers sources `0 .. count`.
    pub fn expect(&mut self, count: u32) {
        self.expected = self.expected.max(count);
    }

    /// Waits for a source no longer.
    pub fn retire(&mut self, source: u32) {
        self.retired.insert(source);
        self.sources.remove(&source);
        self.idle.remove(&source);
        self.positions.remove(&source);
    }

    /// Takes one source's report; a watermark that goes back is counted and not followed.
    pub fn report(&mut self, progress: &Progress) {
        if self.retired.contains(&progress.source) {
            return;
        }
        let seconds = progress.watermark.seconds();
        let held = self.sources.entry(progress.source).or_insert(seconds);
        if seconds < *held {
            self.regressions += 1;
        }
        *held = (*held).max(seconds);
        match progress.state {
            SourceState::IdleProven => self.idle.insert(progress.source),
            SourceState::Active | SourceState::Blocked => self.idle.remove(&progress.source),
        };
        let position = self.positions.entry(progress.source).or_default();
        *position = (*position).max(progress.position);
    }

    /// Whether every source that has reported is proven idle.
    pub fn is_silent(&self) -> bool {
        !self.sources.is_empty() && self.idle.len() == self.sources.len()
    }

    /// Whether a batch of a source that covers `positions` is to be taken in: not if all of it was
    /// announced before.
    pub fn is_next(&mut self, source: u32, (from, to): (u64, u64)) -> bool {
        let Some(announced) = self.positions.get(&source) else {
            return true;
        };
        if from > *announced {
            self.continuity.gap_batches += 1;
        } else if to <= *announced && from < to {
            self.continuity.duplicate_batches += 1;
            return false;
        }
        true
    }

    pub fn continuity(&self) -> Continuity {
        self.continuity
    }

    /// Event time before which counts are final; `None` until all sources have reported.
    pub fn least(&self) -> Option<EventTime> {
        let has_told =
            |source| self.sources.contains_key(&source) || self.retired.contains(&source);
        let is_complete = (0..self.expected).all(has_told);
        let least = self.sources.values().min().filter(|_| is_complete)?;
        EventTime::from_seconds(*least)
    }

    /// Checks watermarks that were read.
    pub fn check(&self) -> Result<(), String> {
        let mut seconds = self.sources.values();
        let are_times = seconds.all(|seconds| EventTime::from_seconds(*seconds).is_some());
        require(are_times, "sources", "they are at times of this era")?;
        let are_known = |mut sources: std::collections::btree_set::Iter<'_, u32>| {
            sources.all(|source| self.sources.contains_key(source))
        };
        require(are_known(self.idle.iter()), "idle", "they have reported")?;
        let are_gone = self
            .sources
            .keys()
            .all(|source| !self.retired.contains(source));
        require(are_gone, "retired", "nothing is kept of them")?;
        let are_same = self.positions.keys().eq(self.sources.keys());
        require(
            are_same,
            "positions",
            "each is of a source that has reported",
        )?;
        let Continuity {
            duplicate_batches,
            gap_batches,
        } = self.continuity;
        let can_go_on = duplicate_batches.max(gap_batches) <= COUNT_SUM_MAX;
        require(can_go_on, "continuity", "they are counts that can go on")?;
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

    fn progress(source: u32, seconds: i64) -> Progress {
        Progress {
            source,
            position: 0,
            watermark: EventTime::from_seconds(seconds).expect("a time of this era"),
            state: SourceState::Active,
        }
    }

    #[test]
    fn it_waits_for_every_source_and_never_goes_back() {
        let mut watermarks = Watermarks::default();
        let mut after = |source, seconds| {
            watermarks.report(&progress(source, seconds));
            watermarks.least().map(EventTime::seconds)
        };
        assert_eq!(after(0, 600), Some(600));
        assert_eq!(after(0, 60), Some(600));
        assert_eq!(after(1, 300), Some(300));
        watermarks.expect(3);
        assert_eq!(watermarks.least(), None);
        assert_eq!(watermarks.regressions(), 1);
    }

    #[test]
    fn it_waits_for_a_retired_source_no_longer() {
        let mut watermarks = Watermarks::default();
        let least = |watermarks: &Watermarks| watermarks.least().map(EventTime::seconds);
        watermarks.expect(3);
        watermarks.report(&progress(0, 600));
        watermarks.report(&progress(1, 300));
        watermarks.retire(2);
        assert_eq!(least(&watermarks), Some(300), "one that never reported");
        watermarks.retire(1);
        assert_eq!(least(&watermarks), Some(600));
        watermarks.report(&progress(1, 360));
        assert_eq!(least(&watermarks), Some(600), "it is not heard any more");
        assert_eq!(watermarks.check(), Ok(()));
        watermarks.retire(0);
        assert_eq!(least(&watermarks), None, "nobody says how late it is");
        assert!(!watermarks.is_silent());
        watermarks.report(&progress(3, 720));
        assert_eq!(least(&watermarks), Some(720), "the same source, named anew");
    }

    #[test]
    fn batches_follow_each_other() {
        let mut watermarks = Watermarks::default();
        assert!(watermarks.is_next(0, (7, 9)), "nothing was announced");
        watermarks.report(&Progress {
            source: 0,
            position: 10,
            watermark: EventTime::from_seconds(600).unwrap(),
            state: SourceState::IdleProven,
        });
        assert!(watermarks.is_silent());
        assert!(watermarks.is_next(0, (10, 12)));
        assert!(watermarks.is_next(0, (10, 12)), "one flush, two batches");
        assert!(!watermarks.is_next(0, (8, 10)));
        assert!(watermarks.is_next(0, (11, 12)));
        let continuity = watermarks.continuity();
        assert_eq!(
            (continuity.duplicate_batches, continuity.gap_batches),
            (1, 1)
        );
    }
}
