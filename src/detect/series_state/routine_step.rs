//! Regular hours of a series: once for each hour, at the first bucket of the next.

use crate::model::{Direction, Explanation, IncidentKind, Innocent};

use super::super::fleet::{EPISODE_Z, GROUP_BIN};
use super::super::routine::is_busy;
use super::super::surprise::Scene;
use super::super::verdict::{Change, Context, Phase};
use super::SeriesState;
use super::decision::Decision;

/// Hours that a miss is about: the regular one and those beside it.
const MISS_HOURS: u32 = 3;

/// Score of a miss that is worth nothing: from here on scores of one cause are grouped.
const LOWEST_Z: f64 = EPISODE_Z + GROUP_BIN as f64 / 10.0;

/// Regular hours that were missed.
#[derive(Clone, Copy, Debug)]
pub struct Missed {
    decades: f64,
    /// Score on a scale of its own, from [`LOWEST_Z`] on.
    pub z: f64,
}

impl SeriesState {
    /// Judges the regular hour before the bucket, if it is the first of an hour.
    pub(super) fn judge_routine(&mut self, scene: &Scene<'_>, ctx: &Context<'_>) -> Option<Missed> {
        let (t, length) = (scene.t, ctx.tuning.hour);
        let closed = (t / length).checked_sub(1)?;
        if !t.is_multiple_of(length) {
            return None;
        }
        let calls_of_day = self.expectation.calls_of_flat_day();
        let is_excused = || {
            let mut hours = t.saturating_sub(MISS_HOURS * length)..t;
            hours.any(|bucket| ctx.is_excused(bucket)) || came_late(scene, calls_of_day)
        };
        let decades = self.routine.judge(closed, is_excused)?;
        Some(Missed {
            decades,
            z: LOWEST_Z + decades,
        })
    }

    /// Starts an incident of missed calls where nothing else starts or is open.
    pub(super) fn decide_missed(
        &mut self,
        missed: &Missed,
        scene: &Scene<'_>,
        ctx: &Context<'_>,
    ) -> Option<Decision> {
        let tuning = ctx.tuning;
        let direction = Direction::Down;
        let z_threshold = ctx.needed.missed;
        let is_enough = (missed.z * 1e6).round() >= (z_threshold * 1e6).round();
        if !is_enough || ctx.withholds_drops {
            return None;
        }
        // Attributions reach back so far: it began before.
        let onset = scene.t + 1 - tuning.onset_window;
        let continues =
            self.incidents
                .start(scene.t, onset, (direction, IncidentKind::Missed), tuning);
        Some(Decision {
            phase: Phase::Incident(direction),
            change: Some(Change::Start {
                onset,
                direction,
                explanation: missed.explain(scene, z_threshold),
                continues,
            }),
            forgets: None,
            is_withheld_start: false,
            missed: None,
        })
    }
}

impl SeriesState {
    /// The bucket from which an incident of missed calls is over: a busy hour closed.
    pub(super) fn busy_from(&self, t: u32, ctx: &Context<'_>) -> Option<u32> {
        let length = ctx.tuning.hour;
        let closed = (t / length).checked_sub(1)?;
        let is_over = t.is_multiple_of(length) && self.routine.was_busy(closed);
        is_over.then(|| t - length)
    }
}

/// Whether one of the hours is busy by its raw counts, late ones included.
fn came_late(scene: &Scene<'_>, calls_of_day: f64) -> bool {
    let length = i64::from(scene.tuning.hour);
    (1..=i64::from(MISS_HOURS)).any(|back| {
        let from = i64::from(scene.t) - back * length;
        is_busy(
            scene.count_between(from, from + length) as f64,
            calls_of_day,
        )
    })
}

impl Missed {
    fn explain(&self, scene: &Scene<'_>, z_threshold: f64) -> Explanation {
        let length = MISS_HOURS * scene.tuning.hour;
        let of_day = |day: u32| {
            let end = i64::from(scene.t) - i64::from(day * scene.tuning.day);
            scene.count_between(end - i64::from(length), end) as f64
        };
        let observed = of_day(0);
        // The days that were busy, among the seven before.
        let days: Vec<f64> = (1..=7)
            .map(of_day)
            .filter(|calls| *calls > observed)
            .collect();
        let most = days.iter().copied().fold(0.0, f64::max);
        Explanation {
            kind: IncidentKind::Missed,
            window_minutes: MISS_HOURS * 60,
            observed,
            expected: days.iter().sum::<f64>() / days.len().max(1) as f64,
            expected_low: days.iter().copied().fold(most, f64::min),
            expected_high: most,
            surprise_raw: self.decades,
            surprise: self.decades,
            z: self.z,
            z_threshold,
            budget_per_week: None,
            budget_scope: None,
            expected_per_week: None,
            closest: Innocent::Late,
            count_to_fire: None,
        }
    }
}
