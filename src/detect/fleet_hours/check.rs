//! What must hold of the fleet's calendar that was read.

use super::super::invariants::{Frame, require, within};
use super::FleetHours;

/// Episodes of a bin and hour, and live series, that are believed.
const EPISODES_MAX: u32 = 1 << 31;
const SERIES_MAX: u64 = 1 << 40;

impl FleetHours {
    /// Checks what was read; bucket 0 was moved by `shift` hours.
    pub fn check(&self, frame: &Frame<'_>, pristine: &Self, shift: u32) -> Result<(), String> {
        require(self.shift == shift, "shift", "it is that of the clock")?;
        let is_set = self.fixed_z == pristine.fixed_z && self.classes == pristine.classes;
        require(is_set, "classes", "they are those of the settings")?;
        if self.fixed_z.is_some() || frame.t == 0 {
            let is_idle = (self.first, self.reports.len(), &self.thresholds) == (0, 0, &None)
                && self.fleet == pristine.fleet;
            return require(
                is_idle,
                "reports",
                "there are none yet, or with a fixed threshold",
            );
        }
        let hour = frame.hour_begun() / frame.tuning.hour;
        let hour = hour
            .checked_add(shift)
            .ok_or("shift: it leaves time for hours")?;
        require(
            self.first == hour.saturating_sub(1),
            "first",
            "it is the hour before",
        )?;
        let reports = (hour - self.first + 1) as usize;
        require(
            self.reports.len() == reports,
            "reports",
            "there is one for each open hour",
        )?;
        let are_whole = self
            .reports
            .iter()
            .all(|report| report.is_sound(self.classes, EPISODES_MAX, SERIES_MAX));
        require(are_whole, "reports", "they are whole")?;
        let reported = if pristine.is_part() { 0 } else { self.first };
        within(
            "fleet",
            self.fleet.check(&pristine.fleet, reported, SERIES_MAX),
        )?;
        let are_known = self.thresholds.as_ref();
        if pristine.is_part() {
            let are_lines = are_known.is_some_and(|all| all.is_sound(SERIES_MAX));
            return require(are_lines, "thresholds", "they come of lines");
        }
        let are_in_force = are_known == Some(&self.fleet.thresholds_for(hour));
        require(are_in_force, "thresholds", "they are those in force")
    }
}
