//! Insights over time as Markdown: for a pull request, and readable on a terminal.

use std::fmt::Write as _;

use super::markdown::figure;
use super::page::text;
use super::timeline::{DirectionView, SeriesView, TimelineReport};

/// The report without its charts.
pub fn timeline(report: &TimelineReport) -> String {
    let mut out = String::new();
    let mut line = |text: &str| writeln!(out, "{text}").expect("a String takes all text");
    line(&format!("# {}\n", report.title));
    line(&format!(
        "* time: {} to {}",
        text::minute(report.first),
        text::minute(report.last)
    ));
    if let Some(end) = report.warm_up_end {
        line(&format!("* warm-up until {}", text::minute(end)));
    }
    for fact in &report.facts {
        line(&format!("* {}: {}", fact.name, fact.value));
    }
    if let Some(budget) = &report.budget {
        let (low, high) = budget.spent_per_week_90;
        line(&format!(
            "* budget: {} false insights a week; made: {} a week ({} to {}, 90 %), true ones \
             included, in {} weeks",
            figure(budget.requested_per_week),
            figure(budget.spent_per_week),
            figure(low),
            figure(high),
            figure(budget.weeks)
        ));
    }
    for note in &report.notes {
        line(&format!("* Note: {note}."));
    }
    line(&format!("\n## Insights: {}\n", report.insights.len()));
    if report.insights.is_empty() {
        return out;
    }
    line("| onset | lasted | direction | series | what |");
    line("|---|---|---|---|---|");
    for insight in &report.insights {
        let lasted = match insight.end {
            Some(end) => text::duration(end - insight.onset),
            None => "goes on".to_string(),
        };
        let direction = match insight.direction {
            DirectionView::Up => "up",
            DirectionView::Down => "down",
        };
        let sentence = insight.sentences.first().map_or("", String::as_str);
        line(&format!(
            "| {} | {lasted} | {direction} | {} | {} |",
            text::minute(insight.onset),
            cell(&key(&insight.series)),
            cell(sentence)
        ));
    }
    out
}

/// The key of a series.
pub fn key(series: &SeriesView) -> String {
    let parts = [
        &series.account,
        &series.region,
        &series.event_source,
        &series.event_name,
        &series.insight_type,
        &series.error_code,
    ];
    parts.map(String::as_str).join(",")
}

/// Text that breaks out of no cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
