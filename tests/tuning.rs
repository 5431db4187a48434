//! Tuning is production: what a setting does in a sweep is what a replay of it does, to the byte.
//!
//! Made fleets with planted incidents go through a whole engine and through kept rates, surveys and
//! parts; records and thresholds have to be equal for any split of the work.

#[path = "tuning/service_stage.rs"]
mod service_stage;
#[path = "tuning/sim.rs"]
mod sim;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use glob::Pattern;
use insightd::detect::budget::ScopedBudget;
use insightd::detect::fleet::Thresholds;
use insightd::detect::settings::Profile;
use insightd::detect::{DetectSettings, Engine, Output};
use insightd::formats::{RecordContext, write_insight};
use insightd::ingest::{RatesIngest, RowsSettings};
use insightd::model::{
    AttributionDelta, Dimension, Direction, Edge, EventTime, Feedback, InsightEvent, InsightType,
    Judgement, Knowledge, Known as KnownOf, LogRecord, Minute, Mute, Progress, RatesBuilder, Said,
    Scope, ScoreRow, SeriesRef, SourceCategory, SourceState,
};
use insightd::service::Sweep;
use insightd::synth::Random;
use insightd::tuning::close_look::{Question, look_closely};
use insightd::tuning::part_run::{Constant, Known, Part};
use insightd::tuning::{KeptRates, SeriesSet};

const FIRST: u32 = 29_460_960;
const SERIES: u32 = 40;
const DAYS: u32 = 10;

/// Counts of a fleet of Poisson series with bursts, as the records of a rates log; some come late.
fn records(seed: u64) -> Vec<LogRecord> {
    records_of(seed, series)
}

fn records_of(seed: u64, series: impl Fn(&str) -> SeriesRef<'_>) -> Vec<LogRecord> {
    let mut random = Random::keyed(seed, &[]);
    let mut records = vec![
        LogRecord::Settings("test".to_string()),
        LogRecord::Sources(1),
    ];
    let rates: Vec<f64> = (0..SERIES).map(|_| random.decades(-2.5, 0.5)).collect();
    let mut position = 0;
    for t in 0..DAYS * 1440 {
        let mut builder = RatesBuilder::default();
        for (number, rate) in rates.iter().enumerate() {
            let is_burst = random.chance(0.0001);
            let count = random.poisson(if is_burst { rate + 30.0 } else { *rate });
            if count == 0 {
                continue;
            }
            let name = format!("Call{number:02}");
            let key = builder.add_key(series(&name), SourceCategory::Management);
            let who = builder.value(if is_burst { "burst" } else { "usual" });
            let delta = AttributionDelta {
                dimension: Dimension::UserIdentityArn,
                value: who,
                count: u64::from(count),
            };
            // One in two hundred comes after its minute was closed.
            let late = if t > 30 && random.chance(0.005) {
                20
            } else {
                0
            };
            let minute = Minute(FIRST + t - late);
            builder.add_entry(key, minute, u64::from(count), &[delta]);
        }
        if !builder.is_empty() {
            records.push(LogRecord::Rates(
                builder.finish(0, (position, position + 1)),
            ));
        }
        position += 1;
        records.push(LogRecord::Progress(Progress {
            source: 0,
            position,
            watermark: Minute(FIRST + t + 1).start(),
            state: SourceState::Active,
        }));
    }
    records
}

fn series(name: &str) -> SeriesRef<'_> {
    SeriesRef {
        account: "111122223333",
        region: "us-east-1",
        event_source: "svc.amazonaws.com",
        event_name: name,
        insight_type: InsightType::ApiCallRate,
        error_code: "",
    }
}

/// What a replay writes.
fn whole(records: &[LogRecord], settings: &DetectSettings) -> String {
    let mut engine = Engine::new(settings.clone());
    let mut output = Output::default();
    for record in records {
        assert_eq!(engine.apply(record, &mut output), None);
    }
    written(&output.insights)
}

fn written(insights: &[InsightEvent]) -> String {
    let context = RecordContext {
        engine_version: "0".to_string(),
        settings_hash: "0".to_string(),
        include_extension: true,
    };
    let mut out = Vec::new();
    for event in insights {
        write_insight(event, &context, &mut out);
    }
    String::from_utf8(out).expect("records are text")
}

fn keep(records: &[LogRecord]) -> KeptRates {
    let mut kept = KeptRates::new(1 << 30);
    for record in records {
        kept.push(record).expect("there is room");
    }
    kept.finish();
    kept
}

fn budget(per_week: f64) -> DetectSettings {
    DetectSettings {
        budget_per_week: per_week,
        ..DetectSettings::default()
    }
}

/// A sweep of the grid says what replays of it say, and so does one of each setting alone, which
/// then has all threads.
fn check_sweep(
    seed: u64,
    records: &[LogRecord],
    grid: &[DetectSettings],
    expected: &[String],
    threads: usize,
) {
    let kept = keep(records);
    let sweep = Sweep {
        kept: &kept,
        threads,
        stop: Arc::new(AtomicBool::new(false)),
    };
    let swept = sweep.run(grid, &|_| {}).expect("nobody stops it");
    for (place, run) in swept.runs.iter().enumerate() {
        let found = written(&run.insights);
        assert_eq!(found, expected[place], "seed {seed}, setting {place}");
    }
    for (place, one) in grid.iter().enumerate() {
        let one = std::slice::from_ref(one);
        let swept = sweep.run(one, &|_| {}).expect("nobody stops it");
        let found = written(&swept.runs[0].insights);
        assert_eq!(found, expected[place], "seed {seed}, setting {place} alone");
    }
}

#[test]
fn a_sweep_does_what_replays_do() {
    let fixed = DetectSettings {
        fixed_z: Some(3.0),
        ..DetectSettings::default()
    };
    let compat = DetectSettings {
        profile: Profile::Compat,
        ..DetectSettings::default()
    };
    let wide = DetectSettings {
        bucket_minutes: 5,
        ..budget(20.0)
    };
    let grid = [
        budget(4.0),
        fixed,
        budget(200.0),
        compat,
        budget(0.02),
        wide,
        budget(30.0),
    ];
    for seed in 1..=3 {
        let records = records(seed);
        let expected: Vec<String> = grid.iter().map(|one| whole(&records, one)).collect();
        assert!(expected[2].lines().count() > 10, "the fleet says something");
        assert_ne!(expected[0], expected[2], "settings differ");
        for threads in [1, 3] {
            check_sweep(seed, &records, &grid, &expected, threads);
        }
    }
}

/// Parts of a fleet admit their series by themselves: where a limit refuses some of the whole, a
/// sweep once said more than a replay.
#[test]
fn a_sweep_refuses_the_series_that_a_replay_refuses() {
    let settings = DetectSettings {
        fixed_z: Some(3.0),
        // Eight series in each shard.
        series_max: 8192,
        ..DetectSettings::default()
    };
    let budget = DetectSettings {
        fixed_z: None,
        budget_per_week: 100.0,
        ..settings.clone()
    };
    let grid = [settings, budget];
    for seed in 1..=4 {
        // The error codes of one API share its shard.
        let records = records_of(seed, |name| SeriesRef {
            event_name: "Call",
            insight_type: InsightType::ApiErrorRate,
            error_code: name,
            ..series(name)
        });
        let expected: Vec<String> = grid.iter().map(|one| whole(&records, one)).collect();
        assert!(
            !expected[0].is_empty(),
            "the series that are tracked say something"
        );
        check_sweep(seed, &records, &grid, &expected, 2);
    }
}

/// Thresholds by scope and kind of rate: a survey has a bound for each scope.
#[test]
fn a_sweep_keeps_the_budgets_of_scopes() {
    let scope = |account: &str, direction, per_week| ScopedBudget {
        scope: Scope {
            account: Some(Pattern::new(account).expect("a pattern")),
            direction,
            ..Scope::default()
        },
        per_week,
    };
    let scoped = |rest: f64, second: f64, drops: f64| DetectSettings {
        budget_per_week: rest,
        budgets: vec![
            scope("2*", Some(Direction::Down), drops),
            scope("2*", None, second),
        ],
        ..DetectSettings::default()
    };
    let grid = [
        scoped(0.02, 200.0, 30.0),
        scoped(200.0, 0.02, 0.02),
        budget(4.0),
        scoped(2.0, 20.0, 0.02),
        scoped(100.0, 100.0, 100.0),
    ];
    for seed in 11..=12 {
        let records = records_of(seed, |name| {
            let number: u32 = name["Call".len()..].parse().expect("it ends with a number");
            let is_error = number.is_multiple_of(3);
            SeriesRef {
                account: ["111122223333", "222233334444"][number as usize % 2],
                insight_type: match is_error {
                    true => InsightType::ApiErrorRate,
                    false => InsightType::ApiCallRate,
                },
                error_code: if is_error { "Denied" } else { "" },
                ..series(name)
            }
        });
        let expected: Vec<String> = grid.iter().map(|one| whole(&records, one)).collect();
        let said = |at: usize, account: &str| expected[at].matches(account).count();
        assert!(said(0, "222233334444") > said(1, "222233334444"));
        assert!(said(1, "111122223333") > said(0, "111122223333"));
        check_sweep(seed, &records, &grid, &expected, 2);
    }
}

/// What people said is heeded by a sweep as by a replay.
#[test]
fn a_sweep_heeds_feedback() {
    let records = records(21);
    let mut engine = Engine::new(budget(200.0));
    let mut output = Output::default();
    for record in &records {
        assert_eq!(engine.apply(record, &mut output), None);
    }
    let mut feedback = Vec::new();
    for (number, one) in output.insights.iter().enumerate() {
        let from = Minute(one.decided_at.0 + 90);
        let until = Minute(FIRST + DAYS * 1440);
        feedback.push(Feedback {
            id: number as u128,
            insight: one.shared_event_id.as_u128(),
            from,
            said: [Said::True, Said::Expected { until }, Said::NewNormal][number % 3],
        });
    }
    assert!(feedback.len() > 10, "{}", feedback.len());
    let grid = [200.0, 20.0, 600.0].map(|per_week| DetectSettings {
        feedback: feedback.clone().into(),
        ..budget(per_week)
    });
    let expected: Vec<String> = grid.iter().map(|one| whole(&records, one)).collect();
    check_sweep(0, &records, &grid, &expected, 2);
    assert_ne!(expected[0], whole(&records, &budget(200.0)));
}

/// What a replay decides.
fn decided(records: &[LogRecord], settings: &DetectSettings) -> Vec<InsightEvent> {
    let mut engine = Engine::new(settings.clone());
    let mut output = Output::default();
    for record in records {
        assert_eq!(engine.apply(record, &mut output), None);
    }
    output.insights
}

/// Something said of every insight that is over soon enough, and a mute over one day.
fn knowledge_of(insights: &[InsightEvent]) -> Vec<Knowledge> {
    let until = Minute(FIRST + DAYS * 1440);
    let mut knowledge = Vec::new();
    for (number, one) in insights.iter().enumerate() {
        let said = [Said::True, Said::Expected { until }, Said::NewNormal][number % 3];
        let insight = one.shared_event_id;
        let from = Minute(one.decided_at.0 + 90);
        let what = KnownOf::Feedback { insight, said };
        knowledge.push(Knowledge::new(from, "test", "it was seen", what));
    }
    for direction in [Direction::Up, Direction::Down] {
        let scope = Scope {
            event_name: Some(Pattern::new("Call[0-2]*").expect("a pattern")),
            direction: Some(direction),
            ..Scope::default()
        };
        let what = KnownOf::Mute {
            scope: Box::new(scope),
            until: Minute(FIRST + 6 * 1440),
        };
        knowledge.push(Knowledge::new(
            Minute(FIRST + 4 * 1440),
            "test",
            "why",
            what,
        ));
    }
    knowledge
}

/// The service splits its log over partitions and its work over processes, each as far as it has
/// come: it publishes the bytes that a replay writes and a sweep decides, whoever knows what.
#[test]
fn the_service_says_what_replays_and_sweeps_say() {
    let fixed = DetectSettings {
        fixed_z: Some(3.0),
        ..DetectSettings::default()
    };
    let mut hidden = 0;
    for (seed, partitions, settings) in [
        (31, 4, budget(200.0)),
        (32, 1, budget(40.0)),
        (33, 8, fixed),
    ] {
        let records = records(seed);
        let knowledge = knowledge_of(&decided(&records, &settings));
        assert!(knowledge.len() > 10, "seed {seed}: {}", knowledge.len());
        let mut told = Vec::new();
        for known in [&[][..], &knowledge] {
            let settings = DetectSettings {
                feedback: Feedback::all(known).into(),
                ..settings.clone()
            };
            let all = decided(&records, &settings);
            let grid = std::slice::from_ref(&settings);
            check_sweep(seed, &records, grid, &[written(&all)], 2);
            let keys = all.iter().map(|event| {
                let is_start = event.edge == Edge::Start;
                (event.decided_at, event.series.clone(), is_start)
            });
            assert!(keys.is_sorted(), "by minute, series, End before Start");
            let mutes = Mute::all(known);
            let is_hidden = |event: &&InsightEvent| mutes.iter().any(|mute| mute.hides(event));
            let (muted, expected): (Vec<&InsightEvent>, _) = all.iter().partition(is_hidden);
            let (found, counted) = service_stage::run(&records, &settings, partitions, known, seed);
            assert_eq!(counted.len(), muted.len(), "seed {seed}: what mutes hide");
            hidden += muted.len();
            let expected = lines_of_service(&expected, &settings);
            assert_eq!(
                sorted_texts(found),
                sorted_texts(expected.clone()),
                "seed {seed}"
            );
            told.push(expected);
        }
        assert_ne!(told[0], told[1], "seed {seed}: what is known shows");
    }
    assert!(hidden > 4, "{hidden} ends are hidden");
}

/// Records as the simulated service writes them.
fn lines_of_service(insights: &[&InsightEvent], settings: &DetectSettings) -> Vec<Vec<u8>> {
    let context = sim::instance::context(&sim::instance::canonical(settings));
    let lines = insights.iter().map(|event| {
        let mut line = Vec::new();
        write_insight(event, &context, &mut line);
        line.pop();
        line
    });
    lines.collect()
}

fn sorted_texts(lines: Vec<Vec<u8>>) -> Vec<String> {
    let texts = lines.into_iter().map(String::from_utf8);
    let mut texts: Vec<String> = texts.map(|text| text.expect("records are text")).collect();
    texts.sort();
    texts
}

/// Rows of rates, whose series appear and vanish, come back from the kept form as they were.
#[test]
fn kept_rates_count_what_the_log_counts() {
    let mut ingest = RatesIngest::new(RowsSettings::default());
    let mut random = Random::keyed(7, &[]);
    let mut records = Vec::new();
    let mut sums = std::collections::BTreeMap::new();
    for _ in 0..5000 {
        let minute = Minute(FIRST + random.below(4000));
        let name = format!("Call{}", random.below(30));
        let count = u64::from(random.below(5));
        *sums.entry((name.clone(), minute)).or_insert(0) += count;
        let time = EventTime::from_seconds(minute.start().seconds() + 7).expect("a time");
        ingest
            .push(time, series(&name), count, &mut records)
            .expect("there is room");
    }
    ingest.finish(None);
    while ingest.drain(&mut records) {}
    sums.retain(|_, count| *count > 0);
    let kept = keep(&records);
    let mut found = std::collections::BTreeMap::new();
    kept.counts(&SeriesSet::all(&kept), &mut |series, minute, count| {
        let name = kept.series()[series as usize].key.event_name.to_string();
        *found.entry((name, minute)).or_insert(0) += count;
    });
    assert_eq!(found, sums);
    assert_eq!(kept.entries(), sums.len() as u64);
    // Parts of it are what the whole holds of their series.
    let mut some = SeriesSet::none(&kept);
    some.insert(3);
    let mut minutes = 0;
    kept.read(&some, &mut |record| {
        if let LogRecord::Rates(rates) = record {
            assert_eq!(rates.keys_len(), 1);
            minutes += rates.entries().len();
        }
        ControlFlow::Continue(())
    });
    let name = kept.series()[3].key.event_name.to_string();
    assert_eq!(
        minutes,
        sums.keys().filter(|(other, _)| *other == name).count()
    );
}

/// Every row of scores that a replay writes, by series and minute.
fn scores(records: &[LogRecord], settings: &DetectSettings) -> (String, Vec<ScoreRow>, Noted) {
    let mut engine = Engine::new(settings.clone());
    engine.note_thresholds();
    let mut output = Output::with_scores();
    for record in records {
        assert_eq!(engine.apply(record, &mut output), None);
    }
    let origin = engine.stats().origin.expect("it has begun");
    let noted = engine.thresholds_noted().iter();
    let in_force = noted
        .map(|(hour, at)| (hour - origin.hour(), at.clone()))
        .collect();
    let rows = output.scores.expect("they are wanted");
    (written(&output.insights), rows, Noted { origin, in_force })
}

struct Noted {
    origin: Minute,
    in_force: Vec<(u32, Thresholds)>,
}

/// A close look at every minute of every series says what the replay said: of each score row the
/// same numbers, the same insights, and reasons that lead to them.
#[test]
fn a_close_look_sees_what_the_replay_saw() {
    let fixed = DetectSettings {
        fixed_z: Some(3.0),
        ..DetectSettings::default()
    };
    let wide = DetectSettings {
        bucket_minutes: 5,
        ..budget(200.0)
    };
    for (seed, settings) in [(4, budget(200.0)), (5, fixed), (6, wide)] {
        let mut records = records(seed);
        // Half a day without a word of anybody, that closes at once.
        let silent = |record: &LogRecord| match record {
            LogRecord::Rates(rates) => {
                let minutes = rates.entries().iter().map(|entry| entry.minute.0);
                minutes
                    .min()
                    .is_some_and(|minute| (9_000..9_700).contains(&(minute - FIRST)))
            }
            LogRecord::Progress(progress) => {
                let minute = progress.watermark.minute().0;
                (9_000..9_700).contains(&(minute - FIRST))
            }
            _ => false,
        };
        records.retain(|record| !silent(record));
        let (expected, rows, mut noted) = scores(&records, &settings);
        assert!(expected.lines().count() > 5, "the fleet says something");
        if let Some(z) = settings.fixed_z {
            noted.in_force = vec![(0, Constant::new(&[z]).thresholds)];
        }
        let kept = keep(&records);
        let all = SeriesSet::all(&kept);
        let span = Minute(FIRST)..Minute(FIRST + DAYS * 1440);
        let asked = |series: u32| {
            let key = &kept.series()[series as usize].key;
            let of_series = rows
                .iter()
                .filter(|row| *row.key == *key && row.surprise > 6.0);
            Question {
                series,
                span: span.clone(),
                with_reasons: of_series.map(|row| row.minute).next(),
            }
        };
        let questions: Vec<Question> = all.iter().map(asked).collect();
        let part = Part {
            kept: &kept,
            keep: &all,
            settings: &settings,
            origin: noted.origin,
            has_scores: false,
        };
        let mut seen: HashMap<(u32, Minute), Judgement> = HashMap::new();
        let thresholds = &mut Known(&noted.in_force);
        let insights = look_closely(&part, thresholds, &questions, &mut |place, judgement| {
            let series = questions[place].series;
            let before = seen.insert((series, judgement.minute), judgement.clone());
            assert!(before.is_none(), "a minute is shown once");
        });
        assert_eq!(written(&insights), expected, "seed {seed}");
        assert!(seen.len() > rows.len(), "silent minutes are seen, too");
        for row in &rows {
            let series = kept.find((*row.key).as_ref()).expect("it was kept");
            let judgement = &seen[&(series, row.minute)];
            assert_eq!(judgement.count, row.count);
            let numbers = |a: [f64; 5]| a.map(f64::to_bits);
            let of_row = [row.expected, row.low, row.high, row.surprise, row.z];
            let Judgement {
                expected,
                low,
                high,
                surprise,
                z,
                ..
            } = *judgement;
            assert_eq!(numbers([expected, low, high, surprise, z]), numbers(of_row));
            assert_eq!(judgement.state, row.state);
        }
        check_reasons(seen.values());
    }
}

/// Reasons add up to the verdict they are of.
fn check_reasons<'a>(judgements: impl Iterator<Item = &'a Judgement>) {
    let mut checked = 0;
    for judgement in judgements {
        let Some(reasons) = &judgement.reasons else {
            continue;
        };
        checked += 1;
        let largest = reasons.windows.iter().map(|window| window.surprise);
        assert_eq!(largest.fold(0.0, f64::max), judgement.surprise);
        let chosen = reasons.chosen.expect("it surprised");
        assert_eq!(reasons.windows[chosen].surprise, judgement.surprise);
        for window in &reasons.windows {
            let tried = [window.shifted, window.same_phase].into_iter().flatten();
            let left: Vec<f64> = tried.map(|one| one.left).collect();
            let last = left.last().copied().unwrap_or(window.raw);
            assert_eq!(window.surprise, last);
            assert!(left.is_sorted_by(|a, b| a >= b) && last <= window.raw);
            assert!(window.low <= window.expected.ceil() && window.high >= window.expected.floor());
        }
        assert!(reasons.start_z <= judgement.z && judgement.z <= reasons.z_alone);
        assert!(reasons.hours >= reasons.exceedances);
    }
    assert!(checked > 10, "{checked} reasons");
}
