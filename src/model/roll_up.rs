//! Series that all calls of a service or an account add up to, beside those of its APIs.
//!
//! A roll-up has `*` where an API has a name of its own, so it is found, scoped, stored and
//! delivered as any series is. No API of AWS is named so.

use super::SeriesRef;

/// What a roll-up has in place of what it adds up over.
const ANY: &str = "*";

/// What calls are added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RollUp {
    /// The APIs of one event source of an account and region.
    Service,
    /// All APIs of an account, over all regions.
    Account,
}

/// Which roll-ups are made; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RollUps {
    pub service: bool,
    pub account: bool,
}

impl RollUp {
    pub const ALL: [RollUp; 2] = [RollUp::Service, RollUp::Account];
}

impl RollUps {
    pub fn iter(self) -> impl Iterator<Item = RollUp> {
        RollUp::ALL.into_iter().filter(move |one| self.has(*one))
    }

    pub fn has(self, roll_up: RollUp) -> bool {
        match roll_up {
            RollUp::Service => self.service,
            RollUp::Account => self.account,
        }
    }
}

impl<'a> SeriesRef<'a> {
    /// What the series is a roll-up of; `None` for an API.
    pub fn roll_up(&self) -> Option<RollUp> {
        match (self.region, self.event_source, self.event_name) {
            (ANY, ANY, ANY) => Some(RollUp::Account),
            (_, ANY, _) => None,
            (_, _, ANY) => Some(RollUp::Service),
            _ => None,
        }
    }

    /// The roll-up that the counts of this series add to. A roll-up adds to no other, and a source
    /// that is called `*` has none of its own, which would be that of the account.
    pub fn rolled_up(&self, by: RollUp) -> Option<Self> {
        if self.event_name == ANY || (by == RollUp::Service && self.event_source == ANY) {
            return None;
        }
        let of_service = SeriesRef {
            event_name: ANY,
            ..*self
        };
        Some(match by {
            RollUp::Service => of_service,
            RollUp::Account => SeriesRef {
                region: ANY,
                event_source: ANY,
                ..of_service
            },
        })
    }
}

/// What a roll-up counts, in words: `all APIs of s3.amazonaws.com`; `None` for an API.
pub fn roll_up_in_words(account: &str, event_source: &str, event_name: &str) -> Option<String> {
    match (event_source, account) {
        _ if event_name != ANY => None,
        (ANY, "") => Some("all APIs".to_string()),
        (ANY, account) => Some(format!("all APIs of account {account}")),
        (event_source, _) => Some(format!("all APIs of {event_source}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SeriesKey;

    fn check(api: &str, roll_up: Option<RollUp>, rolled_up: [Option<&str>; 2]) {
        for rest in [",ApiCallRateInsight,", ",ApiErrorRateInsight,Denied"] {
            let key = SeriesKey::parse(&format!("{api}{rest}")).unwrap();
            assert_eq!(key.as_ref().roll_up(), roll_up, "{api}");
            let made = RollUp::ALL.map(|by| {
                let series = key.as_ref().rolled_up(by)?;
                Some(series.to_key().to_string())
            });
            let expected = rolled_up.map(|one| one.map(|one| format!("{one}{rest}")));
            assert_eq!(made, expected, "{api}");
        }
    }

    #[test]
    fn an_api_adds_to_its_service_and_its_account_and_a_roll_up_to_nothing() {
        let of_account = Some("1,*,*,*");
        check("1,r,s3,PutObject", None, [Some("1,r,s3,*"), of_account]);
        check("1,*,s3,PutObject", None, [Some("1,*,s3,*"), of_account]);
        check("1,r,*,PutObject", None, [None, of_account]);
        check("1,r,s3,*", Some(RollUp::Service), [None, None]);
        check("1,*,*,*", Some(RollUp::Account), [None, None]);
        check("1,r,*,*", None, [None, None]);
    }

    #[test]
    fn roll_ups_have_words_and_apis_have_names() {
        let words = |account, source, name| roll_up_in_words(account, source, name);
        assert_eq!(words("1", "s3", "PutObject"), None);
        assert_eq!(words("1", "s3", "*").unwrap(), "all APIs of s3");
        assert_eq!(words("1", "*", "*").unwrap(), "all APIs of account 1");
        assert_eq!(words("", "*", "*").unwrap(), "all APIs");
    }
}
