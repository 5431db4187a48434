//! Windows of hours against sums over lists.

use super::*;
use proptest::prelude::*;

/// Hours seen and expected, each with what the flat level says of a day.
fn closed(hours: &[(f64, f64)]) -> Slow {
    let mut slow = Slow::default();
    for (hour, (seen, expected)) in hours.iter().enumerate() {
        slow.close_hour(hour as u32, *seen, *expected, 100.0);
    }
    slow
}

fn check_window(hours: &[(f64, f64)], length: u32, expected: Option<(f64, f64, Direction)>) {
    let slow = closed(hours);
    let found = slow
        .windows(hours.len() as u32 - 1)
        .find(|window| window.hours == length)
        .map(|window| (window.judged, window.expected, window.direction));
    assert_eq!(found, expected, "{length} hours");
}

/// The most extreme hour of a window does not count, be it too much or too little.
#[test]
fn a_single_hour_is_no_slow_incident() {
    let usual = vec![(6.0, 6.0); 200];
    let with = |last: &[f64]| {
        let mut hours = usual.clone();
        hours.extend(last.iter().map(|seen| (*seen, 6.0)));
        hours
    };
    check_window(&with(&[6.0, 500.0, 6.0]), 4, None);
    check_window(&with(&[6.0, 0.0, 6.0]), 12, None);
    check_window(
        &with(&[0.0, 0.0, 0.0, 0.0]),
        4,
        Some((6.0, 24.0, Direction::Down)),
    );
    check_window(
        &with(&[9.0, 9.0, 9.0, 30.0]),
        4,
        Some((33.0, 24.0, Direction::Up)),
    );
}

/// Below ten calls nothing is said of a window, and of no window in the first week.
#[test]
fn windows_that_expect_little_are_not_judged() {
    let quiet = vec![(0.5, 0.5); 200];
    let lengths = |hours: &[(f64, f64)]| -> Vec<u32> {
        let mut hours = hours.to_vec();
        hours.extend([(0.0, 0.5); 24]);
        let slow = closed(&hours);
        slow.windows(hours.len() as u32 - 1)
            .map(|window| window.hours)
            .collect()
    };
    assert_eq!(lengths(&quiet), [24]);
    assert!(lengths(&quiet[..100]).is_empty());
}

#[test]
fn a_series_is_followed_while_it_flows() {
    let mut slow = Slow::default();
    slow.close_hour(0, 0.0, 0.4, 9.9);
    assert!(!slow.is_followed());
    slow.close_hour(1, 0.0, 0.4, 10.0);
    assert!(slow.is_followed());
    slow.close_hour(2, 0.0, 0.3, 5.0);
    assert!(slow.is_followed());
    slow.close_hour(3, 0.0, 0.2, 4.9);
    assert!(!slow.is_followed());
}

proptest! {
    /// Windows and dispersions are sums over lists, taken anew.
    #[test]
    fn windows_equal_sums_over_lists(
        hours in prop::collection::vec((0u32..40, 5u32..20), 169..400),
    ) {
        let hours: Vec<(f64, f64)> =
            hours.into_iter().map(|(seen, mean)| (f64::from(seen), f64::from(mean))).collect();
        let slow = closed(&hours);
        let found: Vec<SlowWindow> = slow.windows(hours.len() as u32 - 1).collect();
        for length in WINDOWS.map(|length| length as usize) {
            let (mut squares, mut calls) = (0.0, 0.0);
            for block in hours.chunks_exact(length) {
                let keep = 2f64.powf(-(length as f64) / 168.0);
                let seen: f64 = block.iter().map(|hour| hour.0).sum();
                let mean: f64 = block.iter().map(|hour| hour.1).sum();
                squares = keep * squares + (seen - mean) * (seen - mean);
                calls = keep * calls + mean;
            }
            let phi = ((squares + 15.0) / (calls + 5.0)).max(1.0);
            let last = &hours[hours.len() - length..];
            let seen: f64 = last.iter().map(|hour| hour.0).sum();
            let mean: f64 = last.iter().map(|hour| hour.1).sum();
            let errors = last.iter().map(|hour| hour.0 - hour.1);
            let farthest = match seen < mean {
                true => errors.fold(0.0, f64::min),
                false => errors.fold(0.0, f64::max),
            };
            let judged = seen - farthest;
            let is_left = (judged < mean) == (seen < mean) && judged != mean;
            let Some(window) = found.iter().find(|one| one.hours as usize == length) else {
                prop_assert!(!is_left || mean < 10.0, "{} hours are judged", length);
                continue;
            };
            prop_assert_eq!((window.seen, window.expected), (seen, mean));
            prop_assert!((window.judged - judged).abs() < 1e-9);
            prop_assert!((window.phi / phi - 1.0).abs() < 1e-9);
        }
    }
}
