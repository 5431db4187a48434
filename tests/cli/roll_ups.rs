//! Roll-ups from outside: what many APIs do a little of is seen in their service and account.

use std::collections::BTreeMap;

use serde_json::Value;

use super::run::Place;
use super::traffic::{HOURS, START, SURGE, ndjson, record, time};

/// APIs of one service, each called every other minute.
const APIS: i64 = 30;
const PLAIN: &[u8] = b"detector.fixed_z = 6\n";
const ROLLED_UP: &[u8] = b"detector.fixed_z = 6\ncounting.rollups = [\"service\", \"account\"]\n";

/// Every API is called twice as often for ten minutes.
fn thin_surge() -> Place {
    let mut lines = Vec::new();
    for minute in 0..HOURS * 60 {
        let in_surge = (SURGE..SURGE + 10).contains(&minute);
        for api in (0..APIS).filter(|api| in_surge || (api + minute) % 2 == 0) {
            let line = record(START + minute * 60 + api, lines.len() as u64);
            lines.push(line.replace("CreateTags", &format!("Api{api}")));
        }
    }
    let (plain, rolled_up) = ("plain.toml", "rolled_up.toml");
    Place::with(&[
        ("in.json", &ndjson(&lines)),
        (plain, PLAIN),
        (rolled_up, ROLLED_UP),
    ])
}

/// Records of a replay by series, edge and minute of decision.
fn insights(place: &Place, config: &str) -> BTreeMap<[String; 5], Value> {
    let run = place.run(&[
        "replay",
        "-q",
        "-c",
        config,
        "--stories",
        "stories",
        "--rates",
        "rates.csv",
        "in.json",
    ]);
    run.check(0, &[]);
    let records = run.out.lines().map(|line| {
        let mut record: Value = serde_json::from_str(line).expect("a record is JSON");
        let own = record["insightd"].as_object_mut().expect("an object");
        own.remove("settingsHash").expect("settings have a hash");
        let text = |value: &Value| value.as_str().unwrap_or("").to_string();
        let detail = &record["insightDetails"];
        let key = [
            text(&detail["eventSource"]),
            text(&detail["eventName"]),
            text(&detail["errorCode"]),
            text(&detail["state"]),
            text(&record["insightd"]["decidedAt"]),
        ];
        (key, record)
    });
    records.collect()
}

#[test]
fn what_is_spread_over_many_apis_is_seen_in_their_roll_ups() {
    let place = thin_surge();
    assert!(insights(&place, "plain.toml").is_empty());
    let found = insights(&place, "rolled_up.toml");
    let of: Vec<[&str; 3]> = found
        .keys()
        .map(|key| [key[0].as_str(), key[1].as_str(), key[3].as_str()])
        .collect();
    let service = "ec2.amazonaws.com";
    let expected = [
        ["*", "*", "End"],
        ["*", "*", "Start"],
        [service, "*", "End"],
        [service, "*", "Start"],
    ];
    assert_eq!(of, expected);
    let subjects = [
        "All APIs of account 111122223333 together were called 30 times a minute",
        "All APIs of ec2.amazonaws.com together were called 30 times a minute",
    ];
    let starts = found
        .values()
        .filter(|one| one["insightDetails"]["state"] == "Start");
    for (record, subject) in starts.zip(subjects) {
        let sentence = record["insightd"]["sentence"].as_str().expect("a text");
        assert!(sentence.starts_with(subject), "{sentence}");
    }
    // One cause is one story.
    let stories = place.read("stories");
    assert_eq!(stories.lines().count(), 1, "{stories}");
    assert!(stories.contains("\"starts\":2"), "{stories}");
}

#[test]
fn tools_know_roll_ups_as_series() {
    let place = thin_surge();
    let at = time(START + (SURGE + 2) * 60);
    for (key, seen) in [
        (
            "111122223333,us-east-1,ec2.amazonaws.com,*,ApiCallRateInsight,",
            "fired",
        ),
        ("111122223333,*,*,*,ApiCallRateInsight,", "fired"),
        (
            "111122223333,us-east-1,ec2.amazonaws.com,Api3,ApiCallRateInsight,",
            "Nothing fired",
        ),
    ] {
        let run = place.run(&[
            "explain",
            "-c",
            "rolled_up.toml",
            "--series",
            key,
            "--at",
            &at,
            "in.json",
        ]);
        run.check(0, &[]);
        assert!(run.out.contains(seen), "{key}\n{}", run.out);
    }
    let run = place.run(&[
        "diff",
        "-a",
        "plain.toml",
        "-b",
        "rolled_up.toml",
        "in.json",
    ]);
    run.check(3, &[]);
    for words in [
        "2 gained, 0 lost, 0 moved",
        "plain.toml does not count this series",
    ] {
        assert!(run.out.contains(words), "{words}\n{}", run.out);
    }
    place.write(
        "g.toml",
        b"counting.rollups = [[], [\"service\"], [\"account\", \"service\"]]\n",
    );
    let run = place.run(&[
        "tune",
        "-c",
        "plain.toml",
        "--grid",
        "g.toml",
        "--report",
        "t.json",
        "in.json",
    ]);
    run.check(0, &[]);
    let report: Value = serde_json::from_str(&place.read("t.json")).expect("JSON");
    let settings = report["settings"].as_array().expect("a list");
    let insights: Vec<&Value> = settings.iter().map(|one| &one["insights"]).collect();
    assert_eq!(insights, [0, 1, 2]);
    let run = place.run(&["config", "show", "-c", "rolled_up.toml", "--origin"]);
    run.check(0, &[]);
    let shown = "rollups = [\"service\", \"account\"]  # rolled_up.toml:2";
    assert!(run.out.contains(shown), "{}", run.out);
}

/// Rates that a run with roll-ups wrote count once, with roll-ups made anew and without.
#[test]
fn rates_that_were_written_are_not_rolled_up_twice() {
    let place = thin_surge();
    let found = insights(&place, "rolled_up.toml");
    let of = |config: &str| {
        let run = place.run(&["replay", "-c", config, "--format", "rates", "rates.csv"]);
        run.check(0, &[]);
        let observed = run.out.lines().map(|line| {
            let record: Value = serde_json::from_str(line).expect("a record is JSON");
            (
                record["sharedEventID"].clone(),
                record["insightd"]["observed"].clone(),
            )
        });
        (observed.collect::<Vec<_>>(), run.err)
    };
    let (anew, summary) = of("rolled_up.toml");
    assert!(summary.contains("rolled_up"), "{summary}");
    let (as_they_are, summary) = of("plain.toml");
    assert!(!summary.contains("rolled_up"), "{summary}");
    assert_eq!(anew, as_they_are);
    assert_eq!(anew.len(), found.len());
    for (id, _) in &anew {
        assert!(
            found.values().any(|record| record["sharedEventID"] == *id),
            "{id}"
        );
    }
}

/// With a threshold of its own nothing that is said of APIs depends on roll-ups.
#[test]
fn insights_of_apis_do_not_depend_on_roll_ups() {
    let place = Place::new();
    let arguments = "simulate --days 6 --series 60 --seed 3 --out in.json";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    place.run(&arguments).check(0, &[]);
    place.write("plain.toml", b"detector.fixed_z = 3\n");
    place.write(
        "rolled_up.toml",
        b"detector.fixed_z = 3\ncounting.rollups = [\"service\", \"account\"]\n",
    );
    let plain = insights(&place, "plain.toml");
    let mut rolled_up = insights(&place, "rolled_up.toml");
    let all = rolled_up.len();
    rolled_up.retain(|key, _| key[1] != "*");
    assert!(
        all > rolled_up.len() && plain.len() > 4,
        "{all}, {}",
        plain.len()
    );
    assert_eq!(plain, rolled_up);
}
