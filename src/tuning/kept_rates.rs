//! The rates of a recording in memory, small enough to run many settings over.
//!
//! A recording is turned into rates once. Here they stand as records of the rates log with one
//! dictionary for all of them, two to five bytes a count; what is read back are records again, of
//! all series or of some. Batches are joined where nothing can tell the difference: entries of one
//! batch may be of several minutes as long as none of those is closed when they arrive.

mod blocks;

use std::collections::HashMap;
use std::ops::ControlFlow;

use thiserror::Error;

use super::SeriesSet;
use crate::detect::varint::write;
use crate::formats::rates_record;
use crate::model::{LogRecord, Minute, Progress, Rates, SeriesKey, SeriesRef, SourceCategory};
use blocks::BlockReader;

/// Entries that are joined into one batch, about.
const BATCH_ENTRIES: usize = 1 << 14;
/// More than detection counts in one entry; a bit is needed beside it.
const COUNT_MAX: u64 = 1 << 62;
/// Blocks are of about this many bytes.
const BLOCK_BYTES: usize = 1 << 16;

/// A batch of rates in the form that is told here.
const RATES: u8 = 0;
/// Another record in the form of the rates log, after its length.
const RECORD: u8 = 1;

/// More rates than may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the rates of this input take more than limits.kept_rates_bytes_max, {0} bytes")]
pub struct TooMuch(pub u64);

/// Rates that can be run over again and again.
#[derive(Clone, Debug, Default)]
pub struct KeptRates {
    series: Vec<KeptSeries>,
    values: Vec<Box<str>>,
    blocks: Vec<Box<[u8]>>,
    bytes: u64,
    bytes_max: u64,
    entries: u64,
    span: Option<(Minute, Minute)>,
    open: Vec<u8>,
    /// Memory to write a record into.
    record: Vec<u8>,
    joining: Joining,
    series_index: HashMap<u128, u32>,
    value_index: HashMap<Box<str>, u32>,
}

/// A series with what it counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSeries {
    pub key: SeriesKey,
    pub category: SourceCategory,
    /// Sum of all its counts.
    pub count: u64,
}

/// A batch that grows, and the reports of progress that follow it.
#[derive(Clone, Debug, Default)]
struct Joining {
    source: u32,
    positions: Option<(u64, u64)>,
    entries: Vec<Entry>,
    deltas: Vec<(u8, u32, u64)>,
    progress: Vec<Progress>,
    /// Minutes before this may be closed already.
    closed: Minute,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    minute: u32,
    series: u32,
    count: u64,
    deltas: (u32, u32),
}

impl KeptRates {
    /// Keeps up to `bytes_max` bytes.
    pub fn new(bytes_max: u64) -> Self {
        KeptRates {
            bytes_max,
            ..KeptRates::default()
        }
    }

    /// Takes the next record of the log.
    pub fn push(&mut self, record: &LogRecord) -> Result<(), TooMuch> {
        match record {
            LogRecord::Rates(rates) => self.join(rates),
            LogRecord::Progress(progress) => self.joining.progress.push(progress.clone()),
            other => {
                self.flush();
                self.put(other);
            }
        }
        if self.joining.entries.len() >= BATCH_ENTRIES {
            self.flush();
        }
        let bytes = self.bytes + self.open.len() as u64;
        match bytes > self.bytes_max {
            true => Err(TooMuch(self.bytes_max)),
            false => Ok(()),
        }
    }

    /// All records were pushed.
    pub fn finish(&mut self) {
        self.flush();
        self.close_block();
    }

    pub fn series(&self) -> &[KeptSeries] {
        &self.series
    }

    /// Number of a series.
    pub fn find(&self, key: SeriesRef<'_>) -> Option<u32> {
        self.series_index.get(&key.fingerprint().0).copied()
    }

    /// Counts kept, of one series and minute each.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// First minute with a count and the one after the last.
    pub fn span(&self) -> Option<(Minute, Minute)> {
        self.span
    }

    pub fn bytes(&self) -> u64 {
        self.bytes + self.open.len() as u64
    }

    /// Calls `visit` with every record, of the series in `keep` only, until it breaks.
    pub fn read(&self, keep: &SeriesSet, visit: &mut dyn FnMut(&LogRecord) -> ControlFlow<()>) {
        let mut reader = BlockReader::new(self, keep);
        for block in &self.blocks {
            if reader.read(block, visit).is_break() {
                return;
            }
        }
    }

    /// Calls `visit` with (series, minute, count) of every entry of the series in `keep`.
    pub fn counts(&self, keep: &SeriesSet, visit: &mut dyn FnMut(u32, Minute, u64)) {
        let mut numbers = HashMap::new();
        for (number, series) in self.series.iter().enumerate() {
            if keep.holds(number as u32) {
                let fingerprint = series.key.as_ref().fingerprint().0;
                numbers.insert(fingerprint, number as u32);
            }
        }
        self.read(keep, &mut |record| {
            if let LogRecord::Rates(rates) = record {
                for entry in rates.entries() {
                    let number = numbers[&rates.fingerprint(entry.key).0];
                    visit(number, entry.minute, entry.count);
                }
            }
            ControlFlow::Continue(())
        });
    }

    /// Adds a batch to the one that grows, if nobody can tell the difference.
    fn join(&mut self, rates: &Rates) {
        let joining = &self.joining;
        let (from, to) = rates.positions;
        let follows = joining
            .positions
            .is_none_or(|(_, last)| last == from && joining.source == rates.source);
        let closed = joining.closed_to();
        let has_late = rates.entries().iter().any(|entry| entry.minute < closed);
        if !follows || has_late {
            self.flush();
        }
        let series: Vec<u32> = (0..rates.keys_len() as u32)
            .map(|key| self.series_number(rates, key))
            .collect();
        let values: Vec<u32> = (0..rates.values_len() as u32)
            .map(|value| self.value_number(rates.value(value)))
            .collect();
        let joining = &mut self.joining;
        joining.source = rates.source;
        joining.positions = Some((joining.positions.map_or(from, |(first, _)| first), to));
        for entry in rates.entries() {
            let number = series[entry.key as usize];
            let start = joining.deltas.len() as u32;
            for delta in rates.deltas(entry) {
                let dimension = delta.dimension.index();
                let value = values[delta.value as usize];
                joining.deltas.push((dimension, value, delta.count));
            }
            joining.entries.push(Entry {
                minute: entry.minute.0,
                series: number,
                count: entry.count.min(COUNT_MAX),
                deltas: (start, joining.deltas.len() as u32),
            });
            let kept = &mut self.series[number as usize];
            kept.count = kept.count.saturating_add(entry.count);
            let (first, last) = self.span.unwrap_or((entry.minute, entry.minute));
            self.span = Some((
                first.min(entry.minute),
                last.max(Minute(entry.minute.0 + 1)),
            ));
        }
    }

    fn series_number(&mut self, rates: &Rates, key: u32) -> u32 {
        let next = self.series.len() as u32;
        let number = *self
            .series_index
            .entry(rates.fingerprint(key).0)
            .or_insert(next);
        if number == next {
            self.series.push(KeptSeries {
                key: rates.key(key).to_key(),
                category: rates.category(key),
                count: 0,
            });
            self.bytes += size_of::<KeptSeries>() as u64 + 96;
        }
        number
    }

    fn value_number(&mut self, value: &str) -> u32 {
        if let Some(number) = self.value_index.get(value) {
            return *number;
        }
        let number = self.values.len() as u32;
        self.values.push(value.into());
        self.value_index.insert(value.into(), number);
        self.bytes += 2 * value.len() as u64 + 64;
        number
    }

    /// Writes the batch that grows and what follows it.
    fn flush(&mut self) {
        let mut joining = std::mem::take(&mut self.joining);
        if let Some(positions) = joining.positions.take() {
            self.entries += joining.entries.len() as u64;
            self.put_rates(&mut joining, positions);
        }
        for progress in &joining.progress {
            joining.closed = joining.closed.max(progress.watermark.minute());
            self.put(&LogRecord::Progress(progress.clone()));
        }
        self.joining.closed = joining.closed;
        if self.open.len() >= BLOCK_BYTES {
            self.close_block();
        }
    }

    fn put_rates(&mut self, joining: &mut Joining, (from, to): (u64, u64)) {
        let out = &mut self.open;
        out.push(RATES);
        write(out, u64::from(joining.source));
        write(out, from);
        write(out, to - from);
        joining.entries.sort_unstable();
        let runs: Vec<&[Entry]> = joining
            .entries
            .chunk_by(|a, b| a.minute == b.minute)
            .collect();
        write(out, runs.len() as u64);
        let mut minute = 0;
        for run in runs {
            write(out, u64::from(run[0].minute - minute));
            write(out, run.len() as u64);
            minute = run[0].minute;
            let mut series = 0;
            for entry in run {
                write(out, u64::from(entry.series - series));
                series = entry.series;
                let deltas = &joining.deltas[entry.deltas.0 as usize..entry.deltas.1 as usize];
                // Most counts are small and most entries of rates have no deltas: one byte.
                write(out, entry.count << 1 | u64::from(!deltas.is_empty()));
                if deltas.is_empty() {
                    continue;
                }
                write(out, deltas.len() as u64);
                for (dimension, value, count) in deltas {
                    write(out, u64::from(*value) << 2 | u64::from(*dimension));
                    write(out, *count);
                }
            }
        }
    }

    fn put(&mut self, record: &LogRecord) {
        self.record.clear();
        rates_record::encode(record, &mut self.record);
        self.open.push(RECORD);
        write(&mut self.open, self.record.len() as u64);
        self.open.extend_from_slice(&self.record);
    }

    fn close_block(&mut self) {
        if !self.open.is_empty() {
            self.bytes += self.open.len() as u64;
            self.blocks.push(std::mem::take(&mut self.open).into());
        }
    }
}

impl Joining {
    /// Minutes before this are closed once all that waits here was told.
    fn closed_to(&self) -> Minute {
        let told = self.progress.iter().map(|p| p.watermark.minute());
        told.fold(self.closed, Minute::max)
    }
}
