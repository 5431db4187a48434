//! From TOML text and environment overrides to [`WrittenSettings`], with errors that point.
//!
//! The JSON schema of the settings is the list of valid keys: the text's keys are walked along
//! it before anything is deserialized, so an unknown key is named with its line and the
//! nearest valid name. Overrides are applied after the text was found right by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use schemars::schema_for;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::written::RESERVED;
use super::{Settings, WrittenSettings};

/// What is wrong with the settings, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// File name, or the environment variable that holds the value.
    pub origin: String,
    /// Line of the file, from 1; `None` where no line is to blame.
    pub line: Option<usize>,
    /// Dotted path of the key; empty when the text as a whole is to blame.
    pub key: String,
    /// What is wrong and what to do.
    pub problem: String,
}

/// Settings as written, with where each came from.
#[derive(Clone, Debug, Default)]
pub struct WrittenDocument {
    pub settings: WrittenSettings,
    /// File name for messages.
    origin: String,
    /// Line of each key that stands in the text.
    lines: BTreeMap<String, usize>,
    /// Environment variable of each key that was overridden.
    overrides: BTreeMap<String, String>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl WrittenDocument {
    /// Reads `text`, called `origin` in messages, then the `INSIGHTD_...` variables among
    /// `environment`; others are left alone.
    pub fn read(
        origin: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut document = WrittenDocument {
            origin: origin.to_string(),
            ..WrittenDocument::default()
        };
        let schema = schema_for!(WrittenSettings).to_value();
        let tree = DeTable::parse(text).map_err(|error| document.syntax_error(text, &error))?;
        let mut keys = Keys {
            text,
            schema: &schema,
            lines: BTreeMap::new(),
            spans: Vec::new(),
            unknown: None,
        };
        keys.walk("", tree.get_ref(), &schema);
        let Keys {
            lines,
            spans,
            unknown,
            ..
        } = keys;
        document.lines = lines;
        if let Some((key, problem)) = unknown {
            return Err(document.error(&key, problem));
        }
        document.settings = toml::from_str(text).map_err(|error| {
            let at = error.span().unwrap_or(0..0);
            document.error(&innermost(&spans, &at), error.message().to_string())
        })?;
        document.apply_environment(text, &schema, environment)?;
        Ok(document)
    }

    /// The same with other values for some keys, as a grid has them.
    pub fn with(&self, values: &[(String, toml::Value)]) -> Result<Self, ConfigError> {
        let mut changed = self.clone();
        let schema = schema_for!(WrittenSettings).to_value();
        let mut table = toml::Table::try_from(&self.settings)
            .map_err(|error| self.error("", error.to_string()))?;
        for (key, value) in values {
            changed.overrides.insert(key.clone(), "grid".to_string());
            let parts: Vec<&str> = key.split('.').collect();
            if let Some(problem) = unknown_path(&schema, &parts) {
                return Err(changed.error(key, problem));
            }
            insert(&mut table, &parts, value.clone());
            changed.settings = table.clone().try_into().map_err(|error: toml::de::Error| {
                changed.error(key, error.message().to_string())
            })?;
        }
        Ok(changed)
    }

    /// The settings, checked against each other.
    pub fn check(&self) -> Result<Settings, ConfigError> {
        Settings::check(&self.settings).map_err(|(key, problem)| self.error(&key, problem))
    }

    /// Where the value of `key` comes from: a file and line, a variable, or the default.
    pub fn origin_of(&self, key: &str) -> String {
        if let Some(variable) = self.overrides.get(key) {
            return variable.clone();
        }
        match self.lines.get(key) {
            Some(line) => format!("{}:{line}", self.origin),
            None => "default".to_string(),
        }
    }

    /// What is wrong with the value of `key`, with where it comes from.
    pub fn error(&self, key: &str, problem: String) -> ConfigError {
        if let Some(variable) = self.overrides.get(key) {
            return ConfigError {
                origin: variable.clone(),
                line: None,
                key: key.to_string(),
                problem,
            };
        }
        ConfigError {
            origin: self.origin.clone(),
            line: self.line_near(key),
            key: key.to_string(),
            problem,
        }
    }

    /// Line of `key`, or of the nearest table around it.
    fn line_near(&self, key: &str) -> Option<usize> {
        let mut key = key;
        loop {
            if let Some(line) = self.lines.get(key) {
                return Some(*line);
            }
            key = key.rsplit_once('.')?.0;
        }
    }

    fn syntax_error(&self, text: &str, error: &toml::de::Error) -> ConfigError {
        ConfigError {
            origin: self.origin.clone(),
            line: error.span().map(|span| line_of(text, span.start)),
            key: String::new(),
            problem: format!("not valid TOML: {}", error.message()),
        }
    }

    fn apply_environment(
        &mut self,
        text: &str,
        schema: &Value,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        let mut table: toml::Table = toml::from_str(text).expect("this text was read before");
        let mut variables: Vec<(String, String)> = environment.into_iter().collect();
        variables.sort();
        for (variable, value) in variables {
            let Some(path) = variable.strip_prefix("INSIGHTD_") else {
                continue;
            };
            if !path.contains("__") {
                continue;
            }
            let path = path.to_ascii_lowercase();
            let parts: Vec<&str> = path.split("__").collect();
            let key = parts.join(".");
            self.overrides.insert(key.clone(), variable.clone());
            if let Some(problem) = unknown_path(schema, &parts) {
                return Err(self.error(&key, problem));
            }
            self.settings =
                set(&mut table, &parts, &value).map_err(|problem| self.error(&key, problem))?;
        }
        Ok(())
    }
}

/// The walk of a document's keys along the schema.
struct Keys<'a> {
    text: &'a str,
    schema: &'a Value,
    lines: BTreeMap<String, usize>,
    spans: Vec<(Range<usize>, String)>,
    /// First unknown key with what to say of it.
    unknown: Option<(String, String)>,
}

impl Keys<'_> {
    fn walk(&mut self, path: &str, table: &DeTable<'_>, schema: &Value) {
        for (name, value) in table {
            let key = join(path, name.get_ref());
            self.lines
                .entry(key.clone())
                .or_insert_with(|| line_of(self.text, name.span().start));
            self.spans.push((value.span(), key.clone()));
            match child(self.schema, schema, name.get_ref()) {
                Child::Free => {}
                Child::Known(inner) => self.walk_value(&key, value.get_ref(), inner),
                Child::Unknown(valid) => {
                    let problem = unknown_problem(path, name.get_ref(), &valid);
                    self.unknown.get_or_insert((key, problem));
                }
            }
        }
    }

    fn walk_value(&mut self, key: &str, value: &DeValue<'_>, schema: &Value) {
        match value {
            DeValue::Table(table) => self.walk(key, table, schema),
            DeValue::Array(array) => {
                let Some(items) = resolve(self.schema, schema).get("items") else {
                    return;
                };
                for (index, item) in array.iter().enumerate() {
                    let key = format!("{key}[{index}]");
                    self.spans.push((item.span(), key.clone()));
                    self.walk_value(&key, item.get_ref(), items);
                }
            }
            _ => {}
        }
    }
}

/// What a schema says about one key of a table.
enum Child<'a> {
    Known(&'a Value),
    /// The table takes any key.
    Free,
    /// The table takes these keys only.
    Unknown(Vec<String>),
}

fn child<'a>(root: &'a Value, schema: &'a Value, name: &str) -> Child<'a> {
    let schema = resolve(root, schema);
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(inner) = properties.and_then(|properties| properties.get(name)) {
        return Child::Known(inner);
    }
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => Child::Unknown(properties.map_or(Vec::new(), |properties| {
            properties.keys().cloned().collect()
        })),
        Some(inner @ Value::Object(_)) => Child::Known(inner),
        _ => Child::Free,
    }
}

/// Follows `$ref`, and the one alternative of an optional value that is a table or an array.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#'));
        return resolve(
            root,
            target.expect("schemars writes references that resolve"),
        );
    }
    for group in ["anyOf", "allOf"] {
        let alternatives = schema.get(group).and_then(Value::as_array);
        let found = alternatives.into_iter().flatten().find_map(|alternative| {
            let inner = resolve(root, alternative);
            (inner.get("properties").is_some() || inner.get("items").is_some()).then_some(inner)
        });
        if let Some(found) = found {
            return found;
        }
    }
    schema
}

fn unknown_path(schema: &Value, parts: &[&str]) -> Option<String> {
    let mut here = schema;
    let mut path = String::new();
    for part in parts {
        match child(schema, here, part) {
            Child::Free => return None,
            Child::Known(inner) => here = inner,
            Child::Unknown(valid) => return Some(unknown_problem(&path, part, &valid)),
        }
        path = join(&path, part);
    }
    None
}

fn unknown_problem(path: &str, name: &str, valid: &[String]) -> String {
    let key = join(path, name);
    if let Some((_, owner)) = RESERVED.iter().find(|(reserved, _)| *reserved == key) {
        return format!("belongs to {owner}, which this build does not have; remove it");
    }
    let place = if path.is_empty() {
        "at the top".to_string()
    } else {
        format!("in [{path}]")
    };
    let nearest = valid
        .iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .min();
    match nearest {
        Some((distance, other)) if distance <= 1 + other.len() / 3 => {
            format!("no such key; did you mean `{}`?", join(path, other))
        }
        _ => format!("no such key; {place} there are: {}", valid.join(", ")),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_string()
    } else {
        format!("{path}.{name}")
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// The key with the smallest span around `at`.
fn innermost(spans: &[(Range<usize>, String)], at: &Range<usize>) -> String {
    spans
        .iter()
        .filter(|(span, _)| span.start <= at.start && at.end <= span.end)
        .min_by_key(|(span, _)| span.len())
        .map_or(String::new(), |(_, key)| key.clone())
}

/// Sets a key of `table` and reads the settings again. The value counts as the TOML number,
/// boolean or array it looks like; if the key does not take that, as a string.
fn set(table: &mut toml::Table, parts: &[&str], value: &str) -> Result<WrittenSettings, String> {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("value"));
    let string = toml::Value::String(value.to_string());
    let mut first_problem = None;
    for value in parsed.into_iter().chain([string]) {
        insert(table, parts, value);
        match table.clone().try_into() {
            Ok(settings) => return Ok(settings),
            Err(error) => first_problem = first_problem.or(Some(error.message().to_string())),
        }
    }
    Err(first_problem.expect("at least the string was tried"))
}

fn insert(table: &mut toml::Table, parts: &[&str], value: toml::Value) {
    let (last, sections) = parts.split_last().expect("a name has a part");
    let mut here = table;
    for section in sections {
        let entry = here
            .entry(*section)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let toml::Value::Table(inner) = entry else {
            return;
        };
        here = inner;
    }
    here.insert((*last).to_string(), value);
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
