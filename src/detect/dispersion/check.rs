//! What must hold of dispersions that were read.

use super::super::invariants::{DERIVED_MAX, are_amounts, require};
use super::Dispersion;

/// Dispersions beyond this come of no counts, and fit into 32 bits still.
const PHI_MAX: f64 = 1e37;

impl Dispersion {
    pub fn check(&self) -> Result<(), String> {
        let sums = self.squares.iter().chain(&self.calls);
        let are_sums = sums.copied().all(|sum| (0.0..=1e60).contains(&sum));
        require(are_sums, "squares", "they are amounts")?;
        let is_limited = self.phi().iter().all(|phi| *phi <= PHI_MAX);
        require(is_limited, "squares", "they are limited by the calls")?;
        let errors = self.open_error.map(f32::abs);
        let are_open = are_amounts(errors, 1e3 * DERIVED_MAX)
            && are_amounts(self.open_expected, 1e3 * DERIVED_MAX);
        require(are_open, "open_error", "it is a number")
    }
}
