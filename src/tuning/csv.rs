//! Reports as CSV: one row for each setting and rival, or for each difference.

use std::fmt::Write as _;

use super::diff::DiffReport;
use super::report::{KindView, TuneReport};

const HEADER: &str = "name,kind_of_row,budget_per_week,threshold,threshold_errors,insights,\
insights_per_week,insights_per_week_low,insights_per_week_high,unlabelled_per_week,precision,\
recall,mean_detection,incident_kind,incidents,found,delay_median,delay_90\n";

/// The report's figures: for each setting a row in all, then one for each kind of incident.
pub fn tune(report: &TuneReport) -> String {
    let mut text = HEADER.to_string();
    for setting in &report.settings {
        let (low, high) = setting.insights_per_week_90;
        let head = format!(
            "{},setting,{},{},{},{},{},{low},{high},{},{},{},{}",
            field(&setting.name),
            optional(setting.budget_per_week),
            optional(setting.threshold),
            optional(setting.threshold_errors),
            setting.insights,
            setting.insights_per_week,
            setting.unlabelled_per_week,
            optional(setting.precision),
            optional(setting.recall),
            optional(setting.mean_detection),
        );
        rows(&mut text, &head, &setting.kinds);
    }
    for rival in &report.rivals {
        let head = format!(
            "{},rival,,,,,{},,,,,{},{}",
            field(&rival.name),
            rival.alarms_per_week,
            optional(rival.recall),
            optional(rival.mean_detection),
        );
        rows(&mut text, &head, &rival.kinds);
    }
    text
}

/// One row for each difference.
pub fn diff(report: &DiffReport) -> String {
    let mut text =
        "mark,series,direction,start,end,decided_at,shared_event_id,reason\n".to_string();
    for one in &report.differences {
        let fields = [
            one.mark.name(),
            &one.series,
            &one.direction,
            &one.start,
            one.end.as_deref().unwrap_or_default(),
            &one.decided_at,
            &one.shared_event_id,
            &one.reason,
        ];
        let line: Vec<String> = fields.into_iter().map(field).collect();
        writeln!(text, "{}", line.join(",")).expect("a String takes all text");
    }
    text
}

fn rows(text: &mut String, head: &str, kinds: &[KindView]) {
    writeln!(text, "{head},,,,,").expect("a String takes all text");
    for kind in kinds {
        let line = format!(
            "{head},{},{},{},{},{}",
            field(&kind.kind),
            kind.incidents,
            kind.found,
            optional(kind.delay_median),
            optional(kind.delay_90)
        );
        writeln!(text, "{line}").expect("a String takes all text");
    }
}

fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

/// A field, quoted if it has to be (RFC 4180).
fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
    }
}
