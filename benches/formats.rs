//! Nanoseconds per CloudTrail event, from bytes to event batch, against serde_json on the same
//! bytes in the same run: `cargo bench --bench formats`.
//!
//! The text is made like real trails: compact records in CloudTrail's order of keys, ten kinds of
//! identity, nested parameters with keys that look like those of the record, mean 1.6 KB.

use std::borrow::Cow;
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use insightd::formats::{DecodeLimits, Decoded, Decoder, Format};
use serde::Deserialize;

const EVENTS: usize = 60_000;
const ROUNDS: usize = 7;
const PIECE: usize = 1 << 20;

/// What EventBridge puts before a record.
const BRIDGE: &str = concat!(
    r#"{"version":"0","id":"36eb8523-97d0-4518-b33d-ee3579ff19f0","detail-type":"AWS API Call "#,
    r#"via CloudTrail","source":"aws.s3","account":"123456789012","time":"2024-03-01T00:00:00Z","#,
    r#""region":"us-east-1","resources":[],"detail":"#
);

/// A small generator of its own, so that the text is the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 33) % limit
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len() as u64) as usize]
    }

    fn hex(&mut self, length: usize, out: &mut String) {
        for _ in 0..length {
            out.push(char::from(b"0123456789abcdef"[self.below(16) as usize]));
        }
    }
}

fn identity(random: &mut Random, account: u64, out: &mut String) {
    let role = random.below(300);
    match random.below(100) {
        0..53 => write!(
            out,
            r#"{{"type":"AssumedRole","principalId":"AROAEXAMPLE{role:09}:session-{role}","arn":"arn:aws:sts::{account:012}:assumed-role/service-role-{role}/session-{role}","accountId":"{account:012}","accessKeyId":"ASIAEXAMPLE{role:09}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLE{role:09}","arn":"arn:aws:iam::{account:012}:role/service-role-{role}","accountId":"{account:012}","userName":"service-role-{role}"}},"attributes":{{"creationDate":"2024-01-01T00:00:00Z","mfaAuthenticated":"false"}}}}}}"#
        ),
        53..83 => write!(out, r#"{{"type":"AWSService","invokedBy":"autoscaling.amazonaws.com"}}"#),
        83..93 => write!(
            out,
            r#"{{"type":"IAMUser","principalId":"AIDAEXAMPLE{role:09}","arn":"arn:aws:iam::{account:012}:user/user-{role}","accountId":"{account:012}","accessKeyId":"AKIAEXAMPLE{role:09}","userName":"user-{role}"}}"#
        ),
        93..96 => write!(out, r#"{{"type":"Root","principalId":"{account:012}","arn":"arn:aws:iam::{account:012}:root","accountId":"{account:012}"}}"#),
        _ => write!(out, r#"{{"type":"AWSAccount","principalId":"AIDAEXAMPLE{role:09}","accountId":"{account:012}"}}"#),
    }
    .expect("a string takes all");
}

fn parameters(random: &mut Random, out: &mut String) {
    out.push('{');
    for index in 0..2 + random.below(14) {
        if index > 0 {
            out.push(',');
        }
        let key = match random.below(400) {
            0 => "eventName",
            1 => "errorCode",
            2 => "recipientAccountId",
            _ => random.pick(&[
                "bucketName",
                "instanceId",
                "policyDocument",
                "tagSet",
                "filter",
                "nextToken",
            ]),
        };
        write!(out, r#""{key}":"#).expect("a string takes all");
        match random.below(10) {
            0 => out.push_str(
                r#""{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\"}]}""#,
            ),
            1 => out.push_str(r#"{"items":[{"name":"a}b","value":[1,2.5,null]},{"name":"\\"}]}"#),
            2 => out.push_str("true"),
            3 => out.push_str(r#""Zürich – naïve""#),
            _ => {
                out.push('"');
                let length = 12 + random.below(40) as usize;
                random.hex(length, out);
                out.push('"');
            }
        }
    }
    out.push('}');
}

fn record(random: &mut Random, index: usize, out: &mut String) {
    let account = 100_000_000_000 + random.below(200) * 37;
    out.push_str(r#"{"eventVersion":"1.08","userIdentity":"#);
    identity(random, account, out);
    let second = index * 3 / 10;
    let region = random.pick(&["us-east-1", "eu-west-1", "eu-central-1", "ap-southeast-2"]);
    let source = random.pick(&["s3", "ec2", "iam", "sts", "lambda", "kms"]);
    let name = random.pick(&[
        "DescribeInstances",
        "PutObject",
        "AssumeRole",
        "CreateUser",
        "Invoke20150331",
        "Decrypt",
    ]);
    let agent = random.pick(&[
        "aws-sdk-go/1.44.122 (go1.19; linux; amd64)",
        "Boto3/1.26.1 Python/3.9.13 Linux/5.10.135 Botocore/1.29.1",
        "autoscaling.amazonaws.com",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    ]);
    write!(
        out,
        r#","eventTime":"2024-03-{:02}T{:02}:{:02}:{:02}Z","eventSource":"{source}.amazonaws.com","eventName":"{name}","awsRegion":"{region}","sourceIPAddress":"10.{}.{}.7","userAgent":"{agent}","#,
        1 + second / 86_400, second / 3600 % 24, second / 60 % 60, second % 60,
        random.below(256), random.below(256),
    )
    .expect("a string takes all");
    if random.below(20) == 0 {
        out.push_str(r#""errorCode":"AccessDenied","errorMessage":"User is not authorized to perform: s3:PutObject","#);
    }
    out.push_str(r#""requestParameters":"#);
    parameters(random, out);
    out.push_str(r#","responseElements":"#);
    if random.below(2) == 0 {
        parameters(random, out);
    } else {
        out.push_str("null");
    }
    out.push_str(r#","requestID":""#);
    random.hex(32, out);
    out.push_str(r#"","eventID":""#);
    random.hex(36, out);
    write!(
        out,
        r#"","readOnly":{},"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{account:012}","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.2","cipherSuite":"ECDHE-RSA-AES128-GCM-SHA256","clientProvidedHostHeader":"{source}.{region}.amazonaws.com"}}}}"#,
        random.below(2) == 0,
    )
    .expect("a string takes all");
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct TypedIdentity<'r> {
    #[serde(borrow, default)]
    r#type: Cow<'r, str>,
    #[serde(borrow, default)]
    arn: Cow<'r, str>,
    #[serde(borrow, default)]
    account_id: Cow<'r, str>,
    #[serde(borrow, default)]
    invoked_by: Cow<'r, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct TypedRecord<'r> {
    #[serde(borrow)]
    user_identity: TypedIdentity<'r>,
    #[serde(borrow)]
    event_time: Cow<'r, str>,
    #[serde(borrow)]
    event_source: Cow<'r, str>,
    #[serde(borrow)]
    event_name: Cow<'r, str>,
    #[serde(borrow)]
    aws_region: Cow<'r, str>,
    #[serde(borrow, default)]
    user_agent: Cow<'r, str>,
    #[serde(borrow, default)]
    error_code: Cow<'r, str>,
    #[serde(borrow, default, rename = "eventID")]
    event_id: Cow<'r, str>,
    #[serde(default)]
    read_only: bool,
    #[serde(borrow, default)]
    event_type: Cow<'r, str>,
    #[serde(borrow, default)]
    recipient_account_id: Cow<'r, str>,
    #[serde(borrow, default)]
    event_category: Cow<'r, str>,
}

/// Nanoseconds per event of one pass, on the processor where the kernel tells.
fn timed(events: usize, pass: impl FnOnce() -> usize) -> f64 {
    let (clock, processor) = (Instant::now(), processor_nanoseconds());
    let seen = black_box(pass());
    let elapsed = match (processor, processor_nanoseconds()) {
        (Some(start), Some(end)) => (end - start) as f64,
        _ => clock.elapsed().as_nanos() as f64,
    };
    assert_eq!(seen, events);
    elapsed / events as f64
}

/// Time this process has spent on a processor, so that a busy machine does not count.
fn processor_nanoseconds() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}

fn decode(bytes: &[u8], out: &mut Decoded) -> usize {
    let mut decoder = Decoder::new(Format::Auto, DecodeLimits::default());
    let mut events = 0;
    for piece in bytes.chunks(PIECE) {
        decoder.feed(piece, out);
        events += out.events.len();
        out.clear();
    }
    decoder.finish(out);
    events += out.events.len();
    out.clear();
    events
}

fn typed(bytes: &[u8]) -> usize {
    let mut events = 0;
    for line in bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let record: TypedRecord<'_> = serde_json::from_slice(line).expect("the text is sound");
        black_box(&record);
        events += 1;
    }
    events
}

fn lines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let mut random = Random(1);
    let mut ndjson = String::new();
    let mut records = String::from("{\"Records\":[");
    for index in 0..EVENTS {
        let start = ndjson.len();
        record(&mut random, index, &mut ndjson);
        if index > 0 {
            records.push(',');
        }
        records.push_str(&ndjson[start..]);
        ndjson.push('\n');
    }
    records.push_str("]}");
    let bridge = ndjson.lines().fold(String::new(), |mut bridge, line| {
        bridge.push_str(BRIDGE);
        bridge.push_str(line);
        bridge.push_str("}\n");
        bridge
    });
    let bytes = ndjson.len() as f64 / EVENTS as f64;
    let mut out = Decoded::default();
    let (mut split, mut serde, mut ours) = (vec![], vec![], vec![]);
    let (mut file, mut bridged) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        split.push(timed(EVENTS, || lines(ndjson.as_bytes())));
        serde.push(timed(EVENTS, || typed(ndjson.as_bytes())));
        ours.push(timed(EVENTS, || decode(ndjson.as_bytes(), &mut out)));
        file.push(timed(EVENTS, || decode(records.as_bytes(), &mut out)));
        bridged.push(timed(EVENTS, || decode(bridge.as_bytes(), &mut out)));
    }
    let (split, serde) = (median(split), median(serde));
    let (ours, file, bridged) = (median(ours), median(file), median(bridged));
    println!("{EVENTS} events, mean {bytes:.0} bytes, median of {ROUNDS} rounds, ns per event:");
    println!("  newline split                {split:8.0}");
    println!("  serde_json typed, 13 fields  {serde:8.0}");
    println!(
        "  decoder, NDJSON              {ours:8.0}  {:.2} times serde_json",
        serde / ours
    );
    println!(
        "  decoder, {{\"Records\":[...]}}   {file:8.0}  {:.2} times serde_json",
        serde / file
    );
    println!(
        "  decoder, EventBridge         {bridged:8.0}  {:.2} times serde_json",
        serde / bridged
    );
}
