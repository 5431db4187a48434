//! Counts per series and minute, with attribution values, until their minute closes.
//!
//! Every pending minute has tables of its own for the series and values seen in it, and writes
//! their text straight into the batch it will become. So an event touches only what its minute
//! touched before: with a million series, of which a minute sees a few thousand, that stays in
//! the cache, where one table of all series would not. It also means that nothing outlives its
//! minute and nothing has to be reclaimed.

use crate::model::{
    AttributionDelta, Dimension, Fingerprint, Minute, RatesBuilder, RollUps, SeriesRef,
    SourceCategory,
};

use super::IngestSizes;
use super::fingerprint_table::FingerprintTable;
use super::roll_up_totals::RollUpTotals;

/// Index of an attribution value in its minute's batch.
pub(super) type ValueIndex = u32;
/// A value that is not there.
pub(super) const NO_VALUE: ValueIndex = ValueIndex::MAX;
/// The error code of a call that succeeded.
pub(super) const NULL_VALUE: ValueIndex = ValueIndex::MAX - 1;
/// Text of [`NULL_VALUE`] in attributions.
const NULL_TEXT: &str = "null";

/// Dimensions of [`Row::values`], in their order.
const ROW_DIMENSIONS: [Dimension; 3] = [
    Dimension::UserIdentityArn,
    Dimension::UserAgent,
    Dimension::ErrorCode,
];
/// Pending minutes whose memory is kept for others.
const SPARE_MAX: usize = 16;

/// All that is counted and not sent yet.
#[derive(Debug)]
pub(super) struct Tallies {
    /// Pending minutes, oldest first.
    minutes: Vec<PendingMinute>,
    /// Index of the minute used last: mostly the next event's, too.
    recent: usize,
    spare: Vec<PendingMinute>,
    closing: Closing,
    roll_ups: RollUpTotals,
}

/// The counts of one minute and the batch they will become.
#[derive(Debug)]
pub(super) struct PendingMinute {
    bucket: Minute,
    /// Payload: index of the key in the batch.
    keys: FingerprintTable,
    /// Payload: index of the value in the batch.
    values: FingerprintTable,
    batch: RatesBuilder,
    /// Calls or errors by key.
    counts: Vec<u32>,
    rows: Vec<Row>,
    resources: Vec<ResourceRow>,
    text_bytes: usize,
}

/// One counted call or error.
#[derive(Clone, Copy, Debug)]
struct Row {
    key: u32,
    /// Identity, user agent and error code.
    values: [ValueIndex; 3],
}

/// One resource of a counted data event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ResourceRow {
    key: u32,
    value: ValueIndex,
}

/// Scratch memory for closing minutes.
#[derive(Debug, Default)]
struct Closing {
    /// Values of all rows, those of one key together.
    sorted: Vec<[ValueIndex; 3]>,
    next: Vec<u32>,
    column: Vec<ValueIndex>,
    deltas: Vec<AttributionDelta>,
}

impl Tallies {
    pub fn new(roll_ups: RollUps) -> Self {
        Tallies {
            minutes: Vec::new(),
            recent: 0,
            spare: Vec::new(),
            closing: Closing::default(),
            roll_ups: RollUpTotals::new(roll_ups),
        }
    }

    /// The minute of `bucket`, to count into.
    #[inline]
    pub fn minute(&mut self, bucket: Minute) -> &mut PendingMinute {
        let is_recent = self
            .minutes
            .get(self.recent)
            .is_some_and(|one| one.bucket == bucket);
        if !is_recent {
            self.recent = match self.position(bucket) {
                Ok(index) => index,
                Err(index) => {
                    let mut minute = self.spare.pop().unwrap_or_default();
                    minute.bucket = bucket;
                    self.minutes.insert(index, minute);
                    index
                }
            };
        }
        &mut self.minutes[self.recent]
    }

    /// The minute of `bucket` if anything was counted into it.
    #[inline]
    pub fn pending(&self, bucket: Minute) -> Option<&PendingMinute> {
        match self.minutes.get(self.recent) {
            Some(minute) if minute.bucket == bucket => Some(minute),
            _ => Some(&self.minutes[self.position(bucket).ok()?]),
        }
    }

    /// Different minutes pending.
    pub fn minutes(&self) -> usize {
        self.minutes.len()
    }

    /// Adds what is pending to `sizes`.
    pub fn add_sizes(&self, sizes: &mut IngestSizes) {
        sizes.pending_minutes += self.minutes.len();
        for minute in &self.minutes {
            sizes.pending_series += minute.keys.len();
            sizes.pending_values += minute.values.len();
            sizes.pending_rows += minute.rows.len() + minute.resources.len();
            sizes.pending_bytes += minute.bytes();
        }
    }

    /// Gives the batch of each minute before `before` to `emit`, oldest first.
    pub fn close(&mut self, before: Minute, mut emit: impl FnMut(RatesBuilder)) {
        let closing = self.minutes.partition_point(|one| one.bucket < before);
        self.recent = 0;
        for mut minute in self.minutes.drain(..closing) {
            let mut batch = self.closing.batch(&mut minute);
            self.roll_ups.add_to(&mut batch, minute.bucket);
            let next = batch.with_same_room();
            emit(batch);
            if self.spare.len() < SPARE_MAX {
                minute.clear();
                minute.batch = next;
                self.spare.push(minute);
            }
        }
    }

    fn position(&self, bucket: Minute) -> Result<usize, usize> {
        self.minutes.binary_search_by_key(&bucket, |one| one.bucket)
    }
}

impl PendingMinute {
    /// Starts loading what [`Self::count`] will read.
    #[inline]
    pub fn prefetch_key(&self, fingerprint: Fingerprint) {
        self.keys.prefetch(fingerprint.0);
    }

    /// Starts loading what [`Self::value`] will read.
    #[inline]
    pub fn prefetch_value(&self, fingerprint: u128) {
        self.values.prefetch(fingerprint);
    }

    /// Counts one call or error, with its identity, user agent and error code. Returns the index
    /// of its key.
    #[inline]
    pub fn count(
        &mut self,
        key: &SeriesRef<'_>,
        fingerprint: Fingerprint,
        category: SourceCategory,
        values: [ValueIndex; 3],
    ) -> u32 {
        let key = match self.keys.find(fingerprint.0) {
            Some(index) => *index,
            None => self.add_key(key, fingerprint, category),
        };
        self.counts[key as usize] += 1;
        self.rows.push(Row { key, values });
        key
    }

    /// Counts a resource of the call or error counted last for `key`.
    pub fn count_resource(&mut self, key: u32, value: ValueIndex) {
        self.resources.push(ResourceRow { key, value });
    }

    /// The index of an attribution value; [`NO_VALUE`] for an empty one.
    #[inline]
    pub fn value(&mut self, text: &str, fingerprint: u128) -> ValueIndex {
        if text.is_empty() {
            return NO_VALUE;
        }
        match self.values.find(fingerprint) {
            Some(index) => *index,
            None => self.add_value(text, fingerprint),
        }
    }

    #[inline(never)]
    fn add_key(
        &mut self,
        key: &SeriesRef<'_>,
        fingerprint: Fingerprint,
        category: SourceCategory,
    ) -> u32 {
        let index = self.batch.add_key_with(*key, category, fingerprint);
        self.keys.insert_growing(fingerprint.0, index);
        self.counts.push(0);
        self.text_bytes += key.account.len()
            + key.region.len()
            + key.event_source.len()
            + key.event_name.len()
            + key.error_code.len();
        index
    }

    #[inline(never)]
    fn add_value(&mut self, text: &str, fingerprint: u128) -> ValueIndex {
        let index = self.batch.add_value(text);
        self.values.insert_growing(fingerprint, index);
        self.text_bytes += text.len();
        index
    }

    fn bytes(&self) -> usize {
        self.keys.bytes()
            + self.values.bytes()
            + self.text_bytes
            + self.counts.len() * 64
            + size_of_val(self.rows.as_slice())
            + size_of_val(self.resources.as_slice())
    }

    /// Empties the minute for another use; the batch was taken.
    fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
        self.counts.clear();
        self.rows.clear();
        self.resources.clear();
        self.text_bytes = 0;
    }
}

impl Default for PendingMinute {
    fn default() -> Self {
        PendingMinute {
            bucket: Minute(0),
            keys: FingerprintTable::new(),
            values: FingerprintTable::new(),
            batch: RatesBuilder::default(),
            counts: Vec::new(),
            rows: Vec::new(),
            resources: Vec::new(),
            text_bytes: 0,
        }
    }
}

impl Closing {
    /// Takes the minute's batch and adds an entry for each of its keys.
    fn batch(&mut self, minute: &mut PendingMinute) -> RatesBuilder {
        let mut batch = std::mem::take(&mut minute.batch);
        self.sort(minute);
        minute.resources.sort_unstable();
        let mut null = None;
        let mut resources = minute.resources.as_slice();
        let mut start = 0;
        for (key, count) in minute.counts.iter().enumerate() {
            let key = key as u32;
            let end = start + *count as usize;
            self.add_deltas(start..end, &mut null, &mut batch);
            start = end;
            let named = resources.iter().take_while(|row| row.key == key).count();
            let (these, rest) = resources.split_at(named);
            resources = rest;
            for run in these.chunk_by(|a, b| a == b) {
                self.deltas.push(AttributionDelta {
                    dimension: Dimension::ResourceArn,
                    value: run[0].value,
                    count: run.len() as u64,
                });
            }
            batch.add_entry(key, minute.bucket, u64::from(*count), &self.deltas);
        }
        assert!(resources.is_empty(), "a resource of a key without a count");
        batch
    }

    /// Sets `sorted` to the rows' values in order of their keys: a counting sort, for which the
    /// counts are known already.
    fn sort(&mut self, minute: &PendingMinute) {
        self.next.clear();
        let mut start = 0;
        for count in &minute.counts {
            self.next.push(start);
            start += count;
        }
        self.sorted.clear();
        self.sorted.resize(minute.rows.len(), [NO_VALUE; 3]);
        for row in &minute.rows {
            let next = &mut self.next[row.key as usize];
            self.sorted[*next as usize] = row.values;
            *next += 1;
        }
    }

    /// Sets `deltas` to the values of the rows of one key, each with its number of rows.
    fn add_deltas(
        &mut self,
        rows: std::ops::Range<usize>,
        null: &mut Option<ValueIndex>,
        batch: &mut RatesBuilder,
    ) {
        self.deltas.clear();
        for (column, dimension) in ROW_DIMENSIONS.into_iter().enumerate() {
            let values = self.sorted[rows.clone()].iter().map(|row| row[column]);
            self.column.clear();
            self.column.extend(values);
            self.column.sort_unstable();
            for run in self.column.chunk_by(|a, b| a == b) {
                let value = match run[0] {
                    NO_VALUE => continue,
                    NULL_VALUE => *null.get_or_insert_with(|| batch.add_value(NULL_TEXT)),
                    value => value,
                };
                self.deltas.push(AttributionDelta {
                    dimension,
                    value,
                    count: run.len() as u64,
                });
            }
        }
    }
}
