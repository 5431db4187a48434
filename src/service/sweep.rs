//! Runs settings over kept rates with all processors.
//!
//! What runs and how results fit together is decided in `tuning`; here are the threads, and the
//! order that makes the result the same for any number of them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::detect::DetectSettings;
use crate::model::Minute;
use crate::tuning::part_run::{Part, origin_of};
use crate::tuning::sweep::{
    SettingRun, Survey, bound, live_after_warm_up, may_refuse, reports_at, run_setting,
    without_threshold,
};
use crate::tuning::{KeptRates, SeriesSet};

/// Runs settings over the same rates.
pub struct Sweep<'a> {
    pub kept: &'a KeptRates,
    pub threads: usize,
    pub stop: Arc<AtomicBool>,
}

/// Runs of all settings.
#[derive(Debug)]
pub struct Swept {
    /// `None` when no minute with a count closed: there is nothing to judge.
    pub origin: Option<Minute>,
    /// By setting.
    pub runs: Vec<SettingRun>,
}

impl Sweep<'_> {
    /// Runs every setting; `None` when it was stopped. `tell` is called with how many are done.
    pub fn run(&self, settings: &[DetectSettings], tell: &(dyn Fn(usize) + Sync)) -> Option<Swept> {
        let Some(origin) = settings.first().and_then(|one| origin_of(self.kept, one)) else {
            return Some(Swept {
                origin: None,
                runs: Vec::new(),
            });
        };
        let live = live_after_warm_up(self.kept, origin);
        let mut order: Vec<usize> = (0..settings.len()).collect();
        order.sort_by(|a, b| {
            let (a, b) = (&settings[*a], &settings[*b]);
            bound(a, live).total_cmp(&bound(b, live))
        });
        let mut runs: Vec<Option<SettingRun>> = settings.iter().map(|_| None).collect();
        let done = AtomicUsize::new(0);
        while let Some(first) = order.iter().position(|at| runs[*at].is_none()) {
            let shared = without_threshold(&settings[order[first]]);
            let group: Vec<usize> = order
                .iter()
                .copied()
                .filter(|at| without_threshold(&settings[*at]) == shared)
                .collect();
            let of_group: Vec<&DetectSettings> = group.iter().map(|at| &settings[*at]).collect();
            let ended = self.run_group(&of_group, origin, live, &|| {
                tell(done.fetch_add(1, Ordering::Relaxed) + 1);
            })?;
            for (at, run) in group.into_iter().zip(ended) {
                runs[at] = Some(run);
            }
        }
        let runs = runs.into_iter().map(|run| run.expect("every setting ran"));
        Some(Swept {
            origin: Some(origin),
            runs: runs.collect(),
        })
    }

    /// Runs settings that differ in their threshold only, those with the lowest first.
    fn run_group(
        &self,
        settings: &[&DetectSettings],
        origin: Minute,
        live: u64,
        tell: &(dyn Fn() + Sync),
    ) -> Option<Vec<SettingRun>> {
        let mut surveys: Vec<Survey> = Vec::new();
        let mut of_setting = Vec::new();
        let mut survey = Survey::unknown(self.kept);
        let is_whole = settings.iter().any(|one| may_refuse(self.kept, one));
        if is_whole {
            surveys.push(survey.clone());
        }
        for settings in settings {
            let bound = bound(settings, live);
            if !is_whole && survey.is_wide_for(bound) {
                survey = self.narrow(&survey, bound, settings, origin)?;
                surveys.push(survey.clone());
            }
            of_setting.push(surveys.len() - 1);
        }
        let work: Vec<(&DetectSettings, &Survey)> = settings
            .iter()
            .zip(of_setting)
            .map(|(settings, survey)| (*settings, &surveys[survey]))
            .collect();
        self.in_threads(&work, &|(settings, survey)| {
            let run = self.run_one(settings, survey, origin);
            tell();
            run
        })
    }

    fn run_one(&self, settings: &DetectSettings, survey: &Survey, origin: Minute) -> SettingRun {
        let part = Part {
            kept: self.kept,
            keep: &survey.loud,
            settings,
            origin,
            has_scores: false,
        };
        run_setting(&part, survey).unwrap_or_else(|| {
            let whole = Survey::unknown(self.kept);
            let part = Part {
                keep: &whole.loud,
                ..part
            };
            run_setting(&part, &whole).expect("no threshold is below that of all series")
        })
    }

    /// The survey at a higher threshold: only series that were loud can still be.
    fn narrow(
        &self,
        survey: &Survey,
        bound: f64,
        settings: &DetectSettings,
        origin: Minute,
    ) -> Option<Survey> {
        let shared = without_threshold(settings);
        let base = Part {
            kept: self.kept,
            keep: &survey.loud,
            settings: &shared,
            origin,
            has_scores: false,
        };
        let in_parts = |set: &SeriesSet| {
            self.in_threads(&set.split(self.threads), &|keep| {
                reports_at(&Part { keep, ..base }, bound)
            })
        };
        let mut narrowed = Survey {
            bound,
            loud: SeriesSet::none(self.kept),
            quiet: survey.quiet.clone(),
        };
        for (loud, reports) in in_parts(&survey.loud)? {
            loud.iter().for_each(|series| narrowed.loud.insert(series));
            narrowed.add(&reports);
        }
        // Reports are sums over series: those of the quiet ones are all but those of the loud.
        for (_, reports) in in_parts(&narrowed.loud)? {
            narrowed.take_away(&reports);
        }
        Some(narrowed)
    }

    /// The results of `work` in its order, by as many threads as are allowed; `None` when stopped.
    pub fn in_threads<T: Sync, R: Send>(
        &self,
        work: &[T],
        does: &(dyn Fn(&T) -> R + Sync),
    ) -> Option<Vec<R>> {
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Option<R>>> = Mutex::new(work.iter().map(|_| None).collect());
        thread::scope(|scope| {
            for _ in 0..self.threads.clamp(1, work.len().max(1)) {
                scope.spawn(|| {
                    while !self.stop.load(Ordering::Relaxed) {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(one) = work.get(at) else { break };
                        let result = does(one);
                        results.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(result);
                    }
                });
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.into_iter().collect()
    }
}
