//! Which missed calls are told: as many as a share of the budget pays for.
//!
//! Misses are too rare to fit a tail to. Instead each score has a debt: a miss that reaches it
//! costs one, and the share of the budget pays it off hour by hour. The lowest score without a debt
//! is the threshold, so that over time no more are told than were paid for, and the first miss of
//! a fleet that never misses is told at once.

use serde::{Deserialize, Serialize};

use super::fit::{Basis, Line, Threshold, edge};
use super::{BINS, EPISODE_Z};

/// Share of every budget that is for missed calls.
pub const MISSED_SHARE: f64 = 0.1;
/// Weeks of payments beyond which nothing more is owed, but for one miss.
const DEBT_WEEKS_MAX: f64 = 26.0;
/// A debt below this is paid: sums of payments are exact to this.
const PAID: f64 = 1e-9;

/// What is owed by score, in missed calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Debts(Vec<f64>);

impl Debts {
    pub fn new() -> Self {
        Debts(vec![0.0; BINS])
    }

    /// Charges the misses of an hour, by bin, and pays an hour's share of a budget.
    pub fn pass_hour(&mut self, misses: &[f64], budget_per_week: f64) {
        let payment = MISSED_SHARE * budget_per_week / 168.0;
        let most = (DEBT_WEEKS_MAX * 168.0 * payment).max(1.0);
        let mut at_least = 0.0;
        for (debt, new) in self.0.iter_mut().zip(misses).rev() {
            at_least += new;
            *debt = (*debt + at_least - payment).clamp(0.0, most);
        }
    }

    /// Takes over what others owe.
    pub fn add(&mut self, other: &Debts) {
        for (debt, more) in self.0.iter_mut().zip(&other.0) {
            *debt += more;
        }
    }

    pub fn threshold(&self, budget_per_week: f64) -> Threshold {
        let paid = self.0.iter().position(|debt| *debt <= PAID);
        Threshold {
            z: paid.map_or(edge(BINS - 1) + 0.1, edge),
            z_nominal: EPISODE_Z,
            tail: Line {
                alpha: 0.0,
                beta: 0.0,
            },
            basis: Basis::Class,
            budget_per_week,
            live_series: 0,
        }
    }

    pub fn are_paid(&self) -> bool {
        self.0.iter().all(|debt| *debt == 0.0)
    }

    pub fn is_sound(&self, most: f64) -> bool {
        self.0.len() == BINS && self.0.iter().all(|debt| (0.0..=most).contains(debt))
    }
}
