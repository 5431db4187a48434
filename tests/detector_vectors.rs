//! The detector against the reference vectors: outputs of an independent implementation of the
//! same specification. Every minute is visited, and every figure the vectors hold is compared to
//! the tolerance that their README states.

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use insightd::detect::fleet::{Line, Tail};
use insightd::detect::series_state::SeriesState;
use insightd::detect::settings::{DetectSettings, Tuning};
use insightd::detect::verdict::{Change, Context, History, Needed, Phase, Verdict};
use insightd::model::{Direction, EndReason};

/// 2026-01-05T00:00:00Z.
const ORIGIN_HOUR: u32 = 490_896;

struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn read(path: &Path) -> Table {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let text = if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut text = String::new();
            MultiGzDecoder::new(&bytes[..])
                .read_to_string(&mut text)
                .expect("gzip of text");
            text
        } else {
            String::from_utf8(bytes).expect("text")
        };
        let mut lines = text.lines();
        let split = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        Table {
            header: split(lines.next().expect("a header")),
            rows: lines.map(split).collect(),
        }
    }

    fn column(&self, name: &str) -> usize {
        let at = self.header.iter().position(|column| column == name);
        at.unwrap_or_else(|| panic!("no column {name} in {:?}", self.header))
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        let column = self.column(name);
        self.rows
            .iter()
            .map(|row| row[column].parse().expect("a number"))
            .collect()
    }

    fn texts(&self, name: &str) -> Vec<&str> {
        let column = self.column(name);
        self.rows.iter().map(|row| row[column].as_str()).collect()
    }
}

struct Counts(Vec<u64>);

impl History for Counts {
    fn counts(&self, from: i64, out: &mut [u64]) {
        for (i, count) in out.iter_mut().enumerate() {
            *count = match usize::try_from(from + i as i64) {
                Ok(t) => self.0.get(t).copied().unwrap_or(0),
                Err(_) => 0,
            };
        }
    }

    fn is_silent(&self, from: i64, to: i64) -> bool {
        (from.max(0)..to).all(|t| self.0.get(t as usize).is_none_or(|count| *count == 0))
    }

    fn has_count_before(&self, t: u32) -> bool {
        !self.is_silent(0, i64::from(t))
    }
}

#[derive(Debug, PartialEq)]
struct Incident {
    start: u32,
    onset: u32,
    end_sent: i64,
    end: i64,
    direction: &'static str,
    window: u32,
    reopens: bool,
    reason: &'static str,
}

struct Run {
    name: String,
    counts: Counts,
    z_star: f64,
}

fn within(actual: f64, expected: f64, relative: f64, absolute: f64) -> bool {
    (actual - expected).abs() <= relative * expected.abs() + absolute
}

fn runs() -> Option<Vec<Run>> {
    let root = support::reference_data("detector-vectors/series")?;
    let index = Table::read(&root.join("index.csv"));
    let (names, days) = (index.texts("name"), index.numbers("days"));
    let z_stars = index.numbers("z_star");
    let mut runs = Vec::new();
    for ((name, days), z_star) in names.into_iter().zip(days).zip(z_stars) {
        let table = Table::read(&root.join(format!("{name}.counts.csv.gz")));
        let mut counts = vec![0; days as usize * 1440];
        for (minute, count) in table
            .numbers("minute")
            .into_iter()
            .zip(table.numbers("count"))
        {
            counts[minute as usize] = count as u64;
        }
        runs.push(Run {
            name: name.to_owned(),
            counts: Counts(counts),
            z_star,
        });
    }
    assert_eq!(runs.len(), 18);
    Some(runs)
}

/// Plays a run minute by minute; returns incidents with their peak z.
fn play(
    run: &Run,
    threshold: f64,
    mut watch: impl FnMut(u32, &SeriesState, &Context<'_>, &Verdict),
) -> Vec<(Incident, f64)> {
    let tuning = Tuning::new(&DetectSettings {
        fixed_z: Some(threshold),
        ..Default::default()
    });
    let ctx = Context {
        tuning: &tuning,
        origin_hour: ORIGIN_HOUR,
        needed: Needed::both(threshold),
        withholds_drops: false,
        calendar: None,
    };
    let mut state = SeriesState::silent();
    let mut incidents: Vec<(Incident, f64)> = Vec::new();
    for t in 0..run.counts.0.len() as u32 {
        let judged = state.minute(t, run.counts.0[t as usize], &ctx, &run.counts);
        let verdict = &judged.verdict;
        match judged.change {
            Some(Change::Start {
                onset,
                direction,
                ref explanation,
                continues,
            }) => {
                let incident = Incident {
                    start: t,
                    onset,
                    end_sent: -1,
                    end: -1,
                    direction: name_of(direction),
                    window: explanation.window_minutes,
                    reopens: continues,
                    reason: "open",
                };
                incidents.push((incident, verdict.z));
            }
            Some(Change::End { end, reason }) => {
                let (last, _) = incidents.last_mut().expect("an End follows its Start");
                last.end_sent = i64::from(t);
                last.end = i64::from(end);
                last.reason = match reason {
                    EndReason::Calm => "calm",
                    EndReason::NewNormal => "new_normal",
                };
            }
            None => {
                if let (Phase::Incident(direction), Some((_, peak))) =
                    (verdict.phase, incidents.last_mut())
                    && verdict.direction == Some(direction)
                {
                    *peak = peak.max(verdict.z);
                }
            }
        }
        watch(t, &state, &ctx, verdict);
    }
    incidents
}

fn name_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

fn expected_incidents(name: &str) -> Vec<(Incident, f64)> {
    let root = support::reference_data("detector-vectors/series").expect("looked for before");
    let table = Table::read(&root.join(format!("{name}.incidents.csv")));
    let number = |column: &str| table.numbers(column);
    let pick = |text: &str, names: [&'static str; 3]| {
        names
            .into_iter()
            .find(|name| *name == text)
            .expect("a known word")
    };
    (0..table.rows.len())
        .map(|i| {
            let incident = Incident {
                start: number("start")[i] as u32,
                onset: number("onset")[i] as u32,
                end_sent: number("end_sent")[i] as i64,
                end: number("end")[i] as i64,
                direction: pick(table.texts("direction")[i], ["up", "down", ""]),
                window: number("window")[i] as u32,
                reopens: number("reopens")[i] == 1.0,
                reason: pick(table.texts("reason")[i], ["calm", "new_normal", "open"]),
            };
            (incident, number("peak_z")[i])
        })
        .collect()
}

/// Collects differences and tells the first few of each kind.
#[derive(Default)]
struct Differences(BTreeMap<String, (usize, String)>);

impl Differences {
    fn check(&mut self, kind: &str, is_same: bool, detail: impl FnOnce() -> String) {
        if !is_same {
            let entry = self
                .0
                .entry(kind.to_owned())
                .or_insert_with(|| (0, detail()));
            entry.0 += 1;
        }
    }

    fn assert_none(&self) {
        for (kind, (count, first)) in &self.0 {
            eprintln!("{kind}: {count} differ, first {first}");
        }
        assert!(
            self.0.is_empty(),
            "{} kinds of figures differ",
            self.0.len()
        );
    }
}

#[test]
fn series_agree_with_the_vectors() {
    let Some(runs) = runs() else { return };
    let root = support::reference_data("detector-vectors/series").expect("found before");
    let mut differences = Differences::default();
    for run in &runs {
        let name = &run.name;
        let minutes = Table::read(&root.join(format!("{name}.minutes.csv.gz")));
        let columns: Vec<Vec<f64>> = ["minute", "mu", "phi1", "s_raw", "s", "z", "state"]
            .map(|column| minutes.numbers(column))
            .into();
        let hours = Table::read(&root.join(format!("{name}.hours.csv.gz")));
        let hour_numbers = hours.numbers("hour");
        let mut row = 0;
        let mut hour_row = 0;
        let incidents = play(run, run.z_star, |t, state, ctx, verdict| {
            if hour_numbers.get(hour_row) == Some(&(f64::from(t) / 60.0)) {
                compare_hour(&mut differences, name, &hours, hour_row, state, ctx);
                hour_row += 1;
            }
            if columns[0].get(row) != Some(&f64::from(t)) {
                return;
            }
            let expected: Vec<f64> = columns.iter().map(|column| column[row]).collect();
            row += 1;
            let state = match verdict.phase {
                Phase::Incident(Direction::Up) => 1.0,
                Phase::Incident(Direction::Down) => -1.0,
                _ => 0.0,
            };
            let actual = [
                f64::from(t),
                verdict.expected,
                verdict.phi1,
                verdict.surprise_raw,
                verdict.surprise,
                verdict.z,
                state,
            ];
            for i in 1..7 {
                let is_same = match i {
                    1 | 2 => within(actual[i], expected[i], 2e-4, 0.0),
                    6 => actual[i] == expected[i],
                    _ => within(actual[i], expected[i], 1e-3, 1e-3),
                };
                let kind = ["", "mu", "phi1", "s_raw", "s", "z", "state"][i];
                differences.check(&format!("{name} {kind}"), is_same, || {
                    format!("at {t}: {} for {}", actual[i], expected[i])
                });
            }
        });
        assert_eq!(row, columns[0].len(), "{name}: every row was met");
        assert_eq!(hour_row, hour_numbers.len(), "{name}: every hour was met");
        compare_incidents(&mut differences, name, &incidents, true);
    }
    differences.assert_none();
}

fn compare_hour(
    differences: &mut Differences,
    name: &str,
    hours: &Table,
    row: usize,
    state: &SeriesState,
    ctx: &Context<'_>,
) {
    let expected = |column: &str| {
        hours.rows[row][hours.column(column)]
            .parse()
            .expect("a number")
    };
    let experts = state.experts(ctx);
    let phis = state.hour_phis();
    let [n, se, hrs] = state.recalibration();
    let w = experts.weights;
    let actual = [
        ("flat", experts.flat),
        ("hod", experts.hour_of_day[0]),
        ("how", experts.hour_of_week[0]),
        ("ratio", experts.ratio),
        ("phiL", experts.loss_dispersion),
        ("phi1", phis[0]),
        ("phi5", phis[1]),
        ("phi15", phis[2]),
        ("phi60", phis[3]),
        ("n", n),
        ("se", se),
        ("hrs", hrs),
        ("w_flat", w[0]),
        ("w_hod", w[1]),
        ("w_how", w[2]),
        ("w_hodr", w[3]),
        ("w_howr", w[4]),
    ];
    for (column, actual) in actual {
        let expected: f64 = expected(column);
        let is_same = if column.starts_with("w_") {
            within(actual, expected, 0.0, 1e-3)
        } else {
            within(actual, expected, 2e-4, 0.0)
        };
        differences.check(&format!("{name} hour {column}"), is_same, || {
            format!("at hour {}: {actual} for {expected}", hours.rows[row][0])
        });
    }
}

fn compare_incidents(
    differences: &mut Differences,
    name: &str,
    actual: &[(Incident, f64)],
    with_peak: bool,
) {
    let expected = expected_incidents(name);
    let only = |incidents: &[(Incident, f64)]| {
        incidents
            .iter()
            .map(|(incident, _)| format!("{incident:?}"))
            .collect::<Vec<_>>()
    };
    differences.check(
        &format!("{name} incidents"),
        only(actual) == only(&expected),
        || format!("{actual:#?} for {expected:#?}"),
    );
    for ((incident, actual), (_, expected)) in actual.iter().zip(&expected) {
        let is_same = !with_peak || within(*actual, *expected, 1e-3, 1e-3);
        differences.check(&format!("{name} peak_z"), is_same, || {
            format!("{actual} for {expected} in {incident:?}")
        });
    }
}

#[test]
fn incidents_hold_when_the_threshold_moves_a_little() {
    let Some(runs) = runs() else { return };
    let mut differences = Differences::default();
    for run in &runs {
        for moved in [-0.05, 0.05] {
            let incidents = play(run, run.z_star + moved, |_, _, _, _| {});
            compare_incidents(&mut differences, &run.name, &incidents, false);
        }
    }
    differences.assert_none();
}

#[test]
fn tails_agree_with_the_vectors() {
    let Some(path) = support::reference_data("detector-vectors/tails.csv.gz") else {
        return;
    };
    let table = Table::read(&path);
    let columns = ["x", "mean", "phi", "bound_ln_upper", "bound_ln_lower"]
        .map(|column| table.numbers(column));
    let exact = ["exact_ln_upper", "exact_ln_lower"].map(|column| table.texts(column));
    let mut differences = Differences::default();
    for i in 0..table.rows.len() {
        let [x, mean, phi, upper, lower] = columns.each_ref().map(|column| column[i]);
        let actual = insightd::detect::ln_tails(x, mean, phi);
        for (side, (actual, expected)) in [(actual.0, upper), (actual.1, lower)].iter().enumerate()
        {
            let absolute = if x <= 1e5 { 1e-8 } else { 1e-6 };
            let is_same = within(*actual, *expected, 1e-9, absolute);
            let detail = || format!("x {x} mean {mean} phi {phi}: {actual} for {expected}");
            differences.check("bound", is_same, detail);
            if let Ok(exact) = exact[side][i].parse::<f64>() {
                let is_safe = *actual == 0.0 || *actual >= exact - 1e-9 * exact.abs();
                differences.check("safe side", is_safe, detail);
            }
        }
    }
    differences.assert_none();
}

/// The reference's fit, made of the parts that ours is made of. Ours joins them otherwise
/// (decision 0013), so the vectors fix the parts and not the whole.
fn reference_fit(histogram: &[f64], exposure: f64, series: f64, budget: f64) -> [f64; 5] {
    let tail = Tail::new(histogram, exposure);
    let edges = tail.edges(0, (0.03, 1.0));
    let highest = edges
        .first()
        .map_or(0.0, |edge| exposure * 10f64.powf(edge.1));
    let is_enough = edges.len() >= 3 && highest >= 50.0;
    let line = is_enough.then(|| Line::through(&edges)).flatten();
    let shipped = Line {
        alpha: 0.59,
        beta: 0.44,
    };
    let bins_used = line.map_or(0, |_| edges.len());
    let line = line.unwrap_or(shipped);
    let nominal = (168.0 * series / budget).log10();
    let z = line
        .z_at(budget / series)
        .clamp(nominal - 0.5, nominal + 6.0);
    [line.alpha, line.beta, bins_used as f64, z, nominal]
}

#[test]
fn fleet_fits_agree_with_the_vectors() {
    let Some(root) = support::reference_data("detector-vectors") else {
        return;
    };
    let histograms = Table::read(&root.join("fleet_histograms.csv"));
    let fits = Table::read(&root.join("fleet_fits.csv"));
    let cases = histograms.texts("case");
    let columns = [
        "exposure_series_weeks",
        "series",
        "budget_per_week",
        "z_nominal",
    ]
    .map(|column| fits.numbers(column));
    let results = ["alpha", "beta", "bins_used", "z_star"].map(|column| fits.numbers(column));
    let mut differences = Differences::default();
    for (i, case) in fits.texts("case").into_iter().enumerate() {
        let [exposure, series, budget, z_nominal] = columns.each_ref().map(|column| column[i]);
        let row = cases
            .iter()
            .position(|name| *name == case)
            .expect("a histogram");
        let histogram: Vec<f64> = histograms.rows[row][1..]
            .iter()
            .map(|count| count.parse::<f64>().expect("a count") * series / 2000.0)
            .collect();
        let actual = reference_fit(&histogram, exposure, series, budget);
        let [alpha, beta, bins_used, z_star] = results.each_ref().map(|column| column[i]);
        for (actual, expected) in actual
            .iter()
            .zip([alpha, beta, bins_used, z_star, z_nominal])
        {
            differences.check("fit", within(*actual, expected, 1e-6, 0.0), || {
                format!("{case} series {series} budget {budget}: {actual} for {expected}")
            });
        }
    }
    differences.assert_none();
}
