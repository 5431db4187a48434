//! What happens between minutes: hours that begin, series that are forgotten, ages that pass.
//!
//! Once an hour days and templates move on and long-silent series are forgotten. With no series
//! left, time passes at a stroke. Nothing here judges.

use super::clock::Clock;
use super::engine::{Engine, State};
use super::places::LiveSeries;
use super::score_rows::ScoreRows;
use super::series_state::SeriesState;
use super::series_table::FORGET_MINUTES;
use super::verdict::Context;
use crate::model::Minute;

/// Age in weeks beyond which a series that is silent since the origin changes no more: its
/// slowest memory halves every week and has 53 bits.
const SETTLED_WEEKS: u32 = 100;

impl Engine {
    /// What happens at the first bucket of an hour. Returns the clock, which may have moved.
    pub(super) fn begin_hour(&mut self, mut clock: Clock) -> Clock {
        let State { registry, .. } = &self.state;
        if registry.len() == 0 && self.state.t >= (SETTLED_WEEKS + 1) * 7 * self.tuning.day {
            clock = self.rebase(clock);
        }
        let state = &mut self.state;
        let t = state.t;
        let minute = clock.minute(t);
        let (days, values) = (&mut state.days, &mut state.values);
        days.open(minute.day(), |value| values.release(value / 8 - 1));
        let forgotten = &mut self.scratch.forgotten;
        forgotten.clear();
        let mut live = LiveSeries::new(self.settings.classes());
        let places = &state.places;
        state.series.sweep(t, clock.width(), forgotten, |id| {
            live.add(places.of(id));
        });
        forgotten.retain(|id| !state.incidents.is_open(*id));
        state.forget(forgotten, &mut self.scores);
        let rest = (state.days.keep() + 1) * self.tuning.day;
        state.registry.wake(t.saturating_sub(rest));
        state
            .incidents
            .forget_ended(t.saturating_sub(self.tuning.continue_within + 1));
        let ctx = Context::silent(&self.tuning, clock.base_hour());
        state.template.skip_to(t, &ctx);
        state.fleet.begin(t / self.tuning.hour, &live);
        state.ledger.forget_old(t / self.tuning.hour);
        let hour = clock.base_hour() + t / self.tuning.hour;
        self.watch.begin(hour, state.fleet.thresholds());
        clock
    }

    /// With no series left, passes at a stroke what would take long in steps. All that was ever
    /// counted has left the engine by then, so the state is the one that steps would lead to.
    pub(super) fn jump(&mut self, clock: Clock, to: Minute) -> bool {
        let state = &self.state;
        let margin = (state.days.keep() + 2) * self.tuning.day;
        assert!(
            margin > FORGET_MINUTES / clock.width(),
            "what is forgotten has no history"
        );
        let until = state.waiting.first().map_or(to.0, |first| first.min(to.0));
        let ahead = clock.bucket(Minute(until.max(clock.minute(state.t).0))) - state.t;
        let is_boundary = state.t.is_multiple_of(self.tuning.hour);
        if state.fleet.is_part() || !is_boundary || state.registry.len() > 0 || ahead <= 2 * margin
        {
            return false;
        }
        let target = (state.t + ahead - margin) / self.tuning.hour * self.tuning.hour;
        let state = &mut self.state;
        let (days, values) = (&mut state.days, &mut state.values);
        days.clear(clock.minute(target).day(), |value| {
            values.release(value / 8 - 1)
        });
        state.window.clear(target);
        state.recent.clear(target);
        state.registry.wake(u32::MAX);
        state.incidents.forget_ended(u32::MAX);
        state.fleet.jump(target / self.tuning.hour);
        state.t = target;
        if target < (SETTLED_WEEKS + 1) * 7 * self.tuning.day {
            let ctx = Context::silent(&self.tuning, clock.base_hour());
            state.template.skip_to(target, &ctx);
        }
        true
    }

    /// Moves bucket 0 forward by whole weeks, so that the age is [`SETTLED_WEEKS`] and a bit: a
    /// series silent since the origin is the same after any larger number of weeks.
    fn rebase(&mut self, mut clock: Clock) -> Clock {
        let state = &mut self.state;
        let week = 7 * self.tuning.day;
        let buckets = state.t / week * week - SETTLED_WEEKS * week;
        clock.rebase(buckets);
        state.clock = Some(clock);
        state.t -= buckets;
        state.window.rebase(buckets);
        state.recent.rebase(buckets);
        state.registry.rebase(buckets);
        state.incidents.forget_ended(u32::MAX);
        state.fleet.rebase(buckets / self.tuning.hour);
        let ctx = Context::silent(&self.tuning, clock.base_hour());
        state.template = SeriesState::silent();
        state.template.skip_to(state.t, &ctx);
        clock
    }
}

impl State {
    /// Forgets series: each is again one that is silent since the origin.
    fn forget(&mut self, ids: &[u32], scores: &mut ScoreRows) {
        if ids.is_empty() {
            return;
        }
        self.waiting.orphan(ids, &self.registry);
        for id in ids {
            self.registry.forget(*id, self.t);
            self.series.forget(*id);
            self.wheel.forget(*id);
            self.calendars.forget(*id);
            self.ledger.forget(*id);
            scores.forget(*id);
        }
        self.counts.forgotten += ids.len() as u64;
    }
}
