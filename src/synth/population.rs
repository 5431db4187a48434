//! Who lives in a fleet: for every series its names, its callers and its traffic, by profile.

use std::ops::Range;

use super::calendar::Calendar;
use super::cast::{self, Caller};
use super::fleet::Profile;
use super::recipe::{self, Volume};
use super::script::{self, PARTS, TEXTBOOK_PARTS};
use super::spec::{Errors, Namer, Spec};
use super::traffic::Traffic;
use crate::model::SeriesKey;

/// Calls per minute and series of the bench stream: 1,232,000 events of 1,000 series in 14 days,
/// divided by what the daily and weekly curve leave of it (0.849).
const BENCH_RATE: f64 = 1_232_000.0 / (14.0 * 1440.0 * 1000.0) / 0.849;
/// One data-event series for so many call series, and the share of events they make.
const BENCH_DATA_EVERY: u32 = 25;
const BENCH_DATA_SHARE: f64 = 0.08;
const BENCH_ZIPF: f64 = 1.05;

#[derive(Debug, Default)]
pub(super) struct Population {
    pub specs: Vec<Spec>,
    pub traffics: Vec<Traffic>,
    pub callers: Vec<Caller>,
    /// Accounts that have callers, with the number of the first.
    accounts: Vec<(Box<str>, u32)>,
}

impl Population {
    pub fn new(calendar: &Calendar, profile: Profile, series: u32) -> Self {
        let mut population = Population::default();
        match profile {
            Profile::Fleet => population.add_ordinary(calendar, 0..series, Volume::Full),
            Profile::Bench => population.add_bench(calendar, series),
            Profile::Demo | Profile::Textbook => {
                let parts = match profile {
                    Profile::Demo => PARTS.len() as u32,
                    _ => TEXTBOOK_PARTS as u32,
                };
                population.add_parts(calendar, parts.min(series));
                population.add_ordinary(calendar, parts.min(series)..series, Volume::Light);
            }
        }
        population
    }

    /// Adds a series that nobody calls, to plant on; returns its number.
    pub fn add_silent(&mut self, calendar: &Calendar, key: &SeriesKey) -> u32 {
        let series = self.specs.len() as u32;
        let errors = if key.error_code.is_empty() {
            Errors::None
        } else {
            Errors::Always(key.error_code.clone())
        };
        let api = (&*key.event_source, &*key.event_name);
        let spec = self
            .namer(calendar)
            .named(series, &key.account, &key.region, api, errors);
        self.specs.push(spec);
        self.traffics.push(recipe::silent(calendar, series));
        series
    }

    /// Adds one who makes planted calls on `series`; returns the caller's number.
    pub fn add_planted(&mut self, seed: u64, series: u32, role: &str, agent: &str) -> u32 {
        let account = &self.specs[series as usize].account;
        let caller = cast::planted(seed, account, role, agent);
        self.callers.push(caller);
        self.callers.len() as u32 - 1
    }

    fn add_parts(&mut self, calendar: &Calendar, parts: u32) {
        for series in 0..parts {
            let part = &PARTS[series as usize];
            let spec = self.namer(calendar).named(
                series,
                script::ACCOUNT,
                part.region,
                part.api,
                part.errors(),
            );
            self.specs.push(spec);
            self.traffics.push(part.traffic(calendar, series));
        }
    }

    fn add_ordinary(&mut self, calendar: &Calendar, range: Range<u32>, volume: Volume) {
        for series in range {
            let class = recipe::class_of(calendar, series);
            let spec = self.namer(calendar).ordinary(series, class);
            self.specs.push(spec);
            let traffic = recipe::traffic(calendar, series, class, volume);
            self.traffics.push(traffic);
        }
    }

    fn add_bench(&mut self, calendar: &Calendar, series: u32) {
        let data = series / BENCH_DATA_EVERY;
        let rate = BENCH_RATE * f64::from(series);
        for (ranks, first, share) in [
            (series, 0, 1.0 - BENCH_DATA_SHARE),
            (data, series, BENCH_DATA_SHARE),
        ] {
            let total: f64 = (0..ranks).map(zipf).sum();
            for rank in 0..ranks {
                let number = first + rank;
                let mut namer = self.namer(calendar);
                let spec = if first == 0 {
                    namer.bench(rank)
                } else {
                    namer.data(rank, number)
                };
                self.specs.push(spec);
                let rate = rate * share * zipf(rank) / total;
                let traffic = recipe::steady_rate(calendar, number, rate, 0.5, 1.0);
                self.traffics.push(traffic);
            }
        }
    }

    fn namer<'a>(&'a mut self, calendar: &'a Calendar) -> Namer<'a> {
        Namer {
            calendar,
            callers: &mut self.callers,
            accounts: &mut self.accounts,
        }
    }
}

fn zipf(rank: u32) -> f64 {
    libm::pow(f64::from(rank) + 1.0, -BENCH_ZIPF)
}
