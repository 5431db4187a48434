//! What goes on for hours: slow drops and ramps, which no window of minutes sees.
//!
//! The expectation that minutes are judged by follows the last hours, and so follows a ramp; a
//! series of a call in ten minutes can be silent for an hour by chance. Here the last 4, 12 and 24
//! hours are judged when an hour closes, against what the seasons alone expect, each with a
//! dispersion of its own (reference detection, section 8, items 5 and 9). Their most extreme hour
//! does not count: what happens in one hour is the business of minutes, and jobs of once a week
//! are over in one. It knows nothing of incidents, histories or fleets.

use serde::{Deserialize, Serialize};

use super::invariants::{DERIVED_MAX, are_amounts, require};
use super::recalibration::Frequency;
use super::settings::Tuning;
use super::surprise::{decades, is_notable};
use crate::model::Direction;

/// Hours of the windows; each is a multiple of the one before.
pub const WINDOWS: [u32; 3] = [4, 12, 24];
const HOURS: usize = 24;
/// Calls that a window must expect to be judged, and a day for the series to be followed at all.
const CALLS_MIN: f64 = 10.0;
/// Calls a day below which a series is no longer followed.
const CALLS_KEPT_MIN: f64 = 5.0;
/// Closed hours from which scores are learned from: every hour of the week was seen once.
const SCORED_HOURS: u16 = 168;
/// Closed hours from which an incident may start: and every hour's error, too.
const LEARNED_HOURS: u16 = 336;
/// Half of the dispersion's memory, in hours: a week.
const HALF_LIFE_HOURS: f64 = 168.0;
/// Prior of the dispersions, as of the others (6.3).
const PRIOR_SQUARES: f64 = 15.0;
const PRIOR_CALLS: f64 = 5.0;

/// Hours and errors of one series; nothing for one that hardly flows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slow(Option<Box<Record>>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    /// Hours closed since the series is followed, at most [`LEARNED_HOURS`].
    hours: u16,
    /// Learned and expected calls by hour since the origin, modulo 24.
    seen: [f32; HOURS],
    expected: [f32; HOURS],
    /// Squared errors and expected calls of the blocks as long as the windows, decayed.
    squares: [f64; 3],
    calls: [f64; 3],
    /// Error and expectation of the blocks that are open.
    open_error: [f64; 3],
    open_expected: [f64; 3],
    frequency: Frequency,
    /// Largest surprise of the run of surprising hours that goes on, which teaches once, when it is
    /// over: the windows of neighbouring hours hold the same calls.
    episode: f32,
    /// An incident was open when the last hour that closed began.
    began_in_incident: bool,
}

/// One window of hours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowWindow {
    pub hours: u32,
    /// Learned calls, and the same without the hour that is farthest on their side.
    pub seen: f64,
    pub judged: f64,
    pub expected: f64,
    pub phi: f64,
    pub direction: Direction,
}

impl SlowWindow {
    /// Decades under what the seasons expect.
    pub fn decades(&self) -> f64 {
        if !is_notable(self.judged, self.expected, self.phi) {
            return 0.0;
        }
        decades(self.direction, self.judged, self.expected, self.phi)
    }
}

impl Slow {
    /// Whether the series flows enough to be followed.
    pub fn is_followed(&self) -> bool {
        self.0.is_some()
    }

    /// Takes an hour that closed: what was learned of it, what the seasons expected and what the
    /// flat level expects of a day. `hour` is the one that closed, since the origin.
    pub fn close_hour(&mut self, hour: u32, seen: f64, seasonal: f64, calls_of_day: f64) {
        if self.0.is_none() && calls_of_day >= CALLS_MIN {
            self.0 = Some(Box::default());
        } else if calls_of_day < CALLS_KEPT_MIN {
            self.0 = None;
        }
        let Some(record) = &mut self.0 else { return };
        let at = hour as usize % HOURS;
        record.seen[at] = seen as f32;
        record.expected[at] = seasonal as f32;
        record.hours = (record.hours + 1).min(LEARNED_HOURS);
        for (i, window) in WINDOWS.into_iter().enumerate() {
            record.open_error[i] += seen - seasonal;
            record.open_expected[i] += seasonal;
            if (hour + 1).is_multiple_of(window) {
                let keep = libm::exp2(-f64::from(window) / HALF_LIFE_HOURS);
                let error = std::mem::take(&mut record.open_error[i]);
                let expected = std::mem::take(&mut record.open_expected[i]);
                record.squares[i] = keep * record.squares[i] + error * error;
                record.calls[i] = keep * record.calls[i] + expected;
            }
        }
    }

    /// Forgets all but the score's own memory, for a series that begins anew.
    pub fn begin_anew(&mut self) {
        if let Some(record) = &mut self.0 {
            let frequency = std::mem::take(&mut record.frequency);
            **record = Record {
                frequency,
                ..Record::default()
            };
        }
    }

    /// Lets the last day count as expected: an incident is made of it.
    pub fn forget(&mut self) {
        if let Some(record) = &mut self.0 {
            record.seen = record.expected;
        }
    }

    /// The windows that end with closed hour `hour` and expect enough to be judged.
    pub fn windows(&self, hour: u32) -> impl Iterator<Item = SlowWindow> {
        let record = self.0.as_ref().filter(|one| one.hours >= SCORED_HOURS);
        record.into_iter().flat_map(move |record| {
            let windows = WINDOWS.into_iter().enumerate();
            windows.filter_map(move |(i, hours)| record.window(i, hours, hour))
        })
    }

    /// Whether incidents may start yet.
    pub fn has_learned(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|one| one.hours >= LEARNED_HOURS)
    }

    /// Calls expected of the hours that end with closed hour `hour`, and the dispersion of the
    /// shortest window that holds them.
    pub fn expected(&self, hour: u32, hours: u32) -> Option<(f64, f64)> {
        let record = self.0.as_ref()?;
        let i = WINDOWS.iter().position(|window| *window >= hours)?;
        let at = |back| f64::from(record.expected[(hour - back) as usize % HOURS]);
        let expected = (0..hours.min(hour + 1)).map(at).sum();
        Some((expected, record.phi(i)))
    }

    /// Hours of the shortest window that expects enough to be judged.
    pub fn shortest_told(&self, hour: u32) -> Option<u32> {
        let tells = |hours: &u32| {
            let expected = self.expected(hour, *hours);
            expected.is_some_and(|(calls, _)| calls >= CALLS_MIN)
        };
        WINDOWS.into_iter().find(tells)
    }

    /// Learns the surprise of the hour that closed, and returns what it is worth: decades per
    /// series-hour, by the series' own slow hours (6.5).
    pub fn score(&mut self, surprise: f64, in_incident: bool, tuning: &Tuning) -> f64 {
        let Some(record) = &mut self.0 else {
            return 0.0;
        };
        if record.hours < SCORED_HOURS {
            return 0.0;
        }
        let z = record.frequency.z(surprise, tuning);
        if !std::mem::replace(&mut record.began_in_incident, in_incident) {
            let mut over = 0.0;
            if surprise > tuning.exceedance {
                record.episode = record.episode.max(surprise as f32);
            } else {
                over = std::mem::take(&mut record.episode);
            }
            record.frequency.learn(f64::from(over), tuning);
        }
        z
    }

    pub fn check(&self) -> Result<(), String> {
        let Some(record) = &self.0 else { return Ok(()) };
        require(
            record.hours <= LEARNED_HOURS,
            "hours",
            "they are two weeks at most",
        )?;
        let calls = record.seen.iter().chain(&record.expected).copied();
        require(are_amounts(calls, DERIVED_MAX), "seen", "they are amounts")?;
        require(
            are_amounts([record.episode], f64::MAX),
            "episode",
            "it is a surprise",
        )?;
        let sums = record.squares.iter().chain(&record.calls);
        let sums = sums.chain(&record.open_expected).copied();
        let errors = record.open_error.iter().map(|error| error.abs());
        let mut all = sums.chain(errors);
        require(
            all.all(|sum| (0.0..=1e60).contains(&sum)),
            "squares",
            "they are amounts",
        )?;
        record.frequency.check()
    }

    pub fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |_| size_of::<Record>())
    }
}

impl Record {
    fn phi(&self, i: usize) -> f64 {
        ((self.squares[i] + PRIOR_SQUARES) / (self.calls[i] + PRIOR_CALLS)).max(1.0)
    }

    fn window(&self, i: usize, hours: u32, hour: u32) -> Option<SlowWindow> {
        let (mut seen, mut expected) = (0.0, 0.0);
        let (mut most, mut least) = (0.0_f64, 0.0_f64);
        for back in 0..hours.min(hour + 1) {
            let at = (hour - back) as usize % HOURS;
            let (calls, mean) = (f64::from(self.seen[at]), f64::from(self.expected[at]));
            seen += calls;
            expected += mean;
            most = most.max(calls - mean);
            least = least.min(calls - mean);
        }
        let direction = if seen < expected {
            Direction::Down
        } else {
            Direction::Up
        };
        let (judged, is_left) = match direction {
            Direction::Up => (seen - most, seen - most > expected),
            Direction::Down => (seen - least, seen - least < expected),
        };
        (expected >= CALLS_MIN && is_left).then(|| SlowWindow {
            hours,
            seen,
            judged,
            expected,
            phi: self.phi(i),
            direction,
        })
    }
}

#[cfg(test)]
#[path = "slow_tests.rs"]
mod tests;
