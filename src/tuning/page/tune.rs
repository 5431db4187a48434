//! The page of `insightd tune`: what to do first, then what each setting costs and finds.

use askama::Template;

use super::super::markdown::{figure, optional, share, thresholds};
use super::super::report::{
    InputView, KindView, LabelView, RivalView, SettingView, SmallestView, StoriesView, TuneReport,
};
use super::scatter::{Candidate, Kind, Scatter, scatter};
use super::{Frame, text};

#[derive(Template)]
#[template(path = "tune.html")]
struct Page<'a> {
    frame: Frame<'a>,
    report: &'a TuneReport,
    input: Vec<(&'static str, String)>,
    verdict: String,
    has_labels: bool,
    rows: Vec<Row<'a>>,
    /// What the chart and its axis call found: of planted incidents, or of labels.
    found_of: &'static str,
    scatter: Option<Scatter>,
    height: f64,
    kinds: Vec<KindRow<'a>>,
    /// Numbers and names of the columns of the kinds.
    columns: Vec<(String, &'a str)>,
    scopes: Vec<ScopeRow<'a>>,
    spenders: Vec<(&'a str, u64, String)>,
    /// Settings with insights that are muted, and how many.
    muted: Vec<(&'a str, u64)>,
    stories: Option<&'a StoriesView>,
    smallest: Vec<SmallestRow<'a>>,
    missed: Vec<&'a LabelView>,
}

/// A setting or a rival in the table of costs.
struct Row<'a> {
    number: String,
    name: &'a str,
    class: &'static str,
    is_recommended: bool,
    threshold: String,
    asked: String,
    per_week: String,
    per_week_90: String,
    spent: String,
    found: String,
    found_width: String,
    precision: String,
    recall: String,
}

/// A budget of its own.
struct ScopeRow<'a> {
    name: &'a str,
    threshold: String,
    asked: String,
    per_week: String,
    spent: String,
}

/// A kind of planted incidents with a cell for each setting and rival.
struct KindRow<'a> {
    kind: &'a str,
    incidents: u32,
    cells: Vec<Cell>,
}

struct Cell {
    found: String,
    width: String,
    delay: Option<u32>,
}

struct SmallestRow<'a> {
    series: &'a str,
    usual: String,
    surge: String,
    stop: String,
}

/// The whole page.
pub fn tune(report: &TuneReport) -> String {
    let present = report.settings.first();
    let has_planted = report
        .settings
        .iter()
        .any(|one| one.mean_detection.is_some());
    let page = Page {
        frame: Frame::new(
            "insightd tune",
            &report.engine_version,
            "recommendation",
            false,
        ),
        report,
        input: input(&report.input),
        verdict: verdict(report),
        has_labels: !report.labels.is_empty(),
        rows: rows(report),
        found_of: if has_planted {
            "planted incidents"
        } else {
            "labels"
        },
        scatter: scatter(candidates(report, has_planted)),
        height: super::scatter::HEIGHT,
        kinds: kinds(report),
        columns: columns(report)
            .map(|(number, name, _)| (number, name))
            .collect(),
        scopes: present.map(scopes).unwrap_or_default(),
        spenders: present.map(spenders).unwrap_or_default(),
        muted: muted(report),
        stories: present
            .map(|one| &one.stories)
            .filter(|stories| !stories.largest.is_empty()),
        smallest: report.smallest.iter().map(smallest).collect(),
        missed: report.labels.iter().filter(|label| !label.is_hit).collect(),
    };
    page.render().expect("a String takes all text")
}

fn input(input: &InputView) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("records", text::grouped(input.records)),
        ("files", text::grouped(input.files)),
        ("series", text::grouped(input.series)),
        ("counts", text::grouped(input.counts)),
        ("could not be used", text::grouped(input.rejected)),
    ];
    if let (Some(first), Some(last)) = (&input.first, &input.last) {
        facts.push(("from", first.clone()));
        facts.push(("to", last.clone()));
    }
    facts
}

fn verdict(report: &TuneReport) -> String {
    match report.recommendation.setting {
        None => "Nothing can be recommended.".to_string(),
        Some(0) => "Keep the present settings.".to_string(),
        Some(place) => match report.settings.get(place) {
            Some(setting) => format!("Take {}.", setting.name),
            None => "Nothing can be recommended.".to_string(),
        },
    }
}

/// Settings are numbered, rivals have letters.
fn number(place: usize) -> String {
    (place + 1).to_string()
}

fn letter(place: usize) -> String {
    char::from(b'A' + (place % 26) as u8).to_string()
}

fn rows(report: &TuneReport) -> Vec<Row<'_>> {
    let settings = report.settings.iter().enumerate().map(|(place, setting)| {
        let (low, high) = setting.insights_per_week_90;
        Row {
            number: number(place),
            name: &setting.name,
            class: if place == 0 { "present" } else { "setting" },
            is_recommended: report.recommendation.setting == Some(place),
            threshold: thresholds(setting),
            asked: optional(setting.budget_per_week.map(figure)),
            per_week: text::rate(setting.insights_per_week),
            per_week_90: format!("{} to {}", figure(low), figure(high)),
            spent: share(setting.budget_spent),
            found: share(setting.mean_detection),
            found_width: text::percent(setting.mean_detection.unwrap_or_default()),
            precision: share(setting.precision),
            recall: share(setting.recall),
        }
    });
    let rivals = report.rivals.iter().enumerate().map(|(place, rival)| Row {
        number: letter(place),
        name: &rival.name,
        class: "rival",
        is_recommended: false,
        threshold: optional(None::<u64>),
        asked: optional(None::<u64>),
        per_week: text::rate(rival.alarms_per_week),
        per_week_90: String::new(),
        spent: optional(None::<u64>),
        found: share(rival.mean_detection),
        found_width: text::percent(rival.mean_detection.unwrap_or_default()),
        precision: optional(None::<u64>),
        recall: share(rival.recall),
    });
    settings.chain(rivals).collect()
}

fn scopes(present: &SettingView) -> Vec<ScopeRow<'_>> {
    let scopes = present.scopes.iter();
    scopes
        .map(|scope| ScopeRow {
            name: &scope.name,
            threshold: format!("{:.2} / {:.2}", scope.threshold, scope.threshold_errors),
            asked: figure(scope.budget_per_week),
            per_week: text::rate(scope.unlabelled_per_week),
            spent: share(Some(scope.budget_spent)),
        })
        .collect()
}

fn candidates(report: &TuneReport, has_planted: bool) -> Vec<Candidate> {
    let of_setting = |(place, setting): (usize, &SettingView)| {
        let found = if has_planted {
            setting.mean_detection
        } else {
            setting.recall
        };
        Some(Candidate {
            label: number(place),
            title: setting.name.clone(),
            kind: if place == 0 {
                Kind::Present
            } else {
                Kind::Setting
            },
            is_recommended: report.recommendation.setting == Some(place),
            per_week: setting.insights_per_week,
            per_week_90: Some(setting.insights_per_week_90),
            found: found?,
        })
    };
    let of_rival = |(place, rival): (usize, &RivalView)| {
        let found = if has_planted {
            rival.mean_detection
        } else {
            rival.recall
        };
        Some(Candidate {
            label: letter(place),
            title: rival.name.clone(),
            kind: Kind::Rival,
            is_recommended: false,
            per_week: rival.alarms_per_week,
            per_week_90: None,
            found: found?,
        })
    };
    let settings = report.settings.iter().enumerate().filter_map(of_setting);
    let rivals = report.rivals.iter().enumerate().filter_map(of_rival);
    settings.chain(rivals).collect()
}

/// Number, name and kinds of all that have kinds.
fn columns(report: &TuneReport) -> impl Iterator<Item = (String, &str, &[KindView])> {
    let settings = report.settings.iter().enumerate();
    let rivals = report.rivals.iter().enumerate();
    settings
        .map(|(place, one)| (number(place), one.name.as_str(), one.kinds.as_slice()))
        .chain(rivals.map(|(place, one)| (letter(place), one.name.as_str(), one.kinds.as_slice())))
        .filter(|(_, _, kinds)| !kinds.is_empty())
}

fn kinds<'a>(report: &'a TuneReport) -> Vec<KindRow<'a>> {
    let Some((_, _, first)) = columns(report).next() else {
        return Vec::new();
    };
    let missing = || Cell {
        found: optional(None::<u64>),
        width: text::percent(0.0),
        delay: None,
    };
    let row = |(place, kind): (usize, &'a KindView)| KindRow {
        kind: &kind.kind,
        incidents: kind.incidents,
        cells: columns(report)
            .map(|(_, _, kinds)| kinds.get(place).map_or_else(missing, cell))
            .collect(),
    };
    first.iter().enumerate().map(row).collect()
}

fn cell(kind: &KindView) -> Cell {
    let found = f64::from(kind.found) / f64::from(kind.incidents.max(1));
    Cell {
        found: share(Some(found)),
        width: text::percent(found),
        delay: kind.delay_median,
    }
}

fn spenders(present: &SettingView) -> Vec<(&str, u64, String)> {
    let spenders = present.spenders.iter();
    spenders
        .map(|one| (one.series.as_str(), one.insights, share(Some(one.share))))
        .collect()
}

fn muted(report: &TuneReport) -> Vec<(&str, u64)> {
    let settings = report.settings.iter().filter(|one| one.muted > 0);
    settings.map(|one| (one.name.as_str(), one.muted)).collect()
}

fn smallest(view: &SmallestView) -> SmallestRow<'_> {
    let (surge, stop) = match &view.why_unknown {
        Some(why) => (why.clone(), optional(None::<u64>)),
        None => (
            view.surge.map_or("none".to_string(), text::grouped),
            view.stop_minutes
                .map_or("not within two hours".to_string(), |minutes| {
                    format!("{minutes} min")
                }),
        ),
    };
    SmallestRow {
        series: &view.series,
        usual: text::rate(view.usual),
        surge,
        stop,
    }
}
