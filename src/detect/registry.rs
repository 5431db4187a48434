//! Which series there are: fingerprint to dense id and back to the key.
//!
//! An open-addressing table of (fingerprint tag, id), looked up in batches so that its cache
//! misses overlap. Keys are rows of interned components. A forgotten series' id is used again
//! only after every count it ever had has left the engine, so that no history can leak.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::strings::Strings;
use crate::model::{Fingerprint, InsightType, SHARDS, SeriesRef, SourceCategory, prefetch_read};

mod check;

/// Stands for "no such series" in looked-up ids.
pub const UNKNOWN: u32 = u32::MAX;

/// Lookups whose memory is fetched ahead together.
const BATCH: usize = 32;

/// All series tracked now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registry {
    components: Strings,
    rows: Vec<KeyRow>,
    fingerprints: Vec<u128>,
    live: usize,
    shard_lengths: Vec<u32>,
    shard_max: u32,
    /// Forgotten ids with the bucket they were forgotten at, oldest first.
    resting: VecDeque<(u32, u32)>,
    free: VecDeque<u32>,
    #[serde(skip)]
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: u32,
    id: u32,
}

const EMPTY: Slot = Slot {
    tag: 0,
    id: UNKNOWN,
};

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct KeyRow {
    /// Account, region, event source, event name and error code.
    parts: [u32; 5],
    is_live: bool,
    is_error: bool,
    is_data: bool,
}

impl Registry {
    /// A registry that tracks `shard_max` series in each of the fixed shards.
    pub fn new(shard_max: u32) -> Self {
        Registry {
            components: Strings::default(),
            rows: Vec::new(),
            fingerprints: Vec::new(),
            live: 0,
            shard_lengths: vec![0; SHARDS as usize],
            shard_max,
            resting: VecDeque::new(),
            free: VecDeque::new(),
            slots: vec![EMPTY; 64],
        }
    }

    /// How many series are tracked.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Looks all `fingerprints` up; `ids` gets one id, or [`UNKNOWN`], for each.
    pub fn find_all(&self, fingerprints: impl Iterator<Item = Fingerprint>, ids: &mut Vec<u32>) {
        let mut batch = [0u128; BATCH];
        let mut fingerprints = fingerprints.map(|fingerprint| fingerprint.0);
        loop {
            let mut length = 0;
            while length < BATCH {
                let Some(fingerprint) = fingerprints.next() else {
                    break;
                };
                prefetch_read(&self.slots, self.home(fingerprint));
                batch[length] = fingerprint;
                length += 1;
            }
            for fingerprint in &batch[..length] {
                let id = self.slots[self.home(*fingerprint)].id;
                prefetch_read(&self.fingerprints, id as usize);
            }
            ids.extend(
                batch[..length]
                    .iter()
                    .map(|one| self.find(Fingerprint(*one))),
            );
            if length < BATCH {
                return;
            }
        }
    }

    /// The id of a series, or [`UNKNOWN`].
    pub fn find(&self, fingerprint: Fingerprint) -> u32 {
        let tag = tag(fingerprint.0);
        let mut at = self.home(fingerprint.0);
        loop {
            let slot = self.slots[at];
            if slot.id == UNKNOWN {
                return UNKNOWN;
            }
            if slot.tag == tag && self.fingerprints[slot.id as usize] == fingerprint.0 {
                return slot.id;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    pub fn holds(&self, fingerprint: Fingerprint) -> bool {
        self.find(fingerprint) != UNKNOWN
    }

    /// How many series of a shard can still be admitted, at most; when some may be forgotten
    /// before, all of them may.
    pub fn room(&self, shard: u32, may_forget: bool) -> u32 {
        match may_forget {
            true => self.shard_max,
            false => self.shard_max - self.shard_lengths[shard as usize],
        }
    }

    /// Tracks a series that is not tracked yet; `None` when its shard is full.
    pub fn admit(&mut self, key: SeriesRef<'_>, category: SourceCategory) -> Option<u32> {
        let shard = &mut self.shard_lengths[key.shard() as usize];
        if *shard >= self.shard_max {
            return None;
        }
        *shard += 1;
        self.live += 1;
        let fingerprint = key.fingerprint().0;
        let row = KeyRow {
            parts: parts(key).map(|part| self.components.intern(part)),
            is_live: true,
            is_error: key.insight_type == InsightType::ApiErrorRate,
            is_data: category == SourceCategory::Data,
        };
        let id = match self.free.pop_front() {
            Some(id) => {
                self.rows[id as usize] = row;
                self.fingerprints[id as usize] = fingerprint;
                id
            }
            None => {
                self.rows.push(row);
                self.fingerprints.push(fingerprint);
                (self.rows.len() - 1) as u32
            }
        };
        assert!(id != UNKNOWN, "fewer than 2^32 series");
        self.insert(fingerprint, id);
        Some(id)
    }

    /// Stops tracking a series; its id rests from bucket `now` on.
    pub fn forget(&mut self, id: u32, now: u32) {
        let shard = self.key(id).shard();
        self.shard_lengths[shard as usize] -= 1;
        self.live -= 1;
        self.remove(id);
        let row = &mut self.rows[id as usize];
        assert!(row.is_live, "series {id} is forgotten once");
        row.is_live = false;
        for part in row.parts {
            self.components.release(part);
        }
        self.resting.push_back((id, now));
    }

    /// Frees the ids forgotten before bucket `before`, whose counts have all left the engine.
    pub fn wake(&mut self, before: u32) {
        while let Some((id, _)) = self.resting.front().filter(|resting| resting.1 < before) {
            self.free.push_back(*id);
            self.resting.pop_front();
        }
    }

    /// Moves bucket 0 forward by `buckets`.
    pub fn rebase(&mut self, buckets: u32) {
        for (_, forgotten) in &mut self.resting {
            *forgotten = forgotten.saturating_sub(buckets);
        }
    }

    pub fn fingerprint(&self, id: u32) -> Fingerprint {
        Fingerprint(self.fingerprints[id as usize])
    }

    pub fn category(&self, id: u32) -> SourceCategory {
        if self.rows[id as usize].is_data {
            SourceCategory::Data
        } else {
            SourceCategory::Management
        }
    }

    /// Ids of all tracked series.
    pub fn live_ids(&self) -> impl Iterator<Item = u32> {
        let rows = self.rows.iter().enumerate();
        rows.filter(|(_, row)| row.is_live).map(|(id, _)| id as u32)
    }

    /// The key of a tracked series.
    pub fn key(&self, id: u32) -> SeriesRef<'_> {
        let row = &self.rows[id as usize];
        let part = |index: usize| self.components.get(row.parts[index]);
        SeriesRef {
            account: part(0),
            region: part(1),
            event_source: part(2),
            event_name: part(3),
            insight_type: if row.is_error {
                InsightType::ApiErrorRate
            } else {
                InsightType::ApiCallRate
            },
            error_code: part(4),
        }
    }

    /// Builds what a snapshot leaves out.
    pub fn rebuild(&mut self) {
        let length = (self.live * 2).next_power_of_two().max(64);
        self.slots = vec![EMPTY; length];
        for id in 0..self.rows.len() {
            if self.rows[id].is_live {
                self.place(self.fingerprints[id], id as u32);
            }
        }
    }

    /// Heap bytes of table, fingerprints, keys and their text.
    pub fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.fingerprints.capacity() * 16
            + self.rows.capacity() * size_of::<KeyRow>()
            + self.components.memory_bytes()
            + self.resting.capacity() * 8
            + self.free.capacity() * 4
    }

    fn home(&self, fingerprint: u128) -> usize {
        fingerprint as usize & (self.slots.len() - 1)
    }

    /// Inserts; at most two thirds of the slots are taken.
    fn insert(&mut self, fingerprint: u128, id: u32) {
        if self.live * 3 > self.slots.len() * 2 {
            self.rebuild();
        } else {
            self.place(fingerprint, id);
        }
    }

    fn place(&mut self, fingerprint: u128, id: u32) {
        let mut at = self.home(fingerprint);
        while self.slots[at].id != UNKNOWN {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = Slot {
            tag: tag(fingerprint),
            id,
        };
    }

    /// Takes the slot of `id` out and moves those behind it up, so that no gap ends a search.
    fn remove(&mut self, id: u32) {
        let mask = self.slots.len() - 1;
        let mut hole = self.home(self.fingerprints[id as usize]);
        while self.slots[hole].id != id {
            hole = (hole + 1) & mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot.id == UNKNOWN {
                break;
            }
            let home = self.home(self.fingerprints[slot.id as usize]);
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = EMPTY;
    }
}

fn tag(fingerprint: u128) -> u32 {
    (fingerprint >> 96) as u32
}

fn parts(key: SeriesRef<'_>) -> [&str; 5] {
    [
        key.account,
        key.region,
        key.event_source,
        key.event_name,
        key.error_code,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> SeriesRef<'_> {
        SeriesRef {
            account: "1",
            region: "r",
            event_source: "s",
            event_name: name,
            insight_type: InsightType::ApiCallRate,
            error_code: "",
        }
    }

    /// A hash map is the second opinion on 20,000 admissions and removals.
    #[test]
    fn it_finds_what_is_there_and_nothing_else() {
        let mut registry = Registry::new(u32::MAX);
        let mut expected = std::collections::BTreeMap::new();
        let mut random = 1u64;
        for step in 0..20_000u32 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let name = format!("n{}", (random >> 33) % 3000);
            match expected.remove(&name) {
                Some(id) => registry.forget(id, step),
                None => {
                    let id = registry.admit(key(&name), SourceCategory::Data).unwrap();
                    expected.insert(name, id);
                }
            }
            registry.wake(step.saturating_sub(100));
        }
        assert_eq!(registry.len(), expected.len());
        let names: Vec<String> = (0..3000).map(|n| format!("n{n}")).collect();
        let mut ids = Vec::new();
        registry.find_all(names.iter().map(|name| key(name).fingerprint()), &mut ids);
        for (name, id) in names.iter().zip(ids) {
            assert_eq!(expected.get(name).copied().unwrap_or(UNKNOWN), id);
            if id != UNKNOWN {
                assert_eq!(registry.key(id), key(name));
            }
        }
    }

    #[test]
    fn a_full_shard_refuses_and_forgetting_makes_room() {
        let mut registry = Registry::new(1);
        let id = registry
            .admit(key("a"), SourceCategory::Management)
            .unwrap();
        let error = SeriesRef {
            insight_type: InsightType::ApiErrorRate,
            error_code: "E",
            ..key("a")
        };
        assert_eq!(registry.admit(error, SourceCategory::Management), None);
        registry.forget(id, 7);
        let other = registry.admit(error, SourceCategory::Management).unwrap();
        assert_ne!(other, id, "a forgotten id rests");
    }
}
