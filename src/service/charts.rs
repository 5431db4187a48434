//! Draws insights: their series run once more, with all processors, as parts of the fleet.
//!
//! The run says the same as the one that made the insights, which is checked: an insight that it
//! does not repeat is not drawn.

use std::collections::HashSet;
use std::ops::Range;

use super::Sweep;
use crate::detect::DetectSettings;
use crate::model::{Edge, Minute};
use crate::tuning::SeriesSet;
use crate::tuning::chart::Charts;
use crate::tuning::close_look::{Question, look_closely};
use crate::tuning::part_run::Part;
use crate::tuning::sweep::SettingRun;
use crate::tuning::timeline::TimelineInsight;
use crate::view::ExplainedPair;

/// What made the insights.
pub struct ChartRun<'a> {
    pub sweep: Sweep<'a>,
    pub detect: &'a DetectSettings,
    pub run: &'a SettingRun,
    pub origin: Minute,
    /// The minutes that there is something to show of.
    pub input: Range<Minute>,
}

/// How many insights were drawn of those that should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    pub drawn: usize,
    /// Not repeated by the run that draws.
    pub failed: usize,
}

/// The place of an insight among those asked for, and its charts if it was said again.
type Answer = (usize, Option<Charts>);

impl ChartRun<'_> {
    /// Puts charts into the insights of these pairs; `None` when it was stopped.
    pub fn draw(
        &self,
        pairs: &[&ExplainedPair],
        views: &mut [&mut TimelineInsight],
    ) -> Option<Drawn> {
        let kept = self.sweep.kept;
        let mut series = SeriesSet::none(kept);
        let numbers = pairs.iter().map(|pair| {
            let number = kept.find(pair.start.series.as_ref());
            number.expect("an insight is of a series that was kept")
        });
        let numbers: Vec<u32> = numbers.collect();
        numbers.iter().for_each(|number| series.insert(*number));
        let parts = series.split(self.sweep.threads);
        let answers = self.sweep.in_threads(&parts, &|keep| {
            let of_part = (0..pairs.len()).filter(|place| keep.holds(numbers[*place]));
            self.look(keep, &of_part.collect::<Vec<_>>(), pairs, &numbers)
        })?;
        let mut drawn = Drawn::default();
        for (place, charts) in answers.into_iter().flatten() {
            let Some(charts) = charts else {
                drawn.failed += 1;
                continue;
            };
            drawn.drawn += 1;
            views[place].coarse = Some(charts.coarse.view());
            views[place].fine = Some(charts.fine.view());
        }
        Some(drawn)
    }

    /// Runs the series of one part.
    fn look(
        &self,
        keep: &SeriesSet,
        places: &[usize],
        pairs: &[&ExplainedPair],
        numbers: &[u32],
    ) -> Vec<Answer> {
        let bucket = self.detect.bucket_minutes;
        let around = |place: &usize| {
            let onset = pairs[*place].start.minute;
            Charts::around(onset, &self.input, bucket)
        };
        let mut charts: Vec<Charts> = places.iter().map(around).collect();
        let questions: Vec<Question> = places
            .iter()
            .zip(&charts)
            .map(|(place, charts)| Question {
                series: numbers[*place],
                span: charts.span(),
                with_reasons: None,
            })
            .collect();
        let part = Part {
            kept: self.sweep.kept,
            keep,
            settings: self.detect,
            origin: self.origin,
            has_scores: false,
        };
        let thresholds = &mut self.run.thresholds();
        let insights = look_closely(&part, thresholds, &questions, &mut |place, judgement| {
            charts[place].add(judgement);
        });
        let starts = insights.iter().filter(|event| event.edge == Edge::Start);
        let said: HashSet<_> = starts.map(|event| event.shared_event_id).collect();
        let answers = places.iter().zip(charts);
        answers
            .map(|(place, charts)| {
                let is_said = said.contains(&pairs[*place].start.shared_event_id);
                (*place, is_said.then_some(charts))
            })
            .collect()
    }
}
