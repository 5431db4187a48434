//! Budgets of parts of a fleet, and which of them, and which fit, a series and direction belong to.
//!
//! The first scope that matches has a series; what none matches is the rest's, whose budget is the
//! global one. Within a scope call rates and error rates are judged by fits of their own, because
//! they differ most in how often they surprise (decision 0013). Both are a class.

use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::model::{Direction, IncidentKind, InsightType, Scope, SeriesRef};

/// Scopes beside the rest.
pub const SCOPES_MAX: usize = 16;
/// Classes of a scope: call rates, error rates and missed calls.
pub const STRATA: usize = 3;
/// Those of them whose scores are fitted: rates.
pub const RATE_STRATA: usize = 2;
/// Groups that accounts are spread over by a hash: accounts are input, groups are few.
pub const ACCOUNT_GROUPS: u16 = 1024;

/// A budget of its own for the series and direction that match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopedBudget {
    pub scope: Scope,
    /// False insights a week that the user accepts over all that matches first here.
    pub per_week: f64,
}

/// Names a threshold: three times the scope, the rest being scope 0, and one more for error rates,
/// two for missed calls.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Class(pub u8);

/// Where a series belongs, by its key and the settings alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub up: Class,
    pub down: Class,
    /// That of calls that do not come when they always do.
    pub missed: Class,
    /// The group of its account, below [`ACCOUNT_GROUPS`].
    pub account: u16,
}

impl ScopedBudget {
    /// What it matches, as `field=pattern` with commas between; `*` if that is everything.
    pub fn name(&self) -> String {
        self.scope.name()
    }
}

impl Class {
    /// The scope: 0 for the rest, else one more than its place among the budgets.
    pub fn scope(self) -> usize {
        usize::from(self.0) / STRATA
    }

    /// The class among so many: itself, or that of the rest with the same stratum.
    pub fn among(self, classes: usize) -> Self {
        match usize::from(self.0) < classes {
            true => self,
            false => Class(self.0 % STRATA as u8),
        }
    }

    fn new(scope: usize, stratum: usize) -> Self {
        Class((scope * STRATA + stratum) as u8)
    }
}

impl Place {
    pub fn new(key: SeriesRef<'_>, budgets: &[ScopedBudget]) -> Self {
        let scope = |direction: Direction| {
            let mut scopes = budgets.iter();
            let first = scopes.position(|budget| budget.scope.matches(key, direction));
            first.map_or(0, |index| index + 1)
        };
        let rates = usize::from(key.insight_type == InsightType::ApiErrorRate);
        let down = scope(Direction::Down);
        Place {
            up: Class::new(scope(Direction::Up), rates),
            down: Class::new(down, rates),
            missed: Class::new(down, RATE_STRATA),
            account: account_group(key.account),
        }
    }

    /// That of the scores of rates to one side.
    pub fn class(&self, direction: Direction) -> Class {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }

    /// That whose threshold an incident had to reach.
    pub fn class_of(&self, kind: IncidentKind, direction: Direction) -> Class {
        match kind {
            IncidentKind::Minutes | IncidentKind::Hours => self.class(direction),
            IncidentKind::Missed => self.missed,
        }
    }
}

/// The group of an account, the same in every process.
fn account_group(account: &str) -> u16 {
    let mut hasher = SipHasher13::new_with_keys(0x696e_7369_6768_7464, 0x6163_636f_756e_7401);
    hasher.write(account.as_bytes());
    (hasher.finish128().h1 % u64::from(ACCOUNT_GROUPS)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RollUp;

    fn budget(field: &str, pattern: &str, direction: Option<Direction>) -> ScopedBudget {
        let patterns = Scope::FIELDS.map(|one| (one == field).then_some(pattern));
        ScopedBudget {
            scope: Scope::parse(patterns, direction).unwrap(),
            per_week: 1.0,
        }
    }

    fn key<'a>(account: &'a str, error_code: &'a str) -> SeriesRef<'a> {
        SeriesRef {
            account,
            region: "r",
            event_source: "iam.amazonaws.com",
            event_name: "n",
            insight_type: match error_code {
                "" => InsightType::ApiCallRate,
                _ => InsightType::ApiErrorRate,
            },
            error_code,
        }
    }

    #[test]
    fn the_first_scope_that_matches_has_a_series_and_direction() {
        let budgets = [
            budget("account", "12*", Some(Direction::Down)),
            budget("event_source", "iam.*", None),
            budget("account", "12*", None),
        ];
        let place = Place::new(key("123", ""), &budgets);
        assert_eq!((place.up, place.down), (Class(6), Class(3)));
        let place = Place::new(key("9", "Denied"), &budgets);
        assert_eq!((place.up, place.down), (Class(7), Class(7)));
        let place = Place::new(key("9", "Denied"), &budgets[..1]);
        assert_eq!((place.up, place.down), (Class(1), Class(1)));
        assert_eq!(place.class(Direction::Down).scope(), 0);
    }

    /// Roll-ups are in the group of their account, whatever region they have none of, and `[*]`
    /// names them and nothing else.
    #[test]
    fn roll_ups_share_the_causes_of_their_account() {
        let budgets = [budget("event_name", "[*]", None)];
        for error_code in ["", "Denied"] {
            let api = key("123", error_code);
            for by in RollUp::ALL {
                let roll_up = api.rolled_up(by).unwrap();
                assert_eq!(Place::new(roll_up, &[]), Place::new(api, &[]));
                let scoped = [api, roll_up].map(|one| Place::new(one, &budgets).up.scope());
                assert_eq!(scoped, [0, 1]);
            }
        }
        let all = [budget("event_name", "*", None)];
        assert_eq!(Place::new(key("123", ""), &all).up.scope(), 1);
    }
}
