//! The state of one series and its two verbs: judge a bucket, skip silent ones.
//!
//! Time is `t`, buckets since the engine's origin. It knows nothing of keys, registries,
//! attributions or other series.

use serde::{Deserialize, Serialize};

use super::calendars::CalendarNow;
use super::dispersion::Dispersion;
use super::expectation::{Expectation, Experts};
use super::fleet::bin_of;
use super::incident::Incidents;
use super::recalibration::Recalibration;
use super::recent::Recent;
use super::routine::Routine;
use super::settings::{FIRST_DAY_HOURS, HISTORY_MINUTES, RECENT, Tuning, WEEK_HOURS};
use super::slow::Slow;
use super::surprise::Scene;
pub use super::verdict::{Change, Context, EpisodeEnd, History, Judged, Phase, Verdict};
use crate::model::{Reasons, prefetch_whole};

mod check;
mod decision;
mod feedback;
mod reasons;
mod routine_step;
mod slow_step;
mod visits;

use decision::Decision;

/// Hours of a life from which every hour of the week is known, whatever the local clock did.
const KNOWN_WEEK_HOURS: u32 = WEEK_HOURS as u32 + 25;

/// Everything the detector remembers of one series besides its history.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesState {
    /// First bucket not passed yet.
    now: u32,
    /// Hour since the origin at which its life began, or began anew.
    born: u32,
    /// First bucket after the youngest count; 0 while there was none.
    silent_from: u32,
    expectation: Expectation,
    dispersion: Dispersion,
    /// Dispersions of the blocks as they stood when the hour began.
    phis: [f32; 4],
    recent: Option<Box<Recent>>,
    recalibration: Recalibration,
    slow: Slow,
    routine: Routine,
    incidents: Incidents,
    /// First bucket in which a Start that a maintenance window withholds counts as another one.
    withheld_until: u32,
}

impl SeriesState {
    /// A series at the engine's origin, before its first bucket.
    pub fn silent() -> Self {
        SeriesState::default()
    }

    /// First bucket that was not passed yet.
    pub fn now(&self) -> u32 {
        self.now
    }

    /// Passes the silent buckets up to `t`, exclusive, that need no judging. Any split of the way
    /// into calls gives the same bits. At most one episode can end on the way.
    pub fn skip_to(&mut self, t: u32, ctx: &Context<'_>) -> Option<EpisodeEnd> {
        let hour = ctx.tuning.hour;
        let mut ended = None;
        while self.now < t {
            let m = self.now % hour;
            if m == 0 {
                ended = self.open_hour(ctx).or(ended);
            }
            let end = t.min(self.now - m + hour);
            self.pass_silence(end, ctx);
        }
        self.settle();
        ended
    }

    /// Judges bucket `t` (at or after `now()`), after skipping to it.
    pub fn minute(
        &mut self,
        t: u32,
        count: u64,
        ctx: &Context<'_>,
        history: &dyn History,
    ) -> Judged {
        self.minute_with(t, count, ctx, history, None)
    }

    /// The same; `reasons` becomes what the verdict was made of.
    pub fn minute_with(
        &mut self,
        t: u32,
        count: u64,
        ctx: &Context<'_>,
        history: &dyn History,
        reasons: Option<&mut Reasons>,
    ) -> Judged {
        assert!(
            t >= self.now,
            "bucket {t} was passed, the series is at {}",
            self.now
        );
        let mut episode_ended = self.skip_to(t, ctx);
        let tuning = ctx.tuning;
        let m = (t % tuning.hour) as usize;
        if m == 0 {
            episode_ended = self.open_hour(ctx).or(episode_ended);
        }
        let mixture = self.expectation.lines.mixture(m, tuning);
        let mean = self.expectation.lines.mean(mixture, m, tuning);
        let now = self.calendar_now(count, ctx);
        let is_frozen = now.is_maintained || self.is_open();
        self.learn(count, mixture, mean, is_frozen, tuning);
        let mut recent = self.take_recent(now.forgets_from, t, tuning);
        recent.push(t, count, mean);
        self.routine.count(count);
        self.now = t + 1;
        if count > 0 {
            self.silent_from = self.now;
        }
        let scene = Scene {
            t,
            recent: &recent,
            ahead: self.means_ahead(mixture, m, tuning),
            phis: window_phis(self.phis.map(f64::from), tuning),
            tuning,
            history,
        };
        let (verdict, decision) =
            self.judge(&scene, (count, mean), now.is_maintained, reasons, ctx);
        if let Some((from, to)) = decision.forgets {
            recent.forget(from.max(self.now.saturating_sub(RECENT as u32)), to);
            self.slow.forget();
        }
        self.recent = Some(recent);
        self.settle();
        Judged {
            verdict,
            change: decision.change,
            is_withheld_start: decision.is_withheld_start,
            episode_ended,
            missed: decision.missed,
        }
    }

    /// What is thought of the bucket that was learned last, and what that leads to.
    fn judge(
        &mut self,
        scene: &Scene<'_>,
        (count, mean): (u64, f32),
        is_maintained: bool,
        reasons: Option<&mut Reasons>,
        ctx: &Context<'_>,
    ) -> (Verdict, Decision) {
        let (t, tuning) = (scene.t, ctx.tuning);
        let surprise = scene.judge();
        let z = self.recalibration.z_with_precedents(t, &surprise, tuning);
        let start_z = self.start_z(scene, &surprise, z, ctx);
        if let Some(reasons) = reasons {
            *reasons = self.reasons(scene, &surprise, start_z, ctx);
        }
        if is_maintained {
            self.recalibration.pass_over();
        } else {
            self.recalibration
                .observe(t / tuning.hour, &surprise, start_z, tuning);
        }
        let mut decision = self.decide(scene, &surprise, (z, start_z), is_maintained, ctx);
        if tuning.judges_hours && t.is_multiple_of(tuning.hour) && !is_maintained {
            self.decide_by_hours(&mut decision, scene, ctx);
        }
        let verdict = Verdict {
            t,
            count,
            expected: f64::from(mean),
            phi1: f64::from(self.phis[0]),
            surprise_raw: surprise.raw,
            surprise: surprise.value,
            z,
            direction: surprise.direction,
            phase: decision.phase,
        };
        (verdict, decision)
    }

    /// Judges the hours before the first bucket of one, for what minutes left calm.
    fn decide_by_hours(&mut self, decision: &mut Decision, scene: &Scene<'_>, ctx: &Context<'_>) {
        let slow = self.judge_hours(scene, ctx);
        let may_start = decision.phase == Phase::Calm && !ctx.withholds_drops;
        let missed = self.judge_routine(scene, ctx);
        let missed = missed.filter(|_| may_start && !self.is_open());
        if decision.phase == Phase::Calm && decision.change.is_none() {
            let by_slow = slow.and_then(|slow| self.decide_slowly(&slow, scene, ctx));
            let by_missed = || self.decide_missed(missed.as_ref()?, scene, ctx);
            if let Some(start) = by_slow.or_else(by_missed) {
                *decision = start;
            }
        }
        decision.missed = missed.map(|missed| bin_of(missed.z));
    }

    /// Adds a late count of bucket `t`, already passed, to the learned level of its hour, unless
    /// the bucket lies in an incident. It may move `next_visit` to an earlier bucket.
    pub fn correct(&mut self, t: u32, count: u64, ctx: &Context<'_>) {
        assert!(
            t < self.now,
            "bucket {t} is not late, the series is at {}",
            self.now
        );
        if self.incidents.covers(t) || ctx.is_maintained(t) {
            return;
        }
        let hour = t / ctx.tuning.hour;
        let running = (self.now - 1) / ctx.tuning.hour;
        if hour == running {
            self.expectation.add_late(count as f64);
        } else if hour >= self.born && running - hour <= WEEK_HOURS as u32 {
            let slot = self.slot(hour, ctx);
            self.expectation.correct(slot, count as f64);
        }
    }

    /// Whether an incident is open.
    pub fn is_open(&self) -> bool {
        self.incidents.open().is_some()
    }

    /// Ends an open incident without a decision.
    pub fn abandon_incident(&mut self) {
        self.incidents.abandon(self.now);
    }

    /// The bucket whose close brought the open incident's Start.
    pub fn open_since(&self) -> Option<u32> {
        self.incidents.open().map(|open| open.started)
    }

    /// The experts of the running hour as learned so far.
    pub fn experts(&self, ctx: &Context<'_>) -> Experts {
        self.expectation
            .experts_of(self.slot_of_now(ctx), ctx.tuning)
    }

    /// Dispersions of the four blocks as they stood when the hour began.
    pub fn hour_phis(&self) -> [f64; 4] {
        self.phis.map(f64::from)
    }

    /// Decayed exceedances, their excess in decades, and hours (n, se and hrs).
    pub fn recalibration(&self) -> [f64; 3] {
        self.recalibration.learned()
    }

    /// Fetches what judging the next bucket reads outside the struct.
    pub fn prefetch_parts(&self) {
        if let Some(recent) = &self.recent {
            prefetch_whole(&**recent);
        }
        self.expectation.prefetch_parts();
    }

    /// Bytes held outside the struct itself.
    pub fn heap_bytes(&self) -> usize {
        let recent = if self.recent.is_some() {
            size_of::<Recent>()
        } else {
            0
        };
        recent
            + self.expectation.heap_bytes()
            + self.recalibration.heap_bytes()
            + self.slow.heap_bytes()
            + self.routine.heap_bytes()
            + self.incidents.heap_bytes()
    }

    fn age(&self, t: u32, tuning: &Tuning) -> u32 {
        t / tuning.hour - self.born
    }

    /// Slot of the hour of the bucket passed last.
    fn slot_of_now(&self, ctx: &Context<'_>) -> usize {
        self.slot(self.now.saturating_sub(1) / ctx.tuning.hour, ctx)
    }

    /// Slot of the week of an hour.
    fn slot(&self, hour: u32, ctx: &Context<'_>) -> usize {
        ctx.slot(hour, hour - self.born.min(hour) >= KNOWN_WEEK_HOURS)
    }

    /// Closes the hour before bucket `now`, which is the first of an hour, and opens its own.
    fn open_hour(&mut self, ctx: &Context<'_>) -> Option<EpisodeEnd> {
        let tuning = ctx.tuning;
        let hour = self.now / tuning.hour;
        if hour > 0 {
            // The errors of the first day say nothing about the series (6.3).
            if tuning.judges_hours && hour > self.born + FIRST_DAY_HOURS {
                let (seen, seasonal) = self.expectation.hour_so_far();
                let of_day = self.expectation.calls_of_flat_day();
                self.slow.close_hour(hour - 1, seen, seasonal, of_day);
                self.routine.close_hour(hour - 1, of_day);
            }
            let slot = self.slot(hour - 1, ctx);
            let ahead = match self.silent_from {
                0 => 1,
                _ => ctx.slots_ahead(hour - 1),
            };
            self.expectation.close_hour(slot, ahead, tuning);
        }
        if self.incidents.take_new_beginning() {
            self.expectation.begin_anew();
            self.dispersion = Dispersion::default();
            self.slow.begin_anew();
            self.routine = Routine::default();
            self.born = hour;
        }
        let age = hour - self.born;
        if age == FIRST_DAY_HOURS {
            self.expectation.forget_first_day();
            self.dispersion = Dispersion::default();
        }
        let phis = self.dispersion.phi();
        let slot = self.slot(hour, ctx);
        self.expectation.open_hour(slot, phis[0], tuning);
        self.phis = phis.map(|phi| phi as f32);
        if self.recent.is_none() && self.expectation.lines.is_shaped() {
            self.recent = Some(Box::new(Recent::silent(self.past_means(tuning))));
        }
        self.incidents.forget_before(
            self.now
                .saturating_sub(HISTORY_MINUTES / tuning.bucket_minutes),
        );
        let hour_closed = hour.checked_sub(1)?;
        let is_open = self.is_open();
        self.recalibration
            .close_hour(self.now, age, is_open, tuning)
            .map(|episode| episode.ended(hour_closed))
    }

    /// Learns silence up to `end`, exclusive, within an hour that is open.
    fn pass_silence(&mut self, end: u32, ctx: &Context<'_>) {
        let tuning = ctx.tuning;
        debug_assert!(
            !self.is_open(),
            "an open incident is judged at every bucket"
        );
        let m = (self.now % tuning.hour) as usize;
        let length = (end - self.now) as usize;
        let mut means = [0.0; 60];
        let means = &mut means[..length];
        self.expectation.lines.fill_means(m, means, tuning);
        self.dispersion
            .learn_silence(means, self.now % tuning.cycle, tuning);
        let pace = self.pace(tuning);
        self.expectation.learn_silence(m..m + length, pace, tuning);
        if let Some(recent) = &mut self.recent {
            recent.push_silence(self.now, means);
        }
        self.now = end;
    }

    /// What a calendar says of a bucket with this count: nothing of a series that never counted,
    /// so that all begin alike. An open incident goes on by what was counted, and forgets it when
    /// it ends.
    fn calendar_now(&self, count: u64, ctx: &Context<'_>) -> CalendarNow {
        let has_counted = count > 0 || self.silent_from > 0;
        let own = ctx.calendar.filter(|_| has_counted);
        let now = own.map_or(CalendarNow::default(), |own| own.now);
        CalendarNow {
            forgets_from: now.forgets_from.filter(|_| !self.is_open()),
            ..now
        }
    }

    /// The rings before bucket `t`, which count as expected from `forgets_from` on.
    fn take_recent(&mut self, forgets_from: Option<u32>, t: u32, tuning: &Tuning) -> Box<Recent> {
        let mut recent = match self.recent.take() {
            Some(recent) => recent,
            None => Box::new(Recent::silent(self.past_means(tuning))),
        };
        if let Some(from) = forgets_from {
            recent.forget(from, t);
        }
        recent
    }

    /// Learns a bucket: winsorised, or not at all while an incident is open or something is worked
    /// on.
    fn learn(&mut self, count: u64, mixture: f64, mean: f32, is_frozen: bool, tuning: &Tuning) {
        let expected = f64::from(mean);
        let calls = if is_frozen {
            expected
        } else {
            let phi = self.dispersion.phi_of_block(tuning.first_window);
            (count as f64).min(expected + 4.0 * (phi * expected).sqrt() + 4.0 * phi)
        };
        let m = (self.now % tuning.hour) as usize;
        let pace = self.pace(tuning);
        self.expectation.learn(m, calls, mixture, pace, tuning);
        let error = (calls - expected) as f32;
        self.dispersion
            .learn(error, mean, self.now % tuning.cycle, tuning);
    }

    /// Expectations of the two buckets after bucket `m` at the mixture of now (6.4).
    fn means_ahead(&self, mixture: f64, m: usize, tuning: &Tuning) -> [f64; 2] {
        [1, 2].map(|ahead| {
            let m = (m + ahead) % tuning.hour as usize;
            f64::from(self.expectation.lines.mean(mixture, m, tuning))
        })
    }

    /// How fast the profile learns.
    fn pace(&self, tuning: &Tuning) -> f64 {
        let age = self.age(self.now, tuning);
        if age > 72 {
            1.0 / 72.0
        } else {
            1.0 / (f64::from(age) + 1.0)
        }
    }

    /// Lets go of the rings when nothing is in them that is not known without.
    fn settle(&mut self) {
        let has_count = self.silent_from > 0 && self.silent_from + RECENT as u32 > self.now;
        let is_known = !has_count && !self.expectation.lines.is_shaped();
        if is_known
            && self
                .recent
                .as_ref()
                .is_some_and(|recent| !recent.has_forgotten())
        {
            self.recent = None;
        }
    }

    /// Expectations of the 64 buckets before `now`, by ring index, where no hour had a shape.
    fn past_means(&self, tuning: &Tuning) -> [f32; RECENT] {
        let mut ring = [0.0; RECENT];
        let mut t = self.now.saturating_sub(RECENT as u32);
        while t < self.now {
            let m = t % tuning.hour;
            let at = t % RECENT as u32;
            let length = (tuning.hour - m).min(self.now - t).min(RECENT as u32 - at);
            let ago = (self.now / tuning.hour - t / tuning.hour) as usize;
            let out = &mut ring[at as usize..(at + length) as usize];
            self.expectation
                .lines
                .fill_past_means(ago, m as usize, out, tuning);
            t += length;
        }
        ring
    }
}

/// Dispersions of the windows from those of the blocks: the third window of one-minute buckets
/// is 10 long and lies between blocks of 5 and 15 (6.3).
fn window_phis(blocks: [f64; 4], tuning: &Tuning) -> [f64; 4] {
    /// ln 2 / ln 3: where 10 lies between 5 and 15, in logarithms.
    const SHARE: f64 = 0.630_929_753_571_457_4;
    let mut phis = blocks;
    if tuning.interpolates_dispersion {
        phis[2] = blocks[1] * (1.0 - SHARE) + blocks[2] * SHARE;
    }
    phis
}
