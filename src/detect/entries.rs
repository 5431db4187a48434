//! How counts come into the engine's state: in time, and late.
//!
//! A late count repairs what is kept and learned; it re-opens no decision.

use super::attribution::{Keeper, Share};
use super::clock::Clock;
use super::days::{HOURS, TOTAL};
use super::engine::{Engine, Scratch, State};
use super::open_minutes::MinuteRows;
use super::settings::DetectSettings;
use super::verdict::Context;
use crate::model::Minute;

impl Engine {
    /// Applies what waits for minutes that are closed: exact everywhere, but no decision changes.
    pub(super) fn apply_late(&mut self) {
        let state = &mut self.state;
        while let Some(minute) = state.waiting.first_late() {
            let counts = &mut state.counts;
            let reach = |clock: &Clock| clock.minute(state.window.first());
            let Some(clock) = state.clock.filter(|clock| minute >= reach(clock).0) else {
                state.waiting.drop_late(minute, &mut state.values, |row| {
                    counts.drop_correction(row.count);
                });
                continue;
            };
            let taken =
                state
                    .waiting
                    .take_late(minute, &mut state.registry, &mut state.values, |row| {
                        counts.refuse(row.count)
                    });
            let Some(taken) = taken else { continue };
            self.scratch.active.clear();
            let mut shares = Vec::new();
            let t = clock.bucket(Minute(minute));
            let settings = &self.settings;
            state.enter(
                t,
                Minute(minute),
                &taken,
                settings,
                &mut self.scratch,
                &mut shares,
            );
            state.waiting.give_back(taken);
            state.window.patch(t, &self.scratch.active);
            state.recent.patch(t, &shares);
            state.incidents.absorb_late(&shares, t);
            state.counts.corrections += self.scratch.active.len() as u64;
            let ctx = Context::silent(&self.tuning, clock.base_hour());
            let before = state.t.saturating_sub(1);
            state.calendars.speak_of(before, &clock, settings);
            for (id, count) in &self.scratch.active {
                let ctx = state.calendars.context(*id, &ctx, settings);
                state.correct(*id, t, *count, &ctx);
            }
        }
    }
}

impl State {
    /// Enters rows, in order of id, of bucket `t` into the days and appends to `active` and
    /// `shares`; series that are new get their state.
    pub(super) fn enter(
        &mut self,
        t: u32,
        minute: Minute,
        taken: &MinuteRows,
        settings: &DetectSettings,
        scratch: &mut Scratch,
        shares: &mut Vec<Share>,
    ) {
        let day = minute.day();
        let hour_bit = 1 << (minute.hour() % 24);
        for rows in taken.rows.chunk_by(|a, b| a.series == b.series) {
            let id = rows[0].series;
            if !self.series.holds(id) {
                self.series.admit(id, self.template.clone());
                self.wheel.admit(id);
                self.calendars.admit(id, &self.registry, settings);
                self.window.admit(id);
                self.days.admit(id);
                self.places
                    .admit(id, self.registry.key(id), &settings.budgets);
            }
            self.series.note(id, t);
            let count = rows.iter().map(|row| row.count).sum();
            self.days.add(id, day, TOTAL, count);
            self.days.add(id, day, HOURS, hour_bit);
            scratch.active.push((id, count));
            scratch.deltas.clear();
            for row in rows {
                let range = row.deltas.0 as usize..row.deltas.1 as usize;
                scratch.deltas.extend_from_slice(&taken.deltas[range]);
            }
            let mut keeper = Keeper {
                days: &mut self.days,
                values: &mut self.values,
                values_max: settings.values_max,
            };
            let excess = keeper.keep(id, day, &mut scratch.deltas, shares);
            self.counts.values_excess += excess;
        }
    }

    /// Adds a late count to what a series learned, as if it had been looked at all the time.
    fn correct(&mut self, id: u32, t: u32, count: u64, ctx: &Context<'_>) {
        let series = self.series.get_mut(id);
        if let Some(episode) = series.skip_to(self.t, ctx)
            && self.ledger.close(id, &episode)
        {
            self.fleet.add(episode, self.places.of(id));
        }
        series.correct(t, count, ctx);
        self.wheel.set(id, series.next_visit(ctx), self.t - 1);
    }

    /// Builds what a snapshot leaves out.
    pub(super) fn rebuild(&mut self, settings: &DetectSettings) {
        self.registry.rebuild();
        self.places.rebuild(&self.registry, &settings.budgets);
        self.calendars.rebuild(&self.registry, settings);
        self.waiting.rebuild();
        self.wheel.rebuild();
    }
}
