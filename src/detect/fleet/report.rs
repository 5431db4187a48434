//! What one closed hour says: plain integers that add up over partitions.

use std::collections::BTreeMap;
use std::ops::{AddAssign, SubAssign};

use serde::{Deserialize, Serialize};

use super::super::budget::Class;
use super::{BINS, GROUP_HOURS};

/// Cells of one report that are kept apart; episodes beyond them count each for itself.
pub const CELLS_MAX: usize = 1 << 16;

/// Hours after which an episode is forgotten anyway, and its confirmation without effect.
pub const CONFIRMED_AGO_MAX: u32 = 10_000;

/// Episodes that may have one cause: of one class and account, begun in the same hour. All hours
/// are so many before that of the report.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Cell {
    /// Hours since they began, below [`GROUP_HOURS`].
    pub ago: u8,
    pub class: Class,
    pub account: u16,
    /// Bin of their largest z.
    pub bin: u8,
}

/// An episode that a person confirmed to be a true incident.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ConfirmedCell {
    /// Hours since it ended and since it began, where its cell is concerned.
    pub ended_ago: u32,
    pub began_ago: u32,
    pub class: Class,
    pub account: u16,
    pub bin: u8,
}

/// What an hour says of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Episodes that ended and count each for itself, by bin; always [`BINS`] long.
    pub episodes: Vec<u32>,
    /// Series with any count in the last seven days.
    pub live_series: u64,
}

/// One closed hour of one partition, or the sum over partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourReport {
    /// By class.
    pub classes: Vec<ClassReport>,
    /// Series with any count in the last seven days, in whatever class.
    pub live_series: u64,
    /// Strong episodes that ended, by what may be one cause.
    pub cells: BTreeMap<Cell, u32>,
    pub confirmed: BTreeMap<ConfirmedCell, u32>,
}

impl Default for ClassReport {
    fn default() -> Self {
        ClassReport {
            episodes: vec![0; BINS],
            live_series: 0,
        }
    }
}

impl HourReport {
    /// An hour in which nothing ended.
    pub fn new(classes: usize) -> Self {
        HourReport {
            classes: vec![ClassReport::default(); classes],
            ..HourReport::default()
        }
    }

    /// What is said of a class.
    pub fn class_mut(&mut self, class: Class) -> &mut ClassReport {
        let index = usize::from(class.0);
        if self.classes.len() <= index {
            self.classes.resize_with(index + 1, ClassReport::default);
        }
        &mut self.classes[index]
    }

    /// Adds an episode; a weak one, and one beyond what cells are kept of, counts for itself.
    pub fn add(&mut self, cell: Cell) {
        let is_strong = usize::from(cell.bin) >= super::GROUP_BIN;
        let has_room = self.cells.len() < CELLS_MAX || self.cells.contains_key(&cell);
        if is_strong && has_room {
            *self.cells.entry(cell).or_default() += 1;
        } else {
            self.class_mut(cell.class).episodes[usize::from(cell.bin)] += 1;
        }
    }

    /// The same of so many classes: what was of others is of the rest.
    pub fn among(&self, classes: usize) -> Self {
        let mut report = HourReport {
            live_series: self.live_series,
            ..HourReport::new(classes)
        };
        for (index, one) in self.classes.iter().enumerate() {
            let own = report.class_mut(Class(index as u8).among(classes));
            for (sum, more) in own.episodes.iter_mut().zip(&one.episodes) {
                *sum += more;
            }
            own.live_series += one.live_series;
        }
        for (cell, count) in &self.cells {
            let class = cell.class.among(classes);
            *report.cells.entry(Cell { class, ..*cell }).or_default() += count;
        }
        for (cell, count) in &self.confirmed {
            let cell = ConfirmedCell {
                class: cell.class.among(classes),
                ..*cell
            };
            *report.confirmed.entry(cell).or_default() += count;
        }
        report
    }

    /// Whether a report that was read says what one can say.
    pub fn is_sound(&self, classes: usize, episodes_max: u32, series_max: u64) -> bool {
        let is_class = |class: Class| usize::from(class.0) < classes;
        let is_bin = |bin: u8| usize::from(bin) < BINS;
        let is_count = |count: &u32| *count <= episodes_max;
        self.classes.len() == classes
            && self.live_series <= series_max
            && self.classes.iter().all(|one| {
                one.episodes.len() == BINS
                    && one.episodes.iter().all(is_count)
                    && one.live_series <= series_max
            })
            && self.cells.len() <= CELLS_MAX
            && self.cells.iter().all(|(cell, count)| {
                is_class(cell.class)
                    && is_bin(cell.bin)
                    && u32::from(cell.ago) < GROUP_HOURS
                    && is_count(count)
            })
            && self.confirmed.len() <= CELLS_MAX
            && self.confirmed.iter().all(|(cell, count)| {
                is_class(cell.class)
                    && is_bin(cell.bin)
                    && is_count(count)
                    && cell.began_ago <= CONFIRMED_AGO_MAX
            })
    }
}

impl AddAssign<&HourReport> for HourReport {
    fn add_assign(&mut self, other: &HourReport) {
        self.live_series += other.live_series;
        for (index, more) in other.classes.iter().enumerate() {
            let sum = self.class_mut(Class(index as u8));
            for (sum, more) in sum.episodes.iter_mut().zip(&more.episodes) {
                *sum += more;
            }
            sum.live_series += more.live_series;
        }
        for (cell, count) in &other.cells {
            *self.cells.entry(*cell).or_default() += count;
        }
        for (cell, count) in &other.confirmed {
            *self.confirmed.entry(*cell).or_default() += count;
        }
    }
}

impl SubAssign<&HourReport> for HourReport {
    /// Takes away what a part of the series reported.
    fn sub_assign(&mut self, part: &HourReport) {
        self.live_series -= part.live_series;
        for (index, less) in part.classes.iter().enumerate() {
            let left = self.class_mut(Class(index as u8));
            for (left, less) in left.episodes.iter_mut().zip(&less.episodes) {
                *left -= less;
            }
            left.live_series -= less.live_series;
        }
        take_away(&mut self.cells, &part.cells);
        take_away(&mut self.confirmed, &part.confirmed);
    }
}

fn take_away<K: Ord>(counts: &mut BTreeMap<K, u32>, part: &BTreeMap<K, u32>) {
    for (cell, less) in part {
        let left = counts.get_mut(cell).expect("a part is of the whole");
        *left -= less;
        if *left == 0 {
            counts.remove(cell);
        }
    }
}
