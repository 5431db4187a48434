//! Entries whose minute has not closed yet, and late ones that wait for the next advance.
//!
//! Both are kept per minute and sorted only when they are taken, so neither the order of entries
//! nor the cut of batches means anything. A series that is not tracked yet waits as a candidate
//! under its whole key: it is admitted when a minute with a count of it closes, or refused before
//! that when it is certain that it will not be (module `refuse_early`).

mod refuse_early;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::registry::{Registry, UNKNOWN};
use super::strings::Strings;
use crate::model::{AttributionDelta, Rates, SeriesKey, SeriesRef, SourceCategory};

mod check;

/// Marks the number of a candidate where else a series id stands.
const CANDIDATE: u32 = 1 << 31;

/// Largest count of one entry. A window of the largest counts, a thousand a bucket, adds up
/// within 64 bits.
const COUNT_MAX: u64 = 1 << 40;

/// Largest count that a thousand of those add up to while they wait.
const SUM_MAX: u64 = COUNT_MAX << 10;

/// What waits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OpenMinutes {
    open: BTreeMap<u32, MinuteRows>,
    late: BTreeMap<u32, MinuteRows>,
    candidates: Vec<Option<Candidate>>,
    free: Vec<u32>,
    /// Entries that have to wait before it is worth while to refuse some early again.
    refuse_at: usize,
    /// Counts and attributions that wait.
    #[serde(skip)]
    entries: usize,
    #[serde(skip)]
    index: HashMap<u128, u32>,
    #[serde(skip)]
    spare: Vec<MinuteRows>,
    #[serde(skip)]
    scratch: Scratch,
}

#[derive(Clone, Debug, Default)]
struct Scratch {
    /// Id, candidate or unknown by key of the batch.
    series: Vec<u32>,
    /// Code by value and dimension of the batch; 0 for none yet.
    values: Vec<u32>,
}

/// The entries of one minute.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MinuteRows {
    pub rows: Vec<Row>,
    /// (value, count); each holds a reference to its value.
    pub deltas: Vec<(u32, u64)>,
}

/// One entry.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Series id, once taken; before, a candidate's number may stand here.
    pub series: u32,
    is_data: bool,
    pub count: u64,
    /// Range of the minute's deltas.
    pub deltas: (u32, u32),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Candidate {
    key: StoredKey,
    /// Rows that name it.
    rows: u64,
}

/// A key as plain text parts: account, region, source, name, insight type, error code.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredKey([Box<str>; 5], bool);

impl OpenMinutes {
    /// Sorts the entries of `rates` into their minutes; those before `closed` are late. Returns
    /// how many entries had a count beyond [`COUNT_MAX`], which is what they count then.
    pub fn observe(
        &mut self,
        rates: &Rates,
        closed: Option<u32>,
        width: u32,
        registry: &Registry,
        values: &mut Strings,
    ) -> u64 {
        let mut capped = 0;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.series.clear();
        let fingerprints = (0..rates.keys_len()).map(|key| rates.fingerprint(key as u32));
        registry.find_all(fingerprints, &mut scratch.series);
        scratch.values.clear();
        scratch.values.resize(rates.values_len() * 4, 0);
        for entry in rates.entries().iter().filter(|entry| entry.count > 0) {
            let series = &mut scratch.series[entry.key as usize];
            if *series == UNKNOWN {
                *series = self.candidate(rates, entry.key);
            }
            let series = *series;
            if series & CANDIDATE != 0 {
                let candidate = &mut self.candidates[(series ^ CANDIDATE) as usize];
                candidate
                    .as_mut()
                    .expect("a candidate named here is held")
                    .rows += 1;
            }
            let minute = entry.minute.bucket(width).0;
            let is_late = closed.is_some_and(|closed| minute < closed);
            let minutes = if is_late {
                &mut self.late
            } else {
                &mut self.open
            };
            let spare = &mut self.spare;
            let rows = minutes
                .entry(minute)
                .or_insert_with(|| spare.pop().unwrap_or_default());
            capped += u64::from(entry.count > COUNT_MAX);
            let from = rows.deltas.len() as u32;
            for delta in rates.deltas(entry).iter().filter(|delta| delta.count > 0) {
                let value = code(&mut scratch.values, rates, delta, values);
                rows.deltas.push((value, delta.count.min(COUNT_MAX)));
            }
            self.entries += 1 + rows.deltas.len() - from as usize;
            rows.rows.push(Row {
                series,
                is_data: rates.category(entry.key) == SourceCategory::Data,
                count: entry.count.min(COUNT_MAX),
                deltas: (from, rows.deltas.len() as u32),
            });
        }
        self.scratch = scratch;
        capped
    }

    /// First minute that waits to close.
    pub fn first(&self) -> Option<u32> {
        self.open.first_key_value().map(|(minute, _)| *minute)
    }

    /// First minute with late entries.
    pub fn first_late(&self) -> Option<u32> {
        self.late.first_key_value().map(|(minute, _)| *minute)
    }

    /// Takes the entries of an open minute in order of series id. Candidates are admitted in the
    /// order of their keys; rows of those refused are dropped, and `refused` gets each.
    pub fn take(
        &mut self,
        minute: u32,
        registry: &mut Registry,
        values: &mut Strings,
        refused: impl FnMut(&Row),
    ) -> Option<MinuteRows> {
        let rows = self.open.remove(&minute)?;
        self.entries -= rows.entries();
        debug_assert_eq!(self.entries, self.count_entries());
        self.refuse_at = self.refuse_at.min(2 * self.entries);
        Some(self.resolve(rows, registry, values, refused))
    }

    /// As [`Self::take`] for late entries.
    pub fn take_late(
        &mut self,
        minute: u32,
        registry: &mut Registry,
        values: &mut Strings,
        refused: impl FnMut(&Row),
    ) -> Option<MinuteRows> {
        let rows = self.late.remove(&minute)?;
        self.entries -= rows.entries();
        Some(self.resolve(rows, registry, values, refused))
    }

    /// Drops the late entries of a minute; `dropped` gets each.
    pub fn drop_late(&mut self, minute: u32, values: &mut Strings, mut dropped: impl FnMut(&Row)) {
        let Some(rows) = self.late.remove(&minute) else {
            return;
        };
        self.entries -= rows.entries();
        for row in &rows.rows {
            self.release_candidate(row.series);
            dropped(row);
        }
        rows.deltas
            .iter()
            .for_each(|delta| values.release(delta.0 / 8 - 1));
        self.give_back(rows);
    }

    /// Takes the memory of a minute back.
    pub fn give_back(&mut self, mut rows: MinuteRows) {
        rows.rows.clear();
        rows.deltas.clear();
        self.spare.push(rows);
    }

    /// Makes candidates of series that are about to be forgotten while entries name them.
    pub fn orphan(&mut self, ids: &[u32], registry: &Registry) {
        let ids: HashSet<u32> = ids.iter().copied().collect();
        let mut minutes = [
            std::mem::take(&mut self.open),
            std::mem::take(&mut self.late),
        ];
        let rows = minutes.iter_mut().flat_map(BTreeMap::values_mut);
        for row in rows.flat_map(|minute| &mut minute.rows) {
            if row.series & CANDIDATE == 0 && ids.contains(&row.series) {
                let fingerprint = registry.fingerprint(row.series).0;
                let key = registry.key(row.series).to_key();
                row.series = self.candidate_of(fingerprint, || StoredKey::new(&key));
                let candidate = &mut self.candidates[(row.series ^ CANDIDATE) as usize];
                candidate.as_mut().expect("it was just found").rows += 1;
            }
        }
        [self.open, self.late] = minutes;
    }

    /// Builds what a snapshot leaves out.
    pub fn rebuild(&mut self) {
        self.entries = self.count_entries();
        self.index.clear();
        for (number, candidate) in self.candidates.iter().enumerate() {
            if let Some(candidate) = candidate {
                let fingerprint = candidate.key.as_ref().fingerprint().0;
                self.index.insert(fingerprint, number as u32);
            }
        }
    }

    pub fn memory_bytes(&self) -> usize {
        let minutes = self
            .open
            .values()
            .chain(self.late.values())
            .chain(&self.spare);
        minutes.map(MinuteRows::memory_bytes).sum::<usize>()
            + self.candidates.capacity() * size_of::<Option<Candidate>>()
            + self.index.capacity() * 24
    }

    fn candidate(&mut self, rates: &Rates, key: u32) -> u32 {
        self.candidate_of(rates.fingerprint(key).0, || {
            StoredKey::new(&rates.key(key).to_key())
        })
    }

    fn candidate_of(&mut self, fingerprint: u128, key: impl FnOnce() -> StoredKey) -> u32 {
        if let Some(number) = self.index.get(&fingerprint) {
            return *number | CANDIDATE;
        }
        let candidate = Some(Candidate {
            key: key(),
            rows: 0,
        });
        let number = match self.free.pop() {
            Some(number) => {
                self.candidates[number as usize] = candidate;
                number
            }
            None => {
                self.candidates.push(candidate);
                (self.candidates.len() - 1) as u32
            }
        };
        self.index.insert(fingerprint, number);
        number | CANDIDATE
    }

    fn resolve(
        &mut self,
        mut minute: MinuteRows,
        registry: &mut Registry,
        values: &mut Strings,
        mut refused: impl FnMut(&Row),
    ) -> MinuteRows {
        let ids = self.admit_candidates(&minute.rows, registry);
        if !ids.is_empty() {
            let deltas = &minute.deltas;
            minute.rows.retain_mut(|row| {
                if row.series & CANDIDATE == 0 {
                    return true;
                }
                let number = row.series;
                row.series = ids[&number];
                self.release_candidate(number);
                if row.series == UNKNOWN {
                    let range = row.deltas.0 as usize..row.deltas.1 as usize;
                    deltas[range]
                        .iter()
                        .for_each(|delta| values.release(delta.0 / 8 - 1));
                    refused(row);
                }
                row.series != UNKNOWN
            });
        }
        minute.rows.sort_unstable_by_key(|row| row.series);
        minute
    }

    /// Ids of the candidates that `rows` name, by number; unknown for those refused.
    fn admit_candidates(&self, rows: &[Row], registry: &mut Registry) -> HashMap<u32, u32> {
        let mut found: BTreeMap<u32, bool> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.series & CANDIDATE != 0) {
            *found.entry(row.series).or_default() |= row.is_data;
        }
        let mut keys: Vec<(SeriesRef<'_>, u32, bool)> = found
            .into_iter()
            .map(|(number, is_data)| {
                let candidate = self.candidates[(number ^ CANDIDATE) as usize].as_ref();
                let candidate = candidate.expect("a candidate named here is held");
                (candidate.key.as_ref(), number, is_data)
            })
            .collect();
        keys.sort_unstable();
        let mut ids = HashMap::with_capacity(keys.len());
        for (key, number, is_data) in keys {
            let mut id = registry.find(key.fingerprint());
            if id == UNKNOWN {
                let category = if is_data {
                    SourceCategory::Data
                } else {
                    SourceCategory::Management
                };
                id = registry.admit(key, category).unwrap_or(UNKNOWN);
            }
            ids.insert(number, id);
        }
        ids
    }

    fn release_candidate(&mut self, series: u32) {
        if series & CANDIDATE == 0 {
            return;
        }
        let number = series ^ CANDIDATE;
        let slot = &mut self.candidates[number as usize];
        let candidate = slot.as_mut().expect("a candidate named here is held");
        candidate.rows -= 1;
        if candidate.rows == 0 {
            let fingerprint = candidate.key.as_ref().fingerprint().0;
            self.index.remove(&fingerprint);
            self.free.push(number);
            *slot = None;
        }
    }
}

impl MinuteRows {
    /// Counts and attributions.
    fn entries(&self) -> usize {
        self.rows.len() + self.deltas.len()
    }

    fn memory_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.deltas.capacity() * 16
    }
}

impl StoredKey {
    fn new(key: &SeriesKey) -> Self {
        let parts = [
            &key.account,
            &key.region,
            &key.event_source,
            &key.event_name,
            &key.error_code,
        ];
        let is_error = key.insight_type == crate::model::InsightType::ApiErrorRate;
        StoredKey(parts.map(|part| (*part).clone()), is_error)
    }

    fn as_ref(&self) -> SeriesRef<'_> {
        let [account, region, event_source, event_name, error_code] = &self.0;
        SeriesRef {
            account,
            region,
            event_source,
            event_name,
            insight_type: if self.1 {
                crate::model::InsightType::ApiErrorRate
            } else {
                crate::model::InsightType::ApiCallRate
            },
            error_code,
        }
    }
}

/// The code of a delta's value, with one reference more.
fn code(cache: &mut [u32], rates: &Rates, delta: &AttributionDelta, values: &mut Strings) -> u32 {
    let dimension = delta.dimension as u32;
    let cached = &mut cache[delta.value as usize * 4 + dimension as usize];
    if *cached == 0 {
        let string = values.intern(rates.value(delta.value));
        assert!(string < (1 << 29) - 1, "fewer than 2^29 attribution values");
        *cached = (string + 1) * 8 + dimension;
    } else {
        values.retain(*cached / 8 - 1);
    }
    *cached
}
