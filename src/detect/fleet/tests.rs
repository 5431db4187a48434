//! When reports come into force, what they forget, and snapshots.

use super::*;

fn report(live_series: u64, episodes: u32) -> HourReport {
    let mut report = HourReport {
        live_series,
        ..HourReport::default()
    };
    report.episodes[..20].fill(episodes);
    report
}

#[test]
fn a_report_is_in_force_three_hours_later() {
    let mut fleet = Fleet::new(&DetectSettings::default());
    let nothing_known = fleet.threshold_for(2);
    fleet.report(0, &report(10, 0));
    fleet.report(1, &report(1000, 0));
    assert_eq!(fleet.threshold_for(2), nothing_known);
    assert_eq!(fleet.threshold_for(3).live_series, 10);
    assert_eq!(fleet.threshold_for(4).live_series, 1000);
    assert_eq!(fleet.threshold_for(3).live_series, 10);
}

#[test]
fn episodes_of_the_first_week_do_not_count() {
    let mut fleet = Fleet::new(&DetectSettings::default());
    for hour in 0..FIRST_HOUR {
        fleet.report(hour, &report(1000, 50));
    }
    assert_eq!(fleet.histogram, vec![0.0; BINS]);
    assert_eq!(fleet.exposure, 0.0);
    for hour in FIRST_HOUR..FIRST_HOUR + 100 {
        fleet.report(hour, &report(1000, 1));
    }
    let threshold = fleet.threshold_for(FIRST_HOUR + 102);
    assert!(threshold.bins_used >= EDGES_MIN, "{threshold:?}");
    assert!(
        threshold.expected_per_week(threshold.z) < 1.0 + 1e-9,
        "{threshold:?}"
    );
}

#[test]
fn a_snapshot_restores_every_bit() {
    let mut fleet = Fleet::new(&DetectSettings::default());
    for hour in 0..300 {
        fleet.report(hour, &report(u64::from(hour) * 7, hour % 5));
    }
    let bytes = postcard::to_stdvec(&fleet).unwrap();
    let mut restored: Fleet = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(restored, fleet);
    for fleet in [&mut fleet, &mut restored] {
        fleet.report(300, &report(9, 9));
    }
    assert_eq!(
        postcard::to_stdvec(&fleet).unwrap(),
        postcard::to_stdvec(&restored).unwrap()
    );
}
