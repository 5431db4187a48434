//! Why a Start was decided, in numbers that a person can check (6.8).
//!
//! Built once for each Start from the same judging code, so that the count at which it would have
//! stayed silent is the detector's own answer and not an estimate.

use crate::model::{Direction, Explanation, IncidentKind, Innocent};

use super::quantile::quantiles;
use super::recalibration::Recalibration;
use super::surprise::{Innocents, Scene, Surprise, Window};

/// Everything that a Start was decided from.
pub struct Start<'a> {
    pub scene: &'a Scene<'a>,
    pub surprise: &'a Surprise,
    pub z: f64,
    /// The score that a Start without example needs, all extras included.
    pub z_threshold: f64,
    pub recalibration: &'a Recalibration,
}

impl Start<'_> {
    /// Complete but for what the fleet knows.
    pub fn explain(&self) -> Explanation {
        let scene = self.scene;
        let window = scene.window(self.surprise.window);
        let innocents = Innocents {
            shifted: scene.shifted_mean(&window),
            same_phase: scene.same_phase(&window),
        };
        let raw = window.raw(scene.tuning);
        let (expected_low, expected_high) = quantiles(window.sums.mean, window.phi);
        Explanation {
            kind: IncidentKind::Minutes,
            window_minutes: window.length * scene.tuning.bucket_minutes,
            observed: window.sums.count,
            expected: window.sums.mean,
            expected_low,
            expected_high,
            surprise_raw: raw,
            surprise: self.surprise.value,
            z: self.z,
            z_threshold: self.z_threshold + (self.z - self.start_z(self.surprise, self.z)),
            budget_per_week: None,
            budget_scope: None,
            expected_per_week: None,
            closest: self.closest(&window, raw, &innocents),
            count_to_fire: self.count_to_fire(&window, &innocents),
        }
    }

    /// The explanation under which the window is least surprising.
    fn closest(&self, window: &Window, raw: f64, innocents: &Innocents) -> Innocent {
        let shifted = window.if_shifted(raw, innocents.shifted);
        let same_phase = window.if_same_phase(raw, innocents.same_phase);
        let has_precedent =
            self.recalibration
                .precedents_of(self.scene.t, self.surprise, self.scene.tuning)
                > 0;
        if same_phase < raw && same_phase <= shifted {
            Innocent::SamePhase
        } else if shifted < raw {
            Innocent::Shifted
        } else if has_precedent {
            Innocent::Precedent
        } else {
            Innocent::Baseline
        }
    }

    /// The count nearest to the expected one that would still have started the incident, all else
    /// being equal; `None` where a nearer count would fire and a farther one would not.
    fn count_to_fire(&self, window: &Window, innocents: &Innocents) -> Option<u64> {
        let fires = |count: u64| self.fires_at(count, window, innocents);
        let observed = window.sums.count.round() as u64;
        let (mut silent, mut firing) = match window.direction() {
            Direction::Up => (window.sums.mean.floor() as u64, observed),
            Direction::Down => (window.sums.mean.ceil() as u64, observed),
        };
        if fires(silent) || !fires(firing) {
            return None;
        }
        while silent.abs_diff(firing) > 1 {
            let middle = silent.midpoint(firing);
            if fires(middle) {
                firing = middle;
            } else {
                silent = middle;
            }
        }
        Some(firing)
    }

    fn fires_at(&self, count: u64, window: &Window, innocents: &Innocents) -> bool {
        let mut window = *window;
        let direction = window.direction();
        window.sums.count = count as f64;
        if window.direction() != direction {
            return false;
        }
        let tuning = self.scene.tuning;
        let value = window.explained(window.raw(tuning), innocents);
        let surprise = Surprise {
            value,
            direction: Some(direction),
            ratio: window.ratio(),
            rate: window.rate(),
            ..*self.surprise
        };
        let z = self
            .recalibration
            .z_with_precedents(self.scene.t, &surprise, tuning);
        surprise.is_enough(self.start_z(&surprise, z), self.z_threshold, tuning)
    }

    fn start_z(&self, surprise: &Surprise, z: f64) -> f64 {
        let scene = self.scene;
        self.recalibration
            .start_z(scene.t, surprise, z, scene.tuning)
    }
}
