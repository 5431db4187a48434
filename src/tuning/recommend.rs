//! Which setting to take: only what the recording can support.
//!
//! A setting is *supported* when the upper end of the 90 % interval of its insights outside labels
//! does not exceed the budget that the user asked for: then even its true ones fit in. It is
//! *better* than another when it finds more of the planted incidents, and not by luck (sign test,
//! 5 %). The present settings are kept unless another is both; on noise none is.

use super::intervals::{poisson_90, sign_test};
use super::report::Recommendation;

/// A chance below which a difference is no luck.
const LUCK: f64 = 0.05;
/// The engine's own promise: all insights, true ones included, are at most twice the budget.
const PROMISE: f64 = 2.0;

/// What is known of one setting.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub name: &'a str,
    /// Insights in the scored time that hit no label.
    pub unlabelled: u64,
    /// By planted incident, whether it was found.
    pub found: &'a [bool],
    /// By label, whether it was hit.
    pub hit: &'a [bool],
    /// The keys to set, as TOML.
    pub toml: &'a str,
}

/// Chooses among `candidates`, the present settings first.
pub fn recommend(candidates: &[Candidate<'_>], budget_per_week: f64, weeks: f64) -> Recommendation {
    let mut reasons = Vec::new();
    let Some(present) = candidates.first() else {
        return Recommendation::default();
    };
    let allowed = budget_per_week * weeks;
    let (low, _) = poisson_90(present.unlabelled);
    let keeps = low <= PROMISE * allowed;
    reasons.push(format!(
        "the present settings made {} in {weeks:.1} weeks outside labels, where a budget of \
         {budget_per_week} a week allows {}: {}",
        insights(present.unlabelled),
        rounded(allowed),
        if keeps {
            "that keeps it"
        } else {
            "that is more than twice it, and not by chance"
        }
    ));
    let is_supported = |one: &&(usize, &Candidate<'_>)| poisson_90(one.1.unlabelled).1 <= allowed;
    let others: Vec<(usize, &Candidate<'_>)> = candidates.iter().enumerate().skip(1).collect();
    let supported: Vec<&(usize, &Candidate<'_>)> = others.iter().filter(is_supported).collect();
    if supported.is_empty() {
        reasons.push(nothing_supported(budget_per_week, weeks));
    }
    let better = supported
        .iter()
        .copied()
        .filter(|(_, one)| !keeps || is_better(one, present))
        .max_by_key(|(place, one)| (one.score(), std::cmp::Reverse(*place)));
    let Some((place, best)) = better else {
        if !supported.is_empty() && keeps {
            reasons.push(
                "no setting whose insights surely fit the budget finds more of the incidents \
                 than luck would"
                    .to_string(),
            );
        }
        return Recommendation {
            setting: keeps.then_some(0),
            reasons,
            toml: String::new(),
        };
    };
    let (more, less) = best.against(present);
    reasons.push(format!(
        "{} made {} outside labels, surely no more than the budget allows, and found {more} \
         incidents that the present settings missed and missed {less} that they found (by luck: \
         {})",
        best.name,
        insights(best.unlabelled),
        chance(sign_test(more, less)),
    ));
    Recommendation {
        setting: Some(*place),
        reasons,
        toml: best.toml.to_string(),
    }
}

fn is_better(one: &Candidate<'_>, present: &Candidate<'_>) -> bool {
    let (more, less) = one.against(present);
    sign_test(more, less) < LUCK
}

/// How long a recording without any insight supports a budget: 3.0 are not excluded by none.
fn nothing_supported(budget_per_week: f64, weeks: f64) -> String {
    let needed = poisson_90(0).1 / budget_per_week;
    if needed <= weeks {
        return "no other setting's insights surely fit the budget: each may make more than it \
                allows"
            .to_string();
    }
    format!(
        "the recording is too short to support any other setting: {weeks:.1} weeks are judged, \
         and even one without insights would need {needed:.1} to show that it keeps \
         {budget_per_week} a week"
    )
}

impl Candidate<'_> {
    fn score(&self) -> usize {
        let found = self.found.iter().filter(|found| **found).count();
        found + self.hit.iter().filter(|hit| **hit).count()
    }

    /// Incidents that only this one found, and that only the other did.
    fn against(&self, other: &Candidate<'_>) -> (u64, u64) {
        let both = self.found.iter().zip(other.found);
        let both = both.chain(self.hit.iter().zip(other.hit));
        both.fold((0, 0), |(more, less), (here, there)| {
            (
                more + u64::from(*here && !there),
                less + u64::from(*there && !here),
            )
        })
    }
}

fn insights(count: u64) -> String {
    match count {
        1 => "1 insight".to_string(),
        count => format!("{count} insights"),
    }
}

fn rounded(value: f64) -> String {
    match value {
        value if value >= 10.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

fn chance(probability: f64) -> String {
    match probability {
        small if small < 0.001 => "less than 1 in 1,000".to_string(),
        other => format!("{:.1} %", 100.0 * other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate<'a>(name: &'a str, unlabelled: u64, found: &'a [bool]) -> Candidate<'a> {
        Candidate {
            name,
            unlabelled,
            found,
            hit: &[],
            toml: name,
        }
    }

    fn check(others: &[(u64, usize)], present: u64, budget: f64, expected: Option<usize>) {
        let found: Vec<Vec<bool>> = [(present, 10)]
            .iter()
            .chain(others)
            .map(|(_, found)| (0..60).map(|place| place < *found).collect())
            .collect();
        let counts = [present].into_iter().chain(others.iter().map(|one| one.0));
        let candidates: Vec<Candidate<'_>> = counts
            .zip(&found)
            .map(|(count, found)| candidate("a setting", count, found))
            .collect();
        let chosen = recommend(&candidates, budget, 2.0);
        assert_eq!(chosen.setting, expected, "{:?}", chosen.reasons);
        assert_eq!(chosen.toml.is_empty(), expected.is_none_or(|at| at == 0));
    }

    #[test]
    fn only_what_the_recording_supports_is_recommended() {
        check(&[(0, 60)], 0, 1.0, Some(0)); // Two weeks cannot show one a week.
        check(&[(20, 60)], 2, 10.0, Some(0)); // It finds all and may make more than allowed.
        check(&[(10, 12)], 2, 10.0, Some(0)); // Two more of sixty are luck.
        check(&[(10, 20)], 2, 10.0, Some(1));
        check(&[(10, 20), (11, 40), (30, 60)], 2, 10.0, Some(2));
        check(&[(10, 5)], 60, 10.0, Some(1)); // The present settings do not keep the budget.
        check(&[(19, 60)], 60, 10.0, None); // And nothing else is known to.
    }
}
