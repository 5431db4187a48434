//! Budgets of parts of a fleet, from text to patterns.

use glob::Pattern;

use super::settings::{Problem, problem};
use super::written::{DirectionName, WrittenBudget, WrittenDetector};
use crate::detect::ScopedBudget;
use crate::detect::budget::SCOPES_MAX;
use crate::model::{Direction, InsightType};

/// Bytes of a pattern: a key may have as many by default.
const PATTERN_BYTES_MAX: usize = 1024;

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
    let scope = &written.scope;
    let pattern = |field: &str, text: &Option<String>| {
        let key = format!("{key}.scope.{field}");
        text.as_deref().map(|text| pattern(&key, text)).transpose()
    };
    let insight_type = pattern("insight_type", &scope.insight_type)?;
    if let Some(pattern) = &insight_type {
        let types = [InsightType::ApiCallRate, InsightType::ApiErrorRate];
        if !types.iter().any(|one| pattern.matches(one.name())) {
            let text = format!("`{pattern}` is neither ApiCallRateInsight nor ApiErrorRateInsight");
            return Err(problem(&format!("{key}.scope.insight_type"), text));
        }
    }
    Ok(ScopedBudget {
        account: pattern("account", &scope.account)?,
        region: pattern("region", &scope.region)?,
        event_source: pattern("event_source", &scope.event_source)?,
        event_name: pattern("event_name", &scope.event_name)?,
        insight_type,
        error_code: pattern("error_code", &scope.error_code)?,
        direction: written.direction.map(|direction| match direction {
            DirectionName::Up => Direction::Up,
            DirectionName::Down => Direction::Down,
        }),
        per_week: written.per_week,
    })
}

fn pattern(key: &str, text: &str) -> Result<Pattern, Problem> {
    if text.len() > PATTERN_BYTES_MAX {
        let text = format!("it is longer than {PATTERN_BYTES_MAX} bytes");
        return Err(problem(key, text));
    }
    Pattern::new(text).map_err(|error| problem(key, format!("`{text}` is no pattern: {error}")))
}
