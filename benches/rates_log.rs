//! Throughput of rates-log segments, appended to and read back: `cargo bench --bench rates_log`.
//!
//! Records like those of ingest: a Rates batch a minute with 200 series and two attribution
//! values each, then a Progress. Segments go to the directory INSIGHTD_SCRATCH, or the system's
//! own for temporary files. Appending ends with a sync, so that it counts what is durable;
//! reading decodes and checks every record. Processor time beside it tells a slow disk from slow
//! code. INSIGHTD_BENCH_SIZE=long writes ten times as much.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use insightd::model::{
    AttributionDelta, Dimension, EventTime, InsightType, LogRecord, Minute, Progress, RatesBuilder,
    SeriesRef, SourceCategory, SourceState,
};
use insightd::rateslog::{RatesLog, SegmentSettings, SegmentsLog};
use rustix::time::{ClockId, clock_gettime};

const SERIES: u32 = 200;
const FIRST_MINUTE: u32 = 28_000_000;
const MINUTES_APART: u32 = 200;
const ROUNDS: usize = 5;

/// What one pass took.
#[derive(Clone, Copy)]
struct Cost {
    wall_seconds: f64,
    processor_seconds: f64,
}

fn main() {
    let is_long = std::env::var("INSIGHTD_BENCH_SIZE").is_ok_and(|size| size == "long");
    let passes = if is_long { 100 } else { 10 };
    let place = std::env::var_os("INSIGHTD_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(place).expect("a directory");
    let records: Vec<LogRecord> = (0..MINUTES_APART)
        .flat_map(|minute| [rates(minute), progress(minute)])
        .collect();
    let count = records.len() * passes;
    let (mut append, mut read) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for round in 0..ROUNDS {
        let path = directory.path().join(format!("round-{round}"));
        let mut log = SegmentsLog::open(&path, SegmentSettings::default()).expect("a log");
        append.push(timed(|| {
            for record in (0..passes).flat_map(|_| &records) {
                log.append(record.clone()).expect("an append");
            }
            log.sync().expect("a sync");
        }));
        let mut seen = 0;
        read.push(timed(|| {
            let start = log.start();
            log.read(start, &mut |_, _| {
                seen += 1;
                ControlFlow::Continue(())
            })
            .expect("a read");
        }));
        assert_eq!(seen, count);
        let files = std::fs::read_dir(&path).expect("the directory");
        bytes = files
            .map(|file| file.and_then(|file| file.metadata()).map_or(0, |m| m.len()))
            .sum::<u64>();
        std::fs::remove_dir_all(&path).expect("the directory goes");
    }
    println!(
        "{count} records, {:.1} MB, best of {ROUNDS} rounds:",
        bytes as f64 / 1e6
    );
    report("append and sync", &append, bytes, count);
    report("read back", &read, bytes, count);
}

fn timed(pass: impl FnOnce()) -> Cost {
    let (clock, processor) = (Instant::now(), processor_seconds());
    pass();
    Cost {
        wall_seconds: clock.elapsed().as_secs_f64(),
        processor_seconds: processor_seconds() - processor,
    }
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn report(title: &str, costs: &[Cost], bytes: u64, records: usize) {
    for (kind, seconds) in [
        ("wall", best(costs, |cost| cost.wall_seconds)),
        ("processor", best(costs, |cost| cost.processor_seconds)),
    ] {
        println!(
            "  {title:16} {kind:9} {:8.0} MB/s {:10.0} records/s {:12.0} entries/s",
            bytes as f64 / 1e6 / seconds,
            records as f64 / seconds,
            records as f64 / 2.0 * f64::from(SERIES) / seconds,
        );
    }
}

fn best(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    costs.iter().map(of).fold(f64::INFINITY, f64::min)
}

fn rates(minute: u32) -> LogRecord {
    let mut builder = RatesBuilder::default();
    for series in 0..SERIES {
        let name = format!("Describe{}", series * 7 + minute % 7);
        let key = SeriesRef {
            account: "123456789012",
            region: "us-east-1",
            event_source: "ec2.amazonaws.com",
            event_name: &name,
            insight_type: InsightType::ApiCallRate,
            error_code: "",
        };
        let key = builder.add_key(key, SourceCategory::Management);
        let identity = format!(
            "arn:aws:sts::123456789012:assumed-role/role-{}",
            series % 40
        );
        let count = u64::from(1 + (series * minute) % 90);
        let delta = |dimension, value| AttributionDelta {
            dimension,
            value,
            count,
        };
        let deltas = [
            delta(Dimension::UserIdentityArn, builder.value(&identity)),
            delta(
                Dimension::UserAgent,
                builder.value("Boto3/1.26.1 Python/3.9.13"),
            ),
        ];
        builder.add_entry(key, Minute(FIRST_MINUTE + minute), count, &deltas);
    }
    LogRecord::Rates(builder.finish(0, (0, 1)))
}

fn progress(minute: u32) -> LogRecord {
    let seconds = i64::from(FIRST_MINUTE + minute) * 60;
    LogRecord::Progress(Progress {
        source: 0,
        position: u64::from(minute),
        watermark: EventTime::from_seconds(seconds).expect("a time before 9999"),
        state: SourceState::Active,
    })
}
