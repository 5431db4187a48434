//! What the series of a fleet are like: eight classes of traffic and how their parts are drawn.
//!
//! The classes, shares and ranges are those of the bench that the detector's figures rest on
//! (reference detection, section 3), so that figures can be compared.

use super::calendar::{Calendar, DAY, DEPLOYMENT_GROUPS, WEEK, stream};
use super::level::Level;
use super::random::Random;
use super::schedule::Schedule;
use super::sessions::{Habit, Past, Sessions};
use super::traffic::{Background, Deployed, Late, Traffic};

/// The mechanism behind a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficClass {
    Steady,
    Poller,
    CronHourly,
    CronDaily,
    CronWeekly,
    Batch,
    Human,
    Error,
}

/// Class and its share of a fleet.
const SHARES: [(TrafficClass, f64); 8] = [
    (TrafficClass::Steady, 0.18),
    (TrafficClass::Poller, 0.12),
    (TrafficClass::CronHourly, 0.08),
    (TrafficClass::CronDaily, 0.08),
    (TrafficClass::CronWeekly, 0.02),
    (TrafficClass::Batch, 0.08),
    (TrafficClass::Human, 0.24),
    (TrafficClass::Error, 0.20),
];

/// How many calls the classes make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volume {
    /// As in the reference bench: up to 250 calls a minute and series.
    Full,
    /// About one call a minute and busy series, and habits instead of rare events: ordinary
    /// traffic, written out event by event.
    Light,
}

/// Draws the class of one series.
pub(super) fn class_of(calendar: &Calendar, series: u32) -> TrafficClass {
    let mut rest = Random::keyed(calendar.seed, &[stream::CLASS, u64::from(series)]).unit();
    for (class, share) in SHARES {
        if rest < share {
            return class;
        }
        rest -= share;
    }
    TrafficClass::Error
}

/// A series that is silent unless something is planted on it.
pub(super) fn silent(calendar: &Calendar, series: u32) -> Traffic {
    let random = |key| Random::keyed(calendar.seed, &[key, u64::from(series)]);
    let mut late = random(stream::LATE);
    Traffic {
        level: None,
        schedule: None,
        sessions: None,
        background: Background {
            rate: 0.0,
            fan: 1,
            next: 0.0,
            random: random(stream::BACKGROUND),
        },
        deployed: None,
        born: 0,
        late: Late {
            next: late.exponential(500.0),
            random: late,
        },
        day: 0,
        carry: Vec::new(),
        is_seen: false,
    }
}

/// A series with a steady rate and nothing else: `amplitude` 0 is flat by day and week.
pub(super) fn steady_rate(
    calendar: &Calendar,
    series: u32,
    base: f64,
    amplitude: f64,
    dispersion: f64,
) -> Traffic {
    let level = Level {
        base,
        amplitude,
        peak: 14.0 * 60.0,
        weekend: if amplitude > 0.0 { 0.7 } else { 1.0 },
        dispersion,
        noise: 0.0,
        memory: 60.0,
        growth: 0.0,
        growth_minutes: 0,
        half_hour: 1.0,
        deployed: 1.0,
        random: Random::keyed(calendar.seed, &[stream::LEVEL, u64::from(series)]),
        noise_now: 0.0,
    };
    Traffic {
        level: Some(level),
        ..silent(calendar, series)
    }
}

/// A series of `class`, its parameters drawn by its number.
pub(super) fn traffic(
    calendar: &Calendar,
    series: u32,
    class: TrafficClass,
    volume: Volume,
) -> Traffic {
    let mut random = Random::keyed(calendar.seed, &[stream::RECIPE, u64::from(series)]);
    let keyed = |key| Random::keyed(calendar.seed, &[key, u64::from(series)]);
    let mut traffic = silent(calendar, series);
    let is_light = volume == Volume::Light;
    let is_deployed = random.chance(0.3);
    let mut background = 0.0;
    match class {
        TrafficClass::Steady => {
            traffic.level = Some(level(calendar, &mut random, is_light, keyed(stream::LEVEL)));
        }
        TrafficClass::Poller => {
            traffic.schedule = Some(poller(&mut random, is_light, keyed(stream::SCHEDULE)));
            background = random.decades(-4.0, -1.0);
        }
        TrafficClass::CronHourly | TrafficClass::CronDaily | TrafficClass::CronWeekly => {
            let schedule = keyed(stream::SCHEDULE);
            traffic.schedule = Some(cron(class, &mut random, is_light, schedule));
            let most = match class {
                _ if is_light => -2.0,
                TrafficClass::CronWeekly => -1.0,
                _ => 0.0,
            };
            background = random.decades(-4.0, most);
        }
        TrafficClass::Batch => {
            traffic.sessions = Some(batch(&mut random, is_light, keyed(stream::SESSIONS)));
            background = random.decades(-4.0, if is_light { -2.0 } else { -0.5 });
        }
        TrafficClass::Human => {
            traffic.sessions = Some(human(&mut random, is_light, keyed(stream::SESSIONS)));
            background = random.decades(-5.0, -2.0);
        }
        TrafficClass::Error => {
            if random.chance(0.5) {
                traffic.sessions = Some(storms(&mut random, is_light, keyed(stream::SESSIONS)));
            }
            background = random.decades(-6.0, -1.0);
            if random.chance(0.3) {
                traffic.background.fan = random.within(2, 5);
            }
        }
    }
    traffic.background.rate = background;
    traffic.background.next = traffic
        .background
        .random
        .exponential(1.0 / background.max(1e-9));
    let deploys = matches!(
        class,
        TrafficClass::Steady | TrafficClass::Human | TrafficClass::Error
    );
    if is_deployed && deploys {
        let own = keyed(stream::DEPLOYED);
        deploy(&mut traffic, class, is_light, &mut random, own);
    }
    if random.chance(0.05) && !calendar.is_ordinary {
        traffic.born = 1 + random.below(calendar.days * DAY);
    }
    traffic
}

fn deploy(
    traffic: &mut Traffic,
    class: TrafficClass,
    is_light: bool,
    random: &mut Random,
    own: Random,
) {
    if let Some(level) = &mut traffic.level {
        level.deployed = random.between(1.5, if is_light { 2.0 } else { 4.0 });
    }
    let share = if class == TrafficClass::Error {
        0.3
    } else {
        1.0
    };
    traffic.deployed = Some(Deployed {
        group: random.below(DEPLOYMENT_GROUPS),
        calls: share * random.decades(-0.5, if is_light { -0.1 } else { 0.9 }),
        last: None,
        random: own,
    });
}

fn peak(random: &mut Random) -> f64 {
    14.0 * 60.0 + random.between(-180.0, 180.0)
}

fn level(calendar: &Calendar, random: &mut Random, is_light: bool, own: Random) -> Level {
    let base = if is_light {
        random.decades(-0.7, 0.1)
    } else {
        random.decades(-0.3, 2.4)
    };
    let growth = if random.chance(0.1) {
        // 1.2 to 1.8 times over four weeks.
        random.between(0.18, 0.59) / f64::from(4 * WEEK)
    } else {
        0.0
    };
    Level {
        base,
        amplitude: random.between(0.0, 1.2),
        peak: peak(random),
        weekend: random.between(0.25, 1.0),
        dispersion: 1.0 + random.log_normal(-0.5, 1.0),
        noise: random.between(0.02, 0.3),
        memory: random.decades(1.0, 2.8),
        growth,
        growth_minutes: calendar.days * DAY,
        half_hour: if random.chance(0.3) {
            1.0 + random.between(0.0, 1.5)
        } else {
            1.0
        },
        deployed: 1.0,
        random: own,
        noise_now: 0.0,
    }
}

fn poller(random: &mut Random, is_light: bool, own: Random) -> Schedule {
    let periods: &[u32] = if is_light {
        &[5, 10, 15]
    } else {
        &[1, 2, 5, 10, 15]
    };
    let period = *random.pick(periods);
    Schedule {
        period,
        next: random.below(period),
        jitter: 0,
        minutes: 1,
        calls: libm::floor(random.decades(0.0, if is_light { 0.7 } else { 2.0 })),
        spread: random.between(0.0, 0.1),
        is_exact: true,
        weekdays_only: false,
        missed: random.between(0.0, 0.02),
        random: own,
    }
}

fn cron(class: TrafficClass, random: &mut Random, is_light: bool, own: Random) -> Schedule {
    let (period, calls, minutes_max) = match class {
        TrafficClass::CronHourly => {
            let hours = *random.pick(&[1, 1, 1, 2, 3, 4, 6]);
            (60 * hours, (0.5, 2.7), 5)
        }
        TrafficClass::CronDaily => (DAY, (1.0, 3.5), 20),
        _ => (WEEK, (1.5, 3.5), 59),
    };
    let calls = if is_light {
        random.decades(calls.0, calls.1 - 1.0)
    } else {
        random.decades(calls.0, calls.1)
    };
    let is_daily = class == TrafficClass::CronDaily;
    let jitter = match class {
        TrafficClass::CronHourly => random.below(2),
        _ => random.below(3),
    };
    // A habitual weekly job has run once when the second day is over.
    let first = if is_light {
        period.min(2 * DAY)
    } else {
        period
    };
    Schedule {
        period,
        next: random.below(first),
        jitter: if is_light { jitter / 2 } else { jitter },
        minutes: random.within(1, minutes_max),
        calls,
        spread: random.between(0.05, if is_light { 0.2 } else { 0.4 }),
        is_exact: false,
        weekdays_only: is_daily && random.chance(0.35),
        missed: if is_daily && !is_light { 0.01 } else { 0.0 },
        random: own,
    }
}

fn batch(random: &mut Random, is_light: bool, own: Random) -> Sessions {
    let rates = if is_light { (-0.5, 0.7) } else { (1.0, 5.0) };
    let habit = Habit::Batch {
        minutes_mean: if is_light { 1.0 } else { 2.3 },
        rate_mean: random.between(rates.0, rates.1),
        rate_spread: random.between(0.3, if is_light { 0.5 } else { 1.0 }),
    };
    // One to six jobs a day; habitual ones come at least three times.
    let gap = f64::from(DAY) / random.decades(if is_light { 0.5 } else { 0.0 }, 0.8);
    sessions(habit, gap, peak(random), own)
}

fn human(random: &mut Random, is_light: bool, own: Random) -> Sessions {
    let habit = Habit::Human {
        minutes_mean: random.between(1.0, if is_light { 3.0 } else { 10.0 }),
        rate: random.decades(-0.3, if is_light { 0.0 } else { 1.0 }),
        weekend: random.between(0.25, 1.0),
    };
    // 0.2 to 20 sessions a day, habitual ones from 3; office hours accept two candidates of five.
    let fewest = if is_light { 0.5 } else { -0.7 };
    let gap = f64::from(DAY) / (2.5 * random.decades(fewest, 1.3));
    sessions(habit, gap, peak(random), own)
}

fn storms(random: &mut Random, is_light: bool, own: Random) -> Sessions {
    let (per_week, decades) = if is_light {
        ((7.0, 20.0), 0.8)
    } else {
        ((0.1, 3.0), 1.8)
    };
    let gap = f64::from(WEEK) / random.between(per_week.0, per_week.1);
    sessions(Habit::Storm { decades }, gap, 0.0, own)
}

fn sessions(habit: Habit, gap: f64, peak: f64, mut own: Random) -> Sessions {
    Sessions {
        habit,
        gap,
        peak,
        next: own.exponential(gap),
        random: own,
        past: Past::default(),
    }
}
