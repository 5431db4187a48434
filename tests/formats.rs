//! The formats room from outside: real Insights records, envelopes, odd values, hostile input,
//! and that `docs/formats.md` says what is.

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use insightd::formats::{
    DecodeLimits, Decoded, Decoder, Format, InsightRecord, Mapping, MappingSpec, RejectReason,
    SkipRule, mapping,
};
use insightd::model::EventCategory;
use serde_json::{Value, json};

fn decode_as(format: Format, limits: DecodeLimits, input: &[u8]) -> Decoded {
    let mut decoder = Decoder::new(format, limits);
    let mut out = Decoded::default();
    for piece in input.chunks(64 << 10) {
        decoder.feed(piece, &mut out);
    }
    decoder.finish(&mut out);
    let counts = &out.counts;
    assert_eq!(
        counts.records,
        counts.events + counts.skipped_total() + counts.rejected_total()
    );
    out
}

fn decode(input: &str) -> Decoded {
    decode_as(Format::Auto, DecodeLimits::default(), input.as_bytes())
}

fn record(name: &str) -> Value {
    json!({
        "eventVersion": "1.08", "eventTime": "2024-01-01T00:00:00Z", "eventName": name,
        "eventSource": "iam.amazonaws.com", "awsRegion": "us-east-1", "eventID": "e-1",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/A", "accountId": "1"},
        "recipientAccountId": "111122223333", "readOnly": false, "managementEvent": true,
        "eventCategory": "Management", "eventType": "AwsApiCall", "userAgent": "cli \"1\"",
    })
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(text.as_bytes())
        .expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn gzip_base64(text: &str) -> String {
    BASE64_STANDARD.encode(gzip(text))
}

/// Names of events, then skips and rejects by name.
fn summary(out: &Decoded) -> Vec<String> {
    let events = out.events.iter().map(|e| e.event_name().to_string());
    let skips = SkipRule::ALL
        .into_iter()
        .flat_map(|rule| (0..out.counts.skipped(rule)).map(move |_| format!("-{}", rule.name())));
    let rejects = out.rejects.iter().map(|r| format!("!{}", r.reason.name()));
    events.chain(skips).chain(rejects).collect()
}

#[test]
fn real_insights_records_print_back_equal() {
    let Some(path) = support::reference_data("cloudtrail-insights/insights-golden.ndjson.gz")
    else {
        return;
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("the file is there");
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("the file is sound");
    let mut seen = 0;
    for line in text.lines() {
        let golden: Value = serde_json::from_str(line).expect("a line of JSON");
        let event = &golden["event"];
        let typed: InsightRecord = serde_json::from_value(event.clone()).expect("our type");
        assert_eq!(&serde_json::to_value(&typed).expect("JSON"), event);
        let printed = serde_json::to_string(&typed).expect("JSON");
        assert_eq!(
            &serde_json::from_str::<Value>(&printed).expect("JSON"),
            event
        );
        assert!(typed.others.is_empty() && typed.insight_details.others.is_empty());
        // As input such a record is skipped by rule.
        assert_eq!(summary(&decode(&event.to_string())), ["-insight"]);
        seen += 1;
    }
    assert_eq!(seen, 15);
}

#[test]
fn envelopes_are_opened() {
    let (a, b) = (record("A"), record("B"));
    let text = |value: &Value| value.to_string();
    let logs = json!({
        "owner": "1", "logGroup": "g", "logStream": "s", "subscriptionFilters": ["f"],
        "messageType": "DATA_MESSAGE",
        "logEvents": [
            {"id": "1", "timestamp": 1, "message": text(&a)},
            {"id": "2", "timestamp": 2, "message": text(&b)},
        ],
    });
    let bridge = |detail: &Value| {
        json!({"version": "0", "id": "i", "detail-type": "AWS API Call via CloudTrail",
            "source": "aws.iam", "account": "1", "time": "2024-01-01T00:00:00Z", "region": "r",
            "resources": [], "detail": detail})
    };
    let packed = gzip_base64(&text(&logs));
    let sns = |message: &str| json!({"Type": "Notification", "MessageId": "m", "Message": message});
    for input in [
        text(&logs),
        json!({"awslogs": {"data": packed}}).to_string(),
        json!({"Data": packed, "PartitionKey": "p"}).to_string(),
        json!({"Records": [{"kinesis": {"data": packed, "partitionKey": "p"},
            "eventSource": "aws:kinesis", "eventName": "aws:kinesis:record"}]})
        .to_string(),
        json!({"records": [{"recordId": "r", "data": packed}]}).to_string(),
        packed.clone(),
        format!("{packed}\r\n"),
        Value::String(packed.clone()).to_string(),
        format!("{}\n{}", bridge(&a), bridge(&b)),
        serde_json::to_string_pretty(&json!([bridge(&a), bridge(&b)])).expect("JSON"),
        json!({"Events": [{"EventId": "e", "EventName": "A", "CloudTrailEvent": text(&a)},
            {"EventId": "e", "EventTime": 1.5, "CloudTrailEvent": text(&b)}], "NextToken": "n"})
        .to_string(),
        json!({"NextToken": "n", "Events": [a, b]}).to_string(),
        sns(&json!({"Records": [a, b]}).to_string()).to_string(),
        json!({"Messages": [
            {"MessageId": "m", "Body": sns(&bridge(&a).to_string()).to_string()},
            {"MessageId": "m", "Body": bridge(&b).to_string()},
        ]})
        .to_string(),
        json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": text(&a)},
            {"EventSource": "aws:sns", "Sns": sns(&text(&b))}]})
        .to_string(),
        sns(&packed).to_string(),
        json!([{"aws": {"cloudtrail": a}}, b]).to_string(),
    ] {
        assert_eq!(summary(&decode(&input)), ["A", "B"], "{input}");
    }
    // Asked for records only, envelopes are rejected.
    let strict = decode_as(
        Format::CloudTrail,
        DecodeLimits::default(),
        text(&logs).as_bytes(),
    );
    assert_eq!(summary(&strict), ["!not_a_record"]);
}

#[test]
fn what_holds_no_calls_is_skipped_by_rule() {
    let notice = json!({"s3Bucket": "b", "s3ObjectKey": ["k1", "k2"]});
    for (input, rule) in [
        (notice.clone(), "-delivery_notice"),
        (
            json!({"Type": "Notification", "Message": notice.to_string()}),
            "-delivery_notice",
        ),
        (
            json!({"Message": "CloudTrail validation message."}),
            "-delivery_notice",
        ),
        (
            json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "r",
            "eventTime": "2024-01-01T00:00:00.000Z", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]}),
            "-delivery_notice",
        ),
        (
            json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}),
            "-delivery_notice",
        ),
        (
            json!({"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": "ok"}]}),
            "-control_message",
        ),
        (
            json!({"Type": "SubscriptionConfirmation", "Message": "You have chosen"}),
            "-control_message",
        ),
        (
            json!({"eventVersion": "1.0", "eventCategory": "Aggregated", "eventType": "AwsAggregatedEvent",
            "eventSource": "s3.amazonaws.com", "timeWindow": {}}),
            "-aggregated",
        ),
        (
            json!({"awsAccountId": "1", "digestStartTime": "2024-01-01T00:00:00Z", "logFiles": []}),
            "-digest",
        ),
        (
            json!({"detail": {"eventType": "AwsCloudTrailInsight", "eventTime": "2024-01-01T00:00:00Z"}}),
            "-insight",
        ),
    ] {
        assert_eq!(summary(&decode(&input.to_string())), [rule], "{input}");
    }
}

#[test]
fn broken_envelopes_are_rejected_and_bounded() {
    let bomb = gzip_base64(&" ".repeat(3 << 20));
    let limits = || DecodeLimits {
        payload_bytes_max: 1 << 20,
        ..DecodeLimits::default()
    };
    let check = |input: String, want: &[&str]| {
        let input = format!("{}\n{input}\n{}\n", record("A"), record("C"));
        let out = decode_as(Format::Auto, limits(), input.as_bytes());
        let mut all = vec!["A", "C"];
        all.extend(want);
        assert_eq!(summary(&out), all, "{input:.200}");
    };
    check(bomb.clone(), &["!payload_too_large"]);
    check(json!({"Data": bomb}).to_string(), &["!payload_too_large"]);
    // The budget is that of the outermost value: the second of two does not fit.
    let half = gzip_base64(&format!("{}{}", record("B"), " ".repeat(700_000)));
    let two = json!({"Records": [{"x": 1}], "records": [{"data": half}, {"data": half}]});
    let out = decode_as(Format::Auto, limits(), two.to_string().as_bytes());
    assert!(summary(&out).len() <= 2);
    let two = json!({"x": 0, "records": [{"data": half}, {"data": half}]});
    let out = decode_as(Format::Auto, limits(), two.to_string().as_bytes());
    assert_eq!(summary(&out), ["B", "!payload_too_large"]);
    let good = gzip_base64(&record("B").to_string());
    check(good[..good.len() / 2].to_string(), &["!invalid_payload"]);
    check(format!("{good}!"), &["!invalid_payload"]);
    check(
        json!({"Data": "what is this"}).to_string(),
        &["!invalid_payload"],
    );
    check(json!({"Message": ""}).to_string(), &["!not_a_record"]);
    check(json!({"Message": "hello"}).to_string(), &["!not_json"]);
    check(
        json!({"logEvents": [{"id": 1}]}).to_string(),
        &["!not_a_record"],
    );
    check(json!({"what": "is this"}).to_string(), &["!not_a_record"]);
    check("{}".to_string(), &["!not_a_record"]);
    let mut deep = record("B").to_string();
    for _ in 0..7 {
        deep = json!({"Message": deep}).to_string();
    }
    check(deep, &["!envelope_too_deep"]);
}

/// A short value was granted 64 MiB for its payloads, so many short lines made a bomb.
/// The grant grows with the length of the value.
#[test]
fn the_budget_of_payloads_follows_the_length_of_their_value() {
    let best = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let written = encoder.write_all(text.as_bytes());
        written.expect("memory takes all");
        BASE64_STANDARD.encode(encoder.finish().expect("memory takes all"))
    };
    let padded = |spaces: usize| best(&format!("{}{}", record("B"), " ".repeat(spaces)));
    assert_eq!(summary(&decode(&padded(60_000))), ["B"]);
    assert_eq!(summary(&decode(&padded(3 << 20))), ["!payload_too_large"]);
    let long = json!({"Data": padded(3 << 20), "more": "x".repeat(20_000)});
    assert_eq!(summary(&decode(&long.to_string())), ["B"]);
}

/// Decodes a record with some members replaced; `null` members are left out.
fn with(changes: &Value) -> Decoded {
    let mut record = record("PutRole");
    for (key, value) in changes.as_object().expect("an object") {
        record[key] = value.clone();
    }
    decode(&record.to_string())
}

#[test]
fn odd_members_have_their_outcome() {
    let error = |changes: Value| {
        let out = with(&changes);
        match out.events.is_empty() {
            true => format!("!{}", out.rejects[0].reason.name()),
            false => out.events.get(0).error_code().to_string(),
        }
    };
    assert_eq!(error(json!({"errorCode": "AccessDenied"})), "AccessDenied");
    assert_eq!(error(json!({"errorCode": 403})), "403");
    assert_eq!(error(json!({"errorCode": null})), "");
    assert_eq!(error(json!({"errorCode": ""})), "");
    assert_eq!(error(json!({"errorCode": true})), "!wrong_type");
    assert_eq!(error(json!({"errorCode": {"a": 1}})), "!wrong_type");
    assert_eq!(
        error(json!({"errorCode": "x".repeat(1 << 20)})),
        "!key_too_long"
    );
    assert_eq!(
        error(json!({"errorCode": "Ünïcode\n\"x\""})),
        "Ünïcode\n\"x\""
    );
    assert_eq!(error(json!({"eventTime": "9999-12-31T23:59:59Z"})), "");
    for (changes, want) in [
        (
            json!({"eventTime": "99999-01-01T00:00:00Z"}),
            "!invalid_time",
        ),
        (json!({"eventTime": "yesterday"}), "!invalid_time"),
        (json!({"eventTime": null}), "!missing_time"),
        (json!({"eventTime": []}), "!invalid_time"),
        (
            json!({"eventTime": "1969-12-31T23:59:59Z"}),
            "!invalid_time",
        ),
        (json!({"eventVersion": "2.0"}), "!unsupported_version"),
        (json!({"eventVersion": 1.08}), ""),
        (json!({"eventSource": null}), "!missing_source"),
        (json!({"eventName": ""}), "!missing_name"),
        (json!({"eventName": 7}), "!wrong_type"),
        (json!({"awsRegion": null}), ""),
        (json!({"awsRegion": []}), "!wrong_type"),
        (
            json!({"recipientAccountId": 12345, "userIdentity": "x", "resources": "x"}),
            "",
        ),
        (
            json!({"userAgent": 7, "addendum": 7, "eventID": false, "resources": [1, "x", null]}),
            "",
        ),
    ] {
        assert_eq!(error(changes.clone()), want, "{changes}");
    }
}

#[test]
fn what_a_record_leaves_unsaid_follows_the_rules() {
    let check = |changes: Value, want: &[&str]| {
        let out = with(&changes);
        let event = out.events.get(0);
        let flags = [
            event.is_read_only().then_some("read"),
            event.is_read_only_derived().then_some("derived"),
            event.is_from_console().then_some("console"),
            event.is_update().then_some("update"),
            (event.category() == EventCategory::Data).then_some("data"),
            (event.category() == EventCategory::NetworkActivity).then_some("network"),
            (event.category() == EventCategory::Other).then_some("other"),
        ];
        let mut got: Vec<&str> = vec![event.account(), event.identity()];
        got.extend(flags.into_iter().flatten());
        assert_eq!(got, want, "{changes}");
    };
    let user = "arn:aws:iam::1:user/A";
    let account = "111122223333";
    check(json!({}), &[account, user]);
    check(json!({"recipientAccountId": null}), &["1", user]);
    check(json!({"readOnly": "true"}), &[account, user, "read"]);
    check(json!({"readOnly": null}), &[account, user, "derived"]);
    check(
        json!({"readOnly": null, "eventName": "GetRole"}),
        &[account, user, "read", "derived"],
    );
    check(json!({"eventCategory": null}), &[account, user]);
    check(
        json!({"eventCategory": null, "managementEvent": false}),
        &[account, user, "data"],
    );
    check(
        json!({"eventCategory": null, "managementEvent": null}),
        &[account, user],
    );
    check(json!({"eventCategory": "Data"}), &[account, user, "data"]);
    check(
        json!({"eventCategory": "NetworkActivity"}),
        &[account, user, "network"],
    );
    check(json!({"eventCategory": "New"}), &[account, user, "other"]);
    check(
        json!({"sessionCredentialFromConsole": "true"}),
        &[account, user, "console"],
    );
    check(
        json!({"addendum": {"reason": "UPDATED_DATA"}}),
        &[account, user, "update"],
    );
    check(
        json!({"addendum": {"reason": "DELIVERY_DELAY"}}),
        &[account, user],
    );
    let identity = |identity: Value, want: &str| {
        check(json!({"userIdentity": identity}), &[account, want]);
    };
    let role = "arn:aws:sts::1:assumed-role/Admin";
    identity(
        json!({"type": "AssumedRole", "arn": format!("{role}/bob")}),
        role,
    );
    identity(
        json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}),
        "ec2.amazonaws.com",
    );
    identity(
        json!({"type": "AWSAccount", "accountId": "7"}),
        "AWSAccount:7",
    );
    identity(json!({"type": "Unknown"}), "Unknown");
    identity(json!({}), "");
    identity(json!(null), "");
}

#[test]
fn resources_and_long_values() {
    let many: Vec<Value> = (0..120)
        .map(|n| json!({"ARN": format!("arn:aws:s3:::b{n}"), "type": "AWS::S3::Object"}))
        .collect();
    let out = with(&json!({"resources": many, "userAgent": "é".repeat(2000)}));
    let event = out.events.get(0);
    assert_eq!(event.resources().count(), 100);
    assert_eq!(
        event.resources().next(),
        Some(("arn:aws:s3:::b0", "AWS::S3::Object"))
    );
    assert_eq!(event.user_agent().len(), 2048);
    assert_eq!(out.counts.values_cut, 21);
    let out =
        with(&json!({"resources": [{"ARNPrefix": "p"}, {"arn": "x\ny"}, {"accountId": "1"}]}));
    let resources: Vec<_> = out.events.get(0).resources().collect();
    assert_eq!(resources, [("p", ""), ("x\ny", "")]);
}

#[test]
fn escaped_and_repeated_keys() {
    let base = r#""eventVersion":"1.08","eventTime":"2024-01-01T00:00:00Z","eventSource":"s""#;
    for (rest, want) in [
        (r#""event\u004eame":"A""#, "A"),
        (r#""eventName":"X","eventName":"A""#, "A"),
        (r#""eventName":"X","event\u004eame":"A""#, "A"),
        (r#""eventName":{"eventName":"X"},"eventName":"A""#, "A"),
        (
            r#""x":{"eventName":"X"},"eventName":"A","y":["eventName"]"#,
            "A",
        ),
        (r#""eventName":"\u0041""#, "A"),
        (r#""eventName":"\ud800A""#, "\u{FFFD}A"),
    ] {
        assert_eq!(
            summary(&decode(&format!("{{{base},{rest}}}"))),
            [want],
            "{rest}"
        );
    }
    let twice = r#"{"eventTime":"2024-01-01T00:00:00Z","eventSource":"s","eventName":"n",
        "userIdentity":{"type":"IAMUser","arn":"a"},"userIdentity":{"type":"Root"}}"#;
    assert_eq!(decode(twice).events.get(0).identity(), "Root");
}

/// A 100 MB line is one reject, in bounded memory, and what follows is read.
#[test]
fn a_line_of_a_hundred_megabytes() {
    let mut decoder = Decoder::new(Format::Auto, DecodeLimits::default());
    let mut out = Decoded::default();
    decoder.feed(
        format!("{}\n{{\"eventVersion\":\"", record("A")).as_bytes(),
        &mut out,
    );
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        decoder.feed(&piece, &mut out);
    }
    decoder.feed(format!("\"}}\n{}\n", record("C")).as_bytes(), &mut out);
    decoder.finish(&mut out);
    assert_eq!(summary(&out), ["A", "C", "!record_too_long"]);
    assert_eq!(out.counts.rejected(RejectReason::RecordTooLong), 1);
    assert_eq!(
        out.rejects[0].record.len(),
        DecodeLimits::default().reject_bytes_max
    );
}

/// The access log of the reference data, through its mapping: every line is an event.
#[test]
fn a_real_access_log() {
    let Some(path) = support::reference_data("weblog-apache/apache_logs.gz") else {
        return;
    };
    let mut text = Vec::new();
    let file = std::fs::File::open(path).expect("the file is there");
    flate2::read::GzDecoder::new(file)
        .read_to_end(&mut text)
        .expect("the file is sound");
    let mapping = mapping::shipped()
        .remove("access_log")
        .expect("it is shipped");
    let out = decode_as(Format::Mapping(mapping), DecodeLimits::default(), &text);
    assert_eq!((out.counts.records, out.counts.events), (10_000, 10_000));
    // Counted with grep and awk: by status, and the busiest first step of a path.
    let errors = |code: &str| out.events.iter().filter(|e| e.error_code() == code).count();
    assert_eq!(
        (errors("404"), errors("403"), errors("500"), errors("416")),
        (213, 2, 3, 2)
    );
    let named = out
        .events
        .iter()
        .filter(|e| e.event_name() == "GET /presentations")
        .count();
    assert_eq!(named, 2_305);
    let first = out.events.get(0);
    assert_eq!(first.time().to_string(), "2015-05-17T10:05:03Z");
    assert_eq!(first.identity(), "83.149.9.216");
}

#[test]
fn the_documentation_names_every_outcome_and_shows_a_mapping_that_works() {
    let docs = include_str!("../docs/formats.md");
    let names = RejectReason::ALL.map(RejectReason::name);
    for name in names.into_iter().chain(SkipRule::ALL.map(SkipRule::name)) {
        assert!(docs.contains(&format!("`{name}`")), "{name}");
    }
    for name in mapping::shipped().keys() {
        assert!(docs.contains(&format!("| `{name}` |")), "{name}");
    }
    let example = docs
        .split("```")
        .find_map(|block| block.strip_prefix("toml\n"))
        .expect("an example");
    let formats: BTreeMap<String, BTreeMap<String, MappingSpec>> =
        toml::from_str(example).expect("the example is TOML");
    let mapping = Mapping::new("myapp", &formats["formats"]["myapp"]).expect("it is sound");
    let line = "2024-05-01 10:00:07 acme login user=bob FAILED(locked)";
    assert!(docs.contains(line));
    let format = Format::Mapping(Arc::new(mapping));
    let out = decode_as(format, DecodeLimits::default(), line.as_bytes());
    let event = out.events.get(0);
    assert_eq!(event.time().to_string(), "2024-05-01T10:00:07Z");
    assert_eq!(
        [
            event.account(),
            event.event_name(),
            event.error_code(),
            event.identity()
        ],
        ["acme", "login", "locked", "bob"]
    );
    assert!(!event.is_read_only());
}
