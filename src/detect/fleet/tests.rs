//! When reports come into force, what they forget, what counts once, and snapshots.

use glob::Pattern;

use crate::model::Scope;

use super::super::budget::ScopedBudget;
use super::*;

const CALLS: Class = Class(0);

fn report(live_series: u64, episodes: u32) -> HourReport {
    let mut report = HourReport::new(STRATA);
    report.live_series = live_series;
    let calls = report.class_mut(CALLS);
    calls.live_series = live_series;
    calls.episodes[..20].fill(episodes);
    report
}

fn cell(account: u16, bin: u8) -> Cell {
    Cell {
        ago: 1,
        class: CALLS,
        account,
        bin,
    }
}

/// A fleet after its first week and `hours` more of `report`.
fn after(fleet: &mut Fleet, hours: u32, report: impl Fn(u32) -> HourReport) {
    while fleet.next_hour() < FIRST_HOUR {
        fleet.report(fleet.next_hour(), &HourReport::new(STRATA));
    }
    let end = fleet.next_hour() + hours;
    while fleet.next_hour() < end {
        fleet.report(fleet.next_hour(), &report(fleet.next_hour()));
    }
}

fn calls(thresholds: &Thresholds) -> Threshold {
    *thresholds.of(CALLS).expect("every fleet has calls")
}

#[test]
fn a_report_is_in_force_three_hours_later() {
    let mut fleet = Fleet::new(&DetectSettings::default());
    let nothing_known = fleet.thresholds_for(2);
    assert_eq!(calls(&nothing_known).basis, Basis::Shipped);
    fleet.report(0, &report(10, 0));
    fleet.report(1, &report(1000, 0));
    assert_eq!(fleet.thresholds_for(2), nothing_known);
    assert_eq!(fleet.thresholds_for(3).live_series, 10);
    assert_eq!(fleet.thresholds_for(4).live_series, 1000);
    assert_eq!(fleet.thresholds_for(3).live_series, 10);
}

#[test]
fn episodes_of_the_first_week_do_not_count() {
    let mut fleet = Fleet::new(&DetectSettings::default());
    for hour in 0..FIRST_HOUR {
        fleet.report(hour, &report(1000, 50));
    }
    assert!(fleet.classes.iter().all(|one| one == &Memory::new()));
    for hour in FIRST_HOUR..FIRST_HOUR + 100 {
        fleet.report(hour, &report(10_000, 1));
    }
    let threshold = calls(&fleet.thresholds_for(FIRST_HOUR + 102));
    assert_eq!(threshold.basis, Basis::Class);
    let expected = threshold.expected_per_week(threshold.z);
    assert!(expected < 1.8 + 1e-9, "{threshold:?}");
}

#[test]
fn a_snapshot_restores_every_bit() {
    let mut fleet = Fleet::new(&DetectSettings::default());
    for hour in 0..300 {
        let mut report = report(u64::from(hour) * 7, hour % 5);
        report.add(cell((hour % 7) as u16, 20 + (hour % 9) as u8));
        fleet.report(hour, &report);
    }
    let bytes = postcard::to_stdvec(&fleet).unwrap();
    let mut restored: Fleet = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(restored, fleet);
    let pristine = Fleet::new(&DetectSettings::default());
    assert_eq!(restored.check(&pristine, 300, 1 << 40), Ok(()));
    for fleet in [&mut fleet, &mut restored] {
        fleet.report(300, &report(9, 9));
    }
    assert_eq!(
        postcard::to_stdvec(&fleet).unwrap(),
        postcard::to_stdvec(&restored).unwrap()
    );
}

/// One deployment: fifty series of an account at once, in an account that is usually quiet.
#[test]
fn episodes_of_one_account_and_hour_are_one_cause() {
    let mut together = Fleet::new(&DetectSettings::default());
    let mut apart = together.clone();
    let burst = |apart: bool| {
        move |hour: u32| {
            let mut one = report(10_000, 0);
            if hour.is_multiple_of(24) {
                for i in 0..50 {
                    one.add(cell(if apart { i } else { 7 }, 30 + (i % 3) as u8));
                }
            }
            one
        }
    };
    after(&mut together, 400, burst(false));
    after(&mut apart, 400, burst(true));
    let causes = |fleet: &Fleet| fleet.classes[0].causes.iter().sum::<f64>();
    let episodes = |fleet: &Fleet| fleet.classes[0].episodes.iter().sum::<f64>();
    assert!((episodes(&together) - episodes(&apart)).abs() < 1e-9);
    assert!((causes(&apart) - episodes(&apart)).abs() < 0.2 * causes(&apart));
    // One, and twice what is usual of 50 a day.
    let most = (1.0 + 2.0 * 50.0 / 24.0 * 1.1) / 50.0;
    assert!(causes(&together) < most * causes(&apart));
    assert!(causes(&together) > causes(&apart) / 50.0);
}

/// A large account has some episode in every hour by chance, and those stay counted.
#[test]
fn a_large_account_is_not_one_cause() {
    let mut fleet = Fleet::new(&DetectSettings::default());
    after(&mut fleet, 400, |hour| {
        let mut one = report(10_000, 0);
        for i in 0..10 + hour % 7 {
            one.add(cell(7, 15 + (i % 20) as u8));
        }
        one
    });
    let memory = &fleet.classes[0];
    let (causes, episodes): (f64, f64) = (memory.causes.iter().sum(), memory.episodes.iter().sum());
    // The episodes of the last hours wait.
    assert!(causes > 0.93 * episodes, "{causes} of {episodes}");
}

/// However the episodes of an hour are spread over partitions, the sum is the same.
#[test]
fn reports_add_up_over_partitions() {
    let mut whole = Fleet::new(&DetectSettings::default());
    let mut parts = whole.clone();
    for hour in 0..400u32 {
        let mut one = HourReport::new(STRATA);
        let mut split = vec![HourReport::new(STRATA); 5];
        for i in 0..hour % 23 {
            let cell = cell((i * i % 3) as u16, (i * 7 % 60) as u8);
            one.add(cell);
            split[(i % 5) as usize].add(cell);
        }
        one.live_series = 500;
        one.class_mut(CALLS).live_series = 500;
        for part in &mut split {
            part.live_series = 100;
            part.class_mut(CALLS).live_series = 100;
        }
        let mut sum = HourReport::default();
        split.iter().for_each(|part| sum += part);
        assert_eq!(sum, one);
        whole.report(hour, &one);
        parts.report(hour, &sum);
    }
    assert_eq!(whole, parts);
}

#[test]
fn what_is_confirmed_is_as_if_it_had_never_been() {
    let settings = DetectSettings::default();
    let (mut with, mut without) = (Fleet::new(&settings), Fleet::new(&settings));
    let usual = |hour: u32| {
        let mut one = report(10_000, 1);
        one.add(cell((hour % 50) as u16, 20));
        one
    };
    after(&mut with, 200, usual);
    after(&mut without, 200, usual);
    let mut strong = usual(with.next_hour());
    strong.add(cell(60, 90));
    strong.class_mut(CALLS).episodes[5] += 1;
    with.report(with.next_hour(), &strong);
    without.report(without.next_hour(), &usual(without.next_hour()));
    let confirm = |bin: u8, ended_ago: u32| ConfirmedCell {
        ended_ago,
        began_ago: ended_ago + 1,
        class: CALLS,
        account: 60,
        bin,
    };
    for later in [1, 10] {
        let (mut with, mut without) = (with.clone(), without.clone());
        after(&mut with, later - 1, usual);
        after(&mut without, later - 1, usual);
        assert_ne!(with.classes, without.classes);
        let mut told = usual(with.next_hour());
        told.confirmed = [(confirm(90, later), 1), (confirm(5, later), 1)].into();
        with.report(with.next_hour(), &told);
        without.report(without.next_hour(), &usual(without.next_hour()));
        after(&mut with, 10, usual);
        after(&mut without, 10, usual);
        for (ours, other) in with.classes[0].numbers().zip(without.classes[0].numbers()) {
            assert!((ours - other).abs() < 1e-2, "{later}: {ours} {other}");
        }
    }
}

#[test]
fn scopes_have_budgets_and_fits_of_their_own() {
    let account = |text: &str, per_week: f64| ScopedBudget {
        scope: Scope {
            account: Some(Pattern::new(text).unwrap()),
            ..Scope::default()
        },
        per_week,
    };
    let settings = DetectSettings {
        budget_per_week: 100.0,
        budgets: vec![account("1", 100.0), account("2", 1.0)],
        ..DetectSettings::default()
    };
    let mut fleet = Fleet::new(&settings);
    after(&mut fleet, 400, |_| {
        let mut one = HourReport::new(settings.classes());
        for (class, episodes) in [(0, 4), (3, 8), (6, 0)] {
            let class = one.class_mut(Class(class));
            class.live_series = 1000;
            class.episodes[..60].fill(0);
            for (bin, count) in class.episodes.iter_mut().enumerate().take(40) {
                *count = episodes >> (bin / 10);
            }
        }
        one
    });
    let thresholds = fleet.thresholds_for(FIRST_HOUR + 402);
    let of = |class: u8| *thresholds.of(Class(class)).unwrap();
    assert_eq!(of(0).basis, Basis::Class);
    assert_eq!(of(1).basis, Basis::Scope);
    assert_eq!(of(6).basis, Basis::Fleet);
    assert!(of(3).z > of(0).z, "it has twice the episodes");
    assert!(of(6).z > of(0).z, "it has less of a budget");
    assert_eq!((of(6).budget_per_week, of(6).live_series), (1.0, 1000));
    // Of 1,000 series one a week is 1e-3; of so many more it is less than was verified.
    assert_eq!(thresholds.beyond_verified().count(), 0);
    let many = Threshold::new(None, 1.0, 10_001);
    assert!(many.is_beyond_verified());
    // The same scopes with other budgets keep what they know; others begin with nothing.
    let mut other = settings.clone();
    other.budgets[1].per_week = 2.0;
    let before = fleet.classes.clone();
    fleet.reconfigure(&other);
    assert_eq!(fleet.classes, before);
    other.budgets.remove(0);
    fleet.reconfigure(&other);
    assert_eq!(fleet.classes.len(), 6);
    assert_eq!(fleet.classes[3], Memory::new());
    assert!(fleet.classes[0].exposure > before[0].exposure * 2.9);
}

/// A miss is told when nothing is owed, costs one, and is paid by a tenth of the budget: of ten a
/// week in a week. What is rarer has its own debt.
#[test]
fn missed_calls_are_told_as_often_as_they_are_paid_for() {
    let settings = DetectSettings {
        budget_per_week: 10.0,
        ..DetectSettings::default()
    };
    let mut fleet = Fleet::new(&settings);
    let missed = Class(2);
    let z = |fleet: &Fleet| {
        let thresholds = fleet.thresholds_for(fleet.next_hour() + FORCE_DELAY_HOURS);
        thresholds.of(missed).unwrap().z
    };
    after(&mut fleet, 100, |_| HourReport::new(STRATA));
    assert_eq!(z(&fleet), EPISODE_Z);
    let misses = |bins: &[u8]| {
        let mut report = HourReport::new(STRATA);
        for bin in bins {
            report.add(Cell {
                class: missed,
                bin: *bin,
                ..Cell::default()
            });
        }
        report
    };
    let calm = |fleet: &mut Fleet, hours: u32| {
        for _ in 0..hours {
            fleet.report(fleet.next_hour(), &HourReport::new(STRATA));
        }
    };
    // Two that are weak count each for itself.
    fleet.report(fleet.next_hour(), &misses(&[3, 3]));
    assert!((z(&fleet) - (EPISODE_Z + 0.4)).abs() < 1e-9);
    calm(&mut fleet, 334);
    assert!(z(&fleet) > EPISODE_Z);
    calm(&mut fleet, 2);
    assert_eq!(z(&fleet), EPISODE_Z);
    // Strong ones of one account and hour have one cause, once its hours are over.
    fleet.report(fleet.next_hour(), &misses(&[20, 20, 21, 22]));
    calm(&mut fleet, GROUP_HOURS);
    assert!((z(&fleet) - (EPISODE_Z + 2.3)).abs() < 1e-9);
    // Four of one hour are a little more than one: some hours have several by chance.
    calm(&mut fleet, 160);
    assert!(z(&fleet) > EPISODE_Z);
    calm(&mut fleet, 24);
    assert_eq!(z(&fleet), EPISODE_Z);
}

/// Pure chance, of every steepness: the line is found, and everything is no more than it.
#[test]
fn a_straight_tail_gives_back_its_budget() {
    for beta in [0.3, 0.5, 1.0] {
        let line = Line { alpha: 1.5, beta };
        let exposure = 5000.0;
        let counts: Vec<f64> = (0..BINS)
            .map(|bin| {
                let above = line.rate_at(fit::edge(bin));
                let next = line.rate_at(fit::edge(bin) + 0.1);
                exposure * if bin + 1 < BINS { above - next } else { above }
            })
            .collect();
        for rate in [0.1, 0.01, 0.001] {
            let fit = Tail::new(&counts, exposure).fit(rate).unwrap();
            let threshold = Threshold::new(Some((fit, Basis::Class)), rate * 1e4, 10_000);
            let found = line.rate_at(threshold.z) / rate;
            let off = threshold.z - threshold.z_nominal;
            let is_limited = off <= -0.5 + 1e-12 || off >= 8.0 - 1e-12;
            assert!(
                (0.97..1.03).contains(&found) || is_limited,
                "{beta} {rate}: {found}"
            );
        }
    }
}
