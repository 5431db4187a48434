//! How much wilder than Poisson a series is, at four scales (6.3).
//!
//! Squared errors of block sums over expected block sums, both forgotten with a half-life of two
//! days. Everything is updated bucket by bucket in one precision, so that however a silence is
//! split into calls, no bit changes.

use serde::{Deserialize, Serialize};

use super::settings::Tuning;

/// Prior: a dispersion of 3 with the weight of 5 calls.
const PRIOR_SQUARES: f64 = 15.0;
const PRIOR_CALLS: f64 = 5.0;

/// What four block lengths have learned, and the three blocks that are open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dispersion {
    squares: [f64; 4],
    calls: [f64; 4],
    /// Learned less expected, and expected, of the open blocks of the second to fourth length.
    open_error: [f32; 3],
    open_expected: [f32; 3],
}

impl Dispersion {
    /// Dispersions as of now, at least 1.
    pub fn phi(&self) -> [f64; 4] {
        std::array::from_fn(|i| self.phi_of_block(i))
    }

    pub fn phi_of_block(&self, i: usize) -> f64 {
        let squares = self.squares[i] + PRIOR_SQUARES;
        let calls = self.calls[i] + PRIOR_CALLS;
        (squares / calls).max(1.0)
    }

    /// Learns one bucket; `position` is its place in the cycle of the longest block.
    pub fn learn(&mut self, error: f32, expected: f32, position: u32, tuning: &Tuning) {
        self.learn_run(position, &[expected], Some(error), tuning);
    }

    /// Learns a run of silent buckets.
    pub fn learn_silence(&mut self, expected: &[f32], position: u32, tuning: &Tuning) {
        self.learn_run(position, expected, None, tuning);
    }

    fn learn_run(&mut self, position: u32, run: &[f32], error: Option<f32>, tuning: &Tuning) {
        let keep = tuning.block_keep;
        let mut state = self.clone();
        let mut position = position;
        for expected in run {
            let error = error.unwrap_or(-*expected);
            state.squares[0] = keep[0] * state.squares[0] + f64::from(error) * f64::from(error);
            state.calls[0] = keep[0] * state.calls[0] + f64::from(*expected);
            for open in 0..3 {
                state.open_error[open] += error;
                state.open_expected[open] += expected;
            }
            let ends = tuning.block_ends[position as usize];
            if ends != 0 {
                state.end_blocks(ends, &keep);
            }
            position += 1;
            if position == tuning.cycle {
                position = 0;
            }
        }
        *self = state;
    }

    fn end_blocks(&mut self, ends: u8, keep: &[f64; 4]) {
        for open in 0..3 {
            if ends & (1 << open) != 0 {
                let error = f64::from(self.open_error[open]);
                let i = open + 1;
                self.squares[i] = keep[i] * self.squares[i] + error * error;
                self.calls[i] = keep[i] * self.calls[i] + f64::from(self.open_expected[open]);
                self.open_error[open] = 0.0;
                self.open_expected[open] = 0.0;
            }
        }
    }
}
