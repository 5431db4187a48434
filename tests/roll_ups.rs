//! Roll-ups against plain loops: what all APIs of a service or an account add up to, whatever the
//! order, the lateness and the batches that events come in.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashSet};

use insightd::ingest::{Ingest, IngestLimits, IngestSettings, RatesIngest, RowsSettings};
use insightd::model::{
    EventBatch, EventCategory, EventFields, EventTime, InsightType, LogRecord, RollUps, SeriesKey,
    SeriesRef, SourceCategory,
};
use proptest::prelude::*;

/// 2023-11-14T22:13:00Z, on a whole minute.
const START: i64 = 1_699_999_980;
const BOTH: RollUps = RollUps {
    service: true,
    account: true,
};

#[derive(Clone, Debug)]
struct Event {
    /// Seconds after [`START`].
    at: i64,
    /// Account, region, source and name.
    api: [&'static str; 4],
    error: &'static str,
    identity: &'static str,
    id: String,
    is_read: bool,
    /// Those of a data event; a management event has none.
    resources: Option<Vec<&'static str>>,
}

/// Counts by (key, minute), and by (key, minute, dimension, value).
#[derive(Clone, Debug, Default, PartialEq)]
struct Sums {
    counts: BTreeMap<(String, i64), u64>,
    values: BTreeMap<(String, i64, &'static str, String), u64>,
    data: HashSet<(String, i64)>,
}

impl Sums {
    fn of(records: &[LogRecord]) -> Self {
        let mut sums = Sums::default();
        for record in records {
            let LogRecord::Rates(rates) = record else {
                continue;
            };
            for entry in rates.entries() {
                let key = rates.key(entry.key);
                assert_eq!(rates.fingerprint(entry.key), key.fingerprint());
                let minute = i64::from(entry.minute.0) - START / 60;
                let key = (key.to_key().to_string(), minute);
                *sums.counts.entry(key.clone()).or_default() += entry.count;
                for delta in rates.deltas(entry) {
                    let value = rates.value(delta.value).to_string();
                    let value = (key.0.clone(), minute, delta.dimension.name(), value);
                    *sums.values.entry(value).or_default() += delta.count;
                }
                if rates.category(entry.key) == SourceCategory::Data {
                    sums.data.insert(key);
                }
            }
        }
        sums
    }

    fn without_roll_ups(mut self) -> Self {
        self.counts.retain(|(key, _), _| !is_roll_up(key));
        self.values.retain(|(key, ..), _| !is_roll_up(key));
        self.data.retain(|(key, _)| !is_roll_up(key));
        self
    }
}

fn is_roll_up(key: &str) -> bool {
    key.split(',').nth(3) == Some("*")
}

fn run(settings: &IngestSettings, events: &[Event], chunk: usize) -> Vec<LogRecord> {
    let mut ingest = Ingest::new(settings.clone(), 0);
    let mut records = Vec::new();
    for chunk in events.chunks(chunk) {
        let mut batch = EventBatch::default();
        for event in chunk {
            let arns = event.resources.clone().unwrap_or_default();
            let resources: Vec<(&str, &str)> = arns.iter().map(|arn| (*arn, "")).collect();
            let [account, region, event_source, event_name] = event.api;
            batch.push(&EventFields {
                time: EventTime::from_seconds(START + event.at).unwrap(),
                account,
                region,
                event_source,
                event_name,
                error_code: event.error,
                identity: event.identity,
                user_agent: "cli",
                event_id: &event.id,
                is_read_only: event.is_read,
                category: match event.resources {
                    Some(_) => EventCategory::Data,
                    None => EventCategory::Management,
                },
                resources: &resources,
                ..EventFields::default()
            });
        }
        ingest.push(&batch, 0..batch.len(), &mut records);
    }
    ingest.finish(&mut records);
    records
}

/// Which events count, and into what, by lists: an event id within the horizon counts once.
fn oracle(settings: &IngestSettings, events: &[Event]) -> Sums {
    let width = i64::from(settings.bucket_minutes);
    let horizon = i64::from(settings.dedup_horizon_seconds);
    let mut sums = Sums::default();
    let mut counted: Vec<&Event> = Vec::new();
    let mut highest = i64::MIN;
    for event in events {
        highest = highest.max(event.at);
        let is_call = event.resources.is_some() || !event.is_read;
        let is_known = |other: &&Event| {
            !event.id.is_empty()
                && (other.api[0], &other.id) == (event.api[0], &event.id)
                && other.at.min(event.at) >= highest - horizon
        };
        if (!is_call && event.error.is_empty()) || counted.iter().any(is_known) {
            continue;
        }
        counted.push(event);
        let minute = (START + event.at).div_euclid(60 * width) * width - START / 60;
        let [account, region, source, name] = event.api;
        let own = format!("{account},{region},{source},{name}");
        let mut keys = vec![own];
        if name != "*" && settings.roll_ups.service {
            keys.push(format!("{account},{region},{source},*"));
        }
        if name != "*" && settings.roll_ups.account {
            keys.push(format!("{account},*,*,*"));
        }
        for key in keys {
            let success = if event.error.is_empty() {
                "null"
            } else {
                event.error
            };
            if is_call {
                let key = format!("{key},ApiCallRateInsight,");
                sums.add(event, key, minute, Some(success));
            }
            if !event.error.is_empty() {
                let key = format!("{key},ApiErrorRateInsight,{}", event.error);
                sums.add(event, key, minute, None);
            }
        }
    }
    sums
}

impl Sums {
    fn add(&mut self, event: &Event, key: String, minute: i64, error: Option<&str>) {
        *self.counts.entry((key.clone(), minute)).or_default() += 1;
        let mut values = vec![("userIdentityArn", event.identity), ("userAgent", "cli")];
        values.extend(error.map(|error| ("errorCode", error)));
        if let Some(resources) = &event.resources {
            self.data.insert((key.clone(), minute));
            let once: HashSet<&str> = resources.iter().copied().collect();
            values.extend(once.into_iter().map(|arn| ("resourceArn", arn)));
        }
        for (dimension, value) in values {
            let of = (key.clone(), minute, dimension, value.to_string());
            *self.values.entry(of).or_default() += 1;
        }
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let of = prop::sample::select::<&'static str>;
    (
        prop_oneof![10 => 0i64..900, 1 => 0i64..9000],
        (
            of(vec!["1", "1", "2"]),
            of(vec!["r", "q"]),
            of(vec!["s3", "iam"]),
            prop_oneof![9 => of(vec!["A", "B", "C"]), 1 => Just("*")],
        ),
        of(vec!["", "", "E", "F"]),
        of(vec!["alice", "bob", "null", ""]),
        prop_oneof![Just(String::new()), "[a-h]", "[a-z]{6}"],
        any::<bool>(),
        proptest::collection::vec(of(vec!["x", "y"]), 0..3),
    )
        .prop_map(|(at, api, error, identity, id, is_read, resources)| Event {
            at,
            api: [api.0, api.1, api.2, api.3],
            error,
            identity,
            id,
            is_read,
            // An API is of one category.
            resources: (api.3 == "B").then_some(resources),
        })
}

fn any_settings() -> impl Strategy<Value = IngestSettings> {
    (
        prop::sample::select(vec![0, 60, 600]),
        prop::sample::select(vec![1, 5]),
        any::<(bool, bool)>(),
        any::<bool>(),
    )
        .prop_map(|(lateness_seconds, bucket_minutes, made, is_tight)| {
            let limits = IngestLimits {
                open_minutes_max: 2,
                rows_max: 3,
                ..IngestLimits::default()
            };
            IngestSettings {
                lateness_seconds,
                bucket_minutes,
                data_events: true,
                roll_ups: RollUps {
                    service: made.0,
                    account: made.1,
                },
                limits: match is_tight {
                    true => limits,
                    false => IngestLimits::default(),
                },
                ..IngestSettings::default()
            }
        })
}

/// An identity may be called `null`, as the code of success is: what is empty has no value.
fn without_empty(mut sums: Sums) -> Sums {
    sums.values.retain(|(_, _, _, value), _| !value.is_empty());
    sums
}

proptest! {
    #[test]
    fn roll_ups_are_what_plain_loops_add_up(
        settings in any_settings(),
        events in proptest::collection::vec(any_event(), 0..120),
        chunk in 1usize..60,
    ) {
        let records = run(&settings, &events, chunk);
        let sums = Sums::of(&records);
        let expected = without_empty(oracle(&settings, &events));
        prop_assert_eq!(&sums.counts, &expected.counts);
        prop_assert_eq!(&sums.values, &expected.values);
        // Other chunks: the same records, not only the same sums.
        prop_assert_eq!(&run(&settings, &events, 1), &records);
        // What is counted of APIs does not depend on roll-ups.
        let plain = IngestSettings { roll_ups: RollUps::default(), ..settings };
        let plain = Sums::of(&run(&plain, &events, chunk)).without_roll_ups();
        prop_assert_eq!(sums.without_roll_ups(), plain);
    }

    /// Early batches cut minutes in pieces; a roll-up is of data where any piece has some.
    #[test]
    fn the_category_is_that_of_all_pieces(
        events in proptest::collection::vec(any_event(), 1..60),
    ) {
        let settings = IngestSettings {
            data_events: true,
            roll_ups: BOTH,
            limits: IngestLimits { open_minutes_max: 2, ..IngestLimits::default() },
            ..IngestSettings::default()
        };
        let of_roll_ups = |sums: Sums| -> HashSet<(String, i64)> {
            sums.data.into_iter().filter(|(key, _)| is_roll_up(key)).collect()
        };
        let found = of_roll_ups(Sums::of(&run(&settings, &events, 7)));
        prop_assert_eq!(found, of_roll_ups(oracle(&settings, &events)));
    }

    /// Rows that an earlier run wrote with its roll-ups give what rows without them give.
    #[test]
    fn rows_are_rolled_up_once(
        rows in proptest::collection::vec(any_row(), 0..80),
        made in any::<(bool, bool)>(),
        is_sorted in any::<bool>(),
    ) {
        let roll_ups = RollUps { service: made.0, account: made.1 };
        let rolled_up = |rows: &[Row]| {
            let mut rows = rows.to_vec();
            if is_sorted {
                rows.sort_by_key(|row| row.0);
            }
            let (records, left_out) = take_rows(&rows, roll_ups, is_sorted);
            (Sums::of(&records), left_out)
        };
        let (sums, left_out) = rolled_up(&rows);
        prop_assert_eq!(left_out, 0);
        let mut expected: BTreeMap<(String, i64), u64> = BTreeMap::new();
        for (minute, key, count) in rows.iter().filter(|(_, _, count)| *count > 0) {
            let mut add = |key: String| *expected.entry((key, *minute)).or_default() += count;
            let parts: Vec<&str> = key.splitn(5, ',').collect();
            add(key.clone());
            if made.0 {
                add(format!("{},{},{},*,{}", parts[0], parts[1], parts[2], parts[4]));
            }
            if made.1 {
                add(format!("{},*,*,*,{}", parts[0], parts[4]));
            }
        }
        prop_assert_eq!(&sums.counts, &expected);
        let exported: Vec<Row> = expected
            .iter()
            .map(|((key, minute), count)| (*minute, key.clone(), *count))
            .collect();
        let (again, left_out) = rolled_up(&exported);
        prop_assert_eq!(&again.counts, &expected);
        let of_roll_ups = exported.iter().filter(|(_, key, _)| is_roll_up(key)).count();
        prop_assert_eq!(left_out, of_roll_ups as u64);
        // Where none are made, they are series like any other.
        let (as_they_are, _) = take_rows(&exported, RollUps::default(), false);
        prop_assert_eq!(Sums::of(&as_they_are).counts, expected);
    }
}

/// Minute after [`START`], key, count.
type Row = (i64, String, u64);

fn any_row() -> impl Strategy<Value = Row> {
    let of = prop::sample::select::<&'static str>;
    (
        0i64..20,
        of(vec!["1,r,s3", "1,q,s3", "1,r,iam", "2,r,s3"]),
        of(vec!["A", "B"]),
        of(vec!["ApiCallRateInsight,", "ApiErrorRateInsight,E"]),
        0u64..5,
    )
        .prop_map(|(minute, place, name, rest, count)| {
            (minute, format!("{place},{name},{rest}"), count)
        })
}

fn take_rows(rows: &[Row], roll_ups: RollUps, is_sorted: bool) -> (Vec<LogRecord>, u64) {
    let settings = RowsSettings {
        roll_ups,
        ..RowsSettings::default()
    };
    let mut ingest = match is_sorted {
        true => RatesIngest::new_sorted(settings),
        false => RatesIngest::new(settings),
    };
    let mut records = Vec::new();
    for (minute, key, count) in rows {
        let time = EventTime::from_seconds(START + minute * 60).unwrap();
        let key = SeriesKey::parse(key).unwrap();
        ingest
            .push(time, key.as_ref(), *count, &mut records)
            .unwrap();
    }
    ingest.finish(None);
    while ingest.drain(&mut records) {}
    (records, ingest.rolled_up())
}

/// Counts of rows may be as large as numbers are.
#[test]
fn the_sum_of_huge_counts_is_the_largest_number() {
    let rows: Vec<Row> = ["A", "B"]
        .map(|name| (0, format!("1,r,s,{name},ApiCallRateInsight,"), u64::MAX))
        .to_vec();
    let (records, _) = take_rows(&rows, BOTH, false);
    let counts = Sums::of(&records).counts;
    assert_eq!(counts.len(), 4);
    assert!(counts.values().all(|count| *count == u64::MAX));
}

/// The calls and errors of a roll-up are in one shard, as those of an API are.
#[test]
fn a_roll_up_is_in_one_shard() {
    for api in [["1", "r", "s3", "*"], ["1", "*", "*", "*"]] {
        let key = |insight_type, error_code| SeriesRef {
            account: api[0],
            region: api[1],
            event_source: api[2],
            event_name: api[3],
            insight_type,
            error_code,
        };
        let calls = key(InsightType::ApiCallRate, "").shard();
        assert_eq!(key(InsightType::ApiErrorRate, "E").shard(), calls);
        assert_eq!(key(InsightType::ApiErrorRate, "F").shard(), calls);
    }
}
