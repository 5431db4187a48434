//! The differences of two settings over time, each drawn as the side sees it that has it.

use std::collections::HashSet;

use super::super::charts::{ChartRun, Drawn};
use super::super::replay_report::{strongest, why_not_drawn};
use super::{DiffJob, Side};
use crate::model::Minute;
use crate::tuning::diff::{DiffReport, DiffSide, Difference, Mark};
use crate::tuning::timeline::{Fact, MarkView, TimelineInsight, TimelineReport};
use crate::tuning::timeline_insight::timeline_insight;
use crate::view::{ExplainedPair, InsightPairs};

impl DiffJob {
    /// The differences of `report`, which are `found`, as insights over time; `None` when stopped.
    pub(super) fn timeline(
        &self,
        [first, second]: [&Side<'_>; 2],
        found: &[Difference],
        report: &DiffReport,
    ) -> Option<TimelineReport> {
        let settings = &self.second.settings;
        let listed = found.len().min(settings.report_insights_max as usize);
        let found = &found[..listed];
        let pairs = [first, second].map(all_pairs);
        let side_of = |one: &Difference| usize::from(one.mark != Mark::Lost);
        let pair_of = |one: &Difference| -> &ExplainedPair {
            let pair = pairs[side_of(one)].find(one.pair().start.shared_event_id);
            pair.expect("a difference is of an insight of its side")
        };
        let told: Vec<&ExplainedPair> = found.iter().map(pair_of).collect();
        let mut insights = self.marked(found, &told, report);
        let places = strongest(&told, settings.report_charts_max);
        let mut drawn = Drawn::default();
        for (number, side) in [first, second].into_iter().enumerate() {
            let of_side = |place: &usize| side_of(&found[*place]) == number;
            let places: Vec<usize> = places.iter().copied().filter(of_side).collect();
            let of_side = self.draw(side, &places, &told, &mut insights)?;
            drawn.drawn += of_side.drawn;
            drawn.failed += of_side.failed;
        }
        let mut notes = why_not_drawn(told.len() - places.len(), &drawn);
        let left_out = report.differences.len() - listed;
        if left_out > 0 {
            notes.push(format!(
                "{left_out} differences after the first {listed} are not listed: \
                 limits.report_insights_max"
            ));
        }
        let span = second.recording.account.span.unwrap_or_default();
        let origin = [first, second].map(|side| side.origin).into_iter().max();
        let warm = origin.filter(|origin| *origin > Minute(0));
        let warm = warm.map(|origin| Minute(origin.0 + 7 * Minute::PER_DAY));
        Some(TimelineReport {
            title: format!(
                "insightd diff: {} and {}",
                report.first.name, report.second.name
            ),
            engine_version: report.engine_version.clone(),
            facts: facts(report),
            first: span.0.seconds(),
            last: span.1.seconds(),
            warm_up_end: warm.map(|end| end.start().seconds()),
            budget: None,
            notes,
            insights,
        })
    }

    /// Insights with what became of them; one that both sides have twice gets a name of its own.
    fn marked(
        &self,
        found: &[Difference],
        told: &[&ExplainedPair],
        report: &DiffReport,
    ) -> Vec<TimelineInsight> {
        let mut names = HashSet::new();
        let differences = found.iter().zip(told).zip(&report.differences);
        differences
            .map(|((one, pair), view)| {
                let mut insight = timeline_insight(pair);
                insight.mark = Some(MarkView {
                    mark: one.mark,
                    reason: view.reason.clone(),
                });
                if !names.insert(insight.id.clone()) {
                    insight.id = format!("{}-{}", insight.id, one.mark.name());
                }
                insight
            })
            .collect()
    }

    /// Draws the insights of these places by what their side did; `None` when stopped.
    fn draw(
        &self,
        side: &Side<'_>,
        places: &[usize],
        told: &[&ExplainedPair],
        insights: &mut [TimelineInsight],
    ) -> Option<Drawn> {
        let span = side.recording.kept.span();
        let run = ChartRun {
            sweep: self.sweep(side.recording),
            detect: &side.setting.settings.detect,
            run: &side.run,
            origin: side.origin,
            input: side.origin..span.map_or(side.origin, |(_, end)| end),
        };
        let mut chosen: Vec<&mut TimelineInsight> = Vec::new();
        for (place, insight) in insights.iter_mut().enumerate() {
            if places.binary_search(&place).is_ok() {
                chosen.push(insight);
            }
        }
        let pairs: Vec<&ExplainedPair> = places.iter().map(|place| told[*place]).collect();
        run.draw(&pairs, &mut chosen)
    }
}

fn all_pairs(side: &Side<'_>) -> InsightPairs {
    let mut pairs = InsightPairs::new(u64::MAX);
    pairs.see(&side.run.insights);
    pairs
}

fn facts(report: &DiffReport) -> Vec<Fact> {
    let side = |side: &DiffSide| {
        format!(
            "{}: {} insights on {} series",
            side.name, side.insights, side.series
        )
    };
    let count = |mark: Mark| {
        let of_mark = report.differences.iter().filter(|one| one.mark == mark);
        of_mark.count().to_string()
    };
    let facts = [
        ("first", side(&report.first)),
        ("second", side(&report.second)),
        ("the same", report.same.to_string()),
        ("gained", count(Mark::Gained)),
        ("lost", count(Mark::Lost)),
        ("moved", count(Mark::Moved)),
    ];
    let fact = |(name, value): (&str, String)| Fact {
        name: name.to_string(),
        value,
    };
    facts.into_iter().map(fact).collect()
}
