//! The detector of one partition: observe counts, advance time, get insights.
//!
//! Minutes close one by one. A closed minute is sealed into the window, entered into the days,
//! and judged for the series that counted in it and those whose time to be looked at has come;
//! nothing ever sweeps all series per minute. Nothing here depends on batch cuts, on the order of
//! entries or on series ids.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::attribution::Recent;
use super::budget::Class;
use super::calendars::Calendars;
use super::clock::Clock;
use super::days::Days;
use super::fleet_hours::FleetHours;
use super::history::SeriesHistory;
use super::incidents::{Incidents, Sources};
use super::ledger::Ledger;
use super::open_minutes::OpenMinutes;
use super::output::Output;
use super::places::Places;
use super::registry::Registry;
use super::score_rows::ScoreRows;
use super::series_state::SeriesState;
use super::series_table::SeriesTable;
use super::settings::{DetectSettings, HISTORY_MINUTES, Tuning};
use super::stats::EngineCounts;
use super::strings::Strings;
use super::verdict::{Change, Context};
use super::watch::Watch;
use super::watermark::Watermarks;
use super::wheel::Wheel;
use super::window::Window;
use crate::model::{LogRecord, Minute, Rates};

/// The detector.
#[derive(Debug)]
pub struct Engine {
    pub(super) settings: DetectSettings,
    pub(super) tuning: Tuning,
    pub(super) state: State,
    pub(super) scratch: Scratch,
    pub(super) scores: ScoreRows,
    pub(super) watch: Watch,
}

/// Everything a snapshot holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) watermarks: Watermarks,
    /// First minute that is not closed; none before the first advance.
    pub(super) closed: Option<u32>,
    pub(super) clock: Option<Clock>,
    /// Next bucket to close.
    pub(super) t: u32,
    pub(super) waiting: OpenMinutes,
    pub(super) registry: Registry,
    pub(super) series: SeriesTable,
    pub(super) template: SeriesState,
    pub(super) window: Window,
    pub(super) days: Days,
    pub(super) values: Strings,
    pub(super) recent: Recent,
    pub(super) wheel: Wheel,
    pub(super) incidents: Incidents,
    pub(super) ledger: Ledger,
    /// Feedback that was heeded.
    pub(super) told: BTreeSet<u128>,
    pub(super) fleet: FleetHours,
    pub(super) counts: EngineCounts,
    #[serde(skip)]
    pub(super) calendars: Calendars,
    /// Follows every judgement, so that two engines that went different ways differ in it.
    pub(super) digest: u64,
    /// Origin of the fleet that this engine is a part of, once it is known.
    #[serde(skip)]
    pub(super) fleet_origin: Option<Minute>,
    #[serde(skip)]
    pub(super) places: Places,
}

/// What an engine that holds a part of a fleet has to be told before it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The fleet's origin; this engine's first minute with a count is a candidate.
    Origin { first: Minute },
    /// The threshold in force in an hour since 1970.
    Threshold { hour: u32 },
}

/// Memory that is used again for every bucket.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// (id, count) of the bucket, in order of id.
    pub(super) active: Vec<(u32, u64)>,
    due: Vec<u32>,
    visits: Vec<(u32, u64)>,
    pub(super) deltas: Vec<(u32, u64)>,
    changes: Vec<(u32, Change)>,
    pub(super) forgotten: Vec<u32>,
}

impl Engine {
    pub fn new(settings: DetectSettings) -> Self {
        let tuning = Tuning::new(&settings);
        let width = settings.bucket_minutes;
        let longest = tuning.windows[3] * width;
        let window_minutes = HISTORY_MINUTES.max(10_080 + longest + 3 * width);
        let state = State {
            watermarks: Watermarks::default(),
            closed: None,
            clock: None,
            t: 0,
            waiting: OpenMinutes::default(),
            registry: Registry::new(settings.shard_series_max()),
            series: SeriesTable::default(),
            template: SeriesState::silent(),
            window: Window::new(window_minutes / width),
            days: Days::new(1 + window_minutes.div_ceil(Minute::PER_DAY)),
            values: Strings::default(),
            recent: Recent::default(),
            wheel: Wheel::new(),
            incidents: Incidents::default(),
            ledger: Ledger::default(),
            told: BTreeSet::new(),
            fleet: FleetHours::new(&settings, &tuning),
            counts: EngineCounts::default(),
            calendars: Calendars::default(),
            digest: 0,
            fleet_origin: None,
            places: Places::default(),
        };
        Engine::with_state(settings, state)
    }

    pub(super) fn with_state(settings: DetectSettings, state: State) -> Self {
        Engine {
            tuning: Tuning::new(&settings),
            settings,
            state,
            scratch: Scratch::default(),
            scores: ScoreRows::default(),
            watch: Watch::default(),
        }
    }

    /// Takes one record of the rates log: counts are observed, progress advances time. Settings
    /// and knowledge are the caller's to look at: it builds the engine from the ones, and gives it
    /// what it needs of the other ([`Self::hear`]). A part of a fleet may stop on
    /// its way and say what it needs; the next call is then [`Self::resume`].
    pub fn apply(&mut self, record: &LogRecord, out: &mut Output) -> Option<Need> {
        match record {
            LogRecord::Settings(_) | LogRecord::Knowledge { .. } => {}
            LogRecord::Sources(count) => self.state.watermarks.expect(*count),
            LogRecord::Rates(rates) => {
                let is_part = self.state.fleet.is_part();
                let watermarks = &mut self.state.watermarks;
                if !is_part || watermarks.is_next(rates.source, rates.positions) {
                    self.observe(rates);
                }
            }
            LogRecord::Progress(progress) => {
                self.state.watermarks.report(progress);
                return self.resume(out);
            }
            LogRecord::Retired(source) => {
                self.retire(*source);
                return self.resume(out);
            }
        }
        None
    }

    /// Goes on to where the sources have come, or to what is needed first.
    pub fn resume(&mut self, out: &mut Output) -> Option<Need> {
        let least = self.state.watermarks.least()?;
        self.advance_or_need(least.minute(), out)
    }

    /// Takes counts. Those of minutes that are open wait for their close; late ones wait for the
    /// next advance.
    pub fn observe(&mut self, rates: &Rates) {
        let State {
            waiting,
            registry,
            values,
            closed,
            counts,
            clock,
            t,
            ..
        } = &mut self.state;
        let width = self.settings.bucket_minutes;
        counts.entries_capped += waiting.observe(rates, *closed, width, registry, values);
        if waiting.is_over(self.settings.waiting_max) {
            // Series are forgotten when an hour begins.
            let next_hour = t.next_multiple_of(self.tuning.hour);
            let forgets_from = clock.map_or(u32::MAX, |clock| clock.minute(next_hour).0);
            waiting.refuse_early(forgets_from, registry, values, |row| {
                counts.refuse(row.count)
            });
        }
    }

    /// Closes every minute before `to`, which is the first that stays open. A part of a fleet is to
    /// be driven by [`Self::apply`], which can wait.
    pub fn advance(&mut self, to: Minute, out: &mut Output) {
        let need = self.advance_or_need(to, out);
        assert!(need.is_none(), "a part of a fleet waits: {need:?}");
    }

    /// As [`Self::advance`]; a part of a fleet stops before what it needs to be told of.
    fn advance_or_need(&mut self, to: Minute, out: &mut Output) -> Option<Need> {
        let to = to.bucket(self.settings.bucket_minutes);
        if self.state.closed.is_some_and(|closed| to.0 <= closed) {
            return None;
        }
        self.apply_late();
        if self.state.clock.is_none()
            && let Some(need) = self.begin(to)
        {
            return Some(need);
        }
        if self.state.clock.is_none() && self.state.fleet.is_part() {
            // Nothing is closed before the fleet's time begins.
            return None;
        }
        while let Some(clock) = self
            .state
            .clock
            .filter(|clock| clock.minute(self.state.t) < to)
        {
            let t = self.state.t;
            let hour = t / self.tuning.hour;
            if t.is_multiple_of(self.tuning.hour) && !self.state.fleet.can_begin(hour) {
                self.state.closed = Some(clock.minute(t).0);
                return Some(Need::Threshold {
                    hour: clock.base_hour() + hour,
                });
            }
            if !self.jump(clock, to) {
                self.close(clock, out);
            }
        }
        self.state.closed = Some(to.0);
        None
    }

    /// Sets the origin when a minute with a count closes, or as the fleet has it.
    fn begin(&mut self, to: Minute) -> Option<Need> {
        let first = self.state.waiting.first().filter(|first| *first < to.0);
        let origin = if self.state.fleet.is_part() {
            if let (None, Some(first)) = (self.state.fleet_origin, first) {
                return Some(Need::Origin {
                    first: Minute(first),
                });
            }
            self.state.fleet_origin.filter(|origin| *origin < to)
        } else {
            first.map(Minute)
        };
        self.state.clock = origin.map(|origin| Clock::new(origin, self.tuning.bucket_minutes));
        None
    }

    /// Closes bucket `t`.
    fn close(&mut self, mut clock: Clock, out: &mut Output) {
        if self.state.t.is_multiple_of(self.tuning.hour) {
            clock = self.begin_hour(clock);
            self.heed(&clock);
        }
        let t = self.state.t;
        self.tally(clock);
        self.state.window.push(&self.scratch.active);
        self.state.incidents.absorb(&self.state.recent, t);
        self.state.calendars.speak_of(t, &clock, &self.settings);
        self.collect_visits(t);
        self.judge(clock, out);
        self.decide(clock, out);
        self.state.t += 1;
    }

    /// Enters the counts of bucket `t` into the days; `active` becomes its (id, count) pairs.
    fn tally(&mut self, clock: Clock) {
        let state = &mut self.state;
        let t = state.t;
        let minute = clock.minute(t);
        let mut shares = state.recent.recycle();
        self.scratch.active.clear();
        let counts = &mut state.counts;
        let taken = state
            .waiting
            .take(minute.0, &mut state.registry, &mut state.values, |row| {
                counts.refuse(row.count)
            });
        if let Some(taken) = taken {
            state.enter(
                t,
                minute,
                &taken,
                &self.settings,
                &mut self.scratch,
                &mut shares,
            );
            state.waiting.give_back(taken);
        }
        state.recent.push(t, shares);
    }

    /// Who is judged: the active series and those that are due.
    fn collect_visits(&mut self, t: u32) {
        let Scratch {
            active,
            due,
            visits,
            ..
        } = &mut self.scratch;
        due.clear();
        self.state.wheel.fire(t, due);
        due.sort_unstable();
        self.state.calendars.add_due(due);
        visits.clear();
        let mut silent = due.iter().copied().peekable();
        for (id, count) in active.iter().copied() {
            while let Some(due) = silent.next_if(|due| *due < id) {
                visits.push((due, 0));
            }
            silent.next_if_eq(&id);
            visits.push((id, count));
        }
        visits.extend(silent.map(|due| (due, 0)));
    }

    fn judge(&mut self, clock: Clock, out: &mut Output) {
        let state = &mut self.state;
        let t = state.t;
        let mut ctx = Context {
            withholds_drops: self.settings.holds_drops && state.watermarks.is_silent(),
            ..Context::silent(&self.tuning, clock.base_hour())
        };
        let minute = u64::from(clock.minute(t).0);
        for class in 0..self.settings.classes() {
            let z = state.fleet.z(Class(class as u8));
            state.digest = mixed(state.digest, minute, z);
        }
        self.scratch.changes.clear();
        let visits = &self.scratch.visits;
        for (position, (id, count)) in visits.iter().copied().enumerate() {
            if let Some((ahead, _)) = visits.get(position + 6) {
                state.series.prefetch(*ahead);
            }
            if let Some((ahead, _)) = visits.get(position + 3) {
                state.series.prefetch_parts(*ahead);
            }
            let history = SeriesHistory {
                clock: &clock,
                window: &state.window,
                days: &state.days,
                id,
                first: state.series.first(id),
            };
            let place = state.places.of(id);
            ctx.needed = state.fleet.needed(place);
            let own;
            let ctx = if self.settings.calendars.is_empty() {
                &ctx
            } else {
                own = state.calendars.context(id, &ctx, &self.settings);
                &own
            };
            let series = state.series.get_mut(id);
            let mut watched = self.watch.of(id, &state.registry, clock, t);
            let judged = series.minute_with(t, count, ctx, &history, watched.reasons());
            state.digest = mixed(state.digest, count, judged.verdict.z);
            state
                .wheel
                .set(id, watched.see(&judged.verdict, series.next_visit(ctx)), t);
            if let Some(episode) = judged.episode_ended
                && state.ledger.close(id, &episode)
            {
                state.fleet.add(episode, place);
            }
            if let Some(bin) = judged.missed {
                state.fleet.add_missed(t / self.tuning.hour, bin, place);
            }
            state.counts.starts_in_maintenance += u64::from(judged.is_withheld_start);
            if let Some(change) = judged.change {
                self.scratch.changes.push((id, change));
            }
            if out.scores.is_some() && (count > 0 || judged.verdict.surprise > 0.0) {
                self.scores
                    .push(id, &judged.verdict, &state.registry, clock);
            }
        }
        state.counts.visits += visits.len() as u64;
        if let Some(rows) = &mut out.scores {
            self.scores.finish(rows);
        }
    }

    /// Turns the changes of bucket `t` into insights, in the order of series keys.
    fn decide(&mut self, clock: Clock, out: &mut Output) {
        let state = &mut self.state;
        let registry = &state.registry;
        self.scratch
            .changes
            .sort_by(|a, b| registry.key(a.0).cmp(&registry.key(b.0)));
        let sources = Sources {
            clock: &clock,
            registry,
            window: &state.window,
            days: &state.days,
            values: &state.values,
            recent: &state.recent,
            fleet: &state.fleet,
            places: &state.places,
        };
        for (id, change) in self.scratch.changes.drain(..) {
            let event = state.incidents.decide(id, state.t, change, &sources);
            let hour = state.t / self.tuning.hour;
            let width = self.tuning.bucket_minutes;
            state.ledger.note(id, hour, &event, width);
            out.insights.push(event);
        }
    }
}

/// The digest after one more judgement: a multiplication by an odd number and a rotation spread
/// every bit, and are the same on every machine.
fn mixed(digest: u64, count: u64, score: f64) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let folded = (digest ^ count).wrapping_mul(ODD).rotate_left(29);
    (folded ^ score.to_bits()).wrapping_mul(ODD).rotate_left(31)
}
