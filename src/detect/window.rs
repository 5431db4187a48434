//! Exact counts per series and bucket of the last seven days and a little.
//!
//! One sealed segment per bucket: the ids that counted, ascending, with their counts, about
//! three bytes a pair. The segment that leaves is subtracted from its series' sums in integers,
//! so a sum never drifts. Every 32nd pair is indexed: one series' count in one bucket is found
//! by bisection. Late counts replace a segment by its merged copy.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::varint;

mod check;

pub use check::BucketCounts;

/// Pairs from one index entry to the next.
const BLOCK: usize = 32;

/// Bytes of an index entry: the id before the block and the block's offset, little-endian.
const INDEX_BYTES: usize = 8;

/// Pairs of one byte each that are passed over at once, and what they take.
const STRIDE: usize = 4;
const STRIDE_BYTES: usize = 2 * STRIDE;

/// The sealed buckets, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Window {
    length: u32,
    /// Bucket of the first segment.
    first: u32,
    segments: VecDeque<Bytes>,
    /// Count over the window by series id.
    sums: Vec<u64>,
    bytes: usize,
    #[serde(skip)]
    scratch: Scratch,
}

#[derive(Clone, Debug, Default)]
struct Scratch {
    data: Vec<u8>,
    index: Vec<u8>,
    pairs: Vec<(u32, u64)>,
}

impl Window {
    /// A window over `length` buckets.
    pub fn new(length: u32) -> Self {
        Window {
            length,
            ..Window::default()
        }
    }

    /// First bucket held.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// Makes room for series ids below `length`; a new id starts from nothing.
    pub fn admit(&mut self, id: u32) {
        let id = id as usize;
        if id >= self.sums.len() {
            self.sums.resize(id + 1, 0);
        }
        assert_eq!(
            self.sums[id], 0,
            "history of series {id} left before its id came back"
        );
    }

    /// Seals the next bucket with `pairs` in order of id; the oldest leaves when full.
    pub fn push(&mut self, pairs: &[(u32, u64)]) {
        for (id, count) in pairs {
            self.sums[*id as usize] += count;
        }
        let segment = encode(pairs, &mut self.scratch);
        self.bytes += segment.0.len();
        self.segments.push_back(segment);
        if self.segments.len() > self.length as usize {
            self.retract();
        }
    }

    /// Adds late counts, in order of id, to a bucket that is held.
    pub fn patch(&mut self, t: u32, pairs: &[(u32, u64)]) {
        let at = (t - self.first) as usize;
        let mut merged = std::mem::take(&mut self.scratch.pairs);
        merged.clear();
        let mut late = pairs.iter().copied().peekable();
        for_each(&self.segments[at].0, |id, count| {
            while let Some(pair) = late.next_if(|pair| pair.0 < id) {
                merged.push(pair);
            }
            let added = late.next_if(|pair| pair.0 == id).map_or(0, |pair| pair.1);
            merged.push((id, count + added));
        });
        merged.extend(late);
        for (id, count) in pairs {
            self.sums[*id as usize] += count;
        }
        let segment = encode(&merged, &mut self.scratch);
        self.bytes = self.bytes + segment.0.len() - self.segments[at].0.len();
        self.segments[at] = segment;
        self.scratch.pairs = merged;
    }

    /// Count of a series in a bucket; 0 outside the window.
    pub fn count(&self, id: u32, t: i64) -> u64 {
        let at = t - i64::from(self.first);
        if at < 0 || at >= self.segments.len() as i64 {
            return 0;
        }
        find(&self.segments[at as usize].0, id)
    }

    /// Count of a series over the window.
    pub fn sum(&self, id: u32) -> u64 {
        self.sums[id as usize]
    }

    /// Empties the window; the next bucket to seal is `next`.
    pub fn clear(&mut self, next: u32) {
        self.segments.clear();
        self.sums.fill(0);
        self.bytes = 0;
        self.first = next;
    }

    /// Moves bucket 0 forward by `buckets`, all of which left the window.
    pub fn rebase(&mut self, buckets: u32) {
        self.first -= buckets;
    }

    /// Heap bytes: segments with 16 for each one's own allocation, and sums.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
            + self.segments.capacity() * size_of::<Bytes>()
            + self.segments.len() * 16
            + self.sums.capacity() * 8
    }

    fn retract(&mut self) {
        let Some(leaving) = self.segments.pop_front() else {
            return;
        };
        self.first += 1;
        self.bytes -= leaving.0.len();
        for_each(&leaving.0, |id, count| self.sums[id as usize] -= count);
    }
}

/// Number of index entries, the entries, then (id difference, count) pairs.
fn encode(pairs: &[(u32, u64)], scratch: &mut Scratch) -> Bytes {
    if pairs.is_empty() {
        return Bytes::default();
    }
    let Scratch { data, index, .. } = scratch;
    data.clear();
    index.clear();
    let mut previous = 0;
    for (position, (id, count)) in pairs.iter().enumerate() {
        if position > 0 && position.is_multiple_of(BLOCK) {
            index.extend_from_slice(&u32::to_le_bytes(previous));
            index.extend_from_slice(&u32::to_le_bytes(data.len() as u32));
        }
        varint::write(data, u64::from(id - previous));
        varint::write(data, *count);
        previous = *id;
    }
    let mut segment = Vec::with_capacity(5 + index.len() + data.len());
    varint::write(&mut segment, (index.len() / INDEX_BYTES) as u64);
    segment.extend_from_slice(index);
    segment.extend_from_slice(data);
    Bytes(segment.into_boxed_slice())
}

fn for_each(segment: &[u8], mut visit: impl FnMut(u32, u64)) {
    if segment.is_empty() {
        return;
    }
    let mut at = 0;
    at += varint::read(segment, &mut at) as usize * INDEX_BYTES;
    let mut id = 0;
    while at < segment.len() {
        id += varint::read(segment, &mut at) as u32;
        visit(id, varint::read(segment, &mut at));
    }
}

fn find(segment: &[u8], wanted: u32) -> u64 {
    if segment.is_empty() {
        return 0;
    }
    let mut at = 0;
    let blocks = varint::read(segment, &mut at) as usize;
    let data = at + blocks * INDEX_BYTES;
    let entry = |block: usize| {
        let from = at + block * INDEX_BYTES;
        let word = |from: usize| {
            let bytes = segment[from..from + 4].try_into().expect("four bytes");
            u32::from_le_bytes(bytes)
        };
        (word(from), word(from + 4))
    };
    let (mut low, mut high) = (0, blocks);
    while low < high {
        let middle = usize::midpoint(low, high);
        if entry(middle).0 < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let (mut id, offset) = if low == 0 { (0, 0) } else { entry(low - 1) };
    let mut at = data + offset as usize;
    while at < segment.len() {
        if let Some(passed) = stride(segment, at).filter(|passed| id + passed < wanted) {
            id += passed;
            at += STRIDE_BYTES;
            continue;
        }
        id += varint::read(segment, &mut at) as u32;
        let count = varint::read(segment, &mut at);
        if id >= wanted {
            return if id == wanted { count } else { 0 };
        }
    }
    0
}

/// Sum of the id differences of the next [`STRIDE`] pairs, if each of their numbers is one byte.
fn stride(segment: &[u8], at: usize) -> Option<u32> {
    let bytes = segment.get(at..at + STRIDE_BYTES)?.try_into().ok()?;
    let word = u64::from_le_bytes(bytes);
    if word & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    // The differences are the even bytes; the product's highest 16 bits are their sum.
    let sum = (word & 0x00ff_00ff_00ff_00ff).wrapping_mul(0x0001_0001_0001_0001) >> 48;
    Some(sum as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn sorted(minute: &BTreeMap<u32, u64>) -> Vec<(u32, u64)> {
        minute.iter().map(|(id, count)| (*id, *count)).collect()
    }

    proptest! {
        /// A list of maps, summed anew for each question, is the oracle.
        #[test]
        fn sums_and_counts_equal_the_naive_window(
            minutes in prop::collection::vec(
                prop::collection::btree_map(0u32..400, 1u64..1_000_000, 0..120), 1..40),
            patches in prop::collection::vec((0usize..40, 0u32..400, 1u64..9), 0..20),
        ) {
            let length = 7;
            let mut window = Window::new(length);
            let mut naive: Vec<BTreeMap<u32, u64>> = Vec::new();
            for id in 0..400 {
                window.admit(id);
            }
            for (t, minute) in minutes.iter().enumerate() {
                window.push(&sorted(minute));
                naive.push(minute.clone());
                for (when, id, count) in patches.iter().filter(|patch| patch.0 <= t) {
                    if *when >= window.first() as usize {
                        window.patch(*when as u32, &[(*id, *count)]);
                        *naive[*when].entry(*id).or_default() += count;
                    }
                }
                let from = (t + 1).saturating_sub(length as usize);
                prop_assert_eq!(window.first() as usize, from);
                for id in (0..400).step_by(7) {
                    let counts = |t: usize| naive[t].get(&id).copied().unwrap_or(0);
                    let sum: u64 = (from..=t).map(counts).sum();
                    prop_assert_eq!(window.sum(id), sum);
                    for t in from..=t {
                        prop_assert_eq!(window.count(id, t as i64), counts(t));
                    }
                }
            }
        }
    }
}
