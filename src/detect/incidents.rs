//! Open incidents and the records of their two ends.
//!
//! A Start fixes the baseline; from then on the incident's attribution counts add up bucket by
//! bucket, and the End gives the calm tail back. All counts are exact and of the same minutes as
//! the averages beside them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::attribution::{Recent, Share, Side, Sums, attributions};
use super::clock::Clock;
use super::days::{Days, HOURS, TOTAL};
use super::fleet_hours::FleetHours;
use super::output::{event_id, shared_event_id};
use super::places::Places;
use super::registry::Registry;
use super::strings::Strings;
use super::verdict::Change;
use super::window::Window;
use crate::model::{Direction, Edge, EndReason, Explanation, IncidentKind, InsightEvent, Minute};

mod check;

/// Whole days before the day of the onset that a baseline covers.
const BASELINE_DAYS: u32 = 7;

/// Incidents by series id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Incidents {
    open: BTreeMap<u32, OpenIncident>,
    /// Identifier of the last pair that ended, with its end; kept as long as one may follow it.
    ended: BTreeMap<u32, (u128, u32)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OpenIncident {
    /// Bucket of the first unusual minute.
    onset: u32,
    /// Bucket whose close brought the Start.
    started: u32,
    direction: Direction,
    shared_event_id: u128,
    continues: Option<u128>,
    baseline_count: u64,
    baseline_minutes: u32,
    baseline: Side,
    /// Attribution counts since the onset, bucket by bucket.
    sums: Sums,
    explanation: Explanation,
}

/// What an insight is made from.
pub struct Sources<'a> {
    pub clock: &'a Clock,
    pub registry: &'a Registry,
    pub window: &'a Window,
    pub days: &'a Days,
    pub values: &'a Strings,
    pub recent: &'a Recent,
    pub fleet: &'a FleetHours,
    pub places: &'a Places,
}

impl Incidents {
    /// Number of open incidents.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_open(&self, id: u32) -> bool {
        self.open.contains_key(&id)
    }

    /// Forgets the open incidents and those that could be continued; ids of the open ones.
    pub fn abandon(&mut self) -> Vec<u32> {
        self.ended.clear();
        std::mem::take(&mut self.open).into_keys().collect()
    }

    /// Adds the shares of bucket `t`, just closed, to the open incidents.
    pub fn absorb(&mut self, recent: &Recent, t: u32) {
        for (id, incident) in &mut self.open {
            recent.add_to(&mut incident.sums, *id, t, t + 1);
        }
    }

    /// Adds late shares of bucket `t` to the incidents it lies in.
    pub fn absorb_late(&mut self, shares: &[Share], t: u32) {
        for share in shares {
            if let Some(incident) = self.open.get_mut(&share.id).filter(|one| one.onset <= t) {
                *incident.sums.entry(share.value).or_default() += share.count;
            }
        }
    }

    /// Forgets pairs that ended before bucket `before`.
    pub fn forget_ended(&mut self, before: u32) {
        self.ended.retain(|_, (_, end)| *end >= before);
    }

    /// The record of a change that bucket `t` brought to a series.
    pub fn decide(
        &mut self,
        id: u32,
        t: u32,
        change: Change,
        sources: &Sources<'_>,
    ) -> InsightEvent {
        match change {
            Change::Start {
                onset,
                direction,
                explanation,
                continues,
            } => {
                let former = self.ended.get(&id).filter(|_| continues).map(|pair| pair.0);
                let incident =
                    OpenIncident::new(id, t, (onset, direction), former, explanation, sources);
                let record = incident.record(id, t, (t + 1, None), sources);
                assert!(
                    self.open.insert(id, incident).is_none(),
                    "series {id} has one open incident at most"
                );
                record
            }
            Change::End { end, reason } => {
                let incident = self.open.remove(&id);
                let mut incident = incident.expect("an incident ends once, after it started");
                sources
                    .recent
                    .subtract_from(&mut incident.sums, id, end, t + 1);
                self.ended.insert(id, (incident.shared_event_id, end));
                incident.record(id, t, (end, Some(reason)), sources)
            }
        }
    }
}

impl OpenIncident {
    fn new(
        id: u32,
        t: u32,
        (onset, direction): (u32, Direction),
        continues: Option<u128>,
        mut explanation: Explanation,
        sources: &Sources<'_>,
    ) -> Self {
        let key = sources.registry.key(id);
        let decided_at = sources.clock.minute(t);
        let place = sources.places.of(id);
        let class = place.class_of(explanation.kind, direction);
        let threshold = sources.fleet.threshold(class);
        explanation.budget_per_week = threshold.map(|one| one.budget_per_week);
        explanation.budget_scope = sources.fleet.scope_name(class).map(Into::into);
        // Of missed calls no more are told than the budget's share pays for.
        let fitted = threshold.filter(|_| explanation.kind != IncidentKind::Missed);
        explanation.expected_per_week = fitted.map(|one| one.expected_per_week(explanation.z));
        let mut sums = Sums::new();
        sources.recent.add_to(&mut sums, id, onset, t + 1);
        let (baseline_count, baseline_sums) = baseline(id, onset, t, sources);
        let onset_minute = sources.clock.minute(onset);
        OpenIncident {
            onset,
            started: t,
            direction,
            shared_event_id: shared_event_id(key, direction, decided_at).as_u128(),
            continues,
            baseline_count,
            baseline_minutes: BASELINE_DAYS * Minute::PER_DAY + onset_minute.0 % Minute::PER_DAY,
            baseline: Side::new(&baseline_sums, sources.values),
            sums,
            explanation,
        }
    }

    /// The Start, or with a reason the End, over the buckets from the onset to `end`.
    fn record(
        &self,
        id: u32,
        t: u32,
        (end, reason): (u32, Option<EndReason>),
        sources: &Sources<'_>,
    ) -> InsightEvent {
        let clock = sources.clock;
        let edge = reason.map_or(Edge::Start, |_| Edge::End);
        let shared_event_id = Uuid::from_u128(self.shared_event_id);
        let insight = Side::new(&self.sums, sources.values);
        InsightEvent {
            series: sources.registry.key(id).to_key(),
            category: sources.registry.category(id),
            edge,
            direction: self.direction,
            shared_event_id,
            event_id: event_id(shared_event_id, edge),
            minute: match edge {
                Edge::Start => clock.minute(self.onset),
                Edge::End => clock.minute(end),
            },
            decided_at: clock.minute(t),
            start_decided_at: clock.minute(self.started),
            baseline_count: self.baseline_count,
            baseline_minutes: self.baseline_minutes,
            insight_count: count_over(id, self.onset, end, sources.window),
            insight_minutes: (end - self.onset) * clock.width(),
            attribution_truncated: self.baseline.excess + insight.excess,
            attributions: attributions(insight, &self.baseline),
            continues: self.continues.map(Uuid::from_u128),
            reason,
            explanation: self.explanation.clone(),
        }
    }
}

/// Count and attribution counts from the midnight seven days before the onset's day to the onset:
/// whole days, less what the onset's day counted from the onset on.
fn baseline(id: u32, onset: u32, t: u32, sources: &Sources<'_>) -> (u64, Sums) {
    let clock = sources.clock;
    let day = clock.minute(onset).day();
    let mut sums = Sums::new();
    for day in day.saturating_sub(BASELINE_DAYS)..=day {
        sources.days.for_each_value(id, day, |value, count| {
            *sums.entry(value).or_default() += count;
        });
    }
    let mut end = t + 1;
    while end > onset && clock.minute(end - 1).day() > day {
        end -= 1;
    }
    sources.recent.subtract_from(&mut sums, id, onset, end);
    sums.remove(&HOURS);
    let total = sums.remove(&TOTAL).unwrap_or(0);
    (total - count_over(id, onset, end, sources.window), sums)
}

fn count_over(id: u32, from: u32, to: u32, window: &Window) -> u64 {
    (from..to).map(|t| window.count(id, i64::from(t))).sum()
}
