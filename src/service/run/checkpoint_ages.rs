//! How old the checkpoints are of the partitions that this process has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Ages by partition.
#[derive(Default)]
pub struct CheckpointAges(BTreeMap<u32, Saved>);

/// What is saved of a partition.
struct Saved {
    /// Position that its newest checkpoint reflects, once this process has written or read one.
    position: Option<u64>,
    /// When that was its state, as far as this process knows.
    at: Instant,
}

impl CheckpointAges {
    /// A partition was given to this process: until one is known, its checkpoint is as old as that.
    pub fn given(&mut self, partition: u32, now: Instant) {
        let saved = Saved {
            position: None,
            at: now,
        };
        self.0.insert(partition, saved);
    }

    pub fn taken_away(&mut self, partition: u32) {
        self.0.remove(&partition);
    }

    /// A checkpoint of a position was read: it is as old as the assignment, unless nothing has come
    /// since.
    pub fn read(&mut self, partition: u32, position: u64) {
        if let Some(saved) = self.0.get_mut(&partition) {
            saved.position = Some(position);
        }
    }

    /// A checkpoint of a position was written.
    pub fn written(&mut self, partition: u32, position: u64, now: Instant) {
        if let Some(saved) = self.0.get_mut(&partition) {
            saved.position = Some(position);
            saved.at = now;
        }
    }

    /// A partition stands at a position: where that is what is saved, its checkpoint is not old.
    pub fn stands_at(&mut self, partition: u32, position: u64, now: Instant) {
        if let Some(saved) = self.0.get_mut(&partition)
            && saved.position == Some(position)
        {
            saved.at = now;
        }
    }

    /// Time for which a partition of those given has gone on since its checkpoint, the longest.
    pub fn oldest(&self, partitions: &BTreeSet<u32>, now: Instant) -> Option<Duration> {
        let saved = partitions.iter().filter_map(|one| self.0.get(one));
        let ages = saved.map(|saved| now.saturating_duration_since(saved.at));
        ages.max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The age after `seconds`, of partition 0, for which the test has done something.
    fn age(then: impl Fn(&mut CheckpointAges, &dyn Fn(u64) -> Instant), seconds: u64) -> u64 {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut ages = CheckpointAges::default();
        ages.given(0, after(0));
        then(&mut ages, &after);
        let oldest = ages.oldest(&BTreeSet::from([0]), after(seconds));
        oldest.expect("it was given").as_secs()
    }

    #[test]
    fn it_rises_while_a_partition_goes_on_without_being_saved() {
        assert_eq!(age(|_, _| {}, 90), 90);
        assert_eq!(age(|ages, after| ages.written(0, 7, after(60)), 90), 30);
        let goes_on = |ages: &mut CheckpointAges, after: &dyn Fn(u64) -> Instant| {
            ages.written(0, 7, after(60));
            ages.stands_at(0, 8, after(80));
        };
        assert_eq!(age(goes_on, 90), 30);
    }

    /// A pipeline that stood still had checkpoints that grew older and older, and a restart in it
    /// too.
    #[test]
    fn it_does_not_rise_while_nothing_comes() {
        let rests = |ages: &mut CheckpointAges, after: &dyn Fn(u64) -> Instant| {
            ages.written(0, 7, after(10));
            ages.stands_at(0, 7, after(80));
        };
        assert_eq!(age(rests, 90), 10);
        let restored = |ages: &mut CheckpointAges, after: &dyn Fn(u64) -> Instant| {
            ages.read(0, 7);
            ages.stands_at(0, 7, after(80));
        };
        assert_eq!(age(restored, 90), 10);
    }

    #[test]
    fn nobody_has_partitions_that_were_taken_away() {
        let mut ages = CheckpointAges::default();
        let now = Instant::now();
        ages.given(0, now);
        ages.taken_away(0);
        ages.written(0, 7, now);
        assert_eq!(ages.oldest(&BTreeSet::from([0]), now), None);
    }
}
