//! Two settings on the same logs: insights gained, lost and moved, each with its reason.
//!
//! Insights of one series and direction that overlap in time are one on both sides: the same when
//! onset, decision and end are equal, else moved. The reason for one that a side does not have is
//! what that side thought of the series then.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::formats::sentence;
use crate::model::{
    Direction, Edge, IncidentKind, InsightEvent, Minute, ScoreRow, ScoreState, SeriesKey,
};

use super::sweep::SettingRun;

/// Minutes before and after a decision in which the other side is asked.
pub const ASKED_BEFORE: u32 = 60;
pub const ASKED_AFTER: u32 = 5;

/// Which side has an insight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Only the second settings say it.
    Gained,
    /// Only the first settings say it.
    Lost,
    /// Both do, at other times.
    Moved,
}

impl Mark {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Mark::Gained => "gained",
            Mark::Lost => "lost",
            Mark::Moved => "moved",
        }
    }
}

/// A Start with its End, if that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub start: InsightEvent,
    pub end: Option<Minute>,
}

/// A difference; `first` is what the first settings say, `second` the second.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub mark: Mark,
    pub first: Option<Pair>,
    pub second: Option<Pair>,
}

/// What a report says of two settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DiffReport {
    pub engine_version: String,
    /// Names and hashes of the settings.
    pub first: DiffSide,
    pub second: DiffSide,
    /// Insights that both have at the same times.
    pub same: u64,
    pub differences: Vec<DifferenceView>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DiffSide {
    pub name: String,
    pub settings_hash: String,
    pub insights: u64,
    pub series: u64,
}

/// One difference in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DifferenceView {
    pub mark: Mark,
    pub series: String,
    pub direction: String,
    /// Of the side that has it; of the second where both have.
    pub start: String,
    pub end: Option<String>,
    pub decided_at: String,
    pub shared_event_id: String,
    pub sentence: String,
    pub reason: String,
}

/// Starts with their Ends, in the order of the Starts.
pub fn pairs(insights: &[InsightEvent]) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut places = BTreeMap::new();
    for event in insights {
        match event.edge {
            Edge::Start => {
                places.insert(event.shared_event_id, pairs.len());
                pairs.push(Pair {
                    start: event.clone(),
                    end: None,
                });
            }
            Edge::End => {
                if let Some(place) = places.get(&event.shared_event_id) {
                    pairs[*place].end = Some(event.minute);
                }
            }
        }
    }
    pairs
}

/// How many pairs are the same, and the differences in the order in which they were decided.
pub fn differences(first: &[InsightEvent], second: &[InsightEvent]) -> (u64, Vec<Difference>) {
    let (first, second) = (pairs(first), pairs(second));
    let mut of_series: BTreeMap<(&SeriesKey, Direction), Vec<usize>> = BTreeMap::new();
    for (place, pair) in first.iter().enumerate() {
        let key = (&pair.start.series, pair.start.direction);
        of_series.entry(key).or_default().push(place);
    }
    let mut partner = vec![None; first.len()];
    let (mut same, mut differences) = (0, Vec::new());
    for pair in &second {
        let key = (&pair.start.series, pair.start.direction);
        let candidates = of_series.get(&key).into_iter().flatten().copied();
        let free = candidates.filter(|place| partner[*place].is_none());
        let closest = free
            .filter(|place| first[*place].overlaps(pair))
            .min_by_key(|place| first[*place].start.minute.0.abs_diff(pair.start.minute.0));
        match closest {
            Some(place) => {
                partner[place] = Some(());
                if first[place].is_same(pair) {
                    same += 1;
                } else {
                    differences.push(Difference {
                        mark: Mark::Moved,
                        first: Some(first[place].clone()),
                        second: Some(pair.clone()),
                    });
                }
            }
            None => differences.push(Difference {
                mark: Mark::Gained,
                first: None,
                second: Some(pair.clone()),
            }),
        }
    }
    let lost = first.into_iter().zip(partner);
    for (pair, _) in lost.filter(|(_, partner)| partner.is_none()) {
        differences.push(Difference {
            mark: Mark::Lost,
            first: Some(pair),
            second: None,
        });
    }
    differences.sort_by(|a, b| {
        let key = |one: &Difference| {
            let start = &one.pair().start;
            (start.decided_at, start.series.clone())
        };
        key(a).cmp(&key(b))
    });
    (same, differences)
}

impl Pair {
    fn overlaps(&self, other: &Pair) -> bool {
        let ends_after = |end: Option<Minute>, minute| end.is_none_or(|end| end > minute);
        ends_after(self.end, other.start.minute) && ends_after(other.end, self.start.minute)
    }

    fn is_same(&self, other: &Pair) -> bool {
        let times = |pair: &Pair| (pair.start.minute, pair.start.decided_at, pair.end);
        times(self) == times(other)
    }
}

impl Difference {
    /// The pair of the side that has it; the second's where both have.
    pub fn pair(&self) -> &Pair {
        let pair = self.second.as_ref().or(self.first.as_ref());
        pair.expect("a difference is of something")
    }

    /// The minutes in which the side that does not have it is asked.
    pub fn asked(&self) -> std::ops::Range<Minute> {
        let decided = self.pair().start.decided_at.0;
        Minute(decided.saturating_sub(ASKED_BEFORE))..Minute(decided + ASKED_AFTER)
    }

    /// The difference in words. `rows` are what the side that does not have it thought of the
    /// series in [`Self::asked`], `run` is that side's, `name` and `has` are the names of the side
    /// without it and with it.
    pub fn view(&self, reason: String) -> DifferenceView {
        let pair = self.pair();
        let start = &pair.start;
        DifferenceView {
            mark: self.mark,
            series: start.series.to_string(),
            direction: start.direction.name().to_string(),
            start: start.minute.to_string(),
            end: pair.end.map(|end| end.to_string()),
            decided_at: start.decided_at.to_string(),
            shared_event_id: start.shared_event_id.to_string(),
            sentence: sentence(start),
            reason,
        }
    }

    /// How far onset, decision and end moved.
    pub fn moves(&self) -> String {
        let (Some(first), Some(second)) = (&self.first, &self.second) else {
            return String::new();
        };
        let mut parts = Vec::new();
        let mut add = |what: &str, from: Minute, to: Minute| {
            let minutes = to.0.abs_diff(from.0);
            let side = if to < from { "earlier" } else { "later" };
            if minutes > 0 {
                parts.push(format!("{what} {minutes} min {side}"));
            }
        };
        add("onset", first.start.minute, second.start.minute);
        add("decided", first.start.decided_at, second.start.decided_at);
        match (first.end, second.end) {
            (Some(from), Some(to)) => add("end", from, to),
            (None, Some(_)) => parts.push("now ends in the input".to_string()),
            (Some(_), None) => parts.push("no longer ends in the input".to_string()),
            (None, None) => {}
        }
        parts.join(", ")
    }
}

/// Asks the side that does not have an insight why.
#[derive(Clone, Debug)]
pub struct WhyNot<'a> {
    /// The name of that side.
    pub name: &'a str,
    /// Whether its counts have the series at all.
    pub has_series: bool,
    /// What it thought of the series around the decision.
    pub rows: &'a [ScoreRow],
    pub run: &'a SettingRun,
    pub origin: Minute,
}

impl WhyNot<'_> {
    /// One line; `needed` and `z` are of the Start that the other side has.
    pub fn reason(&self, start: &InsightEvent) -> String {
        let name = self.name;
        if !self.has_series {
            return format!("{name} does not count this series");
        }
        let highest = self.rows.iter().max_by(|a, b| {
            let key = |row: &ScoreRow| (row.z, row.surprise);
            key(a).partial_cmp(&key(b)).expect("scores are numbers")
        });
        let Some(row) = highest else {
            return format!("{name} counted nothing there and found nothing surprising");
        };
        match row.state {
            ScoreState::Warmup => return format!("{name} was still in its warm-up there"),
            ScoreState::New => return format!("for {name} the series was new"),
            ScoreState::Up | ScoreState::Down => {
                return format!("for {name} another incident of the series was open");
            }
            ScoreState::None => {}
        }
        let series = start.series.as_ref();
        let needed = self
            .run
            .threshold_at(
                self.origin,
                start.decided_at,
                series,
                (start.explanation.kind, start.direction),
            )
            .map_or(f64::INFINITY, |threshold| threshold.z);
        let other = &start.explanation;
        if other.kind != IncidentKind::Minutes {
            return format!(
                "{name} needed {needed:.2} and did not find these hours that unusual; the other \
                 side scored {:.2} and needed {:.2}",
                other.z, other.z_threshold
            );
        }
        if row.z >= needed {
            return format!(
                "{name} scored {:.2} at {}, above its threshold of {needed:.2}, and took it for a \
                 weak case",
                row.z, row.minute
            );
        }
        format!(
            "{name} scored {:.2} at {} and needed {needed:.2}; the other side scored {:.2} and \
             needed {:.2}",
            row.z, row.minute, other.z, other.z_threshold
        )
    }
}
