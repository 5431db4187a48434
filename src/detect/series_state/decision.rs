//! The last step of a judged bucket: start an incident, let it go on, or end it (6.6).

use crate::model::{Direction, IncidentKind};

use super::super::explanation::Start;
use super::super::recalibration::WEAK_Z;
use super::super::settings::FIRST_WEEK_HOURS;
use super::super::surprise::{Scene, Surprise, decades};
use super::super::verdict::{Change, Context, Phase};
use super::{SeriesState, window_phis};

/// What a bucket decided, and the buckets that a closed incident makes forgotten.
pub struct Decision {
    pub phase: Phase,
    pub change: Option<Change>,
    pub forgets: Option<(u32, u32)>,
    /// A Start that a maintenance window kept from being one.
    pub is_withheld_start: bool,
    /// Bin of the score of regular hours that were missed, without an open incident.
    pub missed: Option<u8>,
}

impl Decision {
    fn stays(phase: Phase) -> Self {
        Decision {
            phase,
            change: None,
            forgets: None,
            is_withheld_start: false,
            missed: None,
        }
    }
}

impl SeriesState {
    /// Starts, goes on with or ends an incident.
    pub(super) fn decide(
        &mut self,
        scene: &Scene<'_>,
        surprise: &Surprise,
        (z, start_z): (f64, f64),
        is_maintained: bool,
        ctx: &Context<'_>,
    ) -> Decision {
        if let Some(open) = self.incidents.open() {
            return self.go_on(open.direction, open.kind, scene, ctx);
        }
        let phase = self.phase_without_incident(scene.t, ctx);
        let Some(direction) = surprise
            .direction
            .filter(|_| phase == Phase::Calm && z > 0.0)
        else {
            return Decision::stays(phase);
        };
        let z_threshold = self.threshold(scene.t, direction, ctx);
        let is_withheld = direction == Direction::Down && ctx.withholds_drops;
        let fires = surprise.is_enough(start_z, z_threshold, ctx.tuning) && !is_withheld;
        let onset = if fires {
            scene.onset(direction)
        } else {
            (scene.t + 1).saturating_sub(ctx.tuning.windows[surprise.window])
        };
        let is_first_week = scene.t / ctx.tuning.hour < FIRST_WEEK_HOURS;
        if is_first_week && !scene.history.has_count_before(onset) {
            return Decision::stays(Phase::New);
        }
        if !fires {
            return Decision::stays(Phase::Calm);
        }
        if is_maintained {
            return self.withhold(scene.t, ctx);
        }
        let recalibration = &self.recalibration;
        let start = Start {
            scene,
            surprise,
            z,
            z_threshold,
            recalibration,
        };
        let explanation = start.explain();
        let continues = self.incidents.start(
            scene.t,
            onset,
            (direction, IncidentKind::Minutes),
            ctx.tuning,
        );
        Decision {
            phase: Phase::Incident(direction),
            change: Some(Change::Start {
                onset,
                direction,
                explanation,
                continues,
            }),
            forgets: None,
            is_withheld_start: false,
            missed: None,
        }
    }

    /// A Start that is none because something is worked on; it counts unless another was withheld
    /// shortly before.
    fn withhold(&mut self, t: u32, ctx: &Context<'_>) -> Decision {
        let is_another = t >= self.withheld_until;
        self.withheld_until = t + ctx.tuning.continue_within;
        Decision {
            is_withheld_start: is_another,
            ..Decision::stays(Phase::Calm)
        }
    }

    /// What of a score counts towards a Start: little of a drop where no calls flow, less of a
    /// surge that has an example.
    pub(super) fn start_z(
        &self,
        scene: &Scene<'_>,
        surprise: &Surprise,
        z: f64,
        ctx: &Context<'_>,
    ) -> f64 {
        let tuning = scene.tuning;
        let is_drop = surprise.direction == Some(Direction::Down);
        if z > WEAK_Z && is_drop && tuning.drop_needs_flow {
            // The days before are read only where the answer makes a difference: for the largest
            // score of the hour, or for a Start, to whose threshold scores are rounded.
            let may_start = !self.is_open() && z + 1e-5 >= ctx.needed.down;
            let hour = scene.t / tuning.hour;
            let is_asked = may_start || self.recalibration.is_hour_highest(hour, z);
            if !is_asked || !scene.has_flow(&scene.window(surprise.window)) {
                return WEAK_Z;
            }
        }
        self.recalibration.start_z(scene.t, surprise, z, tuning)
    }

    /// Goes on with the open incident, or ends it.
    fn go_on(
        &mut self,
        direction: Direction,
        kind: IncidentKind,
        scene: &Scene<'_>,
        ctx: &Context<'_>,
    ) -> Decision {
        let ended = match kind {
            IncidentKind::Minutes => {
                let is_calm = self.is_calm(scene, direction);
                self.incidents.pass(scene.t, is_calm, ctx.tuning)
            }
            IncidentKind::Hours => {
                let calm_from = self.slow_calm_from(scene, direction);
                self.incidents.end(scene.t, calm_from, ctx.tuning)
            }
            IncidentKind::Missed => {
                let calm_from = self.busy_from(scene.t, ctx);
                self.incidents.end(scene.t, calm_from, ctx.tuning)
            }
        };
        match ended {
            None => Decision::stays(Phase::Incident(direction)),
            Some((onset, end, reason)) => Decision {
                phase: self.phase_without_incident(scene.t, ctx),
                change: Some(Change::End { end, reason }),
                forgets: Some((onset, end)),
                is_withheld_start: false,
                missed: None,
            },
        }
    }

    /// The score that a Start at `t` needs: more in the first week, and if it would continue the
    /// incident before.
    pub(super) fn threshold(&self, t: u32, direction: Direction, ctx: &Context<'_>) -> f64 {
        let tuning = ctx.tuning;
        let is_young = self.age(t, tuning) < FIRST_WEEK_HOURS;
        let mut threshold = ctx.needed.of(direction);
        if is_young {
            threshold += tuning.first_week_extra;
        }
        if self.incidents.would_continue(t, direction, tuning) {
            let times = if is_young { 2.0 } else { 1.0 };
            threshold += times * tuning.continue_extra;
        }
        threshold
    }

    fn phase_without_incident(&self, t: u32, ctx: &Context<'_>) -> Phase {
        let is_young = self.age(t, ctx.tuning) < ctx.tuning.warm_up_hours;
        if is_young || self.incidents.begins_anew() {
            Phase::WarmUp
        } else {
            Phase::Calm
        }
    }

    /// Whether a bucket of an open incident is as usual (6.6).
    fn is_calm(&self, scene: &Scene<'_>, direction: Direction) -> bool {
        const CALM: f64 = 1.3;
        let phis = self.dispersion.phi();
        let is_usual = |length: u32, phi: f64| {
            let sums = scene.recent.sum(scene.t, length);
            decades(direction, sums.count, sums.mean, phi) < CALM
        };
        match direction {
            Direction::Up => is_usual(1, phis[0]),
            Direction::Down => {
                let is_informative = scene.recent.sum(scene.t, 2).mean >= 6.0 * phis[0];
                is_usual(scene.tuning.windows[2], window_phis(phis, scene.tuning)[2])
                    || is_informative && is_usual(2, phis[0])
            }
        }
    }
}
