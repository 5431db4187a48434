//! Counts that somebody else made (`--format rates`) become Rates and Progress.
//!
//! Rows are put in order of time first, so lateness does not apply to them. Rows of one series
//! and minute add up; a row with count 0 counts nothing but is seen by time. So is a row of a
//! roll-up that is made here: what somebody else made of it would count its APIs twice.

use thiserror::Error;

use crate::model::{
    EventTime, LogRecord, Minute, Progress, RatesBuilder, RollUps, SeriesRef, SourceCategory,
    SourceState,
};

use super::roll_up_totals::RollUpTotals;
use super::series_keys::SeriesKeys;

/// Counts from here on are kept aside, and their index here instead.
const COUNT_ASIDE: u32 = 1 << 31;

/// Stage 1 for rows of counts.
#[derive(Debug)]
pub struct RatesIngest {
    settings: RowsSettings,
    keys: SeriesKeys,
    roll_ups: RollUpTotals,
    rows: Vec<CountRow>,
    /// Counts that need more than 31 bits.
    large_counts: Vec<u64>,
    /// The rows came in order of buckets so far.
    is_sorted: bool,
    rows_taken_in: u64,
    /// Rows taken in whose counts are made anew.
    rolled_up: u64,
    /// Rows that have gone out; an index into `rows` unless `keeps_one_bucket`.
    drained: usize,
    rows_sent: u64,
    until: Option<EventTime>,
    keeps_one_bucket: bool,
}

/// How rows are taken in.
#[derive(Clone, Copy, Debug)]
pub struct RowsSettings {
    /// Width of a bucket: 1, 5, 15 or 60 minutes.
    pub bucket_minutes: u32,
    pub source: u32,
    pub rows_max: u64,
    pub series_max: u32,
    pub roll_ups: RollUps,
}

#[derive(Clone, Copy, Debug)]
struct CountRow {
    bucket: Minute,
    key: u32,
    count: u32,
}

/// Why a row cannot be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RowsError {
    #[error("more than {0} rows")]
    TooManyRows(u64),
    #[error("more than {0} different series")]
    TooManySeries(u32),
    /// Only in [`RatesIngest::new_sorted`].
    #[error("a row is older than the one before it")]
    NotSorted,
}

impl Default for RowsSettings {
    fn default() -> Self {
        RowsSettings {
            bucket_minutes: 1,
            source: 0,
            rows_max: 1 << 30,
            series_max: 4_000_000,
            roll_ups: RollUps::default(),
        }
    }
}

impl RatesIngest {
    /// Takes rows in any order: they are kept in 12 bytes each until [`Self::finish`].
    pub fn new(settings: RowsSettings) -> Self {
        RatesIngest {
            settings,
            keys: SeriesKeys::new(settings.series_max),
            roll_ups: RollUpTotals::new(settings.roll_ups),
            rows: Vec::new(),
            large_counts: Vec::new(),
            is_sorted: true,
            rows_taken_in: 0,
            rolled_up: 0,
            drained: 0,
            rows_sent: 0,
            until: None,
            keeps_one_bucket: false,
        }
    }

    /// Takes rows that the caller knows to be in order of time, and keeps one bucket of them.
    pub fn new_sorted(settings: RowsSettings) -> Self {
        RatesIngest {
            keeps_one_bucket: true,
            ..Self::new(settings)
        }
    }

    /// Takes in one row. `key` is a call series for an empty error code, else an error series.
    /// Appends to `out` only in [`Self::new_sorted`].
    pub fn push(
        &mut self,
        time: EventTime,
        key: SeriesRef<'_>,
        count: u64,
        out: &mut Vec<LogRecord>,
    ) -> Result<(), RowsError> {
        if self.rows.len() as u64 >= self.settings.rows_max {
            return Err(RowsError::TooManyRows(self.settings.rows_max));
        }
        let bucket = time.minute().bucket(self.settings.bucket_minutes);
        if let Some(last) = self.rows.last().filter(|last| last.bucket != bucket) {
            let is_older = bucket < last.bucket;
            self.is_sorted &= !is_older;
            if self.keeps_one_bucket && is_older {
                return Err(RowsError::NotSorted);
            }
            if self.keeps_one_bucket {
                self.send(self.rows.len(), bucket, SourceState::Active, out);
                self.rows.clear();
                self.large_counts.clear();
                self.drained = 0;
            }
        }
        let roll_ups = self.settings.roll_ups;
        let is_made_anew = key.roll_up().is_some_and(|one| roll_ups.has(one));
        self.rolled_up += u64::from(is_made_anew);
        let count = if is_made_anew { 0 } else { count };
        let key = self
            .keys
            .intern(&key)
            .ok_or(RowsError::TooManySeries(self.settings.series_max))?;
        let count = match u32::try_from(count) {
            Ok(count) if count < COUNT_ASIDE => count,
            _ => {
                self.large_counts.push(count);
                COUNT_ASIDE | (self.large_counts.len() - 1) as u32
            }
        };
        self.rows.push(CountRow { bucket, key, count });
        self.rows_taken_in += 1;
        Ok(())
    }

    /// End of input. Rows are in order from here on; [`Self::drain`] gives them out. With
    /// `until`, time advances to it at the end.
    pub fn finish(&mut self, until: Option<EventTime>) {
        self.until = until;
        if !self.is_sorted {
            self.rows.sort_unstable_by_key(|row| row.bucket);
            self.is_sorted = true;
        }
    }

    /// Appends the records of the next bucket; false when there are none left.
    pub fn drain(&mut self, out: &mut Vec<LogRecord>) -> bool {
        let width = self.settings.bucket_minutes;
        let rest = &self.rows[self.drained..];
        let Some(first) = rest.first() else {
            let Some(until) = self.until.take() else {
                return false;
            };
            let watermark = until.minute().bucket(width);
            let after_last = self.rows.last().map(|last| last.bucket.0 + width);
            if after_last.is_none_or(|after_last| after_last < watermark.0) {
                self.send_progress(watermark, SourceState::IdleProven, out);
            }
            return false;
        };
        let bucket = first.bucket;
        let end = self.drained + rest.partition_point(|row| row.bucket <= bucket);
        let (watermark, state) = match self.rows.get(end) {
            Some(next) => (next.bucket, SourceState::Active),
            None => (Minute(bucket.0 + width), SourceState::IdleProven),
        };
        self.send(end, watermark, state, out);
        true
    }

    /// Rows taken in so far.
    pub fn rows(&self) -> u64 {
        self.rows_taken_in
    }

    /// Rows among them of roll-ups that are made here, which counted nothing.
    pub fn rolled_up(&self) -> u64 {
        self.rolled_up
    }

    /// Sends the rows up to index `end`, all of one bucket.
    fn send(
        &mut self,
        end: usize,
        watermark: Minute,
        state: SourceState,
        out: &mut Vec<LogRecord>,
    ) {
        let rows = &mut self.rows[self.drained..end];
        rows.sort_unstable_by_key(|row| row.key);
        let mut builder = RatesBuilder::default();
        for run in rows.chunk_by(|a, b| a.key == b.key) {
            let counts = run.iter().map(|row| match row.count < COUNT_ASIDE {
                true => u64::from(row.count),
                false => self.large_counts[(row.count - COUNT_ASIDE) as usize],
            });
            let count = counts.fold(0, u64::saturating_add);
            if count > 0 {
                let (key, fingerprint) = self.keys.get(run[0].key);
                let category = SourceCategory::Management;
                let key = builder.add_key_with(key, category, fingerprint);
                builder.add_entry(key, run[0].bucket, count, &[]);
            }
        }
        if let Some(first) = rows.first() {
            self.roll_ups.add_to(&mut builder, first.bucket);
        }
        let sent_before = self.rows_sent;
        self.rows_sent += (end - self.drained) as u64;
        self.drained = end;
        if !builder.is_empty() {
            let positions = (sent_before, self.rows_sent);
            out.push(LogRecord::Rates(
                builder.finish(self.settings.source, positions),
            ));
        }
        self.send_progress(watermark, state, out);
    }

    fn send_progress(&self, watermark: Minute, state: SourceState, out: &mut Vec<LogRecord>) {
        let last = Minute::LAST.bucket(self.settings.bucket_minutes);
        out.push(LogRecord::Progress(Progress {
            source: self.settings.source,
            position: self.rows_sent,
            watermark: watermark.min(last).start(),
            state,
        }));
    }
}

#[cfg(test)]
#[path = "rates_ingest_tests.rs"]
mod tests;
