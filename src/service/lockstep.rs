//! Parts of one run in threads of their own, which meet wherever a threshold is needed.
//!
//! A threshold follows from the reports of all parts, so each waits there for the others. What is
//! said is that of one part of all series, whichever thread comes last.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::detect::fleet::{HourReport, Thresholds};
use crate::tuning::part_run::{Fitted, ThresholdSource};

/// Where parts meet.
pub struct Lockstep<'a> {
    meeting: Mutex<Meeting<'a>>,
    said: Condvar,
}

struct Meeting<'a> {
    fitted: Fitted<'a>,
    /// Parts that run.
    seats: usize,
    /// Those of them that wait for the thresholds of `hour`.
    waiting: usize,
    hour: u32,
    /// What they report, by hour.
    reports: BTreeMap<u32, HourReport>,
    /// How often thresholds were said, and what last.
    round: u64,
    thresholds: Thresholds,
    /// A part has panicked: no sum is whole any more, and nobody is to wait.
    is_broken: bool,
}

/// A part's place, which nobody waits for once it is given up.
pub struct Seat<'l, 'a>(&'l Lockstep<'a>);

impl<'a> Lockstep<'a> {
    pub fn new(fitted: Fitted<'a>) -> Self {
        Lockstep {
            meeting: Mutex::new(Meeting {
                fitted,
                seats: 0,
                waiting: 0,
                hour: 0,
                reports: BTreeMap::new(),
                round: 0,
                thresholds: Thresholds::fixed(&[]),
                is_broken: false,
            }),
            said: Condvar::new(),
        }
    }

    /// A place for a part; all have to be taken before one of them runs.
    pub fn seat(&self) -> Seat<'_, 'a> {
        self.meeting().seats += 1;
        Seat(self)
    }

    /// What was said to all.
    pub fn into_fitted(self) -> Fitted<'a> {
        let meeting = self.meeting.into_inner();
        meeting.unwrap_or_else(PoisonError::into_inner).fitted
    }

    fn meeting(&self) -> MutexGuard<'_, Meeting<'a>> {
        self.meeting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meeting<'_> {
    /// Says the thresholds once all wait for them; whether it did.
    fn say(&mut self) -> bool {
        let all_wait = self.waiting > 0 && self.waiting == self.seats;
        if all_wait {
            let reports = std::mem::take(&mut self.reports).into_iter().collect();
            self.thresholds = self.fitted.in_force(self.hour, reports);
            self.waiting = 0;
            self.round += 1;
        }
        all_wait
    }
}

impl ThresholdSource for Seat<'_, '_> {
    fn in_force(&mut self, hour: u32, reports: Vec<(u32, HourReport)>) -> Thresholds {
        let mut meeting = self.0.meeting();
        for (hour, report) in reports {
            *meeting.reports.entry(hour).or_default() += &report;
        }
        assert!(!meeting.is_broken, "another part has panicked");
        let is_one = meeting.waiting == 0 || meeting.hour == hour;
        assert!(
            is_one,
            "parts are asked for every hour, none leaves one out"
        );
        meeting.hour = hour;
        meeting.waiting += 1;
        let round = meeting.round;
        if meeting.say() {
            self.0.said.notify_all();
        }
        while meeting.round == round {
            assert!(!meeting.is_broken, "another part has panicked");
            let waited = self.0.said.wait(meeting);
            meeting = waited.unwrap_or_else(PoisonError::into_inner);
        }
        meeting.thresholds.clone()
    }
}

impl Drop for Seat<'_, '_> {
    fn drop(&mut self) {
        let mut meeting = self.0.meeting();
        meeting.seats -= 1;
        meeting.is_broken |= std::thread::panicking();
        if meeting.is_broken || meeting.say() {
            self.0.said.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::detect::DetectSettings;

    #[test]
    fn nobody_waits_for_a_part_that_panicked() {
        let lockstep = Lockstep::new(Fitted::new(&DetectSettings::default(), &[]));
        let (mut waits, panics) = (lockstep.seat(), lockstep.seat());
        thread::scope(|scope| {
            let waits = scope.spawn(move || waits.in_force(3, Vec::new()));
            let panics = scope.spawn(move || {
                let _seat = panics;
                panic!("as a fault would");
            });
            assert!(panics.join().is_err());
            assert!(
                waits.join().is_err(),
                "no thresholds are said of a part of the sum"
            );
        });
    }
}
