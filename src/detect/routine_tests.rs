//! Regular hours and misses against lists of hours, and what a miss is worth.

use super::*;
use proptest::prelude::*;

/// What is said of each hour when the next one closes, in decades.
fn judged(calls: &[bool]) -> Vec<Option<f64>> {
    let mut routine = Routine::default();
    let mut said = vec![];
    for (hour, is_busy) in calls.iter().enumerate() {
        // Beside what is usual, 120 a day: five an hour.
        routine.count(if *is_busy { 15 } else { 14 });
        routine.close_hour(hour as u32, 120.0);
        said.push(routine.judge(hour as u32, || false));
    }
    said
}

/// Weeks of a job at 03:00 of the days that `runs`, with other hours added and taken away.
fn job(weeks: u32, runs: impl Fn(u32) -> bool) -> Vec<bool> {
    let hours = 0..weeks * WEEK;
    hours
        .map(|hour| hour % 24 == 3 && runs(hour / 24))
        .collect()
}

fn check(calls: &[bool], missed: &[usize]) {
    assert_eq!(missed_hours(calls), missed);
}

fn missed_hours(calls: &[bool]) -> Vec<usize> {
    let said = judged(calls);
    (0..said.len())
        .filter(|hour| said[*hour].is_some())
        .collect()
}

/// A daily job that does not run is missed when the hour after has passed without it; in its first
/// two weeks nothing is known.
#[test]
fn a_daily_job_that_does_not_run_is_missed() {
    check(&job(5, |day| day != 30), &[30 * 24 + 4]);
    check(&job(5, |_| true), &[]);
    check(&job(2, |day| day != 13), &[]);
}

#[test]
fn a_job_of_working_days_is_missed_on_those_only() {
    let is_working = |day: u32| day % 7 < 5;
    check(&job(5, is_working), &[]);
    check(&job(5, |day| is_working(day) && day != 28), &[28 * 24 + 4]);
}

#[test]
fn a_run_that_is_late_or_early_by_an_hour_is_not_missed() {
    for hour in [2, 4] {
        let mut calls = job(5, |day| day != 30);
        calls[30 * 24 + hour] = true;
        check(&calls, &[]);
    }
}

/// One that often does not run is worth less: half a miss in 11 + the runs of the last weeks.
#[test]
fn a_miss_is_worth_what_the_series_is_reliable() {
    let worth = |missed: &[u32]| {
        let said = judged(&job(8, |day| !missed.contains(&day)));
        said[*missed.last().unwrap() as usize * 24 + 4].unwrap()
    };
    // Days 15 to 49, each worth half after four weeks.
    let runs: f64 = (0..35).map(|day| 0.5f64.powf(f64::from(day) / 28.0)).sum();
    let first = (11.0 + runs).log10() - 0.5f64.log10();
    assert!(
        (worth(&[50]) - first).abs() < 0.02,
        "{} {first}",
        worth(&[50])
    );
    assert!(worth(&[50, 51]) > 1.9 * first, "two in a row");
    assert!(worth(&[20, 24, 28, 50]) < first - 0.4);
}

proptest! {
    /// The bits say what a list of all hours says.
    #[test]
    fn regular_hours_are_those_of_a_list(
        base in prop::collection::vec(prop::bool::weighted(0.15), 24),
        flips in prop::collection::vec((0usize..840, any::<bool>()), 0..60),
    ) {
        let mut calls: Vec<bool> = (0..840).map(|hour| base[hour % 24]).collect();
        for (hour, has_calls) in flips {
            calls[hour] = has_calls;
        }
        let expected: Vec<usize> = (337..839)
            .filter(|hour| {
                let before = |hours: usize| calls[hour - hours];
                let days = (1..=7).filter(|day| before(24 * day)).count();
                let is_regular = before(168) && before(336) && days >= 5;
                is_regular && !calls[hour - 1] && !calls[*hour] && !calls[hour + 1]
            })
            .map(|hour| hour + 1)
            .collect();
        prop_assert_eq!(missed_hours(&calls), expected);
    }
}
