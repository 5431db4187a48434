//! The event ids seen within the deduplication horizon.
//!
//! An id is remembered with its event's time, as long as that time lies within the horizon of
//! the source's highest event time. Only fingerprints are kept, so memory is bounded by the
//! horizon and by a limit, over which the oldest are forgotten.

use crate::model::EventTime;

use super::fingerprint_table::FingerprintTable;

/// Seconds that offsets from the base may span; with the longest horizon they fit 32 bits.
const SPAN_SECONDS: i64 = 1 << 31;

/// Fingerprints of (account, event id) with the event's time.
#[derive(Debug)]
pub(super) struct RecentIds {
    /// Payload: seconds of the event's time after `base`.
    table: FingerprintTable,
    base: i64,
    horizon_seconds: i64,
    entries_max: usize,
    /// Ids of events before this were forgotten because of the limit.
    forgotten_before: i64,
    forgotten: u64,
}

impl RecentIds {
    pub fn new(horizon_seconds: u32, entries_max: u32) -> Self {
        RecentIds {
            table: FingerprintTable::new(),
            base: 0,
            horizon_seconds: i64::from(horizon_seconds).min(SPAN_SECONDS / 2),
            entries_max: entries_max.max(1) as usize,
            forgotten_before: 0,
            forgotten: 0,
        }
    }

    #[inline]
    pub fn prefetch(&self, fingerprint: u128) {
        self.table.prefetch(fingerprint);
    }

    /// Whether the id was seen before, where `highest` is the source's highest event time,
    /// that of this event included. A new id is remembered from now on.
    pub fn is_duplicate(&mut self, fingerprint: u128, time: EventTime, highest: EventTime) -> bool {
        let floor = (highest.seconds() - self.horizon_seconds).max(self.forgotten_before);
        let seconds = time.seconds();
        if seconds < floor {
            return false;
        }
        if seconds - self.base >= SPAN_SECONDS {
            self.rebase(floor);
        }
        let base = self.base;
        let offset = (seconds - base) as u32;
        if let Some(payload) = self.table.find(fingerprint) {
            if base + i64::from(*payload) >= floor {
                return true;
            }
            *payload = offset;
            return false;
        }
        if self.table.is_full() || self.table.len() >= self.entries_max {
            self.forget(floor);
        }
        if seconds >= self.forgotten_before {
            self.table.insert(fingerprint, offset);
        }
        false
    }

    /// Ids remembered, some of which may lie before the horizon.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Ids forgotten because of the limit.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Drops what lies before `floor`, and the older half of the rest when it is too much.
    fn forget(&mut self, floor: i64) {
        let base = self.base;
        let mut times = Vec::new();
        self.table.for_each(|payload| {
            let seconds = base + i64::from(payload);
            if seconds >= floor {
                times.push(seconds);
            }
        });
        let mut floor = floor;
        // Not only when nothing was dropped: a rebuild has to pay for itself.
        if times.len() > self.entries_max / 4 * 3 {
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            // All of the median's second go, so that something goes in any case.
            floor = *median + 1;
            self.forgotten_before = floor;
            self.forgotten += times.iter().filter(|time| **time < floor).count() as u64;
        }
        self.table
            .rebuild(|payload| (base + i64::from(payload) >= floor).then_some(payload));
    }

    /// Drops what lies before `floor` and counts seconds from there.
    fn rebase(&mut self, floor: i64) {
        let before = self.base;
        let floor = floor.max(0);
        self.table.rebuild(|payload| {
            let seconds = before + i64::from(payload);
            (seconds >= floor).then(|| (seconds - floor) as u32)
        });
        self.base = floor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> EventTime {
        EventTime::from_seconds(1_700_000_000 + seconds).unwrap()
    }

    /// A fingerprint: uniform in all its bits, as the table wants it.
    fn name(id: u128) -> u128 {
        id.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }

    #[test]
    fn ids_are_duplicates_within_the_horizon_only() {
        // (id, time, highest time, duplicate?), horizon 100 seconds.
        let steps = [
            (1, 0, 0, false),
            (1, 0, 0, true),
            (1, 100, 100, true),
            (2, 50, 100, false),
            (1, 101, 101, false),
            (2, 50, 150, true),
            (2, 50, 151, false),
            (2, 50, 151, false),
            (1, 101, 151, true),
        ];
        let mut ids = RecentIds::new(100, 1000);
        for (index, (id, time, highest, expected)) in steps.into_iter().enumerate() {
            let found = ids.is_duplicate(name(id), at(time), at(highest));
            assert_eq!(found, expected, "step {index}");
        }
    }

    #[test]
    fn times_a_century_apart_do_not_meet() {
        let mut ids = RecentIds::new(100, 1000);
        let mut time = at(0);
        for _ in 0..58 {
            assert!(!ids.is_duplicate(name(1), time, time));
            assert!(ids.is_duplicate(name(1), time, time));
            let later = time.seconds() + (1 << 32);
            time = EventTime::from_seconds(later).unwrap();
        }
    }

    #[test]
    fn over_the_limit_the_oldest_are_forgotten() {
        let mut ids = RecentIds::new(1_000_000, 100);
        for id in 0..1000u128 {
            assert!(!ids.is_duplicate(name(id), at(id as i64), at(id as i64)));
            assert!(ids.table.len() <= 100);
        }
        assert!(ids.is_duplicate(name(999), at(999), at(999)));
        assert!(!ids.is_duplicate(name(0), at(0), at(999)));
        assert!(ids.forgotten() >= 900, "{}", ids.forgotten());
    }

    #[test]
    fn memory_is_bounded_by_the_horizon() {
        let mut ids = RecentIds::new(100, 1 << 20);
        for id in 0..1_000_000u128 {
            let time = at(id as i64 / 10);
            ids.is_duplicate(name(id), time, time);
        }
        assert!(ids.table.len() < 5_000, "{}", ids.table.len());
        assert_eq!(ids.forgotten(), 0);
    }
}
