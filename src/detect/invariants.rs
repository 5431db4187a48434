//! What must hold of a state that was read from bytes, field by field.
//!
//! A checksum says that bytes are as they were written, not who wrote them. Everything that the
//! engine relies on without looking is asked here once, so that a forged or misread snapshot is
//! refused by the name of a field and never panics, hangs or counts wrongly later. Every part
//! checks itself; here is what ties the parts to each other.

use super::engine::State;
use super::settings::{DetectSettings, Tuning};
use super::window::BucketCounts;

/// The largest count of a series and day that is believed: seven days of it, and what comes, add
/// up within 64 bits.
pub const COUNT_SUM_MAX: u64 = 1 << 58;
/// The largest number of calls that a learned level is believed to be.
pub const CALLS_MAX: f64 = 1e15;
/// What may become of the former by ratios, profiles and sums.
pub const DERIVED_MAX: f64 = 1e21;

/// Says of `field` what it should be, unless it is.
pub fn require(holds: bool, field: &str, claim: &str) -> Result<(), String> {
    if holds {
        return Ok(());
    }
    Err(format!("{field}: {claim}"))
}

/// Puts the name of a part before a complaint of it.
pub fn within(part: &str, result: Result<(), String>) -> Result<(), String> {
    result.map_err(|complaint| format!("{part}.{complaint}"))
}

/// Whether all of `values` are numbers from 0 to `most`.
pub fn are_amounts(values: impl IntoIterator<Item = f32>, most: f64) -> bool {
    values
        .into_iter()
        .all(|value| (0.0..=most).contains(&f64::from(value)))
}

/// What the parts of a state need to know of each other.
pub struct Frame<'a> {
    pub settings: &'a DetectSettings,
    pub tuning: &'a Tuning,
    /// Next bucket to close.
    pub t: u32,
    /// Series ids there are, live or not.
    pub ids: usize,
    /// By id, the first bucket that holds no count of it for certain: the time it was forgotten
    /// at, 0 for a free id, [`u32::MAX`] for a live series.
    pub ends: Vec<u32>,
}

impl Frame<'_> {
    pub fn is_live(&self, id: u32) -> bool {
        self.ends.get(id as usize) == Some(&u32::MAX)
    }

    /// First bucket of the hour that was begun last.
    pub fn hour_begun(&self) -> u32 {
        self.t.saturating_sub(1) / self.tuning.hour * self.tuning.hour
    }
}

impl State {
    /// Checks a state before what a snapshot leaves out is built.
    pub(super) fn check(
        &self,
        settings: &DetectSettings,
        tuning: &Tuning,
        pristine: &State,
    ) -> Result<(), String> {
        self.check_time(settings)?;
        within("watermarks", self.watermarks.check())?;
        within("counts", self.counts.check())?;
        let ends = self
            .registry
            .check(&pristine.registry, self.t)
            .map_err(|complaint| format!("registry.{complaint}"))?;
        let frame = Frame {
            settings,
            tuning,
            t: self.t,
            ids: ends.len(),
            ends,
        };
        within("wheel", self.wheel.check(&frame))?;
        within("series", self.series.check(&frame))?;
        within("template", self.template.check(&frame))?;
        within("template", self.template.check_silent(&frame))?;
        self.check_values(&frame, pristine)?;
        self.check_window(&frame, pristine)?;
        within("recent", self.recent.check(&frame))?;
        within("recent", self.check_shares())?;
        within("incidents", self.incidents.check(&frame, self))?;
        within("ledger", self.ledger.check(&frame))?;
        let shift = self.clock.map_or(0, |clock| clock.hours_moved());
        within("fleet", self.fleet.check(&frame, &pristine.fleet, shift))
    }

    fn check_time(&self, settings: &DetectSettings) -> Result<(), String> {
        let Some(clock) = self.clock else {
            return require(self.t == 0, "t", "it is 0 without a clock");
        };
        within("clock", clock.check(settings.bucket_minutes))?;
        require(self.t > 0, "t", "a bucket was closed since the origin")?;
        let minute = clock.checked_minute(self.t);
        let is_closed = minute.is_some() && minute == self.closed;
        require(is_closed, "closed", "it is the minute that `t` begins with")
    }

    /// Days and waiting entries, and that each of their values is held as often as it is named.
    fn check_values(&self, frame: &Frame<'_>, pristine: &State) -> Result<(), String> {
        let mut uses = vec![0u32; self.values.rows_len()];
        let mut name = |value: u32| {
            let string = (value / 8).checked_sub(1).filter(|_| value % 8 < 4);
            match string.and_then(|string| uses.get_mut(string as usize)) {
                Some(count) => {
                    *count += 1;
                    true
                }
                None => false,
            }
        };
        let open_day = self
            .clock
            .map_or(0, |clock| clock.minute(frame.hour_begun()).day());
        let last_day = |id: usize| match frame.ends[id] {
            0 => None,
            u32::MAX => Some(open_day),
            end => self.clock.map(|clock| clock.minute(end - 1).day()),
        };
        let days = self
            .days
            .check(&pristine.days, open_day, frame, last_day, &mut name);
        within("days", days)?;
        within("waiting", self.waiting.check(frame, self.closed, &mut name))?;
        within("values", self.values.check(&uses))
    }

    /// The window, and that no day counts less than its buckets.
    fn check_window(&self, frame: &Frame<'_>, pristine: &State) -> Result<(), String> {
        let day_of = |t: u32| self.clock.map_or(0, |clock| clock.minute(t).day());
        let mut counted = BucketCounts::default();
        let mut day = 0;
        let check_day = |day: u32, counted: &mut BucketCounts| {
            self.days
                .for_each_total(day, |id, total| counted.take(id, total));
            let claim = "a series' day counts no less than its buckets";
            require(counted.clear(), "days", claim)
        };
        let result = self.window.check(&pristine.window, frame, |t, id, count| {
            if day_of(t) != day {
                check_day(day, &mut counted)?;
                day = day_of(t);
            }
            counted.add(id, count);
            Ok(())
        });
        within("window", result)?;
        check_day(day, &mut counted)
    }

    /// Shares of the last buckets are parts of what their days hold.
    fn check_shares(&self) -> Result<(), String> {
        let day_of = |t: u32| self.clock.map_or(0, |clock| clock.minute(t).day());
        for ((day, id, value), shared) in self.recent.sums_by_day(day_of) {
            let mut held = 0;
            self.days.for_each_value(id, day, |other, count| {
                if other == value {
                    held = count;
                }
            });
            let claim = "its shares are parts of what their days hold";
            require(shared <= held, "buckets", claim)?;
        }
        Ok(())
    }
}
