//! Options of the commands: what they change, and what they refuse.

use super::run::Place;
use super::traffic::{FIXED_Z, START, SURGE, edges, ndjson, records, time};

#[test]
fn usage_errors_say_what_to_write() {
    let place = Place::new();
    for (arguments, words) in [
        (&["replay"][..], "PATH"),
        (
            &["replay", "--format", "clodtrail", "x"],
            "no such format; there are auto, cloudtrail",
        ),
        (&["replay", "--from", "yesterday", "x"], "write RFC 3339"),
        (&["replay", "--threads", "0", "x"], "at least 1"),
        (
            &[
                "replay",
                "--from",
                "2024-01-02",
                "--until",
                "2024-01-01",
                "x",
            ],
            "is not before --until",
        ),
        (&["explain", "x"], "--id"),
        (&["nonsense"], "unrecognized subcommand"),
    ] {
        place.run(arguments).check(2, &[words]);
    }
}

#[test]
fn help_version_completions_and_manual_pages_are_data() {
    let place = Place::new();
    for arguments in [
        &["--help"][..],
        &["replay", "--help"],
        &["--version"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["completions", "fish"],
        &["man"],
    ] {
        let run = place.run(arguments);
        assert!(run.check(0, &[]).out.contains("insightd"), "{arguments:?}");
    }
    place.run(&["man", "--dir", "pages"]).check(0, &[]);
    assert!(place.path("pages/insightd-replay.1").exists());
}

#[test]
fn from_withholds_what_was_decided_before() {
    let place = Place::with(&[("in.json", &ndjson(&records()))]);
    let from = time(START + (SURGE + 8) * 60);
    let run = place.run_with(&["replay", "in.json", "--from", &from], &[FIXED_Z]);
    run.check(0, &["1 decided before --from and not written"]);
    assert_eq!(
        edges(&run.out),
        [format!("End {}", time(START + (SURGE + 10) * 60))]
    );
}

#[test]
fn until_leaves_an_incident_open() {
    let place = Place::with(&[("in.json", &ndjson(&records()))]);
    let until = time(START + (SURGE + 8) * 60);
    let run = place.run_with(&["replay", "in.json", "--until", &until], &[FIXED_Z]);
    run.check(0, &["after_until"]);
    assert_eq!(
        edges(&run.out),
        [format!("Start {}", time(START + SURGE * 60))]
    );
}

/// Rows in any order, and two rows of one minute, give what their sum in order gives.
#[test]
fn rates_are_sorted_and_added_up() {
    let header = "time,account,region,event_source,event_name,error_code,count\n";
    let row = |minute: i64, count: i64| {
        format!(
            "{},1,us-east-1,s.example,Do,,{count}\n",
            time(START + minute * 60)
        )
    };
    let count = |minute: i64| {
        if (SURGE..SURGE + 10).contains(&minute) {
            60
        } else {
            4
        }
    };
    let minutes = 0..54 * 60;
    let in_order: String = minutes
        .clone()
        .map(|minute| row(minute, count(minute)))
        .collect();
    let scattered: String = minutes
        .map(|index| (index * 1009) % (54 * 60))
        .map(|minute| row(minute, 1) + &row(minute, count(minute) - 1))
        .collect();
    let place = Place::new();
    place.write("a.csv", (header.to_string() + &in_order).as_bytes());
    place.write("b.csv", (header.to_string() + &scattered).as_bytes());
    let replay = |file: &str| {
        let run = place.run_with(&["replay", "--format", "rates", file], &[FIXED_Z]);
        run.check(0, &[]);
        run.out
    };
    let expected = replay("a.csv");
    assert_eq!(edges(&expected).len(), 2);
    assert_eq!(replay("b.csv"), expected);
}

#[test]
fn explain_says_why_and_why_not() {
    let place = Place::with(&[("in.json", &ndjson(&records()))]);
    let run = place.run_with(&["replay", "in.json"], &[FIXED_Z]);
    let first = run.out.lines().next().expect("there is an insight");
    let record: serde_json::Value = serde_json::from_str(first).expect("a line is JSON");
    let id = record["sharedEventID"]
        .as_str()
        .expect("an insight has an id");
    let by_id = place.run_with(&["explain", "--id", id, "in.json"], &[FIXED_Z]);
    by_id.check(0, &[]);
    let key = "111122223333,us-east-1,ec2.amazonaws.com,CreateTags,ApiCallRateInsight,";
    let explain = |minute: i64| {
        let at = time(START + minute * 60);
        let arguments = ["explain", "--series", key, "--at", &at, "in.json"];
        let run = place.run_with(&arguments, &[FIXED_Z]);
        run.check(0, &[]);
        run.out
    };
    assert_eq!(explain(SURGE), by_id.out);
    for line in run.out.lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        let id = record["eventID"].as_str().expect("a record has an id");
        let run = place.run_with(&["explain", "--id", id, "in.json"], &[FIXED_Z]);
        assert_eq!(run.check(0, &[]).out, by_id.out);
    }
    for words in ["would change", "threshold of 5.00", id] {
        assert!(by_id.out.contains(words), "{words}\n{}", by_id.out);
    }
    let silent = explain(SURGE - 30);
    for words in [
        "Nothing fired",
        "seen           2\n",
        "would have started an incident",
    ] {
        assert!(silent.contains(words), "{words}\n{silent}");
    }
    let unknown = "00000000-0000-4000-8000-000000000000";
    let run = place.run(&["explain", "--id", unknown, "in.json"]);
    run.check(1, &["no insight with that id"]);
}

/// A question leaves no trace: not in the rates log that the configuration names either.
#[test]
fn explain_leaves_the_rates_log_alone() {
    let place = Place::with(&[("in.json", &ndjson(&records()))]);
    let key = "111122223333,us-east-1,ec2.amazonaws.com,CreateTags,ApiCallRateInsight,";
    let at = time(START);
    let segments = [
        ("INSIGHTD_RATES_LOG__KIND", "segments"),
        ("INSIGHTD_RATES_LOG__PATH", "log"),
    ];
    let arguments = ["explain", "--series", key, "--at", &at, "in.json"];
    place.run_with(&arguments, &segments).check(0, &[]);
    assert!(!place.path("log").exists());
}

#[test]
fn a_state_tells_what_it_holds_and_belongs_to_its_settings() {
    let place = Place::with(&[("in.json", &ndjson(&records()))]);
    place
        .run(&["replay", "in.json", "--state-out", "state"])
        .check(0, &[]);
    let run = place.run(&["state", "inspect", "state"]);
    for words in [
        "series          1\n",
        "closed up to    2024-03-06T06:00:00Z\n",
        "memory",
    ] {
        assert!(
            run.check(0, &[]).out.contains(words),
            "{words}\n{}",
            run.out
        );
    }
    let other = [("INSIGHTD_COUNTING__LATENESS", "5m")];
    let run = place.run_with(&["replay", "in.json", "--state-in", "state"], &other);
    run.check(
        1,
        &["made with other settings", "counting.lateness = \"5m\""],
    );
    place.write(
        "damaged",
        &std::fs::read(place.path("state")).expect("a state")[..100],
    );
    place
        .run(&["state", "inspect", "damaged"])
        .check(1, &["not a state file"]);
}

#[test]
fn the_demo_finds_what_was_planted() {
    let run = Place::new().run(&["demo", "--once"]);
    run.check(0, &[]);
    assert!(
        run.out.contains("Of 6 planted incidents 6 were found"),
        "{}",
        run.out
    );
}
