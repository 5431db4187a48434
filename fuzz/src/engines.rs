//! Small engines with something in every part of their state, and streams to go on with.

use std::sync::Arc;

use insightd::detect::settings::Profile;
use insightd::detect::{DetectSettings, Engine, Output};
use insightd::model::{
    AttributionDelta, Dimension, EventTime, InsightType, Knowledge, Known, LogRecord, Minute,
    Progress, Rates, RatesBuilder, Said, SeriesRef, SourceCategory, SourceState,
};

/// 2026-01-05T10:00:00Z.
pub const FIRST: u32 = 29_460_600;

/// The settings that a byte chooses; the fourth and later ones repeat.
pub fn settings(choice: u8) -> DetectSettings {
    let usual = DetectSettings {
        series_max: 4096,
        values_max: 3,
        ..DetectSettings::default()
    };
    match choice % 4 {
        0 => usual,
        1 => DetectSettings {
            bucket_minutes: 60,
            profile: Profile::Compat,
            ..usual
        },
        2 => DetectSettings {
            bucket_minutes: 15,
            fixed_z: Some(1.0),
            ..usual
        },
        _ => DetectSettings {
            bucket_minutes: 60,
            budget_per_week: 1e6,
            ..usual
        },
    }
}

fn key(number: u32) -> SeriesRef<'static> {
    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let is_error = number % 3 == 2;
    SeriesRef {
        account: "1",
        region: "r",
        event_source: "s",
        event_name: NAMES[number as usize % NAMES.len()],
        insight_type: if is_error {
            InsightType::ApiErrorRate
        } else {
            InsightType::ApiCallRate
        },
        error_code: if is_error { "E" } else { "" },
    }
}

/// A count of each of the series `from .. to` in `minute`, by one of a few agents.
pub fn rates(minute: u32, from: u32, to: u32, count: u64) -> Rates {
    let mut builder = RatesBuilder::default();
    for number in from..to {
        let category = match number % 2 {
            0 => SourceCategory::Management,
            _ => SourceCategory::Data,
        };
        let series = builder.add_key(key(number), category);
        let value = builder.value(["x", "y", "z", "w", "v"][(minute + number) as usize % 5]);
        let delta = |dimension, count| AttributionDelta {
            dimension,
            value,
            count,
        };
        let deltas = [
            delta(Dimension::UserAgent, count),
            delta(Dimension::ResourceArn, 1),
        ];
        builder.add_entry(series, Minute(minute), count, &deltas);
    }
    builder.finish(0, (0, 1))
}

fn progress(minute: u32) -> LogRecord {
    LogRecord::Progress(Progress {
        source: 0,
        position: u64::from(minute),
        watermark: EventTime::from_seconds(i64::from(minute) * 60).expect("before 9999"),
        state: SourceState::Active,
    })
}

/// One record of each kind, and two more.
pub fn records() -> Vec<LogRecord> {
    vec![
        LogRecord::Settings("budget = 1".to_string()),
        LogRecord::Sources(1),
        LogRecord::Rates(rates(FIRST, 0, 3, 7)),
        progress(FIRST + 1),
        LogRecord::Rates(rates(FIRST + 1, 0, 1, 1 << 40)),
        progress(FIRST + 2),
        LogRecord::Knowledge {
            number: 300,
            record: Arc::new(feedback()),
        },
    ]
}

fn feedback() -> Knowledge {
    let said = Known::Feedback {
        insight: "5f9b2c1e-0000-4000-8000-000000000001"
            .parse()
            .expect("a UUID"),
        said: Said::NewNormal,
    };
    Knowledge::new(Minute(FIRST), "me", "why", said)
}

/// Runs `buckets` buckets of steady traffic of series 0 and 1, with a burst of series 2 at the
/// bucket `burst`.
fn run(choice: u8, buckets: u32, burst: u32) -> (Engine, u32) {
    let settings = settings(choice);
    let width = settings.bucket_minutes;
    let mut engine = Engine::new(settings);
    let mut out = Output::default();
    engine.apply(&LogRecord::Sources(1), &mut out);
    let mut minute = FIRST;
    for bucket in 0..buckets {
        if bucket % 3 != 1 {
            engine.observe(&rates(minute, 0, 2, 20 + u64::from(bucket % 5)));
        }
        if bucket == burst || bucket + 1 == buckets && burst > 0 {
            engine.observe(&rates(minute, 2, 3, 9000));
            engine.observe(&rates(minute, 1, 2, 90_000));
        }
        minute += width;
        engine.apply(&progress(minute), &mut out);
    }
    (engine, minute)
}

/// Engines by the byte that chooses their settings.
pub fn engines() -> Vec<(u8, Engine)> {
    let mut engines = Vec::new();
    for choice in 0..4 {
        engines.push((choice, Engine::new(settings(choice))));
        let (mut engine, minute) = run(choice, 70, 0);
        engine.observe(&rates(minute, 0, 5, 3));
        engine.observe(&rates(minute + 60, 4, 6, 1));
        engine.observe(&rates(minute.saturating_sub(60), 0, 1, 2));
        engine.observe(&rates(minute.saturating_sub(60), 5, 6, 2));
        engines.push((choice, engine));
    }
    for (choice, buckets) in [(1, 60), (1, 200), (2, 210), (3, 200)] {
        engines.push((choice, run(choice, buckets, buckets - 20).0));
        engines.push((choice, run(choice, buckets, buckets - 1).0));
    }
    // Everything forgotten, ids at rest; and later a jump.
    for minutes in [11_700, 14 * 1440, 120 * 7 * 1440] {
        let (mut engine, minute) = run(3, 30, 5);
        let mut out = Output::default();
        engine.advance(Minute(minute + minutes), &mut out);
        engines.push((3, engine));
    }
    engines
}
