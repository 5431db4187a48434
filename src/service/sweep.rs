//! Runs settings over kept rates with all processors.
//!
//! What runs and how results fit together is decided in `tuning`; here are the threads, and the
//! order that makes the result the same for any number of them.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::lockstep::Lockstep;
use crate::detect::DetectSettings;
use crate::model::Minute;
use crate::tuning::part_run::{Part, origin_of};
use crate::tuning::sweep::{
    SettingRun, Survey, bounds, fixed_z, live_after_warm_up, may_refuse, reports_at, run_in_parts,
    run_setting, without_threshold,
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
        let mut runs: Vec<Option<SettingRun>> = settings.iter().map(|_| None).collect();
        let done = AtomicUsize::new(0);
        while let Some(first) = runs.iter().position(Option::is_none) {
            let shared = without_threshold(&settings[first]);
            let live = live_after_warm_up(self.kept, &shared, origin);
            let mut group: Vec<(usize, Vec<f64>)> = settings
                .iter()
                .enumerate()
                .filter(|(_, one)| without_threshold(one) == shared)
                .map(|(at, one)| (at, bounds(one, &live)))
                .collect();
            let low = |bounds: &[f64]| bounds.iter().copied().fold(f64::INFINITY, f64::min);
            group.sort_by(|(_, a), (_, b)| low(a).total_cmp(&low(b)));
            let of_group: Vec<(&DetectSettings, &[f64])> = group
                .iter()
                .map(|(at, bounds)| (&settings[*at], bounds.as_slice()))
                .collect();
            let ended = self.run_group(&of_group, origin, &|| {
                tell(done.fetch_add(1, Ordering::Relaxed) + 1);
            })?;
            for ((at, _), run) in group.into_iter().zip(ended) {
                runs[at] = Some(run);
            }
        }
        let runs = runs.into_iter().map(|run| run.expect("every setting ran"));
        Some(Swept {
            origin: Some(origin),
            runs: runs.collect(),
        })
    }

    /// Runs settings that differ in their thresholds only, with the bounds of these, the lowest
    /// first.
    fn run_group(
        &self,
        settings: &[(&DetectSettings, &[f64])],
        origin: Minute,
        tell: &(dyn Fn() + Sync),
    ) -> Option<Vec<SettingRun>> {
        let mut surveys = vec![Survey::unknown(self.kept)];
        let mut of_setting = Vec::new();
        let is_whole = settings.iter().any(|(one, _)| may_refuse(self.kept, one));
        for (settings, bounds) in settings {
            let serves = |survey: &Survey| survey.is_below(bounds);
            let mut at = surveys.iter().rposition(serves).unwrap_or(0);
            if !is_whole && surveys[at].is_wide_for(bounds) {
                surveys.push(self.narrow(&surveys[at], bounds, settings, origin)?);
                at = surveys.len() - 1;
            }
            of_setting.push(at);
        }
        let work: Vec<(&DetectSettings, &Survey)> = settings
            .iter()
            .zip(of_setting)
            .map(|((settings, _), survey)| (*settings, &surveys[survey]))
            .collect();
        let threads = self.threads / work.len().max(1);
        self.in_threads(&work, &|(settings, survey)| {
            let run = self.run_one(settings, survey, origin, threads);
            tell();
            run
        })
    }

    /// Runs one setting with `threads` of its own.
    fn run_one(
        &self,
        settings: &DetectSettings,
        survey: &Survey,
        origin: Minute,
        threads: usize,
    ) -> SettingRun {
        let part = Part {
            kept: self.kept,
            keep: &survey.loud,
            settings,
            origin,
            has_scores: false,
        };
        let is_divided = (2..=survey.loud.len()).contains(&threads)
            && survey.is_narrow()
            && fixed_z(settings).is_none();
        let run = match is_divided {
            true => in_lockstep(&part, survey, threads),
            false => run_setting(&part, survey),
        };
        run.unwrap_or_else(|| {
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
        bounds: &[f64],
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
                reports_at(&Part { keep, ..base }, bounds)
            })
        };
        let mut narrowed = survey.narrowed(self.kept, bounds);
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

/// Runs one setting over the loud series of a survey in parts, each with a thread; `None` as
/// [`run_setting`] says.
fn in_lockstep(whole: &Part<'_>, survey: &Survey, threads: usize) -> Option<SettingRun> {
    let sets = survey.loud.split(threads);
    let lockstep = Lockstep::new(survey.fitted(whole.settings));
    let seats: Vec<_> = sets.iter().map(|_| lockstep.seat()).collect();
    let insights = thread::scope(|scope| {
        let parts = sets.iter().zip(seats).map(|(keep, mut seat)| {
            let part = Part { keep, ..*whole };
            scope.spawn(move || {
                let end = part.run(&mut seat, &mut |_, _| ControlFlow::Continue(()));
                end.insights
            })
        });
        let parts: Vec<_> = parts.collect();
        let ends = parts.into_iter().map(|part| part.join());
        ends.collect::<thread::Result<Vec<_>>>()
    });
    let insights = insights.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    run_in_parts(
        whole.settings,
        survey,
        lockstep.into_fitted(),
        insights.concat(),
    )
}
