//! Budgets of parts of a fleet, and which of them, and which fit, a series and direction belong to.
//!
//! The first scope that matches has a series; what none matches is the rest's, whose budget is the
//! global one. Within a scope call rates and error rates are judged by fits of their own, because
//! they differ most in how often they surprise (decision 0013). Both are a class.

use std::hash::Hasher;

use glob::Pattern;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::model::{Direction, InsightType, SeriesRef};

/// Scopes beside the rest.
pub const SCOPES_MAX: usize = 16;
/// Classes of a scope: call rates, error rates and missed calls.
pub const STRATA: usize = 3;
/// Those of them whose scores are fitted: rates.
pub const RATE_STRATA: usize = 2;
/// Groups that accounts are spread over by a hash: accounts are input, groups are few.
pub const ACCOUNT_GROUPS: u16 = 1024;

/// A budget of its own for the series and direction that match; what is `None` matches anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopedBudget {
    pub account: Option<Pattern>,
    pub region: Option<Pattern>,
    pub event_source: Option<Pattern>,
    pub event_name: Option<Pattern>,
    /// Of CloudTrail's name of the type.
    pub insight_type: Option<Pattern>,
    pub error_code: Option<Pattern>,
    pub direction: Option<Direction>,
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
    /// Whether a series may be of this scope, whatever the direction.
    fn covers(&self, key: SeriesRef<'_>) -> bool {
        let fits = |pattern: &Option<Pattern>, text: &str| {
            pattern.as_ref().is_none_or(|one| one.matches(text))
        };
        fits(&self.account, key.account)
            && fits(&self.region, key.region)
            && fits(&self.event_source, key.event_source)
            && fits(&self.event_name, key.event_name)
            && fits(&self.insight_type, key.insight_type.name())
            && fits(&self.error_code, key.error_code)
    }

    /// What it matches, as `field=pattern` with commas between; `*` if that is everything.
    pub fn name(&self) -> String {
        let patterns = [
            ("account", &self.account),
            ("region", &self.region),
            ("event_source", &self.event_source),
            ("event_name", &self.event_name),
            ("insight_type", &self.insight_type),
            ("error_code", &self.error_code),
        ];
        let mut parts: Vec<String> = patterns
            .iter()
            .filter_map(|(field, one)| Some(format!("{field}={}", one.as_ref()?)))
            .collect();
        parts.extend(self.direction.map(|direction| match direction {
            Direction::Up => "direction=up".to_string(),
            Direction::Down => "direction=down".to_string(),
        }));
        if parts.is_empty() {
            return "*".to_string();
        }
        parts.join(",")
    }
}

impl Class {
    /// The scope: 0 for the rest, else one more than its place among the budgets.
    pub fn scope(self) -> usize {
        usize::from(self.0) / STRATA
    }

    fn new(scope: usize, stratum: usize) -> Self {
        Class((scope * STRATA + stratum) as u8)
    }
}

impl Place {
    pub fn new(key: SeriesRef<'_>, budgets: &[ScopedBudget]) -> Self {
        let scope = |direction: Direction| {
            let mut scopes = budgets.iter();
            let first = scopes.position(|scope| {
                scope.direction.is_none_or(|one| one == direction) && scope.covers(key)
            });
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

    pub fn class(&self, direction: Direction) -> Class {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
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

    fn scope(field: &str, pattern: &str, direction: Option<Direction>) -> ScopedBudget {
        let pattern = Some(Pattern::new(pattern).unwrap());
        let mut scope = ScopedBudget {
            direction,
            per_week: 1.0,
            ..ScopedBudget::default()
        };
        match field {
            "account" => scope.account = pattern,
            "event_source" => scope.event_source = pattern,
            "insight_type" => scope.insight_type = pattern,
            _ => scope.error_code = pattern,
        }
        scope
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
            scope("account", "12*", Some(Direction::Down)),
            scope("event_source", "iam.*", None),
            scope("account", "12*", None),
        ];
        let place = Place::new(key("123", ""), &budgets);
        assert_eq!((place.up, place.down), (Class(6), Class(3)));
        let place = Place::new(key("9", "Denied"), &budgets);
        assert_eq!((place.up, place.down), (Class(7), Class(7)));
        let place = Place::new(key("9", "Denied"), &budgets[..1]);
        assert_eq!((place.up, place.down), (Class(1), Class(1)));
        assert_eq!(place.class(Direction::Down).scope(), 0);
    }

    #[test]
    fn patterns_are_of_whole_texts() {
        let calls = scope("insight_type", "ApiCallRateInsight", None);
        assert!(calls.covers(key("1", "")) && !calls.covers(key("1", "E")));
        let code = scope("error_code", "Thrott?ing*", Some(Direction::Up));
        assert!(code.covers(key("1", "ThrottlingException")));
        assert!(!code.covers(key("1", "NoThrottling")));
        assert_eq!(code.name(), "error_code=Thrott?ing*,direction=up");
        assert_eq!(ScopedBudget::default().name(), "*");
    }
}
