//! The last 64 buckets of a series, seen and expected, in rings.
//!
//! Held only while a count lies in them or a profile shapes the expectations; else the lines of
//! the last hours give the same numbers. A closed incident is forgotten here: its counts become
//! their expectations, so that the wide windows do not raise it again (6.6).

use serde::{Deserialize, Serialize};

use super::invariants::{DERIVED_MAX, are_amounts};
use super::settings::RECENT;
use super::slots::{read_row, write_row};

const MASK: u32 = RECENT as u32 - 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recent {
    /// Ring index is `t & 63`. Counts above `u32::MAX` count as that.
    #[serde(serialize_with = "write_row", deserialize_with = "read_row")]
    counts: [u32; RECENT],
    #[serde(serialize_with = "write_row", deserialize_with = "read_row")]
    means: [f32; RECENT],
    /// Buckets that count as expected, by ring index.
    forgotten: u64,
}

/// Seen and expected calls of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    pub count: f64,
    pub mean: f64,
}

impl Recent {
    /// Silence with these expectations, by ring index.
    pub fn silent(means: [f32; RECENT]) -> Self {
        Recent {
            counts: [0; RECENT],
            means,
            forgotten: 0,
        }
    }

    pub fn push(&mut self, t: u32, count: u64, mean: f32) {
        let at = (t & MASK) as usize;
        self.counts[at] = u32::try_from(count).unwrap_or(u32::MAX);
        self.means[at] = mean;
        self.forgotten &= !(1 << at);
    }

    /// Appends at most 64 silent buckets from `t` on.
    pub fn push_silence(&mut self, t: u32, means: &[f32]) {
        let at = (t & MASK) as usize;
        let first = means.len().min(RECENT - at);
        let (before_wrap, after_wrap) = means.split_at(first);
        for (at, means) in [(at, before_wrap), (0, after_wrap)] {
            self.counts[at..at + means.len()].fill(0);
            self.means[at..at + means.len()].copy_from_slice(means);
        }
        if self.forgotten != 0 {
            for i in 0..means.len() as u32 {
                self.forgotten &= !(1 << ((t + i) & MASK));
            }
        }
    }

    pub fn count(&self, t: u32) -> f64 {
        let at = (t & MASK) as usize;
        if self.forgotten >> at & 1 == 1 {
            f64::from(self.means[at])
        } else {
            f64::from(self.counts[at])
        }
    }

    pub fn mean(&self, t: u32) -> f64 {
        f64::from(self.means[(t & MASK) as usize])
    }

    /// Whether all expectations in the ring are amounts.
    pub fn is_sound(&self) -> bool {
        are_amounts(self.means, DERIVED_MAX)
    }

    /// Whether a closed incident still lies in the ring.
    pub fn has_forgotten(&self) -> bool {
        self.forgotten != 0
    }

    /// Least expectation in the ring.
    pub fn mean_min(&self) -> f32 {
        least_of(&self.means)
    }

    /// Largest expectation in the ring.
    pub fn mean_max(&self) -> f32 {
        most_of(&self.means)
    }

    /// Sums of the windows that end with `t`; lengths ascend, those longer than `t + 1` stay 0.
    pub fn window_sums(&self, t: u32, lengths: [u32; 4]) -> [Sums; 4] {
        let mut sums = [Sums::default(); 4];
        let mut sum = Sums::default();
        let mut done = 0;
        for (window, length) in sums.iter_mut().zip(lengths) {
            if length > t + 1 {
                break;
            }
            let part = self.sum(t - done, length - done);
            sum.count += part.count;
            sum.mean += part.mean;
            done = length;
            *window = sum;
        }
        sums
    }

    /// Seen and expected calls of the `length` buckets that end with `t`.
    pub fn sum(&self, t: u32, length: u32) -> Sums {
        let end = (t & MASK) as usize + 1;
        let length = length as usize;
        let mut sums = Sums::default();
        let start = end.saturating_sub(length);
        sums.count += sum_counts(&self.counts[start..end]);
        sums.mean += sum_means(&self.means[start..end]);
        if length > end {
            let start = RECENT + end - length;
            sums.count += sum_counts(&self.counts[start..]);
            sums.mean += sum_means(&self.means[start..]);
        }
        if self.forgotten != 0 {
            for back in 0..length as u32 {
                let at = (t.wrapping_sub(back) & MASK) as usize;
                if self.forgotten >> at & 1 == 1 {
                    sums.count += f64::from(self.means[at]);
                }
            }
        }
        sums
    }

    /// Seen calls of the `length` buckets that end with `t`.
    pub fn count_sum(&self, t: u32, length: u32) -> f64 {
        if self.forgotten != 0 {
            return self.sum(t, length).count;
        }
        let end = (t & MASK) as usize + 1;
        let length = length as usize;
        let mut count = sum_counts(&self.counts[end.saturating_sub(length)..end]);
        if length > end {
            count += sum_counts(&self.counts[RECENT + end - length..]);
        }
        count
    }

    /// Lets the buckets `from .. to`, all within the ring, count as expected.
    pub fn forget(&mut self, from: u32, to: u32) {
        for t in from..to {
            let at = (t & MASK) as usize;
            self.counts[at] = 0;
            self.forgotten |= 1 << at;
        }
    }
}

/// Least of these numbers; infinite where there are none. Lanes, because a comparison at a time
/// waits for the one before.
pub fn least_of(numbers: &[f32]) -> f32 {
    let less = |a: f32, b: f32| if b < a { b } else { a };
    fold_in_lanes(numbers, f32::INFINITY, less)
}

/// Largest of these numbers, and of 0.
pub fn most_of(numbers: &[f32]) -> f32 {
    let more = |a: f32, b: f32| if b > a { b } else { a };
    fold_in_lanes(numbers, 0.0, more)
}

fn fold_in_lanes(numbers: &[f32], initial: f32, choose: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [initial; 8];
    let chunks = numbers.chunks_exact(8);
    for (lane, number) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = choose(*lane, *number);
    }
    for chunk in chunks {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = choose(*lane, *number);
        }
    }
    lanes.into_iter().fold(initial, choose)
}

fn sum_counts(counts: &[u32]) -> f64 {
    counts.iter().map(|count| u64::from(*count)).sum::<u64>() as f64
}

/// Four running sums, added at the end: one order whatever the compiler makes of it.
fn sum_means(means: &[f32]) -> f64 {
    let mut lanes = [0.0; 4];
    let chunks = means.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, mean) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(*mean);
        }
    }
    for (lane, mean) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(*mean);
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}
