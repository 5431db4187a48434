//! An open-addressing table from fingerprints to 32-bit payloads.
//!
//! Linear probing at a load of at most one half, 16 bytes a slot, so that a look-up touches one
//! cache line. A caller that handles events in batches prefetches the slots of a whole batch
//! before it looks the first one up: with a million entries that hides most of the memory
//! latency. A slot holds 96 of a fingerprint's 128 bits: two of a million entries share those
//! with probability 6e-18. There is no removal; owners rebuild the table without what they no
//! longer need.

use crate::model::prefetch_read;

/// Payload of a slot without an entry; never a payload itself.
const EMPTY: u32 = u32::MAX;
/// Slots of a new table.
const SLOTS_MIN: usize = 1 << 8;

/// Aligned so that it never lies across two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
struct Slot {
    high: u64,
    middle: u32,
    payload: u32,
}

/// Fingerprints with a payload each. Fingerprints are uniform, so their low bits are the hash.
#[derive(Clone, Debug)]
pub(super) struct FingerprintTable {
    slots: Vec<Slot>,
    len: usize,
}

impl Slot {
    const FREE: Slot = Slot {
        high: 0,
        middle: 0,
        payload: EMPTY,
    };
}

impl FingerprintTable {
    pub fn new() -> Self {
        Self::with_room(0)
    }

    fn with_room(entries: usize) -> Self {
        let count = (entries * 2).next_power_of_two().max(SLOTS_MIN);
        FingerprintTable {
            slots: vec![Slot::FREE; count],
            len: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether one more entry would exceed the load.
    pub fn is_full(&self) -> bool {
        self.len * 2 >= self.slots.len()
    }

    /// Starts loading what [`Self::find`] and [`Self::insert`] will read.
    #[inline]
    pub fn prefetch(&self, fingerprint: u128) {
        let at = (fingerprint >> 64) as usize & (self.slots.len() - 1);
        prefetch_read(&self.slots, at);
    }

    /// The payload of `fingerprint`.
    #[inline]
    pub fn find(&mut self, fingerprint: u128) -> Option<&mut u32> {
        let at = self.position((fingerprint >> 64) as u64, (fingerprint >> 32) as u32);
        let payload = &mut self.slots[at].payload;
        (*payload != EMPTY).then_some(payload)
    }

    /// Adds an entry that is not in the table, which must not be full.
    pub fn insert(&mut self, fingerprint: u128, payload: u32) {
        assert!(
            !self.is_full() && payload != EMPTY,
            "insert of {payload} into {} entries",
            self.len
        );
        self.put(Slot {
            high: (fingerprint >> 64) as u64,
            middle: (fingerprint >> 32) as u32,
            payload,
        });
    }

    /// Adds an entry that is not in the table, and makes room for it.
    pub fn insert_growing(&mut self, fingerprint: u128, payload: u32) {
        if self.is_full() {
            self.rebuild(Some);
        }
        self.insert(fingerprint, payload);
    }

    /// Removes all entries and keeps the memory, unless few of the slots were used.
    pub fn clear(&mut self) {
        if self.len * 16 < self.slots.len() {
            *self = Self::with_room(self.len);
        } else {
            self.slots.fill(Slot::FREE);
            self.len = 0;
        }
    }

    /// Heap memory in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(self.slots.as_slice())
    }

    /// Calls `visit` with every payload, in no order that means anything.
    pub fn for_each(&self, mut visit: impl FnMut(u32)) {
        for slot in &self.slots {
            if slot.payload != EMPTY {
                visit(slot.payload);
            }
        }
    }

    /// Keeps the entries for which `keep` gives a payload, with that payload, and makes room
    /// for as many again.
    pub fn rebuild(&mut self, mut keep: impl FnMut(u32) -> Option<u32>) {
        let kept = self
            .slots
            .iter_mut()
            .filter(|slot| slot.payload != EMPTY)
            .filter_map(|slot| {
                slot.payload = keep(slot.payload)?;
                Some(*slot)
            })
            .collect::<Vec<Slot>>();
        *self = Self::with_room(kept.len() * 2);
        for slot in kept {
            self.put(slot);
        }
    }

    fn put(&mut self, slot: Slot) {
        let at = self.position(slot.high, slot.middle);
        let found = &mut self.slots[at];
        assert!(found.payload == EMPTY, "fingerprint inserted twice");
        *found = slot;
        self.len += 1;
    }

    /// Index of the slot that holds the fingerprint, else of the empty slot where it belongs.
    #[inline]
    fn position(&self, high: u64, middle: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = high as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.payload == EMPTY || (slot.high == high && slot.middle == middle) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The standard library's map is the second opinion; few distinct low bits force probing.
        #[test]
        fn it_holds_what_a_map_holds(
            keys in proptest::collection::vec((0u32..40, 0u32..40), 0..3000),
            keep_modulus in 1u32..5,
        ) {
            let mut table = FingerprintTable::new();
            let mut map = HashMap::new();
            for (index, (middle, high)) in keys.iter().enumerate() {
                let fingerprint = u128::from(high * 7) << 64 | u128::from(*middle) << 32;
                if table.is_full() {
                    table.rebuild(Some);
                }
                table.prefetch(fingerprint);
                match table.find(fingerprint) {
                    Some(payload) => *payload += 1,
                    None => table.insert(fingerprint, index as u32),
                }
                map.entry(fingerprint).and_modify(|payload| *payload += 1).or_insert(index as u32);
            }
            table.rebuild(|payload| (payload % keep_modulus == 0).then_some(payload + 1));
            let kept = map.values().filter(|payload| **payload % keep_modulus == 0).count();
            prop_assert_eq!(table.len(), kept);
            for (fingerprint, payload) in &map {
                let found = table.find(*fingerprint).copied();
                prop_assert_eq!(found, (payload % keep_modulus == 0).then_some(payload + 1));
            }
        }
    }
}
