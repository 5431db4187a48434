//! What must hold of a registry that was read.

use super::super::invariants::require;
use super::{Registry, UNKNOWN};
use crate::model::{InsightType, SHARDS};

impl Registry {
    /// Checks a registry that was read, before it is rebuilt. Returns by id the bucket that a
    /// series was forgotten at, [`u32::MAX`] for one that is tracked, 0 for a free id.
    pub fn check(&self, pristine: &Registry, t: u32) -> Result<Vec<u32>, String> {
        let is_max = self.shard_max == pristine.shard_max;
        require(is_max, "shard_max", "it is that of the settings")?;
        let ids = self.rows.len();
        let are_equal = self.fingerprints.len() == ids && ids < UNKNOWN as usize;
        require(are_equal, "fingerprints", "there is one for each row")?;
        let ends = self.check_rest(t)?;
        self.check_components()?;
        let mut shards = vec![0u32; SHARDS as usize];
        let mut live = 0;
        for (id, row) in (0..).zip(&self.rows) {
            if !row.is_live {
                continue;
            }
            let key = self.key(id);
            let is_error = key.insight_type == InsightType::ApiErrorRate;
            let is_whole = is_error != key.error_code.is_empty();
            require(is_whole, "rows", "errors, and no calls, have a code")?;
            let is_its_own = key.fingerprint() == self.fingerprint(id);
            require(is_its_own, "fingerprints", "they are those of the keys")?;
            shards[key.shard() as usize] += 1;
            live += 1;
        }
        require(live == self.live, "live", "it is the number of live rows")?;
        let are_full = shards.iter().any(|length| *length > self.shard_max);
        let are_counted = shards == self.shard_lengths && !are_full;
        require(
            are_counted,
            "shard_lengths",
            "they are those of the live rows",
        )?;
        let mut fingerprints: Vec<u128> = Vec::with_capacity(live);
        let rows = self.rows.iter().zip(&self.fingerprints);
        fingerprints.extend(rows.filter(|(row, _)| row.is_live).map(|(_, one)| *one));
        fingerprints.sort_unstable();
        let is_each_once = fingerprints.is_sorted_by(|a, b| a < b);
        require(is_each_once, "fingerprints", "no series is tracked twice")?;
        Ok(ends)
    }

    /// Every id is live, at rest or free.
    fn check_rest(&self, t: u32) -> Result<Vec<u32>, String> {
        let is_in_order = self.resting.iter().is_sorted_by_key(|resting| resting.1);
        require(is_in_order, "resting", "the oldest come first")?;
        let mut ends: Vec<Option<u32>> = vec![None; self.rows.len()];
        let free = self.free.iter().map(|id| (*id, 0));
        for (id, end) in self.resting.iter().copied().chain(free) {
            let slot = ends.get_mut(id as usize);
            let is_once = slot.is_some_and(|slot| slot.replace(end).is_none()) && end <= t;
            require(is_once, "resting", "an id rests, or is free, once")?;
        }
        for (row, end) in self.rows.iter().zip(&mut ends) {
            require(
                row.is_live == end.is_none(),
                "resting",
                "only forgotten ids rest",
            )?;
        }
        Ok(ends
            .into_iter()
            .map(|end| end.unwrap_or(u32::MAX))
            .collect())
    }

    fn check_components(&self) -> Result<(), String> {
        let mut uses = vec![0u32; self.components.rows_len()];
        for row in self.rows.iter().filter(|row| row.is_live) {
            for part in row.parts {
                let slot = uses.get_mut(part as usize);
                let slot = slot.ok_or("rows: they name components that there are")?;
                *slot += 1;
            }
        }
        self.components
            .check(&uses)
            .map_err(|complaint| format!("components.{complaint}"))
    }
}
