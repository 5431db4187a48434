//! Rates and Progress: what ingest makes of events, and all that detect ever reads.
//!
//! A [`Rates`] batch is self-contained: it carries the keys and values its entries name, so that
//! any batch of the rates log can be read alone. Entries of one (series, minute) add up, within
//! a batch and across batches; the order of entries means nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::series::InsightType;
use super::{EventTime, Fingerprint, Knowledge, Minute, SeriesRef, SourceCategory};

/// What an attribution value is a value of. The order is that of CloudTrail's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    UserIdentityArn,
    UserAgent,
    ErrorCode,
    ResourceArn,
}

/// How a source's watermark came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// By the source's own events.
    Active,
    /// By proof that there is nothing more to read now; for files, the end of input.
    IdleProven,
    /// Not at all: the source is paused, lagging or failing.
    Blocked,
}

/// How far one source has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Index of the source, fixed for the life of the rates log.
    pub source: u32,
    /// Records of the source taken in so far (for Kafka: the next offset to read).
    pub position: u64,
    /// Counts before this time are final; never goes back.
    pub watermark: EventTime,
    pub state: SourceState,
}

/// One record of the rates log.
#[derive(Clone, Debug, PartialEq)]
pub enum LogRecord {
    /// Settings that change decisions, as canonical text; in force from here on.
    Settings(String),
    /// The sources that have to report before time moves.
    Sources(u32),
    Rates(Rates),
    Progress(Progress),
    /// A source that time waits for no longer.
    Retired(u32),
    /// What somebody knows, in force from here on; its number among all that is known, from 0.
    Knowledge {
        number: u32,
        record: Arc<Knowledge>,
    },
}

/// Counts per (series, minute) with attribution deltas, and the dictionary they refer to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// Index of the source the counts come from.
    pub source: u32,
    /// Positions of the source this batch covers, half-open.
    pub positions: (u64, u64),
    text: String,
    keys: Vec<KeyRow>,
    values: Vec<(u32, u32)>,
    entries: Vec<RatesEntry>,
    deltas: Vec<AttributionDelta>,
}

/// Count of one (series, minute).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatesEntry {
    /// Index into the keys of the batch.
    pub key: u32,
    pub minute: Minute,
    /// Calls or errors; zero says that the series was seen and nothing else.
    pub count: u64,
    /// Range of [`Rates::deltas`] that belongs to this entry.
    pub deltas: (u32, u32),
}

/// Count of one attribution value within an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributionDelta {
    pub dimension: Dimension,
    /// Index into the values of the batch.
    pub value: u32,
    pub count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KeyRow {
    fingerprint: Fingerprint,
    category: SourceCategory,
    insight_type: InsightType,
    start: u32,
    /// Lengths of account, region, event source, event name and error code, in this order.
    lengths: [u32; 5],
}

/// Builds a [`Rates`] batch; entries are added one after the other.
#[derive(Debug, Default)]
pub struct RatesBuilder {
    rates: Rates,
    value_index: HashMap<String, u32>,
}

impl Rates {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    pub fn entries(&self) -> &[RatesEntry] {
        &self.entries
    }
    pub fn keys_len(&self) -> usize {
        self.keys.len()
    }
    pub fn values_len(&self) -> usize {
        self.values.len()
    }
    pub fn fingerprint(&self, key: u32) -> Fingerprint {
        self.keys[key as usize].fingerprint
    }
    pub fn category(&self, key: u32) -> SourceCategory {
        self.keys[key as usize].category
    }

    pub fn key(&self, key: u32) -> SeriesRef<'_> {
        let row = &self.keys[key as usize];
        let mut start = row.start as usize;
        let mut part = |length: u32| {
            let text = &self.text[start..start + length as usize];
            start += length as usize;
            text
        };
        SeriesRef {
            account: part(row.lengths[0]),
            region: part(row.lengths[1]),
            event_source: part(row.lengths[2]),
            event_name: part(row.lengths[3]),
            insight_type: row.insight_type,
            error_code: part(row.lengths[4]),
        }
    }

    /// Text of an attribution value.
    pub fn value(&self, value: u32) -> &str {
        let (start, length) = self.values[value as usize];
        &self.text[start as usize..(start + length) as usize]
    }

    pub fn deltas(&self, entry: &RatesEntry) -> &[AttributionDelta] {
        &self.deltas[entry.deltas.0 as usize..entry.deltas.1 as usize]
    }
}

impl RatesBuilder {
    pub fn is_empty(&self) -> bool {
        self.rates.entries.is_empty()
    }

    /// What was added since the last batch.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Attribution values in the dictionary.
    pub fn values_len(&self) -> usize {
        self.rates.values.len()
    }

    /// Adds a key to the dictionary; the caller adds each key once.
    pub fn add_key(&mut self, key: SeriesRef<'_>, category: SourceCategory) -> u32 {
        let fingerprint = key.fingerprint();
        self.add_key_with(key, category, fingerprint)
    }

    /// As [`Self::add_key`] with the fingerprint of `key` already known.
    pub fn add_key_with(
        &mut self,
        key: SeriesRef<'_>,
        category: SourceCategory,
        fingerprint: Fingerprint,
    ) -> u32 {
        let start = self.rates.text.len() as u32;
        let parts = [
            key.account,
            key.region,
            key.event_source,
            key.event_name,
            key.error_code,
        ];
        for part in parts {
            self.rates.text.push_str(part);
        }
        self.rates.keys.push(KeyRow {
            fingerprint,
            category,
            insight_type: key.insight_type,
            start,
            lengths: parts.map(|part| part.len() as u32),
        });
        (self.rates.keys.len() - 1) as u32
    }

    /// Adds an attribution value to the dictionary, or finds it there.
    pub fn value(&mut self, text: &str) -> u32 {
        if let Some(index) = self.value_index.get(text) {
            return *index;
        }
        let index = self.add_value(text);
        self.value_index.insert(text.to_string(), index);
        index
    }

    /// Adds an attribution value that the caller knows to be new.
    pub fn add_value(&mut self, text: &str) -> u32 {
        let start = self.rates.text.len() as u32;
        self.rates.text.push_str(text);
        self.rates.values.push((start, text.len() as u32));
        (self.rates.values.len() - 1) as u32
    }

    /// Adds a count of `key` in `minute`, with its attribution deltas.
    pub fn add_entry(&mut self, key: u32, minute: Minute, count: u64, deltas: &[AttributionDelta]) {
        let start = self.rates.deltas.len() as u32;
        self.rates.deltas.extend_from_slice(deltas);
        let end = self.rates.deltas.len() as u32;
        self.rates.entries.push(RatesEntry {
            key,
            minute,
            count,
            deltas: (start, end),
        });
    }

    /// An empty builder with room for as much as this one holds.
    pub fn with_same_room(&self) -> Self {
        let rates = &self.rates;
        RatesBuilder {
            rates: Rates {
                text: String::with_capacity(rates.text.len()),
                keys: Vec::with_capacity(rates.keys.len()),
                values: Vec::with_capacity(rates.values.len()),
                entries: Vec::with_capacity(rates.entries.len()),
                deltas: Vec::with_capacity(rates.deltas.len()),
                ..Rates::default()
            },
            value_index: HashMap::new(),
        }
    }

    /// The batch of all added since the last call; `positions` as in [`Rates`].
    pub fn finish(&mut self, source: u32, positions: (u64, u64)) -> Rates {
        self.value_index.clear();
        let mut rates = std::mem::take(&mut self.rates);
        rates.source = source;
        rates.positions = positions;
        rates
    }
}

impl Dimension {
    pub const ALL: [Dimension; 4] = [
        Dimension::UserIdentityArn,
        Dimension::UserAgent,
        Dimension::ErrorCode,
        Dimension::ResourceArn,
    ];

    /// Place in [`Self::ALL`].
    pub fn index(self) -> u8 {
        match self {
            Dimension::UserIdentityArn => 0,
            Dimension::UserAgent => 1,
            Dimension::ErrorCode => 2,
            Dimension::ResourceArn => 3,
        }
    }

    /// CloudTrail's name of the attribute.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::UserIdentityArn => "userIdentityArn",
            Dimension::UserAgent => "userAgent",
            Dimension::ErrorCode => "errorCode",
            Dimension::ResourceArn => "resourceArn",
        }
    }
}
