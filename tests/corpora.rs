//! Every CloudTrail corpus of the reference data decodes: no panic, and every record is an
//! event, skipped by a rule, or rejected for a reason.

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use insightd::formats::{DecodeLimits, Decoded, Decoder, Format, RejectReason, SkipRule};
use insightd::model::{AuditEvent, EventCategory};
use serde_json::Value;

/// Decodes one file's content in pieces of 64 KiB; gzip is opened by content.
fn decode_into(out: &mut Decoded, bytes: &[u8]) {
    let mut plain = Vec::new();
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(bytes)
            .read_to_end(&mut plain)
            .expect("the corpora are sound");
        &plain[..]
    } else {
        bytes
    };
    let mut decoder = Decoder::new(Format::Auto, DecodeLimits::default());
    for piece in bytes.chunks(64 << 10) {
        decoder.feed(piece, out);
    }
    decoder.finish(out);
}

fn tally(out: &Decoded) -> BTreeMap<String, u64> {
    let counts = &out.counts;
    assert_eq!(
        counts.records,
        counts.events + counts.skipped_total() + counts.rejected_total()
    );
    assert_eq!(counts.events, out.events.len() as u64);
    let mut tally = BTreeMap::from([("events".to_string(), counts.events)]);
    for rule in SkipRule::ALL {
        tally.insert(format!("skipped {}", rule.name()), counts.skipped(rule));
    }
    for reason in RejectReason::ALL {
        tally.insert(
            format!("rejected {}", reason.name()),
            counts.rejected(reason),
        );
    }
    tally.retain(|_, count| *count > 0);
    tally
}

/// Decodes the files of a corpus whose names end in one of `endings`.
fn check(archive: &str, endings: &[&str], want: &[(&str, u64)]) {
    let Some(archive) = support::reference_data(archive) else {
        return;
    };
    let directory = support::unpack(&archive);
    let mut out = Decoded::default();
    let mut paths: Vec<_> = walkdir::WalkDir::new(directory.path())
        .into_iter()
        .map(|entry| entry.expect("the directory is ours").into_path())
        .filter(|path| path.is_file() && ends_with(path, endings))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in &paths {
        decode_into(&mut out, &std::fs::read(path).expect("the file is ours"));
    }
    let want: BTreeMap<String, u64> = want.iter().map(|(k, v)| (k.to_string(), *v)).collect();
    let rejects: Vec<String> = out
        .rejects
        .iter()
        .take(9)
        .map(|r| {
            format!(
                "{} {} {}",
                r.reason.name(),
                r.detail,
                String::from_utf8_lossy(&r.record[..r.record.len().min(200)])
            )
        })
        .collect();
    assert_eq!(tally(&out), want, "{} {rejects:#?}", archive.display());
}

fn ends_with(path: &Path, endings: &[&str]) -> bool {
    let name = path.to_string_lossy();
    endings.iter().any(|ending| name.ends_with(ending))
}

#[test]
fn sans504() {
    check(
        "cloudtrail-sans504/sans504.tar.xz",
        &[".json.gz", ".json"],
        &[("events", 18_672)],
    );
}

#[test]
fn invictus() {
    check(
        "cloudtrail-invictus/invictus.tar.xz",
        &[".json", ".json.gz"],
        &[("events", 2_900)],
    );
}

#[test]
fn stratus() {
    check(
        "cloudtrail-stratus/stratus.tar.xz",
        &[".json"],
        &[("events", 310)],
    );
}

#[test]
fn cartographer() {
    check(
        "cloudtrail-cartographer/cartographer.tar.xz",
        &[".json"],
        &[("events", 9_226)],
    );
}

#[test]
fn opensearch_catalog() {
    check(
        "cloudtrail-opensearch-catalog/opensearch-catalog.tar.xz",
        &[".json"],
        &[("events", 891), ("rejected invalid_json", 2)],
    );
}

#[test]
fn conformance_sources() {
    check(
        "cloudtrail-conformance/sources.tar.xz",
        &[".json", ".json.gz", ".jsonl", ".cloudtrail"],
        &[
            ("events", 948),
            ("rejected missing_time", 1),
            ("rejected not_a_record", 13),
            ("skipped delivery_notice", 1),
        ],
    );
}

/// Every file that is no log at all, to see that nothing panics.
#[test]
fn other_files_of_the_sources() {
    let Some(archive) = support::reference_data("cloudtrail-conformance/sources.tar.xz") else {
        return;
    };
    let directory = support::unpack(&archive);
    for entry in walkdir::WalkDir::new(directory.path()) {
        let path = entry.expect("the directory is ours").into_path();
        if path.is_file() {
            let mut out = Decoded::default();
            decode_into(&mut out, &std::fs::read(path).expect("the file is ours"));
            tally(&out);
        }
    }
}

/// The odd events one by one: read as what plain look-ups in the JSON say, except two that have
/// no time.
#[test]
fn odd_events() {
    let Some(path) = support::reference_data("cloudtrail-conformance/odd-events.ndjson.xz") else {
        return;
    };
    let unpacked = Command::new("xz")
        .arg("-dc")
        .arg(path)
        .output()
        .expect("xz runs");
    let text = String::from_utf8(unpacked.stdout).expect("the file is text");
    let mut without_time = 0;
    for line in text.lines() {
        let odd: Value = serde_json::from_str(line).expect("a line of JSON");
        let event = &odd["event"];
        for printed in [
            event.to_string(),
            serde_json::to_string_pretty(event).expect("JSON"),
        ] {
            let mut out = Decoded::default();
            decode_into(&mut out, printed.as_bytes());
            if event["eventTime"].is_null() {
                assert_eq!(out.counts.rejected(RejectReason::MissingTime), 1, "{line}");
                without_time += 1;
                continue;
            }
            assert_eq!((out.counts.records, out.events.len()), (1, 1), "{line}");
            check_odd(event, out.events.get(0));
        }
    }
    assert_eq!((text.lines().count(), without_time), (91, 4));
}

fn check_odd(event: &Value, got: AuditEvent<'_>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let identity = &event["userIdentity"];
    assert_eq!(got.event_name(), text(&event["eventName"]));
    assert_eq!(got.event_source(), text(&event["eventSource"]));
    assert_eq!(got.region(), text(&event["awsRegion"]));
    assert_eq!(got.error_code(), text(&event["errorCode"]));
    assert_eq!(got.event_id(), text(&event["eventID"]));
    assert_eq!(got.user_agent(), text(&event["userAgent"]));
    assert_eq!(got.identity_arn(), text(&identity["arn"]));
    let account = match &event["recipientAccountId"] {
        Value::Null => text(&identity["accountId"]),
        recipient => text(recipient),
    };
    assert_eq!(got.account(), account);
    let time = text(&event["eventTime"]);
    assert_eq!(
        got.time().to_string()[..19].replace('T', " "),
        time[..19].replace('T', " ")
    );
    let said = &event["readOnly"];
    if !said.is_null() {
        assert_eq!(
            got.is_read_only().to_string(),
            said.to_string().replace('"', "").to_lowercase()
        );
    }
    assert_eq!(got.is_read_only_derived(), said.is_null());
    let category = match (event["eventCategory"].as_str(), &event["managementEvent"]) {
        (Some("Data"), _) | (None, Value::Bool(false)) => EventCategory::Data,
        (Some("NetworkActivity"), _) => EventCategory::NetworkActivity,
        _ => EventCategory::Management,
    };
    assert_eq!(got.category(), category);
    let identity = got.identity();
    assert_eq!(identity.is_empty(), event["userIdentity"].is_null());
    assert!(!identity.contains(":assumed-role/") || identity.matches('/').count() == 1);
}
