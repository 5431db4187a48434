//! The demo's story: two weeks of CloudTrail records with a few named incidents among ordinary
//! traffic, then an endless live continuation with an incident every now and then.

use super::arrivals::Arrivals;
use super::calendar::DAY;
use super::fleet::{Fleet, FleetSettings, Profile};
use super::label::{Label, PlantKind};
use super::script::SCENES;
use crate::model::{Minute, SeriesKey};

/// Days of history before the live part.
const DAYS: u32 = 14;
/// Live incidents: part of the cast, minutes after the live part or the former round began,
/// length, kind. Parts that the history did not use up as precedents come first.
const LIVE: [(u32, u32, u32, PlantKind); 3] = [
    (0, 4, 8, PlantKind::Rate(120.0)),
    (3, 35, 10, PlantKind::Novel(15.0)),
    (1, 70, 12, PlantKind::Drop(0.0)),
];
/// A round of live incidents; long enough that none continues the former.
const LIVE_ROUND: u32 = 7 * 60;

/// Two weeks of history, then live minutes for ever.
pub struct Demo {
    arrivals: Arrivals,
    incidents: Vec<DemoIncident>,
}

/// One row of the table of what was planted.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoIncident {
    /// What happens, in words.
    pub title: &'static str,
    pub label: Label,
    /// The identity that makes it, as attributions name it; empty for a drop.
    pub identity: String,
}

impl Demo {
    /// A demo whose history begins at `start`, which is on a whole hour.
    pub fn new(seed: u64, start: Minute) -> Result<Self, String> {
        let (_, series) = Profile::Demo.defaults();
        let settings = FleetSettings {
            profile: Profile::Demo,
            days: DAYS,
            series,
            seed,
            start,
            inject: None,
        };
        let fleet = Fleet::new(&settings)?;
        let mut incidents: Vec<DemoIncident> = Vec::new();
        for scene in &SCENES {
            let plant = fleet.plants.iter().find(|p| p.series == scene.part);
            let plant = plant.expect("every scene of the demo lies in its two weeks");
            let caller = &fleet.population.callers[plant.caller as usize];
            let identity = match plant.kind {
                PlantKind::Drop(_) => String::new(),
                _ => format!(
                    "arn:aws:sts::{}:assumed-role/{}",
                    caller.account, caller.name
                ),
            };
            incidents.push(DemoIncident {
                title: scene.title,
                label: fleet.label(plant),
                identity,
            });
        }
        incidents.sort_by_key(|incident| incident.label.start);
        Ok(Demo {
            arrivals: Arrivals::new(fleet),
            incidents,
        })
    }

    /// What is planted in the history, by time.
    pub fn incidents(&self) -> &[DemoIncident] {
        &self.incidents
    }

    /// All series, the planted ones first.
    pub fn series(&self) -> Vec<SeriesKey> {
        let specs = &self.arrivals.fleet().population.specs;
        specs.iter().map(|spec| spec.key()).collect()
    }

    /// First minute of the live part.
    pub fn live_from(&self) -> Minute {
        self.arrivals.fleet().minute(DAYS * DAY)
    }

    /// Minutes of the history: written so far, and in all.
    pub fn progress(&self) -> (u32, u32) {
        let all = DAYS * DAY;
        (self.arrivals.minutes_done().min(all), all)
    }

    /// Appends the next hour of the history as NDJSON; false when the history is over.
    pub fn next_hour(&mut self, out: &mut Vec<u8>) -> bool {
        for _ in 0..60 {
            if self.arrivals.minutes_done() >= DAYS * DAY {
                return false;
            }
            self.arrivals.live_minute(out);
        }
        true
    }

    /// Appends the records of one more minute of event time, which is returned. Records of the
    /// minute before may be among them, none older.
    pub fn live_minute(&mut self, out: &mut Vec<u8>) -> Minute {
        let t = self.arrivals.minutes_done();
        if t.is_multiple_of(DAY) || t == DAYS * DAY {
            self.plan_live_day(t);
        }
        self.arrivals.live_minute(out);
        self.arrivals.fleet().minute(t)
    }

    /// Live incidents that begin within the day from `t` on.
    fn plan_live_day(&mut self, t: u32) {
        let fleet = self.arrivals.fleet_mut();
        let live_from = DAYS * DAY;
        let day = t..t + DAY;
        for round in (t - live_from) / LIVE_ROUND..=(t - live_from + DAY) / LIVE_ROUND {
            for (part, after, minutes, kind) in LIVE {
                let start = live_from + round * LIVE_ROUND + after;
                if day.contains(&start) {
                    let known = fleet.plants.iter().find(|p| p.series == part);
                    let caller = known
                        .expect("live incidents happen on planted parts")
                        .caller;
                    fleet.request(part, start..start + minutes, kind, caller);
                }
            }
        }
    }
}
