//! What must hold of days that were read.

use std::collections::BTreeSet;

use super::super::invariants::{COUNT_SUM_MAX, Frame, require};
use super::super::varint::read_checked;
use super::{BLOCK, Days, EXCESS, HOURS, Sealed, TOTAL, VALUES, capacity};

/// Size classes of blocks that a day can fill; the largest holds 2^17 entries.
const CLASSES_MAX: usize = 32;
/// Values of a series and day that are not of attributions.
const RESERVED: usize = 6;

impl Days {
    /// Checks days that were read; `last_day` says on which day an id counted last at most, and
    /// `name` gets the attribution value of each entry and says whether there is such a value.
    pub fn check(
        &self,
        pristine: &Days,
        day: u32,
        frame: &Frame<'_>,
        last_day: impl Fn(usize) -> Option<u32>,
        name: &mut impl FnMut(u32) -> bool,
    ) -> Result<(), String> {
        require(
            self.keep == pristine.keep,
            "keep",
            "it is that of the settings",
        )?;
        require(
            self.day == day,
            "day",
            "it is that of the hour that began last",
        )?;
        require(
            self.heads.len() == frame.ids,
            "heads",
            "there is one for each id",
        )?;
        let mut check_entry = |id: u32, day: u32, value: u32, count: u64| {
            let last = frame
                .ends
                .get(id as usize)
                .and_then(|_| last_day(id as usize));
            let is_counted = last.is_some_and(|last| day <= last);
            require(is_counted, "entries", "a series counts while it is tracked")?;
            let is_known = value < EXCESS + 4 || value >= VALUES && name(value);
            require(is_known, "entries", "they are of values that there are")?;
            require(count <= COUNT_SUM_MAX, "entries", "they are counts")
        };
        self.check_blocks(frame)?;
        for id in 0..self.heads.len() as u32 {
            let mut values = BTreeSet::new();
            for entry in self.open_entries(id) {
                require(
                    values.insert(entry.value),
                    "entries",
                    "a series' values differ",
                )?;
                let carry = self.carry.get(&(id, entry.value)).copied().unwrap_or(0);
                require(carry <= COUNT_SUM_MAX >> 32, "carry", "it is of a count")?;
                check_entry(id, day, entry.value, self.wide(id, entry))?;
            }
            let mut carries = self.carry.range((id, 0)..=(id, u32::MAX));
            let are_carried = carries.all(|(key, _)| values.contains(&key.1));
            require(are_carried, "carry", "it belongs to an entry")?;
        }
        let is_of_ids = self.carry.keys().all(|key| (key.0 as usize) < frame.ids);
        require(is_of_ids, "carry", "it belongs to an entry")?;
        let mut younger = day;
        for sealed in &self.sealed {
            let is_in_order = sealed.day < younger && sealed.day + self.keep > day;
            require(
                is_in_order,
                "sealed",
                "it holds the days before the open one",
            )?;
            younger = sealed.day;
            sealed.check(|id, value, count| check_entry(id, sealed.day, value, count))?;
        }
        Ok(())
    }

    /// Visits the total of each series on a day, maybe in two parts.
    pub fn for_each_total(&self, day: u32, mut visit: impl FnMut(u32, u64)) {
        if day == self.day {
            for id in 0..self.heads.len() as u32 {
                let mut entries = self.open_entries(id).iter();
                if let Some(entry) = entries.find(|entry| entry.value == TOTAL) {
                    visit(id, self.wide(id, entry));
                }
            }
        } else if let Some(sealed) = self.sealed_day(day) {
            let late = sealed
                .patch
                .iter()
                .map(|(key, count)| (key.0, key.1, *count));
            sealed.for_each(|id, value, count| {
                if value == TOTAL {
                    visit(id, count);
                }
            });
            for (id, _, count) in late.filter(|late| late.1 == TOTAL) {
                visit(id, count);
            }
        }
    }

    /// Blocks, used and free, lie side by side.
    fn check_blocks(&self, frame: &Frame<'_>) -> Result<(), String> {
        require(
            self.free.len() <= CLASSES_MAX,
            "free",
            "it has few size classes",
        )?;
        let values_max = 4 * frame.settings.values_max as usize + RESERVED;
        let mut blocks: Vec<(usize, usize)> = Vec::new();
        for head in &self.heads {
            let (length, class) = (usize::from(head.length), usize::from(head.class));
            if length == 0 {
                continue;
            }
            let fits = class < self.free.len() && length <= capacity(head.class);
            require(fits, "heads", "a block holds what it says")?;
            require(
                length <= values_max,
                "heads",
                "a day holds no more than its values",
            )?;
            blocks.push((head.start as usize, capacity(head.class)));
        }
        for (class, starts) in self.free.iter().enumerate() {
            let blocks_of = starts
                .iter()
                .map(|start| (*start as usize, capacity(class as u16)));
            blocks.extend(blocks_of);
        }
        blocks.sort_unstable();
        let mut end = 0;
        for (start, length) in blocks {
            require(start == end, "heads", "blocks lie side by side")?;
            end = start + length;
        }
        require(
            end == self.entries.len(),
            "entries",
            "they are those of the blocks",
        )
    }
}

impl Sealed {
    fn check(
        &self,
        mut visit: impl FnMut(u32, u32, u64) -> Result<(), String>,
    ) -> Result<(), String> {
        let claim = "it is of ascending series with ascending values";
        let broken = || format!("sealed: {claim}");
        let data = &self.data.0;
        let mut index = self.index.iter();
        let (mut at, mut previous, mut series, mut entries) = (0, 0u32, 0, 0);
        while at < data.len() {
            if series > 0 && series % BLOCK == 0 {
                let is_indexed = index.next() == Some(&(previous, at as u32));
                require(is_indexed, "sealed", "its index says where blocks begin")?;
            }
            let step = read_checked(data, &mut at).ok_or_else(broken)?;
            let id = u32::try_from(step).ok();
            let id = id.and_then(|step| previous.checked_add(step));
            let id = id.filter(|_| step > 0 || series == 0).ok_or_else(broken)?;
            let length = read_checked(data, &mut at).ok_or_else(broken)?;
            let length = usize::try_from(length).ok();
            let end = length.and_then(|length| at.checked_add(length));
            let end = end
                .filter(|end| *end <= data.len() && *end > at)
                .ok_or_else(broken)?;
            let (mut value, mut is_first) = (0u32, true);
            while at < end {
                let step = read_checked(&data[..end], &mut at).ok_or_else(broken)?;
                let next = u32::try_from(step).ok();
                let next = next.and_then(|step| value.checked_add(step));
                value = next.filter(|_| step > 0 || is_first).ok_or_else(broken)?;
                is_first = false;
                let count = read_checked(&data[..end], &mut at).ok_or_else(broken)?;
                entries += 1;
                match self.patch.get(&(id, value)) {
                    // The patch's entry is visited below.
                    Some(_) => require(count <= COUNT_SUM_MAX, "sealed", "it holds counts")?,
                    None => visit(id, value, count)?,
                }
            }
            (previous, series) = (id, series + 1);
        }
        let is_whole = index.next().is_none() && entries == self.entries;
        require(
            is_whole,
            "sealed",
            "its index and its number of entries are right",
        )?;
        for ((id, value), count) in &self.patch {
            let is_hours = *value != HOURS || *count < 1 << 24;
            require(is_hours, "sealed", "a day has 24 hours")?;
            visit(*id, *value, *count)?;
        }
        Ok(())
    }
}
