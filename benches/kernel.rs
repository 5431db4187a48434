//! What a series costs: CPU nanoseconds per silent hour and per judged minute, and bytes.
//!
//! Each figure is the median of five runs over a hundred series of one kind, so that the
//! states do not all lie in the nearest cache. CPU time is the thread's own, from the kernel.

use std::hint::black_box;

use insightd::detect::series_state::SeriesState;
use insightd::detect::settings::{DetectSettings, Tuning};
use insightd::detect::verdict::{Context, History, Needed};

const SERIES: usize = 100;
const WEEK: u32 = 7 * 1440;

#[derive(Clone)]
struct Counts(Vec<u64>);

impl History for Counts {
    fn counts(&self, from: i64, out: &mut [u64]) {
        for (i, count) in out.iter_mut().enumerate() {
            let t = usize::try_from(from + i as i64).ok();
            *count = t.and_then(|t| self.0.get(t)).copied().unwrap_or(0);
        }
    }

    fn is_silent(&self, from: i64, to: i64) -> bool {
        let end = (to.max(0) as usize).min(self.0.len());
        self.0[(from.max(0) as usize).min(end)..end]
            .iter()
            .all(|count| *count == 0)
    }

    fn has_count_before(&self, t: u32) -> bool {
        !self.is_silent(0, i64::from(t))
    }
}

/// SplitMix64, as a number from 0 to 1.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        let (limit, mut product, mut count) = ((-mean).exp(), self.next(), 0);
        while product > limit {
            product *= self.next();
            count += 1;
        }
        count
    }
}

#[derive(Clone)]
struct Series {
    history: Counts,
    state: SeriesState,
    visit: u32,
}

impl Series {
    /// Lazily, as the engine does it; returns the buckets judged.
    fn run(&mut self, to: u32, ctx: &Context<'_>) -> u64 {
        let mut judged = 0;
        let mut t = self.state.now();
        while t < to {
            let next = (t..to.min(self.visit.max(t)))
                .find(|t| self.history.0[*t as usize] > 0)
                .unwrap_or(self.visit.max(t));
            if next >= to {
                break;
            }
            let count = self.history.0[next as usize];
            black_box(self.state.minute(next, count, ctx, &self.history));
            self.visit = self.state.next_visit(ctx);
            judged += 1;
            t = next + 1;
        }
        judged
    }
}

fn series(kind: &str, weeks: u32, ctx: &Context<'_>) -> Vec<Series> {
    let mut all = Vec::new();
    for seed in 0..SERIES as u64 {
        let mut dice = Dice(seed * 7919 + 1);
        let mut counts = vec![0; (weeks * WEEK) as usize];
        match kind {
            "dense" | "busy" | "hourly" => {
                let rate = match kind {
                    "dense" => 20.0,
                    "busy" => 300.0,
                    _ => 0.3,
                };
                for (t, count) in counts.iter_mut().enumerate() {
                    let swing = 1.0 + 0.5 * (t as f64 / 1440.0 * std::f64::consts::TAU).sin();
                    *count = dice.poisson(rate * swing);
                }
            }
            _ => {
                // Fifty active minutes a week, in sessions.
                for week in 0..weeks {
                    for _ in 0..12 {
                        let start = week * WEEK + (dice.next() * f64::from(WEEK)) as u32;
                        for _ in 0..4 {
                            let t = start as usize + (dice.next() * 30.0) as usize;
                            if let Some(count) = counts.get_mut(t) {
                                *count += 1;
                            }
                        }
                    }
                }
            }
        }
        let mut series = Series {
            history: Counts(counts),
            state: SeriesState::silent(),
            visit: 0,
        };
        series.run(2 * WEEK, ctx);
        series.state.skip_to(2 * WEEK, ctx);
        all.push(series);
    }
    all
}

/// Nanoseconds this thread has had a processor.
fn cpu_nanoseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = text.split(' ').next().expect("three numbers");
    first.parse().expect("a number")
}

/// Median over five runs of CPU nanoseconds per unit; `run` returns the units it did.
fn measure(what: &str, mut run: impl FnMut() -> u64) {
    let mut figures: Vec<f64> = (0..5)
        .map(|_| {
            let before = cpu_nanoseconds();
            let units = run();
            (cpu_nanoseconds() - before) as f64 / units as f64
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    println!(
        "{what:<44} {:>9.1} ns  ({:.1} to {:.1})",
        figures[2], figures[0], figures[4]
    );
}

fn main() {
    let settings = DetectSettings::default();
    let tuning = Tuning::new(&settings);
    let ctx = Context {
        tuning: &tuning,
        origin_hour: 490_896,
        needed: Needed::both(7.0),
        withholds_drops: false,
        calendar: None,
    };
    println!("SeriesState inline: {} bytes", size_of::<SeriesState>());
    for kind in ["sparse", "hourly", "dense", "busy"] {
        let all = series(kind, 4, &ctx);
        let bytes: usize = all.iter().map(|series| series.state.heap_bytes()).sum();
        let mean = size_of::<SeriesState>() + bytes / SERIES;
        println!("{kind}: {mean} bytes a series");
        let start = 2 * WEEK;
        measure(&format!("{kind}: silent hour"), || {
            for series in &all {
                for _ in 0..20 {
                    let mut state = series.state.clone();
                    black_box(state.skip_to(start + 3 * 1440, &ctx));
                }
            }
            SERIES as u64 * 20 * 72
        });
        let live = |all: &[Series]| {
            let mut judged = 0;
            for series in all {
                let mut series = series.clone();
                judged += series.run(4 * WEEK, &ctx);
                series.state.skip_to(4 * WEEK, &ctx);
            }
            judged
        };
        measure(&format!("{kind}: judged minute, all else included"), || {
            live(&all)
        });
        measure(&format!("{kind}: hour as lived, lazily"), || {
            live(&all);
            SERIES as u64 * 336
        });
    }
}
