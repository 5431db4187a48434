//! A second opinion on CloudTrail records: the rules over a `serde_json::Value`, slowly and
//! plainly. The property tests and the fuzz target of the decoder share it.
#![allow(dead_code)]

use insightd::formats::{DecodeLimits, Decoded, Decoder, Format, SkipRule};
use insightd::model::EventTime;
use serde_json::Value;

/// Time, account, region, source, name, error and identity; or the name of the outcome.
pub type Fields = Result<[String; 7], String>;

/// The text of a member: numbers as their digits, all else empty.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

pub fn flag(value: &Value) -> Option<bool> {
    value.as_bool().or(match value.as_str() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    })
}

/// What a record should give.
pub fn fields(record: &Value) -> Fields {
    let category = record["eventCategory"].as_str();
    let is_type = |name: &str| record["eventType"].as_str() == Some(name);
    if category == Some("Insight") || is_type("AwsCloudTrailInsight") {
        return Err("-insight".to_string());
    }
    if category == Some("Aggregated") || is_type("AwsAggregatedEvent") {
        return Err("-aggregated".to_string());
    }
    event(record).map_err(|reason| format!("!{reason}"))
}

/// As [`fields`]; `None` for what this oracle says nothing of: numbers that are not written as
/// `serde_json` writes them, and objects that are no records but may hold some.
pub fn expected_fields(record: &Value) -> Option<Fields> {
    const HOLDERS: [&str; 2] = ["Records", "Events"];
    let members = record.as_object()?;
    let is_holder = HOLDERS.iter().any(|key| members.contains_key(*key));
    if is_holder || !is_like_a_record(record) || has_odd_number(record) {
        return None;
    }
    Some(fields(record))
}

/// What the decoder makes of one record.
pub fn decoded_fields(text: &str) -> Fields {
    let out = decode(text);
    if let Some(reject) = out.rejects.first() {
        return Err(format!("!{}", reject.reason.name()));
    }
    let Some(e) = out.events.iter().next() else {
        let is_insight = out.counts.skipped(SkipRule::Insight) == 1;
        return Err(if is_insight {
            "-insight"
        } else {
            "-aggregated"
        }
        .to_string());
    };
    let time = e.time().to_string();
    let [account, region] = [e.account(), e.region()];
    let [source, name, error] = [e.event_source(), e.event_name(), e.error_code()];
    let texts = [&time, account, region, source, name, error, e.identity()];
    Ok(texts.map(str::to_string))
}

/// One record through the decoder.
pub fn decode(text: &str) -> Decoded {
    let mut decoder = Decoder::new(Format::CloudTrail, DecodeLimits::default());
    let mut out = Decoded::default();
    decoder.feed(text.as_bytes(), &mut out);
    decoder.finish(&mut out);
    assert_eq!(out.counts.records, 1, "{text}");
    out
}

fn event(record: &Value) -> Result<[String; 7], &'static str> {
    let at = |key: &str| &record[key];
    let version = plain(at("eventVersion"));
    if !(version.is_empty() || version == "1" || version.starts_with("1.")) {
        return Err("unsupported_version");
    }
    let time = match at("eventTime") {
        Value::Null => return Err("missing_time"),
        Value::String(text) => time_of(text),
        Value::Number(number) => match number.as_u64().unwrap_or(0) {
            large @ 100_000_000_000.. => {
                i64::try_from(large).map_or(None, EventTime::from_milliseconds)
            }
            small => EventTime::from_seconds(small as i64),
        },
        _ => None,
    };
    let time = time.ok_or("invalid_time")?;
    let needed = |key: &str, missing: &'static str| match at(key) {
        Value::Number(_) => Err("wrong_type"),
        other => match key_part(other)?.as_str() {
            "" => Err(missing),
            text => Ok(text.to_string()),
        },
    };
    let source = needed("eventSource", "missing_source")?;
    let name = needed("eventName", "missing_name")?;
    let region = key_part(at("awsRegion"))?;
    let identity = &record["userIdentity"];
    let mut account = key_part(at("recipientAccountId"))?;
    if account.is_empty() {
        account = key_part(&identity["accountId"])?;
    }
    let error = key_part(at("errorCode"))?;
    let time = time.to_string();
    let who = who(identity);
    Ok([time, account, region, source, name, error, who])
}

/// RFC 3339; a date and time of day without an offset is UTC.
fn time_of(text: &str) -> Option<EventTime> {
    let lacks_offset = (16..=40).contains(&text.len()) && text.is_ascii() && !text.ends_with('Z');
    EventTime::parse(text).or_else(|| {
        lacks_offset
            .then(|| EventTime::parse(&format!("{text}Z")))
            .flatten()
    })
}

fn key_part(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err("wrong_type"),
        other => Ok(plain(other)),
    }
}

fn who(identity: &Value) -> String {
    let arn = plain(&identity["arn"]);
    let service = plain(&identity["invokedBy"]);
    let account = plain(&identity["accountId"]);
    let kind = plain(&identity["type"]);
    match (arn.is_empty(), service.is_empty(), account.is_empty()) {
        (false, _, _) => without_session(&arn),
        (true, false, _) => service,
        (true, true, true) => kind,
        (true, true, false) => format!("{kind}:{account}"),
    }
}

/// `arn:aws:sts::ACCOUNT:assumed-role/ROLE` of an ARN that goes on with a session.
fn without_session(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let role = match parts[..] {
        [_, _, _, _, _, resource] => resource.strip_prefix("assumed-role/"),
        _ => None,
    };
    match role.and_then(|role| role.split_once('/')) {
        Some((role, _)) => format!("{}:assumed-role/{role}", parts[..5].join(":")),
        None => arn.to_string(),
    }
}

/// An object without a name or a source may be an envelope; one with a source such as `aws:s3` is
/// a notification.
fn is_like_a_record(record: &Value) -> bool {
    let source = record["eventSource"].as_str().unwrap_or_default();
    let keys = ["eventName", "eventSource", "eventTime"];
    keys.iter().all(|key| record.get(key).is_some()) && !source.starts_with("aws:")
}

fn has_odd_number(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_u64().is_none_or(|whole| whole > 1 << 52),
        Value::Array(items) => items.iter().any(has_odd_number),
        Value::Object(members) => members.values().any(has_odd_number),
        _ => false,
    }
}
