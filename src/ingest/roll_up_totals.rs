//! Adds to a minute's batch what its APIs add up to by service and account.
//!
//! Roll-ups are made when a batch leaves, out of its entries, so an event costs nothing more. A
//! minute may leave in several batches, early or late: entries of one series and minute add up,
//! whatever they are the roll-ups of, so the totals are exact all the same.

use crate::model::{
    AttributionDelta, Dimension, Minute, RatesBuilder, RollUp, RollUps, SourceCategory,
};

use super::fingerprint_table::FingerprintTable;

/// Makes the roll-ups of one batch after the other.
#[derive(Debug)]
pub(super) struct RollUpTotals {
    roll_ups: RollUps,
    /// By fingerprint: place among `totals`.
    places: FingerprintTable,
    /// In the order in which the batch first names what adds to them.
    totals: Vec<Total>,
    parts: Vec<Part>,
    deltas: Vec<AttributionDelta>,
}

/// What one roll-up comes to.
#[derive(Debug)]
struct Total {
    /// A key of the batch that adds to it, and by what.
    of: (u32, RollUp),
    /// Its own key in the batch: a source may name an event `*`, which is then counted in it.
    key: Option<u32>,
    count: u64,
    /// Data if any of it is: whether the rest of a minute is in the same batch changes nothing.
    category: SourceCategory,
}

/// What one API adds to one value of one total.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Place of the total, dimension and value, as one number to sort by.
    of: u128,
    count: u64,
}

impl RollUpTotals {
    pub fn new(roll_ups: RollUps) -> Self {
        RollUpTotals {
            roll_ups,
            places: FingerprintTable::new(),
            totals: Vec::new(),
            parts: Vec::new(),
            deltas: Vec::new(),
        }
    }

    /// Adds roll-ups to a batch of one minute.
    pub fn add_to(&mut self, batch: &mut RatesBuilder, minute: Minute) {
        if self.roll_ups == RollUps::default() {
            return;
        }
        self.places.clear();
        self.totals.clear();
        self.parts.clear();
        for by in self.roll_ups.iter() {
            self.add_up(batch, by);
        }
        self.parts.sort_unstable_by_key(|part| part.of);
        let mut parts = self.parts.chunk_by(|a, b| a.of == b.of).peekable();
        for (place, total) in self.totals.iter().enumerate() {
            self.deltas.clear();
            while let Some(same) = parts.next_if(|same| same[0].place() == place) {
                self.deltas.push(AttributionDelta {
                    dimension: same[0].dimension(),
                    value: same[0].value(),
                    count: sum(same.iter().map(|part| part.count)),
                });
            }
            if total.count > 0 {
                let has_category = |key: &u32| batch.rates().category(*key) == total.category;
                let own = total.key.filter(has_category);
                let key = own.unwrap_or_else(|| total.add_key(batch));
                batch.add_entry(key, minute, total.count, &self.deltas);
            }
        }
    }

    /// Adds up the entries of a batch by services, or by accounts.
    fn add_up(&mut self, batch: &RatesBuilder, by: RollUp) {
        let rates = batch.rates();
        for entry in rates.entries() {
            let series = rates.key(entry.key);
            let is_own = series.roll_up() == Some(by);
            let roll_up = match series.rolled_up(by) {
                Some(roll_up) => roll_up,
                None if is_own => series,
                None => continue,
            };
            let fingerprint = roll_up.fingerprint().0;
            let place = match self.places.find(fingerprint) {
                Some(place) => *place as usize,
                None => {
                    self.places
                        .insert_growing(fingerprint, self.totals.len() as u32);
                    self.totals.push(Total {
                        of: (entry.key, by),
                        key: None,
                        count: 0,
                        category: SourceCategory::Management,
                    });
                    self.totals.len() - 1
                }
            };
            let total = &mut self.totals[place];
            if is_own {
                total.key = Some(entry.key);
                continue;
            }
            total.count = total.count.saturating_add(entry.count);
            total.category = total.category.max(rates.category(entry.key));
            let parts = rates.deltas(entry).iter();
            self.parts
                .extend(parts.map(|delta| Part::new(place, delta)));
        }
    }
}

impl Total {
    fn add_key(&self, batch: &mut RatesBuilder) -> u32 {
        let (key, by) = self.of;
        let of = batch.rates().key(key).to_key();
        // What has a total adds to a roll-up, or is one.
        let series = of.as_ref().rolled_up(by).unwrap_or(of.as_ref());
        batch.add_key(series, self.category)
    }
}

impl Part {
    fn new(place: usize, delta: &AttributionDelta) -> Self {
        let dimension = u128::from(delta.dimension.index());
        Part {
            of: (place as u128) << 64 | dimension << 32 | u128::from(delta.value),
            count: delta.count,
        }
    }

    fn place(&self) -> usize {
        (self.of >> 64) as usize
    }

    fn dimension(&self) -> Dimension {
        Dimension::ALL[(self.of >> 32) as usize & 3]
    }

    fn value(&self) -> u32 {
        self.of as u32
    }
}

/// Counts of rows may be anything; those of events are far from the end.
fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}
