//! Synthetic traffic as CloudTrail records in the order in which they arrive.
//!
//! Most events arrive within half a minute, some minutes later, all within the lateness that a
//! trail needs; one in two thousand arrives twice. Ten minutes of events wait in memory as
//! places in the traffic; text is made when an event arrives.

use super::calendar::{DAY, stream};
use super::day::{Cell, Day};
use super::fleet::{Fleet, Profile};
use super::random::Random;
use super::record::{self, RecordFields, RecordSize};

/// Minutes over which arrivals are spread, the event's own included.
const OPEN_MINUTES: usize = 11;
const DUPLICATE_EVERY: u32 = 2000;

/// One event that has not arrived yet.
#[derive(Clone, Copy, Debug)]
struct Event {
    series: u32,
    /// Minutes since the start.
    t: u32,
    /// Number among the events of the series in this minute, ordinary ones first.
    number: u32,
    /// Number of the caller, if planted.
    planted: Option<u32>,
    second: u8,
    arrival_second: u8,
}

/// Produces records minute by minute of arrival.
pub struct Arrivals {
    fleet: Fleet,
    day: Day,
    /// Next minute of event time to count out.
    t: u32,
    /// Events by minute of arrival modulo the length.
    open: Vec<Vec<Event>>,
    /// `2026-01-05T00:00:` by minute of event time modulo the length.
    prefixes: Vec<String>,
    size: RecordSize,
    delay_seconds_max: u32,
}

impl Arrivals {
    pub fn new(fleet: Fleet) -> Self {
        let (size, delay_seconds_max) = match fleet.profile {
            Profile::Bench => (RecordSize::Trail, 590),
            Profile::Fleet | Profile::Textbook => (RecordSize::Lean, 590),
            // The demo's live part shall not wait ten minutes for stragglers.
            Profile::Demo => (RecordSize::Lean, 50),
        };
        Arrivals {
            fleet,
            day: Day::default(),
            t: 0,
            open: vec![Vec::new(); OPEN_MINUTES],
            prefixes: vec![String::new(); OPEN_MINUTES],
            size,
            delay_seconds_max,
        }
    }

    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    pub(super) fn fleet_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    /// Minutes of arrival that are written.
    pub fn minutes_done(&self) -> u32 {
        self.t
    }

    /// Appends the records that arrive in the next minute, as long as there are any planned;
    /// false when everything has arrived.
    pub fn next_minute(&mut self, out: &mut Vec<u8>) -> bool {
        let planned = self.fleet.minutes();
        if self.t < planned {
            self.live_minute(out);
            return true;
        }
        if self.t >= planned + OPEN_MINUTES as u32 {
            return false;
        }
        self.deliver(out);
        true
    }

    /// As [`Self::next_minute`], but traffic goes on for ever.
    pub fn live_minute(&mut self, out: &mut Vec<u8>) {
        if self.t.is_multiple_of(DAY) {
            self.fleet.next_day(&mut self.day);
        }
        let prefix = &mut self.prefixes[self.t as usize % OPEN_MINUTES];
        *prefix = self.fleet.minute(self.t).to_string();
        prefix.truncate("2026-01-05T00:00:".len());
        for index in 0..self.day.minute(self.t % DAY).len() {
            let cell = self.day.minute(self.t % DAY)[index];
            self.open_cell(&cell);
        }
        self.deliver(out);
    }

    /// Draws when the events of one cell happen and arrive.
    fn open_cell(&mut self, cell: &Cell) {
        let keys = [
            stream::EVENT,
            u64::from(cell.series),
            u64::from(self.t),
            u64::MAX,
        ];
        let mut random = Random::keyed(self.fleet.calendar.seed, &keys);
        for number in 0..cell.split.ordinary + cell.split.planted {
            let second = random.below(60);
            let mut event = Event {
                series: cell.series,
                t: self.t,
                number,
                planted: (number >= cell.split.ordinary).then_some(cell.caller),
                second: second as u8,
                arrival_second: 0,
            };
            let copies = 1 + u32::from(random.below(DUPLICATE_EVERY) == 0);
            for _ in 0..copies {
                let arrival = second + delay(&mut random, self.delay_seconds_max);
                event.arrival_second = (arrival % 60) as u8;
                let minute = (self.t + arrival / 60) as usize % OPEN_MINUTES;
                self.open[minute].push(event);
            }
        }
    }

    /// Writes what arrives in minute `t`, by second of arrival.
    fn deliver(&mut self, out: &mut Vec<u8>) {
        let slot = self.t as usize % OPEN_MINUTES;
        let mut events = std::mem::take(&mut self.open[slot]);
        events.sort_by_key(|event| event.arrival_second);
        for event in &events {
            self.write(event, out);
        }
        events.clear();
        self.open[slot] = events;
        self.t += 1;
    }

    fn write(&self, event: &Event, out: &mut Vec<u8>) {
        let fleet = &self.fleet;
        let seed = fleet.calendar.seed;
        let keys = [
            stream::EVENT,
            u64::from(event.series),
            u64::from(event.t),
            u64::from(event.number) << 1 | u64::from(event.planted.is_some()),
        ];
        let mut random = Random::keyed(seed, &keys);
        let spec = &fleet.population.specs[event.series as usize];
        let caller = match event.planted {
            Some(caller) => caller,
            None => {
                // The first of a series' callers makes most of its calls.
                let place = random.unit() * random.unit();
                spec.callers[(place * spec.callers.len() as f64) as usize]
            }
        };
        let fields = RecordFields {
            spec,
            caller: &fleet.population.callers[caller as usize],
            error_code: spec.error(seed, event.series, event.t, event.number),
            minute: &self.prefixes[event.t as usize % OPEN_MINUTES],
            second: u32::from(event.second),
            size: self.size,
        };
        record::write(out, &fields, &mut random);
    }
}

/// Seconds between an event and its arrival: four of five below half a minute.
fn delay(random: &mut Random, seconds_max: u32) -> u32 {
    let place = random.unit();
    if random.below(5) > 0 {
        return (place * 30.0) as u32;
    }
    (place * place * f64::from(seconds_max)) as u32
}
