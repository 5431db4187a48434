//! The page of `replay --report` and `diff --report`: insights over time, and each one in full.

use std::fmt::Write as _;

use askama::Template;

use super::super::markdown::figure;
use super::super::timeline::{
    AttributionView, BudgetView, ChartView, DirectionView, TimelineInsight, TimelineReport,
};
use super::lanes::{self, Lanes};
use super::{Frame, text};

#[derive(Template)]
#[template(path = "timeline.html")]
struct Page<'a> {
    frame: Frame<'a>,
    report: &'a TimelineReport,
    span: String,
    warm_up: Option<String>,
    budget: Option<Budget>,
    lanes: Lanes<'a>,
    items: Vec<Item<'a>>,
    is_diff: bool,
}

/// The budget as two bars on one scale, in percent of it.
struct Budget {
    requested: String,
    spent: String,
    low: String,
    high: String,
    weeks: String,
    requested_width: String,
    spent_width: String,
    low_place: String,
    high_place: String,
}

/// An insight in the list.
struct Item<'a> {
    insight: &'a TimelineInsight,
    direction: &'static str,
    mark: Option<&'static str>,
    api: String,
    place: String,
    onset: String,
    end: String,
    duration: String,
    decided_at: String,
    attributions: Vec<Row<'a>>,
    /// JSON of numbers only; empty where there is no chart.
    charts: String,
}

/// A row of the attributions; bars are in percent of the largest average.
pub(super) struct Row<'a> {
    pub attribution: &'a AttributionView,
    pub insight: String,
    pub baseline: String,
    pub insight_width: String,
    pub baseline_width: String,
}

/// The whole page.
pub fn timeline(report: &TimelineReport) -> String {
    let page = Page {
        frame: Frame::new(&report.title, &report.engine_version, "list", true),
        report,
        span: format!(
            "{} to {}",
            text::minute(report.first),
            text::minute(report.last)
        ),
        warm_up: report.warm_up_end.map(text::minute),
        budget: report.budget.as_ref().map(budget),
        lanes: lanes::lanes(report),
        items: report
            .insights
            .iter()
            .map(|one| item(one, report.last))
            .collect(),
        is_diff: report.insights.iter().any(|insight| insight.mark.is_some()),
    };
    page.render().expect("a String takes all text")
}

fn budget(view: &BudgetView) -> Budget {
    let (low, high) = view.spent_per_week_90;
    let scale = view
        .requested_per_week
        .max(high)
        .max(view.spent_per_week)
        .max(1e-9);
    let place = |value: f64| text::percent(value / scale);
    Budget {
        requested: figure(view.requested_per_week),
        spent: figure(view.spent_per_week),
        low: figure(low),
        high: figure(high),
        weeks: figure(view.weeks),
        requested_width: place(view.requested_per_week),
        spent_width: place(view.spent_per_week),
        low_place: place(low),
        high_place: place(high),
    }
}

fn item(insight: &TimelineInsight, last: i64) -> Item<'_> {
    let length = insight.end.unwrap_or(last) - insight.onset;
    Item {
        insight,
        direction: match insight.direction {
            DirectionView::Up => "up",
            DirectionView::Down => "down",
        },
        mark: insight.mark.as_ref().map(|mark| mark.mark.name()),
        api: lanes::api(&insight.series),
        place: lanes::place(&insight.series),
        onset: text::minute(insight.onset),
        end: insight.end.map_or("goes on".to_string(), text::minute),
        duration: text::duration(length),
        decided_at: text::minute(insight.decided_at),
        attributions: rows(&insight.attributions),
        charts: charts(insight, last),
    }
}

pub(super) fn rows(attributions: &[AttributionView]) -> Vec<Row<'_>> {
    let largest = attributions
        .iter()
        .map(|one| one.insight_average.max(one.baseline_average))
        .fold(1e-9, f64::max);
    attributions
        .iter()
        .map(|attribution| Row {
            attribution,
            insight: figure(attribution.insight_average),
            baseline: figure(attribution.baseline_average),
            insight_width: text::percent(attribution.insight_average / largest),
            baseline_width: text::percent(attribution.baseline_average / largest),
        })
        .collect()
}

/// What the script draws: times and numbers, no text from outside.
fn charts(insight: &TimelineInsight, last: i64) -> String {
    let curves = chart_data(&insight.fine, &insight.coarse);
    if curves.is_empty() {
        return String::new();
    }
    let end = insight.end.unwrap_or(last);
    format!(
        "{{\"onset\":{},\"end\":{end},\"decided\":{}{curves}}}",
        insight.onset, insight.decided_at
    )
}

/// Members of an object with the curves of both charts, each after a comma.
pub(super) fn chart_data(fine: &Option<ChartView>, coarse: &Option<ChartView>) -> String {
    [("fine", fine), ("coarse", coarse)]
        .into_iter()
        .filter_map(|(name, view)| Some(format!(",\"{name}\":{}", chart(view.as_ref()?))))
        .collect()
}

fn chart(view: &ChartView) -> String {
    let mut json = format!("{{\"start\":{},\"step\":{}", view.start, view.step_seconds);
    let arrays = [
        ("seen", &view.seen),
        ("expected", &view.expected),
        ("low", &view.low),
        ("high", &view.high),
    ];
    for (name, values) in arrays {
        let numbers: Vec<String> = values.iter().map(|one| text::json_number(*one)).collect();
        write!(json, ",\"{name}\":[{}]", numbers.join(",")).expect("a String takes all text");
    }
    json.push('}');
    json
}
