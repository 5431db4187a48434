//! Planting incidents on the counts of a series, and where the bench plants them.
//!
//! A plant changes counts minute by minute with random numbers of its own, so the traffic below
//! it stays what it was: injected minus clean is exactly what was planted.

use std::ops::Range;

use super::calendar::{WEEK, stream};
use super::label::PlantKind;
use super::random::Random;

/// One incident on one series of a fleet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plant {
    pub series: u32,
    /// Minutes since the start of the traffic; `end` is exclusive.
    pub start: u32,
    pub end: u32,
    pub kind: PlantKind,
    /// Calls a minute before, that a surge multiplies.
    pub level: f64,
    /// Number of the one who makes the planted calls.
    pub caller: u32,
}

/// A minute's count, split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    pub ordinary: u32,
    pub planted: u32,
}

impl Plant {
    /// What becomes of the ordinary `count` of minute `t` inside the plant.
    pub fn apply(&self, seed: u64, t: u32, count: u32) -> Split {
        let keys = [stream::PLANTED, u64::from(self.series), u64::from(t)];
        let mut random = Random::keyed(seed, &keys);
        self.kind.change(count, self.level, &mut random)
    }
}

impl PlantKind {
    /// What becomes of an ordinary `count`, where `level` calls a minute are usual.
    pub fn change(self, count: u32, level: f64, random: &mut Random) -> Split {
        let add = |planted| Split {
            ordinary: count,
            planted,
        };
        match self {
            PlantKind::Surge(factor) => {
                let wobble = random.gamma(20.0);
                add(random.poisson((factor - 1.0).max(0.0) * level * wobble))
            }
            PlantKind::Drop(share) => Split {
                ordinary: random.binomial(count, share),
                planted: 0,
            },
            PlantKind::Novel(rate) | PlantKind::Burst(rate) => {
                let wobble = random.gamma(10.0);
                add(random.poisson(rate * wobble))
            }
            PlantKind::Rate(rate) => {
                let target = random.poisson(rate);
                Split {
                    ordinary: count.min(target),
                    planted: target.saturating_sub(count),
                }
            }
        }
    }
}

/// Calls a minute around `t`, as a surge planted there multiplies them.
pub fn level(counts: &[u32], t: u32) -> f64 {
    let t = t as usize;
    let before = &counts[t.saturating_sub(60).min(counts.len())..t.min(counts.len())];
    let around = &counts[t.saturating_sub(60).min(counts.len())..(t + 60).min(counts.len())];
    mean(before).max(0.3 * mean(around))
}

fn mean(counts: &[u32]) -> f64 {
    let sum: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    sum as f64 / counts.len().max(1) as f64
}

/// Where the bench looks for a place, as parts of the scored half: three plants a series.
const PLACES: [(f64, f64); 3] = [(0.014, 0.164), (0.3, 0.471), (0.628, 0.95)];

/// The three plants of one series of a bench fleet, from all its counts and neutral hours.
/// Surges and drops where the usual rate is a call a minute; novelty where seven days were
/// silent; bursts elsewhere; nothing in neutral hours.
pub(super) fn bench_plants(
    seed: u64,
    series: u32,
    counts: &[u32],
    neutral: &[Range<u32>],
    caller: u32,
) -> Vec<Plant> {
    let mut random = Random::keyed(seed, &[stream::PLANTS, u64::from(series)]);
    let minutes = counts.len() as f64;
    let mut plants = Vec::new();
    for (low, high) in PLACES {
        let place = 0.5 + 0.5 * random.between(low, high);
        let t = (place * minutes) as u32;
        let (kind, length) = bench_kind(&mut random, counts, t);
        let end = t + length;
        if t < 60 || end as usize + 60 > counts.len() {
            continue;
        }
        let hours = t / 60 - 1..end / 60 + 1;
        if neutral
            .iter()
            .any(|n| n.start < hours.end && hours.start < n.end)
        {
            continue;
        }
        plants.push(Plant {
            series,
            start: t,
            end,
            kind,
            level: level(counts, t),
            caller,
        });
    }
    plants
}

/// Kind and minutes of a plant that suits the counts around `t`: surges and drops where the usual
/// rate is a call a minute, novelty where the seven days before were silent, else bursts.
pub fn bench_kind(random: &mut Random, counts: &[u32], t: u32) -> (PlantKind, u32) {
    let from = t.saturating_sub(60) as usize;
    let around = &counts[from..(t as usize + 60).min(counts.len())];
    let active = around.iter().filter(|count| **count > 0).count();
    let week = &counts[t.saturating_sub(WEEK) as usize..t as usize];
    let is_surge = random.chance(0.55);
    if mean(around) >= 1.0 && active > 60 {
        if is_surge {
            let factor = *random.pick(&[2.0, 3.0, 5.0, 10.0]);
            return (PlantKind::Surge(factor), *random.pick(&[5, 15, 60]));
        }
        let share = *random.pick(&[0.0, 0.3]);
        return (PlantKind::Drop(share), *random.pick(&[10, 30, 120]));
    }
    let length = *random.pick(&[5, 10, 30]);
    if week.iter().all(|count| *count == 0) {
        return (PlantKind::Novel(*random.pick(&[1.0, 3.0, 12.0])), length);
    }
    (PlantKind::Burst(*random.pick(&[5.0, 20.0, 100.0])), length)
}
