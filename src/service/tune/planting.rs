//! Incidents planted on copies of the user's series, and every setting run over the copies.
//!
//! The copies are judged by the thresholds that were in force on the originals: they add nothing to
//! the fleet, and what they show is what the setting would have shown.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use super::{Runs, TuneJob};
use crate::model::{Edge, InsightEvent, Minute, SeriesKey};
use crate::tuning::assess::kinds;
use crate::tuning::injection::{DenseCounts, Injection, InjectionPlan, planted, sample};
use crate::tuning::part_run::Part;
use crate::tuning::report::{InjectionsView, KindView};
use crate::tuning::scoring::{KindScore, Label, LabelOutcome, outcomes};
use crate::tuning::{KeptRates, SeriesSet};

/// What was planted.
pub struct Planting {
    /// By layer.
    layers: Vec<Vec<Label>>,
    /// By recording and layer, the rates with the incidents.
    rates: Vec<Vec<KeptRates>>,
    series: u64,
}

impl Planting {
    /// Plants incidents on a sample of the series; `None` when stopped.
    pub fn new(job: &TuneJob, runs: &Runs, scored: &Range<Minute>) -> Option<Self> {
        let (kept, _) = runs.present();
        let sample = sample(kept);
        let counts = DenseCounts::of(kept, &sample);
        let busy = Busy::new(job, runs);
        let plan = InjectionPlan::new(&counts, &sample, scored.clone(), &|series, around| {
            busy.is(&kept.series()[series as usize].key, around)
        });
        drop(counts);
        let mut rates = Vec::new();
        for counted in &runs.counted {
            let other = &counted.recording.kept;
            let layers: Vec<Vec<Injection>> = plan
                .layers
                .iter()
                .map(|layer| translated(layer, kept, other))
                .collect();
            let sweep = job.sweep(other);
            rates.push(sweep.in_threads(&layers, &|layer| planted(other, layer))?);
        }
        let label = |one: &Injection| Label {
            series: kept.series()[one.series as usize].key.clone(),
            start: one.start,
            end: one.end,
            kind: one.kind.to_string(),
        };
        let mut series = SeriesSet::none(kept);
        plan.all().for_each(|one| series.insert(one.series));
        Some(Planting {
            layers: plan
                .layers
                .iter()
                .map(|layer| layer.iter().map(label).collect())
                .collect(),
            rates,
            series: series.len() as u64,
        })
    }

    /// By setting and incident, the minute in which it was found; `None` when stopped.
    pub fn run(&self, job: &TuneJob, runs: &Runs) -> Option<Vec<Vec<Option<Minute>>>> {
        let settings = 0..runs.of_setting.len();
        let work: Vec<(usize, usize)> = settings
            .flat_map(|setting| (0..self.layers.len()).map(move |layer| (setting, layer)))
            .collect();
        let sweep = job.sweep(runs.present().0);
        let found = sweep.in_threads(&work, &|(setting, layer)| {
            self.run_layer(job, runs, *setting, *layer)
        })?;
        let mut by_setting = vec![Vec::new(); runs.of_setting.len()];
        for ((setting, _), found) in work.iter().zip(found) {
            by_setting[*setting].extend(found);
        }
        Some(by_setting)
    }

    fn run_layer(
        &self,
        job: &TuneJob,
        runs: &Runs,
        setting: usize,
        layer: usize,
    ) -> Vec<Option<Minute>> {
        let (recording, run) = &runs.of_setting[setting];
        let kept = &self.rates[*recording][layer];
        let part = Part {
            kept,
            keep: &SeriesSet::all(kept),
            settings: &job.settings[setting].settings.detect,
            origin: runs.origin,
            has_scores: false,
        };
        let end = part.run(&mut run.thresholds(), &mut |_, _| ControlFlow::Continue(()));
        let outcomes = outcomes(&self.layers[layer], &end.insights);
        outcomes.into_iter().map(|outcome| outcome.hit).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// All incidents, in the order of what [`Self::run`] found.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        self.layers.iter().flatten()
    }

    /// Layers with their rates, of the present settings' recording.
    pub fn present_layers(&self) -> impl Iterator<Item = (&[Label], &KeptRates)> {
        self.layers
            .iter()
            .map(Vec::as_slice)
            .zip(self.rates.first().into_iter().flatten())
    }

    /// What was found, by kind.
    pub fn kinds(&self, found: &[Option<Minute>]) -> Vec<KindView> {
        let mut scores: BTreeMap<String, KindScore> = BTreeMap::new();
        for (label, hit) in self.labels().zip(found) {
            let outcome = LabelOutcome {
                label: label.clone(),
                hit: *hit,
            };
            scores.entry(label.kind.clone()).or_default().add(&outcome);
        }
        kinds(&scores)
    }

    pub fn view(&self) -> InjectionsView {
        InjectionsView {
            planted: self.labels().count() as u64,
            series: self.series,
            why_none: self.is_empty().then(|| {
                "no series had an hour around a place that is judged in which it did nothing \
                 unusual by itself"
                    .to_string()
            }),
        }
    }
}

/// The incidents whose series another recording has, too.
fn translated(layer: &[Injection], from: &KeptRates, to: &KeptRates) -> Vec<Injection> {
    let translate = |one: &Injection| {
        let key = &from.series()[one.series as usize].key;
        Some(one.on(to.find(key.as_ref())?))
    };
    layer.iter().filter_map(translate).collect()
}

/// When series do something unusual by themselves, under any setting, or by a label.
struct Busy(BTreeMap<SeriesKey, Vec<Range<Minute>>>);

impl Busy {
    fn new(job: &TuneJob, runs: &Runs) -> Self {
        let mut busy: BTreeMap<SeriesKey, Vec<Range<Minute>>> = BTreeMap::new();
        let mut add = |series: &SeriesKey, range: Range<Minute>| {
            busy.entry(series.clone()).or_default().push(range);
        };
        let insights = runs.of_setting.iter().flat_map(|(_, run)| &run.insights);
        for event in insights {
            add(&event.series, event.minute..until(event));
        }
        for label in &job.labels {
            add(&label.series, label.start..label.end);
        }
        Busy(busy)
    }

    fn is(&self, series: &SeriesKey, around: Range<Minute>) -> bool {
        let ranges = self.0.get(series).into_iter().flatten();
        ranges
            .into_iter()
            .any(|range| range.start < around.end && around.start < range.end)
    }
}

fn until(event: &InsightEvent) -> Minute {
    match event.edge {
        Edge::Start => Minute(event.decided_at.0 + 1),
        Edge::End => Minute(event.minute.0 + 1),
    }
}
