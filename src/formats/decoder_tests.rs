//! What the decoder makes of bytes, however they are cut.

use proptest::prelude::*;

use super::*;
use crate::formats::decoded::{RejectReason, SkipRule};

/// One outcome a line, in order: the events, then the skips, then the rejects.
fn summary(out: &Decoded) -> Vec<String> {
    let counts = &out.counts;
    assert_eq!(counts.events, out.events.len() as u64);
    assert_eq!(counts.rejected_total(), out.rejects.len() as u64);
    assert_eq!(
        counts.records,
        counts.events + counts.skipped_total() + counts.rejected_total()
    );
    let events = out.events.iter().map(|e| e.event_name().to_string());
    let skips = SkipRule::ALL
        .into_iter()
        .filter(|rule| counts.skipped(*rule) > 0);
    let rejects = out.rejects.iter().map(|reject| {
        let record = String::from_utf8_lossy(&reject.record);
        let record: String = record.chars().take(30).collect();
        format!("!{} @{} {record}", reject.reason.name(), reject.byte_offset)
    });
    events
        .chain(skips.map(|rule| format!("-{} {}", rule.name(), counts.skipped(rule))))
        .chain(rejects)
        .collect()
}

fn decode_with(limits: &DecodeLimits, pieces: &[&[u8]]) -> Decoded {
    decode_behind(limits, b"", pieces)
}

/// Decodes with a decoder that has read `before` of another input.
fn decode_behind(limits: &DecodeLimits, before: &[u8], pieces: &[&[u8]]) -> Decoded {
    let mut decoder = Decoder::new(Format::Auto, limits.clone());
    decoder.feed(before, &mut Decoded::default());
    decoder.restart();
    let mut out = Decoded::default();
    for piece in pieces {
        decoder.feed(piece, &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn same(left: &Decoded, right: &Decoded) {
    assert_eq!(left.counts, right.counts);
    assert_eq!(left.rejects, right.rejects);
    for (left, right) in left.events.iter().zip(right.events.iter()) {
        left.with_fields(|left| right.with_fields(|right| assert_eq!(left, right)));
    }
}

/// Decodes whole and in pieces of several sizes, which must give the same.
fn decode_limited(limits: &DecodeLimits, bytes: &[u8]) -> Decoded {
    let whole = decode_with(limits, &[bytes]);
    for size in [1, 2, 3, 5, 7, 16, 63, 64, 65, 200, 1000] {
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        same(&whole, &decode_with(limits, &pieces));
    }
    whole
}

fn check(input: &str, want: &[&str]) {
    let out = decode_limited(&DecodeLimits::default(), input.as_bytes());
    assert_eq!(summary(&out), want, "{input}");
}

/// A minimal record with this name.
fn record(name: &str) -> String {
    format!(
        concat!(
            r#"{{"eventVersion":"1.08","eventTime":"2024-01-01T00:00:00Z","eventSource":"s","#,
            r#""eventName":"{}","requestParameters":{{"a":[1,{{"eventName":"trap"}}],"#,
            r#""b":"}}\"]"}}}}"#
        ),
        name
    )
}

#[test]
fn every_framing_gives_the_same_records() {
    let (a, b, c) = (record("A"), record("B"), record("C"));
    let pretty = |text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    let list = format!("[{a},{b},{c}]");
    let records = format!(r#"{{"Records":[{a},{b},{c}]}}"#);
    for input in [
        format!("{a}\n{b}\n{c}\n"),
        format!("{a}\n{b}\n{c}"),
        format!("\u{feff}{a}\r\n\r\n  \r\n{b}\r\n{c}\r\n"),
        format!("{a}{b} {c}"),
        list.clone(),
        pretty(&list),
        records.clone(),
        pretty(&records),
        format!("{}\n{}\n{}", pretty(&a), pretty(&b), pretty(&c)),
        format!(r#"{{"Records":[{a}]}}{{"Records":[{b},{c}],"x":{{"y":[1]}}}}"#),
        format!("{a}\n[{b}]\n{{ \"Records\" : [ {c} ] }}"),
        format!("[[{a}],[[{b}]],{{\"Records\":[{c}]}}]"),
        format!("{{\"Records\":[\n{a},\n{b},\n{c}\n]}}\n"),
        format!("{{\"x\":1,\"Records\":[{a},{b},{c}]}}"),
    ] {
        check(&input, &["A", "B", "C"]);
    }
    check("", &[]);
    check(" \n\r\n", &[]);
    check(r#"{"Records":[]}[]"#, &[]);
}

#[test]
fn a_broken_record_costs_nothing_else() {
    let (a, b, c) = (record("A"), record("B"), record("C"));
    let cut = &a[..100];
    let ends = |input: String, broken: &str| {
        check(&input, &["A", "C", broken]);
        check(&format!("{input}\n{b}"), &["A", "C", "B", broken]);
    };
    let first = a.len() + 1;
    let torn = |reason: &str, at: usize, record: &str| {
        let record: String = record.chars().take(30).collect();
        format!("!{reason} @{at} {record}")
    };
    // Cut inside a string, behind a colon, behind a comma of an array; then lines of nonsense.
    for broken in [cut, r#"{"a":1,"#, r#"{"a":tru}"#, r#"{"a" 1}"#] {
        ends(
            format!("{a}\n{broken}\n{c}\n"),
            &torn("invalid_json", first, broken),
        );
    }
    ends(
        format!("{a}\nhello\n{c}\n"),
        &torn("not_json", first, "hello"),
    );
    ends(
        format!("{a}\n\0\0\0\n{c}\n"),
        &torn("control_character", first, "\0\0\0"),
    );
    ends(format!("{a}\n{cut}{c}"), &torn("invalid_json", first, cut));
    // In an array, on one line and pretty-printed.
    let at = "{\"Records\":[".len() + a.len() + 1;
    for broken in [cut, r#"{"a":1,,}"#, r#"{"a":[}"#, "nonsense"] {
        let input = format!("{{\"Records\":[{a},{broken},{c}]}}\n");
        check(&input, &["A", "C", &torn("invalid_json", at, broken)]);
        let input = format!("{{\"Records\":[{a},{broken},{c}]}}\n{b}\n");
        check(&input, &["A", "C", "B", &torn("invalid_json", at, broken)]);
    }
    check(
        &format!("{{\"Records\":[{a},{cut}\n{{\"Records\":[{b}]}}\n{c}"),
        &["A", "B", "C", &torn("invalid_json", at, cut)],
    );
}

#[test]
fn the_end_of_input_in_a_record_is_told() {
    let a = record("A");
    check(
        &format!("{a}\n{}", &a[..50]),
        &["A", &format!("!truncated @{} {}", a.len() + 1, &a[..30])],
    );
    check(
        &format!("{{\"Records\":[{a}"),
        &["A", &format!("!truncated @{} ", a.len() + 12)],
    );
    check(
        &format!("{{\"Records\":[{a}],\"x\":"),
        &["A", &format!("!truncated @{} ", a.len() + 18)],
    );
    check(
        &format!("[{a},"),
        &["A", &format!("!truncated @{} ", a.len() + 2)],
    );
    check(&a[..1], &["!truncated @0 {"]);
    check("{\"Records\"", &["!truncated @0 {\"Records\""]);
}

#[test]
fn limits_hold_and_the_rest_is_read() {
    let limits = DecodeLimits {
        record_bytes_max: 2000,
        nesting_max: 20,
        reject_bytes_max: 10,
        ..DecodeLimits::default()
    };
    let (a, c) = (record("A"), record("C"));
    let check = |middle: String, want: &str| {
        for input in [
            format!("{a}\n{middle}\n{c}\n"),
            format!("{{\"Records\":[{a},{middle},{c}]}}"),
        ] {
            let out = decode_limited(&limits, input.as_bytes());
            let names: Vec<_> = out.events.iter().map(|e| e.event_name()).collect();
            assert_eq!(names, ["A", "C"], "{middle}");
            let reasons: Vec<_> = out.rejects.iter().map(|r| r.reason.name()).collect();
            assert_eq!(reasons, [want], "{middle}");
            assert_eq!(out.rejects[0].record.len(), 10);
        }
    };
    check(
        format!("{{\"a\":\"{}\"}}", "x".repeat(5000)),
        "record_too_long",
    );
    check(
        format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100)),
        "nested_too_deep",
    );
    check(
        format!("{{\"a\":{}{}}}", "{\"a\":".repeat(30), "}".repeat(30)),
        "nested_too_deep",
    );
    check(format!("{{\"a\":\"{}", "x".repeat(5000)), "record_too_long");
}

/// Decodes in slices, each piece up to the value that fills `room`.
fn decode_in_rooms(room: &DecodeRoom, slice: usize, bytes: &[u8]) -> Decoded {
    let mut decoder = Decoder::new(Format::Auto, DecodeLimits::default());
    let (mut all, mut at, mut is_done) = (Decoded::default(), 0, false);
    while !is_done {
        let mut piece = Decoded::default();
        while at < bytes.len() && !piece.is_full(room) {
            let end = bytes.len().min(at + slice);
            at += decoder.feed_some(&bytes[at..end], room, &mut piece);
        }
        if at == bytes.len() {
            is_done = decoder.finish_some(room, &mut piece);
        }
        all.counts.add(&piece.counts);
        all.rejects.append(&mut piece.rejects);
        let events = piece.events.iter();
        events.for_each(|event| event.with_fields(|fields| all.events.push(fields)));
    }
    all
}

/// A piece ended by its size only behind a whole slice, and one slice can hold many bombs.
/// Whatever room the pieces have, what comes out in all is the same.
#[test]
fn pieces_that_end_early_add_up_to_the_same() {
    let (a, b) = (record("A"), record("B"));
    let input = format!(
        "{a}\n{{\"x\":1,\"Records\":[{a},1,{b}]}}\n{{\"broken\":\n{b}{b}\neyJhIjoxfQ==\n\
         [{a},{{\"x\":}},{b}]\nnothing\n{{\"Records\":[{a},\n{{\"open\":\n{b}\n{a}\n1"
    );
    let whole = decode_with(&DecodeLimits::default(), &[input.as_bytes()]);
    assert!(whole.counts.events > 8 && whole.counts.rejected_total() > 4);
    let rooms = [(1, usize::MAX, usize::MAX), (3, usize::MAX, usize::MAX)];
    let by_bytes = [(usize::MAX, 10, usize::MAX), (usize::MAX, usize::MAX, 1)];
    for (events, text_bytes, reject_bytes) in rooms.into_iter().chain(by_bytes) {
        let room = DecodeRoom {
            events,
            text_bytes,
            reject_bytes,
        };
        for slice in [1, 7, 100, 1 << 20] {
            same(&whole, &decode_in_rooms(&room, slice, input.as_bytes()));
        }
    }
}

/// A line of 81 KB gave 31 million rejects, all of them held at once.
/// The first of each value are kept, and every one is counted.
#[test]
fn rejects_over_the_limit_of_a_value_are_counted_only() {
    let limits = DecodeLimits {
        rejects_kept_max: 3,
        ..DecodeLimits::default()
    };
    let input = "{\"x\":1,\"Records\":[1,2,3,4,5]}\n{\"x\":2,\"Records\":[6,7]}\n[8,9,10,11]\n";
    let out = decode_limited(&limits, input.as_bytes());
    assert_eq!((out.counts.records, out.counts.rejected_total()), (11, 11));
    assert_eq!(out.counts.rejects_not_kept, 2);
    let kept: Vec<_> = out.rejects.iter().map(|r| r.record_index).collect();
    assert_eq!(kept, [0, 1, 2, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn ten_thousand_levels_are_one_reject() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let (a, c) = (record("A"), record("C"));
    for deep in [deep.clone(), format!("{{\"a\":{deep}}}")] {
        let out = decode_limited(
            &DecodeLimits::default(),
            format!("{a}\n{deep}\n{c}").as_bytes(),
        );
        assert_eq!(out.counts.events, 2);
        assert_eq!(out.counts.rejected(RejectReason::NestedTooDeep), 1);
        assert_eq!(out.counts.records, 3);
    }
}

#[test]
fn bytes_that_are_no_text_cost_one_record() {
    let (a, b) = (record("A"), record("B"));
    let at = a.find("requestParameters").unwrap();
    for (byte, reason) in [
        (b"\xff", RejectReason::InvalidUtf8),
        (b"\0", RejectReason::ControlCharacter),
    ] {
        let mut input = format!("{a}\n{a}\n{b}\n").into_bytes();
        input[a.len() + 1 + at] = byte[0];
        let out = decode_limited(&DecodeLimits::default(), &input);
        assert_eq!((out.counts.events, out.counts.rejected(reason)), (2, 1));
        assert_eq!(out.counts.records, 3);
    }
}

proptest! {

    /// Whatever comes, nothing panics, counts add up and cuts do not matter.
    #[test]
    fn arbitrary_bytes_add_up(
        parts in prop::collection::vec(prop_oneof![
            Just(b"{\"eventVersion\":".to_vec()), Just(b"{\"Records\":[".to_vec()),
            Just(record("A").into_bytes()), Just(record("B").into_bytes()),
            Just(b"\n".to_vec()), Just(b",".to_vec()), Just(b"]}".to_vec()), Just(b"}".to_vec()),
            Just(b"[".to_vec()), Just(b"\"".to_vec()), Just(b"\\".to_vec()),
            Just(b"H4sIAAAA".to_vec()),
            Just(b"{\"detail\":{\"eventTime\":1}}".to_vec()), Just(b"\"[{}]\"".to_vec()),
            Just(b"{\"Message\":\"{}\"}".to_vec()), Just(b" 1e5 ".to_vec()),
            Just(b"\xef\xbb\xbf".to_vec()),
            prop::collection::vec(any::<u8>(), 0..8),
            "[ -~]{0,6}".prop_map(String::into_bytes),
        ], 0..12),
        cuts in prop::collection::vec(1usize..40, 1..40),
    ) {
        let bytes = parts.concat();
        let limits = DecodeLimits {
            record_bytes_max: 400,
            nesting_max: 6,
            ..DecodeLimits::default()
        };
        let whole = decode_with(&limits, &[&bytes]);
        summary(&whole);
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        same(&whole, &decode_with(&limits, &pieces));
        same(&whole, &decode_behind(&limits, &bytes[..bytes.len() / 2], &pieces));
    }

    /// The same for mappings, by JSON and by line, and for the rates CSV.
    #[test]
    fn arbitrary_bytes_add_up_in_other_formats(
        parts in prop::collection::vec(prop_oneof![
            Just(b"{\"stage\":\"ResponseComplete\",\"verb\":\"get\",".to_vec()),
            Just(b"\"stageTimestamp\":\"2024-01-01T00:00:00Z\"}".to_vec()),
            Just(b"{\"items\":[".to_vec()), Just(b"]}".to_vec()), Just(b"\n".to_vec()),
            Just(b"1.1.1.1 - - [17/May/2015:10:05:03 +0000] \"GET / x\" 200 1".to_vec()),
            Just(b"2024-01-01T00:00:00Z,1,r,s,n,,7".to_vec()), Just(b"\"\",".to_vec()),
            prop::collection::vec(any::<u8>(), 0..8),
        ], 0..12),
        size in 1usize..60,
    ) {
        let bytes = parts.concat();
        let limits = DecodeLimits { record_bytes_max: 150, ..DecodeLimits::default() };
        for mapping in crate::formats::mapping::shipped().into_values() {
            let run = |size: usize| {
                let format = Format::Mapping(mapping.clone());
                let mut decoder = Decoder::new(format, limits.clone());
                let mut out = Decoded::default();
                bytes.chunks(size).for_each(|piece| decoder.feed(piece, &mut out));
                decoder.finish(&mut out);
                out
            };
            let whole = run(1 << 20);
            summary(&whole);
            same(&whole, &run(size));
        }
        let run = |size: usize| {
            let mut decoder = crate::formats::RatesCsvDecoder::new(limits.clone());
            let mut out = crate::formats::RateRows::default();
            bytes.chunks(size).for_each(|piece| decoder.feed(piece, &mut out));
            decoder.finish(&mut out);
            out
        };
        let (whole, pieces) = (run(1 << 20), run(size));
        prop_assert_eq!(&whole.counts, &pieces.counts);
        prop_assert_eq!(&whole.rejects, &pieces.rejects);
        prop_assert!(whole.iter().eq(pieces.iter()));
        let counts = &whole.counts;
        prop_assert_eq!(counts.records, whole.len() as u64 + counts.rejected_total());
    }
}

/// Behind the array of records, what was sound before a broken byte had gone with an earlier piece
/// or not: the reject began elsewhere in other pieces. It begins with the broken byte.
#[test]
fn what_breaks_behind_the_records_is_told_the_same_in_any_pieces() {
    let sound = format!("{{\"Records\":[{}],\"other\":[1,", record("A"));
    let at = sound.len();
    check(
        &format!("{sound}\u{2}]}}\n{}\n", record("B")),
        &["A", "B", &format!("!control_character @{at} \u{2}]}}")],
    );
}
