//! The names of a synthetic series: its API, its errors, and who calls it.

use super::calendar::{Calendar, stream};
use super::cast::{self, CALLERS};
use super::catalogue::{DATA_EVENTS, ERROR_CODES, READS, REGIONS, WRITES};
use super::label::insight_type;
use super::random::{Random, mix};
use super::recipe::TrafficClass;
use crate::model::{SeriesKey, SeriesRef};

/// Series of one account and region before the next region or account begins.
const ACCOUNTS: u32 = 5;

/// Which of a series' calls fail.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Errors {
    None,
    /// Every call: the series is an error rate.
    Always(Box<str>),
    /// This share of the calls, with one of these codes.
    Share(f64, Vec<&'static str>),
}

#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub account: Box<str>,
    pub region: Box<str>,
    pub event_source: Box<str>,
    pub event_name: Box<str>,
    pub errors: Errors,
    pub is_read_only: bool,
    /// Type and ARN prefix of the resource when the calls are data events.
    pub resource: Option<(&'static str, &'static str)>,
    /// Numbers of callers in the fleet's list.
    pub callers: Vec<u32>,
}

impl Spec {
    /// The series that the detector sees.
    pub fn key(&self) -> SeriesKey {
        let error_code = match &self.errors {
            Errors::Always(code) => code,
            _ => "",
        };
        self.key_of(error_code)
    }

    pub fn key_of(&self, error_code: &str) -> SeriesKey {
        let series = SeriesRef {
            account: &self.account,
            region: &self.region,
            event_source: &self.event_source,
            event_name: &self.event_name,
            insight_type: insight_type(error_code),
            error_code,
        };
        series.to_key()
    }

    /// Calls are part of a call rate by the default settings.
    pub fn counts_calls(&self) -> bool {
        !self.is_read_only && self.resource.is_none()
    }

    /// The error of call `number` of a minute; empty when it succeeds.
    pub fn error(&self, seed: u64, series: u32, minute: u32, number: u32) -> &str {
        match &self.errors {
            Errors::None => "",
            Errors::Always(code) => code,
            Errors::Share(share, codes) => {
                let place = (u64::from(series) << 32) | u64::from(minute);
                let hash = mix(mix(seed ^ mix(place)) ^ (stream::ERROR << 32) ^ u64::from(number));
                let unit = (hash >> 11) as f64 / (1u64 << 53) as f64;
                if unit >= *share {
                    return "";
                }
                codes[(unit / share * codes.len() as f64) as usize % codes.len()]
            }
        }
    }
}

/// Hands out names and callers; every account's callers are made once.
pub(super) struct Namer<'a> {
    pub calendar: &'a Calendar,
    pub callers: &'a mut Vec<cast::Caller>,
    /// Accounts that have callers, with the number of the first.
    pub accounts: &'a mut Vec<(Box<str>, u32)>,
}

impl Namer<'_> {
    /// Names for series number `index` of an ordinary fleet.
    pub fn ordinary(&mut self, index: u32, class: TrafficClass) -> Spec {
        let is_error = class == TrafficClass::Error;
        let apis: &[(&str, &str)] = if is_error { &READS } else { &WRITES };
        let (api, place) = (index as usize % apis.len(), index / apis.len() as u32);
        let (account, region) = place_of(place);
        let errors = if is_error {
            Errors::Always(ERROR_CODES[(index / 3) as usize % ERROR_CODES.len()].into())
        } else {
            Errors::None
        };
        let mut spec = self.named(index, &account, region, apis[api], errors);
        spec.is_read_only = is_error;
        spec
    }

    /// Names for series number `index` of a bench stream: calls of which 5 % fail.
    pub fn bench(&mut self, index: u32) -> Spec {
        let mut random = Random::keyed(self.calendar.seed, &[stream::ERROR, u64::from(index)]);
        let codes = (0..random.within(1, 4)).map(|_| *random.pick(&ERROR_CODES));
        let errors = Errors::Share(0.05, codes.collect());
        let (api, place) = (index as usize % WRITES.len(), index / WRITES.len() as u32);
        let (account, region) = place_of(place);
        self.named(index, &account, region, WRITES[api], errors)
    }

    /// Names for data events, number `index` among them; series number `series`.
    pub fn data(&mut self, index: u32, series: u32) -> Spec {
        let (source, name, kind, arn) = DATA_EVENTS[index as usize % DATA_EVENTS.len()];
        let (account, region) = place_of(index / DATA_EVENTS.len() as u32);
        let mut spec = self.named(series, &account, region, (source, name), Errors::None);
        spec.resource = Some((kind, arn));
        spec.is_read_only = name == "GetObject";
        spec
    }

    pub fn named(
        &mut self,
        series: u32,
        account: &str,
        region: &str,
        api: (&str, &str),
        errors: Errors,
    ) -> Spec {
        let first = self.cast(account);
        let keys = [stream::CAST, u64::from(series), 2];
        let mut random = Random::keyed(self.calendar.seed, &keys);
        let callers = cast::choose(&mut random);
        Spec {
            account: account.into(),
            region: region.into(),
            event_source: api.0.into(),
            event_name: api.1.into(),
            errors,
            is_read_only: is_read(api.1),
            resource: None,
            callers: callers.into_iter().map(|number| first + number).collect(),
        }
    }

    /// Number of the account's first caller.
    fn cast(&mut self, account: &str) -> u32 {
        let known = self.accounts.iter().rev().find(|(a, _)| **a == *account);
        if let Some((_, first)) = known {
            return *first;
        }
        let first = self.callers.len() as u32;
        self.callers.extend(cast::cast(self.calendar.seed, account));
        debug_assert_eq!(self.callers.len() as u32, first + CALLERS);
        self.accounts.push((account.into(), first));
        first
    }
}

/// Account and region of the `place`-th repetition of the list of APIs.
fn place_of(place: u32) -> (String, &'static str) {
    let region = REGIONS[(place / ACCOUNTS) as usize % REGIONS.len()];
    let round = place / (ACCOUNTS * REGIONS.len() as u32);
    let account = 111_122_223_333u64 + u64::from(place % ACCOUNTS) + 1000 * u64::from(round);
    (account.to_string(), region)
}

/// Whether an API reads only, by the verb of its name.
fn is_read(name: &str) -> bool {
    const VERBS: [&str; 9] = [
        "Get", "List", "Describe", "Head", "BatchGet", "Lookup", "Search", "Query", "Scan",
    ];
    VERBS.iter().any(|verb| name.starts_with(verb))
}
