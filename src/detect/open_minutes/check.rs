//! What must hold of waiting entries that were read.

use std::collections::HashSet;

use super::super::invariants::{Frame, require};
use super::{CANDIDATE, MinuteRows, OpenMinutes, SUM_MAX};

impl OpenMinutes {
    /// Checks what was read; `name` gets the value of each delta and says whether there is one.
    pub fn check(
        &self,
        frame: &Frame<'_>,
        closed: Option<u32>,
        name: &mut impl FnMut(u32) -> bool,
    ) -> Result<(), String> {
        let width = frame.settings.bucket_minutes;
        let mut rows = vec![0u64; self.candidates.len()];
        for (minutes, is_late) in [(&self.open, false), (&self.late, true)] {
            for (minute, waiting) in minutes {
                let is_aligned = minute.is_multiple_of(width);
                let is_closed = closed.is_some_and(|closed| *minute < closed);
                let is_right = is_aligned && is_closed == is_late;
                require(
                    is_right,
                    "open",
                    "minutes wait before their close, late ones behind",
                )?;
                check_rows(waiting, frame, &mut rows, name)?;
            }
        }
        let mut free = HashSet::new();
        let are_free = self.free.iter().all(|number| {
            let slot = self.candidates.get(*number as usize);
            slot.is_some_and(Option::is_none) && free.insert(*number)
        });
        let empty = self.candidates.iter().filter(|one| one.is_none()).count();
        let are_all = are_free && empty == free.len();
        require(
            are_all,
            "free",
            "it has the numbers of no candidate, each once",
        )?;
        let mut keys = HashSet::new();
        for (candidate, rows) in self.candidates.iter().zip(rows) {
            let Some(candidate) = candidate else {
                require(rows == 0, "candidates", "those that are named are held")?;
                continue;
            };
            let is_named = candidate.rows == rows && rows > 0;
            require(is_named, "candidates", "they count the rows that name them")?;
            let key = candidate.key.as_ref();
            let is_error = candidate.key.1;
            let is_whole = is_error != key.error_code.is_empty();
            require(is_whole, "candidates", "errors, and no calls, have a code")?;
            require(
                keys.insert(key.fingerprint().0),
                "candidates",
                "no key is there twice",
            )?;
        }
        Ok(())
    }
}

fn check_rows(
    minute: &MinuteRows,
    frame: &Frame<'_>,
    candidates: &mut [u64],
    name: &mut impl FnMut(u32) -> bool,
) -> Result<(), String> {
    let mut end = 0;
    for row in &minute.rows {
        if row.series & CANDIDATE == 0 {
            require(
                frame.is_live(row.series),
                "rows",
                "they are of series that are tracked",
            )?;
        } else {
            let slot = candidates.get_mut((row.series ^ CANDIDATE) as usize);
            let slot = slot.ok_or("rows: they name candidates that there are")?;
            *slot += 1;
        }
        require(
            (1..=SUM_MAX).contains(&row.count),
            "rows",
            "they hold counts",
        )?;
        let is_behind = row.deltas.0 == end && row.deltas.1 >= end;
        require(is_behind, "rows", "their deltas lie side by side")?;
        end = row.deltas.1;
    }
    let are_all = end as usize == minute.deltas.len();
    require(are_all, "deltas", "each belongs to a row")?;
    for (value, count) in &minute.deltas {
        let is_count = (1..=SUM_MAX).contains(count);
        require(
            is_count && name(*value),
            "deltas",
            "they are counts of values",
        )?;
    }
    Ok(())
}
