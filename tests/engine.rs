//! The detect engine against a naive oracle, and against itself run in other ways.
//!
//! Streams come from a seed. Whatever the cuts, the order, the snapshots and the splits, insights
//! and scores must be the same; and they must be those of an engine that keeps everything and
//! visits every series in every minute.

#[path = "engine/oracle.rs"]
mod oracle;
#[path = "engine/streams.rs"]
mod streams;

use std::collections::{BTreeMap, HashSet};

use insightd::config::WrittenDocument;
use insightd::detect::fleet::{Fleet, HourReport};
use insightd::detect::{
    Confirmed, DetectSettings, Engine, FleetScope, Output, ScopedBudget, SnapshotError,
};
use insightd::model::{
    Direction, Edge, InsightEvent, LogRecord, Minute, Progress, Scope, ScoreRow, SourceState,
};
use oracle::Oracle;
use proptest::prelude::*;
use streams::{Random, Step, Stream, batch, stream};

fn settings(fixed_z: Option<f64>) -> DetectSettings {
    DetectSettings {
        fixed_z,
        values_max: 3,
        ..DetectSettings::default()
    }
}

fn feed(engine: &mut Engine, step: &Step, out: &mut Output) {
    match step {
        Step::Rates(entries) => engine.observe(&batch(entries)),
        Step::Advance(to) => engine.advance(Minute(*to), out),
    }
}

fn straight(settings: &DetectSettings, steps: &[Step]) -> Output {
    let mut engine = Engine::new(settings.clone());
    let mut out = Output::with_scores();
    for step in steps {
        feed(&mut engine, step, &mut out);
    }
    out
}

fn interrupted(settings: &DetectSettings, steps: &[Step]) -> Output {
    let mut engine = Engine::new(settings.clone());
    let mut out = Output::with_scores();
    for step in steps {
        feed(&mut engine, step, &mut out);
        let bytes = engine.snapshot();
        engine = Engine::restore(settings.clone(), &bytes).expect("it was just taken");
        assert!(
            engine.snapshot() == bytes,
            "a restored engine has the same snapshot"
        );
    }
    out
}

/// Between two advances: all entries shuffled, split in parts, and cut into other batches.
fn mixed(steps: &[Step], seed: u64) -> Vec<Step> {
    let mut random = Random(seed);
    let mut pool = Vec::new();
    let mut result = Vec::new();
    for step in steps {
        match step {
            Step::Rates(entries) => {
                for entry in entries {
                    pool.extend(entry.split(&mut random));
                }
            }
            Step::Advance(to) => {
                random.shuffle(&mut pool);
                while !pool.is_empty() {
                    let cut = 1 + random.below(pool.len() as u64) as usize;
                    result.push(Step::Rates(pool.drain(..cut).collect()));
                }
                result.push(Step::Advance(*to));
            }
        }
    }
    result
}

/// Equal as values and to the last bit of their floats, which print in full.
fn check_same(a: &Output, b: &Output, how: &str) {
    for (left, right) in a.insights.iter().zip(&b.insights) {
        assert_eq!(left, right, "{how}");
    }
    assert_eq!(a.insights.len(), b.insights.len(), "{how}");
    assert!(a.scores == b.scores, "{how}: the scores differ");
    assert_eq!(format!("{a:?}"), format!("{b:?}"), "{how}: to the byte");
}

fn check_ways(settings: &DetectSettings, stream: &Stream) -> Output {
    let steps = &stream.steps;
    let expected = straight(settings, steps);
    check_same(
        &expected,
        &interrupted(settings, steps),
        "restored at every batch",
    );
    check_same(
        &expected,
        &straight(settings, &mixed(steps, 1)),
        "shuffled and split",
    );
    check_same(&expected, &interrupted(settings, &mixed(steps, 2)), "both");
    expected
}

fn check_laws(insights: &[InsightEvent]) {
    let mut open = BTreeMap::new();
    let mut ids = HashSet::new();
    let mut order = Vec::new();
    for event in insights {
        assert!(ids.insert(event.event_id), "{event:?}");
        order.push((event.decided_at, event.series.clone(), event.edge));
        match event.edge {
            Edge::Start => {
                assert!(event.minute <= event.decided_at);
                let former = open.insert(event.series.clone(), event);
                assert!(former.is_none(), "one open incident a series: {event:?}");
            }
            Edge::End => {
                let start = open.remove(&event.series).expect("an End has its Start");
                assert_eq!(start.shared_event_id, event.shared_event_id);
                assert_eq!(start.baseline_count, event.baseline_count);
                assert_eq!(start.baseline_minutes, event.baseline_minutes);
                assert_eq!(start.explanation, event.explanation);
                assert_eq!(event.insight_minutes, event.minute.0 - start.minute.0);
            }
        }
    }
    assert!(
        order.is_sorted(),
        "decided at, series key, End before Start"
    );
}

/// Insights agree exactly; score rows agree, and no bucket with a count lacks one.
fn check_oracle(settings: &DetectSettings, stream: &Stream) -> Output {
    let found = straight(settings, &stream.steps);
    let mut oracle = Oracle::new(settings.clone(), &stream.keys);
    for step in &stream.steps {
        oracle.feed(step);
    }
    for (left, right) in found.insights.iter().zip(&oracle.insights) {
        assert_eq!(left, right);
    }
    assert_eq!(found.insights.len(), oracle.insights.len());
    let rows = found.scores.as_deref().unwrap_or_default();
    let mut expected: BTreeMap<_, &ScoreRow> = BTreeMap::new();
    for row in &oracle.scores {
        expected.insert((row.minute, row.key.clone()), row);
    }
    for row in rows {
        let same = expected.remove(&(row.minute, row.key.clone()));
        assert_eq!(Some(row), same);
    }
    assert!(
        expected.values().all(|row| row.count == 0),
        "every count has its row"
    );
    check_laws(&found.insights);
    found
}

#[test]
fn golden_stream_is_the_same_run_four_ways() {
    let stream = stream(11, 9, 60, 1);
    let out = check_ways(&settings(Some(2.5)), &stream);
    check_laws(&out.insights);
    assert!(out.insights.len() > 20, "{} insights", out.insights.len());
}

#[test]
fn wide_buckets_are_the_same_run_four_ways() {
    for width in [5, 15, 60] {
        let settings = DetectSettings {
            bucket_minutes: width,
            ..settings(Some(2.0))
        };
        check_laws(&check_ways(&settings, &stream(u64::from(width), 8, 240, width)).insights);
    }
}

/// Surges of error rates, and everything of half of the names, have budgets of their own.
fn scopes() -> Vec<ScopedBudget> {
    let pattern = |text| glob::Pattern::new(text).ok();
    vec![
        ScopedBudget {
            scope: Scope {
                insight_type: pattern("ApiErrorRate*"),
                direction: Some(Direction::Up),
                ..Scope::default()
            },
            per_week: 300.0,
        },
        ScopedBudget {
            scope: Scope {
                event_name: pattern("*[02468]"),
                ..Scope::default()
            },
            per_week: 200.0,
        },
    ]
}

#[test]
fn the_oracle_agrees_over_two_weeks_with_the_fleet_layer() {
    let settings = DetectSettings {
        budget_per_week: 400.0,
        budgets: scopes(),
        ..settings(None)
    };
    let out = check_oracle(&settings, &stream(5, 15, 45, 1));
    assert!(out.insights.len() > 4, "{} insights", out.insights.len());
}

#[test]
fn the_oracle_agrees_on_wide_buckets() {
    for width in [5, 15, 60] {
        let settings = DetectSettings {
            bucket_minutes: width,
            ..settings(Some(2.0))
        };
        check_oracle(&settings, &stream(3 * u64::from(width), 22, 600, width));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn the_oracle_agrees_on_random_streams(seed in any::<u64>(), minutes in 1u32..200) {
        check_oracle(&settings(Some(2.0)), &stream(seed, 4, minutes, 1));
    }
}

/// Nights and one afternoon of work, in local time, with holidays: what is judged lazily is what is
/// judged in every bucket, and a snapshot in the middle changes nothing.
#[test]
fn the_oracle_agrees_with_calendars() {
    let text = "[[calendars]]\nscope = { event_name = \"*[a-m0-5]\" }\nzone = \"Asia/Kolkata\"\n\
                holidays = [\"HOLIDAY\"]\nmaintenance = [ { from = \"01:10\", to = \"05:20\" } ]\n\
                [[calendars]]\nmaintenance = [ { from = \"11:00\", to = \"11:45\" } ]\n";
    for (width, days, every) in [(1, 5, 45), (1, 10, 400), (15, 22, 600), (60, 22, 600)] {
        let stream = stream(u64::from(width) + 77, days, every, width);
        let holiday = Minute(stream.end() - 2880).to_string();
        let text = text.replace("HOLIDAY", &holiday[..10]);
        let document = WrittenDocument::read("test", &text, []).expect("it is right");
        let settings = DetectSettings {
            bucket_minutes: width,
            calendars: document.check().expect("it is right").detect.calendars,
            ..settings(Some(2.0))
        };
        let found = check_oracle(&settings, &stream);
        let plain = straight(&self::settings(Some(2.0)), &stream.steps);
        assert!(width > 1 || found.insights.len() < plain.insights.len());
        check_same(
            &found,
            &interrupted(&settings, &stream.steps),
            "interrupted",
        );
    }
}

/// Partitions of one fleet with whoever adds their reports up: what they decided, in the order of
/// decisions and keys.
fn in_parts(settings: &DetectSettings, stream: &Stream, parts: usize) -> Vec<InsightEvent> {
    let part = DetectSettings {
        fleet: FleetScope::Part,
        ..settings.clone()
    };
    let mut engines: Vec<Engine> = (0..parts).map(|_| Engine::new(part.clone())).collect();
    let mut fleet = Fleet::new(settings);
    let mut reports: BTreeMap<u32, Vec<HourReport>> = BTreeMap::new();
    let mut out = Output::default();
    let origin = stream.steps.iter().filter_map(|step| match step {
        Step::Rates(entries) => entries.iter().map(|entry| entry.minute).min(),
        Step::Advance(_) => None,
    });
    let origin = origin.min().expect("the stream has counts") / 60;
    engines
        .iter_mut()
        .for_each(|engine| engine.set_origin(Minute(origin * 60)));
    for (position, step) in (0u64..).zip(&stream.steps) {
        let mut blocked = vec![None; parts];
        for (at, engine) in engines.iter_mut().enumerate() {
            let record = match step {
                Step::Rates(entries) => {
                    let mut own = entries.clone();
                    own.retain(|entry| entry.key.as_ref().shard() as usize % parts == at);
                    let mut rates = batch(&own);
                    rates.positions = (position, position + 1);
                    LogRecord::Rates(rates)
                }
                Step::Advance(to) => LogRecord::Progress(Progress {
                    source: 0,
                    position,
                    watermark: Minute(*to).start(),
                    state: SourceState::Active,
                }),
            };
            blocked[at] = engine.apply(&record, &mut out);
        }
        while blocked.iter().any(Option::is_some) {
            for engine in &mut engines {
                for (hour, report) in engine.take_reports() {
                    reports.entry(hour).or_default().push(report);
                }
            }
            while let Some(whole) = reports.remove(&(origin + fleet.next_hour())) {
                assert_eq!(whole.len(), parts, "all wait for the same hour");
                let hour = fleet.next_hour();
                let mut sum = HourReport::default();
                whole.iter().for_each(|report| sum += report);
                fleet.report(hour, &sum);
                let thresholds = fleet.thresholds_for(hour + 3);
                for engine in &mut engines {
                    engine.know_thresholds(origin + hour + 3, thresholds.clone());
                }
            }
            for (need, engine) in blocked.iter_mut().zip(&mut engines) {
                if need.is_some() {
                    *need = engine.resume(&mut out);
                }
            }
        }
    }
    sorted(out.insights)
}

fn sorted(mut insights: Vec<InsightEvent>) -> Vec<InsightEvent> {
    insights.sort_by(|a, b| {
        let order = |event: &InsightEvent| (event.decided_at, event.series.clone(), event.edge);
        order(a).cmp(&order(b))
    });
    insights
}

/// One partition or several decide the same: budgets of scopes, strata and groups add up.
#[test]
fn a_fleet_in_parts_decides_as_a_whole() {
    let settings = DetectSettings {
        budget_per_week: 400.0,
        budgets: scopes(),
        ..settings(None)
    };
    let stream = stream(5, 15, 45, 1);
    let whole = sorted(straight(&settings, &stream.steps).insights);
    assert!(whole.len() > 4, "{} insights", whole.len());
    for parts in [1, 3] {
        let apart = in_parts(&settings, &stream, parts);
        assert_eq!(format!("{apart:?}"), format!("{whole:?}"), "{parts} parts");
    }
}

/// An engine with the fleet layer after 15 days of a stream, and its Starts of the second week.
fn with_insights() -> (DetectSettings, Engine, Vec<InsightEvent>) {
    let settings = DetectSettings {
        budget_per_week: 2000.0,
        ..settings(None)
    };
    let stream = stream(7, 15, 45, 1);
    let mut engine = Engine::new(settings.clone());
    let mut out = Output::default();
    for step in &stream.steps {
        feed(&mut engine, step, &mut out);
    }
    let is_late = |event: &InsightEvent| {
        event.edge == Edge::Start && event.decided_at.0 + 7 * 1440 > stream.end()
    };
    out.insights.retain(is_late);
    (settings, engine, out.insights)
}

/// A true incident that somebody confirmed is forgotten by the fit: once, in any order, and through a
/// snapshot.
#[test]
fn a_confirmed_insight_leaves_the_fit() {
    let (settings, engine, insights) = with_insights();
    assert!(insights.len() > 2, "{} insights", insights.len());
    let bytes = engine.snapshot();
    let restored = || Engine::restore(settings.clone(), &bytes).expect("it was just taken");
    let (mut told, mut backwards, mut untold) = (restored(), restored(), restored());
    let mut forgotten = 0;
    for event in &insights {
        let what = told.confirm(event.shared_event_id);
        assert_ne!(what, Confirmed::Unknown);
        assert_eq!(told.confirm(event.shared_event_id), Confirmed::Nothing);
        forgotten += u32::from(what == Confirmed::Forgotten(1));
    }
    for event in insights.iter().rev() {
        backwards.confirm(event.shared_event_id);
    }
    assert!(forgotten > 1, "{forgotten} of {}", insights.len());
    assert_eq!(untold.confirm(uuid::Uuid::from_u128(7)), Confirmed::Unknown);
    assert!(told.snapshot() == backwards.snapshot());
    assert!(told.snapshot() != bytes);
    told = Engine::restore(settings.clone(), &told.snapshot()).expect("it was just taken");
    let end = untold.stats().closed.expect("it has judged").0;
    let mut out = Output::default();
    for engine in [&mut told, &mut backwards, &mut untold] {
        engine.advance(Minute(end + 10 * 60), &mut out);
    }
    assert!(told.snapshot() == backwards.snapshot());
}

/// A jump over eight thousand years takes no time, in whatever steps it is made.
#[test]
fn a_jump_to_the_year_9999_is_short_and_equals_two_jumps() {
    let last = 4_223_371_679;
    let stream = stream(3, 3, 60, 1);
    let mut steps = stream.steps.clone();
    let far = stream.entries_at(last - 5000);
    steps.push(Step::Rates(far.clone()));
    let mut halves = steps.clone();
    halves.push(Step::Advance(2_000_000_123));
    halves.push(Step::Advance(2_000_050_000));
    steps.push(Step::Advance(last));
    halves.push(Step::Advance(last));
    for settings in [settings(Some(2.0)), settings(None)] {
        let out = straight(&settings, &steps);
        check_same(&out, &interrupted(&settings, &halves), "two jumps");
        let rows = out.scores.unwrap_or_default();
        let there = rows
            .iter()
            .filter(|row| row.minute.0 == last - 5000)
            .count();
        assert_eq!(there, far.len());
    }
}

/// Forgotten after 11,600 silent minutes: the id rests, the state is that of a new series.
#[test]
fn a_forgotten_series_comes_back_as_new() {
    let settings = settings(Some(2.0));
    let stream = stream(8, 2, 60, 1);
    let mut steps = stream.steps.clone();
    let end = stream.end();
    steps.push(Step::Rates(stream.entries_at(end + 13_000)));
    steps.push(Step::Advance(end + 12_990));
    let mut engine = Engine::new(settings.clone());
    let mut out = Output::default();
    for step in &steps {
        feed(&mut engine, step, &mut out);
    }
    let stats = engine.stats();
    assert_eq!(stats.series, 0);
    assert!(stats.counts.forgotten > 0);
    steps.push(Step::Advance(end + 13_100));
    let whole = Stream { steps, ..stream };
    check_oracle(&settings, &whole);
    check_ways(&settings, &whole);
}

/// Over the limit of a shard the first keys of the minute are tracked, whatever came first.
#[test]
fn series_over_the_limit_are_refused_in_the_order_of_keys() {
    let settings = DetectSettings {
        series_max: 1024,
        ..settings(Some(2.0))
    };
    let stream = stream(21, 3, 60, 1);
    check_ways(&settings, &stream);
    let mut engine = Engine::new(settings);
    let mut out = Output::default();
    for step in &stream.steps {
        feed(&mut engine, step, &mut out);
    }
    let counts = engine.stats().counts;
    assert!(counts.entries_untracked > 0, "{counts:?}");
}

/// A million new series in a minute waited for its close, although few could be admitted.
/// Refused before or then: the same series, the same counts, and little that waits.
#[test]
fn series_that_cannot_be_admitted_do_not_wait() {
    let refuse_at = |waiting_max| DetectSettings {
        series_max: 1024,
        waiting_max,
        ..settings(Some(2.0))
    };
    let template = stream(1, 1, 60, 1)
        .entries_at(streams::FIRST)
        .swap_remove(0);
    let mut entries = Vec::new();
    for number in 0..20_000 {
        let mut entry = template.clone();
        entry.key.event_name = format!("Call{number}").into();
        entry.deltas[0].1 = format!("agent {number}");
        entries.push(entry);
    }
    Random(7).shuffle(&mut entries);
    let mut runs = Vec::new();
    for waiting_max in [u32::MAX, 5000] {
        let mut engine = Engine::new(refuse_at(waiting_max));
        let mut out = Output::with_scores();
        for batch in entries.chunks(1000) {
            feed(&mut engine, &Step::Rates(batch.to_vec()), &mut out);
        }
        let waiting = engine.stats();
        let advance = Step::Advance(streams::FIRST + 5);
        feed(&mut engine, &advance, &mut out);
        let counts = engine.stats().counts;
        runs.push((waiting, format!("{:?}{counts:?}", out.scores)));
    }
    let (late, early) = (&runs[0], &runs[1]);
    assert_eq!(late.1, early.1);
    assert_eq!(late.0.values, 20_000);
    assert!(early.0.values < 5000, "{} values", early.0.values);
    let bytes = [late, early].map(|run| run.0.waiting_bytes + run.0.values_bytes);
    assert!(bytes[1] * 2 < bytes[0], "{bytes:?}");
}

/// Also over several minutes that wait together, and however their counts come.
#[test]
fn refusing_early_changes_nothing_that_is_decided() {
    let with = |waiting_max| DetectSettings {
        series_max: 1024,
        waiting_max,
        ..settings(Some(2.0))
    };
    let stream = stream(21, 12, 300, 1);
    let late = straight(&with(u32::MAX), &stream.steps);
    let early = straight(&with(1), &stream.steps);
    check_same(&late, &early, "refused early");
    check_same(&late, &interrupted(&with(1), &stream.steps), "and restored");
}

#[test]
fn a_snapshot_that_is_not_ours_is_refused() {
    let engine = Engine::new(settings(None));
    let bytes = engine.snapshot();
    let mut damaged = bytes.clone();
    damaged[30] ^= 1;
    let refuse = |bytes: &[u8]| Engine::restore(settings(None), bytes).expect_err("refused");
    assert!(matches!(refuse(&damaged), SnapshotError::Checksum { .. }));
    assert_eq!(
        refuse(b"something else entirely..."),
        SnapshotError::Foreign
    );
    assert!(matches!(
        refuse(&bytes[..bytes.len() - 1]),
        SnapshotError::Checksum { .. }
    ));
    let other = Engine::restore(settings(Some(3.0)), &bytes);
    assert!(matches!(other, Err(SnapshotError::Settings { .. })));
}

/// Counts of a hostile row neither panic nor wrap.
#[test]
fn absurd_counts_are_capped_and_counted() {
    let mut stream = stream(2, 1, 60, 1);
    let mut absurd = stream.entries_at(streams::FIRST + 5);
    for entry in &mut absurd {
        entry.count = u64::MAX;
        entry.deltas[0].2 = u64::MAX;
    }
    let number = absurd.len() as u64;
    stream.steps.insert(0, Step::Rates(absurd));
    let mut engine = Engine::new(settings(Some(2.0)));
    for step in &stream.steps {
        feed(&mut engine, step, &mut Output::default());
    }
    assert_eq!(engine.stats().counts.entries_capped, number);
}
