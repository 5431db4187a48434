//! An insight of the engine as a report of insights over time has it.

use super::timeline::{AttributionView, DirectionView, Fact, SeriesView, TimelineInsight};
use crate::formats::sentence;
use crate::model::{Attribution, AttributionValue, Direction, InsightEvent, SeriesKey};
use crate::view::ExplainedPair;

/// What other entries of an insight say, or its list of attributions.
const SAID_ELSEWHERE: [&str; 6] = ["fired", "onset", "end", "windows", "by", "id"];

/// The insight without charts and without a mark.
pub fn timeline_insight(pair: &ExplainedPair) -> TimelineInsight {
    let start = &pair.start;
    // An End knows what came of all of the incident.
    let latest = pair.end.as_ref().unwrap_or(start);
    let facts = pair.facts().into_iter();
    let facts = facts.filter(|(name, _)| !SAID_ELSEWHERE.contains(name));
    TimelineInsight {
        id: start.shared_event_id.to_string(),
        series: series_view(&start.series),
        direction: match start.direction {
            Direction::Up => DirectionView::Up,
            Direction::Down => DirectionView::Down,
        },
        onset: start.minute.start().seconds(),
        end: pair.end.as_ref().map(|end| end.minute.start().seconds()),
        decided_at: start.decided_at.start().seconds(),
        sentences: [Some(start), pair.end.as_ref()]
            .into_iter()
            .flatten()
            .map(sentence)
            .collect(),
        facts: facts
            .map(|(name, value)| Fact {
                name: name.to_string(),
                value,
            })
            .collect(),
        attributions: attributions(latest),
        ..TimelineInsight::default()
    }
}

/// The parts of a key.
pub fn series_view(key: &SeriesKey) -> SeriesView {
    SeriesView {
        account: key.account.to_string(),
        region: key.region.to_string(),
        event_source: key.event_source.to_string(),
        event_name: key.event_name.to_string(),
        insight_type: key.insight_type.name().to_string(),
        error_code: key.error_code.to_string(),
    }
}

/// By dimension the values of the insight's minutes, then those that only the baseline has.
fn attributions(event: &InsightEvent) -> Vec<AttributionView> {
    let mut views = Vec::new();
    for attribution in &event.attributions {
        let Attribution {
            dimension,
            insight,
            baseline,
        } = attribution;
        let mut values: Vec<&str> = insight.iter().map(|one| &*one.value).collect();
        let others = baseline.iter().map(|one| &*one.value);
        values.extend(others.filter(|value| insight.iter().all(|one| *one.value != **value)));
        for value in values {
            views.push(AttributionView {
                dimension: dimension.name().to_string(),
                value: value.to_string(),
                insight_average: average(insight, value, event.insight_minutes),
                baseline_average: average(baseline, value, event.baseline_minutes),
            });
        }
    }
    views
}

fn average(values: &[AttributionValue], value: &str, minutes: u32) -> f64 {
    let of_value = values.iter().find(|one| *one.value == *value);
    of_value.map_or(0.0, |one| one.count as f64 / f64::from(minutes.max(1)))
}
