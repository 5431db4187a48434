//! Calls that come by the clock: pollers every few minutes, jobs every hour, day or week.

use super::calendar::{Calendar, DAY};
use super::random::Random;

/// Scheduled starts are drawn this many minutes ahead, so that one that jitters over midnight
/// still lands in a day that is not yet written.
const AHEAD: u32 = 8;

#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// Minutes between two runs.
    pub period: u32,
    /// Minute of the first run, below `period`.
    pub next: u32,
    /// A run starts up to this many minutes early or late.
    pub jitter: u32,
    /// Minutes over which a run's calls are spread.
    pub minutes: u32,
    /// Calls of one run, and the deviation of their logarithm.
    pub calls: f64,
    pub spread: f64,
    /// The calls come as exactly one count, as a poller's pages do, not as Poisson ones.
    pub is_exact: bool,
    pub weekdays_only: bool,
    /// Probability that a run does not happen.
    pub missed: f64,
    pub random: Random,
}

impl Schedule {
    /// Adds the runs of day `day` to `counts`, which reaches past the end of the day.
    pub fn fill(&mut self, calendar: &Calendar, day: u32, counts: &mut [u32]) {
        let day_start = day * DAY;
        while self.next < day_start + DAY + AHEAD {
            let planned = self.next;
            self.next += self.period;
            let skipped = self.random.chance(self.missed)
                || self.weekdays_only && calendar.is_weekend(planned);
            if skipped {
                continue;
            }
            let early_or_late = i64::from(self.random.within(0, 2 * self.jitter));
            let start = i64::from(planned) + early_or_late - i64::from(self.jitter);
            let offset = (start - i64::from(day_start)).max(0) as usize;
            self.run(&mut counts[offset..]);
        }
    }

    fn run(&mut self, counts: &mut [u32]) {
        let noise = self.spread * self.random.normal();
        if self.is_exact {
            counts[0] += libm::round(self.calls * (1.0 + noise).max(0.0)) as u32;
            return;
        }
        let per_minute = self.calls * libm::exp(noise) / f64::from(self.minutes);
        for count in counts.iter_mut().take(self.minutes as usize) {
            *count += self.random.poisson(per_minute);
        }
    }
}
