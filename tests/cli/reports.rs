//! Reports of `replay`, `diff` and `explain`: that they say what the commands say, and cost what
//! they may.

use std::collections::BTreeMap;

use serde_json::Value;

use super::run::Place;
use super::tuning::{fleet, fleet_of, starts};

fn json(place: &Place, name: &str) -> Value {
    serde_json::from_str(&place.read(name)).expect("it is JSON")
}

fn list<'a>(report: &'a Value, name: &str) -> &'a [Value] {
    report[name].as_array().expect("a list")
}

fn numbers(value: &Value) -> Vec<Option<f64>> {
    let values = value.as_array().expect("a list");
    values.iter().map(Value::as_f64).collect()
}

/// Counts by minute of one series in a file of rates.
fn counts(place: &Place, series: &Value) -> BTreeMap<i64, f64> {
    let name = |part: &str| series[part].as_str().expect("text").to_string();
    let parts = [
        "account",
        "region",
        "event_source",
        "event_name",
        "error_code",
    ];
    let parts: Vec<String> = parts.into_iter().map(name).collect();
    let mut counts = BTreeMap::new();
    for line in place.read("in.csv").lines().skip(1) {
        let (time, rest) = line.split_once(',').expect("a row has columns");
        let (key, count) = rest.rsplit_once(',').expect("a row has columns");
        if key == parts.join(",") {
            let time: jiff::Timestamp = time.parse().expect("a time");
            let count: f64 = count.parse().expect("a count");
            *counts.entry(time.as_second() / 60).or_default() += count;
        }
    }
    counts
}

#[test]
fn a_report_of_a_replay_changes_no_byte_and_says_the_same() {
    let place = fleet();
    let replay = |arguments: &[&str]| {
        let mut all = vec!["replay", "--format", "rates", "-c", "b.toml"];
        all.extend(arguments);
        all.push("in.csv");
        let run = place.run(&all);
        run.check(0, &[]);
        run.out
    };
    let plain = replay(&[]);
    let reports = [
        "--report", "r.html", "--report", "r.md", "--report", "r.csv",
    ];
    let with = [&reports[..], &["--report", "r.json", "--threads", "3"]].concat();
    assert_eq!(replay(&with), plain);
    let page = place.read("r.html");
    assert_eq!(replay(&["--threads", "1", "--report", "r.html"]), plain);
    assert_eq!(place.read("r.html"), page, "threads change nothing");

    let report = json(&place, "r.json");
    let insights = list(&report, "insights");
    let starts = starts(&place, "b.toml");
    assert_eq!(insights.len(), starts.len());
    assert_eq!(list(&report, "notes").len(), 0, "{}", report["notes"]);
    for insight in insights {
        let id = insight["id"].as_str().expect("an id");
        assert!(starts.contains_key(id));
        assert!(page.contains(&format!("id=\"insight-{id}\"")));
        assert!(place.read("r.csv").contains(id));
    }
    assert_eq!(page.matches("class=\"charts\"").count(), insights.len());
    assert_eq!(
        place.read("r.md").matches("\n| 2026-").count(),
        insights.len()
    );
    assert_eq!(report["budget"]["requested_per_week"], 100.0);

    // What is drawn is what the input counts.
    let insight = &insights[insights.len() / 2];
    let counts = counts(&place, &insight["series"]);
    for chart in ["fine", "coarse"] {
        let chart = &insight[chart];
        let (start, step) = (chart["start"].as_i64(), chart["step_seconds"].as_i64());
        let (start, step) = (start.expect("a time"), step.expect("a length"));
        let seen = numbers(&chart["seen"]);
        for place in 0..seen.len() {
            let first = (start + place as i64 * step) / 60;
            let sum: f64 = counts
                .range(first..first + step / 60)
                .map(|one| one.1)
                .sum();
            // The last bin may be shorter.
            let is_last = place + 1 == seen.len();
            let found = seen[place].expect("a rate") * step as f64 / 60.0;
            assert!(is_last || (found - sum).abs() < 1e-6, "{found} {sum}");
        }
        let (low, high) = (numbers(&chart["low"]), numbers(&chart["high"]));
        assert!(low.iter().zip(&high).all(|(low, high)| low <= high));
        assert!(
            high.iter().flatten().count() * 10 > high.len() * 9,
            "a band"
        );
    }
}

/// Rates over `limits.kept_rates_bytes_max` are let go of: the report is written without charts.
#[test]
fn a_report_without_memory_for_charts_says_so() {
    let place = fleet();
    let arguments = [
        "replay", "-q", "--format", "rates", "-c", "b.toml", "--report", "r.html", "--report",
        "r.json", "in.csv",
    ];
    let small = [("INSIGHTD_LIMITS__KEPT_RATES_BYTES_MAX", "65536")];
    let run = place.run_with(&arguments, &small);
    run.check(0, &[]);
    assert_eq!(run.out, place.run(&arguments).out);
    place.run_with(&arguments, &small).check(0, &[]);
    let report = json(&place, "r.json");
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("no charts: the rates of this input take more than"),
        "{notes}"
    );
    assert!(
        place
            .read("r.html")
            .contains("limits.kept_rates_bytes_max, 65536 bytes")
    );
    assert!(
        list(&report, "insights")
            .iter()
            .all(|one| one["fine"].is_null())
    );

    let few = [
        ("INSIGHTD_LIMITS__REPORT_CHARTS_MAX", "3"),
        ("INSIGHTD_LIMITS__REPORT_INSIGHTS_MAX", "9"),
    ];
    place.run_with(&arguments, &few).check(0, &[]);
    let report = json(&place, "r.json");
    let insights = list(&report, "insights");
    let drawn = insights.iter().filter(|one| !one["coarse"].is_null());
    assert_eq!((insights.len(), drawn.count()), (9, 3));
    let notes = report["notes"].to_string();
    assert!(notes.contains("6 insights have no charts"), "{notes}");
    assert!(notes.contains("insights after the first 9"), "{notes}");
}

#[test]
fn a_report_after_a_state_lists_and_does_not_draw() {
    let place = fleet();
    let arguments = "replay -q --format rates -c b.toml --state-out s --until 2026-01-14 in.csv";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    place.run(&arguments).check(0, &[]);
    let arguments = "replay -q --format rates -c b.toml --state-in s --report r.json in.csv";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    place.run(&arguments).check(0, &[]);
    let report = json(&place, "r.json");
    assert!(report["notes"].to_string().contains("went on from a state"));
    assert!(!list(&report, "insights").is_empty());
}

#[test]
fn a_report_of_nothing_is_a_report() {
    let place = Place::with(&[("in.json", b"")]);
    let run = place.run(&[
        "replay", "-q", "--report", "r.html", "--report", "r.md", "in.json",
    ]);
    run.check(0, &[]);
    assert!(place.read("r.html").contains("There is none."));
    let run = place.run(&["replay", "--report", "r.pdf", "in.json"]);
    run.check(2, &[".html, .md, .csv, .json"]);
    let run = place.run(&["replay", "--report", "in.json", "in.json"]);
    run.check(2, &["it would be overwritten"]);
}

/// Five hundred insights, all drawn: the page keeps its bound.
#[test]
fn a_page_of_five_hundred_insights_stays_small() {
    let place = fleet_of("220");
    place.write("c.toml", b"detector.fixed_z = 1.5\n");
    let run = place.run(&[
        "replay", "-q", "--format", "rates", "-c", "c.toml", "--report", "r.html", "in.csv",
    ]);
    run.check(0, &[]);
    let page = place.read("r.html");
    let (insights, drawn) = (
        page.matches("<details").count(),
        page.matches("\"coarse\":{").count(),
    );
    assert!(insights >= 500, "{insights}");
    assert_eq!(drawn, 500, "limits.report_charts_max");
    assert!(page.len() < 12_000_000, "{} bytes", page.len());
}

#[test]
fn a_page_of_a_diff_marks_and_draws_each_difference() {
    let place = fleet();
    let run = place.run(&[
        "diff", "-a", "a.toml", "-b", "b.toml", "--format", "rates", "--report", "d.html",
        "--report", "d.json", "in.csv",
    ]);
    run.check(3, &[]);
    let page = place.read("d.html");
    let report = json(&place, "d.json");
    let differences = list(&report, "differences");
    assert_eq!(page.matches("<details").count(), differences.len());
    assert_eq!(page.matches("\"coarse\":{").count(), differences.len());
    assert_eq!(page.matches("\"fine\":{").count(), differences.len());
    for mark in ["gained", "lost", "moved"] {
        let of_mark = differences.iter().filter(|one| one["mark"] == mark);
        let marks = page.matches(&format!("data-mark=\"{mark}\"")).count();
        assert_eq!(marks, of_mark.count(), "{mark}");
    }
    for one in differences {
        let reason = one["reason"].as_str().expect("a reason");
        let reason = reason.replace('<', "&#60;");
        assert!(page.contains(&reason), "{reason}");
    }
    // The other way round what was gained is lost, and drawn by the side that has it.
    let run = place.run(&[
        "diff", "-a", "b.toml", "-b", "a.toml", "--format", "rates", "--report", "e.html", "in.csv",
    ]);
    run.check(3, &[]);
    let turned = place.read("e.html");
    let count = |page: &str, mark: &str| page.matches(&format!("data-mark=\"{mark}\"")).count();
    assert_eq!(count(&turned, "lost"), count(&page, "gained"));
    assert_eq!(turned.matches("\"coarse\":{").count(), differences.len());
}

/// Numbers of the windows in a report of `explain`, by window: seen, surprise, left.
fn windows(report: &Value) -> Vec<(f64, f64, f64)> {
    let number = |cell: &Value| -> f64 {
        let text = cell.as_str().expect("a cell is text");
        text.parse().expect("it is a number")
    };
    let rows = list(report, "windows").iter();
    rows.map(|row| (number(&row[1]), number(&row[4]), number(&row[7])))
        .collect()
}

#[test]
fn explain_shows_windows_and_what_explanations_left() {
    let place = fleet();
    let starts = starts(&place, "b.toml");
    let explain = |arguments: &[&str]| {
        let mut all = vec![
            "explain", "--format", "rates", "-c", "b.toml", "--report", "e.json",
        ];
        all.extend(["--report", "e.html", "--report", "e.md"]);
        all.extend(arguments);
        all.push("in.csv");
        let run = place.run(&all);
        run.check(0, &[]);
        run.out
    };
    for (id, record) in starts.iter().take(5) {
        let out = explain(&["--id", id]);
        let report = json(&place, "e.json");
        let why = &record["insightd"];
        let windows = windows(&report);
        assert_eq!(windows.len(), 4, "{out}");
        let chosen = report["chosen"].as_u64().expect("one counts") as usize;
        let (seen, raw, left) = windows[chosen];
        assert_eq!(Some(seen), why["observed"].as_f64(), "{why}");
        let near = |a: f64, b: &Value| (a - b.as_f64().expect("a number")).abs() < 0.06;
        assert!(near(raw, &why["surpriseRaw"]), "{raw} {why}");
        assert!(near(left, &why["surprise"]), "{left} {why}");
        assert!(windows.iter().all(|(_, raw, left)| left <= raw));
        for words in [
            "░",
            "█",
            "early or late",
            "precedents",
            "needed",
            "enough for an incident",
        ] {
            assert!(out.contains(words), "{words} in\n{out}");
        }
        assert!(!out.contains('\u{1b}'), "no colours in a file");
        let page = place.read("e.html");
        assert!(page.contains("\"fine\":{") && page.contains("\"onset\""));
        assert!(place.read("e.md").contains(&out));
    }
    // A minute without a word, explained as well.
    let report = json(&place, "e.json");
    let part = |name: &str| report["series"][name].as_str().expect("text").to_string();
    let parts = [
        "account",
        "region",
        "event_source",
        "event_name",
        "insight_type",
        "error_code",
    ];
    let key = parts.map(part);
    let out = explain(&["--series", &key.join(","), "--at", "2026-01-12T03:33:00Z"]);
    assert!(
        out.contains("Nothing fired at 2026-01-12T03:33:00Z."),
        "{out}"
    );
    assert!(
        out.contains("usually") && out.contains("Windows that end with"),
        "{out}"
    );
    let page = place.read("e.html");
    assert!(page.contains("\"fine\":{") && !page.contains("\"onset\""));

    let id = starts.keys().next().expect("there is one");
    let arguments = [
        "explain", "--format", "rates", "-c", "b.toml", "--id", id, "in.csv",
    ];
    let coloured = place.run_with(&arguments, &[("CLICOLOR_FORCE", "1")]).out;
    assert!(coloured.contains('\u{1b}'), "{coloured}");
    let plain = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
    assert_eq!(
        place.run_with(&arguments, &plain).out,
        place.run(&arguments).out
    );

    let small = [("INSIGHTD_LIMITS__KEPT_RATES_BYTES_MAX", "65536")];
    let run = place.run_with(&arguments, &small);
    run.check(0, &[]);
    assert!(
        run.out.contains("no windows and no plot: the rates"),
        "{}",
        run.out
    );
}
