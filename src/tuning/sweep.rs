//! Many settings over the same rates, sharing what does not depend on them.
//!
//! Settings that differ in their threshold only differ in the series that start an incident under
//! one of them. A *survey* at the lowest threshold that can be in force finds those, the loud ones;
//! the others, the quiet ones, are in the same state under all of these settings, and what they
//! report to the fleet is counted once. Each setting then runs over the loud ones alone. What comes
//! out is what a run of all series gives, to the byte; where the lowest threshold was guessed too
//! high, or there are more series than are tracked, the setting runs over all.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::part_run::{Constant, Fitted, Known, Part};
use super::{KeptRates, SeriesSet};
use crate::detect::budget::{Place, RATE_STRATA, STRATA, ScopedBudget};
use crate::detect::fleet::{CELLS_MAX, HourReport, Threshold, Thresholds};
use crate::detect::settings::Tuning;
use crate::detect::{DetectSettings, Engine};
use crate::model::{
    Direction, Edge, IncidentKind, InsightEvent, LogRecord, Minute, SHARDS, SeriesRef,
};

/// Hours of the origin in which nothing starts.
pub const WARM_UP_HOURS: u32 = 48;
/// How far below the nominal threshold a fit may lead, and a little more.
const BELOW_NOMINAL: f64 = 0.55;
/// A survey is narrowed for settings whose threshold is at least this much higher.
const NARROWER: f64 = 0.7;

/// What settings share that differ in their threshold only.
#[derive(Clone, Debug)]
pub struct Survey {
    /// By scope the threshold, in decades, below which none of the settings is expected to go.
    bounds: Vec<f64>,
    /// Series that start an incident at these thresholds.
    pub loud: SeriesSet,
    /// By hour since the origin, what the other series report.
    quiet: Vec<HourReport>,
    /// Whether every report was small enough to be a sum: a full one has folded.
    is_exact: bool,
}

/// What one setting did.
#[derive(Clone, Debug, Default)]
pub struct SettingRun {
    /// In the order (decided at, series key, End before Start).
    pub insights: Vec<InsightEvent>,
    /// Thresholds by hour since the origin, first where one is asked for; one entry for hour 0
    /// where the threshold is fixed.
    pub in_force: Vec<(u32, Thresholds)>,
    /// The scopes that these are of.
    pub scopes: Vec<ScopedBudget>,
}

impl Survey {
    /// Whether it tells loud series from quiet ones, which then need not run.
    pub fn is_narrow(&self) -> bool {
        !self.bounds.is_empty()
    }

    /// Thresholds fitted to what loud series will report and what the quiet ones did.
    pub fn fitted(&self, settings: &DetectSettings) -> Fitted<'_> {
        Fitted::new(settings, &self.quiet)
    }

    /// Before any survey: every series may be loud.
    pub fn unknown(kept: &KeptRates) -> Self {
        Survey {
            bounds: Vec::new(),
            loud: SeriesSet::all(kept),
            quiet: Vec::new(),
            is_exact: true,
        }
    }

    /// One at higher thresholds, that has to be told yet which series are loud at them.
    pub fn narrowed(&self, kept: &KeptRates, bounds: &[f64]) -> Self {
        Survey {
            bounds: bounds.to_vec(),
            loud: SeriesSet::none(kept),
            ..self.clone()
        }
    }

    /// Whether it may serve settings whose thresholds stay above `bounds`.
    pub fn is_below(&self, bounds: &[f64]) -> bool {
        self.raises(bounds).all(|raise| raise >= 0.0)
    }

    /// Whether it is worth while to narrow it for settings from `bounds` on.
    pub fn is_wide_for(&self, bounds: &[f64]) -> bool {
        !self.loud.is_empty() && self.raises(bounds).any(|raise| raise >= NARROWER)
    }

    /// By scope how much higher other bounds are.
    fn raises(&self, bounds: &[f64]) -> impl Iterator<Item = f64> {
        let own = |scope| self.bound(scope);
        let raises = bounds.iter().enumerate();
        raises.map(move |(scope, bound)| bound - own(scope))
    }

    fn bound(&self, scope: usize) -> f64 {
        self.bounds.get(scope).copied().unwrap_or(f64::NEG_INFINITY)
    }

    /// Whether thresholds of rates are nowhere below the bounds. In a survey all missed calls are
    /// told.
    fn holds(&self, thresholds: &Thresholds) -> bool {
        let mut of_scopes = thresholds.all().chunks(STRATA).enumerate();
        of_scopes.all(|(scope, of_scope)| {
            let mut of_rates = of_scope.iter().take(RATE_STRATA);
            of_rates.all(|threshold| threshold.z >= self.bound(scope))
        })
    }

    /// Adds the reports of series.
    pub fn add(&mut self, reports: &[(u32, HourReport)]) {
        for (hour, report) in reports {
            let hour = *hour as usize;
            if self.quiet.len() <= hour {
                self.quiet.resize_with(hour + 1, HourReport::default);
            }
            self.quiet[hour] += report;
            self.is_exact &= report.cells.len() < CELLS_MAX;
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
    let mut shared = DetectSettings {
        budget_per_week: 1.0,
        fixed_z: None,
        ..settings.clone()
    };
    for scope in &mut shared.budgets {
        scope.per_week = 1.0;
    }
    shared
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

/// By scope a threshold, in decades, that is expected not to be gone below while at least so many
/// series of it are live.
pub fn bounds(settings: &DetectSettings, live_series: &[u64]) -> Vec<f64> {
    let budgets = settings.budgets();
    let nominal = budgets.iter().zip(live_series).map(|(budget, live)| {
        let nominal = 168.0 * (*live).max(1) as f64 / budget;
        libm::log10(nominal) - BELOW_NOMINAL
    });
    match fixed_z(settings) {
        Some(z) => vec![z; budgets.len()],
        None => nominal.collect(),
    }
}

/// By scope the series with a count in the first two days, which are live when incidents may first
/// start; not those whose counts came later than these.
pub fn live_after_warm_up(kept: &KeptRates, settings: &DetectSettings, origin: Minute) -> Vec<u64> {
    let end = Minute(origin.0 + WARM_UP_HOURS * Minute::PER_HOUR);
    let mut live = HashSet::new();
    kept.read(&SeriesSet::all(kept), &mut |record| {
        match record {
            LogRecord::Rates(rates) => {
                let counted = rates.entries().iter();
                let counted = counted.filter(|entry| entry.minute < end && entry.count > 0);
                live.extend(counted.map(|entry| rates.fingerprint(entry.key)));
            }
            LogRecord::Progress(progress) if progress.watermark >= end.start() => {
                return ControlFlow::Break(());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let mut by_scope = vec![0; settings.budgets.len() + 1];
    let keys = kept.series().iter().map(|series| series.key.as_ref());
    for key in keys.filter(|key| live.contains(&key.fingerprint())) {
        let place = Place::new(key, &settings.budgets);
        by_scope[place.up.scope()] += 1;
        if place.down.scope() != place.up.scope() {
            by_scope[place.down.scope()] += 1;
        }
    }
    by_scope
}

/// The series of a part that start an incident at `bounds`, and what all of its series report then.
pub fn reports_at(part: &Part<'_>, bounds: &[f64]) -> (SeriesSet, Vec<(u32, HourReport)>) {
    let mut constant = Constant::new(bounds);
    let end = part.run(&mut constant, &mut |_, _| ControlFlow::Continue(()));
    let mut loud = SeriesSet::none(part.kept);
    for event in &end.insights {
        let series = part.kept.find(event.series.as_ref());
        loud.insert(series.expect("an insight is of a series that was kept"));
    }
    let reports = constant.reports.into_iter().chain(end.reports);
    (loud, reports.collect())
}

/// Runs one setting over the loud series of a survey; `None` where a threshold went below the
/// survey's bound, so that a quiet series might have started an incident, or where reports do not
/// add up to what one engine of all series says.
pub fn run_setting(part: &Part<'_>, survey: &Survey) -> Option<SettingRun> {
    let look = &mut |_: &Engine, _: &_| ControlFlow::Continue(());
    if let Some(z) = fixed_z(part.settings) {
        let scopes = part.settings.budgets.clone();
        let mut constant = Constant::new(&vec![z; scopes.len() + 1]);
        let end = part.run(&mut constant, look);
        return survey.holds(&constant.thresholds).then(|| SettingRun {
            insights: end.insights,
            in_force: vec![(0, constant.thresholds)],
            scopes,
        });
    }
    let mut fitted = survey.fitted(part.settings);
    let end = part.run(&mut fitted, look);
    run_of(part.settings, survey, fitted, end.insights)
}

/// A run of one setting over the loud series of a survey, in parts whose thresholds were `fitted`
/// to all of them; `None` as in [`run_setting`]. `insights` are those of the parts, in any order.
pub fn run_in_parts(
    settings: &DetectSettings,
    survey: &Survey,
    fitted: Fitted<'_>,
    mut insights: Vec<InsightEvent>,
) -> Option<SettingRun> {
    insights.sort_by(|a, b| {
        let times = a.decided_at.cmp(&b.decided_at);
        let series = times.then_with(|| a.series.cmp(&b.series));
        series.then_with(|| a.edge.cmp(&b.edge))
    });
    run_of(settings, survey, fitted, insights)
}

fn run_of(
    settings: &DetectSettings,
    survey: &Survey,
    fitted: Fitted<'_>,
    insights: Vec<InsightEvent>,
) -> Option<SettingRun> {
    let mut in_force = fitted.in_force.iter();
    let is_above =
        in_force.all(|(hour, thresholds)| *hour < WARM_UP_HOURS || survey.holds(thresholds));
    let is_exact = survey.is_exact && fitted.is_exact;
    (is_above && is_exact).then(|| SettingRun {
        insights,
        in_force: fitted.in_force,
        scopes: settings.budgets.clone(),
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

    /// The threshold in force at `minute` for incidents of a series.
    pub fn threshold_at(
        &self,
        origin: Minute,
        minute: Minute,
        series: SeriesRef<'_>,
        (kind, direction): (IncidentKind, Direction),
    ) -> Option<Threshold> {
        let hour = minute.hour().checked_sub(origin.hour())?;
        let before = self.in_force.iter().rev();
        let mut before = before.skip_while(|(other, _)| *other > hour);
        let (_, thresholds) = before.next()?;
        let class = Place::new(series, &self.scopes).class_of(kind, direction);
        thresholds.of(class).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A survey was of no use once missed calls, which are told from the lowest score on, had a
    /// threshold beside those of rates.
    #[test]
    fn a_survey_holds_for_what_is_above_its_bounds() {
        let survey = Survey {
            bounds: vec![3.0, 5.0],
            ..Survey::unknown(&KeptRates::new(1 << 20))
        };
        assert!(survey.holds(&Thresholds::fixed(&[3.0, 5.5])));
        assert!(!survey.holds(&Thresholds::fixed(&[2.9, 5.5])));
        assert!(!survey.holds(&Thresholds::fixed(&[3.0, 4.0])));
        assert!(Survey::unknown(&KeptRates::new(1 << 20)).holds(&Thresholds::fixed(&[0.1])));
    }
}
