//! Who made the difference: attribution counts of the last buckets, and of open incidents.
//!
//! Counts per day are in `days`. Here is the rule which values a day keeps, a ring of the last
//! buckets' counts from which an incident's first minutes come, and the sums of incidents that
//! are open. Every sum is of counts that were kept, so insight and baseline add up to the days.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::days::{Days, EXCESS, VALUES};
use super::invariants::{COUNT_SUM_MAX, Frame, require};
use super::strings::Strings;
use crate::model::{Attribution, AttributionValue, Dimension};

/// Buckets held: the longest way back to an onset, and the calm tail of an incident.
const RECENT: usize = 72;

/// Values shown on each side of an attribution.
const SHOWN: usize = 5;

/// One kept count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub id: u32,
    pub value: u32,
    pub count: u64,
}

/// The kept counts of the last buckets, by bucket and series.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Recent {
    /// Bucket of the last entry of `buckets`, plus one.
    next: u32,
    buckets: VecDeque<Vec<Share>>,
}

/// Counts by value.
pub type Sums = BTreeMap<u32, u64>;

impl Recent {
    /// An empty list to fill for the next bucket; the oldest bucket leaves when full.
    pub fn recycle(&mut self) -> Vec<Share> {
        if self.buckets.len() < RECENT {
            return Vec::new();
        }
        let mut oldest = self.buckets.pop_front().unwrap_or_default();
        oldest.clear();
        oldest
    }

    /// Appends bucket `t`; shares are in order of id.
    pub fn push(&mut self, t: u32, shares: Vec<Share>) {
        self.buckets.push_back(shares);
        self.next = t + 1;
    }

    /// Adds late shares, in order of id, to a bucket if it is still held.
    pub fn patch(&mut self, t: u32, late: &[Share]) {
        if let Some(bucket) = self.position(t).and_then(|at| self.buckets.get_mut(at)) {
            bucket.extend_from_slice(late);
            bucket.sort_by_key(|share| share.id);
        }
    }

    /// Shares of a series in bucket `t`.
    pub fn shares(&self, id: u32, t: u32) -> &[Share] {
        let Some(bucket) = self.position(t).and_then(|at| self.buckets.get(at)) else {
            return &[];
        };
        let from = bucket.partition_point(|share| share.id < id);
        let length = bucket[from..].partition_point(|share| share.id == id);
        &bucket[from..from + length]
    }

    /// Adds the shares of a series in the buckets `from .. to` to `sums`.
    pub fn add_to(&self, sums: &mut Sums, id: u32, from: u32, to: u32) {
        for share in (from..to).flat_map(|t| self.shares(id, t)) {
            *sums.entry(share.value).or_default() += share.count;
        }
    }

    /// Takes the shares of a series in the buckets `from .. to` out of `sums`.
    pub fn subtract_from(&self, sums: &mut Sums, id: u32, from: u32, to: u32) {
        for share in (from..to).flat_map(|t| self.shares(id, t)) {
            let sum = sums.entry(share.value).or_default();
            assert!(
                *sum >= share.count,
                "series {id}: a part is not more than its sum"
            );
            *sum -= share.count;
        }
    }

    /// Forgets all buckets; the next one is `next`.
    pub fn clear(&mut self, next: u32) {
        self.next = next;
        self.buckets.clear();
    }

    /// Moves bucket 0 forward by `buckets`.
    pub fn rebase(&mut self, buckets: u32) {
        self.next -= buckets;
    }

    /// Checks a ring that was read.
    pub fn check(&self, frame: &Frame<'_>) -> Result<(), String> {
        require(
            self.next == frame.t,
            "next",
            "it is the next bucket to close",
        )?;
        let length = self.buckets.len();
        let fits = length <= RECENT && length <= frame.t as usize;
        require(
            fits,
            "buckets",
            "they are as many as were closed, and not too many",
        )?;
        let first = frame.t - length as u32;
        for (t, bucket) in (first..).zip(&self.buckets) {
            require(
                bucket.is_sorted_by_key(|share| share.id),
                "buckets",
                "they are in order of id",
            )?;
            for share in bucket {
                let end = frame.ends.get(share.id as usize);
                let is_counted = end.is_some_and(|end| t < *end);
                require(is_counted, "buckets", "its series counted in that time")?;
                let is_count = share.value >= EXCESS && share.count <= COUNT_SUM_MAX;
                require(is_count, "buckets", "a share is a count of a value")?;
            }
        }
        Ok(())
    }

    /// Shares by day, id and value.
    pub fn sums_by_day(&self, day_of: impl Fn(u32) -> u32) -> BTreeMap<(u32, u32, u32), u64> {
        let mut sums: BTreeMap<_, u64> = BTreeMap::new();
        let first = self.next - self.buckets.len() as u32;
        for (t, bucket) in (first..).zip(&self.buckets) {
            for share in bucket {
                let sum = sums.entry((day_of(t), share.id, share.value)).or_default();
                *sum = sum.saturating_add(share.count);
            }
        }
        sums
    }

    pub fn memory_bytes(&self) -> usize {
        let shares: usize = self.buckets.iter().map(Vec::capacity).sum();
        shares * size_of::<Share>()
    }

    fn position(&self, t: u32) -> Option<usize> {
        let first = self.next - self.buckets.len() as u32;
        t.checked_sub(first).map(|at| at as usize)
    }
}

/// Decides which counts of one series and bucket its day keeps.
pub struct Keeper<'a> {
    pub days: &'a mut Days,
    pub values: &'a mut Strings,
    pub values_max: u32,
}

impl Keeper<'_> {
    /// Enters `deltas` (value, count) into `day`: values that the day has, then new ones, count
    /// descending, then by text, as long as the dimension has room; the rest adds up as excess.
    /// Kept counts are appended to `shares`. Takes the deltas' references. Returns the excess.
    pub fn keep(
        &mut self,
        id: u32,
        day: u32,
        deltas: &mut Vec<(u32, u64)>,
        shares: &mut Vec<Share>,
    ) -> u64 {
        self.merge(deltas);
        let mut held = [0u32; 4];
        let mut known: Vec<u32> = Vec::new();
        let may_overflow = self.days.entries_len(id, day) + deltas.len() > self.values_max as usize;
        if may_overflow {
            self.days.for_each_value(id, day, |value, _| {
                if value >= VALUES {
                    held[value as usize % 8] += 1;
                    known.push(value);
                }
            });
            let values = &*self.values;
            let text = |delta: &(u32, u64)| values.get(delta.0 / 8 - 1);
            deltas.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| text(a).cmp(text(b))));
        }
        let mut excess = 0;
        for (value, count) in deltas.iter().copied() {
            let dimension = value % 8;
            let room = &mut held[dimension as usize];
            let mut kept = value;
            if may_overflow && !known.contains(&value) {
                if *room >= self.values_max {
                    kept = EXCESS + dimension;
                    excess += count;
                } else {
                    *room += 1;
                }
            }
            let is_new = self.days.add(id, day, kept, count);
            if !is_new || kept != value {
                self.values.release(value / 8 - 1);
            }
            shares.push(Share {
                id,
                value: kept,
                count,
            });
        }
        excess
    }

    /// Adds up deltas of the same value; the references of those merged are given back.
    fn merge(&mut self, deltas: &mut Vec<(u32, u64)>) {
        deltas.sort_unstable();
        deltas.dedup_by(|next, first| {
            let is_same = next.0 == first.0;
            if is_same {
                first.1 += next.1;
                self.values.release(next.0 / 8 - 1);
            }
            is_same
        });
    }
}

/// The five largest of each dimension, ties by text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    dimensions: [Vec<AttributionValue>; 4],
    /// Counts that were left out.
    pub excess: u64,
}

impl Side {
    pub fn new(sums: &Sums, values: &Strings) -> Self {
        let mut side = Side::default();
        for (value, count) in sums.iter().filter(|sum| *sum.1 > 0) {
            if *value >= VALUES {
                side.dimensions[*value as usize % 8].push(AttributionValue {
                    value: values.get(value / 8 - 1).into(),
                    count: *count,
                });
            } else {
                side.excess += count;
            }
        }
        for dimension in &mut side.dimensions {
            dimension.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
            dimension.truncate(SHOWN);
        }
        side
    }

    /// Checks a side that was read.
    pub fn check(&self) -> Result<(), String> {
        let is_short = self.dimensions.iter().all(|values| values.len() <= SHOWN);
        require(
            is_short,
            "dimensions",
            "they hold what is shown and no more",
        )?;
        let mut counts = self.dimensions.iter().flatten().map(|value| value.count);
        let are_counts = counts.all(|count| count <= 8 * COUNT_SUM_MAX);
        require(are_counts, "dimensions", "they hold counts")?;
        require(self.excess <= 32 * COUNT_SUM_MAX, "excess", "it is a count")
    }
}

/// The attributions of a record; a dimension without a value on either side is left out.
pub fn attributions(insight: Side, baseline: &Side) -> Vec<Attribution> {
    let sides = insight.dimensions.into_iter().zip(&baseline.dimensions);
    Dimension::ALL
        .into_iter()
        .zip(sides)
        .filter(|(_, (insight, baseline))| !insight.is_empty() || !baseline.is_empty())
        .map(|(dimension, (insight, baseline))| Attribution {
            dimension,
            insight,
            baseline: baseline.clone(),
        })
        .collect()
}
