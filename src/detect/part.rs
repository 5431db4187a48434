//! An engine as one part of a fleet: what it tells its coordinator and is told, and how it goes on
//! when others decide about it.
//!
//! The origin, the thresholds and the settings come from outside; reports of hours go there. What
//! happens in between is the engine's business and the same as for a whole fleet.

use std::sync::Arc;

use thiserror::Error;

use super::engine::{Engine, State};
use super::fleet::{HourReport, Thresholds};
use super::settings::{DetectSettings, Tuning};
use super::watermark::Continuity;
use crate::model::{Feedback, Minute};

/// A setting that an engine with a history cannot change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "{0} cannot change while the state goes on; begin anew with another kafka.group, \
     kafka.rates_topic and kafka.coordination_topic"
)]
pub struct Unchangeable(pub &'static str);

impl DetectSettings {
    /// Whether an engine can go on with `next` where it was with these.
    pub fn can_become(&self, next: &DetectSettings) -> Result<(), Unchangeable> {
        let is_fixed = |settings| Tuning::new(settings).fixed_z.is_some();
        let differences = [
            (
                "counting.bucket",
                self.bucket_minutes != next.bucket_minutes,
            ),
            ("limits.series_max", self.series_max != next.series_max),
            (
                "whether detector.fixed_z or detector.profile fixes the threshold",
                is_fixed(self) != is_fixed(next),
            ),
            ("the place in the fleet", self.fleet != next.fleet),
        ];
        let first = differences.into_iter().find(|(_, differs)| *differs);
        first.map_or(Ok(()), |(name, _)| Err(Unchangeable(name)))
    }
}

impl Engine {
    /// Takes the origin of the fleet; without effect on an engine whose time has begun.
    pub fn set_origin(&mut self, origin: Minute) {
        self.state.fleet_origin = Some(origin);
    }

    /// Waits for a source no longer, from the next progress on.
    pub fn retire(&mut self, source: u32) {
        self.state.watermarks.retire(source);
    }

    /// Takes the thresholds in force in `hour`, counted since 1970; those of a past hour are
    /// ignored.
    pub fn know_thresholds(&mut self, hour: u32, thresholds: Thresholds) {
        if let Some(since_origin) = self
            .origin_hour()
            .and_then(|origin| hour.checked_sub(origin))
        {
            self.state.fleet.know(since_origin, thresholds);
        }
    }

    /// Reports of the hours, counted since 1970, that were completed since the last call.
    pub fn take_reports(&mut self) -> Vec<(u32, HourReport)> {
        let reports = self.state.fleet.take_reports();
        let Some(origin) = self.origin_hour() else {
            return Vec::new();
        };
        let since_1970 = |(hour, report)| (origin + hour, report);
        reports.into_iter().map(since_1970).collect()
    }

    /// Goes on with other settings, and with the feedback that they bring.
    pub fn reconfigure(&mut self, settings: DetectSettings) -> Result<(), Unchangeable> {
        self.settings.can_become(&settings)?;
        self.tuning = Tuning::new(&settings);
        self.state.fleet.reconfigure(&settings, &self.tuning);
        let State {
            calendars,
            places,
            registry,
            ..
        } = &mut self.state;
        places.rebuild(registry, &settings.budgets);
        calendars.rebuild(registry, &settings);
        self.settings = settings;
        Ok(())
    }

    /// Is told one thing more that somebody said of an insight, and heeds it when it is due.
    pub fn hear(&mut self, feedback: Feedback) {
        Arc::make_mut(&mut self.settings.feedback).push(feedback);
    }

    /// Drops all open incidents without a word: for a state that was rebuilt in another way than
    /// the one that was published, so that no End appears whose Start did not.
    pub fn abandon_incidents(&mut self) -> u64 {
        let abandoned = self.state.incidents.abandon();
        let closed = self.state.closed.unwrap_or(0);
        self.state.ledger.abandon(closed);
        for id in &abandoned {
            self.state.series.get_mut(*id).abandon_incident();
        }
        abandoned.len() as u64
    }

    pub fn settings(&self) -> &DetectSettings {
        &self.settings
    }

    /// A number that differs, all but certainly, between engines that judged differently.
    pub fn digest(&self) -> u64 {
        self.state.digest
    }

    /// First minute that is not closed.
    pub fn closed(&self) -> Option<Minute> {
        self.state.closed.map(Minute)
    }

    /// Minute before which the sources have given all counts.
    pub fn watermark(&self) -> Option<Minute> {
        let least = self.state.watermarks.least()?;
        Some(least.minute().bucket(self.settings.bucket_minutes))
    }

    /// Whether the engine's time has begun.
    pub fn has_begun(&self) -> bool {
        self.state.clock.is_some()
    }

    /// Whether every source that has reported is proven idle.
    pub fn is_silent(&self) -> bool {
        self.state.watermarks.is_silent()
    }

    /// How the batches taken in followed each other.
    pub fn continuity(&self) -> Continuity {
        self.state.watermarks.continuity()
    }

    fn origin_hour(&self) -> Option<u32> {
        let of_clock = self.state.clock.map(|clock| clock.origin());
        let origin = of_clock.or(self.state.fleet_origin)?;
        Some(origin.0 / Minute::PER_HOUR)
    }
}
