//! What must hold of a fleet's memory that was read.

use super::super::budget::{SCOPES_MAX, STRATA};
use super::super::invariants::require;
use super::{BINS, FORCE_DELAY_HOURS, Fleet, Thresholds};

/// Decayed episodes and series-weeks that are believed.
const AMOUNT_MAX: f64 = 1e18;

impl Thresholds {
    /// Whether thresholds that were read can be some. They may be of other scopes than those of the
    /// settings: of those before, or still to come.
    pub fn is_sound(&self, series_max: u64) -> bool {
        let scopes = self.classes.len() / STRATA;
        (1..=SCOPES_MAX + 1).contains(&scopes)
            && self.classes.len().is_multiple_of(STRATA)
            && self.live_series <= series_max
            && self.classes.iter().all(|one| one.is_sound(series_max))
    }
}

impl Fleet {
    /// Checks a fleet that was read, whose next report is that of `hour`.
    pub fn check(&self, pristine: &Fleet, hour: u32, series_max: u64) -> Result<(), String> {
        let is_set = self.budgets == pristine.budgets && self.scopes == pristine.scopes;
        require(is_set, "budgets", "they are those of the settings")?;
        require(
            self.next_hour == hour,
            "next_hour",
            "it is that of the next report",
        )?;
        let classes = self.budgets.len() * STRATA;
        let is_sum = |sum: &f64| (0.0..=AMOUNT_MAX).contains(sum);
        let are_sums = self.classes.len() == classes
            && self.classes.iter().all(|one| {
                one.episodes.len() == BINS && one.causes.len() == BINS && one.numbers().all(is_sum)
            });
        require(are_sums, "classes", "they are of decayed counts")?;
        let are_debts = self.debts.len() == self.budgets.len()
            && self.debts.iter().all(|one| one.is_sound(AMOUNT_MAX));
        require(are_debts, "debts", "they are of misses that were told")?;
        let are_groups = self.groups.is_sound(classes, hour, AMOUNT_MAX);
        require(are_groups, "groups", "they are of the last hours")?;
        let hours = self.thresholds.iter().map(|(from, _)| *from);
        let latest = hour.saturating_add(FORCE_DELAY_HOURS);
        let first = latest.saturating_sub(self.thresholds.len() as u32);
        let are_next =
            hours.eq(first..latest) && self.thresholds.len() <= FORCE_DELAY_HOURS as usize + 1;
        require(are_next, "thresholds", "they are those of the last reports")?;
        let mut lines = self.thresholds.iter();
        let are_lines = lines.all(|(_, one)| one.is_sound(series_max));
        require(are_lines, "thresholds", "they come of lines")
    }
}
