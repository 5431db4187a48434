//! What only hours tell: slow drops and ramps, in series of three weeks.

use insightd::detect::series_state::SeriesState;
use insightd::detect::settings::{DetectSettings, Profile, Tuning};
use insightd::detect::verdict::{Change, Context, Needed};
use insightd::model::{Direction, EndReason, Explanation, IncidentKind};
use proptest::prelude::*;

use crate::ORIGIN_HOUR;
use crate::laziness_decides_nothing;
use crate::streams::{Counts, Plan, plans};

const DAY: u32 = 1440;

/// Calls at this rate a minute for three weeks, changed by `factor` of the minute.
fn three_weeks(rate: f64, factor: impl Fn(u32) -> f64) -> Vec<u64> {
    let plan = Plan {
        seed: 77,
        days: 21,
        rate: rate.log10(),
        day_swing: 0.0,
        wildness: 0.0,
        cron: None,
        first: 0,
        events: vec![],
        late: vec![],
        z_star: 5.2,
    };
    let mut carried = 0.0;
    let change = |(t, count): (usize, u64)| {
        carried += count as f64 * factor(t as u32);
        let whole = f64::floor(carried);
        carried -= whole;
        whole as u64
    };
    plan.counts()
        .0
        .into_iter()
        .enumerate()
        .map(change)
        .collect()
}

/// Minute of the Start, side, hours, and where and why it ended.
type SlowIncident = (u32, Direction, u32, Option<(u32, EndReason)>);

/// Incidents of hours.
fn slow_incidents(counts: Vec<u64>, profile: Profile) -> Vec<SlowIncident> {
    incidents(counts, profile, 5.2, |why| why.kind == IncidentKind::Hours)
}

/// Incidents whose explanation is one of these.
fn incidents(
    counts: Vec<u64>,
    profile: Profile,
    z_star: f64,
    is_asked: impl Fn(&Explanation) -> bool,
) -> Vec<SlowIncident> {
    let settings = DetectSettings {
        profile,
        ..Default::default()
    };
    let tuning = Tuning::new(&settings);
    let ctx = Context {
        tuning: &tuning,
        origin_hour: ORIGIN_HOUR,
        needed: Needed::both(z_star),
        withholds_drops: false,
        calendar: None,
    };
    let history = Counts(counts);
    let mut state = SeriesState::silent();
    let mut found = vec![];
    let mut is_open = false;
    for (t, count) in history.0.iter().enumerate() {
        match state.minute(t as u32, *count, &ctx, &history).change {
            Some(Change::Start {
                direction,
                explanation,
                ..
            }) => {
                is_open = is_asked(&explanation);
                if is_open {
                    let hours = explanation.window_minutes / 60;
                    found.push((t as u32, direction, hours, None));
                }
            }
            Some(Change::End { end, reason }) if is_open => {
                found.last_mut().expect("an End follows its Start").3 = Some((end, reason));
            }
            _ => {}
        }
    }
    found
}

/// Six calls an hour that stop for sixteen hours: no hour of silence is a surprise, and ten are.
#[test]
fn a_slow_series_that_stops_is_seen_within_hours() {
    let silence = 17 * DAY + 100..17 * DAY + 100 + 16 * 60;
    let counts = three_weeks(0.1, |t| f64::from(u8::from(!silence.contains(&t))));
    let found = slow_incidents(counts.clone(), Profile::Default);
    let [(start, Direction::Down, _, Some((end, EndReason::Calm)))] = found[..] else {
        panic!("{found:?}");
    };
    assert!(
        start > silence.start + 4 * 60 && start < silence.start + 12 * 60,
        "{start}"
    );
    assert_eq!(start % 60, 0, "hours are judged when they close");
    assert!(
        (silence.end - 60..silence.end + 5 * 60).contains(&end),
        "{end}"
    );
    assert_eq!(slow_incidents(counts, Profile::Compat), []);
}

/// A ramp to three times the rate that stays there becomes the new normal, once.
#[test]
fn a_ramp_is_seen_and_becomes_the_new_normal() {
    let from = 16 * DAY;
    let ramp = |t: u32| 1.0 + 2.0 * f64::from(t.clamp(from, from + 480) - from) / 480.0;
    let found = slow_incidents(three_weeks(5.0, ramp), Profile::Default);
    let [(start, Direction::Up, _, Some((end, EndReason::NewNormal)))] = found[..] else {
        panic!("{found:?}");
    };
    assert!(start > from + 60 && start < from + 600, "{start}");
    assert_eq!(end, start + DAY + 1);
}

/// A job of every working day over a few other calls: a run that does not come is told an hour after
/// its own, and is over with the next.
#[test]
fn a_run_that_does_not_come_is_told() {
    let works = |day: u32| (490_901 / 24 + day + 3) % 7 < 5;
    let missed = (20..27).find(|day| works(*day)).unwrap();
    let counts = (0..30 * DAY).map(|t| {
        let (day, minute) = (t / DAY, t % DAY);
        let is_run = works(day) && day != missed && (185..188).contains(&minute);
        u64::from(is_run) * 4 + u64::from(t % 1000 == 17)
    });
    let found = incidents(counts.collect(), Profile::Default, 2.2, |why| {
        why.kind == IncidentKind::Missed
    });
    let [(start, Direction::Down, 3, Some((end, EndReason::Calm)))] = found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(start, missed * DAY + 5 * 60);
    assert!(end.is_multiple_of(60) && end % DAY == 3 * 60 && end > start);
}

/// What happens in one hour, however much, is no incident of hours.
#[test]
fn an_hour_is_no_matter_of_hours() {
    let burst = 17 * DAY + 600..17 * DAY + 640;
    let counts = three_weeks(0.5, |t| if burst.contains(&t) { 20.0 } else { 1.0 });
    assert_eq!(slow_incidents(counts, Profile::Default), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..Default::default() })]

    /// Nothing is missed and nothing added by visiting only when asked, through incidents of hours.
    #[test]
    fn laziness_decides_nothing_about_hours(
        mut plan in plans(17..22),
        rate in -1.6..0.5f64,
        day in 14..16u32,
        length in 300..2000u32,
        factor in prop_oneof![Just(0.0), 0.1..0.6, 1.5..4.0],
        bucket in prop_oneof![Just(1u32), Just(5)],
        step in 1..500u32,
    ) {
        plan.rate = rate;
        plan.z_star = 3.0;
        plan.events.push((day * DAY, length, factor, 0.0));
        laziness_decides_nothing(&plan, step, (Profile::Default, bucket))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..Default::default() })]

    /// The same of jobs at some hours of some days, over little else.
    #[test]
    fn laziness_decides_nothing_about_missed_calls(
        mut plan in plans(18..24),
        hours in prop::collection::btree_set(0u32..24, 1..4),
        works_weekends in any::<bool>(),
        missed in prop::collection::btree_set(15u32..23, 0..5),
        rate in -4.5..-2.0f64,
        bucket in prop_oneof![Just(1u32), Just(5), Just(15)],
        step in 1..500u32,
    ) {
        plan.rate = rate;
        plan.z_star = 2.2;
        plan.cron = None;
        for day in 0..plan.days {
            let runs = (works_weekends || day % 7 < 5) && !missed.contains(&day);
            for hour in hours.iter().filter(|_| runs) {
                plan.events.push((day * DAY + hour * 60 + 20, 8, 1.0, 3.0));
            }
        }
        laziness_decides_nothing(&plan, step, (Profile::Default, bucket))?;
    }
}
