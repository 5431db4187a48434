//! What is asked of the present settings beside their figures: rivals, smallest incidents, misses.

use std::ops::{ControlFlow, Range};

use super::planting::Planting;
use super::{Runs, TuneJob};
use crate::model::{Minute, ScoreRow};
use crate::tuning::SeriesSet;
use crate::tuning::assess::{Assessed, kinds, label_views, mean_detection, weeks};
use crate::tuning::part_run::Part;
use crate::tuning::report::{KindView, LabelView, RivalView, SmallestView};
use crate::tuning::rivals::{Ladder, Ratio};
use crate::tuning::scoring::{Label, LabelOutcome, by_kind};
use crate::tuning::smallest::{ASKED_BEFORE_END, smallest};

/// Busiest series, and those with the most insights, that are asked for their smallest incident.
const BUSIEST: usize = 15;
const SPENDERS: usize = 5;

/// Asks about the present settings.
pub struct Questions<'a> {
    job: &'a TuneJob,
    runs: &'a Runs,
    present: &'a Assessed,
}

impl<'a> Questions<'a> {
    pub fn new(job: &'a TuneJob, runs: &'a Runs, assessed: &'a [Assessed]) -> Self {
        Questions {
            job,
            runs,
            present: &assessed[0],
        }
    }

    /// What nothing, everything and a plain ratio would have found; `None` when stopped.
    pub fn rivals(&self, planting: &Planting, scored: &Range<Minute>) -> Option<Vec<RivalView>> {
        let nothing = RivalView {
            name: "do nothing".to_string(),
            about: "never says anything".to_string(),
            mean_detection: (!planting.is_empty()).then_some(0.0),
            recall: (!self.job.labels.is_empty()).then_some(0.0),
            ..RivalView::default()
        };
        let everything = RivalView {
            name: "always fire".to_string(),
            about: "one insight per series and hour".to_string(),
            alarms_per_week: 168.0 * self.runs.present().0.series().len() as f64,
            mean_detection: (!planting.is_empty()).then_some(1.0),
            recall: (!self.job.labels.is_empty()).then_some(1.0),
            ..RivalView::default()
        };
        Some(vec![nothing, everything, self.ratio(planting, scored)?])
    }

    /// The ratio at no more alarms than the present settings have.
    fn ratio(&self, planting: &Planting, scored: &Range<Minute>) -> Option<RivalView> {
        let (kept, _) = self.runs.present();
        let labels: Vec<(u32, Range<Minute>)> = self
            .job
            .labels
            .iter()
            .map(|label| {
                let series = kept.find(label.series.as_ref()).unwrap_or(u32::MAX);
                (series, label.hit_range())
            })
            .collect();
        let mut ratio = Ratio::new(self.runs.origin, scored.clone(), &labels);
        kept.counts(&SeriesSet::all(kept), &mut |series, minute, count| {
            ratio.see(series, minute, count);
        });
        let clean = ratio.finish();
        let alarms = self.present.view.insights;
        let step = clean.step_for(alarms);
        let layers: Vec<_> = planting.present_layers().collect();
        let sweep = self.job.sweep(kept);
        let ladders = sweep.in_threads(&layers, &|(labels, rates)| {
            let targets: Vec<(u32, Range<Minute>)> = labels
                .iter()
                .map(|label| {
                    let series = rates.find(label.series.as_ref()).unwrap_or(u32::MAX);
                    (series, label.hit_range())
                })
                .collect();
            let mut ratio = Ratio::new(self.runs.origin, scored.clone(), &targets);
            rates.counts(&SeriesSet::all(rates), &mut |series, minute, count| {
                ratio.see(series, minute, count);
            });
            ratio.finish()
        })?;
        let mut found = Vec::new();
        for ((labels, _), ladder) in layers.iter().zip(&ladders) {
            found.extend(outcomes_at(labels, ladder, step));
        }
        let of_kinds: Vec<KindView> = kinds(&by_kind(&found));
        let of_labels = outcomes_at(&self.job.labels, &clean, step);
        let hits = of_labels.iter().filter(|label| label.hit.is_some()).count();
        Some(RivalView {
            name: "7-day ratio".to_string(),
            about: format!(
                "five minutes against the mean of seven days, alarm at {:.1} times more or less",
                clean.ratio(step)
            ),
            alarms_per_week: clean.alarms[step] as f64 / weeks(scored),
            mean_detection: mean_detection(&of_kinds),
            kinds: of_kinds,
            recall: (!of_labels.is_empty()).then(|| hits as f64 / of_labels.len() as f64),
        })
    }

    /// What important series could still show; `None` when stopped.
    pub fn smallest(&self) -> Option<Vec<SmallestView>> {
        let (kept, run) = self.runs.present();
        let end = kept.span().map_or(Minute(0), |(_, end)| end);
        let series = self.important();
        let sweep = self.job.sweep(kept);
        sweep.in_threads(&series, &|number| {
            let part = Part {
                kept,
                keep: &self.runs.only(*number),
                settings: &self.job.settings[0].settings.detect,
                origin: self.runs.origin,
                has_scores: false,
            };
            let known = run.thresholds();
            let found = smallest(&part, &known, end);
            let mut view = SmallestView {
                series: kept.series()[*number as usize].key.to_string(),
                usual: self.usual(*number, end),
                asked: Minute(end.0.saturating_sub(ASKED_BEFORE_END)).to_string(),
                ..SmallestView::default()
            };
            match found {
                Some(found) if !found.is_busy => {
                    view.surge = found.surge;
                    view.stop_minutes = found.stop_minutes;
                }
                Some(_) => view.why_unknown = Some("an incident was near".to_string()),
                None => view.why_unknown = Some("the input is too short".to_string()),
            }
            view
        })
    }

    /// What became of the labels.
    pub fn labels(&self) -> Vec<LabelView> {
        let (kept, run) = self.runs.present();
        let mut series = SeriesSet::none(kept);
        let known = self.job.labels.iter();
        known
            .filter_map(|label| kept.find(label.series.as_ref()))
            .for_each(|number| series.insert(number));
        let part = Part {
            kept,
            keep: &series,
            settings: &self.job.settings[0].settings.detect,
            origin: self.runs.origin,
            has_scores: true,
        };
        let mut rows: Vec<ScoreRow> = Vec::new();
        if !series.is_empty() {
            let ranges: Vec<Range<Minute>> = self.job.labels.iter().map(Label::hit_range).collect();
            part.run(&mut run.thresholds(), &mut |_, output| {
                let scored = output.scores.iter().flatten();
                rows.extend(
                    scored
                        .filter(|row| ranges.iter().any(|range| range.contains(&row.minute)))
                        .cloned(),
                );
                ControlFlow::Continue(())
            });
        }
        label_views(&self.present.outcomes, &rows, run, self.runs.origin)
    }

    /// The busiest series and those with the most insights.
    fn important(&self) -> Vec<u32> {
        let (kept, _) = self.runs.present();
        let mut numbers: Vec<u32> = (0..kept.series().len() as u32).collect();
        numbers.sort_by_key(|number| std::cmp::Reverse(kept.series()[*number as usize].count));
        let mut important: Vec<u32> = numbers.iter().copied().take(BUSIEST).collect();
        let spenders = self.present.view.spenders.iter().take(SPENDERS);
        for spender in spenders {
            let number = numbers
                .iter()
                .copied()
                .find(|number| kept.series()[*number as usize].key.to_string() == spender.series);
            important.extend(number.filter(|number| !important.contains(number)));
        }
        important
    }

    /// Mean count a minute over the last seven days.
    fn usual(&self, series: u32, end: Minute) -> f64 {
        let (kept, _) = self.runs.present();
        let week = 7 * Minute::PER_DAY;
        let from = Minute(end.0.saturating_sub(week)).max(self.runs.origin);
        let mut sum = 0;
        kept.counts(&self.runs.only(series), &mut |_, minute, count| {
            sum += if minute >= from { count } else { 0 };
        });
        sum as f64 / f64::from(end.0.saturating_sub(from.0).max(1))
    }
}

/// What a ladder hit at one of its thresholds.
fn outcomes_at(labels: &[Label], ladder: &Ladder, step: usize) -> Vec<LabelOutcome> {
    let hits = labels.iter().zip(&ladder.hits);
    hits.map(|(label, hits)| LabelOutcome {
        label: label.clone(),
        hit: hits[step],
    })
    .collect()
}
