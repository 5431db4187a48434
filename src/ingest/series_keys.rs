//! The keys of the series in rows of counts, each with a small number.

use crate::model::{Fingerprint, InsightType, SeriesRef};

use super::fingerprint_table::FingerprintTable;

/// Keys by fingerprint and by number.
#[derive(Debug)]
pub(super) struct SeriesKeys {
    /// Payload: the number.
    table: FingerprintTable,
    text: String,
    keys: Vec<KeyShape>,
    series_max: u32,
}

/// What a key is made of beside its text.
#[derive(Clone, Copy, Debug)]
struct KeyShape {
    fingerprint: Fingerprint,
    insight_type: InsightType,
    start: usize,
    /// Lengths of account, region, event source, event name and error code.
    lengths: [u32; 5],
}

impl SeriesKeys {
    pub fn new(series_max: u32) -> Self {
        SeriesKeys {
            table: FingerprintTable::new(),
            text: String::new(),
            keys: Vec::new(),
            series_max,
        }
    }

    /// The number of a key; `None` when there are too many.
    pub fn intern(&mut self, key: &SeriesRef<'_>) -> Option<u32> {
        let fingerprint = key.fingerprint();
        if let Some(number) = self.table.find(fingerprint.0) {
            return Some(*number);
        }
        let number = self.keys.len() as u32;
        if number >= self.series_max {
            return None;
        }
        let parts = [
            key.account,
            key.region,
            key.event_source,
            key.event_name,
            key.error_code,
        ];
        self.keys.push(KeyShape {
            fingerprint,
            insight_type: key.insight_type,
            start: self.text.len(),
            lengths: parts.map(|part| part.len() as u32),
        });
        for part in parts {
            self.text.push_str(part);
        }
        self.table.insert_growing(fingerprint.0, number);
        Some(number)
    }

    pub fn get(&self, number: u32) -> (SeriesRef<'_>, Fingerprint) {
        let shape = &self.keys[number as usize];
        let mut rest = &self.text[shape.start..];
        let mut part = |length: u32| {
            let (part, after) = rest.split_at(length as usize);
            rest = after;
            part
        };
        let key = SeriesRef {
            account: part(shape.lengths[0]),
            region: part(shape.lengths[1]),
            event_source: part(shape.lengths[2]),
            event_name: part(shape.lengths[3]),
            insight_type: shape.insight_type,
            error_code: part(shape.lengths[4]),
        };
        (key, shape.fingerprint)
    }
}
