//! What a Start asks beyond the score of the specification, as decision 0009 reads.
//!
//! Sums are taken anew from raw lists.

use super::{Entry, Naive};

impl Naive {
    /// What counts towards a Start (decision 0009).
    pub(super) fn start_z(&mut self, t: usize, z: f64, up: bool, rate: f64, w: usize) -> f64 {
        if z <= 4.0 {
            return z;
        }
        if up {
            let seen =
                |p: &Entry| p.up && (181..=10_140).contains(&(t - p.t)) && p.rate * 1.5 >= rate;
            let has_example = self.precedents.iter().any(seen);
            return if has_example { (z - 1.75).max(4.0) } else { z };
        }
        let near = &self.mus[(t + 1).saturating_sub(w.max(5))..];
        let (sum, squares) = (
            near.iter().sum::<f64>(),
            near.iter().map(|mu| mu * mu).sum::<f64>(),
        );
        self.note_call(sum * sum / squares, 2.5);
        let (mut inside, mut around) = (0.0, 0.0);
        let days = (1..=6).filter(|d| t + 1 >= 1440 * d + w + 120);
        for end in days.map(|d| t + 1 - 1440 * d) {
            inside += self.hist[end - w..end].iter().sum::<f64>() / w as f64;
            around += self.hist[end - w - 120..end - w].iter().sum::<f64>() / 240.0;
            around += self.hist[end..end + 120].iter().sum::<f64>() / 240.0;
        }
        let is_spread = w == 60 || sum * sum >= 2.5 * squares;
        if !is_spread || around < 0.25 * inside - 1e-9 {
            4.0
        } else {
            z
        }
    }
}
