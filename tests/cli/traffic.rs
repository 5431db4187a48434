//! Small CloudTrail traffic that brings exactly one pair of insights.

use std::fmt::Write as _;
use std::io::Write as _;

/// 2024-03-04T00:00:00Z, a Monday.
pub const START: i64 = 1_709_510_400;
/// Hours of the traffic.
pub const HOURS: i64 = 54;
/// The surge begins this many minutes after [`START`] and lasts ten minutes.
pub const SURGE: i64 = 52 * 60 + 7;
/// Surges count as unusual from here on; without a week of history the budget has no say.
pub const FIXED_Z: (&str, &str) = ("INSIGHTD_DETECTOR__FIXED_Z", "4");

/// RFC 3339 of a second since the epoch, by a formula of its own.
pub fn time(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400) - 19_786;
    // Day 0 is 2024-03-04; the traffic stays within March.
    let (day, second) = (4 + days, seconds.rem_euclid(86_400));
    format!(
        "2024-03-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// One record as CloudTrail writes it.
pub fn record(seconds: i64, number: u64) -> String {
    format!(
        "{{\"eventVersion\":\"1.08\",\"userIdentity\":{{\"type\":\"IAMUser\",\
         \"arn\":\"arn:aws:iam::111122223333:user/alice\",\"accountId\":\"111122223333\"}},\
         \"eventTime\":\"{}\",\"eventSource\":\"ec2.amazonaws.com\",\"eventName\":\"CreateTags\",\
         \"awsRegion\":\"us-east-1\",\"sourceIPAddress\":\"192.0.2.1\",\"userAgent\":\"test\",\
         \"eventID\":\"00000000-0000-4000-8000-{number:012}\",\"readOnly\":false,\
         \"eventType\":\"AwsApiCall\",\"managementEvent\":true,\"eventCategory\":\"Management\",\
         \"recipientAccountId\":\"111122223333\"}}",
        time(seconds)
    )
}

/// Records in order of time: two a minute, thirty a minute in the surge.
pub fn records() -> Vec<String> {
    let mut records = Vec::new();
    for minute in 0..HOURS * 60 {
        let in_surge = (SURGE..SURGE + 10).contains(&minute);
        let count = if in_surge { 30 } else { 2 };
        for index in 0..count {
            let second = START + minute * 60 + index * 60 / count;
            records.push(record(second, records.len() as u64));
        }
    }
    records
}

pub fn ndjson(records: &[String]) -> Vec<u8> {
    let mut text = String::new();
    for record in records {
        writeln!(text, "{record}").expect("a String takes all text");
    }
    text.into_bytes()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}

/// The edges of the insights in `out`, in order.
pub fn edges(out: &str) -> Vec<String> {
    out.lines()
        .map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            let details = &record["insightDetails"];
            let state = details["state"].as_str().expect("a record has a state");
            let time = record["eventTime"].as_str().expect("a record has a time");
            format!("{state} {time}")
        })
        .collect()
}

#[test]
fn the_formula_for_times_is_right_at_known_points() {
    assert_eq!(time(START), "2024-03-04T00:00:00Z");
    assert_eq!(time(1_709_696_096), "2024-03-06T03:34:56Z");
}
