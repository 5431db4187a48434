//! What the detect engine costs: bytes per series, time per pair, time per live series and hour.
//!
//! The traffic is the activity model of a large account: Zipf(1.1) rates, half of the series
//! Poisson, 30 % in bursty sessions, 20 % on a schedule; 48 active minutes a week in the mean.
//! `cargo bench --bench engine` runs all; `-- model|dense|silent` one part;
//! `INSIGHTD_BENCH_SERIES` (200000) and `INSIGHTD_BENCH_DAYS` (9) scale the model.
//! Times are CPU times of the thread inside the engine; making the traffic is not counted.

use insightd::detect::{DetectSettings, Engine, EngineStats, Output};
use insightd::model::{
    AttributionDelta, Dimension, InsightType, Minute, Rates, RatesBuilder, SeriesKey,
    SourceCategory,
};

/// 2026-01-05T00:00:00Z.
const FIRST: u32 = 29_460_960;
const WEEK: f64 = 10_080.0;

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
    let mut traffic = Traffic::new(series);
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
    let mut traffic = Traffic::new(0);
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
        let mut traffic = Traffic::new(20_000);
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

#[derive(Clone, Copy)]
enum Kind {
    Poisson,
    Bursty,
    Scheduled,
    Steady,
    Once,
}

struct Source {
    key: SeriesKey,
    kind: Kind,
    /// Mean count a minute.
    rate: f64,
    /// Minutes left of the running session.
    session: u32,
    identities: [u32; 3],
    agents: [u32; 2],
}

/// Who counts in which minute.
struct Traffic {
    sources: Vec<Source>,
    calendar: Vec<Vec<u32>>,
    random: u64,
    pairs: u64,
}

impl Traffic {
    fn new(series: usize) -> Self {
        let mut traffic = Traffic {
            sources: Vec::new(),
            calendar: vec![Vec::new(); 20 * 1440],
            random: 42,
            pairs: 0,
        };
        // Rank 1 of a million has 18.8 million events a week; the law keeps its shape when scaled.
        let scale = 1e6 / series as f64;
        for rank in 0..series {
            let weekly = 18.8e6 / ((rank as f64 + 0.5) * scale).powf(1.1);
            let kind = match traffic.below(10) {
                0..5 => Kind::Poisson,
                5..8 => Kind::Bursty,
                _ => Kind::Scheduled,
            };
            let first = traffic.gap(kind, weekly / WEEK);
            traffic.add(kind, weekly / WEEK, first.min(20 * 1440 - 1));
        }
        traffic
    }

    fn add_steady(&mut self, series: usize, rate: f64) {
        (0..series).for_each(|_| self.add(Kind::Steady, rate, 0));
    }

    fn add_once(&mut self, series: u32) {
        for _ in 0..series {
            let minute = self.below(1440) as usize;
            self.add(Kind::Once, 0.0, minute);
        }
    }

    fn add(&mut self, kind: Kind, rate: f64, first: usize) {
        let number = self.sources.len();
        let account = number % 997;
        let is_error = number % 5 == 4;
        let key = SeriesKey {
            account: format!("{:012}", 100_000 + account).into(),
            region: format!("region-{}", number % 7).into(),
            event_source: format!("service{}.amazonaws.com", number % 211).into(),
            event_name: format!("DescribeThing{}", number / 5).into(),
            insight_type: if is_error {
                InsightType::ApiErrorRate
            } else {
                InsightType::ApiCallRate
            },
            error_code: if is_error { "AccessDenied" } else { "" }.into(),
        };
        let identity = |own: u64| (account * 20) as u32 + (own % 20) as u32;
        let identities = [0; 3].map(|_| identity(self.next()));
        let agents = [0; 2].map(|_| (self.next() % 300) as u32);
        self.calendar[first].push(number as u32);
        self.sources.push(Source {
            key,
            kind,
            rate,
            session: 0,
            identities: [
                identities[0],
                identities[number % 2],
                identities[number % 3],
            ],
            agents: [agents[0], agents[number % 2]],
        });
    }

    fn minute(&mut self, minute: usize) -> Rates {
        let mut builder = RatesBuilder::default();
        let due = std::mem::take(&mut self.calendar[minute]);
        self.pairs += due.len() as u64;
        for number in due {
            let (kind, rate) = {
                let source = &self.sources[number as usize];
                (source.kind, source.rate)
            };
            let count = self.count(kind, rate);
            let gap = self.next_gap(number as usize, kind, rate);
            if let Some(day) = self.calendar.get_mut(minute + gap) {
                day.push(number);
            }
            let draw = self.next();
            self.enter(&mut builder, number as usize, minute, count, draw);
        }
        builder.finish(0, (0, 0))
    }

    fn enter(
        &self,
        builder: &mut RatesBuilder,
        number: usize,
        minute: usize,
        count: u64,
        draw: u64,
    ) {
        let source = &self.sources[number];
        let key = builder.add_key(source.key.as_ref(), SourceCategory::Management);
        let mut deltas = Vec::with_capacity(6);
        let mut push = |dimension, value: String, count| {
            if count > 0 {
                deltas.push(AttributionDelta {
                    dimension,
                    value: builder.value(&value),
                    count,
                });
            }
        };
        let identity = |at: u64| {
            let number = source.identities[(at % 3) as usize];
            format!("arn:aws:sts::{:012}:assumed-role/Role{number}", number / 20)
        };
        let agent = |at: u64| {
            let number = source.agents[(at % 2) as usize];
            format!("aws-sdk-go/1.44.{number} (go1.19; linux; amd64)")
        };
        let part = if count > 1 { count / 3 } else { 0 };
        push(Dimension::UserIdentityArn, identity(draw), count - part);
        push(Dimension::UserIdentityArn, identity(draw >> 8), part);
        push(Dimension::UserAgent, agent(draw >> 16), count - part);
        push(Dimension::UserAgent, agent(draw >> 24), part);
        if source.key.insight_type == InsightType::ApiCallRate {
            push(Dimension::ErrorCode, "null".to_string(), count);
        }
        builder.add_entry(key, Minute(FIRST + minute as u32), count, &deltas);
    }

    fn count(&mut self, kind: Kind, rate: f64) -> u64 {
        match kind {
            Kind::Once => 1,
            Kind::Scheduled => rate.max(1.0) as u64,
            Kind::Bursty => 1 + self.below(5) + rate as u64,
            Kind::Poisson | Kind::Steady if rate < 2.0 => 1 + u64::from(self.below(100) < 30),
            Kind::Poisson | Kind::Steady => {
                // Twelve uniform draws make a normal one.
                let normal = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
                (rate + normal * rate.sqrt()).max(1.0) as u64
            }
        }
    }

    fn next_gap(&mut self, number: usize, kind: Kind, rate: f64) -> usize {
        if let Kind::Bursty = kind {
            let source = &mut self.sources[number];
            if source.session > 0 {
                source.session -= 1;
                return 1 + self.below(3) as usize;
            }
            // A session of ten minutes has about thirty calls.
            source.session = if rate > 3.0 { 600 } else { 9 };
        }
        self.gap(kind, rate)
    }

    fn gap(&mut self, kind: Kind, rate: f64) -> usize {
        let exponential = -(1.0 - self.unit()).ln();
        match kind {
            Kind::Once => usize::MAX / 2,
            Kind::Steady => 1,
            Kind::Scheduled => (1.0 / rate).round().max(1.0) as usize,
            Kind::Poisson if rate > 2.0 => 1,
            Kind::Poisson => 1 + (exponential / rate) as usize,
            Kind::Bursty => 1 + (exponential * (30.0 / rate)) as usize,
        }
    }

    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
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
