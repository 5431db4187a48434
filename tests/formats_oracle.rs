//! The decoder against a second opinion (`support/record_oracle`), on random records with keys in
//! any order, repeated and escaped keys, keys that look like those of the record in nested values,
//! wild types and odd white space.

use insightd::formats::{DecodeLimits, Decoded, Decoder, Format};
use insightd::model::EventCategory;
use proptest::prelude::*;
use serde_json::Value;

#[path = "support/record_oracle.rs"]
mod record_oracle;

use record_oracle::{flag, plain};

/// JSON that may repeat keys.
#[derive(Clone, Debug)]
enum Json {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

const KEYS: [&str; 24] = [
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "userAgent",
    "errorCode",
    "eventID",
    "readOnly",
    "resources",
    "eventType",
    "managementEvent",
    "recipientAccountId",
    "vpcEndpointId",
    "eventCategory",
    "addendum",
    "sessionCredentialFromConsole",
    "type",
    "arn",
    "accountId",
    "invokedBy",
    "ARN",
    "reason",
];

const TEXTS: [&str; 20] = [
    "1.08",
    "2.0",
    "2024-02-29T12:34:56Z",
    "2024-02-29 12:34:56",
    "s3.amazonaws.com",
    "kms.amazonaws.com",
    "GetObject",
    "PutObject",
    "true",
    "false",
    "Management",
    "Data",
    "Insight",
    "AwsAggregatedEvent",
    "UPDATED_DATA",
    "arn:aws:sts::1:assumed-role/R/s",
    "arn:aws:iam::1:user/U",
    "}]{[,:\"\\ é\n\u{1}\u{1F600}",
    "",
    "null",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(&TEXTS[..]).prop_map(str::to_string),
        1 => ".{0,20}".prop_map(|text: String| text),
    ]
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::Bool),
        1 => (0u64..3_000_000_000_000).prop_map(Json::Number),
        6 => text().prop_map(Json::Text),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::vec((key(), inner), 0..5).prop_map(Json::Object),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => prop::sample::select(&KEYS[..]).prop_map(str::to_string),
        1 => text(),
    ]
}

/// A record with the members that most have, and others, in any order.
fn record() -> impl Strategy<Value = Json> {
    let usual = |key: &str, values: &'static [&'static str]| {
        let key = key.to_string();
        let value = prop_oneof![
            8 => prop::sample::select(values).prop_map(|text| Json::Text(text.to_string())),
            1 => json(),
        ];
        value.prop_map(move |value| (key.clone(), value))
    };
    let identity = prop::collection::vec((key(), json()), 0..8).prop_map(Json::Object);
    let resource = prop::collection::vec((key(), json()), 0..4).prop_map(Json::Object);
    let resources = prop::collection::vec(resource, 0..4).prop_map(Json::Array);
    (
        usual(
            "eventTime",
            &[
                "2024-02-29T12:34:56Z",
                "2024-03-01T00:00:00.5+01:00",
                "never",
            ],
        ),
        usual("eventSource", &["s3.amazonaws.com", "kms.amazonaws.com"]),
        usual("eventName", &["GetObject", "PutObject", "Decrypt"]),
        identity.prop_map(|value| ("userIdentity".to_string(), value)),
        resources.prop_map(|value| ("resources".to_string(), value)),
        prop::collection::vec((key(), json()), 0..10),
    )
        .prop_map(|(a, b, c, d, e, others)| [vec![a, b, c, d, e], others].concat())
        .prop_shuffle()
        .prop_map(Json::Object)
}

/// Prints JSON with noise: white space anywhere, any character escaped.
struct Printer {
    noise: u64,
    /// 0: compact, 1: spaces, 2: line breaks too.
    space: u8,
    out: String,
}

impl Printer {
    fn chance(&mut self, one_in: u64) -> bool {
        self.noise = self
            .noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.noise >> 33).is_multiple_of(one_in)
    }

    fn space(&mut self) {
        if self.space > 0 && self.chance(3) {
            self.out.push(' ');
        }
        if self.space > 1 && self.chance(3) {
            self.out.push_str("\r\n\t");
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            let must = character < ' ' || matches!(character, '"' | '\\');
            if must || self.chance(40) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    self.out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                self.out.push(character);
            }
        }
        self.out.push('"');
    }

    fn value(&mut self, value: &Json) {
        self.space();
        match value {
            Json::Null => self.out.push_str("null"),
            Json::Bool(value) => self.out.push_str(&value.to_string()),
            Json::Number(value) => self.out.push_str(&value.to_string()),
            Json::Text(text) => self.text(text),
            Json::Array(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.value(item);
                }
                self.space();
                self.out.push(']');
            }
            Json::Object(members) => {
                self.out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.space();
                    self.text(key);
                    self.space();
                    self.out.push(':');
                    self.value(value);
                }
                self.space();
                self.out.push('}');
            }
        }
        self.space();
    }
}

/// What a record should give: its fields in one line, or the name of its outcome.
fn expected(record: &Value) -> String {
    let at = |key: &str| &record[key];
    let [time, account, region, source, name, error, who] = match record_oracle::fields(record) {
        Ok(fields) => fields,
        Err(outcome) => return outcome,
    };
    let verb_is_read = name.starts_with("Get") || source.starts_with("kms") && name == "Decrypt";
    let read = flag(at("readOnly"));
    let category = match (at("eventCategory").as_str(), flag(at("managementEvent"))) {
        (Some("Management"), _) | (None, Some(true) | None) => EventCategory::Management,
        (Some("Data"), _) | (None, Some(false)) => EventCategory::Data,
        (Some("NetworkActivity"), _) => EventCategory::NetworkActivity,
        (Some(_), _) => EventCategory::Other,
    };
    let arn = plain(&record["userIdentity"]["arn"]);
    format!(
        "{time}|{account:?}|{region:?}|{source:?}|{name:?}|{error:?}|{who:?}|{arn:?}|{:?}|{:?}|{:?}|{:?}|{category:?}|{} {} {} {}|{:?}",
        plain(at("userAgent")),
        plain(at("eventID")),
        plain(at("eventType")),
        plain(at("vpcEndpointId")),
        read.unwrap_or(verb_is_read),
        read.is_none(),
        flag(at("sessionCredentialFromConsole")) == Some(true),
        plain(&at("addendum")["reason"]) == "UPDATED_DATA",
        resources(at("resources")),
    )
}

fn resources(value: &Value) -> Vec<(String, String)> {
    let Some(list) = value.as_array() else {
        return Vec::new();
    };
    let of = |resource: &Value| {
        let arn = ["ARN", "arn", "ARNPrefix"]
            .iter()
            .find_map(|key| resource[*key].as_str())
            .map(str::to_string);
        let kind = resource["type"].as_str().map(str::to_string);
        (arn.is_some() || kind.is_some())
            .then(|| (arn.unwrap_or_default(), kind.unwrap_or_default()))
    };
    list.iter().filter_map(of).collect()
}

fn decoded(text: &str) -> String {
    let out = record_oracle::decode(text);
    if let Some(reject) = out.rejects.first() {
        return format!("!{}", reject.reason.name());
    }
    let Some(e) = out.events.iter().next() else {
        let insight = out.counts.skipped(insightd::formats::SkipRule::Insight) == 1;
        return if insight { "-insight" } else { "-aggregated" }.to_string();
    };
    let resources: Vec<_> = e
        .resources()
        .map(|(a, b)| (a.to_string(), b.to_string()))
        .collect();
    format!(
        "{}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}|{} {} {} {}|{resources:?}",
        e.time(),
        e.account(),
        e.region(),
        e.event_source(),
        e.event_name(),
        e.error_code(),
        e.identity(),
        e.identity_arn(),
        e.user_agent(),
        e.event_id(),
        e.event_type(),
        e.vpc_endpoint_id(),
        e.category(),
        e.is_read_only(),
        e.is_read_only_derived(),
        e.is_from_console(),
        e.is_update(),
    )
}

proptest! {
    #[test]
    fn the_decoder_agrees_with_the_oracle(record in record(), noise in any::<u64>(), space in 0u8..3) {
        let mut printer = Printer { noise, space, out: String::new() };
        printer.value(&record);
        let text = printer.out;
        let value: Value = serde_json::from_str(&text).expect("the printer writes JSON");
        prop_assert_eq!(decoded(&text), expected(&value), "{}", text);
    }

    /// What serde_json accepts we accept, and the other way round, for text near JSON.
    #[test]
    fn both_accept_the_same_text(record in record(), noise in any::<u64>(), at in any::<prop::sample::Index>(), byte in prop::sample::select(b"{}[]\",:\\0-.eEtfn \n\x01x".to_vec())) {
        let mut printer = Printer { noise, space: 2, out: String::new() };
        printer.value(&record);
        // Line breaks make the decoder check the whole grammar.
        let mut bytes = printer.out.trim().replacen('{', "{\n", 1).into_bytes();
        let at = at.index(bytes.len() - 1).max(1);
        bytes[at] = byte;
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        let mut decoder = Decoder::new(Format::CloudTrail, DecodeLimits::default());
        let mut out = Decoded::default();
        decoder.feed(text.as_bytes(), &mut out);
        decoder.finish(&mut out);
        let broken = ["not_json", "invalid_json", "truncated", "control_character"];
        let is_broken = out.rejects.iter().any(|r| broken.contains(&r.reason.name()));
        prop_assert_eq!(is_json, !is_broken, "{} {:?}", text, out.rejects.first().map(|r| &r.detail));
    }
}
