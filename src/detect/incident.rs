//! From a stream of scores to incidents that start, go on and end (6.6).
//!
//! At most one incident is open. While it is, nothing is learned; it ends after five calm buckets
//! or, after a day, as the new normal. It knows nothing of how a score comes about.

use serde::{Deserialize, Serialize};

use crate::model::{Direction, EndReason, IncidentKind};

use super::invariants::require;
use super::settings::Tuning;

/// Closed incidents remembered for late counts; older ones lie beyond any lateness that is
/// accepted unless a series flaps.
const PAST_MAX: usize = 8;

/// An incident that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The bucket whose close brought the Start.
    pub started: u32,
    /// First unusual bucket.
    pub onset: u32,
    pub direction: Direction,
    pub kind: IncidentKind,
    /// Calm buckets in a row, and the first of them.
    calm: u8,
    calm_from: u32,
    /// Somebody says that it is how things are.
    is_accepted: bool,
}

/// First bucket, and the first bucket after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    from: u32,
    to: u32,
}

/// What a series remembers of its incidents: nothing, for most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Incidents(Option<Box<Record>>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    open: Option<Open>,
    /// End and direction of the last incident that ended calmly.
    last_calm_end: Option<(u32, Direction)>,
    /// A new normal was declared: the series begins anew at the next hour.
    begins_anew: bool,
    past: Vec<Span>,
}

impl Incidents {
    pub fn open(&self) -> Option<&Open> {
        self.0.as_ref()?.open.as_ref()
    }

    /// Whether a new normal was declared and its life has not begun.
    pub fn begins_anew(&self) -> bool {
        self.0.as_ref().is_some_and(|record| record.begins_anew)
    }

    /// The same, and it begins.
    pub fn take_new_beginning(&mut self) -> bool {
        self.0
            .as_mut()
            .is_some_and(|record| std::mem::take(&mut record.begins_anew))
    }

    /// Whether an incident that starts at `t` continues the one before.
    pub fn would_continue(&self, t: u32, direction: Direction, tuning: &Tuning) -> bool {
        let last = self.0.as_ref().and_then(|record| record.last_calm_end);
        last.is_some_and(|(end, before)| {
            before == direction && t.saturating_sub(end) <= tuning.continue_within
        })
    }

    /// Opens an incident; whether it continues the one before.
    pub fn start(
        &mut self,
        t: u32,
        onset: u32,
        (direction, kind): (Direction, IncidentKind),
        tuning: &Tuning,
    ) -> bool {
        let continues = self.would_continue(t, direction, tuning);
        let record = self.0.get_or_insert_default();
        assert!(record.open.is_none(), "one incident at a time, at {t}");
        record.open = Some(Open {
            started: t,
            onset,
            direction,
            kind,
            calm: 0,
            calm_from: 0,
            is_accepted: false,
        });
        continues
    }

    /// Takes one bucket after the Start's; the onset, end and reason of an incident that ends.
    pub fn pass(
        &mut self,
        t: u32,
        is_calm: bool,
        tuning: &Tuning,
    ) -> Option<(u32, u32, EndReason)> {
        let open = self.0.as_mut()?.open.as_mut()?;
        if is_calm {
            if open.calm == 0 {
                open.calm_from = t;
            }
            open.calm += 1;
        } else {
            open.calm = 0;
        }
        let is_over = u32::from(open.calm) >= tuning.calm_count;
        let calm_from = is_over.then_some(open.calm_from);
        self.end(t, calm_from, tuning)
    }

    /// Ends the open incident if it is calm from some bucket on, or has lasted for a day.
    pub fn end(
        &mut self,
        t: u32,
        calm_from: Option<u32>,
        tuning: &Tuning,
    ) -> Option<(u32, u32, EndReason)> {
        let record = self.0.as_mut()?;
        let open = record.open?;
        let ended = if let Some(calm_from) = calm_from {
            record.last_calm_end = Some((calm_from, open.direction));
            (open.onset, calm_from, EndReason::Calm)
        } else if open.is_accepted || t - open.started >= tuning.new_normal {
            record.begins_anew = true;
            (open.onset, t + 1, EndReason::NewNormal)
        } else {
            return None;
        };
        record.open = None;
        record.remember(Span {
            from: ended.0,
            to: ended.1,
        });
        Some(ended)
    }

    /// Takes what is as the new normal: an open incident ends with its next bucket, and the series
    /// begins anew at the hour after; without one, at the next.
    pub fn accept_as_normal(&mut self) {
        let record = self.0.get_or_insert_default();
        match &mut record.open {
            Some(open) => open.is_accepted = true,
            None => record.begins_anew = true,
        }
    }

    /// Ends an open incident before bucket `now` without a decision; nothing can continue it.
    pub fn abandon(&mut self, now: u32) {
        let Some(record) = self.0.as_mut() else {
            return;
        };
        record.last_calm_end = None;
        if let Some(open) = record.open.take() {
            record.remember(Span {
                from: open.onset,
                to: now,
            });
        }
    }

    /// Whether a bucket lies in an incident, open or closed.
    pub fn covers(&self, t: u32) -> bool {
        let Some(record) = &self.0 else { return false };
        record.open.is_some_and(|open| t >= open.onset)
            || record
                .past
                .iter()
                .any(|span| (span.from..span.to).contains(&t))
    }

    /// Forgets closed incidents that no late count can reach.
    pub fn forget_before(&mut self, t: u32) {
        if let Some(record) = &mut self.0 {
            record.past.retain(|span| span.to > t);
            if record.past.is_empty() && record.open.is_none() && !record.begins_anew {
                self.0 = None;
            }
        }
    }

    /// Checks the incidents of a series whose next bucket is `now`.
    pub fn check(&self, now: u32, tuning: &Tuning) -> Result<(), String> {
        let Some(record) = &self.0 else { return Ok(()) };
        if let Some(open) = &record.open {
            let is_near = open.onset <= open.started
                && open.started - open.onset < tuning.onset_window
                && open.started < now
                && now - 1 - open.started < tuning.new_normal;
            require(is_near, "open", "it began and started in the last day")?;
            let calm = u32::from(open.calm);
            let is_calm_from = calm == 0 || Some(open.calm_from) == now.checked_sub(calm);
            let calm_max = (now - 1 - open.started).min(tuning.calm_count - 1);
            require(
                is_calm_from && calm <= calm_max,
                "open",
                "it has been calm since the bucket it says",
            )?;
            require(
                !record.begins_anew,
                "begins_anew",
                "no life begins in an incident",
            )?;
        }
        let has_ended = record.last_calm_end.is_none_or(|(end, _)| end <= now);
        require(has_ended, "last_calm_end", "it is over")?;
        require(record.past.len() <= PAST_MAX, "past", "it is short")?;
        let mut past = record.past.iter();
        let are_past = past.all(|span| span.from < span.to && span.to <= now);
        require(are_past, "past", "its incidents are over")
    }

    pub fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |record| {
            size_of::<Record>() + record.past.capacity() * size_of::<Span>()
        })
    }
}

impl Record {
    fn remember(&mut self, span: Span) {
        if self.past.len() == PAST_MAX {
            self.past.remove(0);
        }
        if self.past.len() == self.past.capacity() {
            self.past.reserve_exact(1);
        }
        self.past.push(span);
    }
}
