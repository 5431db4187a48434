//! A fleet of synthetic series: planned once, then counted out day by day.
//!
//! Planning runs every series alone through all its days to place incidents and to find neutral
//! hours, and keeps nothing else; counting then repeats the same random numbers. So memory is
//! that of one day's non-zero counts, however long the traffic.

use std::ops::Range;

use super::calendar::{Calendar, DAY};
use super::day::{Cell, Day};
use super::label::{Label, Neutral};
use super::plant::{Plant, Split};
use super::population::Population;
use super::traffic::Canvas;
use crate::model::Minute;

/// What kind of fleet to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The detection bench: eight classes at full volume, three incidents a series.
    Fleet,
    /// Ordinary traffic at low volume with a few named incidents.
    Demo,
    /// The throughput bench: Zipf rates, 5 % errors, nothing planted.
    Bench,
    /// Ordinary traffic with the three textbook cases.
    Textbook,
}

/// All that a fleet follows from.
#[derive(Clone, Debug)]
pub struct FleetSettings {
    pub profile: Profile,
    pub days: u32,
    pub series: u32,
    pub seed: u64,
    /// First minute; on a whole UTC hour.
    pub start: Minute,
    /// Plant exactly these in place of the profile's own.
    pub inject: Option<Vec<Label>>,
}

/// Default start: Monday, 2026-01-05T00:00:00Z.
pub const START: Minute = Minute(29_459_520);

/// Ordinary traffic of many series with what is planted on it.
pub struct Fleet {
    pub(super) calendar: Calendar,
    pub(super) profile: Profile,
    pub(super) population: Population,
    /// By series, then start.
    pub(super) plants: Vec<Plant>,
    /// Hours since the start, by series.
    pub(super) neutral: Vec<(u32, Range<u32>)>,
    pub(super) canvas: Canvas,
    cells: Vec<(u16, Cell)>,
}

impl Profile {
    /// (days, series) unless told otherwise.
    pub fn defaults(self) -> (u32, u32) {
        match self {
            Profile::Fleet => (28, 600),
            Profile::Demo | Profile::Textbook => (14, 160),
            Profile::Bench => (14, 1000),
        }
    }
}

impl Fleet {
    /// Plans a fleet; the error says what is wrong with the settings.
    pub fn new(settings: &FleetSettings) -> Result<Self, String> {
        check(settings)?;
        let is_ordinary = matches!(settings.profile, Profile::Demo | Profile::Textbook);
        let calendar = Calendar {
            seed: settings.seed,
            start: settings.start,
            days: settings.days,
            is_ordinary,
        };
        let mut fleet = Fleet {
            population: Population::new(&calendar, settings.profile, settings.series),
            calendar,
            profile: settings.profile,
            plants: Vec::new(),
            neutral: Vec::new(),
            canvas: Canvas::new(),
            cells: Vec::new(),
        };
        fleet.plan(settings.inject.as_deref())?;
        Ok(fleet)
    }

    /// The same traffic with nothing planted.
    pub fn clean(mut self) -> Self {
        self.plants.clear();
        self
    }

    /// What is planted, by time.
    pub fn labels(&self) -> Vec<Label> {
        let mut plants: Vec<&Plant> = self.plants.iter().collect();
        plants.sort_by_key(|plant| (plant.start, plant.series));
        plants.into_iter().map(|plant| self.label(plant)).collect()
    }

    pub(super) fn label(&self, plant: &Plant) -> Label {
        Label {
            series: self.population.specs[plant.series as usize].key(),
            start: self.minute(plant.start),
            end: self.minute(plant.end),
            kind: plant.kind,
        }
    }

    /// Hours in which traffic does something unprecedented by itself, by series.
    pub fn neutral(&self) -> Vec<Neutral> {
        let first = self.calendar.start.0 / 60;
        let to_neutral = |(series, hours): &(u32, Range<u32>)| Neutral {
            series: self.population.specs[*series as usize].key(),
            hours: first + hours.start..first + hours.end,
        };
        self.neutral.iter().map(to_neutral).collect()
    }

    /// Number of minutes that were planned.
    pub fn minutes(&self) -> u32 {
        self.calendar.days * DAY
    }

    pub(super) fn minute(&self, t: u32) -> Minute {
        Minute(self.calendar.start.0 + t)
    }

    /// Counts out the next day into `day`.
    pub(super) fn next_day(&mut self, day: &mut Day) {
        self.cells.clear();
        for series in 0..self.population.traffics.len() as u32 {
            let traffic = &mut self.population.traffics[series as usize];
            let day_start = traffic.day * DAY;
            traffic.next_day(&self.calendar, &mut self.canvas);
            self.count_out(series, day_start);
        }
        self.canvas.neutral.clear();
        day.sort_in(&self.cells);
    }

    /// The cells of the day on the canvas, with what is planted.
    fn count_out(&mut self, series: u32, day_start: u32) {
        let first = self.plants.partition_point(|plant| plant.series < series);
        let after = self.plants.partition_point(|plant| plant.series <= series);
        for (minute, count) in self.canvas.counts[..DAY as usize].iter().enumerate() {
            let t = day_start + minute as u32;
            let mut cell = Cell {
                series,
                split: Split {
                    ordinary: *count,
                    planted: 0,
                },
                caller: 0,
            };
            for plant in &self.plants[first..after] {
                if t >= plant.start && t < plant.end {
                    let split = plant.apply(self.calendar.seed, t, cell.split.ordinary);
                    cell.split.ordinary = split.ordinary;
                    cell.split.planted += split.planted;
                    cell.caller = plant.caller;
                }
            }
            if cell.split.ordinary + cell.split.planted > 0 {
                self.cells.push((minute as u16, cell));
            }
        }
    }
}

fn check(settings: &FleetSettings) -> Result<(), String> {
    let FleetSettings {
        days,
        series,
        start,
        ..
    } = settings;
    if start.0 % 60 != 0 {
        return Err(format!("start {start} is not on a whole hour"));
    }
    if !(1..=3660).contains(days) {
        return Err(format!("{days} days; from 1 to 3660 can be made"));
    }
    if !(1..=5_000_000).contains(series) {
        return Err(format!("{series} series; from 1 to 5000000 can be made"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
