//! Random streams, each a function of a small plan that a failing test can print.

use insightd::detect::verdict::History;
use proptest::prelude::*;

pub struct Counts(pub Vec<u64>);

impl History for Counts {
    fn counts(&self, from: i64, out: &mut [u64]) {
        for (i, count) in out.iter_mut().enumerate() {
            let t = usize::try_from(from + i as i64).ok();
            *count = t.and_then(|t| self.0.get(t)).copied().unwrap_or(0);
        }
    }

    fn is_silent(&self, from: i64, to: i64) -> bool {
        (from.max(0)..to).all(|t| self.0.get(t as usize).is_none_or(|count| *count == 0))
    }

    fn has_count_before(&self, t: u32) -> bool {
        !self.is_silent(0, i64::from(t))
    }
}

/// A small generator of our own, so that a stream is a function of its plan.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            let normal = (0..12).map(|_| self.next()).sum::<f64>() - 6.0;
            return (mean + normal * mean.sqrt()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.next(), 0);
        while product > limit {
            product *= self.next();
            count += 1;
        }
        count
    }
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub days: u32,
    /// log10 of calls a minute.
    pub rate: f64,
    pub day_swing: f64,
    pub wildness: f64,
    /// Calls at one minute of every hour or of every day.
    pub cron: Option<(u64, u32, bool)>,
    pub first: u32,
    /// From, length, factor on the usual rate, calls a minute on top.
    pub events: Vec<(u32, u32, f64, f64)>,
    /// Minute, lateness, count.
    pub late: Vec<(u32, u32, u64)>,
    pub z_star: f64,
}

impl Plan {
    pub fn counts(&self) -> Counts {
        let mut dice = Dice(self.seed);
        let rate = 10f64.powf(self.rate);
        let mut level = 1.0;
        let minutes = self.days * 1440;
        let mut counts = Vec::with_capacity(minutes as usize);
        for t in 0..minutes {
            level = 1.0 + 0.98 * (level - 1.0) + self.wildness * (dice.next() - 0.5);
            let day = f64::from(t % 1440) / 1440.0 * std::f64::consts::TAU;
            let mut mean = rate * (1.0 + self.day_swing * day.sin()) * level.max(0.05);
            for (from, length, factor, extra) in &self.events {
                if (*from..from + length).contains(&t) {
                    mean = mean * factor + extra;
                }
            }
            let mut count = if t < self.first {
                0
            } else {
                dice.poisson(mean)
            };
            if let Some((calls, minute, hourly)) = self.cron
                && t % if hourly { 60 } else { 1440 } == minute
                && dice.next() > 0.05
            {
                count += calls;
            }
            counts.push(count);
        }
        Counts(counts)
    }

    /// Late counts by the bucket before which they arrive.
    pub fn late_by_arrival(&self) -> Vec<(u32, u32, u64)> {
        let mut late: Vec<_> = self
            .late
            .iter()
            .map(|(t, lateness, count)| (t + 1 + lateness, *t, *count))
            .filter(|(arrival, _, _)| *arrival < self.days * 1440)
            .collect();
        late.sort_unstable();
        late
    }
}

pub fn plans(days: std::ops::Range<u32>) -> impl Strategy<Value = Plan> {
    let event = (
        0..20_000u32,
        1..200u32,
        prop_oneof![Just(0.0), Just(1.0), 0.2..12.0],
        0..60u32,
    )
        .prop_map(|(from, length, factor, extra)| (from, length, factor, f64::from(extra)));
    let shift = (
        3000..12_000u32,
        3000..20_000u32,
        prop_oneof![Just(0.05), 3.0..8.0],
    )
        .prop_map(|(from, length, factor)| (from, length, factor, 0.0));
    let events = prop_oneof![
        4 => prop::collection::vec(event.clone(), 0..10),
        1 => prop::collection::vec(shift, 1..2),
    ];
    let cron = prop::option::weighted(0.3, (1..80u64, 0..60u32, any::<bool>()));
    let late = prop::collection::vec((0..20_000u32, 0..2000u32, 1..300u64), 0..6);
    let shape = (
        -4.0..2.2f64,
        0.0..0.9f64,
        prop_oneof![Just(0.0), 0.0..0.3f64],
    );
    let first = prop_oneof![3 => Just(0u32), 1 => 0..9000u32];
    (
        any::<u64>(),
        days,
        shape,
        cron,
        first,
        events,
        late,
        2.5..6.0f64,
    )
        .prop_map(
            |(seed, days, (rate, day_swing, wildness), cron, first, events, late, z_star)| Plan {
                seed,
                days,
                rate,
                day_swing,
                wildness,
                cron,
                first,
                events,
                late,
                z_star,
            },
        )
}
