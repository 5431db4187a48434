//! What must hold of the fleet's calendar that was read.

use super::super::fleet::{BINS, HourReport};
use super::super::invariants::{Frame, require, within};
use super::FleetHours;

/// Episodes of a bin and hour, and live series, that are believed.
const EPISODES_MAX: u32 = 1 << 31;
const SERIES_MAX: u64 = 1 << 40;

impl FleetHours {
    /// Checks what was read; bucket 0 was moved by `shift` hours.
    pub fn check(&self, frame: &Frame<'_>, pristine: &Self, shift: u32) -> Result<(), String> {
        require(self.shift == shift, "shift", "it is that of the clock")?;
        let is_set =
            self.fixed_z == pristine.fixed_z && self.budget_per_week == pristine.budget_per_week;
        require(is_set, "budget_per_week", "it is that of the settings")?;
        if self.fixed_z.is_some() || frame.t == 0 {
            let is_idle = (self.first, self.reports.len(), self.threshold) == (0, 0, None)
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
        let are_whole = self.reports.iter().all(is_report);
        require(are_whole, "reports", "they are whole")?;
        let reported = if pristine.is_part() { 0 } else { self.first };
        within(
            "fleet",
            self.fleet.check(&pristine.fleet, reported, SERIES_MAX),
        )?;
        if pristine.is_part() {
            let is_threshold = self.threshold.is_some_and(|one| one.is_sound(SERIES_MAX));
            return require(is_threshold, "threshold", "it comes of a line");
        }
        let threshold = self.fleet.threshold_for(hour);
        let is_in_force = self.threshold == Some(threshold);
        require(is_in_force, "threshold", "it is the one in force")
    }
}

fn is_report(report: &HourReport) -> bool {
    report.episodes.len() == BINS
        && report.episodes.iter().all(|count| *count <= EPISODES_MAX)
        && report.live_series <= SERIES_MAX
}
