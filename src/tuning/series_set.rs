//! Some of the series of kept rates, by their number.

use super::KeptRates;

/// Some of the series, by their number in [`KeptRates::series`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesSet(Vec<bool>);

impl SeriesSet {
    /// All series of `kept`.
    pub fn all(kept: &KeptRates) -> Self {
        SeriesSet(vec![true; kept.series().len()])
    }

    /// None of them.
    pub fn none(kept: &KeptRates) -> Self {
        SeriesSet(vec![false; kept.series().len()])
    }

    pub fn insert(&mut self, series: u32) {
        self.0[series as usize] = true;
    }

    pub fn holds(&self, series: u32) -> bool {
        self.0.get(series as usize).copied().unwrap_or(false)
    }

    pub fn len(&self) -> usize {
        self.0.iter().filter(|holds| **holds).count()
    }

    pub fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.0.len() as u32).filter(|series| self.holds(*series))
    }

    /// Those here that are not in `other`.
    pub fn without(&self, other: &SeriesSet) -> SeriesSet {
        let held = self.0.iter().zip(&other.0);
        SeriesSet(held.map(|(here, there)| *here && !there).collect())
    }

    /// The set in `count` parts, by number.
    pub fn split(&self, count: usize) -> Vec<SeriesSet> {
        let mut parts = vec![SeriesSet(vec![false; self.0.len()]); count];
        for (place, series) in self.iter().enumerate() {
            parts[place % count].insert(series);
        }
        parts.retain(|part| !part.is_empty());
        parts
    }
}
