//! What a surprise is worth on this series, given how often and how hard it surprises (6.5).
//!
//! Hourly maxima teach two numbers, how many exceedances and how far; the strongest hours of the
//! last week are remembered as precedents. Here too are the episodes that the fleet layer counts.

use std::ops::Range;

use libm::log10;
use serde::{Deserialize, Serialize};

use crate::model::{Direction, InsightEvent};

use super::fleet::{EPISODE_Z, FIRST_HOUR, bin_of};
use super::invariants::{DERIVED_MAX, are_amounts, require};
use super::settings::{PRECEDENT_AGE_HOURS, RECALIBRATION_AGE_HOURS, Tuning};
use super::surprise::Surprise;
use super::verdict::{EPISODE_HOURS_MAX, EpisodeEnd};

/// 2^(-1/168): half is forgotten in a week.
const KEEP_PER_HOUR: f64 = 0.995_882_615_418_725_3;
const PRECEDENTS: usize = 8;
/// Incidents that people expect again on one series; the oldest makes room.
const LASTING_MAX: usize = 8;
/// How much a precedent may fall short of what it excuses.
const COMPARABLE: f64 = 1.5;
/// z that precedents leave, and above which they are asked for.
const PRECEDENTED_Z: f64 = 2.0;
/// Score that counts towards a Start however weak the case: of a surge with an example in the last
/// week, of a run of a schedule that did not come.
pub const WEAK_Z: f64 = 4.0;

/// The largest surprise of an hour, or of several neighbouring ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    surprise: f32,
    direction: Direction,
    /// Seen to expected, and seen per bucket, in its window.
    ratio: f32,
    rate: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Precedent {
    t: u32,
    peak: Peak,
}

/// How often and how hard hours surprise: n, se and hrs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frequency {
    exceedances: f32,
    excess: f32,
    hours: f32,
}

/// What somebody expects to come again: it excuses the like of it up to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Lasting {
    until: u32,
    peak: Peak,
}

/// All of them, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Expected(Vec<Lasting>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recalibration {
    frequency: Frequency,
    /// Of the running hour; `None` while nothing exceeded.
    peak: Option<Peak>,
    precedents: Vec<Precedent>,
    /// Place of the youngest precedent.
    newest: u8,
    /// Nothing, for most.
    lasting: Option<Box<Expected>>,
    /// An incident was open when the running hour began.
    began_in_incident: bool,
    /// Some of the running hour lay in a maintenance window.
    is_maintained: bool,
    /// Largest z towards a Start of the running hour, with its side, and the episode that it may
    /// continue.
    hour_z: f32,
    is_hour_down: bool,
    episode: Episode,
}

/// A run of hours with a notable z, not over; none while it has no hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    z: f32,
    is_down: bool,
    hours: u16,
}

impl Frequency {
    /// Decades per series-hour that a surprise is worth.
    pub fn z(&self, surprise: f64, tuning: &Tuning) -> f64 {
        if surprise <= tuning.exceedance {
            return 0.0;
        }
        let per_hour = (f64::from(self.exceedances) + 2.0) / (f64::from(self.hours) + 100.0);
        let excess = surprise - tuning.exceedance;
        15.0 * log10(1.0 + excess / (5.6 + f64::from(self.excess))) - log10(per_hour.min(1.0))
    }

    /// Learns the largest surprise of an hour.
    pub fn learn(&mut self, highest: f64, tuning: &Tuning) {
        let mut exceedances = f64::from(self.exceedances) * KEEP_PER_HOUR;
        let mut excess = f64::from(self.excess) * KEEP_PER_HOUR;
        if highest > tuning.exceedance {
            exceedances += 1.0;
            excess += (highest - tuning.exceedance).min(tuning.excess_max);
        }
        self.exceedances = exceedances as f32;
        self.excess = excess as f32;
        self.hours = (f64::from(self.hours) * KEEP_PER_HOUR + 1.0) as f32;
    }

    pub fn check(&self) -> Result<(), String> {
        let learned = [self.exceedances, self.excess, self.hours];
        let are_sums = are_amounts(learned, 1e4);
        require(are_sums, "exceedances", "they are decayed sums of hours")
    }
}

impl Recalibration {
    /// Books the hour that closed at boundary `t`, where the series is `age` hours
    /// old. Returns the episode that the closed hour ended.
    pub fn close_hour(
        &mut self,
        t: u32,
        age: u32,
        in_incident: bool,
        tuning: &Tuning,
    ) -> Option<Episode> {
        let peak = self.peak.take();
        let is_maintained = std::mem::take(&mut self.is_maintained);
        if age >= RECALIBRATION_AGE_HOURS && !self.began_in_incident && !is_maintained {
            let highest = peak.map_or(0.0, |peak| f64::from(peak.surprise));
            self.frequency.learn(highest, tuning);
        }
        if let Some(peak) = peak
            && age >= PRECEDENT_AGE_HOURS
            && f64::from(peak.surprise) > tuning.precedent_min
        {
            self.remember(Precedent { t, peak }, tuning);
        }
        self.began_in_incident = in_incident;
        self.close_episode()
    }

    /// Decades per series-hour that a surprise is worth, before precedents.
    pub fn z(&self, surprise: f64, tuning: &Tuning) -> f64 {
        self.frequency.z(surprise, tuning)
    }

    /// The same after precedents, at bucket `t`.
    pub fn z_with_precedents(&self, t: u32, surprise: &Surprise, tuning: &Tuning) -> f64 {
        let z = self.z(surprise.value, tuning);
        let is_excused =
            || self.precedents_of(t, surprise, tuning) >= 2 || self.is_expected(t, surprise);
        if z > PRECEDENTED_Z && is_excused() {
            PRECEDENTED_Z
        } else {
            z
        }
    }

    /// Whether somebody expects what is like this.
    fn is_expected(&self, t: u32, surprise: &Surprise) -> bool {
        let mut lasting = self.lasting.iter().flat_map(|all| all.0.iter());
        lasting.any(|one| {
            t < one.until
                && Some(one.peak.direction) == surprise.direction
                && one.peak.excuses(surprise)
        })
    }

    /// Forgets the precedents that an incident in these buckets made.
    pub fn forget_precedents(
        &mut self,
        direction: Direction,
        buckets: Range<u32>,
        tuning: &Tuning,
    ) {
        if self.precedents.is_empty() {
            return;
        }
        // The oldest first, as they are while there is room.
        let oldest = (usize::from(self.newest) + 1) % self.precedents.len();
        self.precedents.rotate_left(oldest);
        self.precedents
            .retain(|one| !one.is_of(direction, &buckets, tuning));
        self.newest = self.precedents.len().saturating_sub(1) as u8;
    }

    /// Excuses what is like an incident in these buckets, whose Start was decided by `peak`, up to
    /// a bucket.
    pub fn excuse(
        &mut self,
        direction: Direction,
        mut peak: Peak,
        buckets: Range<u32>,
        until: u32,
        tuning: &Tuning,
    ) {
        for precedent in &self.precedents {
            if precedent.is_of(direction, &buckets, tuning) {
                peak.join(&precedent.peak);
            }
        }
        let Expected(lasting) = &mut **self.lasting.get_or_insert_default();
        lasting.retain(|one| one.until > buckets.end);
        if lasting.len() >= LASTING_MAX {
            lasting.remove(0);
        }
        lasting.push(Lasting { until, peak });
    }

    /// Comparable episodes within the last week, this one's own hours left out. Where the tuning
    /// says so a drop has none: jobs come twice, and so do outages, which nobody schedules.
    pub fn precedents_of(&self, t: u32, surprise: &Surprise, tuning: &Tuning) -> usize {
        if !tuning.excuses_drops && surprise.direction == Some(Direction::Down) {
            return 0;
        }
        self.episodes_before(t, surprise, tuning)
            .filter(|peak| peak.excuses(surprise))
            .count()
    }

    /// What of a score counts towards a Start: less for a high score of a surge about as high as an
    /// episode of the last week. Once is no habit, which two precedents are, but an example.
    pub fn start_z(&self, t: u32, surprise: &Surprise, z: f64, tuning: &Tuning) -> f64 {
        let is_surge = surprise.direction == Some(Direction::Up);
        let as_high = |peak: &Peak| f64::from(peak.rate) * COMPARABLE >= surprise.rate;
        if z > 0.0 && is_surge && self.episodes_before(t, surprise, tuning).any(as_high) {
            (z - tuning.seen_once_extra).max(z.min(WEAK_Z))
        } else {
            z
        }
    }

    /// Lets a judged bucket into the running hour, with what counts of its score towards a Start.
    pub fn observe(&mut self, hour: u32, surprise: &Surprise, start_z: f64, tuning: &Tuning) {
        let highest = self
            .peak
            .map_or(tuning.exceedance, |peak| f64::from(peak.surprise));
        if let Some(direction) = surprise.direction
            && surprise.value > highest
        {
            self.peak = Some(Peak {
                surprise: surprise.value as f32,
                direction,
                ratio: surprise.ratio as f32,
                rate: surprise.rate as f32,
            });
        }
        self.observe_score(hour, surprise.direction, start_z);
    }

    /// Lets a score towards a Start into the running hour.
    pub fn observe_score(&mut self, hour: u32, direction: Option<Direction>, start_z: f64) {
        let z = start_z as f32;
        if hour >= FIRST_HOUR && z > self.hour_z {
            self.hour_z = z;
            self.is_hour_down = direction == Some(Direction::Down);
        }
    }

    /// Passes over a judged bucket in a maintenance window: it is no precedent and no part of an
    /// episode, and its hour says nothing of how often the series surprises.
    pub fn pass_over(&mut self) {
        self.is_maintained = true;
    }

    /// Whether this score towards a Start would be the largest of the running hour.
    pub fn is_hour_highest(&self, hour: u32, start_z: f64) -> bool {
        hour >= FIRST_HOUR && start_z as f32 > self.hour_z
    }

    /// Whether an episode may end with the running hour.
    pub fn has_episode(&self) -> bool {
        self.episode.hours > 0 || self.hour_z >= EPISODE_Z as f32
    }

    /// n, se and hrs.
    pub fn learned(&self) -> [f64; 3] {
        let Frequency {
            exceedances,
            excess,
            hours,
        } = self.frequency;
        [exceedances, excess, hours].map(f64::from)
    }

    pub fn heap_bytes(&self) -> usize {
        let lasting = self.lasting.as_ref().map_or(0, |all| {
            size_of::<Expected>() + all.0.capacity() * size_of::<Lasting>()
        });
        lasting + self.precedents.capacity() * size_of::<Precedent>()
    }

    /// Checks what was read, at bucket `now`.
    pub fn check(&self, now: u32) -> Result<(), String> {
        self.frequency.check()?;
        let peaks = self.precedents.iter().map(|precedent| &precedent.peak);
        let lasting = self.lasting.iter().flat_map(|all| all.0.iter());
        let lasting: Vec<&Peak> = lasting.map(|one| &one.peak).collect();
        require(lasting.len() <= LASTING_MAX, "lasting", "they are few")?;
        for peak in peaks.chain(&self.peak).chain(lasting) {
            require(peak.is_sound(), "peak", "it has amounts")?;
        }
        let precedents = &self.precedents;
        require(precedents.len() <= PRECEDENTS, "precedents", "they are few")?;
        let are_past = precedents.iter().all(|precedent| precedent.t <= now);
        require(are_past, "precedents", "they are over")?;
        let is_one = usize::from(self.newest) < precedents.len().max(1);
        require(is_one, "newest", "it is one of the precedents")?;
        let Episode { z, hours, .. } = self.episode;
        let are_scores = are_amounts([self.hour_z, z], DERIVED_MAX);
        require(are_scores, "hour_z", "scores are amounts")?;
        let is_run = hours <= EPISODE_HOURS_MAX && (hours == 0) == (z < EPISODE_Z as f32);
        require(is_run, "episode", "its score is notable")
    }

    /// Episodes of the last week on the side of a surprise, this one's own hours left out.
    fn episodes_before<'a>(
        &'a self,
        t: u32,
        surprise: &Surprise,
        tuning: &'a Tuning,
    ) -> impl Iterator<Item = &'a Peak> {
        let direction = surprise.direction;
        self.precedents.iter().filter_map(move |precedent| {
            let age = t - precedent.t;
            let is_recent = (tuning.precedent_age_min..=tuning.precedent_age_max).contains(&age);
            (is_recent && Some(precedent.peak.direction) == direction).then_some(&precedent.peak)
        })
    }

    fn remember(&mut self, precedent: Precedent, tuning: &Tuning) {
        if let Some(newest) = self.precedents.get_mut(usize::from(self.newest))
            && newest.peak.direction == precedent.peak.direction
            && precedent.t - newest.t < tuning.precedent_age_min
        {
            newest.t = precedent.t;
            newest.peak.join(&precedent.peak);
        } else if self.precedents.len() < PRECEDENTS {
            self.newest = self.precedents.len() as u8;
            self.precedents.reserve_exact(1);
            self.precedents.push(precedent);
        } else {
            self.newest = (self.newest + 1) % PRECEDENTS as u8;
            self.precedents[usize::from(self.newest)] = precedent;
        }
    }

    fn close_episode(&mut self) -> Option<Episode> {
        let hour_z = std::mem::take(&mut self.hour_z);
        let is_down = std::mem::take(&mut self.is_hour_down);
        if hour_z < EPISODE_Z as f32 {
            let episode = std::mem::take(&mut self.episode);
            return (episode.hours > 0).then_some(episode);
        }
        let episode = &mut self.episode;
        if hour_z > episode.z {
            (episode.z, episode.is_down) = (hour_z, is_down);
        }
        episode.hours = (episode.hours + 1).min(EPISODE_HOURS_MAX);
        None
    }
}

impl Episode {
    /// As the fleet counts it, with the hour that fell below.
    pub fn ended(self, hour: u32) -> EpisodeEnd {
        EpisodeEnd {
            hour,
            hours: self.hours,
            bin: bin_of(f64::from(self.z)),
            direction: if self.is_down {
                Direction::Down
            } else {
                Direction::Up
            },
        }
    }
}

impl Precedent {
    /// Whether it came, at least in part, of an incident in these buckets: hours that surprise
    /// within so long after each other are one precedent.
    fn is_of(&self, direction: Direction, buckets: &Range<u32>, tuning: &Tuning) -> bool {
        let last = buckets.end.saturating_add(tuning.precedent_age_min);
        self.peak.direction == direction && (buckets.start + 1..=last).contains(&self.t)
    }
}

impl Peak {
    /// What a Start was decided by.
    pub fn of_start(event: &InsightEvent, bucket_minutes: u32) -> Self {
        let why = &event.explanation;
        let buckets = f64::from(why.window_minutes) / f64::from(bucket_minutes);
        Peak {
            surprise: why.surprise as f32,
            direction: event.direction,
            ratio: ((why.observed + 0.5) / (why.expected + 0.5)) as f32,
            rate: (why.observed / buckets) as f32,
        }
    }

    pub fn is_sound(&self) -> bool {
        are_amounts([self.surprise, self.ratio, self.rate], f64::MAX)
    }

    fn excuses(&self, surprise: &Surprise) -> bool {
        let ratio = f64::from(self.ratio);
        let as_strong = f64::from(self.surprise) * COMPARABLE >= surprise.value;
        let as_far = match self.direction {
            Direction::Up => {
                ratio * COMPARABLE >= surprise.ratio
                    || f64::from(self.rate) * COMPARABLE >= surprise.rate
            }
            Direction::Down => ratio <= COMPARABLE * surprise.ratio,
        };
        as_strong || as_far
    }

    /// Takes the more extreme of both; they have one direction.
    fn join(&mut self, other: &Peak) {
        self.surprise = self.surprise.max(other.surprise);
        match self.direction {
            Direction::Up => {
                self.ratio = self.ratio.max(other.ratio);
                self.rate = self.rate.max(other.rate);
            }
            Direction::Down => {
                self.ratio = self.ratio.min(other.ratio);
                self.rate = self.rate.min(other.rate);
            }
        }
    }
}
