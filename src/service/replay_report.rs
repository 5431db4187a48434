//! The report of a replay: its insights over time, drawn by a second, small run.
//!
//! The replay itself goes on as without a report: beside detection its insights are noted and its
//! rates kept. Afterwards only the series that had insights run once more.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::charts::{ChartRun, Drawn};
use super::{Recorded, Sweep};
use crate::config::Settings;
use crate::detect::EngineStats;
use crate::model::{EventTime, InsightEvent, Minute};
use crate::tuning::TooMuch;
use crate::tuning::assess::{Assessment, weeks};
use crate::tuning::sweep::{SettingRun, WARM_UP_HOURS, fixed_z};
use crate::tuning::timeline::{BudgetView, Fact, TimelineInsight, TimelineReport};
use crate::tuning::timeline_insight::timeline_insight;
use crate::view::{ExplainedPair, InsightPairs, RecordSums};

/// What a replay left to report.
pub struct ReplayReport<'a> {
    pub settings: &'a Settings,
    pub pairs: &'a InsightPairs,
    /// What there is to draw from; `None` where it went on from a state, which holds no rates.
    pub recorded: Option<Result<Option<Recorded>, TooMuch>>,
    /// Whether anybody wants charts.
    pub wants_charts: bool,
    pub sums: RecordSums,
    pub files: u64,
    pub span: Option<(EventTime, EventTime)>,
    pub stats: EngineStats,
    /// Insights decided before are left out.
    pub from: Option<Minute>,
    pub threads: usize,
    pub stop: Arc<AtomicBool>,
}

impl ReplayReport<'_> {
    /// The report; `None` when it was stopped.
    pub fn report(self) -> Option<TimelineReport> {
        let from = self.from.unwrap_or_default();
        let pairs = self.pairs.pairs().iter();
        let pairs: Vec<&ExplainedPair> =
            pairs.filter(|pair| pair.start.decided_at >= from).collect();
        let mut insights: Vec<TimelineInsight> =
            pairs.iter().map(|pair| timeline_insight(pair)).collect();
        let mut notes = self.notes();
        if self.wants_charts {
            self.draw(&pairs, &mut insights, &mut notes)?;
        }
        let (first, last) = self.span.unwrap_or_default();
        let end = self.stats.closed.map_or(last, Minute::start).max(last);
        let warm_up = |origin: Minute| Minute(origin.0 + 7 * Minute::PER_DAY);
        Some(TimelineReport {
            title: "insightd replay".to_string(),
            engine_version: env!("CARGO_PKG_VERSION").to_string(),
            facts: self.facts(),
            first: first.seconds(),
            last: end.seconds(),
            warm_up_end: self
                .stats
                .origin
                .map(|origin| warm_up(origin).start().seconds()),
            budget: self.budget(),
            notes,
            insights,
        })
    }

    fn facts(&self) -> Vec<Fact> {
        let fact = |name: &str, value: String| Fact {
            name: name.to_string(),
            value,
        };
        let threshold = fixed_z(&self.settings.detect)
            .map(|z| format!("{z:.2} decades, fixed"))
            .or_else(|| {
                let threshold = self.stats.threshold?;
                Some(format!("{:.2} decades at the end", threshold.z))
            });
        let mut facts = vec![
            fact("files", self.files.to_string()),
            fact("records", self.sums.records.to_string()),
            fact("counted", self.sums.counted.to_string()),
            fact("series", self.stats.series.to_string()),
            fact("open at the end", self.stats.incidents_open.to_string()),
        ];
        facts.extend(threshold.map(|threshold| fact("threshold", threshold)));
        facts.push(fact("settings", self.settings.hash.clone()));
        facts
    }

    /// What was asked for and made since insights could start; `None` where the threshold is fixed
    /// or there was no such time.
    fn budget(&self) -> Option<BudgetView> {
        let detect = &self.settings.detect;
        let (origin, closed) = (self.stats.origin?, self.stats.closed?);
        let warm = Minute(origin.0 + WARM_UP_HOURS * Minute::PER_HOUR);
        let from = self.from.unwrap_or_default().max(warm);
        if fixed_z(detect).is_some() || from >= closed {
            return None;
        }
        let run = SettingRun {
            insights: events(self.pairs.pairs()),
            ..SettingRun::default()
        };
        let assessment = Assessment {
            run: &run,
            scored: from..closed,
            labels: &[],
            budget_per_week: Some(detect.budget_in_all()),
            stories: self.settings.stories,
            mutes: &[],
        };
        let made = assessment.assess().view;
        Some(BudgetView {
            requested_per_week: detect.budget_in_all(),
            spent_per_week: made.insights_per_week,
            spent_per_week_90: made.insights_per_week_90,
            weeks: weeks(&(from..closed)),
        })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        notes.extend(self.sums.hint().map(str::to_string));
        let left_out = self.pairs.left_out();
        if left_out > 0 {
            notes.push(format!(
                "{left_out} insights after the first {} are neither listed nor counted here: \
                 limits.report_insights_max",
                self.pairs.pairs().len()
            ));
        }
        if let (Some(origin), Some(closed)) = (self.stats.origin, self.stats.closed)
            && closed.0 < origin.0 + WARM_UP_HOURS * Minute::PER_HOUR
        {
            notes.push(format!(
                "the input is too short: nothing starts in the first {WARM_UP_HOURS} hours"
            ));
        }
        notes
    }

    /// Draws as many insights as may be; `None` when it was stopped.
    fn draw(
        &self,
        pairs: &[&ExplainedPair],
        views: &mut [TimelineInsight],
        notes: &mut Vec<String>,
    ) -> Option<()> {
        let recorded = match &self.recorded {
            None => {
                notes.push(
                    "no charts: the replay went on from a state, and the rates before it are not \
                     in this input"
                        .to_string(),
                );
                return Some(());
            }
            Some(Err(too_much)) => {
                notes.push(format!("no charts: {too_much}"));
                return Some(());
            }
            Some(Ok(None)) => return Some(()),
            Some(Ok(Some(recorded))) => recorded,
        };
        let places = strongest(pairs, self.settings.report_charts_max);
        let left_out = pairs.len() - places.len();
        let mut chosen: Vec<&mut TimelineInsight> = Vec::new();
        for (place, view) in views.iter_mut().enumerate() {
            if places.binary_search(&place).is_ok() {
                chosen.push(view);
            }
        }
        let pairs: Vec<&ExplainedPair> = places.iter().map(|place| pairs[*place]).collect();
        let run = ChartRun {
            sweep: Sweep {
                kept: &recorded.kept,
                threads: self.threads,
                stop: self.stop.clone(),
            },
            detect: &self.settings.detect,
            run: &recorded.run,
            origin: recorded.origin,
            input: recorded.origin..recorded.closed,
        };
        let drawn = run.draw(&pairs, &mut chosen)?;
        notes.extend(why_not_drawn(left_out, &drawn));
        Some(())
    }
}

/// Why insights have no charts, in a line each.
pub(super) fn why_not_drawn(left_out: usize, drawn: &Drawn) -> Vec<String> {
    let mut notes = Vec::new();
    if left_out > 0 {
        notes.push(format!(
            "{left_out} insights have no charts: limits.report_charts_max; those that exceed their \
             threshold most have"
        ));
    }
    if drawn.failed > 0 {
        notes.push(format!(
            "{} insights have no charts: their series, run apart from the others, do not repeat \
             them, as happens where limits.series_max refuses series",
            drawn.failed
        ));
    }
    notes
}

/// Places of the `most` pairs whose score exceeds their threshold most, in ascending order.
pub(super) fn strongest(pairs: &[&ExplainedPair], most: u64) -> Vec<usize> {
    let excess = |place: &usize| {
        let why = &pairs[*place].start.explanation;
        why.z - why.z_threshold
    };
    let mut places: Vec<usize> = (0..pairs.len()).collect();
    places.sort_by(|a, b| excess(b).total_cmp(&excess(a)).then(a.cmp(b)));
    places.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    places.sort_unstable();
    places
}

/// All events of pairs, in the order in which they were decided.
fn events(pairs: &[ExplainedPair]) -> Vec<InsightEvent> {
    let both = |pair: &ExplainedPair| [Some(pair.start.clone()), pair.end.clone()];
    let mut events: Vec<InsightEvent> = pairs.iter().flat_map(both).flatten().collect();
    events.sort_by(|a, b| {
        let key = |event: &InsightEvent| (event.decided_at, event.edge);
        key(a).cmp(&key(b)).then_with(|| a.series.cmp(&b.series))
    });
    events
}
