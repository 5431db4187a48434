//! Synthetic traffic as rates CSV: what the default settings count of the same events.

use super::calendar::DAY;
use super::day::{Cell, Day};
use super::fleet::Fleet;
use super::label::put;
use super::spec::Errors;

pub const RATES_HEADER: &str = "time,account,region,event_source,event_name,error_code,count";

/// Produces rows minute by minute, by time, then series.
pub struct RateRows {
    fleet: Fleet,
    day: Day,
    t: u32,
    /// `account,region,event_source,event_name,` of each series.
    keys: Vec<Vec<u8>>,
}

impl RateRows {
    pub fn new(fleet: Fleet) -> Self {
        let keys = fleet.population.specs.iter().map(|spec| {
            let mut key = Vec::new();
            put(
                &mut key,
                format_args!(
                    "{},{},{},{},",
                    spec.account, spec.region, spec.event_source, spec.event_name
                ),
            );
            key
        });
        RateRows {
            keys: keys.collect(),
            fleet,
            day: Day::default(),
            t: 0,
        }
    }

    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    pub fn minutes_done(&self) -> u32 {
        self.t
    }

    /// Appends the next minute's rows, before the first the header; false at the end.
    pub fn next_minute(&mut self, out: &mut Vec<u8>) -> bool {
        if self.t == self.fleet.minutes() {
            return false;
        }
        if self.t == 0 {
            put(out, format_args!("{RATES_HEADER}\n"));
        }
        if self.t.is_multiple_of(DAY) {
            self.fleet.next_day(&mut self.day);
        }
        let time = self.fleet.minute(self.t).to_string();
        for cell in self.day.minute(self.t % DAY) {
            self.rows(cell, &time, out);
        }
        self.t += 1;
        true
    }

    fn rows(&self, cell: &Cell, time: &str, out: &mut Vec<u8>) {
        let spec = &self.fleet.population.specs[cell.series as usize];
        let count = cell.split.ordinary + cell.split.planted;
        let key = &self.keys[cell.series as usize];
        if spec.counts_calls() {
            row(out, time, key, "", count);
        }
        if spec.resource.is_some() {
            return;
        }
        match &spec.errors {
            Errors::None => {}
            Errors::Always(code) => row(out, time, key, code, count),
            Errors::Share(..) => {
                let seed = self.fleet.calendar.seed;
                let mut codes: Vec<(&str, u32)> = Vec::new();
                for number in 0..count {
                    let code = spec.error(seed, cell.series, self.t, number);
                    match codes.iter_mut().find(|(known, _)| *known == code) {
                        _ if code.is_empty() => {}
                        Some((_, errors)) => *errors += 1,
                        None => codes.push((code, 1)),
                    }
                }
                for (code, errors) in codes {
                    row(out, time, key, code, errors);
                }
            }
        }
    }
}

fn row(out: &mut Vec<u8>, time: &str, key: &[u8], code: &str, count: u32) {
    out.extend_from_slice(time.as_bytes());
    out.push(b',');
    out.extend_from_slice(key);
    out.extend_from_slice(code.as_bytes());
    out.push(b',');
    super::parameters::digits(out, count);
    out.push(b'\n');
}
