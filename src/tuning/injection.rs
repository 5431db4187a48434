//! Labelled incidents on copies of the user's own series: what would be seen of them.
//!
//! The twelve kinds of the reference (detection, section 3), each where it can happen: surges and
//! drops where calls come all the time, novelty where a week was silent, bursts elsewhere. A layer
//! is a copy of some series with at most three incidents on each, so that they do not meet.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use super::{KeptRates, SeriesSet};
use crate::model::{LogRecord, Minute, Rates, RatesBuilder};
use crate::synth::{PlantKind, Random, bench_kind, level};

/// Incidents that are planted at most: about a hundred of each kind.
const INJECTIONS_MAX: usize = 1200;
/// Copies of a series.
const LAYERS_MAX: usize = 10;
/// Incidents on one copy, each in a third of the time.
const PER_COPY: u32 = 3;
/// Series that are copied at most; each takes four bytes a minute while they are planned.
pub const SERIES_MAX: usize = 400;
/// Minutes before and after an incident in which the series shall do nothing by itself.
const APART: u32 = 180;
/// Seed of what is random here: the same input gives the same injections.
const SEED: u64 = 0x7475_6e65;

/// One planted incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Injection {
    pub series: u32,
    pub start: Minute,
    /// Exclusive.
    pub end: Minute,
    pub kind: PlantKind,
    /// Calls a minute before, that a surge multiplies.
    level: f64,
}

/// Which incidents are planted on which copies.
#[derive(Clone, Debug, Default)]
pub struct InjectionPlan {
    pub layers: Vec<Vec<Injection>>,
}

/// Counts of some series, minute by minute.
#[derive(Clone, Debug)]
pub struct DenseCounts {
    first: Minute,
    minutes: usize,
    counts: HashMap<u32, Vec<u32>>,
}

/// Series that incidents are planted on, drawn at random: every one is as likely.
pub fn sample(kept: &KeptRates) -> SeriesSet {
    let mut numbers: Vec<u32> = (0..kept.series().len() as u32).collect();
    let mut random = Random::keyed(SEED, &[0]);
    for place in 0..numbers.len().min(SERIES_MAX) {
        let other = place as u32 + random.below((numbers.len() - place) as u32);
        numbers.swap(place, other as usize);
    }
    let mut set = SeriesSet::none(kept);
    let drawn = numbers.iter().take(SERIES_MAX);
    drawn.for_each(|number| set.insert(*number));
    set
}

impl DenseCounts {
    pub fn of(kept: &KeptRates, series: &SeriesSet) -> Self {
        let (first, end) = kept.span().unwrap_or_default();
        let minutes = (end.0 - first.0) as usize;
        let mut counts: HashMap<u32, Vec<u32>> = HashMap::new();
        kept.counts(series, &mut |number, minute, count| {
            let counts = counts.entry(number).or_insert_with(|| vec![0; minutes]);
            let at = &mut counts[(minute.0 - first.0) as usize];
            *at = at.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        });
        DenseCounts {
            first,
            minutes,
            counts,
        }
    }

    /// Counts from the first minute on; `None` for a series that is not held.
    pub fn of_series(&self, series: u32) -> Option<&[u32]> {
        self.counts.get(&series).map(Vec::as_slice)
    }
}

impl InjectionPlan {
    /// Plans incidents in the `scored` minutes, where no series `is_busy` around them.
    pub fn new(
        counts: &DenseCounts,
        series: &SeriesSet,
        scored: Range<Minute>,
        is_busy: &dyn Fn(u32, Range<Minute>) -> bool,
    ) -> Self {
        let mut layers = Vec::new();
        let mut planned = 0;
        for layer in 0..LAYERS_MAX as u64 {
            let mut injections = Vec::new();
            for number in series
                .iter()
                .filter(|number| counts.counts.contains_key(number))
            {
                let mut random = Random::keyed(SEED, &[1, layer, u64::from(number)]);
                let mut places = Places {
                    counts,
                    scored: scored.clone(),
                    is_busy,
                };
                injections.extend(places.of_copy(number, &mut random));
            }
            if injections.is_empty() || planned + injections.len() > INJECTIONS_MAX && planned > 0 {
                break;
            }
            planned += injections.len();
            layers.push(injections);
        }
        InjectionPlan { layers }
    }

    pub fn all(&self) -> impl Iterator<Item = &Injection> {
        self.layers.iter().flatten()
    }
}

/// Where incidents can be planted.
struct Places<'a> {
    counts: &'a DenseCounts,
    scored: Range<Minute>,
    is_busy: &'a dyn Fn(u32, Range<Minute>) -> bool,
}

impl Places<'_> {
    /// At most one incident in each third of the time.
    fn of_copy(&mut self, series: u32, random: &mut Random) -> Vec<Injection> {
        let length = (self.scored.end.0.saturating_sub(self.scored.start.0)) / PER_COPY;
        let mut found = Vec::new();
        for third in 0..PER_COPY {
            // The day's last hours of a third are left to the incident before.
            let room = length.saturating_sub(2 * APART).max(length / 2);
            let start = self.scored.start.0 + third * length + random.below(room.max(1));
            found.extend(self.at(series, Minute(start), random));
        }
        found
    }

    fn at(&self, series: u32, start: Minute, random: &mut Random) -> Option<Injection> {
        let counts = self.counts.of_series(series)?;
        let t = start.0.checked_sub(self.counts.first.0)?;
        let (kind, length) = bench_kind(random, counts, t);
        let end = Minute(start.0 + length);
        let has_room = t >= 60 && (t + length + 60) as usize <= self.counts.minutes;
        let is_known = !matches!(kind, PlantKind::Novel(_)) || t >= 7 * Minute::PER_DAY;
        let around = Minute(start.0.saturating_sub(APART))..Minute(end.0 + APART);
        let fits = has_room && is_known && end < self.scored.end;
        (fits && !(self.is_busy)(series, around)).then(|| Injection {
            series,
            start,
            end,
            kind,
            level: level(counts, t),
        })
    }
}

/// The rates of the series in a layer with its incidents planted, without attributions.
pub fn planted(kept: &KeptRates, layer: &[Injection]) -> KeptRates {
    let mut series = SeriesSet::none(kept);
    let mut changes = Changes::new(layer);
    layer.iter().for_each(|one| series.insert(one.series));
    let mut copies = KeptRates::new(u64::MAX);
    let mut push = |record: &LogRecord| copies.push(record).expect("there is no limit");
    kept.read(&series, &mut |record| {
        match record {
            LogRecord::Rates(rates) => push(&LogRecord::Rates(changes.change(kept, rates))),
            LogRecord::Progress(progress) => {
                let added = changes.before(kept, progress.watermark.minute());
                if let Some(rates) = added {
                    push(&LogRecord::Rates(rates));
                }
                push(record);
            }
            other => push(other),
        }
        ControlFlow::Continue(())
    });
    copies.finish();
    copies
}

/// What the incidents of a layer do to its rates.
struct Changes<'a> {
    /// By series, in order of time.
    by_series: HashMap<u32, Vec<&'a Injection>>,
    /// Minutes in which calls are added, last first.
    added: Vec<(Minute, &'a Injection)>,
}

impl<'a> Changes<'a> {
    fn new(layer: &'a [Injection]) -> Self {
        let mut by_series: HashMap<u32, Vec<&Injection>> = HashMap::new();
        let mut added = Vec::new();
        for one in layer {
            by_series.entry(one.series).or_default().push(one);
            if !matches!(one.kind, PlantKind::Drop(_)) {
                added.extend((one.start.0..one.end.0).map(|minute| (Minute(minute), one)));
            }
        }
        added.sort_by_key(|(minute, one)| std::cmp::Reverse((*minute, one.series)));
        Changes { by_series, added }
    }

    /// A batch with the calls that drops take away left out.
    fn change(&mut self, kept: &KeptRates, rates: &Rates) -> Rates {
        let mut builder = RatesBuilder::default();
        for key in 0..rates.keys_len() as u32 {
            let (of_key, fingerprint) = (rates.key(key), rates.fingerprint(key));
            builder.add_key_with(of_key, rates.category(key), fingerprint);
        }
        let numbers: Vec<u32> = (0..rates.keys_len() as u32)
            .map(|key| kept.find(rates.key(key)).unwrap_or(u32::MAX))
            .collect();
        for entry in rates.entries() {
            let series = numbers[entry.key as usize];
            let covers = |one: &&&Injection| (one.start..one.end).contains(&entry.minute);
            let drop = self.by_series.get(&series);
            let drop = drop.and_then(|all| all.iter().find(covers));
            let count = match drop {
                Some(one) if matches!(one.kind, PlantKind::Drop(_)) => {
                    let count = u32::try_from(entry.count).unwrap_or(u32::MAX);
                    u64::from(one.change(entry.minute, count).0)
                }
                _ => entry.count,
            };
            builder.add_entry(entry.key, entry.minute, count, &[]);
        }
        builder.finish(rates.source, rates.positions)
    }

    /// A batch with the calls that are added before `watermark`.
    fn before(&mut self, kept: &KeptRates, watermark: Minute) -> Option<Rates> {
        let mut builder = RatesBuilder::default();
        let mut keys = HashMap::new();
        while let Some((minute, one)) = self.added.pop_if(|(minute, _)| *minute < watermark) {
            let series = &kept.series()[one.series as usize];
            let key = *keys
                .entry(one.series)
                .or_insert_with(|| builder.add_key(series.key.as_ref(), series.category));
            let (_, planted) = one.change(minute, 0);
            builder.add_entry(key, minute, u64::from(planted), &[]);
        }
        (!builder.is_empty()).then(|| builder.finish(0, (0, 0)))
    }
}

impl Injection {
    /// The same on another series.
    pub fn on(&self, series: u32) -> Self {
        Injection {
            series,
            ..self.clone()
        }
    }

    /// What is left of the ordinary count of a minute, and what is added.
    fn change(&self, minute: Minute, count: u32) -> (u32, u32) {
        let keys = [2, u64::from(self.series), u64::from(minute.0)];
        let mut random = Random::keyed(SEED, &keys);
        let split = self.kind.change(count, self.level, &mut random);
        (split.ordinary, split.planted)
    }
}
