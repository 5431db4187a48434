//! Reports as HTML: what is in them, that nothing breaks out of them, and how large they become.
//!
//! The pages are also written to `pages/` in cargo's folder for temporary files of tests, where
//! `tests/judges/pages.py` looks at them with a browser.

mod pages {
    pub mod samples;
}

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use insightd::tuning::explain_report::ExplainReport;
use insightd::tuning::page;
use insightd::tuning::report::TuneReport;
use insightd::tuning::timeline::{Fact, SeriesView, TimelineReport};
use pages::samples;
use sha2::{Digest, Sha256};

/// What a log may hold to break out of text, of an attribute or of a script.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\" onmouseover='alert(2)' <!--&lt;";
const VOID: [&str; 6] = ["meta", "link", "br", "input", "img", "hr"];
/// Bytes of a report with 500 insights.
const LARGE_MAX: usize = 12_000_000;

fn keep(name: &str, page: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&folder).expect("cargo's folder can be written");
    fs::write(folder.join(name), page).expect("cargo's folder can be written");
}

/// Names of all elements, in order; panics where they do not nest.
fn elements(page: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut all = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if tag.starts_with('!') {
            continue;
        }
        let letters = |text: &str| -> String {
            let is_name = |c: &char| c.is_ascii_alphanumeric();
            text.chars().take_while(is_name).collect()
        };
        if let Some(closed) = tag.strip_prefix('/') {
            let expected = open.pop();
            assert_eq!(expected.as_deref(), Some(closed), "before {:.80}", rest);
            continue;
        }
        let name = letters(tag);
        assert!(!name.is_empty(), "a tag without a name: {tag:.80}");
        assert!(
            tag.matches('"').count().is_multiple_of(2),
            "quotes of {tag}"
        );
        all.push(name.clone());
        if name == "script" || name == "style" {
            let close = format!("</{name}>");
            let end = rest.find(&close).expect("a script ends");
            rest = &rest[end + close.len()..];
        } else if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<String>::new(), "left open");
    all
}

fn count(page: &str, element: &str) -> usize {
    elements(page)
        .iter()
        .filter(|name| *name == element)
        .count()
}

/// Nothing but the known elements came of hostile text, and it still can be read.
fn check_escaped(page: &str, scripts: usize) {
    assert_eq!(count(page, "img"), 0);
    assert_eq!(count(page, "script"), scripts);
    assert!(!page.contains(HOSTILE));
    for tag in page.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let outside: String = tag.split('"').step_by(2).collect();
        assert!(!outside.contains(" on"), "an event handler: {tag}");
    }
    let escaped = "&#60;/script&#62;&#60;img src=x onerror=alert(1)&#62;&#34; onmouseover=&#39;";
    assert!(page.contains(escaped), "the name is not there");
}

#[test]
fn a_tuning_page_has_all_its_parts() {
    let report = samples::tune();
    let page = page::tune(&report);
    keep("tune.html", &page);
    elements(&page);
    for text in [
        "Take budget_per_week = 2.0.",
        "budget_per_week = 2.0\n</pre>",
        "26\u{202f}208",
        "burst 100",
        "AuthorizeSecurityGroupIngress",
        "z reached 5.2 where 6.1 was needed",
        "the series is younger than two days",
        "1 of 2 found",
        "10 Starts are 6 stories",
        "2026-01-14T09:12:00Z",
        "3 of the insights of budget_per_week = 2.0 are muted",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn an_empty_tuning_page_says_so() {
    let page = page::tune(&TuneReport::default());
    keep("tune-empty.html", &page);
    elements(&page);
    assert!(page.contains("too short to judge"));
    assert_eq!(count(&page, "table"), 0);
}

#[test]
fn nothing_breaks_out_of_a_tuning_page() {
    let mut report = samples::tune();
    report.settings[1].name = HOSTILE.to_string();
    report.settings[0].spenders[0].series = HOSTILE.to_string();
    report.recommendation.toml = HOSTILE.to_string();
    report.smallest[0].series = HOSTILE.to_string();
    report.labels[1].series = HOSTILE.to_string();
    report.settings[0].stories.largest[0].apis = HOSTILE.to_string();
    let page = page::tune(&report);
    check_escaped(&page, 1);
}

#[test]
fn a_timeline_has_lanes_and_a_list() {
    let report = samples::timeline(24, false);
    let page = page::timeline(&report);
    keep("timeline.html", &page);
    assert_eq!(count(&page, "details"), 24);
    for insight in &report.insights {
        let name = format!("insight-{}", insight.id);
        assert!(
            page.contains(&format!("href=\"#{name}\"")),
            "no bar of {name}"
        );
        assert!(
            page.contains(&format!("id=\"{name}\"")),
            "no entry of {name}"
        );
    }
    assert!(page.contains("2026-01-05 00:00 to 2026-01-26 00:00"));
    assert!(!page.contains("chip gained"), "nothing of a comparison");
}

#[test]
fn a_comparison_says_what_became_of_each() {
    let page = page::timeline(&samples::timeline(24, true));
    keep("diff.html", &page);
    for text in [
        "chip gained",
        "chip lost",
        "chip moved",
        "below the threshold of 8.6",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn an_empty_timeline_says_so() {
    let page = page::timeline(&TimelineReport::default());
    keep("timeline-empty.html", &page);
    elements(&page);
    assert!(page.contains("There is none."));
}

#[test]
fn nothing_breaks_out_of_a_timeline() {
    let mut report = samples::timeline(2, true);
    report.title = HOSTILE.to_string();
    let insight = &mut report.insights[0];
    insight.series.event_name = HOSTILE.to_string();
    insight.series.account = HOSTILE.to_string();
    insight.id = HOSTILE.to_string();
    insight.sentences = vec![HOSTILE.to_string()];
    insight.attributions[0].value = HOSTILE.to_string();
    insight.facts[0].value = HOSTILE.to_string();
    let page = page::timeline(&report);
    // The chart library, the page's script, and data of two insights.
    check_escaped(&page, 4);
    keep("hostile.html", &page);
}

/// A surge at a minute, with windows, steps and charts.
fn explained(is_silent: bool) -> ExplainReport {
    let insight = samples::timeline(1, false).insights.remove(0);
    let cells = [
        "5 min",
        "101",
        "20.00 (13 to 29)",
        "1.50",
        "40.2",
        "no",
        "no",
        "40.2",
    ];
    let fact = |name: &str, value: &str| Fact {
        name: name.to_string(),
        value: value.to_string(),
    };
    ExplainReport {
        engine_version: "0.1.0".to_string(),
        series: insight.series.clone(),
        minute: insight.decided_at,
        onset: (!is_silent).then_some(insight.onset),
        end: insight.end.filter(|_| !is_silent),
        sentences: insight.sentences.clone(),
        windows: vec![cells.map(str::to_string).to_vec(); 4],
        chosen: Some(1),
        steps: vec![fact("score", "z 9.10"), fact("needed", "8.00")],
        attributions: insight.attributions.clone(),
        notes: vec!["a note".to_string()],
        coarse: insight.coarse.clone(),
        fine: insight.fine.clone(),
        ..ExplainReport::default()
    }
}

#[test]
fn an_explanation_has_windows_and_charts() {
    for (name, is_silent) in [("explain.html", false), ("explain-silence.html", true)] {
        let page = page::explain(&explained(is_silent));
        keep(name, &page);
        elements(&page);
        assert_eq!(
            count(&page, "tr"),
            1 + 4 + 2 + 1 + explained(false).attributions.len()
        );
        assert_eq!(
            page.matches("class=\"present\"").count(),
            1,
            "one window counts"
        );
        let (_, data) = page
            .split_once("<script type=\"application/json\">")
            .expect("has data");
        let (data, _) = data.split_once("</script>").expect("it ends");
        let data: serde_json::Value = serde_json::from_str(data).expect("it is JSON");
        assert_eq!(
            data["onset"].is_null(),
            is_silent,
            "only an incident is shaded"
        );
        assert!(data["decided"].is_i64() && data["coarse"]["seen"].is_array());
    }
    let empty = page::explain(&ExplainReport::default());
    elements(&empty);
    assert_eq!(count(&empty, "table"), 0);
}

#[test]
fn nothing_breaks_out_of_an_explanation() {
    let mut report = explained(false);
    report.series.event_name = HOSTILE.to_string();
    report.sentences = vec![HOSTILE.to_string()];
    report.windows[0][1] = HOSTILE.to_string();
    report.notes = vec![HOSTILE.to_string()];
    report.steps[0].value = HOSTILE.to_string();
    report.attributions[0].value = HOSTILE.to_string();
    // The chart library, the page's script, and data.
    check_escaped(&page::explain(&report), 3);
}

#[test]
fn data_of_charts_is_json_with_three_digits() {
    let mut report = samples::timeline(1, false);
    let fine = report.insights[0].fine.as_mut().expect("the sample has it");
    fine.seen[..4].copy_from_slice(&[Some(1234.56), Some(0.0), None, Some(f64::NAN)]);
    let page = page::timeline(&report);
    let (_, data) = page
        .split_once("<script type=\"application/json\">")
        .expect("has data");
    let (data, _) = data.split_once("</script>").expect("it ends");
    let data: serde_json::Value = serde_json::from_str(data).expect("it is JSON");
    let seen = &data["fine"]["seen"];
    assert_eq!(seen[0], 1230);
    assert_eq!(seen[1], 0);
    assert!(seen[2].is_null() && seen[3].is_null());
    assert_eq!(data["coarse"]["seen"].as_array().map(Vec::len), Some(700));
    assert_eq!(data["onset"], report.insights[0].onset);
}

#[test]
fn five_hundred_insights_stay_small() {
    let report = samples::timeline(500, false);
    let page = page::timeline(&report);
    keep("timeline-500.html", &page);
    assert_eq!(count(&page, "details"), 500);
    assert!(page.len() < LARGE_MAX, "{} bytes", page.len());
}

#[test]
fn more_series_than_lanes_share_the_last_one() {
    let mut report = samples::timeline(100, false);
    for (number, insight) in report.insights.iter_mut().enumerate() {
        insight.series = SeriesView {
            account: format!("{:012}", number.max(30)),
            ..SeriesView::default()
        };
    }
    let page = page::timeline(&report);
    assert!(page.contains("<b>10 other series</b>"));
    let bars = page.matches("href=\"#insight-").count();
    assert_eq!(bars, 100);
}

#[test]
fn only_the_pages_own_scripts_may_run() {
    let page = page::timeline(&samples::timeline(1, false));
    let (_, policy) = page
        .split_once("Content-Security-Policy\" content=\"")
        .expect("has it");
    let (policy, _) = policy.split_once("\">").expect("it ends");
    for (open, close) in [("<script>", "</script>"), ("<style>", "</style>")] {
        for part in page.split(open).skip(1) {
            let (text, _) = part.split_once(close).expect("it ends");
            let hash = STANDARD.encode(Sha256::digest(text));
            let escaped = format!("sha256-{}", hash.replace('+', "&#43;"));
            let plain = format!("sha256-{hash}");
            assert!(
                policy.contains(&plain) || policy.contains(&escaped),
                "{policy}"
            );
        }
    }
    assert!(policy.starts_with("default-src &#39;none&#39;"), "{policy}");
}
