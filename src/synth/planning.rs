//! Planning a fleet: which incidents are planted where, and which hours are neutral.

use std::ops::Range;

use super::calendar::{DAY, stream};
use super::fleet::{Fleet, Profile};
use super::label::{Label, PlantKind};
use super::plant::{self, Plant};
use super::random::Random;
use super::script::{SCENES, TEXTBOOK_SCENES};
use super::spec::Spec;
use crate::model::SeriesKey;

impl Fleet {
    /// Places `labels`, or without them what the profile plants by itself.
    pub(super) fn plan(&mut self, labels: Option<&[Label]>) -> Result<(), String> {
        match labels {
            Some(labels) => self.request_labels(labels)?,
            None => self.request_scenes(),
        }
        if self.profile == Profile::Bench && self.plants.is_empty() {
            return Ok(());
        }
        let places_bench = self.profile == Profile::Fleet && labels.is_none();
        for series in 0..self.population.specs.len() as u32 {
            let (counts, neutral) = self.whole(series);
            for plant in self.plants.iter_mut() {
                if plant.series == series {
                    plant.level = plant::level(&counts, plant.start);
                }
            }
            if places_bench {
                let caller = self.add_caller(series, "planted-by-bench", "planted-by-bench/1.0");
                let seed = self.calendar.seed;
                let plants = plant::bench_plants(seed, series, &counts, &neutral, caller);
                self.plants.extend(plants);
            }
            let neutral = neutral.into_iter().map(|hours| (series, hours));
            self.neutral.extend(neutral);
        }
        Ok(())
    }

    /// Plants on one series; `range` in minutes since the start.
    pub(super) fn request(&mut self, series: u32, range: Range<u32>, kind: PlantKind, caller: u32) {
        let plant = Plant {
            series,
            start: range.start,
            end: range.end,
            kind,
            level: 0.0,
            caller,
        };
        let place = |other: &Plant| (other.series, other.start) <= (series, range.start);
        let at = self.plants.partition_point(place);
        self.plants.insert(at, plant);
    }

    pub(super) fn add_caller(&mut self, series: u32, role: &str, agent: &str) -> u32 {
        let seed = self.calendar.seed;
        self.population.add_planted(seed, series, role, agent)
    }

    /// Plants what the profile tells by name, as far as its series and days exist.
    fn request_scenes(&mut self) {
        let scenes = match self.profile {
            Profile::Demo => SCENES.len(),
            Profile::Textbook => TEXTBOOK_SCENES,
            Profile::Fleet | Profile::Bench => 0,
        };
        let mut random = Random::keyed(self.calendar.seed, &[stream::PLANTS]);
        for scene in &SCENES[..scenes] {
            let start = scene.start(&mut random);
            let end = start + scene.minutes;
            if (scene.part as usize) < self.population.specs.len() && end < self.minutes() {
                let caller = self.add_caller(scene.part, scene.role, scene.agent);
                self.request(scene.part, start..end, scene.kind, caller);
            }
        }
    }

    /// Plants labels from outside; a series that is not there is added, otherwise silent.
    fn request_labels(&mut self, labels: &[Label]) -> Result<(), String> {
        let mut keys: Vec<SeriesKey> = self.population.specs.iter().map(Spec::key).collect();
        let (start, end) = (self.calendar.start, self.minute(self.minutes()));
        for label in labels {
            if label.start < start || label.end > end {
                return Err(format!(
                    "{} {}: {} to {} lies outside of {start} to {end}",
                    label.series, label.kind, label.start, label.end
                ));
            }
            let known = keys.iter().position(|key| *key == label.series);
            let series = match known {
                Some(series) => series as u32,
                None => {
                    keys.push(label.series.clone());
                    self.population.add_silent(&self.calendar, &label.series)
                }
            };
            let caller = self.add_caller(series, "planted-by-label", "planted-by-label/1.0");
            let range = label.start.0 - start.0..label.end.0 - start.0;
            self.request(series, range, label.kind, caller);
        }
        Ok(())
    }

    /// All counts of one series, and its neutral hours, merged and in order.
    fn whole(&mut self, series: u32) -> (Vec<u32>, Vec<Range<u32>>) {
        let mut traffic = self.population.traffics[series as usize].clone();
        let mut counts = Vec::with_capacity(self.minutes() as usize);
        self.canvas.neutral.clear();
        for _ in 0..self.calendar.days {
            traffic.next_day(&self.calendar, &mut self.canvas);
            counts.extend_from_slice(&self.canvas.counts[..DAY as usize]);
        }
        let hours = std::mem::take(&mut self.canvas.neutral);
        (counts, merged(hours, self.calendar.days * 24))
    }
}

/// Ranges of hours before `last`, in order, those that touch made one.
fn merged(mut hours: Vec<Range<u32>>, last: u32) -> Vec<Range<u32>> {
    hours.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u32>> = Vec::new();
    for range in hours {
        let range = range.start..range.end.min(last);
        match merged.last_mut() {
            _ if range.is_empty() => {}
            Some(before) if range.start <= before.end => before.end = before.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
