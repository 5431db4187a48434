//! What people said of past insights, and when the engine heeds it.
//!
//! Feedback is heeded when an hour begins: the first from which on it is in force, its insight is
//! known and, where precedents are concerned, has been over for an hour, so that nothing of it is
//! still to be booked. Each is heeded once; what a snapshot holds of it is which were.

use std::collections::{BTreeMap, BTreeSet};

use super::clock::Clock;
use super::engine::Engine;
use super::ledger::PastInsight;
use super::verdict::Context;
use crate::model::{Feedback, Minute, Said};

impl Engine {
    /// Heeds what is due at the bucket that begins an hour.
    pub(super) fn heed(&mut self, clock: &Clock) {
        let t = self.state.t;
        let now = clock.minute(t);
        let is_due = |one: &&Feedback| one.from <= now && !self.state.told.contains(&one.id);
        let feedback = self.settings.feedback.clone();
        let due: Vec<&Feedback> = feedback.iter().filter(is_due).collect();
        if due.is_empty() {
            return;
        }
        let wanted: BTreeSet<u128> = due.iter().map(|one| one.insight).collect();
        let found: BTreeMap<u128, PastInsight> = self.state.ledger.find(&wanted);
        for one in due {
            let Some(past) = found.get(&one.insight) else {
                continue;
            };
            let is_booked = past.over.is_some_and(|over| {
                let last_hour = over.0.saturating_sub(1) / Minute::PER_HOUR;
                now.0 >= (last_hour + 2) * Minute::PER_HOUR
            });
            let waits = matches!(one.said, Said::True | Said::Expected { .. }) && !is_booked;
            if waits {
                continue;
            }
            self.heed_one(one, past, clock);
            self.state.told.insert(one.id);
        }
    }

    fn heed_one(&mut self, one: &Feedback, past: &PastInsight, clock: &Clock) {
        if one.said == Said::False {
            // It stays in the fit and a precedent, as it is.
            return;
        }
        if one.said == Said::True {
            self.confirm(uuid::Uuid::from_u128(one.insight));
        }
        let state = &mut self.state;
        let t = state.t;
        let ctx = Context::silent(&self.tuning, clock.base_hour());
        state
            .calendars
            .speak_of(t.saturating_sub(1), clock, &self.settings);
        let ctx = state.calendars.context(past.id, &ctx, &self.settings);
        let series = state.series.get_mut(past.id);
        if let Some(episode) = series.skip_to(t, &ctx)
            && state.ledger.close(past.id, &episode)
        {
            state.fleet.add(episode, state.places.of(past.id));
        }
        let bucket = |minute: Minute| clock.bucket(minute);
        let span = bucket(past.from)..past.over.map_or(t, bucket);
        match one.said {
            Said::True => series.forget_precedents(past.direction, span, &self.tuning),
            // What takes hours is excused by days that are alike, not by precedents.
            Said::Expected { .. } if !past.is_of_minutes => {}
            Said::Expected { until } => {
                let until = bucket(until.max(clock.minute(t)));
                series.expect_again(past, span, until, &self.tuning);
            }
            Said::NewNormal => series.accept_as_normal(),
            Said::False => {}
        }
        let next = series.next_visit(&ctx);
        state.wheel.set(past.id, next, t.saturating_sub(1));
    }
}
