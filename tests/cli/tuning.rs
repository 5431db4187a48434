//! `tune` and `diff`: what they say is what replays say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::run::Place;

/// Eleven days of a small fleet, whose middle is labelled.
fn fleet() -> Place {
    let place = Place::new();
    let arguments = "simulate --profile fleet --format rates --series 60 --days 11 --seed 9 \
                     --out in.csv --labels labels.csv";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    place.run(&arguments).check(0, &[]);
    place.write("a.toml", b"detector.budget_per_week = 1\n");
    place.write("b.toml", b"detector.budget_per_week = 100\n");
    place
}

/// Starts of a replay with these settings, by id.
fn starts(place: &Place, config: &str) -> BTreeMap<String, Value> {
    let run = place.run(&["replay", "-q", "--format", "rates", "-c", config, "in.csv"]);
    run.check(0, &[]);
    let records = run.out.lines().map(|line| {
        let record: Value = serde_json::from_str(line).expect("a record is JSON");
        record
    });
    records
        .filter(|record| record["insightDetails"]["state"] == "Start")
        .map(|record| (text(&record["sharedEventID"]), record))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("it is text").to_string()
}

#[test]
fn a_diff_names_what_only_one_replay_has() {
    let place = fleet();
    let (first, second) = (starts(&place, "a.toml"), starts(&place, "b.toml"));
    let run = place.run(&[
        "diff", "-a", "a.toml", "-b", "b.toml", "--format", "rates", "--report", "d.json",
        "--report", "d.csv", "--report", "d.md", "in.csv",
    ]);
    run.check(3, &[]);
    let report: Value = serde_json::from_str(&place.read("d.json")).expect("JSON");
    let differences = report["differences"].as_array().expect("a list");
    let ids = |mark: &str| -> BTreeSet<String> {
        let of_mark = differences.iter().filter(|one| one["mark"] == mark);
        of_mark.map(|one| text(&one["shared_event_id"])).collect()
    };
    // An insight that moved has another id on each side: what is gained is new whatever moved.
    let only_second: BTreeSet<String> = second
        .keys()
        .filter(|id| !first.contains_key(*id))
        .cloned()
        .collect();
    assert!(only_second.len() > 10, "the settings differ");
    assert!(ids("gained").is_subset(&only_second));
    let told = ids("gained").union(&ids("moved")).count();
    assert!(told >= only_second.len(), "{told} of {}", only_second.len());
    assert_eq!(report["first"]["insights"], first.len());
    assert_eq!(report["second"]["insights"], second.len());
    assert!(ids("lost").iter().all(|id| first.contains_key(id)));
    for one in differences {
        assert!(!text(&one["reason"]).is_empty(), "{one}");
    }
    assert!(
        run.out.contains("and needed"),
        "a reason has both scores:\n{}",
        run.out
    );
    assert_eq!(place.read("d.md"), run.out);
    assert_eq!(place.read("d.csv").lines().count(), differences.len() + 1);
}

#[test]
fn equal_settings_do_not_differ() {
    let place = fleet();
    place.write(
        "c.toml",
        b"detector.budget_per_week = 1.0\nlog.format = \"json\"\n",
    );
    let run = place.run(&[
        "diff", "-a", "a.toml", "-b", "c.toml", "--format", "rates", "in.csv",
    ]);
    run.check(0, &[]);
    assert!(run.out.contains("0 gained, 0 lost, 0 moved"), "{}", run.out);
}

/// Settings that count differently read the input twice, and series that one of them does not have
/// are the reason.
#[test]
fn series_that_are_not_counted_are_the_reason() {
    let place = Place::new();
    let lines = super::traffic::records();
    let reads: Vec<String> = lines
        .iter()
        .map(|line| line.replace("\"readOnly\":false", "\"readOnly\":true"))
        .collect();
    place.write("in.json", &super::traffic::ndjson(&reads));
    place.write("a.toml", b"detector.fixed_z = 6\n");
    place.write(
        "b.toml",
        b"detector.fixed_z = 6\ncounting.read_calls = true\n",
    );
    let run = place.run(&["diff", "-a", "a.toml", "-b", "b.toml", "in.json"]);
    run.check(3, &[]);
    assert!(
        run.out.contains("a.toml does not count this series"),
        "{}",
        run.out
    );
    let run = place.run(&["diff", "-a", "a.toml", "-b", "b.toml", "-"]);
    run.check(2, &["standard input", "file first"]);
}

#[test]
fn tune_counts_what_replays_say() {
    let place = fleet();
    place.write("g.toml", b"detector.budget_per_week = [1, 100]\n");
    let tune = |threads: &str| {
        let run = place.run(&[
            "tune",
            "-c",
            "a.toml",
            "--grid",
            "g.toml",
            "--labels",
            "labels.csv",
            "--format",
            "rates",
            "--threads",
            threads,
            "--report",
            "t.json",
            "in.csv",
        ]);
        run.check(0, &[]);
        (run.out, place.read("t.json"))
    };
    let (out, json) = tune("1");
    assert_eq!(
        tune("2"),
        (out.clone(), json.clone()),
        "threads change nothing"
    );
    let report: Value = serde_json::from_str(&json).expect("JSON");
    let settings = report["settings"].as_array().expect("a list");
    assert_eq!(
        settings.len(),
        2,
        "the present settings stand in the grid, too"
    );
    for (setting, config) in settings.iter().zip(["a.toml", "b.toml"]) {
        assert_eq!(setting["insights"], separate(&place, config), "{config}");
        let starts = starts(&place, config);
        let found: u64 = setting["label_kinds"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|kind| kind["found"].as_u64().expect("a number"))
            .sum();
        assert_eq!(found as usize, hits(&place, &starts), "{config}");
    }
    let page = place.run(&["tune", "--format", "rates", "--report", "t.html", "in.csv"]);
    page.check(0, &[]);
    assert!(place.read("t.html").contains("<h1"), "a page was written");
    assert!(report["injections"]["planted"].as_u64() > Some(50), "{out}");
    assert_eq!(report["rivals"][0]["mean_detection"], 0.0);
    assert!(out.contains("needed"), "why labels were missed:\n{out}");
}

/// Insights after the first 48 hours, those of one series within two hours of the one before as
/// one, by the text of the records alone.
fn separate(place: &Place, config: &str) -> usize {
    let run = place.run(&["replay", "-q", "--format", "rates", "-c", config, "in.csv"]);
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    let mut count = 0;
    for line in run.out.lines() {
        let record: Value = serde_json::from_str(line).expect("a record is JSON");
        let details = &record["insightDetails"];
        let series = format!(
            "{} {} {} {}",
            record["recipientAccountId"],
            details["eventSource"],
            details["eventName"],
            details["errorCode"]
        );
        let is_start = details["state"] == "Start";
        let end = if is_start {
            &record["insightd"]["decidedAt"]
        } else {
            &record["eventTime"]
        };
        let until = minute(&text(end));
        let before = last.get(&series).copied().unwrap_or(i64::MIN);
        count += usize::from(is_start && until > before.saturating_add(120));
        last.insert(series, until.max(before));
    }
    count
}

fn minute(time: &str) -> i64 {
    let time: jiff::Timestamp = time.parse().expect("RFC 3339");
    time.as_second() / 60
}

/// Labels with a Start decided from their start to three minutes after their end, by the text of
/// the records and labels alone.
fn hits(place: &Place, starts: &BTreeMap<String, Value>) -> usize {
    let labels = place.read("labels.csv");
    let is_hit = |line: &&str| {
        let fields: Vec<&str> = line.split(',').collect();
        let range = minute(fields[6])..=minute(fields[7]) + 3;
        starts.values().any(|start| {
            let details = &start["insightDetails"];
            let error = details["errorCode"].as_str().unwrap_or_default();
            start["recipientAccountId"] == fields[0]
                && details["eventSource"] == fields[2]
                && details["eventName"] == fields[3]
                && error == fields[5]
                && range.contains(&minute(&text(&start["insightd"]["decidedAt"])))
        })
    };
    labels.lines().skip(1).filter(is_hit).count()
}

/// On noise and in a short time there is nothing to recommend but what is there.
#[test]
fn tune_recommends_nothing_that_noise_cannot_support() {
    let place = Place::new();
    let mut rows = "time,account,region,event_source,event_name,error_code,count\n".to_string();
    let mut state = 42u64;
    for minute in 0..9 * 1440 {
        for name in ["A", "B", "C", "D"] {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // Binomial counts: how many of 16 bits are set.
            let count = ((state >> 40) as u16).count_ones();
            let second = 1_767_571_200 + 60 * minute;
            let time = jiff::Timestamp::from_second(second).expect("a time");
            rows.push_str(&format!("{time},1,r,s,{name},,{count}\n"));
        }
    }
    place.write("in.csv", rows.as_bytes());
    let run = place.run(&["tune", "--format", "rates", "--report", "t.json", "in.csv"]);
    run.check(0, &[]);
    let report: Value = serde_json::from_str(&place.read("t.json")).expect("JSON");
    assert_eq!(report["recommendation"]["setting"], 0, "{}", run.out);
    assert_eq!(report["recommendation"]["toml"], "");
    assert!(run.out.contains("Keep the present settings"), "{}", run.out);
    assert!(run.out.contains("too short to support"), "{}", run.out);
    // A surge of twice the rate for five minutes is below what the budget allows, and is shown so.
    let kinds = report["settings"][0]["kinds"].as_array().expect("a list");
    let found: u64 = kinds
        .iter()
        .map(|kind| kind["found"].as_u64().expect("a number"))
        .sum();
    let planted: u64 = kinds
        .iter()
        .map(|kind| kind["incidents"].as_u64().expect("a number"))
        .sum();
    assert!(found < planted, "{found} of {planted}");
}

#[test]
fn mistakes_are_told() {
    let place = fleet();
    let check = |files: &[(&str, &str)], arguments: &[&str], code: i32, words: &[&str]| {
        for (name, text) in files {
            place.write(name, text.as_bytes());
        }
        let all = [&["tune", "--format", "rates", "in.csv"], arguments].concat();
        place.run(&all).check(code, words);
    };
    check(
        &[("g", "detector.budget_per_wek = [1]")],
        &["--grid", "g"],
        4,
        &["budget_per_week"],
    );
    check(
        &[("g", "detector.fixed_z = 3")],
        &["--grid", "g"],
        2,
        &["fixed_z", "a list"],
    );
    check(&[("g", "")], &["--grid", "g"], 2, &["names no key"]);
    check(
        &[("g", "detector.fixed_z = [\"x\"]")],
        &["--grid", "g"],
        4,
        &["fixed_z"],
    );
    check(&[], &["--grid", "absent"], 2, &["absent", "cannot be read"]);
    check(&[("l", "a,b,c\n")], &["--labels", "l"], 2, &["line 1"]);
    check(&[], &["--report", "x.pdf"], 2, &["x.pdf", ".json"]);
    check(&[], &["--report", "in.csv"], 2, &["in.csv", "overwritten"]);
    let twice = ["--report", "x.md", "--report", "./x.md"];
    check(&[], &twice, 2, &["the same file"]);
    check(&[], &["--budget", "0"], 2, &["--budget"]);
    place.write("s.toml", b"limits.kept_rates_bytes_max = 65536\n");
    check(
        &[],
        &["-c", "s.toml"],
        1,
        &["kept_rates_bytes_max", "raise it"],
    );
    // A day is too short for anything to start.
    place.write(
        "day.csv",
        place
            .read("in.csv")
            .lines()
            .take(2000)
            .collect::<Vec<_>>()
            .join("\n")
            .as_bytes(),
    );
    let run = place.run(&["tune", "--format", "rates", "day.csv"]);
    run.check(0, &[]);
    assert!(run.out.contains("too short"), "{}", run.out);
}

/// Nothing but read calls is nothing to judge, and the reader learns which key counts them.
#[test]
fn an_input_that_counts_nothing_says_where_to_look() {
    let place = Place::new();
    let reads: Vec<String> = super::traffic::records()
        .iter()
        .map(|line| line.replace("\"readOnly\":false", "\"readOnly\":true"))
        .collect();
    place.write("in.json", &super::traffic::ndjson(&reads));
    let run = place.run(&["tune", "in.json"]);
    run.check(0, &[]);
    assert!(run.out.contains("counting.read_calls"), "{}", run.out);
    assert!(run.out.contains(", 0 of them counted"), "{}", run.out);
}
