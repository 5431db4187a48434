//! `tune`: recordings into rates, settings over rates, incidents onto copies, figures into reports.
//!
//! The order of the work and its threads are here; what is planted, scored, compared and
//! recommended is decided in `tuning`.

mod planting;
mod questions;

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Account, Outputs, ReplayJob, ReplayProgress, ServiceError, Sweep, replay};
use crate::config::Settings;
use crate::detect::DetectSettings;
use crate::detect::fleet::Basis;
use crate::model::{EventTime, Minute, Mute};
use crate::source::FileLoss;
use crate::tuning::assess::{Assessed, Assessment, mean_detection, weeks};
use crate::tuning::recommend::{Candidate, recommend};
use crate::tuning::report::{InputView, ScoredView, TuneReport};
use crate::tuning::scoring::Label;
use crate::tuning::sweep::{SettingRun, WARM_UP_HOURS, fixed_z, may_refuse};
use crate::tuning::{KeptRates, SeriesSet};
use crate::view::RecordSums;
use planting::Planting;
use questions::Questions;

/// One point of the grid.
#[derive(Clone, Debug)]
pub struct TuneSetting {
    pub name: String,
    /// Keys and values by which it differs from the present settings.
    pub overrides: Vec<(String, String)>,
    /// The same as TOML.
    pub toml: String,
    pub settings: Settings,
}

/// What to tune.
pub struct TuneJob {
    pub replay: ReplayJob,
    /// The present settings first.
    pub settings: Vec<TuneSetting>,
    pub labels: Vec<Label>,
    /// False insights a week that the user accepts.
    pub budget_per_week: f64,
    /// Insights before this time are not judged.
    pub from: Option<EventTime>,
}

/// What a tuning run is doing, for who waits.
#[derive(Clone, Copy, Debug)]
pub enum TuneProgress {
    Reading(ReplayProgress),
    /// So many settings of all ran.
    Running(usize, usize),
    Planting,
}

/// A recording as rates.
pub struct Recording {
    pub kept: KeptRates,
    pub account: Account,
    pub sums: RecordSums,
}

/// Settings that count in the same way share a recording.
struct Counted {
    recording: Recording,
    /// Places of the settings that read it.
    settings: Vec<usize>,
}

/// All runs, by setting.
struct Runs {
    counted: Vec<Counted>,
    origin: Minute,
    /// By setting, the recording it read and what it did.
    of_setting: Vec<(usize, SettingRun)>,
}

/// Replays `job` into rates.
pub fn record(
    job: ReplayJob,
    settings: &Settings,
    watch: &mut dyn FnMut(&ReplayProgress),
) -> Result<Recording, ServiceError> {
    let mut kept = KeptRates::new(settings.kept_rates_bytes_max);
    let outputs = Outputs {
        kept: Some(&mut kept),
        ..Outputs::default()
    };
    let replayed = replay(job, settings, None, outputs, watch)?;
    let account = replayed.account.clone();
    let sums = account.sums(replayed.pipeline.ingest_counts());
    drop(replayed);
    kept.finish();
    Ok(Recording {
        kept,
        account,
        sums,
    })
}

impl TuneJob {
    /// Does all of it, with what could not be read; `None` when it was stopped.
    pub fn run(
        &self,
        tell: &(dyn Fn(TuneProgress) + Sync),
    ) -> Result<Option<(TuneReport, Vec<FileLoss>)>, ServiceError> {
        let mut counted: Vec<Counted> = Vec::new();
        for (keys, settings) in self.by_counting() {
            let first = &self.settings[settings[0]].settings;
            let recording = record(self.replay.clone(), first, &mut |progress| {
                tell(TuneProgress::Reading(*progress));
            })?;
            if self.is_stopped() {
                return Ok(None);
            }
            tracing::debug!(keys, "recorded");
            counted.push(Counted {
                recording,
                settings,
            });
        }
        let losses = counted[0].recording.account.losses.clone();
        Ok(self.judge(counted, tell).map(|report| (report, losses)))
    }

    /// How often the input has to be read.
    pub fn recordings(&self) -> usize {
        self.by_counting().len()
    }

    /// Settings by what they count, the present ones' first.
    fn by_counting(&self) -> Vec<(String, Vec<usize>)> {
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        for (place, setting) in self.settings.iter().enumerate() {
            let keys = setting.settings.counting_keys();
            match groups.iter_mut().find(|(other, _)| *other == keys) {
                Some((_, places)) => places.push(place),
                None => groups.push((keys, vec![place])),
            }
        }
        groups
    }

    fn judge(
        &self,
        counted: Vec<Counted>,
        tell: &(dyn Fn(TuneProgress) + Sync),
    ) -> Option<TuneReport> {
        let mut report = self.begin(&counted[0].recording);
        let hint = counted[0].recording.sums.hint();
        let Some(runs) = self.run_settings(counted, tell)? else {
            report.notes.extend(hint.map(str::to_string));
            report
                .notes
                .push("no minute with a count was closed: there is nothing to judge".to_string());
            return Some(report);
        };
        let scored = self.scored(&runs);
        if scored.is_empty() {
            report.notes.push(format!(
                "the input is too short: nothing starts in the first {WARM_UP_HOURS} hours, so \
                 nothing can be judged"
            ));
            return Some(report);
        }
        report.scored = Some(scored_view(&runs, &scored));
        tell(TuneProgress::Planting);
        let mut assessed = self.assess(&runs, &scored);
        let planting = Planting::new(self, &runs, &scored)?;
        let found = planting.run(self, &runs)?;
        for (one, found) in assessed.iter_mut().zip(&found) {
            one.view.kinds = planting.kinds(found);
            one.view.mean_detection = mean_detection(&one.view.kinds);
        }
        report.injections = planting.view();
        report.recommendation = self.recommend(&assessed, &planting, &found, weeks(&scored));
        let questions = Questions::new(self, &runs, &assessed);
        report.rivals = questions.rivals(&planting, &scored)?;
        report.smallest = questions.smallest()?;
        report.labels = questions.labels();
        report.settings = assessed.into_iter().map(|one| one.view).collect();
        report.notes.extend(self.notes(&runs, &scored));
        Some(report)
    }

    fn begin(&self, recording: &Recording) -> TuneReport {
        let account = &recording.account;
        let span = account.span;
        TuneReport {
            engine_version: env!("CARGO_PKG_VERSION").to_string(),
            budget_per_week: self.budget_per_week,
            input: InputView {
                files: account.files_read,
                records: account.decode.records,
                counted: recording.sums.counted,
                rejected: account.unusable(),
                series: recording.kept.series().len() as u64,
                counts: recording.kept.entries(),
                first: span.map(|(first, _)| first.to_string()),
                last: span.map(|(_, last)| last.to_string()),
            },
            ..TuneReport::default()
        }
    }

    /// Runs every setting; `Some(None)` when there is nothing to run on, `None` when stopped.
    fn run_settings(
        &self,
        counted: Vec<Counted>,
        tell: &(dyn Fn(TuneProgress) + Sync),
    ) -> Option<Option<Runs>> {
        let all = self.settings.len();
        let mut ended: BTreeMap<usize, (usize, SettingRun)> = BTreeMap::new();
        let mut first_origin = None;
        for (recording, one) in counted.iter().enumerate() {
            let settings: Vec<DetectSettings> = one
                .settings
                .iter()
                .map(|place| self.settings[*place].settings.detect.clone())
                .collect();
            let before = ended.len();
            let sweep = self.sweep(&one.recording.kept);
            let swept = sweep.run(&settings, &|done| {
                tell(TuneProgress::Running(before + done, all));
            })?;
            let Some(origin) = swept.origin else {
                return Some(None);
            };
            first_origin.get_or_insert(origin);
            for (place, run) in one.settings.iter().zip(swept.runs) {
                ended.insert(*place, (recording, run));
            }
        }
        let runs = first_origin.map(|origin| Runs {
            counted,
            origin,
            of_setting: ended.into_values().collect(),
        });
        Some(runs)
    }

    fn sweep<'a>(&self, kept: &'a KeptRates) -> Sweep<'a> {
        Sweep {
            kept,
            threads: self.replay.threads,
            stop: self.replay.stop.clone(),
        }
    }

    /// The minutes in which insights are judged: after the warm-up and from `from` on.
    fn scored(&self, runs: &Runs) -> Range<Minute> {
        let span = runs.counted[0].recording.kept.span();
        let end = span.map_or(Minute(0), |(_, end)| end);
        let warm = Minute(runs.origin.0 + WARM_UP_HOURS * Minute::PER_HOUR);
        let from = self.from.map_or(warm, |from| from.minute().max(warm));
        from..end.max(from)
    }

    fn assess(&self, runs: &Runs, scored: &Range<Minute>) -> Vec<Assessed> {
        let mutes = Mute::all(&self.replay.knowledge);
        let mut assessed = Vec::new();
        for (setting, (_, run)) in self.settings.iter().zip(&runs.of_setting) {
            let detect = &setting.settings.detect;
            let assessment = Assessment {
                run,
                scored: scored.clone(),
                labels: &self.labels,
                budget_per_week: fixed_z(detect).is_none().then(|| detect.budget_in_all()),
                stories: setting.settings.stories,
                mutes: &mutes,
            };
            let mut one = assessment.assess();
            one.view.name = setting.name.clone();
            one.view.overrides = setting.overrides.clone();
            one.view.settings_hash = setting.settings.hash.clone();
            assessed.push(one);
        }
        assessed
    }

    fn recommend(
        &self,
        assessed: &[Assessed],
        planting: &Planting,
        found: &[Vec<Option<Minute>>],
        weeks: f64,
    ) -> crate::tuning::report::Recommendation {
        let found: Vec<Vec<bool>> = found
            .iter()
            .map(|of_setting| of_setting.iter().map(Option::is_some).collect())
            .collect();
        let hit: Vec<Vec<bool>> = assessed
            .iter()
            .map(|one| {
                one.outcomes
                    .iter()
                    .map(|label| label.hit.is_some())
                    .collect()
            })
            .collect();
        let candidates: Vec<Candidate<'_>> = assessed
            .iter()
            .enumerate()
            .map(|(place, one)| Candidate {
                name: &self.settings[place].name,
                unlabelled: one.unlabelled,
                found: &found[place],
                hit: &hit[place],
                toml: &self.settings[place].toml,
            })
            .collect();
        let mut chosen = recommend(&candidates, self.budget_per_week, weeks);
        if planting.is_empty() && self.labels.is_empty() {
            chosen.reasons.push(
                "without planted incidents and labels nothing can be found, so no setting can be \
                 better"
                    .to_string(),
            );
        }
        chosen
    }

    fn notes(&self, runs: &Runs, scored: &Range<Minute>) -> Vec<String> {
        let mut notes = Vec::new();
        let settled = runs.origin.0 + 7 * Minute::PER_DAY;
        if scored.start.0 < settled {
            notes.push(
                "part of the time that is judged lies in the engine's first week, when thresholds \
                 are a decade higher and less is known; --from leaves it out"
                    .to_string(),
            );
        }
        let (_, present) = &runs.of_setting[0];
        if may_refuse(runs.present().0, &self.settings[0].settings.detect) {
            notes.push(
                "there are more series than limits.series_max leaves room for; what is planted and \
                 asked is of series as if they were tracked"
                    .to_string(),
            );
        }
        let fitted = present
            .in_force
            .last()
            .is_some_and(|(_, at)| at.all().iter().any(|one| one.basis != Basis::Shipped));
        if fixed_z(&self.settings[0].settings.detect).is_none() && !fitted {
            notes.push(
                "this fleet has had too few surprising hours to fit its own threshold: the shipped \
                 curve is in force, and the budget is only about right"
                    .to_string(),
            );
        }
        notes
    }

    fn is_stopped(&self) -> bool {
        self.replay.stop.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Runs {
    /// The recording and the run of the present settings.
    fn present(&self) -> (&KeptRates, &SettingRun) {
        let (recording, run) = &self.of_setting[0];
        (&self.counted[*recording].recording.kept, run)
    }

    /// One series of the present recording.
    fn only(&self, series: u32) -> SeriesSet {
        let mut only = SeriesSet::none(self.present().0);
        only.insert(series);
        only
    }
}

fn scored_view(runs: &Runs, scored: &Range<Minute>) -> ScoredView {
    let settled = Minute(runs.origin.0 + 7 * Minute::PER_DAY).max(scored.start);
    ScoredView {
        from: scored.start.to_string(),
        to: scored.end.to_string(),
        weeks: weeks(scored),
        settled_weeks: weeks(&(settled..scored.end)),
    }
}
