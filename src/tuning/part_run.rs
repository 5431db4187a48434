//! Some series of a recording through an engine of their own, as one part of the fleet.
//!
//! What a series decides depends on its own counts and on the thresholds in force, hour by hour,
//! and on nothing else. So series may run apart from each other, as partitions of the service do,
//! and whoever knows the reports of all of them can say the thresholds.

use std::ops::ControlFlow;

use crate::detect::fleet::{CELLS_MAX, Fleet, HourReport, Thresholds};
use crate::detect::{DetectSettings, Engine, FleetScope, Need, Output};
use crate::model::{InsightEvent, LogRecord, Minute};

use super::{KeptRates, SeriesSet};

/// Who says which thresholds are in force.
pub trait ThresholdSource {
    /// The thresholds of an hour, counted since the origin. `reports` are those of the part's own
    /// hours that were completed since the last call.
    fn in_force(&mut self, hour: u32, reports: Vec<(u32, HourReport)>) -> Thresholds;
}

/// The same thresholds in all hours; keeps the reports.
#[derive(Clone, Debug)]
pub struct Constant {
    pub thresholds: Thresholds,
    pub reports: Vec<(u32, HourReport)>,
}

/// Thresholds as a fleet fits them to the reports of a part and of all the other series.
#[derive(Clone, Debug)]
pub struct Fitted<'a> {
    fleet: Fleet,
    /// By hour since the origin, what the series outside the part report.
    others: &'a [HourReport],
    /// Thresholds by hour since the origin, as they were in force.
    pub in_force: Vec<(u32, Thresholds)>,
    /// Whether sums over parts are what one engine of all series reports: no report was so large
    /// that it folds.
    pub is_exact: bool,
}

/// Thresholds that are known.
#[derive(Clone, Debug)]
pub struct Known<'a>(pub &'a [(u32, Thresholds)]);

/// Which series run, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub kept: &'a KeptRates,
    pub keep: &'a SeriesSet,
    pub settings: &'a DetectSettings,
    pub origin: Minute,
    pub has_scores: bool,
}

/// A part that ran to its end.
#[derive(Clone, Debug)]
pub struct PartEnd {
    pub insights: Vec<InsightEvent>,
    /// Reports that nobody had asked for.
    pub reports: Vec<(u32, HourReport)>,
}

/// Looks at an engine and at what it said after each record.
pub type Look<'a> = &'a mut dyn FnMut(&Engine, &Output) -> ControlFlow<()>;

impl Constant {
    /// Starts of the series of a scope need its entry of `z`.
    pub fn new(z: &[f64]) -> Self {
        Constant {
            thresholds: Thresholds::fixed(z),
            reports: Vec::new(),
        }
    }
}

impl ThresholdSource for Constant {
    fn in_force(&mut self, _hour: u32, reports: Vec<(u32, HourReport)>) -> Thresholds {
        self.reports.extend(reports);
        self.thresholds.clone()
    }
}

impl<'a> Fitted<'a> {
    pub fn new(settings: &DetectSettings, others: &'a [HourReport]) -> Self {
        Fitted {
            fleet: Fleet::new(settings),
            others,
            in_force: Vec::new(),
            is_exact: true,
        }
    }
}

impl ThresholdSource for Fitted<'_> {
    fn in_force(&mut self, hour: u32, reports: Vec<(u32, HourReport)>) -> Thresholds {
        for (hour, mut report) in reports {
            if let Some(others) = self.others.get(hour as usize) {
                report += others;
                self.is_exact &= report.cells.len() < CELLS_MAX;
            }
            self.fleet.report(hour, &report);
        }
        let thresholds = self.fleet.thresholds_for(hour);
        self.in_force.push((hour, thresholds.clone()));
        thresholds
    }
}

impl ThresholdSource for Known<'_> {
    fn in_force(&mut self, hour: u32, _reports: Vec<(u32, HourReport)>) -> Thresholds {
        let known = self.0.iter().rev().find(|(other, _)| *other <= hour);
        let (_, thresholds) = known.or(self.0.first()).expect("a run has thresholds");
        thresholds.clone()
    }
}

impl Part<'_> {
    /// Runs the part to the end of the recording, or until `look` breaks.
    pub fn run(&self, thresholds: &mut dyn ThresholdSource, look: Look<'_>) -> PartEnd {
        let mut engine = self.engine();
        let mut output = Output {
            scores: self.has_scores.then(Vec::new),
            ..Output::default()
        };
        let mut insights = Vec::new();
        self.kept.read(self.keep, &mut |record| {
            apply(&mut engine, record, thresholds, &mut output);
            let looked = look(&engine, &output);
            insights.append(&mut output.insights);
            if let Some(scores) = &mut output.scores {
                scores.clear();
            }
            looked
        });
        let origin = self.origin.hour();
        let reports = engine.take_reports().into_iter();
        PartEnd {
            insights,
            reports: reports
                .map(|(hour, report)| (hour - origin, report))
                .collect(),
        }
    }

    /// An engine that has seen nothing yet.
    pub fn engine(&self) -> Engine {
        let mut engine = Engine::new(DetectSettings {
            fleet: FleetScope::Part,
            ..self.settings.clone()
        });
        engine.set_origin(self.origin);
        engine
    }
}

/// Applies a record and tells the engine what it needs to know on its way.
pub fn apply(
    engine: &mut Engine,
    record: &LogRecord,
    thresholds: &mut dyn ThresholdSource,
    output: &mut Output,
) {
    let mut need = engine.apply(record, output);
    while let Some(Need::Threshold { hour }) = need {
        let origin = engine.stats().origin.map_or(0, Minute::hour);
        let reports = engine.take_reports().into_iter();
        let reports = reports.map(|(hour, report)| (hour - origin, report));
        let in_force = thresholds.in_force(hour - origin, reports.collect());
        engine.know_thresholds(hour, in_force);
        need = engine.resume(output);
    }
    assert!(need.is_none(), "a part was told its origin: {need:?}");
}

/// The origin of the engine that reads `kept` whole; `None` when no minute with a count closes.
pub fn origin_of(kept: &KeptRates, settings: &DetectSettings) -> Option<Minute> {
    let mut engine = Engine::new(DetectSettings {
        fleet: FleetScope::Part,
        ..settings.clone()
    });
    let mut origin = None;
    kept.read(&SeriesSet::all(kept), &mut |record| {
        if let Some(Need::Origin { first }) = engine.apply(record, &mut Output::default()) {
            origin = Some(Minute(first.0 - first.0 % Minute::PER_HOUR));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    origin
}
