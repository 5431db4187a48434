//! The fleet layer's calendar: which hour's report is complete, and which threshold is in force.
//!
//! An episode that ends with hour h is known once the first bucket of hour h + 1 is judged, so
//! the report of hour h goes in at the beginning of hour h + 2, and its threshold is in force from
//! hour h + 3 on. With a threshold fixed by hand there is no fleet layer. An engine that holds one
//! partition of a fleet hands its reports on and is told the thresholds.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::fleet::{FORCE_DELAY_HOURS, Fleet, HourReport, Threshold};
use super::settings::{DetectSettings, FleetScope, Tuning};
use super::verdict::EpisodeEnd;

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
    threshold: Option<Threshold>,
    fixed_z: Option<f64>,
    budget_per_week: f64,
    #[serde(skip)]
    exchange: Option<Exchange>,
}

/// What passes between one partition of a fleet and its coordinator.
#[derive(Clone, Debug, Default)]
struct Exchange {
    /// Complete hours that nobody has fetched.
    reports: Vec<(u32, HourReport)>,
    /// Thresholds of hours that have not begun.
    thresholds: BTreeMap<u32, Threshold>,
}

impl FleetHours {
    pub fn new(settings: &DetectSettings, tuning: &Tuning) -> Self {
        FleetHours {
            fleet: Fleet::new(settings),
            shift: 0,
            first: 0,
            reports: VecDeque::new(),
            threshold: None,
            fixed_z: tuning.fixed_z,
            budget_per_week: settings.budget_per_week,
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

    /// Takes the threshold in force in the `hour`th since the origin.
    pub fn know(&mut self, hour: u32, threshold: Threshold) {
        let begun = self.first + self.reports.len() as u32;
        if let Some(exchange) = self.exchange.as_mut().filter(|_| hour >= begun) {
            exchange.thresholds.insert(hour, threshold);
        }
    }

    /// Reports of hours since the origin that were completed since the last call.
    pub fn take_reports(&mut self) -> Vec<(u32, HourReport)> {
        let exchange = self.exchange.as_mut();
        exchange.map_or(Vec::new(), |exchange| std::mem::take(&mut exchange.reports))
    }

    /// Goes on with another budget or threshold.
    pub fn reconfigure(&mut self, settings: &DetectSettings, tuning: &Tuning) {
        self.fixed_z = tuning.fixed_z;
        self.budget_per_week = settings.budget_per_week;
        self.fleet.reconfigure(settings);
    }

    /// Closes the hour before `hour`, with the series that had a count in the seven days before,
    /// and finds the threshold of `hour`.
    pub fn begin(&mut self, hour: u32, live_series: u64) {
        if self.fixed_z.is_some() {
            return;
        }
        let hour = hour + self.shift;
        if let Some(closed) = self.reports.back_mut() {
            closed.live_series = live_series;
        }
        self.reports.push_back(HourReport::default());
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
        self.threshold = Some(known.unwrap_or_else(|| self.fleet.threshold_for(hour)));
    }

    /// Enters an episode into the report of the hour that ended it.
    pub fn add(&mut self, episode: EpisodeEnd) {
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
        report.expect("no episode ends in an hour to come").episodes[episode.bin] += 1;
    }

    /// z* in force in the running hour.
    pub fn z(&self) -> f64 {
        let from_fleet = || self.threshold.map(|threshold| threshold.z);
        self.fixed_z.or_else(from_fleet).unwrap_or(f64::INFINITY)
    }

    /// The budget, unless the threshold is fixed by hand.
    pub fn budget_per_week(&self) -> Option<f64> {
        self.fixed_z.is_none().then_some(self.budget_per_week)
    }

    /// Insights at least as strong as `z` expected a week, unless the threshold is fixed.
    pub fn expected_per_week(&self, z: f64) -> Option<f64> {
        self.threshold
            .map(|threshold| threshold.expected_per_week(z))
    }

    /// The threshold of the running hour, unless it is fixed.
    pub fn threshold(&self) -> Option<Threshold> {
        self.threshold
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
        self.reports = VecDeque::from([HourReport::default(), HourReport::default()]);
    }

    /// Moves bucket 0 forward by `hours`.
    pub fn rebase(&mut self, hours: u32) {
        self.shift += hours;
    }
}
