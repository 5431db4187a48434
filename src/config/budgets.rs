//! Budgets of parts of a fleet, from text to patterns.

use super::settings::{Problem, problem};
use super::written::{DirectionName, WrittenBudget, WrittenDetector, WrittenScope};
use crate::detect::ScopedBudget;
use crate::detect::budget::SCOPES_MAX;
use crate::model::{Direction, Scope};

/// Refuses an amount that is no budget.
pub fn check_amount(key: &str, budget: f64) -> Result<(), Problem> {
    if budget.is_finite() && (0.001..=1e6).contains(&budget) {
        return Ok(());
    }
    let text = format!("{budget} is not between 0.001 and 1000000 false insights a week");
    Err(problem(key, text))
}

/// The budgets beside the global one.
pub fn check(detector: &WrittenDetector) -> Result<Vec<ScopedBudget>, Problem> {
    let written = &detector.budgets;
    if written.len() > SCOPES_MAX {
        let text = format!("there are {}, at most {SCOPES_MAX} are kept", written.len());
        return Err(problem("detector.budgets", text));
    }
    let mut budgets: Vec<ScopedBudget> = Vec::new();
    for (index, one) in written.iter().enumerate() {
        let key = format!("detector.budgets[{index}]");
        let budget = budget(&key, one)?;
        let name = budget.name();
        if name == "*" {
            let text = "it names nothing and so takes everything; detector.budget_per_week is for \
                        that";
            return Err(problem(&key, text));
        }
        if let Some(before) = budgets.iter().position(|other| other.name() == name) {
            let text = format!("detector.budgets[{before}] has all that this one names");
            return Err(problem(&key, text));
        }
        budgets.push(budget);
    }
    Ok(budgets)
}

fn budget(key: &str, written: &WrittenBudget) -> Result<ScopedBudget, Problem> {
    check_amount(&format!("{key}.per_week"), written.per_week)?;
    let direction = written.direction.map(|direction| match direction {
        DirectionName::Up => Direction::Up,
        DirectionName::Down => Direction::Down,
    });
    Ok(ScopedBudget {
        scope: scope(&format!("{key}.scope"), &written.scope, direction)?,
        per_week: written.per_week,
    })
}

/// A scope, from texts to patterns; `key` is where it stands.
pub fn scope(
    key: &str,
    written: &WrittenScope,
    direction: Option<Direction>,
) -> Result<Scope, Problem> {
    let patterns = [
        &written.account,
        &written.region,
        &written.event_source,
        &written.event_name,
        &written.insight_type,
        &written.error_code,
    ];
    Scope::parse(patterns.map(Option::as_deref), direction)
        .map_err(|(field, text)| problem(&format!("{key}.{field}"), text))
}
