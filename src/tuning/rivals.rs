//! What a setting has to beat: nothing, everything, and a ratio to the seven days before.
//!
//! The ratio is CloudTrail-like: the count of five minutes against the mean from midnight UTC seven
//! days before, alarm when the logarithm of their ratio is large. It is run at every threshold of a
//! ladder at once, so that it can be read at the rate of alarms that a setting has. Whatever minute
//! of a label is at the threshold hits, which is kinder to it than to the engine.

use std::collections::HashMap;
use std::ops::Range;

use crate::model::Minute;

use super::scoring::GAP_MINUTES;

/// Thresholds of the ladder: natural logarithms of ratios from 1.25 to over a million.
pub const STEPS: usize = 56;
const LOWEST: f64 = 0.223_143_551_314_209_8;
const FACTOR: f64 = 1.08;
/// Minutes of the window that is compared.
const WINDOW: u32 = 5;
/// Days that are summed: seven before today's.
const DAYS: usize = 8;

/// A ratio detector at every threshold of the ladder.
#[derive(Clone, Debug)]
pub struct Ratio {
    /// By number of the series.
    series: Vec<State>,
    ladder: Ladder,
}

/// What became of every threshold.
#[derive(Clone, Debug)]
pub struct Ladder {
    origin: Minute,
    scored: Range<Minute>,
    steps: [f64; STEPS],
    /// Alarms in scored minutes by threshold, those of one series within two hours as one.
    pub alarms: [u64; STEPS],
    /// Minutes of labels by series: when their hits may come, and which label it is.
    targets: HashMap<u32, Vec<(Range<Minute>, usize)>>,
    /// By label and threshold, the minute that hit it first.
    pub hits: Vec<[Option<Minute>; STEPS]>,
}

#[derive(Clone, Debug)]
struct State {
    /// Calls by day, a day's at its number modulo [`DAYS`]; `day` is the newest.
    days: [u64; DAYS],
    day: u32,
    /// The last minutes with a count.
    recent: [(u32, u64); WINDOW as usize],
    /// Minute that still counts.
    now: Option<u32>,
    /// By threshold, the minute after the last alarm; 0 for none.
    alarmed: [u32; STEPS],
}

impl Ratio {
    /// `targets` are (series, minutes in which a hit counts).
    pub fn new(origin: Minute, scored: Range<Minute>, targets: &[(u32, Range<Minute>)]) -> Self {
        Ratio {
            series: Vec::new(),
            ladder: Ladder::new(origin, scored, targets),
        }
    }

    /// Counts of each series come in the order of time; those that come late are left out.
    pub fn see(&mut self, series: u32, minute: Minute, count: u64) {
        let number = series as usize;
        if self.series.len() <= number {
            self.series.resize_with(number + 1, State::new);
        }
        let state = &mut self.series[number];
        let now = state.now.unwrap_or(minute.0);
        if minute.0 < now {
            return;
        }
        if minute.0 > now {
            self.ladder.judge(series, state, now);
        }
        if minute.0 > now + WINDOW {
            self.ladder.judge(series, state, now + WINDOW);
        }
        state.now = Some(minute.0);
        state.add(minute.0, count);
    }

    /// All counts were seen.
    pub fn finish(mut self) -> Ladder {
        for (number, state) in self.series.iter_mut().enumerate() {
            if let Some(now) = state.now {
                self.ladder.judge(number as u32, state, now);
            }
        }
        self.ladder
    }
}

impl Ladder {
    fn new(origin: Minute, scored: Range<Minute>, targets: &[(u32, Range<Minute>)]) -> Self {
        let mut by_series: HashMap<u32, Vec<(Range<Minute>, usize)>> = HashMap::new();
        for (index, (series, range)) in targets.iter().enumerate() {
            let of_series = by_series.entry(*series).or_default();
            of_series.push((range.clone(), index));
        }
        let mut step = LOWEST;
        Ladder {
            origin,
            scored,
            steps: std::array::from_fn(|_| {
                let this = step;
                step *= FACTOR;
                this
            }),
            alarms: [0; STEPS],
            targets: by_series,
            hits: vec![[None; STEPS]; targets.len()],
        }
    }

    /// How many times more or less an alarm at a threshold needs.
    pub fn ratio(&self, step: usize) -> f64 {
        libm::exp(self.steps[step])
    }

    /// The lowest threshold with at most this many alarms.
    pub fn step_for(&self, alarms: u64) -> usize {
        let found = self.alarms.iter().position(|count| *count <= alarms);
        found.unwrap_or(STEPS - 1)
    }

    fn judge(&mut self, series: u32, state: &mut State, t: u32) {
        let from = (t + 1).saturating_sub(WINDOW);
        let seen: u64 = state
            .recent
            .iter()
            .filter(|(minute, _)| (from..=t).contains(minute))
            .map(|(_, count)| count)
            .sum();
        let first_day = Minute(t).day().saturating_sub(DAYS as u32 - 1);
        let begun = self.origin.0.max(first_day * Minute::PER_DAY);
        let minutes = from.saturating_sub(begun);
        if minutes == 0 {
            return;
        }
        let before = state.sum(Minute(t).day()).saturating_sub(seen);
        let expected = before as f64 / f64::from(minutes) * f64::from(WINDOW);
        let score = libm::log((seen as f64 + 0.5) / (expected + 0.5)).abs();
        if score >= LOWEST {
            self.alarm(series, state, t, score);
        }
    }

    fn alarm(&mut self, series: u32, state: &mut State, t: u32, score: f64) {
        let reached = self.steps.partition_point(|step| *step <= score);
        if self.scored.contains(&Minute(t)) {
            for (alarmed, count) in state.alarmed.iter_mut().zip(&mut self.alarms).take(reached) {
                *count += u64::from(*alarmed == 0 || t >= *alarmed + GAP_MINUTES);
                *alarmed = t + 1;
            }
        }
        for (range, index) in self.targets.get(&series).into_iter().flatten() {
            if range.contains(&Minute(t)) {
                for hit in self.hits[*index].iter_mut().take(reached) {
                    hit.get_or_insert(Minute(t));
                }
            }
        }
    }
}

impl State {
    fn new() -> Self {
        State {
            days: [0; DAYS],
            day: 0,
            recent: [(0, 0); WINDOW as usize],
            now: None,
            alarmed: [0; STEPS],
        }
    }

    fn add(&mut self, minute: u32, count: u64) {
        let day = Minute(minute).day();
        self.open(day);
        let sum = &mut self.days[day as usize % DAYS];
        *sum = sum.saturating_add(count);
        let place = &mut self.recent[(minute % WINDOW) as usize];
        if place.0 != minute {
            *place = (minute, 0);
        }
        place.1 = place.1.saturating_add(count);
    }

    /// Forgets the days that are over once `day` has begun.
    fn open(&mut self, day: u32) {
        for gone in (self.day + 1..=day).take(DAYS) {
            self.days[gone as usize % DAYS] = 0;
        }
        if day > self.day + DAYS as u32 {
            self.days = [0; DAYS];
        }
        self.day = self.day.max(day);
    }

    /// Calls of the eight days up to `day`.
    fn sum(&mut self, day: u32) -> u64 {
        self.open(day);
        self.days
            .iter()
            .fold(0, |sum, day| sum.saturating_add(*day))
    }
}
