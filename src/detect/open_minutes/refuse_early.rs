//! Refuses what can no longer be admitted while its minute still waits, so that what waits is
//! bounded.
//!
//! A minute admits candidates in the order of their keys while their shard has room. The room at
//! its close is never more than the room now, or than a whole shard where series may be forgotten
//! before. So of each minute and shard only so many smallest keys can be admitted by it: a larger
//! key stays behind them, and for each of them that an earlier minute admits the room is one less.
//! Which series are admitted, and by which minute, is exactly what it is when all wait.

use std::collections::BTreeSet;

use super::{CANDIDATE, MinuteRows, OpenMinutes, Registry, Row, Strings};
use crate::model::SeriesRef;

impl OpenMinutes {
    /// Whether more than `entries_max` entries wait, and twice as many as could not be refused.
    pub fn is_over(&self, entries_max: u32) -> bool {
        self.entries > (entries_max as usize).max(self.refuse_at)
    }

    /// Adds up the rows of each series and minute, and drops those of candidates that neither
    /// their minute nor an earlier one can admit; `refused` gets each. Before the minutes from
    /// `forgets_from` on close, series may be forgotten.
    pub fn refuse_early(
        &mut self,
        forgets_from: u32,
        registry: &Registry,
        values: &mut Strings,
        mut refused: impl FnMut(&Row),
    ) {
        let mut minutes = [
            std::mem::take(&mut self.late),
            std::mem::take(&mut self.open),
        ];
        let mut hopeful = BTreeSet::new();
        for (minute, rows) in minutes.iter_mut().flatten() {
            let may_forget = *minute >= forgets_from;
            let hopeless = self.hopeless(rows, registry, may_forget, &mut hopeful);
            let whole = std::mem::take(rows);
            *rows = self.join(whole, &hopeless, values, &mut refused);
        }
        [self.late, self.open] = minutes;
        self.entries = self.count_entries();
        self.refuse_at = 2 * self.entries;
    }

    pub(super) fn count_entries(&self) -> usize {
        let minutes = self.open.values().chain(self.late.values());
        minutes.map(MinuteRows::entries).sum()
    }

    /// The candidates of a minute that cannot be admitted any more. `hopeful` are those that an
    /// earlier minute may admit; it gets those that this one may.
    fn hopeless(
        &self,
        minute: &MinuteRows,
        registry: &Registry,
        may_forget: bool,
        hopeful: &mut BTreeSet<u32>,
    ) -> BTreeSet<u32> {
        let named: BTreeSet<u32> = minute
            .rows
            .iter()
            .map(|row| row.series)
            .filter(|series| series & CANDIDATE != 0)
            .collect();
        let mut keys: Vec<(u32, SeriesRef<'_>, u32)> = Vec::with_capacity(named.len());
        for number in named {
            let candidate = self.candidates[(number ^ CANDIDATE) as usize].as_ref();
            let key = candidate
                .expect("a candidate named here is held")
                .key
                .as_ref();
            if !registry.holds(key.fingerprint()) {
                keys.push((key.shard(), key, number));
            }
        }
        keys.sort_unstable();
        let mut hopeless = BTreeSet::new();
        for shard in keys.chunk_by(|a, b| a.0 == b.0) {
            let room = registry.room(shard[0].0, may_forget) as usize;
            for (rank, (_, _, number)) in shard.iter().enumerate() {
                if rank < room {
                    hopeful.insert(*number);
                } else if !hopeful.contains(number) {
                    hopeless.insert(*number);
                }
            }
        }
        hopeless
    }

    /// The rows of a minute but those of `hopeless`, one for each series and category.
    fn join(
        &mut self,
        minute: MinuteRows,
        hopeless: &BTreeSet<u32>,
        values: &mut Strings,
        refused: &mut impl FnMut(&Row),
    ) -> MinuteRows {
        let MinuteRows { mut rows, deltas } = minute;
        rows.sort_unstable_by_key(|row| (row.series, row.is_data));
        let mut joined = MinuteRows::default();
        let mut parts: Vec<(u32, u64)> = Vec::new();
        for same in rows.chunk_by(|a, b| (a.series, a.is_data) == (b.series, b.is_data)) {
            let first = same[0];
            parts.clear();
            for row in same {
                parts.extend_from_slice(&deltas[row.deltas.0 as usize..row.deltas.1 as usize]);
            }
            if hopeless.contains(&first.series) {
                parts
                    .iter()
                    .for_each(|delta| values.release(delta.0 / 8 - 1));
                for row in same {
                    self.release_candidate(row.series);
                    refused(row);
                }
                continue;
            }
            same[1..]
                .iter()
                .for_each(|row| self.release_candidate(row.series));
            let from = joined.deltas.len() as u32;
            parts.sort_unstable();
            for values_same in parts.chunk_by(|a, b| a.0 == b.0) {
                let value = values_same[0].0;
                for _ in 1..values_same.len() {
                    values.release(value / 8 - 1);
                }
                let count = values_same.iter().map(|delta| delta.1).sum();
                joined.deltas.push((value, count));
            }
            joined.rows.push(Row {
                count: same.iter().map(|row| row.count).sum(),
                deltas: (from, joined.deltas.len() as u32),
                ..first
            });
        }
        joined
    }
}
