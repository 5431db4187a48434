//! Settings over kept rates: `cargo bench --bench sweep`.
//!
//! A made fleet of the reference's classes (section 3 of the detection reference), 14 days of 1,000
//! series or, with INSIGHTD_BENCH_SIZE=long, of 10,000, is read into kept rates; then one setting
//! runs over them, and a grid of twenty budgets. Wall and processor time on two threads; what is
//! asked for is one setting over 10,000 series in under 30 s.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use insightd::config::{Settings, WrittenSettings};
use insightd::detect::DetectSettings;
use insightd::service::tune::record;
use insightd::service::{InputKind, ReplayJob, Sweep};
use insightd::source::expand;
use insightd::synth::{Fleet, FleetSettings, Profile, RateRows, START};
use rustix::time::{ClockId, clock_gettime};

const THREADS: usize = 2;

fn main() {
    let is_long = std::env::var("INSIGHTD_BENCH_SIZE").is_ok_and(|size| size == "long");
    let series = if is_long { 10_000 } else { 1000 };
    let place = std::env::var_os("INSIGHTD_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(place).expect("a directory");
    let path = directory.path().join("rates.csv");
    write_fleet(series, &path);
    let settings = Settings::check(&WrittenSettings::default()).expect("defaults are right");
    let job = ReplayJob {
        files: expand(&[path]).files,
        kind: InputKind::Rates,
        until: None,
        since: None,
        threads: THREADS,
        knowledge: Default::default(),
        stop: Arc::default(),
    };
    let (kept, cost) = timed(|| {
        let recording = record(job, &settings, &mut |_| {});
        recording.expect("rates can be read").kept
    });
    let (entries, bytes) = (kept.entries(), kept.bytes());
    println!("read and kept: {entries} counts, {bytes} bytes, {cost}");
    let sweep = Sweep {
        kept: &kept,
        threads: THREADS,
        stop: Arc::new(AtomicBool::new(false)),
    };
    let ladder: Vec<f64> = (0..20).map(|step| 0.1 * 1.6_f64.powi(step)).collect();
    for (name, budgets) in [("one setting", vec![1.0]), ("twenty budgets", ladder)] {
        let settings: Vec<DetectSettings> = budgets
            .iter()
            .map(|budget| DetectSettings {
                budget_per_week: *budget,
                ..settings.detect.clone()
            })
            .collect();
        let (swept, cost) = timed(|| sweep.run(&settings, &|_| {}).expect("nobody stops it"));
        let starts: Vec<usize> = swept.runs.iter().map(|run| run.starts().count()).collect();
        println!("{name}: {cost}; Starts {starts:?}");
    }
}

fn write_fleet(series: u32, path: &std::path::Path) {
    let fleet = Fleet::new(&FleetSettings {
        profile: Profile::Fleet,
        series,
        days: 14,
        seed: 77,
        start: START,
        inject: None,
    });
    let mut rows = RateRows::new(fleet.expect("the fleet can be made").clean());
    let mut file = std::fs::File::create(path).expect("a file");
    let mut out = Vec::new();
    while rows.next_minute(&mut out) {
        std::io::Write::write_all(&mut file, &out).expect("there is room on the disk");
        out.clear();
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, String) {
    let processor = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let (begun, before) = (Instant::now(), processor());
    let result = work();
    let (wall, cpu) = (begun.elapsed().as_secs_f64(), processor() - before);
    (result, format!("{wall:.1} s, {cpu:.1} s of processors"))
}
