//! How much wilder than Poisson a series is, at four scales (6.3).
//!
//! Squared errors of block sums over expected block sums, both forgotten with a half-life of two
//! days. Everything is updated bucket by bucket in one precision, so that however a silence is
//! split into calls, no bit changes.

use serde::{Deserialize, Serialize};

use super::settings::Tuning;

mod check;

/// Prior: a dispersion of 3 with the weight of 5 calls.
const PRIOR_SQUARES: f64 = 15.0;
const PRIOR_CALLS: f64 = 5.0;

/// What four block lengths have learned, and the three blocks that are open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dispersion {
    squares: [f64; 4],
    calls: [f64; 4],
    /// Learned less expected, and expected, of the open blocks of the second to fourth length: of
    /// what is not in an open shorter block.
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
        let [keep, ..] = tuning.block_keep;
        self.squares[0] = keep * self.squares[0] + f64::from(error) * f64::from(error);
        self.calls[0] = keep * self.calls[0] + f64::from(expected);
        self.open_error[0] += error;
        self.open_expected[0] += expected;
        self.end_blocks(tuning.block_ends[position as usize], &tuning.block_keep);
    }

    /// Learns a run of silent buckets, whose error is all that was expected.
    pub fn learn_silence(&mut self, expected: &[f32], position: u32, tuning: &Tuning) {
        let (keep, block) = (tuning.block_keep[0], tuning.blocks[1]);
        let mut position = position;
        let mut rest = expected;
        while !rest.is_empty() {
            let length = rest.len().min((block - position % block) as usize);
            let (now, later) = rest.split_at(length);
            let (mut squares, mut calls) = (self.squares[0], self.calls[0]);
            let (mut error_sum, mut expected_sum) = (self.open_error[0], self.open_expected[0]);
            for expected in now {
                let mean = f64::from(*expected);
                squares = keep * squares + mean * mean;
                calls = keep * calls + mean;
                error_sum -= expected;
                expected_sum += expected;
            }
            (self.squares[0], self.calls[0]) = (squares, calls);
            (self.open_error[0], self.open_expected[0]) = (error_sum, expected_sum);
            position += length as u32;
            self.end_blocks(tuning.block_ends[position as usize - 1], &tuning.block_keep);
            position %= tuning.cycle;
            rest = later;
        }
    }

    /// Learns the blocks that end here, shortest first; each is a part of the next longer one.
    fn end_blocks(&mut self, ends: u8, keep: &[f64; 4]) {
        for open in 0..3 {
            if ends & (1 << open) == 0 {
                return;
            }
            let error = std::mem::take(&mut self.open_error[open]);
            let expected = std::mem::take(&mut self.open_expected[open]);
            let i = open + 1;
            self.squares[i] = keep[i] * self.squares[i] + f64::from(error) * f64::from(error);
            self.calls[i] = keep[i] * self.calls[i] + f64::from(expected);
            if let Some(longer) = self.open_error.get_mut(i) {
                *longer += error;
                self.open_expected[i] += expected;
            }
        }
    }
}
