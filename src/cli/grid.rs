//! Points of a grid: the settings that `tune` tries beside the present ones.

use std::path::Path;

use super::CliError;
use crate::config::WrittenDocument;
use crate::service::tune::TuneSetting;

/// Points that a grid may have.
const POINTS_MAX: usize = 200;
/// What the present budget is multiplied by where no grid is given.
const BUDGETS: [f64; 6] = [0.1, 0.3, 2.0, 3.0, 10.0, 30.0];

/// Keys and values of one point.
type Point = Vec<(String, toml::Value)>;

/// The present settings and a ladder of budgets around the one that is asked for.
pub fn ladder(document: &WrittenDocument, budget: f64) -> Result<Vec<TuneSetting>, CliError> {
    let key = "detector.budget_per_week".to_string();
    let mut points: Vec<Point> = vec![Vec::new()];
    if document.settings.detector.budget_per_week != budget {
        points.push(vec![(key.clone(), number(budget))]);
    }
    for times in BUDGETS {
        // A few figures are enough, and 0.30000000000000004 is none.
        let value = (budget * times * 1e4).round() / 1e4;
        if (0.001..=1e6).contains(&value) {
            points.push(vec![(key.clone(), number(value))]);
        }
    }
    settings(document, points)
}

/// A whole number as one.
fn number(value: f64) -> toml::Value {
    match value.fract() == 0.0 {
        true => toml::Value::Integer(value as i64),
        false => toml::Value::Float(value),
    }
}

/// The present settings and every combination of what the file names: `key = [values]`, with dotted
/// keys or tables as in the configuration.
pub fn read(document: &WrittenDocument, path: &Path) -> Result<Vec<TuneSetting>, CliError> {
    let failed = |problem: String| CliError::Usage(format!("{}: {problem}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|error| failed(format!("cannot be read: {error}")))?;
    let table: toml::Table = toml::from_str(&text)
        .map_err(|error| failed(format!("not valid TOML: {}", error.message())))?;
    let mut axes = Vec::new();
    flatten("", &table, &mut axes).map_err(failed)?;
    if axes.is_empty() {
        let example = "detector.budget_per_week = [0.5, 1, 2]";
        return Err(failed(format!("names no key; write for example {example}")));
    }
    let points: usize = axes
        .iter()
        .map(|(_, values)| values.len())
        .fold(1, usize::saturating_mul);
    if points > POINTS_MAX {
        return Err(failed(format!(
            "{points} combinations, more than {POINTS_MAX}; name fewer values"
        )));
    }
    let mut combined: Vec<Point> = vec![Vec::new()];
    for (key, values) in axes {
        let extended = combined.iter().flat_map(|point| {
            values.iter().map(|value| {
                let mut point = point.clone();
                point.push((key.clone(), value.clone()));
                point
            })
        });
        combined = extended.collect();
    }
    combined.insert(0, Vec::new());
    settings(document, combined)
}

fn flatten(
    path: &str,
    table: &toml::Table,
    axes: &mut Vec<(String, Vec<toml::Value>)>,
) -> Result<(), String> {
    for (name, value) in table {
        let key = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, axes)?,
            toml::Value::Array(values) if !values.is_empty() => axes.push((key, values.clone())),
            _ => return Err(format!("{key}: write a list of values to try, [a, b]")),
        }
    }
    Ok(())
}

/// The settings of each point that differ from those before; keys and values are checked as those
/// of a configuration are.
fn settings(document: &WrittenDocument, points: Vec<Point>) -> Result<Vec<TuneSetting>, CliError> {
    let mut settings: Vec<TuneSetting> = Vec::new();
    for point in points {
        let tried = document.with(&point)?.check()?;
        let is_known = settings
            .iter()
            .any(|other| other.settings.canonical == tried.canonical);
        if is_known {
            continue;
        }
        let overrides: Vec<(String, String)> = point
            .iter()
            .map(|(key, value)| (key.clone(), value.to_string()))
            .collect();
        settings.push(TuneSetting {
            name: name(&overrides),
            toml: toml_of(&overrides),
            overrides,
            settings: tried,
        });
    }
    Ok(settings)
}

fn name(overrides: &[(String, String)]) -> String {
    if overrides.is_empty() {
        return "present".to_string();
    }
    let parts = overrides.iter().map(|(key, value)| {
        let last = key.rsplit('.').next().unwrap_or(key);
        format!("{last} = {value}")
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn toml_of(overrides: &[(String, String)]) -> String {
    let mut by_table: std::collections::BTreeMap<&str, Vec<String>> = Default::default();
    for (key, value) in overrides {
        let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
        by_table
            .entry(table)
            .or_default()
            .push(format!("{name} = {value}"));
    }
    let tables = by_table.into_iter().map(|(table, lines)| {
        let head = match table {
            "" => String::new(),
            table => format!("[{table}]\n"),
        };
        format!("{head}{}\n", lines.join("\n"))
    });
    tables.collect::<Vec<_>>().join("\n")
}
