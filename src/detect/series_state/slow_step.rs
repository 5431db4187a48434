//! Hours of a series that is judged by them: once for each hour, at the first bucket of the next.

use crate::model::{Direction, Explanation, IncidentKind, Innocent};

use super::super::quantile::quantiles;
use super::super::settings::HISTORY_MINUTES;
use super::super::slow::SlowWindow;
use super::super::surprise::{EXPLAIN_MIN, RECURRENCE_MEAN_MIN, RECURRENCE_MIN, Scene, decades};
use super::super::verdict::{Change, Context, Phase};
use super::SeriesState;
use super::decision::Decision;

/// Hours that the same window of other days is moved.
const SHIFT: u32 = 1;
/// Decades below which an hour, and the shortest window, are as usual.
const CALM: f64 = 1.3;

/// What the hours that closed last are worth.
#[derive(Clone, Copy, Debug)]
pub struct SlowVerdict {
    window: SlowWindow,
    raw: f64,
    surprise: f64,
    z: f64,
}

impl SeriesState {
    /// Judges the hours before the bucket, if it is the first of an hour and the series is
    /// followed.
    pub(super) fn judge_hours(
        &mut self,
        scene: &Scene<'_>,
        ctx: &Context<'_>,
    ) -> Option<SlowVerdict> {
        let hour = scene.t / ctx.tuning.hour;
        if !scene.t.is_multiple_of(ctx.tuning.hour) || hour == 0 || !self.slow.is_followed() {
            return None;
        }
        let mut past = PastHours::before(hour, scene);
        let mut best: Option<SlowVerdict> = None;
        for window in self.slow.windows(hour - 1) {
            let raw = window.decades();
            let highest = best.map_or(0.0, |best| best.surprise);
            if raw <= highest {
                continue;
            }
            let surprise = raw.min(explained(&window, raw, &mut past));
            if surprise > highest {
                best = Some(SlowVerdict {
                    window,
                    raw,
                    surprise,
                    z: 0.0,
                });
            }
        }
        let surprise = best.map_or(0.0, |best| best.surprise);
        let is_open = self.is_open();
        let z = self.slow.score(surprise, is_open, ctx.tuning);
        if let Some(best) = best.filter(|_| z > 0.0 && self.slow.has_learned()) {
            let direction = Some(best.window.direction);
            self.recalibration.observe_score(hour, direction, z);
        }
        best.map(|best| SlowVerdict { z, ..best })
            .filter(|verdict| verdict.z > 0.0)
    }

    /// Starts an incident of hours where none of minutes starts or is open.
    pub(super) fn decide_slowly(
        &mut self,
        verdict: &SlowVerdict,
        scene: &Scene<'_>,
        ctx: &Context<'_>,
    ) -> Option<Decision> {
        let tuning = ctx.tuning;
        let direction = verdict.window.direction;
        let z_threshold = self.threshold(scene.t, direction, ctx);
        let is_enough = (verdict.z * 1e6).round() >= (z_threshold * 1e6).round();
        let is_withheld = direction == Direction::Down && ctx.withholds_drops;
        if !is_enough || is_withheld || !self.slow.has_learned() {
            return None;
        }
        // Attributions reach back so far: it began before.
        let onset = scene.t + 1 - tuning.onset_window;
        let continues =
            self.incidents
                .start(scene.t, onset, (direction, IncidentKind::Hours), tuning);
        self.slow.forget();
        Some(Decision {
            phase: Phase::Incident(direction),
            change: Some(Change::Start {
                onset,
                direction,
                explanation: verdict.explain(scene, z_threshold),
                continues,
            }),
            forgets: None,
            is_withheld_start: false,
            missed: None,
        })
    }

    /// The bucket from which an incident of hours is over: the hour that closed is as usual, and so
    /// are the shortest hours that can tell.
    pub(super) fn slow_calm_from(&self, scene: &Scene<'_>, direction: Direction) -> Option<u32> {
        let length = scene.tuning.hour;
        if !scene.t.is_multiple_of(length) {
            return None;
        }
        let hour = scene.t / length;
        let is_usual = |hours: u32| {
            let (expected, phi) = self.slow.expected(hour - 1, hours)?;
            let from = i64::from(scene.t) - i64::from(hours * length);
            let seen = scene.count_between(from, i64::from(scene.t)) as f64;
            Some(decades(direction, seen, expected, phi) < CALM)
        };
        let shortest = self.slow.shortest_told(hour - 1);
        let is_calm = [Some(1), shortest].into_iter().flatten().all(|hours| {
            // A series that is no longer followed has nothing left to be unusual.
            is_usual(hours).unwrap_or(true)
        });
        is_calm.then(|| scene.t - length)
    }
}

impl SlowVerdict {
    fn explain(&self, scene: &Scene<'_>, z_threshold: f64) -> Explanation {
        let window = &self.window;
        let length = window.hours * scene.tuning.hour;
        let from = i64::from(scene.t) - i64::from(length);
        let (expected_low, expected_high) = quantiles(window.expected, window.phi);
        Explanation {
            kind: IncidentKind::Hours,
            window_minutes: window.hours * 60,
            observed: scene.count_between(from, i64::from(scene.t)) as f64,
            expected: window.expected,
            expected_low,
            expected_high,
            surprise_raw: self.raw,
            surprise: self.surprise,
            z: self.z,
            z_threshold,
            budget_per_week: None,
            budget_scope: None,
            expected_per_week: None,
            closest: if self.surprise < self.raw {
                Innocent::SamePhase
            } else {
                Innocent::SingleHour
            },
            count_to_fire: None,
        }
    }
}

/// Calls of the hours before the bucket, each added up once: windows of neighbouring days and
/// shifts share most of theirs.
struct PastHours<'a> {
    scene: &'a Scene<'a>,
    /// Hours that the history holds.
    reach: u32,
    /// By hours back.
    sums: [Option<u64>; (HISTORY_MINUTES / 60) as usize],
}

impl<'a> PastHours<'a> {
    fn before(hour: u32, scene: &'a Scene<'a>) -> Self {
        let sums = [None; (HISTORY_MINUTES / 60) as usize];
        PastHours {
            scene,
            reach: hour.min(sums.len() as u32),
            sums,
        }
    }

    /// Calls of `hours` hours, of which the last is `back` hours back.
    fn sum(&mut self, back: u32, hours: u32) -> f64 {
        let length = i64::from(self.scene.tuning.hour);
        let sums = (back..back + hours).map(|back| {
            *self.sums[back as usize].get_or_insert_with(|| {
                let end = i64::from(self.scene.t) - i64::from(back) * length;
                self.scene.count_between(end - length, end)
            })
        });
        sums.sum::<u64>() as f64
    }
}

/// Decades that are left if these hours are as they were on other days: the second most extreme of
/// the days before, as far as the history reaches, if that was itself out of the ordinary (6.4).
fn explained(window: &SlowWindow, raw: f64, past: &mut PastHours<'_>) -> f64 {
    if raw <= EXPLAIN_MIN {
        return raw;
    }
    let direction = window.direction;
    let is_surge = direction == Direction::Up;
    let more_extreme = |a: f64, b: f64| if is_surge { a.max(b) } else { a.min(b) };
    let reach = past.reach;
    let mut days: Vec<f64> = (1..7)
        .take_while(|day| day * 24 + SHIFT + window.hours <= reach)
        .map(|day| {
            let shifts = day * 24 - SHIFT..=day * 24 + SHIFT;
            let sums = shifts.map(|back| past.sum(back, window.hours));
            sums.reduce(more_extreme).expect("a day has shifts")
        })
        .collect();
    days.sort_by(f64::total_cmp);
    if is_surge {
        days.reverse();
    }
    let Some(reference) = days.get(1).copied() else {
        return raw;
    };
    let is_beyond = if is_surge {
        reference > window.expected
    } else {
        reference < window.expected
    };
    if !is_beyond || decades(direction, reference, window.expected, window.phi) <= RECURRENCE_MIN {
        return raw;
    }
    let reference = reference.max(RECURRENCE_MEAN_MIN);
    let phi = window.phi.max(1.0 + 0.06 * reference);
    raw.min(decades(direction, window.judged, reference, phi))
}
