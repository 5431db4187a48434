//! The page of `explain --report`: one minute of one series in full.

use askama::Template;

use super::super::explain_report::ExplainReport;
use super::super::timeline::ChartView;
use super::timeline::{Row, chart_data, rows};
use super::{Frame, lanes, text};
use crate::view::reasons::COLUMNS;

#[derive(Template)]
#[template(path = "explain.html")]
struct Page<'a> {
    frame: Frame<'a>,
    report: &'a ExplainReport,
    api: String,
    place: String,
    minute: String,
    columns: [&'static str; 8],
    rows: Vec<WindowRow<'a>>,
    attributions: Vec<Row<'a>>,
    /// JSON of numbers only; empty where there is no chart.
    charts: String,
}

struct WindowRow<'a> {
    cells: &'a [String],
    is_chosen: bool,
}

/// The whole page.
pub fn explain(report: &ExplainReport) -> String {
    let windows = report.windows.iter().enumerate();
    let page = Page {
        frame: Frame::new("insightd explain", &report.engine_version, "list", true),
        report,
        api: lanes::api(&report.series),
        place: lanes::place(&report.series),
        minute: text::minute(report.minute),
        columns: COLUMNS,
        rows: windows
            .map(|(place, cells)| WindowRow {
                cells,
                is_chosen: report.chosen == Some(place),
            })
            .collect(),
        attributions: rows(&report.attributions),
        charts: charts(report),
    };
    page.render().expect("a String takes all text")
}

/// The incident is shaded where there is one, the minute is marked.
fn charts(report: &ExplainReport) -> String {
    let curves = chart_data(&report.fine, &report.coarse);
    if curves.is_empty() {
        return String::new();
    }
    let shade = report.onset.map_or(String::new(), |onset| {
        let last = |view: &ChartView| view.start + view.step_seconds * view.seen.len() as i64;
        let end = report.end.or(report.coarse.as_ref().map(last));
        format!("\"onset\":{onset},\"end\":{},", end.unwrap_or(onset))
    });
    format!("{{{shade}\"decided\":{}{curves}}}", report.minute)
}
