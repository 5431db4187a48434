//! What all series of a fleet share: when it starts, which days are weekends, who deploys when.
//!
//! Times inside synthetic traffic are minutes since its start, which lies on a whole UTC hour.

use super::random::Random;
use crate::model::Minute;

pub(super) const DAY: u32 = 1440;
pub(super) const WEEK: u32 = 10_080;

/// Streams of random numbers, by what they decide.
pub(super) mod stream {
    pub const CLASS: u64 = 1;
    pub const RECIPE: u64 = 2;
    pub const LEVEL: u64 = 3;
    pub const SCHEDULE: u64 = 4;
    pub const SESSIONS: u64 = 5;
    pub const BACKGROUND: u64 = 6;
    pub const LATE: u64 = 7;
    pub const DEPLOYMENTS: u64 = 8;
    pub const DEPLOYED: u64 = 9;
    pub const PLANTS: u64 = 10;
    pub const PLANTED: u64 = 11;
    pub const CAST: u64 = 12;
    pub const EVENT: u64 = 13;
    pub const ERROR: u64 = 14;
}

/// Groups of series that are deployed together.
pub(super) const DEPLOYMENT_GROUPS: u32 = 20;
const DEPLOYMENTS_PER_WEEK: f64 = 5.0;

#[derive(Clone, Debug)]
pub(super) struct Calendar {
    pub seed: u64,
    /// On a whole hour.
    pub start: Minute,
    /// Length of the planned part; traffic may go on after it.
    pub days: u32,
    /// No unprecedented event after the second day: nothing but ordinary traffic.
    pub is_ordinary: bool,
}

/// Ordinary traffic shows all that it does in its first two days: later it has nothing that a
/// week of history would call unprecedented.
const ORDINARY_FROM: u32 = 2 * DAY;

/// `minutes` of changed behaviour of a group, from `start`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Deployment {
    pub start: u32,
    pub minutes: u32,
}

impl Calendar {
    pub fn is_weekend(&self, t: u32) -> bool {
        // Day 0 of 1970 was a Thursday: Monday is 0 after adding 3.
        ((self.start.0 + t) / DAY + 3) % 7 >= 5
    }

    /// Position in the daily curve of a series that peaks at `peak`: 1 at the peak, -1 opposite.
    pub fn day_curve(&self, t: u32, peak: f64) -> f64 {
        let minute_of_day = f64::from((self.start.0 + t) % DAY);
        libm::cos(std::f64::consts::TAU * (minute_of_day - peak) / f64::from(DAY))
    }

    /// Ordinary traffic does nothing unprecedented from here on.
    pub fn is_settled(&self, t: u32) -> bool {
        self.is_ordinary && t >= ORDINARY_FROM
    }

    /// Deployments of `group` that begin on day `day` since the start, in order of time.
    pub fn deployments(&self, group: u32, day: u32) -> Vec<Deployment> {
        let keys = [stream::DEPLOYMENTS, u64::from(group), u64::from(day)];
        let mut random = Random::keyed(self.seed, &keys);
        let mut found = Vec::new();
        for _ in 0..random.poisson(DEPLOYMENTS_PER_WEEK / 7.0) {
            let minute_of_day = random.within(9 * 60, 19 * 60 - 1);
            let offset = (minute_of_day + DAY - self.start.0 % DAY) % DAY;
            let start = day * DAY + offset;
            let minutes = random.within(5, 20);
            if !(self.is_weekend(start) && random.chance(0.8)) {
                found.push(Deployment { start, minutes });
            }
        }
        found.sort_by_key(|deployment| deployment.start);
        found
    }
}
