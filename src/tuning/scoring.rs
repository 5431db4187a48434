//! What insights are worth against labels: hits, misses and why, precision, recall, delay.
//!
//! The rules of the bench: a label is hit by the first Start decided from its start to three
//! minutes after its end; insights of one series less than two hours apart count once.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::{Edge, EventTime, InsightEvent, Minute, RollUp, SeriesKey, SeriesRef};

/// Minutes after an incident's end in which a Start still is a hit.
pub const GRACE_MINUTES: u32 = 3;
/// Minutes within which insights of one series count once.
pub const GAP_MINUTES: u32 = 120;

/// A known incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub series: SeriesKey,
    pub start: Minute,
    /// Exclusive.
    pub end: Minute,
    pub kind: String,
}

/// What happened to a label.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelOutcome {
    pub label: Label,
    /// Decision minute of the Start that hit it.
    pub hit: Option<Minute>,
}

/// Hits and delays of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindScore {
    pub labels: u32,
    pub hits: u32,
    /// Minutes from a label's start to the end of the minute that was decided, smallest first.
    pub delays: Vec<u32>,
}

impl Label {
    /// Minutes in which a Start is a hit.
    pub fn hit_range(&self) -> Range<Minute> {
        self.start..Minute(self.end.0 + GRACE_MINUTES + 1)
    }
}

/// Parses labels, CSV as design and `insightd simulate` write them, with or without header.
pub fn parse_labels(text: &str) -> Result<Vec<Label>, String> {
    let mut labels = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with("account,region,") {
            continue;
        }
        labels.push(parse_label(line).map_err(|why| format!("line {}: {why}", index + 1))?);
    }
    Ok(labels)
}

fn parse_label(line: &str) -> Result<Label, String> {
    let mut parts = line.rsplitn(4, ',');
    let (kind, end, start, key) = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(kind), Some(end), Some(start), Some(key)) = (kind, end, start, key) else {
        return Err(
            "not account,region,event_source,event_name,insight_type,error_code,start,end,kind"
                .to_string(),
        );
    };
    let (start, end) = (parse_minute(start)?, parse_minute(end)?);
    if end <= start {
        return Err(format!("end {end} is not after start {start}"));
    }
    Ok(Label {
        series: SeriesKey::parse(key)?,
        start,
        end,
        kind: kind.to_string(),
    })
}

fn parse_minute(text: &str) -> Result<Minute, String> {
    let time = EventTime::parse(text);
    let time = time.ok_or_else(|| format!("`{text}` is not an RFC 3339 time"))?;
    Ok(time.minute())
}

/// What happened to each label, in their order.
pub fn outcomes(labels: &[Label], insights: &[InsightEvent]) -> Vec<LabelOutcome> {
    let mut by_series: BTreeMap<&SeriesKey, Vec<Minute>> = BTreeMap::new();
    for event in insights.iter().filter(|event| event.edge == Edge::Start) {
        by_series
            .entry(&event.series)
            .or_default()
            .push(event.decided_at);
    }
    let outcome = |label: &Label| LabelOutcome {
        label: label.clone(),
        hit: by_series.get(&label.series).and_then(|starts| {
            let range = label.hit_range();
            starts.iter().copied().find(|start| range.contains(start))
        }),
    };
    labels.iter().map(outcome).collect()
}

/// Scores by kind, in the order of the kinds' names.
pub fn by_kind(outcomes: &[LabelOutcome]) -> BTreeMap<String, KindScore> {
    let mut scores: BTreeMap<String, KindScore> = BTreeMap::new();
    for outcome in outcomes {
        let score = scores.entry(outcome.label.kind.clone()).or_default();
        score.add(outcome);
    }
    scores
}

impl KindScore {
    /// Takes one more label in.
    pub fn add(&mut self, outcome: &LabelOutcome) {
        self.labels += 1;
        if let Some(hit) = outcome.hit {
            self.hits += 1;
            let delay = hit.0 - outcome.label.start.0 + 1;
            let place = self.delays.partition_point(|other| *other <= delay);
            self.delays.insert(place, delay);
        }
    }

    /// Share of labels that were hit; `None` without labels.
    pub fn recall(&self) -> Option<f64> {
        (self.labels > 0).then(|| f64::from(self.hits) / f64::from(self.labels))
    }

    /// The delay that this share of hits does not exceed, in minutes.
    pub fn delay(&self, share: f64) -> Option<u32> {
        let last = self.delays.len().checked_sub(1)?;
        let place = (share * self.delays.len() as f64) as usize;
        Some(self.delays[place.min(last)])
    }
}

/// Insights of the `scored` minutes, those of one series less than two hours apart as one, in the
/// order in which they were decided.
pub fn separate(insights: &[InsightEvent], scored: &Range<Minute>) -> Vec<InsightEvent> {
    let mut last: BTreeMap<SeriesKey, Minute> = BTreeMap::new();
    let mut separate = Vec::new();
    for event in insights {
        let before = last.get(&event.series).copied();
        let is_new = before.is_none_or(|before| event.decided_at.0 > before.0 + GAP_MINUTES);
        if event.edge == Edge::Start && scored.contains(&event.decided_at) && is_new {
            separate.push(event.clone());
        }
        let until = match event.edge {
            Edge::Start => event.decided_at,
            Edge::End => event.minute,
        };
        let last = last.entry(event.series.clone()).or_insert(until);
        *last = until.max(*last);
    }
    separate
}

/// How many of `insights` lie in the hit range of a label of their series, or of one of those that
/// their roll-up adds up.
pub fn true_among(insights: &[InsightEvent], labels: &[Label]) -> usize {
    let mut by_series: BTreeMap<SeriesRef<'_>, Vec<Range<Minute>>> = BTreeMap::new();
    for label in labels {
        let series = label.series.as_ref();
        let roll_ups = RollUp::ALL.into_iter();
        let roll_ups = roll_ups.filter_map(|by| series.rolled_up(by));
        for of in std::iter::once(series).chain(roll_ups) {
            by_series.entry(of).or_default().push(label.hit_range());
        }
    }
    let is_true = |event: &&InsightEvent| {
        let ranges = by_series.get(&event.series.as_ref());
        ranges.is_some_and(|ranges| ranges.iter().any(|range| range.contains(&event.decided_at)))
    };
    insights.iter().filter(is_true).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An incident of an API is true of what it adds up to, and of no other series.
    #[test]
    fn a_label_is_true_of_the_roll_ups_of_its_series() {
        let series = |text: &str| format!("{text},ApiCallRateInsight,");
        let labels = [Label {
            series: SeriesKey::parse(&series("1,r,s,n")).unwrap(),
            start: Minute(100),
            end: Minute(110),
            kind: "surge".to_string(),
        }];
        for (key, decided_at, is_true) in [
            ("1,r,s,n", 105, true),
            ("1,r,s,*", 105, true),
            ("1,*,*,*", 105, true),
            ("1,r,s,*", 150, false),
            ("1,q,s,*", 105, false),
            ("2,*,*,*", 105, false),
            ("1,r,s,other", 105, false),
        ] {
            let event = InsightEvent::sample(&series(key), Edge::Start, decided_at, decided_at);
            assert_eq!(true_among(&[event], &labels), usize::from(is_true), "{key}");
        }
    }
}
