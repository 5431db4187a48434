//! The counts per minute of one series, day after day, in the memory of one day.
//!
//! A series is a sum of parts (a steady level, a schedule, sessions at random times, background),
//! each with random numbers of its own, so that a day can be written knowing only where each
//! part stands. It knows nothing of names, of events or of what is planted on top.

use std::ops::Range;

use super::calendar::{Calendar, DAY, Deployment, WEEK};
use super::level::Level;
use super::random::Random;
use super::schedule::Schedule;
use super::sessions::Sessions;

/// Longest burst (240 minutes) plus jitter, lookahead and lateness, rounded up.
const OVERHANG: usize = 288;
/// Mean minutes between two minutes of which calls come late.
const LATE_GAP: f64 = 500.0;
/// Ends of deployments and of births are neutral for as long as an explanation may need.
const BIRTH_NEUTRAL_HOURS: u32 = 26;

#[derive(Clone, Debug)]
pub(super) struct Traffic {
    pub level: Option<Level>,
    pub schedule: Option<Schedule>,
    pub sessions: Option<Sessions>,
    pub background: Background,
    pub deployed: Option<Deployed>,
    /// Nothing happens before this minute; above 0 the series is new in the fleet.
    pub born: u32,
    pub late: Late,
    /// First day that `next_day` has not written.
    pub day: u32,
    /// Counts of minutes of the next day, as (minute of that day, count).
    pub carry: Vec<(u16, u32)>,
    pub is_seen: bool,
}

/// Single calls at random times.
#[derive(Clone, Debug)]
pub(super) struct Background {
    /// Calls per minute; 0 for none.
    pub rate: f64,
    /// Calls that come at once.
    pub fan: u32,
    pub next: f64,
    pub random: Random,
}

/// How a series behaves while its group deploys.
#[derive(Clone, Debug)]
pub(super) struct Deployed {
    pub group: u32,
    /// Additional calls per minute; a level multiplies instead.
    pub calls: f64,
    pub last: Option<u32>,
    pub random: Random,
}

/// Now and then a part of a minute's calls is recorded one to three minutes later.
#[derive(Clone, Debug)]
pub(super) struct Late {
    pub next: f64,
    pub random: Random,
}

/// Room to write one day in: counts by minute of the day, and neutral hours since the start.
#[derive(Debug)]
pub(super) struct Canvas {
    pub counts: Vec<u32>,
    pub neutral: Vec<Range<u32>>,
}

impl Canvas {
    pub fn new() -> Self {
        Canvas {
            counts: vec![0; DAY as usize + OVERHANG],
            neutral: Vec::new(),
        }
    }
}

impl Traffic {
    /// Writes the next day's counts to `canvas.counts[0 .. 1440]`; adds its neutral hours.
    pub fn next_day(&mut self, calendar: &Calendar, canvas: &mut Canvas) {
        let day = self.day;
        let counts = &mut canvas.counts;
        counts.fill(0);
        for (minute, count) in self.carry.drain(..) {
            counts[usize::from(minute)] = count;
        }
        let deployments = match &mut self.deployed {
            Some(deployed) => deployed.on(calendar, day, &mut canvas.neutral),
            None => Vec::new(),
        };
        if let Some(level) = &mut self.level {
            level.fill(calendar, day, &deployments, counts);
        } else if let Some(deployed) = &mut self.deployed {
            deployed.fill(day, &deployments, counts);
        }
        if let Some(schedule) = &mut self.schedule {
            schedule.fill(calendar, day, counts);
        }
        if let Some(sessions) = &mut self.sessions {
            sessions.fill(calendar, day, counts, &mut canvas.neutral);
        }
        self.background.fill(day, counts);
        self.late.fill(day, counts);
        if self.born > 0 {
            self.be_born(day, canvas);
        }
        for (minute, count) in canvas.counts[DAY as usize..].iter().enumerate() {
            if *count > 0 {
                self.carry.push((minute as u16, *count));
            }
        }
        self.day += 1;
    }

    /// Silences what lies before the birth; the first day of life is neutral.
    fn be_born(&mut self, day: u32, canvas: &mut Canvas) {
        let day_start = day * DAY;
        let counts = &mut canvas.counts;
        if day_start + DAY <= self.born {
            counts.fill(0);
            return;
        }
        let unborn = self.born.saturating_sub(day_start) as usize;
        counts[..unborn].fill(0);
        if unborn > 0 || day_start == self.born {
            let hour = self.born / 60;
            canvas.neutral.push(hour..hour + BIRTH_NEUTRAL_HOURS);
        }
        let first = counts[..DAY as usize].iter().position(|count| *count > 0);
        if let (false, Some(first)) = (self.is_seen, first) {
            self.is_seen = true;
            let hour = (day_start + first as u32) / 60;
            canvas.neutral.push(hour..hour + BIRTH_NEUTRAL_HOURS);
        }
    }
}

impl Background {
    fn fill(&mut self, day: u32, counts: &mut [u32]) {
        if self.rate <= 0.0 {
            return;
        }
        let day_start = f64::from(day * DAY);
        while self.next < day_start + f64::from(DAY) {
            counts[(self.next - day_start) as usize] += self.fan;
            self.next += self.random.exponential(1.0 / self.rate);
        }
    }
}

impl Deployed {
    /// The deployments of a day. One without another in the week before is unprecedented.
    fn on(
        &mut self,
        calendar: &Calendar,
        day: u32,
        neutral: &mut Vec<Range<u32>>,
    ) -> Vec<Deployment> {
        let mut deployments = calendar.deployments(self.group, day);
        deployments.retain(|deployment| {
            let start = deployment.start;
            let is_new = self.last.is_none_or(|last| start - last > WEEK);
            if is_new && calendar.is_settled(start) {
                return false;
            }
            if is_new {
                neutral.push(start / 60..(start + 20) / 60 + 2);
            }
            self.last = Some(start);
            true
        });
        deployments
    }

    fn fill(&mut self, day: u32, deployments: &[Deployment], counts: &mut [u32]) {
        for deployment in deployments {
            let offset = (deployment.start - day * DAY) as usize;
            for count in &mut counts[offset..offset + deployment.minutes as usize] {
                *count += self.random.poisson(self.calls);
            }
        }
    }
}

impl Late {
    fn fill(&mut self, day: u32, counts: &mut [u32]) {
        let day_start = f64::from(day * DAY);
        while self.next < day_start + f64::from(DAY) {
            let minute = (self.next - day_start) as usize;
            let share = self.random.between(0.3, 1.0);
            let delay = self.random.within(1, 3) as usize;
            let moved = (f64::from(counts[minute]) * share) as u32;
            counts[minute] -= moved;
            counts[minute + delay] += moved;
            self.next += 1.0 + self.random.exponential(LATE_GAP);
        }
    }
}
