//! What must hold of a window that was read.

use super::super::invariants::{COUNT_SUM_MAX, Frame, require};
use super::super::varint::read_checked;
use super::{BLOCK, INDEX_BYTES, Window};

/// Counts of some buckets by series.
#[derive(Debug, Default)]
pub struct BucketCounts {
    counts: Vec<u64>,
    ids: Vec<u32>,
}

impl BucketCounts {
    pub fn add(&mut self, id: u32, count: u64) {
        let length = self.counts.len().max(id as usize + 1);
        self.counts.resize(length, 0);
        let sum = &mut self.counts[id as usize];
        if *sum == 0 {
            self.ids.push(id);
        }
        *sum = sum.saturating_add(count);
    }

    /// Takes what something else has counted away.
    pub fn take(&mut self, id: u32, count: u64) {
        if let Some(sum) = self.counts.get_mut(id as usize) {
            *sum = sum.saturating_sub(count);
        }
    }

    /// Empties it; whether nothing was left.
    pub fn clear(&mut self) -> bool {
        let mut is_empty = true;
        for id in self.ids.drain(..) {
            is_empty &= std::mem::take(&mut self.counts[id as usize]) == 0;
        }
        is_empty
    }
}

impl Window {
    /// Checks a window that was read; `visit` gets each count by bucket and id.
    pub fn check(
        &self,
        pristine: &Window,
        frame: &Frame<'_>,
        mut visit: impl FnMut(u32, u32, u64) -> Result<(), String>,
    ) -> Result<(), String> {
        require(
            self.length == pristine.length,
            "length",
            "it is that of the settings",
        )?;
        let held = self.segments.len();
        let is_in_place = u64::from(self.first) + held as u64 == u64::from(frame.t);
        require(
            is_in_place,
            "first",
            "the buckets held end with the last one closed",
        )?;
        require(
            held <= self.length as usize,
            "segments",
            "they are no more than the length",
        )?;
        let bytes: usize = self.segments.iter().map(|segment| segment.0.len()).sum();
        require(
            self.bytes == bytes,
            "bytes",
            "they are those of the segments",
        )?;
        require(
            self.sums.len() == frame.ids,
            "sums",
            "there is one for each id",
        )?;
        let mut sums = vec![0u64; frame.ids];
        for (t, segment) in (self.first..).zip(&self.segments) {
            check_segment(&segment.0, |id, count| {
                let end = frame.ends.get(id as usize);
                let is_counted = end.is_some_and(|end| t < *end);
                require(
                    is_counted,
                    "segments",
                    "a series counts while it is tracked",
                )?;
                let sum = &mut sums[id as usize];
                *sum = sum.saturating_add(count);
                visit(t, id, count)
            })?;
        }
        let are_counts = sums.iter().all(|sum| *sum <= 8 * COUNT_SUM_MAX);
        require(
            are_counts && sums == self.sums,
            "sums",
            "they are those of the segments",
        )
    }
}

fn check_segment(
    segment: &[u8],
    mut visit: impl FnMut(u32, u64) -> Result<(), String>,
) -> Result<(), String> {
    if segment.is_empty() {
        return Ok(());
    }
    let broken = || "segments: they are pairs of ascending id and count".to_string();
    let mut at = 0;
    let blocks = read_checked(segment, &mut at).ok_or_else(broken)?;
    let index_bytes = usize::try_from(blocks).ok();
    let index_bytes = index_bytes.and_then(|blocks| blocks.checked_mul(INDEX_BYTES));
    let data = index_bytes.and_then(|length| at.checked_add(length));
    let data = data.filter(|data| *data < segment.len());
    let data = data.ok_or_else(broken)?;
    let mut index = segment[at..data].chunks_exact(INDEX_BYTES);
    let (mut at, mut previous, mut pairs) = (data, 0, 0);
    while at < segment.len() {
        if pairs > 0 && pairs % BLOCK == 0 {
            let offset = ((at - data) as u32).to_le_bytes();
            let entry = [u32::to_le_bytes(previous), offset].concat();
            let is_indexed = index.next() == Some(&entry[..]);
            require(
                is_indexed,
                "segments",
                "their index says where blocks begin",
            )?;
        }
        let step = read_checked(segment, &mut at).ok_or_else(broken)?;
        let id = u32::try_from(step).ok();
        let id = id.and_then(|step| previous.checked_add(step));
        let id = id.filter(|_| step > 0 || pairs == 0);
        let id = id.ok_or_else(broken)?;
        let count = read_checked(segment, &mut at).ok_or_else(broken)?;
        require(count > 0, "segments", "they hold counts")?;
        visit(id, count)?;
        previous = id;
        pairs += 1;
    }
    require(
        index.next().is_none(),
        "segments",
        "their index ends with the blocks",
    )
}
