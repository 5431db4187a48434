//! What counting one event costs, and how that grows with the number of series.
//!
//! Thread CPU time of `Ingest::push` alone, from event to Rates, minute closes included; making
//! the events is not timed. 10,000 and 1,000,000 series take turns with equal events per series
//! (20), spread evenly over a day, each event's series drawn at random: the hardest order for
//! caches. Events come in batches as a decoder makes them. "Key to count" has no event ids and
//! attribution values, "whole" has both, "dense" squeezes the day into 20 minutes, so that every
//! minute is a batch with most of the series in it. "Rolled up" is "whole" with roll-ups of services
//! and accounts. Prints medians and ratios; exits 3 when the
//! key to count cost grows by more than half. INSIGHTD_BENCH_SIZE=long takes more rounds.

use std::hint::black_box;
use std::process::ExitCode;

use insightd::ingest::{Ingest, IngestSettings};
use insightd::model::{EventBatch, EventFields, EventTime, LogRecord, RollUps};
use rustix::time::{ClockId, clock_gettime};

const SMALL: u64 = 10_000;
const LARGE: u64 = 1_000_000;
const DAY: u64 = 1440;
const EVENTS_PER_SERIES: u64 = 20;
const BATCH: u64 = 2048;
/// Most that the cost may grow from small to large.
const BAR: f64 = 1.5;
/// 2023-11-14T22:13:00Z.
const START: i64 = 1_699_999_980;

/// What is measured.
#[derive(Clone, Copy)]
struct Case {
    title: &'static str,
    minutes: u64,
    /// With event ids, identities and user agents.
    is_whole: bool,
    is_rolled_up: bool,
}

fn main() -> ExitCode {
    let is_long = std::env::var("INSIGHTD_BENCH_SIZE").is_ok_and(|size| size == "long");
    let (rounds, rounds_beside) = if is_long { (9, 5) } else { (5, 1) };
    let case = |title, minutes, is_whole| Case {
        title,
        minutes,
        is_whole,
        is_rolled_up: false,
    };
    let ratio = compare(case("key to count", DAY, false), rounds);
    compare(case("key to count, dense", 20, false), rounds_beside);
    compare(case("whole", DAY, true), rounds_beside);
    let rolled_up = Case {
        is_rolled_up: true,
        ..case("whole, rolled up", DAY, true)
    };
    compare(rolled_up, rounds_beside);
    if ratio > BAR {
        println!("FAILED: key to count may grow {BAR:.2} times");
        return ExitCode::from(3);
    }
    ExitCode::SUCCESS
}

/// Median over `rounds` of the cost ratio of many to few series.
fn compare(case: Case, rounds: usize) -> f64 {
    let (mut small, mut large, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // The small one is short: its median over some runs stands against one large one.
        let mut runs: Vec<f64> = (0..9).map(|run| cost(case, SMALL, run)).collect();
        small.push(median(&mut runs));
        large.push(cost(case, LARGE, round as u64));
        ratios.push(large[round] / small[round]);
    }
    let ratio = median(&mut ratios);
    println!(
        "{}: {:.0} ns/event at {SMALL} series, {:.0} ns/event at {LARGE}, ratio {ratio:.2} \
         (median of {rounds}, {:.2} to {:.2})",
        case.title,
        median(&mut small),
        median(&mut large),
        ratios[0],
        ratios[ratios.len() - 1],
    );
    ratio
}

/// CPU nanoseconds per event.
fn cost(case: Case, series: u64, seed: u64) -> f64 {
    let events = series * EVENTS_PER_SERIES;
    let settings = IngestSettings {
        roll_ups: RollUps {
            service: case.is_rolled_up,
            account: case.is_rolled_up,
        },
        ..IngestSettings::default()
    };
    let mut ingest = Ingest::new(settings, 0);
    let mut batch = EventBatch::default();
    let mut records: Vec<LogRecord> = Vec::new();
    let mut random = seed + 1;
    let (mut counted, mut nanoseconds, mut done) = (0, 0, 0);
    while done < events {
        let until = events.min(done + BATCH);
        make_batch(&mut batch, case, done..until, series, &mut random);
        let before = cpu_nanoseconds();
        ingest.push(&batch, 0..batch.len(), &mut records);
        nanoseconds += cpu_nanoseconds() - before;
        counted += add_up(&records);
        records.clear();
        done = until;
    }
    let before = cpu_nanoseconds();
    ingest.finish(&mut records);
    nanoseconds += cpu_nanoseconds() - before;
    counted += add_up(&records);
    let times = if case.is_rolled_up { 3 } else { 1 };
    assert_eq!(counted, times * events, "every event is counted once");
    black_box(&records);
    nanoseconds as f64 / events as f64
}

fn make_batch(
    batch: &mut EventBatch,
    case: Case,
    indexes: std::ops::Range<u64>,
    series: u64,
    random: &mut u64,
) {
    use std::fmt::Write;
    batch.clear();
    let (mut account, mut name) = (String::new(), String::new());
    let (mut identity, mut id) = (String::new(), String::new());
    for index in indexes {
        let drawn = next_random(random);
        let one = drawn % series;
        account.clear();
        name.clear();
        identity.clear();
        id.clear();
        write!(account, "{:012}", 111_122_223_333 + one % 97).expect("a String takes all");
        write!(name, "DescribeSomething{one}").expect("a String takes all");
        if case.is_whole {
            let role = drawn >> 32 & 1023;
            write!(
                identity,
                "arn:aws:sts::111122223333:assumed-role/Role{role}"
            )
            .expect("a String takes all");
            write!(id, "{index:032x}").expect("a String takes all");
        }
        let seconds = index * case.minutes * 60 / (series * EVENTS_PER_SERIES);
        batch.push(&EventFields {
            time: EventTime::from_seconds(START + seconds as i64).expect("before year 9999"),
            account: &account,
            region: "us-east-1",
            event_source: "elasticloadbalancing.amazonaws.com",
            event_name: &name,
            identity: &identity,
            identity_arn: &identity,
            user_agent: if case.is_whole {
                AGENTS[(drawn >> 42) as usize % 8]
            } else {
                ""
            },
            event_id: &id,
            ..EventFields::default()
        });
    }
}

const AGENTS: [&str; 8] = [
    "aws-cli/2.15.30 Python/3.11.8 Linux/6.1.79 exe/x86_64 prompt/off command/elbv2.describe",
    "Boto3/1.34.69 md/Botocore#1.34.69 ua/2.0 os/linux#6.1 md/arch#x86_64 lang/python#3.12.2",
    "aws-sdk-go/1.50.36 (go1.22.1; linux; amd64)",
    "aws-sdk-java/2.25.11 Linux/5.10 OpenJDK_64-Bit_Server_VM/17.0.10+7 Java/17.0.10",
    "console.amazonaws.com",
    "autoscaling.amazonaws.com",
    "AWS Internal",
    "APN/1.0 HashiCorp/1.0 Terraform/1.7.5 (+https://www.terraform.io)",
];

fn add_up(records: &[LogRecord]) -> u64 {
    let mut sum = 0;
    for record in records {
        if let LogRecord::Rates(rates) = record {
            sum += rates.entries().iter().map(|entry| entry.count).sum::<u64>();
        }
    }
    sum
}

/// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn cpu_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
