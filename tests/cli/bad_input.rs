//! Bad input of every kind: counted with a reason, told, passed over; the rest is used.
//!
//! The outcomes are those that docs/cli.md promises.

use std::io::Write;

use super::run::{Place, Run};
use super::traffic::{self, FIXED_Z, gzip, ndjson, record, records};

/// Replays `bad` between good traffic and checks that the good traffic's insights come out.
/// `rejected` is what the summary says of reasons, `words` what else standard error holds.
fn check(bad: &[u8], records_of_bad: u64, rejected: &str, words: &[&str]) -> Run {
    let good = records();
    let (before, after) = good.split_at(good.len() / 2);
    let mut bytes = ndjson(before);
    bytes.extend_from_slice(bad);
    bytes.extend_from_slice(&ndjson(after));
    let place = Place::with(&[("in.json", &bytes)]);
    let arguments = ["replay", "in.json", "--rejects", "rejects"];
    let run = place.run_with(&arguments, &[FIXED_Z]);
    run.check(0, words);
    let total = good.len() as u64 + records_of_bad;
    let sums = format!(
        "records    {total} = {} counted + 0 skipped by rule + {records_of_bad} rejected",
        good.len()
    );
    run.check(0, &[&sums]);
    if records_of_bad > 0 {
        run.check(0, &[&format!("rejected {rejected}\n")]);
    }
    assert_eq!(place.read("rejects").lines().count() as u64, records_of_bad);
    assert_eq!(run.out, straight());
    run
}

/// What the good traffic alone gives.
fn straight() -> String {
    let place = Place::with(&[("in.json", &ndjson(&records()))]);
    let run = place.run_with(&["replay", "in.json"], &[FIXED_Z]);
    run.check(0, &[]);
    run.out
}

#[test]
fn the_good_traffic_gives_one_pair() {
    let surge = traffic::START + traffic::SURGE * 60;
    let expected = [
        format!("Start {}", traffic::time(surge)),
        format!("End {}", traffic::time(surge + 600)),
    ];
    assert_eq!(traffic::edges(&straight()), expected);
}

#[test]
fn broken_json_in_the_middle_costs_one_record() {
    check(
        b"{\"eventVersion\":\"1.08\",\"eventTime\":}\n",
        1,
        "1 invalid_json",
        &[],
    );
}

#[test]
fn nul_bytes_cost_one_record() {
    check(b"{\"eventName\":\"a\0b\"}\n", 1, "1 control_character", &[]);
}

#[test]
fn invalid_utf8_in_a_key_costs_one_record() {
    let bad = record(traffic::START, 1).replace("CreateTags", "Create@Tags");
    let mut bytes = bad.into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'@');
    bytes[at.expect("it was put there")] = 0xff;
    bytes.push(b'\n');
    check(&bytes, 1, "1 invalid_utf8", &[]);
}

#[test]
fn a_line_of_100_megabytes_costs_one_record() {
    let mut bytes = b"{\"eventVersion\":\"".to_vec();
    bytes.resize(100 << 20, b'x');
    bytes.extend_from_slice(b"\"}\n");
    check(&bytes, 1, "1 record_too_long", &[]);
}

#[test]
fn ten_thousand_levels_of_nesting_cost_one_record() {
    let deep = format!("{{\"a\":{}{}}}\n", "[".repeat(10_000), "]".repeat(10_000));
    check(deep.as_bytes(), 1, "1 nested_too_deep", &[]);
}

#[test]
fn a_time_in_year_9999_moves_nothing() {
    let bad = record(traffic::START, 999_999).replace("2024-03-04T", "9999-12-31T");
    check(format!("{bad}\n").as_bytes(), 1, "1 time_jump", &[]);
}

/// Numbers and null are taken as CloudTrail's consumers take them; a megabyte is no key.
#[test]
fn odd_error_codes_are_read_or_rejected_with_a_reason() {
    let with_code = |code: &str| {
        let field = format!("\"errorCode\":{code},\"eventID\"");
        record(traffic::START, 999_999).replace("\"eventID\"", &field)
    };
    let long = format!("\"{}\"", "E".repeat(1 << 20));
    let text = [with_code("404"), with_code("null"), with_code(&long)].join("\n") + "\n";
    let place = Place::with(&[("in.json", text.as_bytes())]);
    let run = place.run(&["replay", "in.json", "--rejects", "rejects"]);
    run.check(0, &["1 key_too_long", "records    3 = "]);
    let rejected: serde_json::Value =
        serde_json::from_str(place.read("rejects").trim()).expect("one line of JSON");
    assert_eq!(rejected["reason"], "key_too_long");
    assert_eq!(rejected["file"], "in.json");
    assert_eq!(rejected["recordIndex"], 2);
    assert!(rejected["record"].as_str().expect("text").len() <= 64 << 10);
}

#[test]
fn a_truncated_gzip_is_used_up_to_its_break_and_named() {
    let good = records();
    let whole = gzip(&ndjson(&good));
    let place = Place::with(&[("in.json.gz", &whole[..whole.len() * 99 / 100])]);
    let run = place.run_with(&["replay", "in.json.gz"], &[FIXED_Z]);
    run.check(
        0,
        &[
            "in.json.gz: the gzip data is cut off; its first ",
            "the rest is lost",
            ", 1 not or not wholly readable",
            "1 truncated",
        ],
    );
    assert_eq!(run.out, straight());
    let strict = place.run_with(&["replay", "in.json.gz", "--max-rejects", "1"], &[]);
    strict.check(5, &["more than --max-rejects"]);
    let lenient = place.run_with(&["replay", "in.json.gz", "--max-rejects", "2"], &[]);
    lenient.check(0, &[]);
}

#[test]
fn a_bomb_ends_at_the_bound_and_is_named() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&zeros).expect("memory takes all bytes");
    }
    let bomb = encoder.finish().expect("memory takes all bytes");
    let place = Place::with(&[("bomb.gz", &bomb), ("good.json", &ndjson(&records()))]);
    let bound = [
        ("INSIGHTD_LIMITS__DECOMPRESSED_BYTES_MAX", "1000000"),
        FIXED_Z,
    ];
    let run = place.run_with(&["replay", "bomb.gz", "good.json"], &bound);
    run.check(
        0,
        &[
            "bomb.gz: it decompresses to more than limits.decompressed_bytes_max",
            "its first 1000000 bytes",
        ],
    );
    // The bound stands in the settings hash, so whole records differ.
    assert_eq!(traffic::edges(&run.out), traffic::edges(&straight()));
}

/// One short line with millions of bad records inside filled the memory with rejects.
/// All are counted, the first are kept.
#[test]
fn a_line_of_many_bad_records_keeps_the_first() {
    let line = format!("{{\"x\":1,\"Records\":[1{}]}}\n", ",1".repeat(4999));
    let place = Place::with(&[("in.json", line.as_bytes())]);
    let run = place.run(&["replay", "in.json", "--rejects", "rejects"]);
    let sums = "records    5000 = 0 counted + 0 skipped by rule + 5000 rejected";
    run.check(0, &[sums, "4000 rejected records counted only"]);
    assert_eq!(place.read("rejects").lines().count(), 1000);
    let strict = place.run(&["replay", "in.json", "--max-rejects", "4999"]);
    strict.check(5, &[]);
}

#[test]
fn missing_files_are_named_and_the_rest_is_read() {
    let place = Place::with(&[("good.json", &ndjson(&records()))]);
    let run = place.run_with(&["replay", "no.json", "good.json", "none*.gz"], &[FIXED_Z]);
    run.check(
        1,
        &[
            "no.json: No such file",
            "none*.gz: no file matches this pattern",
        ],
    );
    assert_eq!(run.out, straight());
}

#[test]
fn empty_files_and_directories_are_fine() {
    let place = Place::with(&[("empty", b""), ("empty.gz", &gzip(b""))]);
    std::fs::create_dir(place.path("nothing")).expect("a directory");
    let run = place.run(&["replay", "empty", "empty.gz", "nothing"]);
    run.check(
        0,
        &["records    0 = 0 counted + 0 skipped by rule + 0 rejected"],
    );
    assert_eq!(run.out, "");
}

#[test]
fn other_compressed_forms_are_named() {
    let place = Place::with(&[("in.parquet", b"PAR1\x15\x04"), ("in.zip", b"PK\x03\x04")]);
    let run = place.run(&["replay", "in.parquet", "in.zip"]);
    run.check(
        1,
        &["in.parquet: Parquet is not read", "in.zip: zip is not read"],
    );
}

#[test]
#[cfg(unix)]
fn unreadable_directories_are_named_and_the_rest_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with(&[
        ("logs/a.json", &ndjson(&records())),
        ("logs/closed/b.json", b"{}"),
    ]);
    let closed = place.path("logs/closed");
    let set = |mode| {
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(mode))
            .expect("the owner may change the mode");
    };
    set(0o000);
    if std::fs::read_dir(&closed).is_ok() {
        eprintln!("SKIPPED: this user may read every directory");
        set(0o755);
        return;
    }
    let run = place.run_with(&["replay", "logs"], &[FIXED_Z]);
    set(0o755);
    run.check(0, &["closed: Permission denied"]);
    assert_eq!(run.out, straight());
}

#[test]
#[cfg(unix)]
fn a_symlink_loop_is_named_and_passed_over() {
    let place = Place::with(&[("logs/a.json", &ndjson(&records()))]);
    std::os::unix::fs::symlink("..", place.path("logs/up")).expect("a link can be made");
    let run = place.run_with(&["replay", "logs"], &[FIXED_Z]);
    run.check(0, &["logs/up: a loop: this link leads back to logs"]);
    assert_eq!(run.out, straight());
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_a_failure_with_a_name() {
    let place = Place::with(&[("in.json", &ndjson(&records()))]);
    let run = place.run_with(&["replay", "in.json", "--out", "/dev/full"], &[FIXED_Z]);
    run.check(1, &["cannot write /dev/full: No space left on device"]);
    let run = place.run_with(&["replay", "in.json", "--scores", "/dev/full"], &[FIXED_Z]);
    run.check(1, &["cannot write /dev/full: No space left on device"]);
    let run = place.run_with(&["replay", "in.json", "--out", "no/such/place"], &[]);
    run.check(1, &["cannot write no/such/place: No such file"]);
}

/// A state went to a device by a rename: as root the device was gone, and nobody was told.
#[test]
#[cfg(target_os = "linux")]
fn a_state_goes_into_what_its_path_names() {
    let place = Place::with(&[("in.json", &ndjson(&records()))]);
    // Links, so that a run that renames replaces the link and not the device.
    std::os::unix::fs::symlink("/dev/full", place.path("full")).expect("a link can be made");
    let run = place.run(&["replay", "in.json", "--state-out", "full"]);
    run.check(1, &["cannot write full: No space left on device"]);
    place.write("state.1", b"old");
    place.write("state.incomplete", b"mine");
    std::os::unix::fs::symlink("state.1", place.path("latest")).expect("a link can be made");
    let run = place.run(&["replay", "in.json", "--state-out", "latest"]);
    run.check(0, &[]);
    place.run(&["state", "inspect", "state.1"]).check(0, &[]);
    assert_eq!(place.read("state.incomplete"), "mine");
    let run = place.run(&["replay", "in.json", "--state-out", "no/place"]);
    run.check(1, &["cannot write no/place: No such file"]);
}

/// An output that is also an input emptied it before a byte of it was read.
#[test]
fn an_output_never_overwrites_an_input() {
    let bytes = ndjson(&records());
    let place = Place::with(&[("logs/in.json", &bytes)]);
    for option in ["--out", "--scores", "--rates", "--rejects", "--state-out"] {
        let run = place.run(&["replay", "logs", option, "logs/../logs/in.json"]);
        let words = format!("{option} logs/../logs/in.json is also read as logs/in.json");
        run.check(2, &[&words]);
        assert_eq!(place.read("logs/in.json").len(), bytes.len());
    }
    let run = place.run(&["replay", "logs", "--out", "x", "--scores", "./x"]);
    run.check(2, &["--out and --scores are the same file"]);
}

/// The event that was not believed is the last of its file; the next file shows that.
#[test]
fn a_time_jump_is_named_with_its_own_file() {
    let jump = record(traffic::START, 999_999).replace("2024-03-04T", "9999-12-31T");
    let (first, second) = (
        ndjson(&[record(traffic::START, 1), jump]),
        ndjson(&[record(traffic::START, 2)]),
    );
    let files = ["logs/2024-03-04-a.json", "logs/2024-03-04-b.json"];
    let place = Place::with(&[(files[0], &first), (files[1], &second)]);
    let run = place.run(&["replay", "logs", "--rejects", "rejects"]);
    run.check(0, &["rejected 1 time_jump"]);
    let rejected: serde_json::Value =
        serde_json::from_str(place.read("rejects").trim()).expect("one line of JSON");
    assert_eq!(rejected["file"], files[0]);
    assert!(rejected.get("recordIndex").is_none(), "{rejected}");
}

#[test]
fn explain_fails_as_replay_does_when_input_is_missing() {
    let place = Place::with(&[
        ("in.json", &ndjson(&records())),
        ("cut.gz", &gzip(b"{}")[..5]),
    ]);
    let key = "111122223333,us-east-1,ec2.amazonaws.com,CreateTags,ApiCallRateInsight,";
    for (paths, code, words) in [
        (&["in.json"][..], 0, ""),
        (&["in.json", "no.json"], 1, "no.json: No such file"),
        (&["cut.gz"], 1, "cut.gz: the gzip data is cut off"),
    ] {
        let mut arguments = vec!["explain", "--series", key, "--at", "2024-03-05"];
        arguments.extend_from_slice(paths);
        place.run(&arguments).check(code, &[words]);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn completions_to_a_full_disk_fail_without_a_panic() {
    let place = Place::new();
    let full = std::fs::File::create("/dev/full").expect("the device is there");
    let mut command = place.command(&["completions", "bash"]);
    let output = command.stdout(full).output().expect("the binary runs");
    let talk = String::from_utf8(output.stderr).expect("talk is UTF-8");
    assert_eq!(output.status.code(), Some(1), "{talk}");
    assert!(talk.contains("cannot write standard output"), "{talk}");
}

/// Nobody can hear the talk, but the data is whole: no panic, and the code of the outcome.
#[test]
#[cfg(target_os = "linux")]
fn a_standard_error_that_takes_nothing_is_no_failure() {
    let place = Place::with(&[("in.json", &ndjson(&records()))]);
    for (path, code) in [("in.json", 0), ("no.json", 1)] {
        let full = std::fs::File::create("/dev/full").expect("Linux has it");
        let mut command = place.command(&["replay", path]);
        let output = command.env(FIXED_Z.0, FIXED_Z.1).stderr(full).output();
        let output = output.expect("the binary runs");
        assert_eq!(output.status.code(), Some(code), "{path}");
        let expected = if code == 0 { straight() } else { String::new() };
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{path}");
    }
}

/// An entry counts 2^40 at most; what was cut is told.
#[test]
fn absurd_counts_of_rates_are_told() {
    let rows = b"2024-03-04T00:00:00Z,1,r,s,n,,18446744073709551615\n";
    let place = Place::with(&[("in.csv", rows)]);
    let run = place.run(&["replay", "--format", "rates", "in.csv"]);
    run.check(0, &["limits     1 counts cut to 2^40"]);
}

/// Two events confirm each other's jump to the end of time; every rates log takes that.
#[test]
fn the_last_minute_of_year_9999_is_no_corruption() {
    let last = |second: &str, number| {
        record(traffic::START, number).replace(
            "2024-03-04T00:00:00Z",
            &format!("9999-12-31T23:59:{second}Z"),
        )
    };
    let records = [
        record(traffic::START, 1),
        last("57", 2),
        last("58", 3),
        last("59", 4),
    ];
    let rows = b"9999-12-31T23:59:00Z,1,r,s,n,,5\n";
    let place = Place::with(&[("in.json", &ndjson(&records)), ("in.csv", rows)]);
    for (number, arguments) in [
        &["replay", "in.json"][..],
        &["replay", "--format", "rates", "in.csv"],
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("log-{number}");
        let segments = [
            ("INSIGHTD_RATES_LOG__KIND", "segments"),
            ("INSIGHTD_RATES_LOG__PATH", path.as_str()),
        ];
        place.run_with(arguments, &segments).check(0, &["rejected"]);
    }
}
