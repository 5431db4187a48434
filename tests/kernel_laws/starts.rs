//! What a Start needs beyond the score of the specification (decisions 0009 and 0010).

use insightd::detect::series_state::SeriesState;
use insightd::detect::settings::{DetectSettings, Profile, Tuning};
use insightd::detect::verdict::{Change, Context, Needed};
use insightd::model::Direction;

use crate::ORIGIN_HOUR;
use crate::streams::Counts;

const DAY: usize = 1440;

/// Minute, direction and the score needed beyond `z_star` of every Start.
fn starts(counts: &[u64], z_star: f64) -> Vec<(usize, Direction, f64)> {
    starts_with(&DetectSettings::default(), counts, z_star)
}

fn starts_with(
    settings: &DetectSettings,
    counts: &[u64],
    z_star: f64,
) -> Vec<(usize, Direction, f64)> {
    let tuning = Tuning::new(settings);
    let ctx = Context {
        tuning: &tuning,
        origin_hour: ORIGIN_HOUR,
        needed: Needed::both(z_star),
        withholds_drops: false,
        calendar: None,
    };
    let history = Counts(counts.to_vec());
    let mut state = SeriesState::silent();
    let mut starts = vec![];
    for (t, count) in counts.iter().enumerate() {
        let judged = state.minute(t as u32, *count, &ctx, &history);
        if let Some(Change::Start {
            direction,
            explanation,
            ..
        }) = judged.change
        {
            let extra = explanation.z_threshold - z_star;
            starts.push((t, direction, (extra * 1000.0).round() / 1000.0));
        }
    }
    starts
}

fn every(minutes: usize, calls: u64, days: usize) -> Vec<u64> {
    let call = |t: usize| if t.is_multiple_of(minutes) { calls } else { 0 };
    (0..days * DAY).map(call).collect()
}

/// One failed poll looked like an outage of ten minutes; three in a row are one.
#[test]
fn a_failed_poll_is_no_outage_and_three_are() {
    let mut counts = every(10, 55, 10);
    counts[8 * DAY + 600] = 0;
    assert_eq!(starts(&counts, 5.0), vec![]);
    counts[8 * DAY + 610] = 0;
    counts[8 * DAY + 620] = 0;
    let found = starts(&counts, 5.0);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].1, Direction::Down);
}

/// Surges that come again and again are a job's; outages that do are outages, but for a profile that
/// is as AWS's.
#[test]
fn the_third_outage_of_a_week_is_told_and_the_third_surge_is_not() {
    let with = |calls: u64| {
        let mut counts = every(1, 40, 14);
        for start in [7 * DAY + 600, 9 * DAY + 800, 11 * DAY + 1000] {
            counts[start..start + 12].fill(calls);
        }
        counts
    };
    let found = |calls: u64, profile: Profile| {
        let settings = DetectSettings {
            profile,
            ..DetectSettings::default()
        };
        let days: Vec<usize> = starts_with(&settings, &with(calls), 4.2)
            .iter()
            .map(|start| start.0 / DAY)
            .collect();
        days
    };
    assert_eq!(found(0, Profile::Default), [7, 9, 11]);
    assert_eq!(found(400, Profile::Default), [7, 9]);
    assert_eq!(found(0, Profile::Compat), [7, 9]);
}

/// A daily job has run on some days and did not on one: no matter of one in a million.
#[test]
fn a_daily_run_that_does_not_come_is_a_weak_case() {
    let mut counts = vec![0; 14 * DAY];
    for day in (0..14).filter(|day| *day != 12) {
        counts[day * DAY + 125..day * DAY + 133].fill(60);
    }
    let drops = |z_star| {
        let found = starts(&counts, z_star);
        found.iter().filter(|start| start.0 >= 7 * DAY).count()
    };
    assert_eq!(drops(4.1), 0);
    assert_eq!(drops(3.9), 1);
}

/// The second surge of a week, as high as the first, needs more; so does one right after another.
#[test]
fn a_surge_with_an_example_needs_more() {
    let mut counts = every(1, 20, 12);
    for start in [8 * DAY, 10 * DAY, 10 * DAY + 60] {
        counts[start..start + 10].fill(100);
    }
    let found = starts(&counts, 4.0);
    let extras: Vec<f64> = found.iter().map(|start| start.2).collect();
    assert_eq!(extras, [0.0, 1.75, 3.75], "{found:?}");
}
