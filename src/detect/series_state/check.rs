//! What must hold of a series' state that was read.

use super::super::invariants::{Frame, are_amounts, require, within};
use super::super::settings::RECENT;
use super::SeriesState;
use crate::model::Direction;

impl SeriesState {
    pub fn check(&self, frame: &Frame<'_>) -> Result<(), String> {
        let tuning = frame.tuning;
        require(
            self.now <= frame.t,
            "now",
            "its next bucket is not behind the engine's",
        )?;
        let hour = self.now.saturating_sub(1) / tuning.hour;
        require(self.born <= hour, "born", "its life has begun")?;
        require(
            self.silent_from <= self.now,
            "silent_from",
            "its last count was before now",
        )?;
        within("expectation", self.expectation.check(tuning))?;
        within("dispersion", self.dispersion.check())?;
        let least = if self.now > 0 { 1.0 } else { 0.0 };
        let are_phis =
            are_amounts(self.phis, f64::MAX) && self.phis.iter().all(|phi| *phi >= least);
        require(are_phis, "phis", "they are at least 1 once an hour began")?;
        match &self.recent {
            Some(recent) => require(recent.is_sound(), "recent", "it has amounts")?,
            None => self.check_without_recent(frame)?,
        }
        within("slow", self.slow.check())?;
        within("routine", self.routine.check())?;
        let is_near = self.withheld_until < self.now + tuning.continue_within.max(1);
        require(is_near, "withheld_until", "it is within two hours")?;
        within("recalibration", self.recalibration.check(self.now))?;
        within("incidents", self.incidents.check(self.now, tuning))
    }

    /// Checks that a series is visited as often as its state asks for.
    pub fn check_visits(&self, frame: &Frame<'_>) -> Result<(), String> {
        let (now, t) = (u64::from(self.now), u64::from(frame.t));
        let tuning = frame.tuning;
        let is_near = now + u64::from(tuning.day + tuning.hour) >= t;
        require(is_near, "now", "it was visited in the last day")?;
        let is_at_hand = !self.is_open() || now == t;
        require(
            is_at_hand,
            "now",
            "an open incident is looked at in every bucket",
        )?;
        let boundary = now.next_multiple_of(u64::from(tuning.hour));
        let is_counted = !self.recalibration.has_episode() || boundary >= t;
        require(is_counted, "now", "an episode is looked at in every hour")
    }

    /// Checks the state that new series begin with.
    pub fn check_silent(&self, frame: &Frame<'_>) -> Result<(), String> {
        require(
            self.now == frame.hour_begun(),
            "now",
            "it is the hour that began last",
        )?;
        let is_silent = self.silent_from == 0
            && !self.is_open()
            && !self.incidents.begins_anew()
            && !self.recalibration.has_episode();
        require(is_silent, "silent_from", "it never had a count")
    }

    /// Onset, bucket of the Start and direction of the open incident.
    pub fn open_incident(&self) -> Option<(u32, u32, Direction)> {
        self.incidents
            .open()
            .map(|open| (open.onset, open.started, open.direction))
    }

    /// Without rings all that was expected must be known from the lines.
    fn check_without_recent(&self, frame: &Frame<'_>) -> Result<(), String> {
        let is_whole_hour = frame.tuning.hour == 60 || self.now == 0;
        let is_plain = is_whole_hour && !self.expectation.lines.is_shaped();
        require(is_plain, "recent", "it is there while a shape is in reach")?;
        let is_silent = self.silent_from == 0 || self.now - self.silent_from >= RECENT as u32;
        require(is_silent, "recent", "it is there while a count is in reach")
    }
}
