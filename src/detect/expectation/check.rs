//! What must hold of an expectation that was read.

use super::super::invariants::{CALLS_MAX, DERIVED_MAX, are_amounts, require, within};
use super::{Expectation, PROFILE_MAX, Tuning, WEEK_HOURS};

/// Losses beyond this come of no counts.
const LOSS_MAX: f32 = 1e30;

impl Expectation {
    pub fn check(&self, tuning: &Tuning) -> Result<(), String> {
        require(
            self.levels.is_sound(CALLS_MAX),
            "levels",
            "they are calls by slot",
        )?;
        let is_week = usize::from(self.hours_filled) <= WEEK_HOURS;
        require(is_week, "hours_filled", "it is a week at most")?;
        require(
            self.profile.is_sound(PROFILE_MAX),
            "profile",
            "it has shares by slot",
        )?;
        let are_losses = self.loss.iter().all(|loss| loss.abs() <= LOSS_MAX);
        require(are_losses, "loss", "they are numbers")?;
        let recent = [self.recent, self.recent_expected];
        require(
            are_amounts(recent, DERIVED_MAX),
            "recent",
            "it is an amount",
        )?;
        let is_dispersion = (1.0..=1e37).contains(&self.loss_dispersion);
        require(is_dispersion, "loss_dispersion", "it is at least 1")?;
        let sums = [self.hour_sum, self.hour_late];
        let are_sums = sums.iter().all(|sum| (0.0..=CALLS_MAX).contains(sum));
        require(are_sums, "hour_sum", "it is an amount")?;
        require(
            are_amounts(self.experts, DERIVED_MAX),
            "experts",
            "they are amounts",
        )?;
        let ratios = (1.0 / tuning.ratio_max) as f32..=tuning.ratio_max as f32;
        require(ratios.contains(&self.ratio), "ratio", "it is limited")?;
        within("lines", self.lines.check())
    }
}
