//! Reads blocks of kept rates back as records, of all series or of some.

use std::ops::ControlFlow;

use super::super::SeriesSet;
use super::{KeptRates, KeptSeries, RATES};
use crate::detect::varint::read;
use crate::formats::rates_record;
use crate::model::{
    AttributionDelta, Dimension, Fingerprint, LogRecord, Minute, Rates, RatesBuilder,
};

/// Makes records of blocks, with a dictionary in each batch.
pub(super) struct BlockReader<'a> {
    kept: &'a KeptRates,
    keep: &'a SeriesSet,
    fingerprints: Vec<Fingerprint>,
    /// By series and by value, the number of the batch it was last named in, and its index there.
    keys: Vec<(u32, u32)>,
    values: Vec<(u32, u32)>,
    batch: u32,
    deltas: Vec<AttributionDelta>,
}

impl<'a> BlockReader<'a> {
    pub(super) fn new(kept: &'a KeptRates, keep: &'a SeriesSet) -> Self {
        let fingerprint = |series: &KeptSeries| series.key.as_ref().fingerprint();
        BlockReader {
            kept,
            keep,
            fingerprints: kept.series.iter().map(fingerprint).collect(),
            keys: vec![(0, 0); kept.series.len()],
            values: vec![(0, 0); kept.values.len()],
            batch: 0,
            deltas: Vec::new(),
        }
    }

    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        visit: &mut dyn FnMut(&LogRecord) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut at = 0;
        while at < bytes.len() {
            if let Some(record) = self.record(bytes, &mut at) {
                visit(&record)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// The next record; `None` for rates of other series only.
    fn record(&mut self, bytes: &[u8], at: &mut usize) -> Option<LogRecord> {
        let kind = bytes[*at];
        *at += 1;
        if kind == RATES {
            let rates = self.rates(bytes, at);
            return (!rates.is_empty()).then_some(LogRecord::Rates(rates));
        }
        let length = read(bytes, at) as usize;
        let record = rates_record::decode(&bytes[*at..*at + length]);
        *at += length;
        Some(record.expect("it was encoded a moment ago"))
    }

    fn rates(&mut self, bytes: &[u8], at: &mut usize) -> Rates {
        self.batch += 1;
        let source = read(bytes, at) as u32;
        let from = read(bytes, at);
        let positions = (from, from + read(bytes, at));
        let mut builder = RatesBuilder::default();
        let mut minute = 0;
        for _ in 0..read(bytes, at) {
            minute += read(bytes, at) as u32;
            let mut series = 0;
            for _ in 0..read(bytes, at) {
                series += read(bytes, at) as u32;
                let joined = read(bytes, at);
                let is_kept = self.keep.holds(series);
                self.deltas.clear();
                if joined & 1 == 1 {
                    self.read_deltas(bytes, at, is_kept.then_some(&mut builder));
                }
                if is_kept {
                    let key = self.key(series, &mut builder);
                    builder.add_entry(key, Minute(minute), joined >> 1, &self.deltas);
                }
            }
        }
        builder.finish(source, positions)
    }

    fn key(&mut self, series: u32, builder: &mut RatesBuilder) -> u32 {
        let (batch, key) = &mut self.keys[series as usize];
        if *batch != self.batch {
            let kept = &self.kept.series[series as usize];
            let fingerprint = self.fingerprints[series as usize];
            *batch = self.batch;
            *key = builder.add_key_with(kept.key.as_ref(), kept.category, fingerprint);
        }
        *key
    }

    fn read_deltas(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
        mut builder: Option<&mut RatesBuilder>,
    ) {
        for _ in 0..read(bytes, at) {
            let (joined, count) = (read(bytes, at), read(bytes, at));
            let Some(builder) = &mut builder else {
                continue;
            };
            let number = (joined >> 2) as usize;
            let (batch, value) = &mut self.values[number];
            if *batch != self.batch {
                *batch = self.batch;
                *value = builder.add_value(&self.kept.values[number]);
            }
            self.deltas.push(AttributionDelta {
                dimension: Dimension::ALL[(joined & 3) as usize],
                value: *value,
                count,
            });
        }
    }
}
