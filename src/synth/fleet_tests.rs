//! What a fleet promises: the same bytes from the same seed, labels that agree with the data,
//! rates and CloudTrail records that agree with each other.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::model::{EventTime, InsightType, SeriesKey};
use crate::synth::{Arrivals, Demo, PlantKind, RateRows, parse_labels, write_labels};

fn settings(profile: Profile, days: u32, series: u32, seed: u64) -> FleetSettings {
    FleetSettings {
        profile,
        days,
        series,
        seed,
        start: START,
        inject: None,
    }
}

fn fleet(settings: &FleetSettings) -> Fleet {
    Fleet::new(settings).unwrap()
}

fn rates_of(fleet: Fleet) -> Vec<u8> {
    let (mut rows, mut out) = (RateRows::new(fleet), Vec::new());
    while rows.next_minute(&mut out) {}
    out
}

fn records_of(fleet: Fleet) -> Vec<u8> {
    let (mut arrivals, mut out) = (Arrivals::new(fleet), Vec::new());
    while arrivals.next_minute(&mut out) {}
    out
}

type Counts = BTreeMap<(Minute, SeriesKey), u64>;

fn key_of(parts: [&str; 5]) -> SeriesKey {
    let kind = if parts[4].is_empty() {
        InsightType::ApiCallRate
    } else {
        InsightType::ApiErrorRate
    };
    let [a, r, s, n, e] = parts;
    SeriesKey::parse(&format!("{a},{r},{s},{n},{},{e}", kind.name())).unwrap()
}

fn counts_of_rates(csv: &[u8]) -> Counts {
    let mut counts = Counts::new();
    for line in std::str::from_utf8(csv).unwrap().lines().skip(1) {
        let f: Vec<&str> = line.split(',').collect();
        let minute = EventTime::parse(f[0]).unwrap().minute();
        let key = key_of([f[1], f[2], f[3], f[4], f[5]]);
        *counts.entry((minute, key)).or_default() += f[6].parse::<u64>().unwrap();
    }
    counts
}

/// The default counting rules, written down once more: write management calls by API, errors of
/// management events by code, each event id once.
fn counts_of_records(ndjson: &[u8]) -> (Counts, u64) {
    let (mut counts, mut seen) = (Counts::new(), std::collections::BTreeSet::new());
    let mut duplicates = 0;
    for line in std::str::from_utf8(ndjson).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| record[name].as_str().unwrap_or("").to_string();
        if !seen.insert(text("eventID")) {
            duplicates += 1;
            continue;
        }
        if record["eventCategory"] != "Management" {
            continue;
        }
        let minute = EventTime::parse(&text("eventTime")).unwrap().minute();
        let account = text("recipientAccountId");
        let (region, source) = (text("awsRegion"), text("eventSource"));
        let (name, error) = (text("eventName"), text("errorCode"));
        let mut count = |code: &str| {
            let key = key_of([&account, &region, &source, &name, code]);
            *counts.entry((minute, key)).or_default() += 1;
        };
        if record["readOnly"] == false {
            count("");
        }
        if !error.is_empty() {
            count(&error);
        }
    }
    (counts, duplicates)
}

#[test]
fn the_same_seed_gives_the_same_bytes_however_they_are_read() {
    for profile in [
        Profile::Fleet,
        Profile::Bench,
        Profile::Textbook,
        Profile::Demo,
    ] {
        let settings = settings(profile, 2, 30, 7);
        let whole = rates_of(fleet(&settings));
        assert!(whole == rates_of(fleet(&settings)), "{profile:?}");
        let (mut rows, mut pieces) = (RateRows::new(fleet(&settings)), Vec::new());
        let mut piece = Vec::new();
        while rows.next_minute(&mut piece) {
            pieces.append(&mut piece);
        }
        assert!(whole == pieces, "{profile:?}");
        let other = FleetSettings {
            seed: 8,
            ..settings
        };
        assert!(whole != rates_of(fleet(&other)), "{profile:?}");
    }
    let settings = settings(Profile::Textbook, 1, 20, 3);
    assert!(records_of(fleet(&settings)) == records_of(fleet(&settings)));
}

/// A change of these numbers changes every committed seed and result: it needs a reason.
#[test]
fn committed_seeds_stay_what_they_were() {
    let fingerprint = |profile, seed| {
        let settings = settings(profile, 2, 60, seed);
        let mut bytes = rates_of(fleet(&settings));
        bytes.extend(records_of(fleet(&FleetSettings {
            days: 1,
            series: 12,
            ..settings
        })));
        crc32c::crc32c(&bytes)
    };
    let found = [
        fingerprint(Profile::Bench, 1),
        fingerprint(Profile::Textbook, 1),
        fingerprint(Profile::Demo, 1),
    ];
    assert_eq!(found, [0x3d57_bad1, 0xd6ed_6290, 0xd51d_9ea2], "{found:x?}");
}

#[test]
fn rates_and_records_of_one_seed_agree() {
    let mut duplicates = 0;
    for (profile, series) in [
        (Profile::Bench, 100),
        (Profile::Textbook, 60),
        (Profile::Demo, 60),
    ] {
        let settings = settings(profile, 2, series, 11);
        let from_rates = counts_of_rates(&rates_of(fleet(&settings)));
        let (from_records, again) = counts_of_records(&records_of(fleet(&settings)));
        assert!(from_rates.len() > 100, "{profile:?}: {}", from_rates.len());
        assert_eq!(from_rates, from_records, "{profile:?}");
        duplicates += again;
    }
    assert!(duplicates > 0, "some records come twice");
}

#[test]
fn injected_minus_clean_is_what_the_labels_say() {
    let settings = settings(Profile::Fleet, 28, 40, 5);
    let clean = counts_of_rates(&rates_of(fleet(&settings).clean()));
    let injected = fleet(&settings);
    let labels = injected.labels();
    let neutral = injected.neutral();
    let injected = counts_of_rates(&rates_of(injected));
    assert!(labels.len() > 60, "{} labels", labels.len());
    let inside = |minute: Minute, key: &SeriesKey| {
        labels
            .iter()
            .any(|l| l.series == *key && l.start <= minute && minute < l.end)
    };
    for place in clean.keys().chain(injected.keys()) {
        let same = clean.get(place) == injected.get(place);
        assert!(same || inside(place.0, &place.1), "{place:?}");
    }
    for label in &labels {
        let sum = |counts: &Counts| -> u64 {
            let minutes = label.start.0..label.end.0;
            let count = |m| counts.get(&(Minute(m), label.series.clone()));
            minutes.filter_map(count).sum()
        };
        let (before, after) = (sum(&clean) as f64, sum(&injected) as f64);
        let length = f64::from(label.end.0 - label.start.0);
        match label.kind {
            PlantKind::Drop(share) => assert!(after <= before * (share + 0.3), "{label:?}"),
            PlantKind::Novel(rate) | PlantKind::Burst(rate) => {
                let planted = (after - before) / length;
                let spread = 5.0 * ((rate + 0.1 * rate * rate) / length).sqrt();
                assert!((planted - rate).abs() < spread, "{label:?}: {planted}");
            }
            _ => assert!(after > before, "{label:?}"),
        }
        let hours = label.start.hour()..label.end.hour() + 1;
        let touches = |n: &Neutral| n.hours.start < hours.end && hours.start < n.hours.end;
        let is_neutral = neutral
            .iter()
            .any(|n| n.series == label.series && touches(n));
        assert!(!is_neutral, "{label:?}");
    }
}

#[test]
fn labels_are_planted_exactly_where_they_say() {
    let text = "111122223333,us-east-1,x.amazonaws.com,PutIt,ApiCallRateInsight,,\
                2026-01-05T10:00:00Z,2026-01-05T10:05:00Z,novel 12\n\
                111122223333,us-east-1,x.amazonaws.com,GetIt,ApiErrorRateInsight,Denied,\
                2026-01-06T10:00:00Z,2026-01-06T10:05:00Z,rate 50\n";
    let labels = parse_labels(text).unwrap();
    let settings = FleetSettings {
        inject: Some(labels.clone()),
        ..settings(Profile::Textbook, 2, 10, 1)
    };
    let planted = fleet(&settings);
    assert_eq!(planted.labels(), labels);
    let counts = counts_of_rates(&rates_of(planted));
    for label in &labels {
        let minutes: Vec<u32> = counts
            .iter()
            .filter(|((_, key), _)| *key == label.series)
            .map(|((minute, _), _)| minute.0)
            .collect();
        let expected: Vec<u32> = (label.start.0..label.end.0).collect();
        assert_eq!(minutes, expected, "{label:?}");
    }
    let outside = FleetSettings {
        days: 1,
        ..settings
    };
    assert!(Fleet::new(&outside).is_err());
}

#[test]
fn the_textbook_cases_are_told_apart_by_their_caller() {
    let settings = settings(Profile::Textbook, 14, 8, 2);
    let labels = fleet(&settings).labels();
    let mut text = Vec::new();
    write_labels(&labels, &mut text);
    assert_eq!(labels.len(), 3, "{}", String::from_utf8_lossy(&text));
    let week = START.0 + 7 * 1440;
    assert!(labels.iter().all(|label| label.start.0 > week));
    let records = records_of(fleet(&settings));
    let mut callers: BTreeMap<(usize, bool), u64> = BTreeMap::new();
    for line in std::str::from_utf8(&records).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let minute = EventTime::parse(record["eventTime"].as_str().unwrap())
            .unwrap()
            .minute();
        for (number, label) in labels.iter().enumerate() {
            let inside = label.start <= minute && minute < label.end;
            let error = record["errorCode"].as_str().unwrap_or("");
            if inside
                && record["eventName"] == *label.series.event_name
                && error == &*label.series.error_code
            {
                *callers
                    .entry((number, line.contains("planted-")))
                    .or_default() += 1;
            }
        }
    }
    // The surge: 20 ordinary and 80 planted a minute for twenty minutes; the drop: nothing at
    // all; the error: planted ones only.
    assert!((300..500).contains(&callers[&(0, false)]), "{callers:?}");
    assert!((1450..1750).contains(&callers[&(0, true)]), "{callers:?}");
    assert!(!callers.contains_key(&(1, false)) && !callers.contains_key(&(1, true)));
    assert!((120..250).contains(&callers[&(2, true)]), "{callers:?}");
    assert!(!callers.contains_key(&(2, false)), "{callers:?}");
}

#[test]
fn disorder_stays_within_the_lateness() {
    let records = records_of(fleet(&settings(Profile::Bench, 1, 200, 4)));
    let (mut highest, mut late_max, mut disordered) = (0, 0, 0u32);
    for line in std::str::from_utf8(&records).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let time = EventTime::parse(record["eventTime"].as_str().unwrap())
            .unwrap()
            .seconds();
        disordered += u32::from(time < highest);
        late_max = late_max.max(highest - time);
        highest = highest.max(time);
    }
    assert!(
        disordered > 100 && (300..600).contains(&late_max),
        "{disordered} {late_max}"
    );
}

#[test]
fn ordinary_traffic_is_never_unprecedented_after_its_first_week() {
    for seed in 0..4 {
        let fleet = fleet(&settings(Profile::Textbook, 14, 160, seed));
        let week = START.0 / 60 + 7 * 24;
        let late: Vec<_> = fleet
            .neutral()
            .into_iter()
            .filter(|n| n.hours.end > week)
            .collect();
        assert!(late.is_empty(), "{late:?}");
    }
}

#[test]
fn the_demo_goes_on_where_its_history_ends() {
    let mut demo = Demo::new(1, START).unwrap();
    assert_eq!(demo.incidents().len(), 6);
    let mut out = Vec::new();
    while demo.next_hour(&mut out) {
        out.clear();
    }
    assert_eq!(demo.progress(), (20_160, 20_160));
    let mut planted = 0;
    for minute in 0..60 {
        out.clear();
        assert_eq!(demo.live_minute(&mut out).0, demo.live_from().0 + minute);
        planted += std::str::from_utf8(&out)
            .unwrap()
            .matches("planted-session\",\"arn")
            .count();
    }
    assert!(
        planted > 500,
        "live incidents happen within the first hour: {planted}"
    );
}
