//! One day of all series as non-zero cells, turned from series-major to minute-major.

use super::calendar::DAY;
use super::plant::Split;

/// What one series does in one minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    pub series: u32,
    pub split: Split,
    /// Number of the one who makes the planted calls.
    pub caller: u32,
}

/// One day of all series, by minute, then series.
#[derive(Debug, Default)]
pub(super) struct Day {
    starts: Vec<u32>,
    cells: Vec<Cell>,
}

impl Day {
    /// The cells of one minute of the day, by series.
    pub fn minute(&self, minute: u32) -> &[Cell] {
        let from = self.starts[minute as usize] as usize;
        let to = self.starts[minute as usize + 1] as usize;
        &self.cells[from..to]
    }

    /// Sorts cells that come by series, then minute, into minute, then series.
    pub fn sort_in(&mut self, cells: &[(u16, Cell)]) {
        self.starts.clear();
        self.starts.resize(DAY as usize + 1, 0);
        for (minute, _) in cells {
            self.starts[usize::from(*minute) + 1] += 1;
        }
        for minute in 0..DAY as usize {
            self.starts[minute + 1] += self.starts[minute];
        }
        let mut next = self.starts.clone();
        self.cells.clear();
        let Some((_, blank)) = cells.first() else {
            return;
        };
        self.cells.resize(cells.len(), *blank);
        for (minute, cell) in cells {
            let slot = &mut next[usize::from(*minute)];
            self.cells[*slot as usize] = *cell;
            *slot += 1;
        }
    }
}
