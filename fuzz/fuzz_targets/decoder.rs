//! The decoder over any bytes in any pieces: the pieces mean nothing, every record has one
//! outcome, and what `serde_json` reads of a record is what we read.
#![no_main]

use insightd::formats::{DecodeLimits, Format};
use insightd_fuzz::{Input, decode, pieces, record_oracle, write_seeds};
use libfuzzer_sys::fuzz_target;

/// Longer records could meet a limit that the oracle does not know.
const ORACLE_BYTES_MAX: usize = 1000;

fuzz_target!(init: write_seeds(seeds), |data: &[u8]| {
    let mut input = Input::new(data);
    let mode = input.byte();
    let pattern = input.number();
    let format = match mode & 1 {
        0 => Format::Auto,
        _ => Format::CloudTrail,
    };
    let limits = match mode & 2 {
        0 => DecodeLimits::default(),
        _ => DecodeLimits {
            record_bytes_max: 96,
            key_bytes_max: 12,
            value_bytes_max: 10,
            nesting_max: 8,
            payload_bytes_max: 200,
            reject_bytes_max: 20,
            rejects_kept_max: 3,
        },
    };
    let whole = decode(&format, &limits, &[input.rest]);
    let cut = decode(&format, &limits, &pieces(input.rest, pattern));
    assert_eq!(whole, cut, "the pieces change the outcome");
    for line in input.rest.split(|byte| *byte == b'\n') {
        compare(line);
    }
});

/// One line that is an object for `serde_json` gives the same seven fields, or the same refusal.
fn compare(line: &[u8]) {
    if line.len() > ORACLE_BYTES_MAX {
        return;
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return;
    };
    let text = text.trim_ascii();
    if !text.starts_with('{') {
        return;
    }
    let Ok(record) = serde_json::from_str::<serde_json::Value>(text) else {
        return;
    };
    let Some(expected) = record_oracle::expected_fields(&record) else {
        return;
    };
    assert_eq!(record_oracle::decoded_fields(text), expected, "{text}");
}

fn seeds() -> Vec<Vec<u8>> {
    let record = concat!(
        r#"{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole","#,
        r#""arn":"arn:aws:sts::1:assumed-role/R/s","accountId":"1","invokedBy":"x.amazonaws.com"},"#,
        r#""eventTime":"2024-02-29T12:34:56Z","eventSource":"s3.amazonaws.com","#,
        r#""eventName":"GetObject","awsRegion":"r","userAgent":"a","errorCode":"AccessDenied","#,
        r#""eventID":"i","readOnly":true,"resources":[{"ARN":"arn:aws:s3:::b","type":"T"}],"#,
        r#""eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"1","#,
        r#""eventCategory":"Management"}"#
    );
    let bridge = format!(
        r#"{{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":{record}}}"#
    );
    let lookup = format!(
        r#"{{"Events":[{{"EventId":"i","CloudTrailEvent":{}}}]}}"#,
        serde_json::Value::from(record)
    );
    let sns = format!(
        r#"{{"Type":"Notification","MessageId":"m","Message":{}}}"#,
        serde_json::Value::from(bridge.as_str())
    );
    let texts = [
        format!("{record}\n{record}\n"),
        format!("{{\"Records\":[{record},\n{record}]}}"),
        format!("[\n  {record},\n  {record}\n]\n"),
        format!("{}\n", record.replace(',', " ,\n\t")),
        format!("{record}\n{{\"eventVersion\":\"1.08\",\n{record}"),
        format!("{bridge}\n{lookup}\n{sns}\n"),
        r#"{"awslogs":{"data":"H4sIAAAAAAAAA6uu5QIABrCh3QMAAAA="}}"#.to_string(),
        r#"{"s3Bucket":"b","s3ObjectKey":["AWSLogs/1/CloudTrail/r/2024/01/01/x.json.gz"]}"#
            .to_string(),
        include_str!("../../src/formats/testdata/documented_start.json").to_string(),
    ];
    let with_head = |mode: u8| {
        let texts = texts.iter().map(|text| text.as_bytes());
        texts.map(move |text| [&[mode, 1, 2, 3, 4], text].concat())
    };
    (0..4).flat_map(with_head).collect()
}
