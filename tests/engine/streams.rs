//! Random streams of entries from a seed: steady, bursty, sparse, scheduled and novel series,
//! with late counts, entries ahead of time and many attribution values.

use std::collections::BTreeMap;

use insightd::model::{
    AttributionDelta, Dimension, InsightType, Minute, Rates, RatesBuilder, SeriesKey,
    SourceCategory,
};

/// First minute of every stream: 2026-01-05T10:20:00Z, in the middle of an hour.
pub const FIRST: u32 = 29_460_620 / 60 * 60 + 20;

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: SeriesKey,
    pub minute: u32,
    pub count: u64,
    pub deltas: Vec<(Dimension, String, u64)>,
}

#[derive(Clone, Debug)]
pub enum Step {
    Rates(Vec<Entry>),
    Advance(u32),
}

pub struct Stream {
    pub keys: Vec<SeriesKey>,
    pub steps: Vec<Step>,
}

/// splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        ((self.next() >> 11) as f64) < probability * (1u64 << 53) as f64
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }

    /// Sum of a few uniform draws around `mean`.
    fn around(&mut self, mean: f64) -> u64 {
        let whole = mean * (0.5 + (self.below(1000) as f64) / 1000.0);
        whole as u64 + u64::from(self.chance(whole.fract()))
    }
}

impl Entry {
    /// The same counts in one to three parts.
    pub fn split(&self, random: &mut Random) -> Vec<Entry> {
        let mut parts = vec![self.clone()];
        for _ in 0..random.below(3) {
            let Some(mut whole) = parts.pop() else { break };
            let mut part = whole.clone();
            part.count = random.below(whole.count + 1);
            whole.count -= part.count;
            for (left, right) in part.deltas.iter_mut().zip(&mut whole.deltas) {
                left.2 = random.below(right.2 + 1);
                right.2 -= left.2;
            }
            if part.count == 0 || whole.count == 0 {
                parts.push(self.clone());
                return parts.split_off(parts.len() - 1);
            }
            parts.push(part);
            parts.push(whole);
        }
        parts
    }
}

impl Stream {
    /// Minute of the last advance.
    pub fn end(&self) -> u32 {
        match self.steps.last() {
            Some(Step::Advance(to)) => *to,
            _ => FIRST,
        }
    }

    /// One entry of each series in one minute.
    pub fn entries_at(&self, minute: u32) -> Vec<Entry> {
        let entry = |key: &SeriesKey| Entry {
            key: key.clone(),
            minute,
            count: 3,
            deltas: vec![(Dimension::UserAgent, "later".to_string(), 3)],
        };
        self.keys.iter().map(entry).collect()
    }
}

pub fn category(key: &SeriesKey) -> SourceCategory {
    if &*key.event_name == "Call14" {
        SourceCategory::Data
    } else {
        SourceCategory::Management
    }
}

pub fn batch(entries: &[Entry]) -> Rates {
    let mut builder = RatesBuilder::default();
    let mut keys = BTreeMap::new();
    for entry in entries {
        let key = *keys
            .entry(&entry.key)
            .or_insert_with(|| builder.add_key(entry.key.as_ref(), category(&entry.key)));
        let deltas: Vec<AttributionDelta> = entry
            .deltas
            .iter()
            .map(|(dimension, value, count)| AttributionDelta {
                dimension: *dimension,
                value: builder.value(value),
                count: *count,
            })
            .collect();
        builder.add_entry(key, Minute(entry.minute), entry.count, &deltas);
    }
    builder.finish(0, (0, 0))
}

fn keys() -> Vec<SeriesKey> {
    let mut keys = Vec::new();
    for number in 0..12 {
        keys.push(SeriesKey {
            account: format!("{}", 111 + number % 2).into(),
            region: "eu-west-1".into(),
            event_source: "s3.amazonaws.com".into(),
            event_name: format!("Call{}", 20 - number + number % 3 / 2 * 2).into(),
            insight_type: if number % 3 == 2 {
                InsightType::ApiErrorRate
            } else {
                InsightType::ApiCallRate
            },
            error_code: if number % 3 == 2 { "AccessDenied" } else { "" }.into(),
        });
    }
    keys
}

/// Count of series `number` at `minute`; `phase` gives each stream its own times.
fn count(number: usize, minute: u32, phase: u32, random: &mut Random) -> u64 {
    let age = minute - FIRST;
    let day = age / 1440;
    let of_day = (age + phase) % 1440;
    match number % 6 {
        // Steady, with a surge and an outage on some days.
        0 | 1 => {
            let usual = if number.is_multiple_of(2) { 20.0 } else { 2.5 };
            let level = match (day % 3, of_day) {
                (2, 300..=315) => 6.0,
                (2, 320..=324) => 5.0,
                (0, 900..=990) => 0.0,
                _ => 1.0,
            };
            random.around(usual * level)
        }
        // Sparse.
        2 => u64::from(random.chance(0.003)) * (1 + random.below(3)),
        // By the hour, with a daily shape.
        3 => u64::from(minute % 60 == 17) * (3 + u64::from(of_day / 200)),
        // Never seen before a certain day, then sudden; a large count for good measure.
        4 => match (day, of_day) {
            (3, 400..=412) => 12,
            (5, 600) => 5_000_000_000,
            _ => 0,
        },
        // A busy first day, then silence for weeks, then activity for good.
        _ => {
            if day == 0 {
                random.around(1.0)
            } else if day >= 11 {
                random.around(8.0)
            } else {
                0
            }
        }
    }
}

fn deltas(count: u64, random: &mut Random) -> Vec<(Dimension, String, u64)> {
    let mut deltas = Vec::new();
    for dimension in [
        Dimension::UserIdentityArn,
        Dimension::UserAgent,
        Dimension::ErrorCode,
    ] {
        let mut left = count;
        let kinds = if dimension == Dimension::UserIdentityArn {
            9
        } else {
            3
        };
        for _ in 0..3 {
            let part = random.below(left + 1);
            if part > 0 {
                deltas.push((dimension, format!("value{}", random.below(kinds)), part));
            }
            left -= part;
        }
        if left > 0 && dimension != Dimension::UserAgent {
            deltas.push((dimension, "null".to_string(), left));
        }
    }
    deltas
}

/// A stream of `days` days whose time advances about every `every` minutes.
pub fn stream(seed: u64, days: u32, every: u32, width: u32) -> Stream {
    let mut random = Random(seed);
    let phase = random.below(1440) as u32;
    let keys = keys();
    let mut by_step: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
    let mut ends = vec![FIRST];
    while *ends.last().expect("not empty") < FIRST + days * 1440 {
        let step = 1 + random.below(2 * u64::from(every)) as u32;
        ends.push(ends.last().expect("not empty") + step.max(width));
    }
    let last = ends.len() as u64 - 1;
    for minute in FIRST..FIRST + days * 1440 {
        for (number, key) in keys.iter().enumerate() {
            let count = count(number, minute, phase, &mut random);
            if count == 0 {
                continue;
            }
            let entry = Entry {
                key: key.clone(),
                minute,
                count,
                deltas: deltas(count, &mut random),
            };
            let due = ends.partition_point(|end| *end <= minute) as u64;
            for part in entry.split(&mut random) {
                let step = match random.below(400) {
                    0 => due + random.below(60),
                    1 => due.saturating_sub(3).max(1),
                    _ => due,
                };
                by_step.entry(step.min(last) as u32).or_default().push(part);
            }
        }
    }
    let mut steps = Vec::new();
    for (step, end) in ends.iter().enumerate() {
        steps.push(Step::Rates(
            by_step.remove(&(step as u32)).unwrap_or_default(),
        ));
        steps.push(Step::Advance(*end));
    }
    Stream { keys, steps }
}
