//! Episodes that may have one cause: those of one account and class that begin in the same hour.
//!
//! An hour of an account counts as many causes as twice its usual number of episodes and one more,
//! at every score. Where episodes are rare that is one, with the largest score; where an account is
//! so large that every hour has some by chance, those stay counted. A cell waits until the
//! episodes of its hour have ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::budget::{ACCOUNT_GROUPS, Class};
use super::{BINS, Cell, ConfirmedCell, GROUP_BIN, GROUP_HOURS};

/// Cells that wait; episodes beyond them count each for itself.
const WAITING_MAX: usize = 60_000;
/// How many times its usual episodes an hour may have and still be ordinary.
const ORDINARY: f64 = 2.0;
/// A usual number of episodes below this is none.
const USUAL_MIN: f64 = 1e-6;

/// What waits, and what is usual.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    /// Episodes by (hour of their beginning, class, account group, bin).
    waiting: BTreeMap<(u32, Class, u16, u8), u32>,
    /// Decayed grouped episodes by class and account group.
    usual: BTreeMap<(Class, u16), f64>,
    /// Decayed hours that they came in.
    hours: f64,
}

/// Episodes of one account and class that began in the same hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub class: Class,
    /// Episodes that are ordinary for an hour of this account at the lowest grouped score.
    ordinary: f64,
    /// Bins with how many, from the lowest on.
    bins: Vec<(u8, u32)>,
}

impl Group {
    /// Adds its causes by bin. `shares` says of each edge how many of the class's episodes that are
    /// grouped reach it.
    pub fn add_causes(&self, shares: &[f64], causes: &mut [f64]) {
        let mut bins = self.bins.iter().rev().peekable();
        let mut episodes = 0.0;
        let mut counted = 0.0;
        for bin in (GROUP_BIN..BINS).rev() {
            while let Some((_, count)) = bins.next_if(|(other, _)| usize::from(*other) >= bin) {
                episodes += f64::from(*count);
            }
            let most = 1.0 + self.ordinary * shares[bin];
            let here = most.min(episodes);
            causes[bin] += here - counted;
            counted = here;
        }
    }
}

impl Groups {
    pub fn decay(&mut self, keep: f64) {
        self.hours *= keep;
        self.usual.retain(|_, count| {
            *count *= keep;
            *count >= USUAL_MIN
        });
    }

    /// Counts one hour more.
    pub fn pass_hour(&mut self) {
        self.hours += 1.0;
    }

    /// Lets episodes that ended in `hour` wait for others; whether there was room.
    pub fn add(&mut self, hour: u32, cell: Cell, count: u32) -> bool {
        *self.usual.entry((cell.class, cell.account)).or_default() += f64::from(count);
        let began = hour.saturating_sub(u32::from(cell.ago).min(GROUP_HOURS - 1));
        let key = (began, cell.class, cell.account, cell.bin);
        if self.waiting.len() >= WAITING_MAX && !self.waiting.contains_key(&key) {
            return false;
        }
        *self.waiting.entry(key).or_default() += count;
        true
    }

    /// Takes back episodes that wait; whether they did.
    pub fn remove(&mut self, began: u32, class: Class, cell: &ConfirmedCell, count: u32) -> bool {
        let key = (began, class, cell.account, cell.bin);
        let Some(waiting) = self.waiting.get_mut(&key) else {
            return false;
        };
        *waiting = waiting.saturating_sub(count);
        if *waiting == 0 {
            self.waiting.remove(&key);
        }
        true
    }

    /// The groups whose hours are over, by class, beginning and account.
    pub fn take_settled(&mut self, hour: u32) -> Vec<Group> {
        let Some(over) = (hour + 1).checked_sub(GROUP_HOURS) else {
            return Vec::new();
        };
        let later = self.waiting.split_off(&(over + 1, Class(0), 0, 0));
        let settled = std::mem::replace(&mut self.waiting, later);
        let mut groups: BTreeMap<(Class, u32, u16), Vec<(u8, u32)>> = BTreeMap::new();
        for ((began, class, account, bin), count) in settled {
            let bins = groups.entry((class, began, account)).or_default();
            bins.push((bin, count));
        }
        let usual = |class, account| self.usual.get(&(class, account)).copied().unwrap_or(0.0);
        groups
            .into_iter()
            .map(|((class, _, account), bins)| Group {
                class,
                ordinary: ORDINARY * usual(class, account) / self.hours,
                bins,
            })
            .collect()
    }

    /// Forgets what is of single classes, whose meaning changes; what waits is counted by nobody.
    pub fn forget_classes(&mut self) {
        self.waiting.clear();
        self.usual.clear();
        self.hours = 0.0;
    }

    /// Whether what was read can have come of reports before that of `next_hour`.
    pub fn is_sound(&self, classes: usize, next_hour: u32, most: f64) -> bool {
        let is_place =
            |class: Class, account: u16| usize::from(class.0) < classes && account < ACCOUNT_GROUPS;
        let first = next_hour.saturating_sub(GROUP_HOURS);
        self.waiting.len() <= WAITING_MAX
            && self.waiting.keys().all(|(began, class, account, bin)| {
                is_place(*class, *account)
                    && (GROUP_BIN..BINS).contains(&usize::from(*bin))
                    && (first..next_hour).contains(began)
            })
            && self.usual.iter().all(|((class, account), count)| {
                is_place(*class, *account) && (USUAL_MIN..=most).contains(count)
            })
            && (0.0..=most).contains(&self.hours)
    }

    /// Whether hours without episodes change nothing any more.
    pub fn is_settled(&self, keep: f64) -> bool {
        let hours = self.hours * keep + 1.0;
        self.waiting.is_empty() && self.usual.is_empty() && self.hours == hours
    }
}
