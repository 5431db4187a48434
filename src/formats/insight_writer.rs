//! Writes an insight as CloudTrail does: one record a line, trail shape, version 1.09.
//!
//! The keys, their order and the averages are those of CloudTrail's own records (reference,
//! section 1). What we add stands behind them under one key, `insightd`, and can be left out.

use std::io::Write;

use super::number::{average, decimal};
use super::sentence::sentence;
use crate::model::{
    Attribution, AttributionValue, Dimension, Edge, EndReason, Innocent, InsightEvent, InsightType,
    SourceCategory,
};

/// What a record says of the engine that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordContext {
    pub engine_version: String,
    pub settings_hash: String,
    /// Whether the `insightd` object is written.
    pub include_extension: bool,
}

/// Appends the record as one line of JSON, newline included.
pub fn write_insight(event: &InsightEvent, context: &RecordContext, out: &mut Vec<u8>) {
    let mut record = Members::begin(out);
    record.text("eventVersion", "1.09");
    record.text("eventTime", &event.minute.to_string());
    record.text("awsRegion", &event.series.region);
    record.text("eventID", &event.event_id.to_string());
    record.text("eventType", "AwsCloudTrailInsight");
    record.text("recipientAccountId", &event.series.account);
    record.text("sharedEventID", &event.shared_event_id.to_string());
    write_details(event, record.key("insightDetails"));
    record.text("eventCategory", "Insight");
    if context.include_extension {
        write_extension(event, context, record.key("insightd"));
    }
    record.end();
    out.push(b'\n');
}

fn write_details(event: &InsightEvent, out: &mut Vec<u8>) {
    let series = &event.series;
    let mut details = Members::begin(out);
    details.text(
        "state",
        match event.edge {
            Edge::Start => "Start",
            Edge::End => "End",
        },
    );
    details.text("eventSource", &series.event_source);
    details.text("eventName", &series.event_name);
    details.text("insightType", series.insight_type.name());
    if series.insight_type == InsightType::ApiErrorRate {
        details.text("errorCode", &series.error_code);
    }
    details.text(
        "sourceEventCategory",
        match event.category {
            SourceCategory::Management => "Management",
            SourceCategory::Data => "Data",
        },
    );
    write_context(event, details.key("insightContext"));
    details.end();
}

fn write_context(event: &InsightEvent, out: &mut Vec<u8>) {
    let mut context = Members::begin(out);
    let mut statistics = Members::begin(context.key("statistics"));
    for (side, count, minutes) in [
        ("baseline", event.baseline_count, event.baseline_minutes),
        ("insight", event.insight_count, event.insight_minutes),
    ] {
        let mut inner = Members::begin(statistics.key(side));
        inner.number("average", &average(count, minutes));
        inner.end();
    }
    statistics.number("insightDuration", &event.insight_minutes.to_string());
    statistics.number("baselineDuration", &event.baseline_minutes.to_string());
    statistics.end();
    if !event.attributions.is_empty() {
        let out = context.key("attributions");
        write_list(&event.attributions, out, |attribution, out| {
            write_attribution(attribution, event, out);
        });
    }
    context.end();
}

fn write_attribution(attribution: &Attribution, event: &InsightEvent, out: &mut Vec<u8>) {
    let mut members = Members::begin(out);
    members.text(
        "attribute",
        match attribution.dimension {
            Dimension::UserIdentityArn => "userIdentityArn",
            Dimension::UserAgent => "userAgent",
            Dimension::ErrorCode => "errorCode",
            Dimension::ResourceArn => "resourceArn",
        },
    );
    for (side, values, minutes) in [
        ("insight", &attribution.insight, event.insight_minutes),
        ("baseline", &attribution.baseline, event.baseline_minutes),
    ] {
        write_list(values, members.key(side), |value, out| {
            write_value(value, minutes, out);
        });
    }
    members.end();
}

fn write_value(value: &AttributionValue, minutes: u32, out: &mut Vec<u8>) {
    let mut members = Members::begin(out);
    members.text("value", &value.value);
    members.number("average", &average(value.count, minutes));
    members.end();
}

/// What CloudTrail does not say; optional members are left out when there is nothing to say.
fn write_extension(event: &InsightEvent, context: &RecordContext, out: &mut Vec<u8>) {
    let why = &event.explanation;
    let mut members = Members::begin(out);
    members.text("sentence", &sentence(event));
    members.text("decidedAt", &event.decided_at.to_string());
    members.text("direction", event.direction.name());
    if let Some(reason) = event.reason {
        members.text("reason", reason_name(reason));
    }
    if let Some(former) = event.continues {
        members.text("continues", &former.to_string());
    }
    members.number("windowMinutes", &why.window_minutes.to_string());
    members.float("observed", Some(why.observed), 6);
    members.float("expected", Some(why.expected), 6);
    members.float("expectedLow", Some(why.expected_low), 6);
    members.float("expectedHigh", Some(why.expected_high), 6);
    members.float("surpriseRaw", Some(why.surprise_raw), 4);
    members.float("surprise", Some(why.surprise), 4);
    members.float("z", Some(why.z), 4);
    members.float("threshold", Some(why.z_threshold), 4);
    members.float("budgetPerWeek", why.budget_per_week, 6);
    if let Some(scope) = &why.budget_scope {
        members.text("budgetScope", scope);
    }
    members.float("expectedPerWeek", why.expected_per_week, 9);
    members.text("closest", innocent_name(why.closest));
    if let Some(count) = why.count_to_fire {
        members.number("countToFire", &count.to_string());
    }
    members.number(
        "attributionTruncated",
        &event.attribution_truncated.to_string(),
    );
    members.text("settingsHash", &context.settings_hash);
    members.text("version", &context.engine_version);
    members.end();
}

fn reason_name(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Calm => "calm",
        EndReason::NewNormal => "new_normal",
    }
}

fn innocent_name(innocent: Innocent) -> &'static str {
    match innocent {
        Innocent::Baseline => "baseline",
        Innocent::Shifted => "shifted",
        Innocent::SamePhase => "same_phase",
        Innocent::Precedent => "precedent",
    }
}

/// The members of an object that is being written.
struct Members<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Members<'o> {
    fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Members {
            out,
            is_first: true,
        }
    }

    fn end(self) {
        self.out.push(b'}');
    }

    /// Writes a key; the caller writes its value.
    fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        write!(self.out, "\"{name}\":").expect("a vector takes all that is written");
        self.out
    }

    fn text(&mut self, name: &str, text: &str) {
        let out = self.key(name);
        serde_json::to_writer(out, text).expect("a string is always JSON");
    }

    fn number(&mut self, name: &str, number: &str) {
        self.key(name).extend_from_slice(number.as_bytes());
    }

    /// A number that JSON can hold, else nothing.
    fn float(&mut self, name: &str, value: Option<f64>, decimals: usize) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.number(name, &decimal(value, decimals));
        }
    }
}

fn write_list<T>(items: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

#[cfg(test)]
#[path = "insight_tests.rs"]
mod tests;
