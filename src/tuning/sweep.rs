//! Many settings over the same rates, sharing what does not depend on them.
//!
//! Settings that differ in their threshold only differ in the series that start an incident under
//! one of them. A *survey* at the lowest threshold that can be in force finds those, the loud ones;
//! the others, the quiet ones, are in the same state under all of these settings, and what they
//! report to the fleet is counted once. Each setting then runs over the loud ones alone. What comes
//! out is what a run of all series gives, to the byte; where the lowest threshold was guessed too
//! high, or there are more series than are tracked, the setting runs over all.

use std::ops::ControlFlow;

use super::part_run::{Constant, Fitted, Known, Part};
use super::{KeptRates, SeriesSet};
use crate::detect::fleet::{HourReport, Threshold};
use crate::detect::settings::Tuning;
use crate::detect::{DetectSettings, Engine};
use crate::model::{Edge, InsightEvent, Minute, SHARDS};

/// Hours of the origin in which nothing starts.
pub const WARM_UP_HOURS: u32 = 48;
/// How far below the nominal threshold a fit may lead, and a little more.
const BELOW_NOMINAL: f64 = 0.55;
/// A survey is narrowed for settings whose threshold is at least this much higher.
const NARROWER: f64 = 0.7;

/// What settings share that differ in their threshold only.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Threshold, in decades, below which none of the settings is expected to go.
    pub bound: f64,
    /// Series that start an incident at that threshold.
    pub loud: SeriesSet,
    /// By hour since the origin, what the other series report.
    pub quiet: Vec<HourReport>,
}

/// What one setting did.
#[derive(Clone, Debug, Default)]
pub struct SettingRun {
    /// In the order (decided at, series key, End before Start).
    pub insights: Vec<InsightEvent>,
    /// Thresholds by hour since the origin, first where one is asked for; one entry for hour 0
    /// where the threshold is fixed.
    pub in_force: Vec<(u32, Threshold)>,
}

impl Survey {
    /// Before any survey: every series may be loud.
    pub fn unknown(kept: &KeptRates) -> Self {
        Survey {
            bound: f64::NEG_INFINITY,
            loud: SeriesSet::all(kept),
            quiet: Vec::new(),
        }
    }

    /// Whether it is worth while to narrow it for settings from `bound` on.
    pub fn is_wide_for(&self, bound: f64) -> bool {
        bound >= self.bound + NARROWER && !self.loud.is_empty()
    }

    /// Adds the reports of series.
    pub fn add(&mut self, reports: &[(u32, HourReport)]) {
        for (hour, report) in reports {
            let hour = *hour as usize;
            if self.quiet.len() <= hour {
                self.quiet.resize_with(hour + 1, HourReport::default);
            }
            self.quiet[hour] += report;
        }
    }

    /// Takes away the reports of some of the series whose reports were added.
    pub fn take_away(&mut self, reports: &[(u32, HourReport)]) {
        for (hour, report) in reports {
            self.quiet[*hour as usize] -= report;
        }
    }
}

/// The settings as far as a survey depends on them: equal for settings that can share one.
pub fn without_threshold(settings: &DetectSettings) -> DetectSettings {
    DetectSettings {
        budget_per_week: 1.0,
        fixed_z: None,
        ..settings.clone()
    }
}

/// The threshold that is fixed by hand or by the profile.
pub fn fixed_z(settings: &DetectSettings) -> Option<f64> {
    Tuning::new(settings).fixed_z
}

/// Whether there may be more series than detection tracks: which of them it refuses depends on all.
pub fn may_refuse(kept: &KeptRates, settings: &DetectSettings) -> bool {
    let mut of_shard = vec![0; SHARDS as usize];
    for series in kept.series() {
        of_shard[series.key.as_ref().shard() as usize] += 1;
    }
    of_shard
        .into_iter()
        .any(|count| count > settings.shard_series_max())
}

/// A threshold, in decades, that is expected not to be gone below while at least `live_series`
/// series are live.
pub fn bound(settings: &DetectSettings, live_series: u64) -> f64 {
    fixed_z(settings).unwrap_or_else(|| {
        let nominal = 168.0 * live_series.max(1) as f64 / settings.budget_per_week;
        libm::log10(nominal) - BELOW_NOMINAL
    })
}

/// Series with a count in the first two days, which are live when incidents may first start.
pub fn live_after_warm_up(kept: &KeptRates, origin: Minute) -> u64 {
    let end = Minute(origin.0 + WARM_UP_HOURS * Minute::PER_HOUR);
    let mut live = SeriesSet::none(kept);
    let all = SeriesSet::all(kept);
    kept.counts(&all, &mut |series, minute, count| {
        if minute < end && count > 0 {
            live.insert(series);
        }
    });
    live.len() as u64
}

/// The series of a part that start an incident at `bound`, and what all of its series report there.
pub fn reports_at(part: &Part<'_>, bound: f64) -> (SeriesSet, Vec<(u32, HourReport)>) {
    let mut constant = Constant::new(bound);
    let end = part.run(&mut constant, &mut |_, _| ControlFlow::Continue(()));
    let mut loud = SeriesSet::none(part.kept);
    for event in &end.insights {
        let series = part.kept.find(event.series.as_ref());
        loud.insert(series.expect("an insight is of a series that was kept"));
    }
    let reports = constant.reports.into_iter().chain(end.reports);
    (loud, reports.collect())
}

/// Runs one setting over the loud series of a survey; `None` where its threshold went below the
/// survey's bound, so that a quiet series might have started an incident.
pub fn run_setting(part: &Part<'_>, survey: &Survey) -> Option<SettingRun> {
    let look = &mut |_: &Engine, _: &_| ControlFlow::Continue(());
    if let Some(z) = fixed_z(part.settings) {
        let mut constant = Constant::new(z);
        let end = part.run(&mut constant, look);
        return (z >= survey.bound).then(|| SettingRun {
            insights: end.insights,
            in_force: vec![(0, constant.threshold)],
        });
    }
    let mut fitted = Fitted::new(part.settings, &survey.quiet);
    let end = part.run(&mut fitted, look);
    let mut in_force = fitted.in_force.iter();
    let is_above =
        in_force.all(|(hour, threshold)| *hour < WARM_UP_HOURS || threshold.z >= survey.bound);
    is_above.then_some(SettingRun {
        insights: end.insights,
        in_force: fitted.in_force,
    })
}

impl SettingRun {
    /// The Starts, in the order in which they were decided.
    pub fn starts(&self) -> impl Iterator<Item = &InsightEvent> {
        self.insights
            .iter()
            .filter(|event| event.edge == Edge::Start)
    }

    /// The thresholds of this run, for others of its series to run again.
    pub fn thresholds(&self) -> Known<'_> {
        Known(&self.in_force)
    }

    /// The threshold in force at `minute`.
    pub fn threshold_at(&self, origin: Minute, minute: Minute) -> Option<Threshold> {
        let hour = minute.hour().checked_sub(origin.hour())?;
        let before = self.in_force.iter().rev();
        let mut before = before.skip_while(|(other, _)| *other > hour);
        before.next().map(|(_, threshold)| *threshold)
    }
}
