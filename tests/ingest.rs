//! Stage 1 from outside, against a naive oracle: which events count, what is late, what is a
//! duplicate, and that nothing but the order of events matters.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use insightd::ingest::{Ingest, IngestCounts, IngestLimits, IngestSettings};
use insightd::model::{Dimension, EventBatch, EventCategory, EventFields, EventTime, LogRecord};
use proptest::prelude::*;

/// 2023-11-14T22:13:00Z, on a whole minute.
const START: i64 = 1_699_999_980;

/// One event in few words.
#[derive(Clone, Debug)]
struct Event {
    /// Seconds after [`START`].
    at: i64,
    name: &'static str,
    error: &'static str,
    identity: &'static str,
    id: String,
    category: EventCategory,
    is_read: bool,
    is_update: bool,
    resources: Vec<(&'static str, &'static str)>,
}

fn write(at: i64, name: &'static str) -> Event {
    Event {
        at,
        name,
        error: "",
        identity: "alice",
        id: String::new(),
        category: EventCategory::Management,
        is_read: false,
        is_update: false,
        resources: Vec::new(),
    }
}

impl Event {
    fn id(self, id: &str) -> Self {
        let id = id.to_string();
        Event { id, ..self }
    }
    fn error(self, error: &'static str) -> Self {
        Event { error, ..self }
    }
    fn read(self) -> Self {
        Event {
            is_read: true,
            ..self
        }
    }
    fn category(self, category: EventCategory) -> Self {
        Event { category, ..self }
    }
}

fn batch(events: &[Event]) -> EventBatch {
    let mut batch = EventBatch::default();
    for event in events {
        let source = match event.name {
            "Decrypt" | "Encrypt" | "GenerateDataKey" | "CreateKey" => "kms.amazonaws.com",
            _ => "iam.amazonaws.com",
        };
        batch.push(&EventFields {
            time: EventTime::from_seconds(START + event.at).unwrap(),
            account: "1",
            region: "us-east-1",
            event_source: source,
            event_name: event.name,
            error_code: event.error,
            identity: event.identity,
            user_agent: "cli",
            event_id: &event.id,
            category: event.category,
            is_read_only: event.is_read,
            is_update: event.is_update,
            resources: &event.resources,
            ..EventFields::default()
        });
    }
    batch
}

/// Sums by (key, minute after [`START`]).
type Sums = BTreeMap<(String, i64), u64>;
/// Sums by (key, minute, dimension, value).
type ValueSums = BTreeMap<(String, i64, Dimension, String), u64>;

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    sums: Sums,
    values: ValueSums,
    /// Seconds after [`START`] of the last watermark.
    watermark: Option<i64>,
    counts: IngestCounts,
}

/// Adds records up, and checks what holds for any records.
fn add_up(records: &[LogRecord], counts: IngestCounts) -> Outcome {
    let mut outcome = Outcome {
        counts,
        ..Outcome::default()
    };
    let mut position = 0;
    for record in records {
        match record {
            LogRecord::Rates(rates) => {
                assert!(rates.positions.0 >= position, "{:?}", rates.positions);
                position = rates.positions.1;
                for entry in rates.entries() {
                    let key = rates.key(entry.key);
                    assert_eq!(rates.fingerprint(entry.key), key.fingerprint());
                    let minute = entry.minute.0 as i64 - START / 60;
                    let key = format!("{}{}", key.event_name, key.error_code);
                    *outcome.sums.entry((key.clone(), minute)).or_default() += entry.count;
                    for delta in rates.deltas(entry) {
                        let value = rates.value(delta.value).to_string();
                        let key = (key.clone(), minute, delta.dimension, value);
                        *outcome.values.entry(key).or_default() += delta.count;
                    }
                }
            }
            LogRecord::Progress(progress) => {
                assert!(progress.position >= position);
                position = progress.position;
                let watermark = progress.watermark.seconds() - START;
                assert!(outcome.watermark.is_none_or(|before| watermark >= before));
                outcome.watermark = Some(watermark);
            }
            other => panic!("ingest does not make {other:?}"),
        }
    }
    outcome
}

/// Pushes the events in batches of `chunk` and ends the input.
fn run(settings: &IngestSettings, events: &[Event], chunk: usize) -> (Vec<LogRecord>, Outcome) {
    let mut ingest = Ingest::new(settings.clone(), 0);
    let mut records = Vec::new();
    for chunk in events.chunks(chunk) {
        let batch = batch(chunk);
        let middle = batch.len() / 2;
        ingest.push(&batch, 0..middle, &mut records);
        ingest.push(&batch, middle..batch.len(), &mut records);
    }
    ingest.finish(&mut records);
    let counts = *ingest.counts();
    assert_eq!(counts.total(), events.len() as u64, "{counts:?}");
    let outcome = add_up(&records, counts);
    (records, outcome)
}

fn sums(of: &[(&str, i64, u64)]) -> Sums {
    let pairs = of
        .iter()
        .map(|(key, minute, count)| ((key.to_string(), *minute), *count));
    pairs.collect()
}

#[test]
fn which_events_count_into_which_rates() {
    let data = EventCategory::Data;
    let default = IngestSettings::default();
    let reads = IngestSettings {
        read_calls: true,
        ..IngestSettings::default()
    };
    let with_data = IngestSettings {
        data_events: true,
        ..IngestSettings::default()
    };
    let update = Event {
        is_update: true,
        ..write(0, "A")
    };
    let (none, a, ae): (&[_], &[_], &[_]) = (&[], &[("A", 0, 1)], &[("A", 0, 1), ("AE", 0, 1)]);
    // (settings, event, what it counts into)
    type Case<'a> = (&'a IngestSettings, Event, &'a [(&'a str, i64, u64)]);
    let cases: [Case; 20] = [
        (&default, write(0, "A"), a),
        (&default, write(59, "A").error("E"), ae),
        (&default, write(0, "A").read(), none),
        (&default, write(0, "A").read().error("E"), &[("AE", 0, 1)]),
        (&reads, write(0, "A").read(), a),
        (&reads, write(0, "A").read().error("E"), ae),
        (&default, write(0, "A").category(data), none),
        (&with_data, write(0, "A").category(data), a),
        (&with_data, write(0, "A").category(data).read(), a),
        (
            &with_data,
            write(0, "A").category(data).read().error("E"),
            ae,
        ),
        (&with_data, write(0, "A").read(), none),
        (&default, write(0, "Decrypt"), none),
        (&default, write(0, "Encrypt"), none),
        (
            &default,
            write(0, "GenerateDataKey").error("E"),
            &[("GenerateDataKeyE", 0, 1)],
        ),
        (&default, write(0, "CreateKey"), &[("CreateKey", 0, 1)]),
        (&default, update, none),
        (
            &with_data,
            write(0, "A").category(EventCategory::Insight),
            none,
        ),
        (
            &with_data,
            write(0, "A").category(EventCategory::Aggregated),
            none,
        ),
        (
            &with_data,
            write(0, "A")
                .category(EventCategory::NetworkActivity)
                .error("E"),
            none,
        ),
        (
            &with_data,
            write(0, "A").category(EventCategory::Other),
            none,
        ),
    ];
    for (settings, event, expected) in cases {
        let (_, outcome) = run(settings, std::slice::from_ref(&event), 1);
        assert_eq!(outcome.sums, sums(expected), "{event:?}");
        let counted = outcome.counts.counted;
        assert_eq!(counted, u64::from(!expected.is_empty()), "{event:?}");
    }
    let excluding = IngestSettings {
        event_types_excluded: vec![String::new()],
        ..IngestSettings::default()
    };
    let (_, outcome) = run(&excluding, &[write(0, "A")], 1);
    assert_eq!(outcome.counts.event_type_excluded, 1);
}

#[test]
fn attributions_name_who_made_the_calls() {
    use Dimension::{ErrorCode, ResourceArn, UserAgent, UserIdentityArn};
    let bucket = ("arn:b", "AWS::S3::Bucket");
    let object = ("arn:o", "AWS::S3::Object");
    let data = Event {
        resources: vec![bucket, object, bucket, ("", "AWS::S3::Object")],
        identity: "",
        ..write(2, "D").category(EventCategory::Data)
    };
    let events = [
        write(0, "A"),
        write(1, "A"),
        Event {
            identity: "bob",
            ..write(2, "A").error("E")
        },
        data,
    ];
    let settings = IngestSettings {
        data_events: true,
        ..IngestSettings::default()
    };
    let (_, outcome) = run(&settings, &events, 10);
    let expected = [
        ("A", UserIdentityArn, "alice", 2),
        ("A", UserIdentityArn, "bob", 1),
        ("A", UserAgent, "cli", 3),
        ("A", ErrorCode, "E", 1),
        ("A", ErrorCode, "null", 2),
        ("AE", UserIdentityArn, "bob", 1),
        ("AE", UserAgent, "cli", 1),
        ("D", UserAgent, "cli", 1),
        ("D", ErrorCode, "null", 1),
        ("D", ResourceArn, "arn:b", 1),
        ("D", ResourceArn, "arn:o", 1),
    ];
    let expected: ValueSums = expected
        .into_iter()
        .map(|(key, dimension, value, count)| {
            ((key.to_string(), 0, dimension, value.to_string()), count)
        })
        .collect();
    assert_eq!(outcome.values, expected);
}

/// Lateness 10 minutes, horizon 30 minutes, window 10,143 minutes, each to the second.
#[test]
fn late_and_duplicate_events_end_in_one_counter_each() {
    let day = 86_400;
    let window = 10_143 * 60;
    let count = |pick: fn(&mut IngestCounts) -> &mut u64| {
        let mut counts = IngestCounts::default();
        *pick(&mut counts) = 1;
        counts
    };
    let counted = count(|counts| &mut counts.counted);
    let late = count(|counts| &mut counts.late);
    let too_late = count(|counts| &mut counts.too_late);
    let duplicate = count(|counts| &mut counts.duplicate);
    // (event before, event, what becomes of the latter), ids equal.
    let cases = [
        (0, -600, counted, false),
        (0, -601, late, false),
        (0, 600, counted, false),
        (600, -window, late, false),
        (600, -window - 1, too_late, false),
        (659, -window, late, false),
        (660, -window, too_late, false),
        (0, 0, duplicate, true),
        (0, -600, duplicate, true),
        (0, -1800, duplicate, true),
        // The second event lies before the horizon, or the first one does by then.
        (0, -1801, late, true),
        (0, 1800, duplicate, true),
        (0, 1801, counted, true),
        (0, day, counted, true),
    ];
    for (first, second, expected, same_id) in cases {
        let second_id = if same_id { "id" } else { "other" };
        let events = [write(first, "A").id("id"), write(second, "A").id(second_id)];
        let (_, outcome) = run(&IngestSettings::default(), &events, 1);
        let expected = IngestCounts {
            counted: expected.counted + 1,
            ..expected
        };
        assert_eq!(outcome.counts, expected, "{first} then {second}");
    }
    // No id, no duplicate; another account's event with the same id is another event.
    let (_, outcome) = run(
        &IngestSettings::default(),
        &[write(0, "A"), write(0, "A")],
        1,
    );
    assert_eq!(outcome.counts.counted, 2);
}

#[test]
fn a_batch_goes_out_when_the_watermark_enters_a_minute() {
    let events = [
        write(0, "A"),
        write(30, "A"),
        write(659, "A"),
        write(660, "A"),
        write(-60, "L"),
        write(719, "A"),
        write(720, "A"),
    ];
    let (records, outcome) = run(&IngestSettings::default(), &events, 3);
    let story: Vec<String> = records.iter().map(tell).collect();
    assert_eq!(
        story,
        [
            "progress 0 to -10m Active",
            "progress 2 to 0m Active",
            "rates 2..3 0m:2",
            "progress 3 to 1m Active",
            "rates 3..6 -1m:1",
            "progress 6 to 2m Active",
            "rates 6..7 10m:1",
            "rates 7..7 11m:2",
            "rates 7..7 12m:1",
            "progress 7 to 13m IdleProven",
        ]
        .map(str::to_string)
    );
    assert_eq!(outcome.watermark, Some(13 * 60));
}

fn tell(record: &LogRecord) -> String {
    match record {
        LogRecord::Rates(rates) => {
            let mut entries: Vec<String> = rates
                .entries()
                .iter()
                .map(|entry| {
                    let minute = i64::from(entry.minute.0) - START / 60;
                    format!(" {minute}m:{}", entry.count)
                })
                .collect();
            entries.sort();
            let (from, to) = rates.positions;
            format!("rates {from}..{to}{}", entries.concat())
        }
        LogRecord::Progress(progress) => {
            let minutes = (progress.watermark.seconds() - START) / 60;
            format!(
                "progress {} to {minutes}m {:?}",
                progress.position, progress.state
            )
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn time_moves_without_events_only_when_told() {
    let mut ingest = Ingest::new(IngestSettings::default(), 0);
    let mut records = Vec::new();
    let time = |seconds| EventTime::from_seconds(START + seconds).unwrap();
    ingest.finish(&mut records);
    assert!(records.is_empty(), "nothing was seen, nothing is known");
    ingest.push(&batch(&[write(0, "A")]), 0..1, &mut records);
    ingest.advance_to(time(1830), &mut records);
    ingest.push(
        &batch(&[write(1799, "A"), write(1800, "A")]),
        0..2,
        &mut records,
    );
    ingest.finish(&mut records);
    ingest.finish(&mut records);
    let story: Vec<String> = records.iter().map(tell).collect();
    let expected = [
        "progress 0 to -10m Active",
        "rates 0..1 0m:1",
        "progress 1 to 30m IdleProven",
        "progress 1 to 30m Active",
        "rates 1..3 29m:1",
        "rates 3..3 30m:1",
        "progress 3 to 31m IdleProven",
    ];
    assert_eq!(story, expected.map(str::to_string));
    let counts = ingest.counts();
    assert_eq!((counts.counted, counts.late_idle), (2, 1));
}

/// The rules read literally, event by event, with lists where ingest has tables.
fn oracle(settings: &IngestSettings, events: &[Event]) -> Outcome {
    let lateness = i64::from(settings.lateness_seconds);
    let horizon = i64::from(settings.dedup_horizon_seconds);
    let width = i64::from(settings.bucket_minutes);
    let bucket = |at: i64| (START + at).div_euclid(60 * width) * width - START / 60;
    let mut outcome = Outcome::default();
    let mut counted: Vec<&Event> = Vec::new();
    let mut highest = i64::MIN;
    for event in events {
        highest = highest.max(event.at);
        let counts = &mut outcome.counts;
        let is_call = settings.read_calls || !event.is_read;
        let is_repeated = !event.id.is_empty()
            && event.at >= highest - horizon
            && counted
                .iter()
                .any(|before| before.id == event.id && before.at >= highest - horizon);
        if !is_call && event.error.is_empty() {
            counts.read_call += 1;
            continue;
        } else if bucket(event.at) + 10_143 < bucket(highest - lateness) {
            counts.too_late += 1;
            continue;
        } else if is_repeated {
            counts.duplicate += 1;
            continue;
        } else if event.at < highest - lateness {
            counts.late += 1;
        } else {
            counts.counted += 1;
        }
        counted.push(event);
        let mut add = |key: &str, error_code: Option<&str>| {
            let key = (key.to_string(), bucket(event.at));
            *outcome.sums.entry(key.clone()).or_default() += 1;
            let values = [
                (Dimension::UserIdentityArn, Some(event.identity)),
                (Dimension::UserAgent, Some("cli")),
                (Dimension::ErrorCode, error_code),
            ];
            for (dimension, value) in values {
                let Some(value) = value else { continue };
                let key = (key.0.clone(), key.1, dimension, value.to_string());
                *outcome.values.entry(key).or_default() += 1;
            }
        };
        if is_call {
            let code = if event.error.is_empty() {
                "null"
            } else {
                event.error
            };
            add(event.name, Some(code));
        }
        if !event.error.is_empty() {
            add(&format!("{}{}", event.name, event.error), None);
        }
    }
    if !events.is_empty() {
        outcome.watermark = Some((bucket(highest) + width) * 60);
    }
    outcome
}

fn any_event(span: i64) -> impl Strategy<Value = Event> {
    (
        prop_oneof![20 => 0..span, 1 => 0..span * 400],
        prop::sample::select(vec!["A", "B", "C"]),
        prop::sample::select(vec!["", "", "E", "F"]),
        prop::sample::select(vec!["alice", "bob"]),
        prop_oneof![Just(String::new()), "[a-h]", "[a-z]{6}"],
        any::<bool>(),
    )
        .prop_map(|(at, name, error, identity, id, is_read)| Event {
            error,
            identity,
            id,
            is_read,
            ..write(at, name)
        })
}

fn any_settings() -> impl Strategy<Value = IngestSettings> {
    (
        prop::sample::select(vec![0, 60, 600]),
        prop::sample::select(vec![0, 600, 1800]),
        prop::sample::select(vec![1, 5, 15, 60]),
        any::<bool>(),
    )
        .prop_map(
            |(lateness, horizon, bucket_minutes, read_calls)| IngestSettings {
                lateness_seconds: lateness,
                dedup_horizon_seconds: horizon,
                bucket_minutes,
                read_calls,
                ..IngestSettings::default()
            },
        )
}

/// Limits so low that something goes out early at every turn.
fn tight() -> IngestLimits {
    IngestLimits {
        open_minutes_max: 2,
        rows_max: 3,
        ..IngestLimits::default()
    }
}

proptest! {
    #[test]
    fn a_naive_oracle_counts_the_same(
        settings in any_settings(),
        events in proptest::collection::vec(any_event(4000), 0..150),
        chunk in 1usize..80,
    ) {
        let expected = oracle(&settings, &events);
        let (records, outcome) = run(&settings, &events, chunk);
        prop_assert_eq!(&outcome, &expected);
        // Other chunks: the same records, not only the same sums.
        let (other_records, _) = run(&settings, &events, 1);
        prop_assert_eq!(records, other_records);
    }

    #[test]
    fn tight_limits_send_early_and_lose_nothing(
        settings in any_settings(),
        events in proptest::collection::vec(any_event(4000), 0..60),
    ) {
        let expected = oracle(&settings, &events);
        let settings = IngestSettings { limits: tight(), ..settings };
        let (_, mut outcome) = run(&settings, &events, 7);
        outcome.counts.limits.early_flushes = 0;
        prop_assert_eq!(outcome, expected);
    }

    /// Events in order of time, some twice; then each delayed by up to the lateness.
    #[test]
    fn order_within_the_lateness_changes_nothing(
        times in proptest::collection::vec((0i64..6000, 0i64..=600, any::<bool>()), 1..120),
        bucket_minutes in prop::sample::select(vec![1, 5, 15, 60]),
    ) {
        let settings = IngestSettings { bucket_minutes, ..IngestSettings::default() };
        let names = ["A", "B", "C"];
        let mut ordered = Vec::new();
        for (index, (at, delay, is_repeated)) in times.iter().enumerate() {
            let event = write(*at, names[index % 3]).id(&index.to_string());
            let event = if index % 5 == 0 { event.error("E") } else { event };
            ordered.push((*delay, event.clone()));
            if *is_repeated {
                ordered.push((600 - *delay, event));
            }
        }
        let mut delayed = ordered.clone();
        ordered.sort_by_key(|(_, event)| event.at);
        delayed.sort_by_key(|(delay, event)| event.at + delay);
        let events = |list: Vec<(i64, Event)>| -> Vec<Event> {
            list.into_iter().map(|(_, event)| event).collect()
        };
        let (_, straight) = run(&settings, &events(ordered), 10);
        let (_, shuffled) = run(&settings, &events(delayed), 3);
        prop_assert_eq!(straight.counts.late, 0);
        prop_assert_eq!(straight, shuffled);
    }
}

/// Keys, values and ids never come back: what ingest remembers stays bounded all the same.
#[test]
fn memory_does_not_grow_with_the_length_of_the_stream() {
    let mut ingest = Ingest::new(IngestSettings::default(), 0);
    let mut batch = EventBatch::default();
    let mut records = Vec::new();
    let mut largest = insightd::ingest::IngestSizes::default();
    let mut total = 0u64;
    for minute in 0..4 * 1440i64 {
        batch.clear();
        for index in 0..200 {
            let name = format!("Call{minute}-{index}");
            batch.push(&EventFields {
                time: EventTime::from_seconds(START + minute * 60).unwrap(),
                account: "1",
                event_source: "s",
                event_name: &name,
                identity: &name,
                event_id: &name,
                ..EventFields::default()
            });
        }
        ingest.push(&batch, 0..batch.len(), &mut records);
        for record in records.drain(..) {
            if let LogRecord::Rates(rates) = record {
                total += rates.entries().iter().map(|entry| entry.count).sum::<u64>();
            }
        }
        let sizes = ingest.sizes();
        largest.event_ids = largest.event_ids.max(sizes.event_ids);
        largest.pending_rows = largest.pending_rows.max(sizes.pending_rows);
        largest.pending_bytes = largest.pending_bytes.max(sizes.pending_bytes);
    }
    ingest.finish(&mut records);
    for record in &records {
        if let LogRecord::Rates(rates) = record {
            total += rates.entries().iter().map(|entry| entry.count).sum::<u64>();
        }
    }
    assert_eq!(total, 4 * 1440 * 200);
    // 12 minutes of 200 rows each; 30 minutes of 200 ids, and as much again before a rebuild.
    assert!(largest.pending_rows <= 12 * 200, "{largest:?}");
    assert!(largest.pending_bytes < 1 << 20, "{largest:?}");
    assert!(largest.event_ids < 20_000, "{largest:?}");
}

#[test]
fn too_much_in_one_minute_goes_out_early() {
    let limits = IngestLimits::default();
    let tight = [
        IngestLimits {
            rows_max: 1000,
            ..limits
        },
        IngestLimits {
            series_max: 0,
            ..limits
        },
        IngestLimits {
            values_max: 0,
            ..limits
        },
    ];
    for limits in tight {
        let settings = IngestSettings {
            limits,
            ..IngestSettings::default()
        };
        let (records, outcome) = run(&settings, &vec![write(0, "A"); 5000], 999);
        assert_eq!(outcome.sums, sums(&[("A", 0, 5000)]));
        assert_eq!(outcome.counts.limits.early_flushes, 4);
        assert_eq!(tell(&records[1]), "rates 0..1024 0m:1024");
    }
}

#[test]
fn a_limit_on_event_ids_counts_what_it_forgets() {
    let settings = IngestSettings {
        limits: IngestLimits {
            dedup_entries_max: 2,
            ..IngestLimits::default()
        },
        ..IngestSettings::default()
    };
    let events =
        ["1", "2", "3", "4", "5", "5", "1"].map(|id| write(id.as_bytes()[0].into(), "A").id(id));
    let (_, outcome) = run(&settings, &events, 2);
    assert_eq!(outcome.sums, sums(&[("A", 0, 6)]));
    assert_eq!(outcome.counts.duplicate, 1);
    assert!(outcome.counts.limits.ids_forgotten > 0);
}
