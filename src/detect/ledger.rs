//! Insights of the last weeks, so that a person can confirm one and the fleet forgets its episode.
//!
//! True incidents are no part of what chance does: a fleet that counts them is too timid. What was
//! confirmed leaves the fleet's memory as if it had never been; no decision that was made changes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::engine::Engine;
use super::invariants::{Frame, require};
use super::recalibration::Peak;
use super::verdict::EpisodeEnd;
use crate::model::{Direction, Edge, IncidentKind, InsightEvent, Minute};

/// Insights that are remembered; the oldest make room.
const INSIGHTS_MAX: usize = 10_000;
/// Hours after which a fleet has all but forgotten an episode: four times its half-life.
const KEPT_HOURS: u32 = 28 * 24;

/// What became of a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// So many episodes are, or will be, left out of the fit.
    Forgotten(u32),
    /// It was confirmed before, or was no episode.
    Nothing,
    /// It is none of the last four weeks.
    Unknown,
}

/// Insights by series id, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger(BTreeMap<u32, Vec<Past>>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Past {
    shared_event_id: u128,
    direction: Direction,
    peak: Peak,
    /// First unusual minute, and the first after; none while it is open.
    from: u32,
    to: Option<u32>,
    /// First minute after the one whose close brought the End, or in which it was abandoned.
    over: Option<u32>,
    /// Hour of the Start since the engine's first bucket.
    hour: u32,
    is_of_minutes: bool,
    fate: Fate,
}

/// An insight as feedback finds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PastInsight {
    /// Of the series.
    pub id: u32,
    pub direction: Direction,
    /// What the Start was decided by.
    pub peak: Peak,
    /// First unusual minute, and the first after the decision that it is over; none while it is
    /// open.
    pub from: Minute,
    pub over: Option<Minute>,
    /// It is of minutes, and so can excuse others of its like.
    pub is_of_minutes: bool,
}

/// What became of the episode that an insight is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Fate {
    /// It goes on.
    Running,
    Counted(EpisodeEnd),
    /// It is not counted, or not any more.
    LeftOut,
    /// It goes on and will not be counted.
    ToLeaveOut,
}

impl Ledger {
    /// Notes a Start or an End that a bucket of `hour` brought.
    pub fn note(&mut self, id: u32, hour: u32, event: &InsightEvent, bucket_minutes: u32) {
        if event.edge == Edge::End {
            let past = self.0.get_mut(&id).and_then(|own| own.last_mut());
            if let Some(past) = past {
                past.to = Some(event.minute.0);
                past.over = Some(event.decided_at.0 + bucket_minutes);
            }
            return;
        }
        if self.len() >= INSIGHTS_MAX {
            self.forget_oldest();
        }
        self.0.entry(id).or_default().push(Past {
            shared_event_id: event.shared_event_id.as_u128(),
            direction: event.direction,
            peak: Peak::of_start(event, bucket_minutes),
            from: event.minute.0,
            to: None,
            over: None,
            hour,
            is_of_minutes: event.explanation.kind == IncidentKind::Minutes,
            // Missed calls are no part of an episode.
            fate: match event.explanation.kind {
                IncidentKind::Missed => Fate::LeftOut,
                IncidentKind::Minutes | IncidentKind::Hours => Fate::Running,
            },
        });
    }

    /// Notes the end of an episode; whether it counts.
    pub fn close(&mut self, id: u32, episode: &EpisodeEnd) -> bool {
        let Some(own) = self.0.get_mut(&id) else {
            return true;
        };
        let begun = episode.hour.saturating_sub(u32::from(episode.hours));
        let mut counts = true;
        for past in own.iter_mut() {
            let is_part = (begun..episode.hour).contains(&past.hour);
            past.fate = match past.fate {
                Fate::Running if is_part => Fate::Counted(*episode),
                Fate::ToLeaveOut if is_part => {
                    counts = false;
                    Fate::LeftOut
                }
                Fate::Running | Fate::ToLeaveOut if past.hour < begun => Fate::LeftOut,
                other => other,
            };
        }
        if !counts {
            own.iter_mut()
                .filter(|past| past.fate == Fate::Counted(*episode))
                .for_each(|past| past.fate = Fate::LeftOut);
        }
        counts
    }

    /// Ends what is open at `minute` without a decision.
    pub fn abandon(&mut self, minute: u32) {
        for past in self.0.values_mut().flatten() {
            past.to.get_or_insert(minute.max(past.from));
            past.over.get_or_insert(minute.max(past.from));
        }
    }

    /// Forgets a series.
    pub fn forget(&mut self, id: u32) {
        self.0.remove(&id);
    }

    /// Forgets insights that no fit remembers in `hour`.
    pub fn forget_old(&mut self, hour: u32) {
        let first = hour.saturating_sub(KEPT_HOURS);
        self.0.retain(|_, own| {
            own.retain(|past| past.hour >= first || past.to.is_none());
            !own.is_empty()
        });
    }

    /// Confirms an insight; an episode to take back is added to `counted`. How many are left out
    /// now or later; `None` if it is not known.
    fn confirm(
        &mut self,
        shared_event_id: u128,
        counted: &mut Vec<(u32, EpisodeEnd)>,
    ) -> Option<u32> {
        let mut found = None;
        for (id, own) in &mut self.0 {
            for at in 0..own.len() {
                if own[at].shared_event_id != shared_event_id {
                    continue;
                }
                let found = found.get_or_insert(0);
                match own[at].fate {
                    Fate::Running => {
                        *found += 1;
                        own[at].fate = Fate::ToLeaveOut;
                    }
                    Fate::Counted(episode) => {
                        *found += 1;
                        counted.push((*id, episode));
                        own.iter_mut()
                            .filter(|past| past.fate == Fate::Counted(episode))
                            .for_each(|past| past.fate = Fate::LeftOut);
                    }
                    Fate::LeftOut | Fate::ToLeaveOut => {}
                }
            }
        }
        found
    }

    /// What is known of insights by these identifiers.
    pub fn find(&self, wanted: &BTreeSet<u128>) -> BTreeMap<u128, PastInsight> {
        let mut found = BTreeMap::new();
        for (id, own) in &self.0 {
            for past in own
                .iter()
                .filter(|past| wanted.contains(&past.shared_event_id))
            {
                found.insert(
                    past.shared_event_id,
                    PastInsight {
                        id: *id,
                        direction: past.direction,
                        peak: past.peak,
                        from: Minute(past.from),
                        over: past.over.map(Minute),
                        is_of_minutes: past.is_of_minutes,
                    },
                );
            }
        }
        found
    }

    fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn forget_oldest(&mut self) {
        let first = self.0.iter().filter_map(|(id, own)| {
            let closed = own.first().filter(|past| past.to.is_some())?;
            Some((closed.hour, *id))
        });
        if let Some((_, id)) = first.min() {
            let own = self.0.get_mut(&id).expect("it was just seen");
            own.remove(0);
            if own.is_empty() {
                self.0.remove(&id);
            }
        }
    }

    /// Checks what was read.
    pub fn check(&self, frame: &Frame<'_>) -> Result<(), String> {
        let hour = frame.t / frame.tuning.hour;
        for (id, own) in &self.0 {
            require(frame.is_live(*id), "id", "it is that of a series")?;
            let are_past = own.iter().all(|past| {
                let is_over = past.to.is_none_or(|to| to >= past.from)
                    && past.over.is_none_or(|over| over >= past.from)
                    && past.over.is_some() == past.to.is_some();
                let has_ended = match past.fate {
                    Fate::Counted(episode) => episode.hour <= hour && episode.is_sound(),
                    _ => true,
                };
                past.hour <= hour && is_over && has_ended && past.peak.is_sound()
            });
            require(are_past, "insights", "they are of the past")?;
            let are_open = own.iter().rev().skip(1).all(|past| past.to.is_some());
            require(are_open, "insights", "the last one may be open")?;
        }
        let open = self.0.values().flatten().filter(|past| past.to.is_none());
        let is_few = self.len() <= INSIGHTS_MAX + open.count();
        require(is_few, "insights", "they are few")
    }
}

impl Engine {
    /// Takes the word of a person that an insight of the past was a true incident: the fleet's fit
    /// forgets it as if it had never been, from the report of the running hour on.
    pub fn confirm(&mut self, shared_event_id: Uuid) -> Confirmed {
        let state = &mut self.state;
        let mut counted = Vec::new();
        let found = state
            .ledger
            .confirm(shared_event_id.as_u128(), &mut counted);
        for (id, episode) in counted {
            state.fleet.take_back(episode, state.places.of(id));
        }
        match found {
            None => Confirmed::Unknown,
            Some(0) => Confirmed::Nothing,
            Some(episodes) => Confirmed::Forgotten(episodes),
        }
    }
}
