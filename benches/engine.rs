//! What the detect engine costs: bytes per series, time per pair, time per live series and hour.
//!
//! The traffic is the activity model of a large account (`support/activity.rs`).
//! `cargo bench --bench engine` runs all; `-- model|dense|silent` one part;
//! `INSIGHTD_BENCH_SERIES` (200000) and `INSIGHTD_BENCH_DAYS` (9) scale the model.
//! Times are CPU times of the thread inside the engine; making the traffic is not counted.

use insightd::detect::{DetectSettings, Engine, EngineStats, Output};
use insightd::model::Minute;

#[path = "support/activity.rs"]
mod activity;
use activity::{FIRST, Traffic, WEEK};

/// Start of the random draws.
const SEED: u64 = 42;

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|one| one == part);
    if is_wanted("model") {
        model();
    }
    if is_wanted("dense") {
        dense();
    }
    if is_wanted("silent") {
        silent();
    }
}

/// The activity model, then a day of silence.
fn model() {
    let series = from_environment("INSIGHTD_BENCH_SERIES", 200_000);
    let days = from_environment("INSIGHTD_BENCH_DAYS", 9);
    println!("model: {series} series, {days} days");
    let mut traffic = Traffic::new(series, SEED);
    let mut bench = Bench::new();
    let before = resident_bytes();
    let mut week = (0, 0);
    for day in 0..days {
        let (pairs, cpu) = (traffic.pairs, bench.cpu_nanos);
        bench.feed(&mut traffic, day * 1440, (day + 1) * 1440);
        let pairs = traffic.pairs - pairs;
        let cpu = bench.cpu_nanos - cpu;
        if (1..8).contains(&day) {
            week = (week.0 + pairs, week.1 + cpu);
        }
        let live = bench.engine.stats().series;
        println!(
            "  day {day}: {pairs} pairs, {live} series, {:.0} ns/pair all in, {:.2} us/(series, hour)",
            cpu as f64 / pairs as f64,
            cpu as f64 / 1e3 / 24.0 / live as f64,
        );
    }
    println!(
        "  a week has {:.1} active minutes a series",
        week.0 as f64 / series as f64
    );
    report(&bench.engine.stats(), series);
    let resident = resident_bytes().saturating_sub(before);
    println!(
        "  RSS grew by {} B/series (with the traffic's calendar)",
        resident / series as u64
    );
    println!("  {} insights", bench.out.insights.len());
    let cpu = bench.cpu_nanos;
    let live = bench.engine.stats().series;
    let to = (days + 1) * 1440;
    bench.advance(to as u32);
    println!(
        "  a silent day: {:.2} us a live series and closed hour",
        (bench.cpu_nanos - cpu) as f64 / 1e3 / 24.0 / live as f64
    );
    let begin = cpu_nanos();
    let snapshot = bench.engine.snapshot();
    let taken = cpu_nanos();
    let restored = Engine::restore(DetectSettings::default(), &snapshot);
    println!(
        "  snapshot {} B/series in {} ms, restored in {} ms",
        snapshot.len() / series,
        (taken - begin) / 1_000_000,
        (cpu_nanos() - taken) / 1_000_000
    );
    assert!(restored.is_ok());
}

/// Series with counts in every minute.
fn dense() {
    let series = 2000;
    let mut traffic = Traffic::new(0, SEED);
    traffic.add_steady(series, 20.0);
    let mut bench = Bench::new();
    bench.feed(&mut traffic, 0, 8 * 1440);
    let stats = bench.engine.stats();
    let minutes = WEEK as u64 + 63;
    let total = stats.memory_bytes() / series as u64;
    println!("dense: {series} series of 20 a minute, 8 days");
    report(&stats, series);
    println!(
        "  {total} B/series = {} B + 3.5 B x {minutes} active minutes",
        total as i64 - (minutes as f64 * 3.5) as i64
    );
    println!(
        "  {:.0} ns/pair",
        bench.cpu_nanos as f64 / traffic.pairs as f64
    );
}

/// The same traffic with ten times the silent series.
fn silent() {
    println!("silent: a day of 20,000 active series, with silent ones added");
    let mut first = 0.0;
    for added in [0, 20_000, 180_000] {
        let mut traffic = Traffic::new(20_000, SEED);
        traffic.add_once(added);
        let mut bench = Bench::new();
        bench.feed(&mut traffic, 0, 3 * 1440);
        let cpu = bench.cpu_nanos;
        bench.feed(&mut traffic, 3 * 1440, 4 * 1440);
        let cost = (bench.cpu_nanos - cpu) as f64 / 1e6;
        if added == 0 {
            first = cost;
        }
        println!(
            "  + {added}: {cost:.0} ms a day, {:.3} us a silent series and hour",
            (cost - first) * 1e3 / 24.0 / f64::from(added.max(1))
        );
    }
}

struct Bench {
    engine: Engine,
    out: Output,
    cpu_nanos: u64,
}

impl Bench {
    fn new() -> Self {
        Bench {
            engine: Engine::new(DetectSettings::default()),
            out: Output::default(),
            cpu_nanos: 0,
        }
    }

    fn feed(&mut self, traffic: &mut Traffic, from: usize, to: usize) {
        for minute in from..to {
            let rates = traffic.minute(minute);
            let begin = cpu_nanos();
            self.engine.observe(&rates);
            self.engine
                .advance(Minute(FIRST + minute as u32 + 1), &mut self.out);
            self.cpu_nanos += cpu_nanos() - begin;
        }
    }

    fn advance(&mut self, minute: u32) {
        let begin = cpu_nanos();
        self.engine.advance(Minute(FIRST + minute), &mut self.out);
        self.cpu_nanos += cpu_nanos() - begin;
    }
}

fn report(stats: &EngineStats, series: usize) {
    let each = |bytes: u64| bytes as f64 / series as f64;
    println!(
        "  bytes/series: states {:.0}, registry {:.0}, window {:.0}, days {:.0}, values {:.0}, \
         recent {:.0}, wheel {:.0}, waiting {:.0}; all {:.0}",
        each(stats.states_bytes),
        each(stats.registry_bytes),
        each(stats.window_bytes),
        each(stats.days_bytes),
        each(stats.values_bytes),
        each(stats.recent_bytes),
        each(stats.wheel_bytes),
        each(stats.waiting_bytes),
        each(stats.memory_bytes()),
    );
}

/// CPU time of this thread; 0 where the kernel does not tell.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next().unwrap_or_default();
    first.parse().unwrap_or(0)
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).unwrap_or_default();
    pages.parse::<u64>().unwrap_or(0) * 4096
}

fn from_environment(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}
