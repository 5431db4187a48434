//! Insights records and the textual keys of series: what is read prints back equal.
#![no_main]

use insightd::formats::InsightRecord;
use insightd::model::{EventTime, SeriesKey};
use insightd_fuzz::write_seeds;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(init: write_seeds(seeds), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = SeriesKey::parse(text) {
        assert_eq!(SeriesKey::parse(&key.to_string()), Ok(key));
    }
    if let Some(time) = EventTime::parse(text) {
        assert_eq!(EventTime::parse(&time.to_string()), Some(time));
    }
    let Ok(record) = serde_json::from_str::<InsightRecord>(text) else { return };
    let printed = serde_json::to_string(&record).expect("a record can be printed");
    let again = serde_json::from_str::<InsightRecord>(&printed);
    let again = again.unwrap_or_else(|error| panic!("{printed}: {error}"));
    assert_eq!(serde_json::to_string(&again).ok(), Some(printed.clone()));
    let read = serde_json::from_str::<Value>(text).expect("a record is JSON");
    let back = serde_json::from_str::<Value>(&printed).expect("what is printed is JSON");
    assert_eq!(without_nulls(read), without_nulls(back), "{printed}");
});

/// A member that is null says as much as none.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                members
                    .map(|(key, value)| (key, without_nulls(value)))
                    .collect(),
            )
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let start = include_bytes!("../../src/formats/testdata/documented_start.json");
    vec![
        start.to_vec(),
        b"1,us-east-1,s.amazonaws.com,N,ApiErrorRateInsight,\"a,b\"".to_vec(),
        b"2024-02-29T12:34:56.5+01:00".to_vec(),
    ]
}
