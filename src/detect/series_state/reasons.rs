//! What a verdict is made of, for those who ask: every window and every explanation, as the
//! functions that decide have them.

use super::super::quantile::quantiles;
use super::super::settings::FIRST_WEEK_HOURS;
use super::super::surprise::{EXPLAIN_MIN, Scene, Surprise};
use super::super::verdict::Context;
use super::SeriesState;
use crate::model::{Reasons, WindowReasons};

impl SeriesState {
    /// Called before the verdict is booked, so that the series is as the verdict found it.
    pub(super) fn reasons(
        &self,
        scene: &Scene<'_>,
        surprise: &Surprise,
        start_z: f64,
        ctx: &Context<'_>,
    ) -> Reasons {
        let tuning = scene.tuning;
        let [exceedances, _, hours] = self.recalibration.learned();
        let precedents = self.recalibration.precedents_of(scene.t, surprise, tuning);
        let judged = tuning.first_window..tuning.windows.len();
        let judged = judged.filter(|index| tuning.windows[*index] <= scene.t + 1);
        let mut reasons = Reasons {
            windows: judged.map(|index| window_reasons(scene, index)).collect(),
            chosen: None,
            exceedances,
            hours,
            z_alone: self.recalibration.z(surprise.value, tuning),
            precedents: precedents as u32,
            start_z,
            needed: f64::INFINITY,
            is_first_week: tuning.first_week_extra > 0.0
                && self.age(scene.t, tuning) < FIRST_WEEK_HOURS,
            continues: false,
        };
        if let Some(direction) = surprise.direction {
            reasons.chosen = Some(surprise.window - tuning.first_window);
            reasons.needed = self.threshold(scene.t, direction, ctx);
            reasons.continues = tuning.continue_extra > 0.0
                && self.incidents.would_continue(scene.t, direction, tuning);
        }
        reasons
    }
}

fn window_reasons(scene: &Scene<'_>, index: usize) -> WindowReasons {
    let window = scene.window(index);
    let raw = window.raw(scene.tuning);
    let tried = scene.explain(&window, raw);
    let (low, high) = quantiles(window.sums.mean, window.phi);
    WindowReasons {
        minutes: window.length * scene.tuning.bucket_minutes,
        count: window.sums.count,
        expected: window.sums.mean,
        low,
        high,
        dispersion: window.phi,
        direction: window.direction(),
        raw,
        is_explained: raw > EXPLAIN_MIN,
        shifted: tried.shifted,
        same_phase: tried.same_phase,
        surprise: tried.left,
    }
}
