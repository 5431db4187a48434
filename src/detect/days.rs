//! Exact counts per (series, value) and UTC day, for as many days as a baseline may touch.
//!
//! A value is an attribution value, or one of a few reserved ones: the series' own total, the
//! hours of the day that hold a count, and what attribution left out. The open day grows in
//! small blocks per series; at midnight it is sealed into about five bytes an entry. Late counts
//! for a sealed day wait in a patch that is merged when it grows.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::varint;

mod check;

/// Count of the series itself.
pub const TOTAL: u32 = 0;
/// Bit h is set when hour h of the day holds a count; the one value that does not add up.
pub const HOURS: u32 = 1;
/// Counts left out of dimension d are at `EXCESS + d`.
pub const EXCESS: u32 = 2;
/// Values from here on are attribution values: string number times eight plus dimension.
pub const VALUES: u32 = 8;

/// Series from one index entry of a sealed day to the next.
const BLOCK: usize = 32;
/// A patch of more entries than this, and than a quarter of its day's, is merged.
const PATCH_MAX: usize = 1024;

/// The days held.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Days {
    keep: u32,
    /// Day that counts now, since the epoch.
    day: u32,
    heads: Vec<Head>,
    entries: Vec<Entry>,
    /// Starts of unused blocks by size class.
    free: Vec<Vec<u32>>,
    /// What exceeds 32 bits of an entry of the open day, in units of 2^32.
    carry: BTreeMap<(u32, u32), u64>,
    /// Days before the open one, newest first; not all need be there.
    sealed: VecDeque<Sealed>,
}

/// Where a series' entries of the open day are.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Head {
    start: u32,
    length: u16,
    class: u16,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Entry {
    value: u32,
    count: u32,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sealed {
    day: u32,
    /// By series, ascending: id difference, bytes that follow, (value difference, count) pairs.
    data: Bytes,
    /// Id before a block of series, and the block's offset.
    index: Vec<(u32, u32)>,
    entries: usize,
    patch: BTreeMap<(u32, u32), u64>,
}

impl Days {
    /// Holds the open day and `keep - 1` days before it.
    pub fn new(keep: u32) -> Self {
        Days {
            keep,
            ..Days::default()
        }
    }

    /// How many days are held at most.
    pub fn keep(&self) -> u32 {
        self.keep
    }

    pub fn admit(&mut self, id: u32) {
        if id as usize >= self.heads.len() {
            self.heads.resize(id as usize + 1, Head::default());
        }
    }

    /// Opens `day`: the day before is sealed, the oldest leaves; `release` gets each attribution
    /// value for each entry that left.
    pub fn open(&mut self, day: u32, mut release: impl FnMut(u32)) {
        if day == self.day {
            return;
        }
        let sealed = self.seal();
        if sealed.entries > 0 {
            self.sealed.push_front(sealed);
        }
        self.day = day;
        while let Some(oldest) = self.sealed.back() {
            if oldest.day + self.keep > day {
                break;
            }
            let mut leaving = self.sealed.pop_back().unwrap_or_default();
            leaving.merge();
            leaving.for_each(|_, value, _| {
                if value >= VALUES {
                    release(value);
                }
            });
        }
    }

    /// Adds to an entry of a day that is held; returns whether the entry is new.
    pub fn add(&mut self, id: u32, day: u32, value: u32, count: u64) -> bool {
        assert!(
            day <= self.day && day + self.keep > self.day,
            "day {day} is held"
        );
        if day == self.day {
            return self.add_open(id, value, count);
        }
        let at = self.sealed.partition_point(|sealed| sealed.day > day);
        if self.sealed.get(at).is_none_or(|sealed| sealed.day != day) {
            let empty = Sealed {
                day,
                ..Sealed::default()
            };
            self.sealed.insert(at, empty);
        }
        self.sealed[at].add(id, value, count)
    }

    /// Visits the entries of a series on a day, in no order.
    pub fn for_each_value(&self, id: u32, day: u32, mut visit: impl FnMut(u32, u64)) {
        if day == self.day {
            for entry in self.open_entries(id) {
                visit(entry.value, self.wide(id, entry));
            }
        } else if let Some(sealed) = self.sealed_day(day) {
            sealed.for_each_value(id, visit);
        }
    }

    /// At least the number of entries of a series on a day.
    pub fn entries_len(&self, id: u32, day: u32) -> usize {
        if day == self.day {
            return usize::from(self.heads[id as usize].length);
        }
        let mut length = 0;
        self.for_each_value(id, day, |_, _| length += 1);
        length
    }

    /// Hours of a day that hold a count of the series, as bits; every hour of a day not held.
    pub fn hours(&self, id: u32, day: u32) -> u32 {
        if day == self.day {
            let mut entries = self.open_entries(id).iter();
            return entries
                .find(|entry| entry.value == HOURS)
                .map_or(0, |entry| entry.count);
        }
        if day > self.day || day + self.keep <= self.day {
            return u32::MAX;
        }
        self.sealed_day(day).map_or(0, |sealed| sealed.hours(id))
    }

    /// Empties all days; `release` as in [`Self::open`].
    pub fn clear(&mut self, day: u32, mut release: impl FnMut(u32)) {
        self.open(day, &mut release);
        self.open(day + self.keep, release);
        self.day = day;
    }

    pub fn memory_bytes(&self) -> usize {
        let free: usize = self.free.iter().map(|starts| starts.capacity() * 4).sum();
        let sealed: usize = self.sealed.iter().map(Sealed::memory_bytes).sum();
        self.heads.capacity() * size_of::<Head>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.carry.len() * 32
            + free
            + sealed
    }

    fn sealed_day(&self, day: u32) -> Option<&Sealed> {
        self.sealed.iter().find(|sealed| sealed.day == day)
    }

    fn open_entries(&self, id: u32) -> &[Entry] {
        let head = self.heads[id as usize];
        &self.entries[head.start as usize..head.start as usize + usize::from(head.length)]
    }

    fn wide(&self, id: u32, entry: &Entry) -> u64 {
        let carry = if self.carry.is_empty() {
            0
        } else {
            self.carry.get(&(id, entry.value)).copied().unwrap_or(0)
        };
        u64::from(entry.count) + (carry << 32)
    }

    fn add_open(&mut self, id: u32, value: u32, count: u64) -> bool {
        let head = self.heads[id as usize];
        let from = head.start as usize;
        let block = &mut self.entries[from..from + usize::from(head.length)];
        if let Some(entry) = block.iter_mut().find(|entry| entry.value == value) {
            if value == HOURS {
                entry.count |= count as u32;
                return false;
            }
            let sum = u64::from(entry.count) + (count & 0xffff_ffff);
            entry.count = sum as u32;
            self.add_carry(id, value, (sum >> 32) + (count >> 32));
            return false;
        }
        let at = self.grow(id);
        self.entries[at] = Entry {
            value,
            count: count as u32,
        };
        self.add_carry(id, value, count >> 32);
        true
    }

    fn add_carry(&mut self, id: u32, value: u32, carry: u64) {
        if carry > 0 {
            *self.carry.entry((id, value)).or_default() += carry;
        }
    }

    /// Place of one entry more of a series; moves its block to a larger one when it is full.
    fn grow(&mut self, id: u32) -> usize {
        let head = self.heads[id as usize];
        let length = usize::from(head.length);
        if length > 0 && length < capacity(head.class) {
            self.heads[id as usize].length += 1;
            return head.start as usize + length;
        }
        let class = if length == 0 { 0 } else { head.class + 1 };
        let start = self.take_block(class);
        let from = head.start as usize;
        self.entries
            .copy_within(from..from + length, start as usize);
        if length > 0 {
            self.free[usize::from(head.class)].push(head.start);
        }
        self.heads[id as usize] = Head {
            start,
            length: head.length + 1,
            class,
        };
        start as usize + length
    }

    fn take_block(&mut self, class: u16) -> u32 {
        let index = usize::from(class);
        if index >= self.free.len() {
            self.free.resize(index + 1, Vec::new());
        }
        self.free[index].pop().unwrap_or_else(|| {
            let start = self.entries.len();
            self.entries
                .resize(start + capacity(class), Entry::default());
            start as u32
        })
    }

    /// Takes all entries of the open day and leaves it empty.
    fn seal(&mut self) -> Sealed {
        let mut writer = SealedWriter::default();
        let mut values: Vec<(u32, u64)> = Vec::new();
        for id in 0..self.heads.len() as u32 {
            if self.heads[id as usize].length == 0 {
                continue;
            }
            values.clear();
            let entries = self.open_entries(id).iter();
            values.extend(entries.map(|entry| (entry.value, self.wide(id, entry))));
            values.sort_unstable();
            writer.push(id, &values);
            self.heads[id as usize] = Head::default();
        }
        self.entries.clear();
        self.free.iter_mut().for_each(Vec::clear);
        self.carry.clear();
        writer.finish(self.day)
    }
}

/// Entries that a block of a size class holds: 4, 6, 8, 12, 16, 24 and so on.
fn capacity(class: u16) -> usize {
    let base = if class.is_multiple_of(2) { 4 } else { 6 };
    base << (class / 2)
}

impl Sealed {
    fn add(&mut self, id: u32, value: u32, count: u64) -> bool {
        if let Some(sum) = self.patch.get_mut(&(id, value)) {
            *sum = combine(value, *sum, count);
            return false;
        }
        let mut is_new = true;
        self.for_each_value(id, |other, _| is_new &= other != value);
        self.patch.insert((id, value), count);
        if self.patch.len() > PATCH_MAX.max(self.entries / 4) {
            self.merge();
        }
        is_new
    }

    fn hours(&self, id: u32) -> u32 {
        let mut hours = 0;
        if let Some(values) = self.find(id) {
            each_value(values, |value, count| {
                if value == HOURS {
                    hours = count as u32;
                }
                value < HOURS
            });
        }
        hours | self.patch.get(&(id, HOURS)).map_or(0, |bits| *bits as u32)
    }

    fn for_each_value(&self, id: u32, mut visit: impl FnMut(u32, u64)) {
        let mut patch = self.patch.range((id, 0)..=(id, u32::MAX)).peekable();
        if let Some(values) = self.find(id) {
            each_value(values, |value, count| {
                while let Some((key, late)) = patch.next_if(|(key, _)| key.1 < value) {
                    visit(key.1, *late);
                }
                let late = patch
                    .next_if(|(key, _)| key.1 == value)
                    .map_or(0, |late| *late.1);
                visit(value, combine(value, count, late));
                true
            });
        }
        for (key, late) in patch {
            visit(key.1, *late);
        }
    }

    /// The encoded values of a series.
    fn find(&self, wanted: u32) -> Option<&[u8]> {
        let block = self.index.partition_point(|entry| entry.0 < wanted);
        let (mut id, offset) = if block == 0 {
            (0, 0)
        } else {
            self.index[block - 1]
        };
        let data = &self.data.0;
        let mut at = offset as usize;
        while at < data.len() {
            id += varint::read(data, &mut at) as u32;
            let length = varint::read(data, &mut at) as usize;
            if id >= wanted {
                return (id == wanted).then(|| &data[at..at + length]);
            }
            at += length;
        }
        None
    }

    fn for_each(&self, mut visit: impl FnMut(u32, u32, u64)) {
        let data = &self.data.0;
        let (mut at, mut id) = (0, 0);
        while at < data.len() {
            id += varint::read(data, &mut at) as u32;
            let length = varint::read(data, &mut at) as usize;
            each_value(&data[at..at + length], |value, count| {
                visit(id, value, count);
                true
            });
            at += length;
        }
    }

    /// Writes the day anew with its patch.
    fn merge(&mut self) {
        if self.patch.is_empty() {
            return;
        }
        let mut all = std::mem::take(&mut self.patch);
        self.for_each(|id, value, count| {
            let sum = all.entry((id, value)).or_default();
            *sum = combine(value, *sum, count);
        });
        let mut writer = SealedWriter::default();
        let mut values: Vec<(u32, u64)> = Vec::new();
        let mut entries = all.into_iter().peekable();
        while let Some(((id, value), count)) = entries.next() {
            values.push((value, count));
            if entries.peek().is_none_or(|next| next.0.0 != id) {
                writer.push(id, &values);
                values.clear();
            }
        }
        *self = writer.finish(self.day);
    }

    fn memory_bytes(&self) -> usize {
        self.data.0.len() + self.index.capacity() * 8 + self.patch.len() * 32
    }
}

fn combine(value: u32, a: u64, b: u64) -> u64 {
    if value == HOURS { a | b } else { a + b }
}

/// Visits encoded values until `visit` returns false.
fn each_value(bytes: &[u8], mut visit: impl FnMut(u32, u64) -> bool) {
    let (mut at, mut value) = (0, 0);
    while at < bytes.len() {
        value += varint::read(bytes, &mut at) as u32;
        if !visit(value, varint::read(bytes, &mut at)) {
            return;
        }
    }
}

#[derive(Default)]
struct SealedWriter {
    data: Vec<u8>,
    index: Vec<(u32, u32)>,
    values: Vec<u8>,
    series: usize,
    entries: usize,
    previous: u32,
}

impl SealedWriter {
    /// Appends a series, in order of id, with its values in order.
    fn push(&mut self, id: u32, values: &[(u32, u64)]) {
        if self.series > 0 && self.series.is_multiple_of(BLOCK) {
            self.index.push((self.previous, self.data.len() as u32));
        }
        self.values.clear();
        let mut previous = 0;
        for (value, count) in values {
            varint::write(&mut self.values, u64::from(value - previous));
            varint::write(&mut self.values, *count);
            previous = *value;
        }
        varint::write(&mut self.data, u64::from(id - self.previous));
        varint::write(&mut self.data, self.values.len() as u64);
        self.data.extend_from_slice(&self.values);
        self.previous = id;
        self.series += 1;
        self.entries += values.len();
    }

    fn finish(mut self, day: u32) -> Sealed {
        self.index.shrink_to_fit();
        Sealed {
            day,
            data: Bytes(self.data.into_boxed_slice()),
            index: self.index,
            entries: self.entries,
            patch: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// One map of all entries is the oracle; references to values must balance.
        #[test]
        fn days_equal_one_map(
            adds in prop::collection::vec(
                (0u32..60, 0u32..12, 0u32..40, prop_oneof![1u64..9, Just(5 << 31)]), 1..800),
        ) {
            let mut days = Days::new(5);
            let mut naive: BTreeMap<(u32, u32, u32), u64> = BTreeMap::new();
            let mut references = BTreeMap::<u32, i64>::new();
            (0..60).for_each(|id| days.admit(id));
            let total = adds.len();
            for (step, (id, back, value, count)) in adds.into_iter().enumerate() {
                let today = 100 + (step * 9 / total) as u32;
                days.open(today, |value| *references.entry(value).or_default() -= 1);
                naive.retain(|key, _| key.1 + 5 > today);
                let day = today - back.saturating_sub(7).min(4);
                let count = if value == HOURS { 1 << (count % 24) } else { count };
                let is_new = days.add(id, day, value, count);
                prop_assert_eq!(is_new, !naive.contains_key(&(id, day, value)));
                if is_new && value >= VALUES {
                    *references.entry(value).or_default() += 1;
                }
                let sum = naive.entry((id, day, value)).or_default();
                *sum = combine(value, *sum, count);
                for day in today - 4..=today {
                    let mut seen = BTreeMap::new();
                    days.for_each_value(id, day, |value, count| {
                        assert!(seen.insert((id, day, value), count).is_none());
                    });
                    let expected: BTreeMap<_, _> = naive
                        .range((id, day, 0)..=(id, day, u32::MAX))
                        .map(|(key, count)| (*key, *count))
                        .collect();
                    let hours = expected.get(&(id, day, HOURS)).copied().unwrap_or(0);
                    prop_assert_eq!(&seen, &expected);
                    prop_assert_eq!(u64::from(days.hours(id, day)), hours);
                }
            }
            days.clear(200, |value| *references.entry(value).or_default() -= 1);
            prop_assert!(references.values().all(|count| *count == 0));
        }
    }
}
