//! `diff`: two settings over the same recording, and why they differ.

mod timeline;

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::Ordering;

use super::tune::{Recording, TuneSetting, record};
use super::{ReplayJob, ReplayProgress, ServiceError, Sweep};
use crate::model::{EventTime, Minute, Mute, ScoreRow, SeriesKey};
use crate::source::FileLoss;
use crate::tuning::SeriesSet;
use crate::tuning::diff::{
    DiffReport, DiffSide, Difference, DifferenceView, Mark, WhyNot, differences, pairs,
};
use crate::tuning::part_run::Part;
use crate::tuning::sweep::SettingRun;
use crate::tuning::timeline::TimelineReport;

/// Two settings to compare.
pub struct DiffJob {
    pub replay: ReplayJob,
    pub first: TuneSetting,
    pub second: TuneSetting,
    /// Insights decided before this time are left out.
    pub from: Option<EventTime>,
    /// Whether anybody wants the differences drawn.
    pub wants_charts: bool,
}

/// What two settings differ in.
#[derive(Clone, Debug, Default)]
pub struct Differing {
    pub report: DiffReport,
    /// The same over time; empty where nobody wants it.
    pub timeline: TimelineReport,
}

/// One side with what it did.
struct Side<'a> {
    setting: &'a TuneSetting,
    recording: &'a Recording,
    run: SettingRun,
    origin: Minute,
}

/// Rows of scores by series.
type Rows = BTreeMap<SeriesKey, Vec<ScoreRow>>;

impl DiffJob {
    /// How often the input has to be read.
    pub fn recordings(&self) -> usize {
        let [first, second] = [&self.first, &self.second].map(|one| one.settings.counting_keys());
        if first == second { 1 } else { 2 }
    }

    /// Compares, with what could not be read; `None` when it was stopped.
    pub fn run(
        &self,
        watch: &mut dyn FnMut(&ReplayProgress),
    ) -> Result<Option<(Differing, Vec<FileLoss>)>, ServiceError> {
        let first = record(self.replay.clone(), &self.first.settings, watch)?;
        let second = match self.recordings() {
            1 => None,
            _ => Some(record(self.replay.clone(), &self.second.settings, watch)?),
        };
        if self.replay.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let losses = first.account.losses.clone();
        let differing = self.compare(&first, second.as_ref().unwrap_or(&first));
        Ok(differing.map(|differing| (differing, losses)))
    }

    fn compare(&self, first: &Recording, second: &Recording) -> Option<Differing> {
        let mut report = DiffReport {
            engine_version: env!("CARGO_PKG_VERSION").to_string(),
            first: side_view(&self.first, first),
            second: side_view(&self.second, second),
            ..DiffReport::default()
        };
        let first = self.side(&self.first, first)?;
        let second = self.side(&self.second, second)?;
        let (same, mut found) = differences(&first.run.insights, &second.run.insights);
        let from = self.from.map_or(Minute(0), EventTime::minute);
        found.retain(|one| one.pair().start.decided_at >= from);
        report.same = same;
        report.first.insights = pairs(&first.run.insights).len() as u64;
        report.second.insights = pairs(&second.run.insights).len() as u64;
        let first_rows = self.rows(&first, &found, Mark::Gained)?;
        let second_rows = self.rows(&second, &found, Mark::Lost)?;
        let view = |one: &Difference| -> DifferenceView {
            let reason = match one.mark {
                Mark::Gained => first.why_not(one, &first_rows),
                Mark::Lost => second.why_not(one, &second_rows),
                Mark::Moved => one.moves(),
            };
            one.view(reason)
        };
        report.differences = found.iter().map(view).collect();
        let timeline = match self.wants_charts {
            true => self.timeline([&first, &second], &found, &report)?,
            false => TimelineReport::default(),
        };
        Some(Differing { report, timeline })
    }

    fn sweep<'a>(&self, recording: &'a Recording) -> Sweep<'a> {
        Sweep {
            kept: &recording.kept,
            threads: self.replay.threads,
            stop: self.replay.stop.clone(),
        }
    }

    /// `None` when stopped.
    fn side<'a>(&self, setting: &'a TuneSetting, recording: &'a Recording) -> Option<Side<'a>> {
        let detect = [setting.settings.detect.clone()];
        let mut swept = self.sweep(recording).run(&detect, &|_| {})?;
        let mut run = match swept.origin {
            Some(_) => swept.runs.remove(0),
            None => SettingRun::default(),
        };
        let mutes = Mute::all(&self.replay.knowledge);
        run.insights
            .retain(|event| !mutes.iter().any(|mute| mute.hides(event)));
        Some(Side {
            setting,
            recording,
            run,
            origin: swept.origin.unwrap_or_default(),
        })
    }

    /// What `side` thought around the insights that it does not have; `None` when stopped.
    fn rows(&self, side: &Side<'_>, found: &[Difference], mark: Mark) -> Option<Rows> {
        let mut asked: BTreeMap<SeriesKey, Vec<Range<Minute>>> = BTreeMap::new();
        for one in found.iter().filter(|one| one.mark == mark) {
            let series = one.pair().start.series.clone();
            asked.entry(series).or_default().push(one.asked());
        }
        let kept = &side.recording.kept;
        let mut series = SeriesSet::none(kept);
        let known = asked.keys().filter_map(|key| kept.find(key.as_ref()));
        known.for_each(|number| series.insert(number));
        let parts = series.split(self.replay.threads);
        let rows = self.sweep(side.recording).in_threads(&parts, &|keep| {
            let part = Part {
                kept,
                keep,
                settings: &side.setting.settings.detect,
                origin: side.origin,
                has_scores: true,
            };
            let mut rows = Rows::new();
            part.run(&mut side.run.thresholds(), &mut |_, output| {
                for row in output.scores.iter().flatten() {
                    let ranges = asked.get(&row.key).into_iter().flatten();
                    if ranges.into_iter().any(|range| range.contains(&row.minute)) {
                        let of_series = rows.entry((*row.key).clone()).or_default();
                        of_series.push(row.clone());
                    }
                }
                ControlFlow::Continue(())
            });
            rows
        })?;
        Some(rows.into_iter().flatten().collect())
    }
}

impl Side<'_> {
    fn why_not(&self, one: &Difference, rows: &Rows) -> String {
        let start = &one.pair().start;
        let asked = one.asked();
        let of_series = rows.get(&start.series).into_iter().flatten();
        let around: Vec<ScoreRow> = of_series
            .filter(|row| asked.contains(&row.minute))
            .cloned()
            .collect();
        let why_not = WhyNot {
            name: &self.setting.name,
            has_series: self.recording.kept.find(start.series.as_ref()).is_some(),
            rows: &around,
            run: &self.run,
            origin: self.origin,
        };
        why_not.reason(start)
    }
}

fn side_view(setting: &TuneSetting, recording: &Recording) -> DiffSide {
    DiffSide {
        name: setting.name.clone(),
        settings_hash: setting.settings.hash.clone(),
        insights: 0,
        series: recording.kept.series().len() as u64,
    }
}
