//! Makes an event of a record's filled places.

use super::super::cloudtrail::{
    category_from_name, is_read_by_name, parse_time, parse_time_number,
};
use super::super::collector::{Collector, Refusal, cut};
use super::super::decoded::{RejectReason, SkipRule};
use super::template::{Place, SlotValues, Texts};
use super::{Condition, Mapping, TimeForm};
use crate::model::{EventCategory, EventFields, EventTime};

/// Milliseconds have at least so many digits, seconds fewer (1e11 s is the year 5138).
const MILLISECONDS_FROM: f64 = 1e11;

/// The texts that one record gives, each where it stands.
struct Made {
    time: Option<Place>,
    account: Option<Place>,
    region: Option<Place>,
    event_source: Option<Place>,
    event_name: Option<Place>,
    error: Option<Place>,
    identity: Option<Place>,
    agent: Option<Place>,
    id: Option<Place>,
    event_type: Option<Place>,
    category: Option<Place>,
    /// What the record says of reading or writing, if anything.
    read_only: Option<bool>,
}

impl Mapping {
    /// Takes the record whose places are filled.
    pub(super) fn take_slots(
        &self,
        record: &str,
        slots: &mut SlotValues,
        to: &mut Collector<'_>,
    ) -> Result<(), Refusal> {
        let mut is_met = |only: &Condition| only.is_met(slots, record) == Some(true);
        if !self.fields.only.iter().all(&mut is_met) {
            to.skip(SkipRule::Filtered);
            return Ok(());
        }
        let made = self.make(record, slots);
        let text = |place: &Option<Place>| slots.text(place.as_ref(), record);
        let key_max = to.limits.key_bytes_max;
        let key_part = |key: &str, place: &Option<Place>| {
            let text = text(place);
            if text.len() <= key_max {
                return Ok(text);
            }
            let detail = format!("`{key}` has {} bytes", text.len());
            Err(Refusal::new(RejectReason::KeyTooLong, detail))
        };
        let time = self.fields.time_form.parse(text(&made.time))?;
        let event_source = key_part("source", &made.event_source)?;
        let event_name = key_part("name", &made.event_name)?;
        if event_source.is_empty() {
            return Err(Refusal::new(RejectReason::MissingSource, "no `source`"));
        }
        if event_name.is_empty() {
            return Err(Refusal::new(RejectReason::MissingName, "no `name`"));
        }
        let value_max = to.limits.value_bytes_max;
        let mut values_cut = 0;
        let identity = cut(text(&made.identity), value_max, &mut values_cut);
        let said = made.read_only;
        let event = EventFields {
            time,
            account: key_part("account", &made.account)?,
            region: key_part("region", &made.region)?,
            event_source,
            event_name,
            error_code: key_part("error", &made.error)?,
            identity,
            identity_arn: identity,
            user_agent: cut(text(&made.agent), value_max, &mut values_cut),
            event_id: cut(text(&made.id), value_max, &mut 0),
            event_type: cut(text(&made.event_type), value_max, &mut 0),
            category: match text(&made.category) {
                "" => EventCategory::Management,
                name => category_from_name(name),
            },
            is_read_only: said.unwrap_or_else(|| is_read_by_name(event_source, event_name)),
            is_read_only_derived: said.is_none(),
            ..EventFields::default()
        };
        to.event(&event, values_cut);
        Ok(())
    }

    fn make(&self, record: &str, slots: &mut SlotValues) -> Made {
        let fields = &self.fields;
        let has_failed = match &fields.error_when {
            Some(condition) => condition.is_met(slots, record) == Some(true),
            None => true,
        };
        let mut conditions = fields.read_only.iter();
        let read_only = conditions.find_map(|condition| condition.is_met(slots, record));
        let mut make = |texts: &Texts| texts.make(slots, record);
        Made {
            time: make(&fields.time),
            account: make(&fields.account),
            region: make(&fields.region),
            event_source: make(&fields.event_source),
            event_name: make(&fields.event_name),
            error: if has_failed {
                make(&fields.error)
            } else {
                None
            },
            identity: make(&fields.identity),
            agent: make(&fields.agent),
            id: make(&fields.id),
            event_type: make(&fields.event_type),
            category: make(&fields.category),
            read_only,
        }
    }
}

impl Condition {
    /// Whether the condition is met; `None` when its value is not there.
    fn is_met(&self, slots: &mut SlotValues, record: &str) -> Option<bool> {
        let place = self.value.make(slots, record)?;
        let text = slots.text(Some(&place), record);
        let is_large = |limit: f64| text.parse::<f64>().is_ok_and(|number| number >= limit);
        Some(self.equals.iter().any(|equal| equal == text) || self.at_least.is_some_and(is_large))
    }
}

impl TimeForm {
    fn parse(&self, text: &str) -> Result<EventTime, Refusal> {
        if text.is_empty() {
            return Err(Refusal::new(RejectReason::MissingTime, "no `time`"));
        }
        let time = match self {
            TimeForm::Auto => parse_time(text).or_else(|| parse_time_number(text)),
            TimeForm::Rfc3339 => parse_time(text),
            TimeForm::EpochSeconds => number(text).and_then(EventTime::from_seconds),
            TimeForm::EpochMilliseconds => number(text).and_then(EventTime::from_milliseconds),
            TimeForm::Pattern(pattern) => parse_pattern(pattern, text),
        };
        time.ok_or_else(|| {
            let text = cut(text, 80, &mut 0);
            Refusal::new(RejectReason::InvalidTime, format!("`time` is {text:?}"))
        })
    }
}

/// A number cut to whole; at most nine times what a time in milliseconds can be.
fn number(text: &str) -> Option<i64> {
    let number: f64 = text.parse().ok()?;
    (0.0..MILLISECONDS_FROM * 1e5)
        .contains(&number)
        .then_some(number as i64)
}

fn parse_pattern(pattern: &str, text: &str) -> Option<EventTime> {
    let broken_down = jiff::fmt::strtime::parse(pattern, text).ok()?;
    let timestamp = broken_down.to_timestamp().ok().or_else(|| {
        let civil = broken_down.to_datetime().ok()?;
        let timestamp = jiff::tz::TimeZone::UTC.to_timestamp(civil);
        timestamp.ok()
    })?;
    EventTime::from_seconds(timestamp.as_second())
}
