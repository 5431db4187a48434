//! From the budgets to the thresholds: how strong insights of this fleet are, and how often.
//!
//! Once for each closed hour a report of plain integers comes in; reports of several partitions
//! add up. By class it is remembered, and half forgotten in a week, how often episodes reach which
//! score, those of one cause counted once; the fit says which z keeps the budget (reference
//! detection, section 6.7, and decision 0013). It knows nothing of single series.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::budget::{Class, RATE_STRATA, STRATA};
use super::settings::DetectSettings;
use fit::Fit;
use groups::Groups;
use missed::{Debts, MISSED_SHARE};

pub use fit::{Basis, Line, Tail, Threshold};
pub use report::{CELLS_MAX, CONFIRMED_AGO_MAX, Cell, ClassReport, ConfirmedCell, HourReport};

mod check;
pub mod fit;
mod groups;
mod missed;
mod report;
#[cfg(test)]
mod tests;

/// Bins of the largest z of an episode, 0.1 wide from 1.5 on, the last one open.
pub const BINS: usize = 200;
/// Lower edge of the first bin.
pub const EPISODE_Z: f64 = 1.5;
/// Hours from the end of the hour that a fit closes with to the hour it is in force from.
pub const FORCE_DELAY_HOURS: u32 = 3;
/// Episodes count from this hour of the engine on: every series' first week is over.
pub const FIRST_HOUR: u32 = 168;
/// Until this hour half is forgotten in a day: what comes once a week was seen once at most, and
/// series surprise about twice as often as they will.
pub const SETTLED_HOUR: u32 = 264;
/// Bin from which episodes are grouped by what may be one cause: z 3.
pub const GROUP_BIN: usize = 15;
/// Hours within which the episodes of one cause are expected to end.
pub const GROUP_HOURS: u32 = 6;

/// Half is forgotten in a week, and in a day.
const KEEP_PER_HOUR: f64 = 0.995_882_615_418_725_3;
const KEEP_PER_EARLY_HOUR: f64 = 0.971_531_941_153_605_9;

/// The thresholds in force in an hour, by class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    classes: Vec<Threshold>,
    /// Series of the whole fleet.
    pub live_series: u64,
}

/// The fleet's memory: decayed episode counts, exposure, and the thresholds not yet in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// Insights a week by scope, the rest first.
    budgets: Vec<f64>,
    /// What the scopes are, as text, by which a change of them is recognised.
    scopes: Vec<String>,
    classes: Vec<Memory>,
    groups: Groups,
    /// What the missed calls that were told still cost, by scope.
    debts: Vec<Debts>,
    /// The hour that the next report is for.
    next_hour: u32,
    /// Thresholds by the hour they are in force from, oldest first.
    thresholds: VecDeque<(u32, Thresholds)>,
}

/// What is remembered of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// Decayed episodes by bin, each for itself and once for each cause.
    episodes: Vec<f64>,
    causes: Vec<f64>,
    /// Series-weeks behind them.
    exposure: f64,
}

impl Thresholds {
    /// The same threshold of rates whatever the fleet does, by scope; all missed calls are told.
    pub fn fixed(z: &[f64]) -> Self {
        let strata = z.iter().flat_map(|z| [*z, *z, EPISODE_Z]);
        Thresholds {
            classes: strata.map(Threshold::fixed).collect(),
            live_series: 0,
        }
    }

    /// The threshold of a class; of one that these settings do not know, that of the rest.
    pub fn of(&self, class: Class) -> Option<&Threshold> {
        let known = class.among(self.classes.len());
        self.classes.get(usize::from(known.0))
    }

    pub fn all(&self) -> &[Threshold] {
        &self.classes
    }

    /// Scopes whose budget is below what thresholds were verified for, the rest being 0.
    pub fn beyond_verified(&self) -> impl Iterator<Item = usize> {
        let scopes = self.classes.chunks(STRATA).enumerate();
        scopes
            .filter(|(_, of_scope)| of_scope.iter().any(Threshold::is_beyond_verified))
            .map(|(scope, _)| scope)
    }
}

impl Memory {
    fn new() -> Self {
        Memory {
            episodes: vec![0.0; BINS],
            causes: vec![0.0; BINS],
            exposure: 0.0,
        }
    }

    fn numbers_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        let counts = self.episodes.iter_mut().chain(&mut self.causes);
        counts.chain([&mut self.exposure])
    }

    fn numbers(&self) -> impl Iterator<Item = &f64> {
        self.episodes
            .iter()
            .chain(&self.causes)
            .chain([&self.exposure])
    }

    fn decay(&mut self, keep: f64) {
        self.numbers_mut().for_each(|number| *number *= keep);
    }

    fn add(&mut self, other: &Memory) {
        for (sum, more) in self.numbers_mut().zip(other.numbers()) {
            *sum += more;
        }
    }

    /// How many of the episodes that are grouped reach each edge, up to all.
    fn shares(&self) -> Vec<f64> {
        let mut shares = self.episodes.clone();
        for bin in (1..BINS).rev() {
            shares[bin - 1] += shares[bin];
        }
        let all = shares[GROUP_BIN];
        shares.iter_mut().for_each(|share| {
            *share = if all > 0.0 {
                (*share / all).min(1.0)
            } else {
                0.0
            };
        });
        shares
    }

    fn tail(&self) -> Tail {
        Tail::new(&self.causes, self.exposure)
    }
}

impl Fleet {
    pub fn new(settings: &DetectSettings) -> Self {
        let budgets = settings.budgets();
        Fleet {
            classes: vec![Memory::new(); budgets.len() * STRATA],
            debts: vec![Debts::new(); budgets.len()],
            budgets,
            scopes: settings.scope_names(),
            groups: Groups::default(),
            next_hour: 0,
            thresholds: VecDeque::new(),
        }
    }

    /// Goes on with other budgets. Where the scopes are others, the rest takes over what was
    /// remembered of all, and new scopes begin with nothing.
    pub fn reconfigure(&mut self, settings: &DetectSettings) {
        self.budgets = settings.budgets();
        let scopes = settings.scope_names();
        if self.scopes == scopes {
            return;
        }
        let mut classes = vec![Memory::new(); self.budgets.len() * STRATA];
        for (index, memory) in self.classes.iter().enumerate() {
            classes[index % STRATA].add(memory);
        }
        self.classes = classes;
        let mut debts = vec![Debts::new(); self.budgets.len()];
        self.debts
            .iter()
            .for_each(|of_scope| debts[0].add(of_scope));
        self.debts = debts;
        self.scopes = scopes;
        self.groups.forget_classes();
    }

    /// What the scope of a class matches; `None` for the rest.
    pub fn scope_name(&self, class: Class) -> Option<&str> {
        let scope = class.scope().checked_sub(1)?;
        self.scopes.get(scope).map(String::as_str)
    }

    /// The hour that the next report is for.
    pub fn next_hour(&self) -> u32 {
        self.next_hour
    }

    /// Takes the report of closed hour `hour`; hours come in order, each once.
    pub fn report(&mut self, hour: u32, report: &HourReport) {
        assert_eq!(
            hour, self.next_hour,
            "reports come in the order of hours, each once"
        );
        self.next_hour += 1;
        let keep = keep_of(hour);
        self.classes.iter_mut().for_each(|one| one.decay(keep));
        self.groups.decay(keep);
        if hour >= FIRST_HOUR {
            let before: Vec<Vec<f64>> = self.missed_causes().map(<[f64]>::to_vec).collect();
            self.learn(hour, report);
            let mut debts = std::mem::take(&mut self.debts);
            let after = self.missed_causes().zip(&before);
            for ((debts, budget), (after, before)) in debts.iter_mut().zip(&self.budgets).zip(after)
            {
                let new = after
                    .iter()
                    .zip(before)
                    .map(|(after, before)| after - before);
                debts.pass_hour(&new.collect::<Vec<f64>>(), *budget);
            }
            self.debts = debts;
        }
        let thresholds = self.fit(report);
        self.thresholds
            .push_back((hour + FORCE_DELAY_HOURS, thresholds));
        while self.thresholds.len() > FORCE_DELAY_HOURS as usize + 1 {
            self.thresholds.pop_front();
        }
    }

    /// Causes of missed calls, by scope.
    fn missed_causes(&self) -> impl Iterator<Item = &[f64]> {
        let of_scopes = self.classes.chunks(STRATA);
        of_scopes.map(|of_scope| of_scope[RATE_STRATA].causes.as_slice())
    }

    fn learn(&mut self, hour: u32, report: &HourReport) {
        self.groups.pass_hour();
        for (index, one) in report.classes.iter().enumerate() {
            let known = self.known(Class(index as u8));
            let memory = &mut self.classes[usize::from(known.0)];
            for (bin, new) in one.episodes.iter().enumerate().take(BINS) {
                memory.episodes[bin] += f64::from(*new);
                memory.causes[bin] += f64::from(*new);
            }
            memory.exposure += one.live_series as f64 / 168.0;
        }
        for (cell, count) in &report.cells {
            let class = self.known(cell.class);
            let memory = &mut self.classes[usize::from(class.0)];
            let bin = usize::from(cell.bin).min(BINS - 1);
            memory.episodes[bin] += f64::from(*count);
            let cell = Cell { class, ..*cell };
            if !self.groups.add(hour, cell, *count) {
                memory.causes[bin] += f64::from(*count);
            }
        }
        let confirmed = report.confirmed.iter();
        for (cell, count) in confirmed.filter(|(cell, _)| cell.began_ago <= CONFIRMED_AGO_MAX) {
            self.forget_confirmed(hour, cell, *count);
        }
        let settled = self.groups.take_settled(hour);
        for of_class in settled.chunk_by(|a, b| a.class == b.class) {
            let memory = &mut self.classes[usize::from(of_class[0].class.0)];
            let shares = memory.shares();
            for group in of_class {
                group.add_causes(&shares, &mut memory.causes);
            }
        }
    }

    /// Takes back what is left of confirmed episodes.
    fn forget_confirmed(&mut self, hour: u32, cell: &ConfirmedCell, count: u32) {
        let class = self.known(cell.class);
        let memory = &mut self.classes[usize::from(class.0)];
        let bin = usize::from(cell.bin).min(BINS - 1);
        let left_since = |counted: u32| {
            let passed = counted.min(hour) + 1..=hour;
            passed.fold(f64::from(count), |left, passed| left * keep_of(passed))
        };
        let ended = hour.saturating_sub(cell.ended_ago);
        let began = hour.saturating_sub(cell.began_ago);
        memory.episodes[bin] = (memory.episodes[bin] - left_since(ended)).max(0.0);
        if self.groups.remove(began, class, cell, count) {
            return;
        }
        let is_grouped = bin >= GROUP_BIN;
        let counted = if is_grouped {
            began + GROUP_HOURS - 1
        } else {
            ended
        };
        memory.causes[bin] = (memory.causes[bin] - left_since(counted)).max(0.0);
    }

    /// A class of these settings; reports may still be of those before.
    fn known(&self, class: Class) -> Class {
        class.among(self.classes.len())
    }

    /// Thresholds of all classes after a report.
    fn fit(&self, report: &HourReport) -> Thresholds {
        let tails: Vec<Tail> = self.classes.iter().map(Memory::tail).collect();
        let sum = |of: &[Tail]| {
            let mut sum = Tail::new(&[0.0; BINS], 0.0);
            of.iter().for_each(|tail| sum.add(tail));
            sum
        };
        let rates = tails
            .chunks(STRATA)
            .flat_map(|of_scope| &of_scope[..RATE_STRATA]);
        let fleet = sum(&rates.cloned().collect::<Vec<Tail>>());
        let mut classes = Vec::with_capacity(tails.len());
        for (scope, (budget, debts)) in self.budgets.iter().zip(&self.debts).enumerate() {
            let first = scope * STRATA;
            let live = report.classes.iter().skip(first).take(RATE_STRATA);
            let live: u64 = live.map(|one| one.live_series).sum();
            let of_rates = (1.0 - MISSED_SHARE) * budget;
            let rate = fit::rate(of_rates, live);
            let own = &tails[first..first + RATE_STRATA];
            let of_scope = || sum(own).fit(rate).map(|fit| (fit, Basis::Scope));
            let of_fleet = || fleet.fit(rate).map(|fit| (fit, Basis::Fleet));
            let wide: Option<(Fit, Basis)> = of_scope().or_else(of_fleet);
            classes.extend(own.iter().map(|tail| {
                let fit = tail.fit(rate).map(|fit| (fit, Basis::Class)).or(wide);
                Threshold {
                    budget_per_week: *budget,
                    ..Threshold::new(fit, of_rates, live)
                }
            }));
            classes.push(debts.threshold(*budget));
        }
        Thresholds {
            classes,
            live_series: report.live_series,
        }
    }

    /// Takes empty reports up to the one before `hour`; once all is forgotten, at a stroke.
    pub fn skip_to(&mut self, hour: u32) {
        while self.next_hour < hour {
            let is_settled = |value: &f64| *value * KEEP_PER_HOUR == *value;
            let is_empty = self.groups.is_settled(KEEP_PER_HOUR)
                && self.debts.iter().all(Debts::are_paid)
                && self.classes.iter().all(|one| one.numbers().all(is_settled));
            let oldest = self.thresholds.front().map(|(_, oldest)| oldest);
            let is_steady = self.thresholds.len() > FORCE_DELAY_HOURS as usize
                && self
                    .thresholds
                    .iter()
                    .all(|(_, other)| Some(other) == oldest);
            if is_empty && is_steady && self.next_hour > SETTLED_HOUR {
                let step = hour - self.next_hour;
                self.thresholds
                    .iter_mut()
                    .for_each(|(from, _)| *from += step);
                self.next_hour = hour;
                return;
            }
            self.report(self.next_hour, &HourReport::new(self.classes.len()));
        }
    }

    /// The thresholds in force in `hour`; needs the report of hour - 3 and no more than that of
    /// `hour` itself.
    pub fn thresholds_for(&self, hour: u32) -> Thresholds {
        let in_force = self.thresholds.iter().rev().find(|(from, _)| *from <= hour);
        match in_force {
            Some((_, thresholds)) => thresholds.clone(),
            None => Fleet {
                classes: vec![Memory::new(); self.classes.len()],
                debts: vec![Debts::new(); self.debts.len()],
                ..self.clone()
            }
            .fit(&HourReport::default()),
        }
    }
}

/// The bin of a score that is at least [`EPISODE_Z`].
pub fn bin_of(z: f64) -> u8 {
    let bin = (z - EPISODE_Z) / 0.1 + 1e-9;
    (bin as usize).min(BINS - 1) as u8
}

/// What an hour leaves of what was remembered before.
fn keep_of(hour: u32) -> f64 {
    if hour < SETTLED_HOUR {
        KEEP_PER_EARLY_HOUR
    } else {
        KEEP_PER_HOUR
    }
}
