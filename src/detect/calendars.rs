//! Which calendar each series has, and what the calendars say of the bucket that closes.
//!
//! None of it is state: it follows from the settings, the keys and the time, and a snapshot leaves
//! it out. Without calendars nothing is kept and nothing is asked.

use super::calendar::Calendar;
use super::clock::Clock;
use super::registry::Registry;
use super::settings::{DetectSettings, RECENT};
use super::verdict::Context;

/// Hours from the running one that a series may sleep through.
const SLEEP_HOURS: u32 = 25;

/// Calendars by series.
#[derive(Clone, Debug, Default)]
pub struct Calendars {
    /// By series id: one more than the place of its calendar, 0 for none.
    of_series: Vec<u8>,
    /// Series of each calendar, in order of id.
    series: Vec<Vec<u32>>,
    /// What each calendar says, and of which bucket.
    now: Vec<CalendarNow>,
    bucket: Option<u32>,
}

/// What a calendar says of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CalendarNow {
    /// The bucket lies in a maintenance window.
    pub is_maintained: bool,
    /// The bucket before was the last of a maintenance window, of which this is the first bucket
    /// that is remembered.
    pub forgets_from: Option<u32>,
    /// The hours of the coming day have slots that follow each other.
    pub is_plain_day: bool,
}

/// A calendar with what it says of the bucket that is judged.
#[derive(Clone, Copy, Debug)]
pub struct InForce<'a> {
    pub calendar: &'a Calendar,
    pub now: CalendarNow,
}

impl Calendars {
    /// Notes that a series is tracked.
    pub fn admit(&mut self, id: u32, registry: &Registry, settings: &DetectSettings) {
        let key = registry.key(id);
        let mut calendars = settings.calendars.iter();
        let Some(place) = calendars.position(|calendar| calendar.scope.covers(key)) else {
            return;
        };
        let ids = self.of_series.len().max(id as usize + 1);
        self.of_series.resize(ids, 0);
        self.of_series[id as usize] = place as u8 + 1;
        self.series.resize(settings.calendars.len(), Vec::new());
        let series = &mut self.series[place];
        if let Err(at) = series.binary_search(&id) {
            series.insert(at, id);
        }
    }

    /// Finds all series' calendars anew: after a snapshot, or with other settings.
    pub fn rebuild(&mut self, registry: &Registry, settings: &DetectSettings) {
        *self = Calendars::default();
        if settings.calendars.is_empty() {
            return;
        }
        for id in registry.live_ids() {
            self.admit(id, registry, settings);
        }
    }

    /// Forgets a series.
    pub fn forget(&mut self, id: u32) {
        let Some(own) = self.of_series.get_mut(id as usize) else {
            return;
        };
        let place = std::mem::take(own);
        if let Some(series) = usize::from(place).checked_sub(1)
            && let Ok(at) = self.series[series].binary_search(&id)
        {
            self.series[series].remove(at);
        }
    }

    /// Has the calendars speak of bucket `t`.
    pub fn speak_of(&mut self, t: u32, clock: &Clock, settings: &DetectSettings) {
        if settings.calendars.is_empty() || self.bucket == Some(t) {
            return;
        }
        let hour = |t: u32| clock.minute(t).hour();
        let is_same_hour = self.bucket.is_some_and(|before| hour(before) == hour(t));
        self.now
            .resize(settings.calendars.len(), CalendarNow::default());
        for (now, calendar) in self.now.iter_mut().zip(&settings.calendars) {
            let is_maintained = |t: u32| calendar.is_maintained(clock.minute(t));
            now.is_maintained = is_maintained(t);
            let mut first = t;
            // The ring has a place for `t` and for those before it.
            let reach = t.saturating_sub(RECENT as u32 - 1);
            while !now.is_maintained && first > reach && is_maintained(first - 1) {
                first -= 1;
            }
            now.forgets_from = (first < t).then_some(first);
            if !is_same_hour {
                now.is_plain_day = is_plain(calendar, hour(t));
            }
        }
        self.bucket = Some(t);
    }

    /// Adds the series that are looked at whether they count or not: through a maintenance window,
    /// so that nothing of it is learned, and in the bucket after, which forgets it.
    pub fn add_due(&self, due: &mut Vec<u32>) {
        let before = due.len();
        for (now, series) in self.now.iter().zip(&self.series) {
            if now.is_maintained || now.forgets_from.is_some() {
                due.extend(series);
            }
        }
        if due.len() > before {
            due.sort_unstable();
            due.dedup();
        }
    }

    /// The context of one series.
    pub fn context<'a>(
        &self,
        id: u32,
        ctx: &Context<'a>,
        settings: &'a DetectSettings,
    ) -> Context<'a> {
        let own = self.of_series.get(id as usize).copied().unwrap_or(0);
        let place = usize::from(own).checked_sub(1);
        Context {
            calendar: place.map(|place| InForce {
                calendar: &settings.calendars[place],
                now: self.now.get(place).copied().unwrap_or_default(),
            }),
            ..*ctx
        }
    }
}

/// Whether the slots of the coming day's hours follow each other.
fn is_plain(calendar: &Calendar, hour: u32) -> bool {
    let first = calendar.slot(hour, true);
    (1..=SLEEP_HOURS).all(|ahead| {
        let slot = calendar.slot(hour + ahead, true);
        slot == (first + ahead as usize) % super::settings::WEEK_HOURS
    })
}
