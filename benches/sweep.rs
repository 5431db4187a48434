//! How long settings take over kept rates: `cargo bench --bench sweep -- FILE.csv`.
use insightd::config::{Settings, WrittenSettings};
use insightd::service::{InputKind, Outputs, ReplayJob, Sweep, replay};
use insightd::source::expand;
use insightd::tuning::KeptRates;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

fn main() {
    let path = std::env::args().nth(1).expect("a file");
    let settings = Settings::check(&WrittenSettings::default()).expect("defaults");
    let begun = Instant::now();
    let mut kept = KeptRates::new(8 << 30);
    let job = ReplayJob {
        files: expand(&[path.into()]).files,
        kind: InputKind::Rates,
        until: None,
        since: None,
        threads: 2,
        stop: Arc::default(),
    };
    let outputs = Outputs {
        kept: Some(&mut kept),
        ..Outputs::default()
    };
    drop(replay(job, &settings, None, outputs, &mut |_| {}).expect("rates"));
    kept.finish();
    println!(
        "kept {} entries, {} series, {} bytes in {:?}",
        kept.entries(),
        kept.series().len(),
        kept.bytes(),
        begun.elapsed()
    );
    let sweep = Sweep {
        kept: &kept,
        threads: 2,
        stop: Arc::new(AtomicBool::new(false)),
    };
    for budgets in [
        vec![1.0],
        vec![10.0],
        vec![300.0],
        vec![0.1, 1.0, 10.0, 100.0, 1000.0],
    ] {
        let many: Vec<_> = budgets
            .iter()
            .map(|budget| insightd::detect::DetectSettings {
                budget_per_week: *budget,
                ..settings.detect.clone()
            })
            .collect();
        let begun = Instant::now();
        let swept = sweep.run(&many, &|_| {}).expect("not stopped");
        println!(
            "{budgets:?}: {:?}; insights {:?}",
            begun.elapsed(),
            swept
                .runs
                .iter()
                .map(|run| run.insights.len())
                .collect::<Vec<_>>()
        );
    }
}
