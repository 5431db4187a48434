//! Mappings: the shipped ones on real shapes, and what the check refuses.

use super::super::{DecodeLimits, Decoded, Decoder, Format};
use super::*;

fn decode(mapping: &str, input: &str) -> Vec<String> {
    let mapping = shipped().remove(mapping).unwrap();
    decode_with(mapping, input)
}

/// One line a record: the events in full, then skips and rejects.
fn decode_with(mapping: Arc<Mapping>, input: &str) -> Vec<String> {
    let run = |size: usize| {
        let limits = DecodeLimits::default();
        let mut decoder = Decoder::new(Format::Mapping(mapping.clone()), limits);
        let mut out = Decoded::default();
        for piece in input.as_bytes().chunks(size) {
            decoder.feed(piece, &mut out);
        }
        decoder.finish(&mut out);
        let events = out.events.iter().map(|e| {
            format!(
                "{} {}|{}|{}|{}|{}|{}|{}|{}|{:?}{}",
                e.time(),
                e.account(),
                e.region(),
                e.event_source(),
                e.event_name(),
                e.error_code(),
                e.identity(),
                e.user_agent(),
                e.event_id(),
                e.category(),
                if e.is_read_only() { " read" } else { "" },
            )
        });
        let skipped = (out.counts.skipped_total() > 0)
            .then(|| format!("skipped {}", out.counts.skipped_total()));
        let rejects = out
            .rejects
            .iter()
            .map(|r| format!("{} {}", r.reason.name(), r.detail));
        events.chain(skipped).chain(rejects).collect::<Vec<_>>()
    };
    let whole = run(usize::MAX);
    for size in [1, 7, 100] {
        assert_eq!(run(size), whole);
    }
    whole
}

#[test]
fn access_log() {
    assert_eq!(
        decode("access_log", include_str!("../testdata/access.log")),
        [
            concat!(
                "2015-05-17T08:05:03Z web||access_log|GET /presentations||83.149.9.216|",
                r#"Mozilla/5.0 \"x\"||Management"#
            ),
            "2015-05-17T10:05:03Z web||access_log|POST /|404|::1|||Management",
            "2015-05-17T10:05:03Z web||access_log|malformed|400|1.2.3.4|-||Management",
            "line_mismatch the pattern does not match",
            r#"invalid_time `time` is "99/May/2015:10:05:03 +0000""#,
        ]
    );
}

#[test]
fn kubernetes() {
    let events = include_str!("../testdata/kubernetes.ndjson");
    let want = [
        concat!(
            "2024-05-01T10:00:01Z kubernetes|ci|core|create pods/exec|Forbidden|bot|",
            "kubectl/v1.30|a-1|Management"
        ),
        concat!(
            "2024-05-01T10:00:01Z kubernetes||apps|list deployments||bot|",
            "kubectl/v1.30|a-1|Management read"
        ),
        concat!(
            "2024-05-01T10:00:01Z kubernetes||core|get non-resource|500|bot|",
            "kubectl/v1.30|a-1|Management read"
        ),
        "skipped 1",
    ];
    assert_eq!(decode("kubernetes", events), want);
    let items = events.trim_end().replace('\n', ",");
    let list = format!(r#"{{"kind":"EventList","items":[{items}]}}"#);
    assert_eq!(decode("kubernetes", &list), want);
}

#[test]
fn ocsf() {
    let call = "us-east-1|s3.amazonaws.com|PutObject|AccessDenied|arn:aws:iam::1:user/A";
    assert_eq!(
        decode("ocsf", include_str!("../testdata/ocsf.ndjson")),
        [
            format!("2023-11-14T22:13:20Z 444455556666|{call}|sdk\t1|id-1|Data"),
            format!("2023-11-14T22:13:20Z 111122223333|{call}|sdk\t1|id-1|Data read"),
            "skipped 1".to_string(),
        ]
    );
}

#[test]
fn a_mapping_of_ones_own() {
    let spec: MappingSpec = toml::from_str(
        r#"
        time = ["{/ts}"]
        time_format = "%Y/%m/%d %H:%M"
        source = "{/svc~1name/0/a~0b}"
        name = ["{/op} {{{/svc~1name/1}}}", "{/op}"]
        "#,
    )
    .unwrap();
    let mapping = Arc::new(Mapping::new("own", &spec).unwrap());
    let input = r#"[{"ts":"2024/05/01 10:00","svc\/name":[{"a~b":"S"},7],"op":"GetX"},
        {"ts":"2024/05/01 10:00","svc/name":[{"a~b":"S"}],"op":"x","op":"y"},
        {"ts":"2024/05/01 10:00"}, {"ts":"2024/05/01"}, 7, {"svc/name":{}}]"#;
    assert_eq!(
        decode_with(mapping, input),
        [
            "2024-05-01T10:00:00Z ||S|GetX {7}|||||Management read",
            "2024-05-01T10:00:00Z ||S|y|||||Management",
            "missing_source no `source`",
            "invalid_time `time` is \"2024/05/01\"",
            "not_a_record not an object",
            "missing_time no `time`",
        ]
    );
}

#[test]
fn what_is_wrong_is_named() {
    let check = |text: &str, want: &str| {
        let spec: Result<MappingSpec, _> = toml::from_str(text);
        let error = match spec {
            Ok(spec) => Mapping::new("x", &spec).unwrap_err(),
            Err(error) => error.message().to_string(),
        };
        assert!(error.contains(want), "{error}");
    };
    let base = "time = \"{/t}\"\nsource = \"s\"\nname = \"n\"\n";
    check("source = \"s\"\nname = \"n\"", "missing field `time`");
    check(
        "time = []\nsource = \"s\"\nname = \"n\"",
        "formats.x.time: needs a text",
    );
    check(&format!("{base}nam = \"n\""), "unknown field `nam`");
    check(
        &format!("{base}error = \"{{x\""),
        "formats.x.error: `{x` has a brace",
    );
    check(
        &format!("{base}error = \"{{x}}\""),
        "`x` is no JSON pointer",
    );
    check(
        &format!("{base}time_format = \"x\""),
        "formats.x.time_format: `x` is none of",
    );
    check(
        &format!("{base}pattern = \"x\""),
        "formats.x.pattern: belongs to",
    );
    check(
        &format!("{base}kind = \"line\""),
        "formats.x.pattern: is needed",
    );
    check(
        &format!("{base}kind = \"line\"\npattern = \"x\""),
        "has no group named `/t`",
    );
    check(
        &format!("{base}kind = \"line\"\npattern = \"(\""),
        "formats.x.pattern:",
    );
}

#[test]
fn the_shipped_specs_print_and_read_back() {
    for (name, spec) in shipped_specs() {
        let text = toml::to_string(&spec).unwrap();
        assert_eq!(
            toml::from_str::<MappingSpec>(&text).unwrap(),
            spec,
            "{name}"
        );
    }
}
