//! The fleet layer's calendar: which hour's report is complete, and which threshold is in force.
//!
//! An episode that ends with hour h is known once the first bucket of hour h + 1 is judged, so
//! the report of hour h goes in at the beginning of hour h + 2, and its threshold is in force from
//! hour h + 3 on. With a threshold fixed by hand there is no fleet layer. An engine that holds one
//! partition of a fleet hands its reports on and is told the thresholds.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::budget::{Class, Place};
use super::fleet::{
    Cell, ConfirmedCell, FORCE_DELAY_HOURS, Fleet, GROUP_HOURS, HourReport, Threshold, Thresholds,
};
use super::places::LiveSeries;
use super::settings::{DetectSettings, FleetScope, Tuning};
use super::verdict::{EpisodeEnd, Needed};

mod check;

/// Reports of hours that are not complete, and the threshold of the running hour.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FleetHours {
    fleet: Fleet,
    /// Hours that bucket 0 was moved by.
    shift: u32,
    /// Hour of the first of `reports`.
    first: u32,
    reports: VecDeque<HourReport>,
    thresholds: Option<Thresholds>,
    fixed_z: Option<f64>,
    /// Number of classes.
    classes: usize,
    #[serde(skip)]
    exchange: Option<Exchange>,
}

/// What passes between one partition of a fleet and its coordinator.
#[derive(Clone, Debug, Default)]
struct Exchange {
    /// Complete hours that nobody has fetched.
    reports: Vec<(u32, HourReport)>,
    /// Thresholds of hours that have not begun.
    thresholds: BTreeMap<u32, Thresholds>,
}

impl FleetHours {
    pub fn new(settings: &DetectSettings, tuning: &Tuning) -> Self {
        FleetHours {
            fleet: Fleet::new(settings),
            shift: 0,
            first: 0,
            reports: VecDeque::new(),
            thresholds: None,
            fixed_z: tuning.fixed_z,
            classes: settings.classes(),
            exchange: (settings.fleet == FleetScope::Part).then(Exchange::default),
        }
    }

    /// Builds what a snapshot leaves out, as `pristine` has it.
    pub fn rebuild(&mut self, pristine: &Self) {
        self.exchange.clone_from(&pristine.exchange);
    }

    /// Whether the engine holds one partition of a fleet.
    pub fn is_part(&self) -> bool {
        self.exchange.is_some()
    }

    /// Whether the threshold of `hour` is known.
    pub fn can_begin(&self, hour: u32) -> bool {
        let hour = hour + self.shift;
        self.fixed_z.is_some()
            || hour < FORCE_DELAY_HOURS
            || self
                .exchange
                .as_ref()
                .is_none_or(|exchange| exchange.thresholds.contains_key(&hour))
    }

    /// Takes the thresholds in force in the `hour`th since the origin.
    pub fn know(&mut self, hour: u32, thresholds: Thresholds) {
        let begun = self.first + self.reports.len() as u32;
        if let Some(exchange) = self.exchange.as_mut().filter(|_| hour >= begun) {
            exchange.thresholds.insert(hour, thresholds);
        }
    }

    /// Reports of hours since the origin that were completed since the last call.
    pub fn take_reports(&mut self) -> Vec<(u32, HourReport)> {
        let exchange = self.exchange.as_mut();
        exchange.map_or(Vec::new(), |exchange| std::mem::take(&mut exchange.reports))
    }

    /// Goes on with other budgets or another threshold.
    pub fn reconfigure(&mut self, settings: &DetectSettings, tuning: &Tuning) {
        self.fixed_z = tuning.fixed_z;
        self.classes = settings.classes();
        for report in &mut self.reports {
            *report = report.among(self.classes);
        }
        self.fleet.reconfigure(settings);
    }

    /// Closes the hour before `hour`, with the series that had a count in the seven days before,
    /// and finds the thresholds of `hour`.
    pub fn begin(&mut self, hour: u32, live: &LiveSeries) {
        if self.fixed_z.is_some() {
            return;
        }
        let hour = hour + self.shift;
        if let Some(closed) = self.reports.back_mut() {
            closed.live_series = live.all;
            for (index, series) in live.classes.iter().enumerate() {
                closed.class_mut(Class(index as u8)).live_series = *series;
            }
        }
        self.reports.push_back(HourReport::new(self.classes));
        while self.first + 2 <= hour {
            let report = self.reports.pop_front().unwrap_or_default();
            match &mut self.exchange {
                Some(exchange) => exchange.reports.push((self.first, report)),
                None => self.fleet.report(self.first, &report),
            }
            self.first += 1;
        }
        let known = self.exchange.as_mut();
        let known = known.and_then(|exchange| exchange.thresholds.remove(&hour));
        self.thresholds = Some(known.unwrap_or_else(|| self.fleet.thresholds_for(hour)));
    }

    /// Enters an episode of a series into the report of the hour that ended it.
    pub fn add(&mut self, episode: EpisodeEnd, place: Place) {
        if self.fixed_z.is_some() {
            return;
        }
        let hour = episode.hour + self.shift;
        assert!(
            hour >= self.first,
            "an episode of hour {hour} came after {}",
            self.first
        );
        let report = self.reports.get_mut((hour - self.first) as usize);
        let report = report.expect("no episode ends in an hour to come");
        report.add(Cell {
            ago: group_ago(&episode) as u8,
            class: place.class(episode.direction),
            account: place.account,
            bin: episode.bin,
        });
    }

    /// Enters missed calls into the report of the running hour.
    pub fn add_missed(&mut self, hour: u32, bin: u8, place: Place) {
        if self.fixed_z.is_some() {
            return;
        }
        let hour = hour + self.shift;
        let report = self.reports.get_mut((hour - self.first) as usize);
        report.expect("the hour runs").add(Cell {
            ago: 0,
            class: place.missed,
            account: place.account,
            bin,
        });
    }

    /// Takes an episode back that was entered before: it was a true incident.
    pub fn take_back(&mut self, episode: EpisodeEnd, place: Place) {
        let hour = self.first + self.reports.len() as u32;
        let Some(report) = self.reports.back_mut() else {
            return;
        };
        let ended_ago = (hour - 1).saturating_sub(episode.hour + self.shift);
        let cell = ConfirmedCell {
            ended_ago,
            began_ago: ended_ago + group_ago(&episode),
            class: place.class(episode.direction),
            account: place.account,
            bin: episode.bin,
        };
        *report.confirmed.entry(cell).or_default() += 1;
    }

    /// z* in force in the running hour, by class.
    pub fn z(&self, class: Class) -> f64 {
        let from_fleet = || self.threshold(class).map(|threshold| threshold.z);
        self.fixed_z.or_else(from_fleet).unwrap_or(f64::INFINITY)
    }

    /// What Starts of a series need in the running hour.
    pub fn needed(&self, place: Place) -> Needed {
        Needed {
            up: self.z(place.up),
            down: self.z(place.down),
            missed: self.z(place.missed),
        }
    }

    /// The threshold of the running hour, unless it is fixed.
    pub fn threshold(&self, class: Class) -> Option<&Threshold> {
        self.thresholds.as_ref()?.of(class)
    }

    /// The thresholds of the running hour, unless they are fixed.
    pub fn thresholds(&self) -> Option<&Thresholds> {
        self.thresholds.as_ref()
    }

    /// What the scope of a class matches; `None` for the rest.
    pub fn scope_name(&self, class: Class) -> Option<&str> {
        self.fleet.scope_name(class)
    }

    /// Passes the hours before `hour` without any series.
    pub fn jump(&mut self, hour: u32) {
        if self.fixed_z.is_some() {
            return;
        }
        let hour = hour + self.shift;
        while let Some(report) = self.reports.pop_front() {
            self.fleet.report(self.first, &report);
            self.first += 1;
        }
        self.fleet.skip_to(hour - 2);
        self.first = hour - 2;
        self.reports =
            VecDeque::from([HourReport::new(self.classes), HourReport::new(self.classes)]);
    }

    /// Moves bucket 0 forward by `hours`.
    pub fn rebase(&mut self, hours: u32) {
        self.shift += hours;
    }
}

/// Hours from the beginning of an episode to its end, as far as groups are concerned.
fn group_ago(episode: &EpisodeEnd) -> u32 {
    u32::from(episode.hours).min(GROUP_HOURS - 1)
}
