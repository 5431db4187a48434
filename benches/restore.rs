//! How long a service with a million series takes to go on from its checkpoints, and what keeping
//! them costs.
//!
//! 64 partitions with eight days of the activity model (`support/activity.rs`) are saved and loaded
//! by the threads of the service, into and out of a directory: write, read, checksums, decode,
//! check, digest. Eight are made, and each is saved under eight numbers. Prints seconds, CPU seconds
//! of all threads and bytes; exits 3 when loading takes longer than the bar. The files were just
//! written, so the system may have them in memory. `INSIGHTD_BENCH_SERIES` (1000000) scales it,
//! `INSIGHTD_SCRATCH` says where the files go.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use insightd::config::{Settings, WrittenSettings};
use insightd::detect::budget::Class;
use insightd::detect::fleet::{Fleet, HourReport, Thresholds};
use insightd::detect::{DetectSettings, Engine, FleetScope, Output};
use insightd::model::Minute;
use insightd::protocol::{Checkpoint, CheckpointName, Heard};
use insightd::service::run::{Checkpointing, Loading};
use insightd::store::CheckpointStore;
use rustix::time::{ClockId, clock_gettime};

// Other benches need more of it.
#[allow(dead_code)]
#[path = "support/activity.rs"]
mod activity;
use activity::{FIRST, Traffic};

/// As `kafka.rates_partitions` by default.
const PARTITIONS: u32 = 64;
/// Partitions that differ.
const DIFFERENT: u32 = 8;
const SERIES: usize = 1_000_000;
/// Of so many series of the model a thousand count something within eight days.
const DRAWN_OF_A_THOUSAND: usize = 1230;
const MINUTES: usize = 8 * 1440;
/// What a million series may take.
const BAR: Duration = Duration::from_secs(10);
/// Where all checkpoints were taken.
const OFFSET: u64 = 1;
/// How long the loop of the service waits for its loaders at a time.
const PAUSE: Duration = Duration::from_millis(2);

/// Wall and CPU time between two moments.
struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

fn main() -> ExitCode {
    let series = std::env::var("INSIGHTD_BENCH_SERIES").ok();
    let series = series.and_then(|text| text.parse().ok()).unwrap_or(SERIES);
    let place = std::env::var_os("INSIGHTD_SCRATCH").unwrap_or_else(|| std::env::temp_dir().into());
    let directory = tempfile::tempdir_in(place).expect("a directory for checkpoints");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("threads");
    let path = directory.path().display().to_string();
    let store = CheckpointStore::open(&path, "bench", runtime.handle().clone());
    let store = store.expect("a store in the directory");
    let settings = Settings::check(&WrittenSettings::default());
    let settings = settings.expect("settings by default");
    println!("{series} series in {PARTITIONS} partitions, eight days");

    let drawn = series * DRAWN_OF_A_THOUSAND / 1000 / PARTITIONS as usize;
    let digests = save_all(&store, &settings, drawn);
    let (took, loaded) = load_all(&store, &digests);
    let bar = BAR.mul_f64(loaded as f64 / SERIES as f64);
    println!(
        "  {:.2} s, bar {:.1} s",
        took.as_secs_f64(),
        bar.as_secs_f64()
    );
    if took > bar {
        return ExitCode::from(3);
    }
    ExitCode::SUCCESS
}

/// Has all partitions saved, one at a time; the digest of each.
fn save_all(store: &CheckpointStore, settings: &Settings, drawn: usize) -> BTreeMap<u32, u64> {
    let mut digests = BTreeMap::new();
    let (mut series, mut bytes, mut wall, mut taking, mut cpu) = (0, 0, 0.0, 0.0, 0.0);
    for different in 0..DIFFERENT {
        let engine = engine(&settings.detect, drawn, u64::from(different));
        for partition in (different..PARTITIONS).step_by(DIFFERENT as usize) {
            let mut checkpoints = Checkpointing::start(store.clone(), 3).expect("threads");
            let watch = Stopwatch::start();
            let snapshot = engine.snapshot();
            taking += watch.seconds().1;
            bytes += snapshot.len();
            series += engine.stats().series;
            digests.insert(partition, engine.digest());
            checkpoints.save(Checkpoint {
                partition,
                generation: 1,
                name: name(engine.digest()),
                is_rebuilt: false,
                canonical: settings.canonical.clone(),
                heard: Heard::default(),
                snapshot,
            });
            checkpoints.finish();
            wall += watch.seconds().0;
            cpu += watch.seconds().1;
        }
    }
    let interval = settings.service.checkpoint.interval_seconds as f64;
    println!(
        "  {series} series, {:.2} GB, {:.0} B each\n  saved: {wall:.2} s, {cpu:.2} s CPU, of which \
         {taking:.2} s keep detection waiting\n  saved every {interval} s: {:.2} % of a core, \
         {:.2} % of it where detection waits",
        bytes as f64 / 1e9,
        bytes as f64 / series as f64,
        cpu / interval * 100.0,
        taking / interval * 100.0,
    );
    digests
}

/// Loads all partitions at once, as after a restart; how long it took, and how many series.
fn load_all(store: &CheckpointStore, digests: &BTreeMap<u32, u64>) -> (Duration, u64) {
    let mut checkpoints = Checkpointing::start(store.clone(), 3).expect("threads");
    let watch = Stopwatch::start();
    for (partition, digest) in digests {
        let names = store.list(*partition).expect("a list of checkpoints");
        assert_eq!(names, [(OFFSET, *digest)], "checkpoints of {partition}");
        checkpoints.load(*partition, 1, name(*digest));
    }
    let mut engines = Vec::new();
    while checkpoints.is_asking() {
        for Loading {
            partition, result, ..
        } in checkpoints.loaded()
        {
            let engine = result.expect("a checkpoint that can be read").engine;
            assert_eq!(
                engine.digest(),
                digests[&partition],
                "digest of {partition}"
            );
            engines.push(engine);
        }
        std::thread::park_timeout(PAUSE);
    }
    let (wall, cpu) = watch.seconds();
    let all = engines.iter().map(|engine| engine.stats());
    let (series, bytes) = all.fold((0, 0), |(series, bytes), stats| {
        (series + stats.series, bytes + stats.memory_bytes())
    });
    println!(
        "  loaded: {wall:.2} s, {cpu:.2} s CPU; {series} series, {:.2} GB in memory",
        bytes as f64 / 1e9
    );
    (Duration::from_secs_f64(wall), series)
}

fn name(digest: u64) -> CheckpointName {
    CheckpointName {
        offset: OFFSET,
        digest,
    }
}

/// A partition after eight days.
fn engine(settings: &DetectSettings, series: usize, seed: u64) -> Engine {
    let settings = DetectSettings {
        fleet: FleetScope::Part,
        ..settings.clone()
    };
    let mut engine = Engine::new(settings);
    engine.set_origin(Minute(FIRST));
    let mut traffic = Traffic::new(series, seed);
    let mut out = Output::default();
    for minute in 0..MINUTES {
        let now = FIRST + minute as u32;
        if now.is_multiple_of(Minute::PER_HOUR) {
            engine.know_thresholds(now / Minute::PER_HOUR, thresholds(series));
            engine.take_reports();
        }
        engine.observe(&traffic.minute(minute));
        engine.advance(Minute(now + 1), &mut out);
        out = Output::default();
    }
    engine
}

/// What the leader of a fleet of so many series might write.
fn thresholds(series: usize) -> Thresholds {
    let settings = DetectSettings::default();
    let mut fleet = Fleet::new(&settings);
    let mut report = HourReport::new(settings.classes());
    report.class_mut(Class(0)).live_series = series as u64 * u64::from(PARTITIONS);
    fleet.report(0, &report);
    fleet.thresholds_for(3)
}

impl Stopwatch {
    fn start() -> Self {
        Stopwatch {
            wall: Instant::now(),
            cpu: cpu_time(),
        }
    }

    /// Seconds since, and CPU seconds of the process.
    fn seconds(&self) -> (f64, f64) {
        let cpu = cpu_time() - self.cpu;
        (self.wall.elapsed().as_secs_f64(), cpu.as_secs_f64())
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
