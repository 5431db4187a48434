//! Mappings as written, and the check that makes them usable.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::json::{PointerTree, split_pointer};
use super::template::{Slots, Texts};
use super::{Condition, Fields, Mapping, Source, TimeForm};

/// Compiled patterns may take this much memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What `[formats.NAME]` holds: where the fields of an event stand in a record.
///
/// A text is made of plain characters and places in braces: `{/verb}` is a JSON pointer (RFC
/// 6901), `{status}` a named group of the line pattern. Of several texts the first whose places
/// all hold something is taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingSpec {
    /// What the mapping reads, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Whether records are JSON or lines of text.
    #[serde(default)]
    pub kind: MappingKind,
    /// For lines: a regular expression with named groups that matches a whole record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// For JSON: pointer to an array of records inside one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<String>,
    /// Records that do not meet all of these are skipped by rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<ConditionSpec>,
    /// When it happened.
    pub time: TextSpec,
    /// `auto`, `rfc3339`, `epoch_seconds`, `epoch_milliseconds`, or a strftime pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_format: Option<String>,
    /// The account, tenant or cluster it belongs to.
    #[serde(default)]
    pub account: TextSpec,
    #[serde(default)]
    pub region: TextSpec,
    /// The service that was called.
    pub source: TextSpec,
    /// The operation that was called.
    pub name: TextSpec,
    /// The error, when the call failed.
    #[serde(default)]
    pub error: TextSpec,
    /// The call failed only if this is met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_when: Option<ConditionSpec>,
    /// Who called.
    #[serde(default)]
    pub identity: TextSpec,
    /// The caller's user agent.
    #[serde(default)]
    pub agent: TextSpec,
    /// Identifies the record, for deduplication.
    #[serde(default)]
    pub id: TextSpec,
    #[serde(default)]
    pub event_type: TextSpec,
    /// `Management` (also when absent), `Data` or `NetworkActivity`.
    #[serde(default)]
    pub category: TextSpec,
    /// The first whose value is there decides whether the call only read; if none is, the verb
    /// of the name does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_only: Vec<ConditionSpec>,
}

/// What records look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MappingKind {
    #[default]
    Json,
    Line,
}

/// One text, or several of which the first that can be made is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TextSpec {
    One(String),
    Several(Vec<String>),
}

/// A condition on a text: one of `equals`, or a number of at least `at_least`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionSpec {
    pub value: TextSpec,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equals: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
}

impl Default for TextSpec {
    fn default() -> Self {
        TextSpec::Several(Vec::new())
    }
}

impl TextSpec {
    fn templates(&self) -> &[String] {
        match self {
            TextSpec::One(text) => std::slice::from_ref(text),
            TextSpec::Several(texts) => texts,
        }
    }
}

/// Checks a mapping as written.
pub fn check(name: &str, spec: &MappingSpec) -> Result<Mapping, String> {
    check_parts(name, spec).map_err(|error| format!("formats.{name}.{error}"))
}

fn check_parts(name: &str, spec: &MappingSpec) -> Result<Mapping, String> {
    let mut slots = Slots::default();
    let fields = check_fields(spec, &mut slots)?;
    let source = match spec.kind {
        MappingKind::Json => check_json(spec, &slots)?,
        MappingKind::Line => check_line(spec, &slots)?,
    };
    Ok(Mapping {
        name: name.to_string(),
        source,
        slots,
        fields,
    })
}

fn check_fields(spec: &MappingSpec, slots: &mut Slots) -> Result<Fields, String> {
    let required = |key: &str, text: &TextSpec| match text.templates() {
        [] => Err(format!("{key}: needs a text")),
        _ => Ok(()),
    };
    required("time", &spec.time)?;
    required("source", &spec.source)?;
    required("name", &spec.name)?;
    let mut texts =
        |key: &str, text: &TextSpec| Texts::parse(text.templates(), slots).map_err(at(key));
    Ok(Fields {
        time: texts("time", &spec.time)?,
        time_form: check_time_form(spec.time_format.as_deref())?,
        account: texts("account", &spec.account)?,
        region: texts("region", &spec.region)?,
        event_source: texts("source", &spec.source)?,
        event_name: texts("name", &spec.name)?,
        error: texts("error", &spec.error)?,
        identity: texts("identity", &spec.identity)?,
        agent: texts("agent", &spec.agent)?,
        id: texts("id", &spec.id)?,
        event_type: texts("event_type", &spec.event_type)?,
        category: texts("category", &spec.category)?,
        only: check_conditions("only", &spec.only, slots)?,
        error_when: match &spec.error_when {
            Some(condition) => Some(check_condition("error_when", condition, slots)?),
            None => None,
        },
        read_only: check_conditions("read_only", &spec.read_only, slots)?,
    })
}

fn at(key: &str) -> impl Fn(String) -> String {
    move |error| format!("{key}: {error}")
}

fn check_conditions(
    key: &str,
    specs: &[ConditionSpec],
    slots: &mut Slots,
) -> Result<Vec<Condition>, String> {
    specs
        .iter()
        .map(|spec| check_condition(key, spec, slots))
        .collect()
}

fn check_condition(
    key: &str,
    spec: &ConditionSpec,
    slots: &mut Slots,
) -> Result<Condition, String> {
    if spec.value.templates().is_empty() {
        return Err(format!("{key}: needs a `value`"));
    }
    Ok(Condition {
        value: Texts::parse(spec.value.templates(), slots).map_err(at(key))?,
        equals: spec.equals.clone(),
        at_least: spec.at_least,
    })
}

fn check_time_form(written: Option<&str>) -> Result<TimeForm, String> {
    Ok(match written {
        None | Some("auto") => TimeForm::Auto,
        Some("rfc3339") => TimeForm::Rfc3339,
        Some("epoch_seconds") => TimeForm::EpochSeconds,
        Some("epoch_milliseconds") => TimeForm::EpochMilliseconds,
        Some(pattern) if pattern.contains('%') => TimeForm::Pattern(pattern.to_string()),
        Some(other) => {
            return Err(format!(
                "time_format: `{other}` is none of auto, rfc3339, epoch_seconds, \
                 epoch_milliseconds, and no strftime pattern"
            ));
        }
    })
}

fn check_json(spec: &MappingSpec, slots: &Slots) -> Result<Source, String> {
    if spec.pattern.is_some() {
        return Err("pattern: belongs to kind = \"line\"".to_string());
    }
    let records = match &spec.records {
        Some(pointer) => Some(split_pointer(pointer).map_err(at("records"))?),
        None => None,
    };
    Ok(Source::Json {
        tree: PointerTree::new(slots.names())?,
        records,
    })
}

fn check_line(spec: &MappingSpec, slots: &Slots) -> Result<Source, String> {
    if spec.records.is_some() {
        return Err("records: belongs to kind = \"json\"".to_string());
    }
    let pattern = spec
        .pattern
        .as_deref()
        .ok_or("pattern: is needed for kind = \"line\"")?;
    let pattern = regex::RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| format!("pattern: {error}"))?;
    let groups = slots
        .names()
        .iter()
        .map(|name| group_of(&pattern, name))
        .collect::<Result<_, _>>()?;
    Ok(Source::Line { pattern, groups })
}

fn group_of(pattern: &Regex, name: &str) -> Result<usize, String> {
    pattern
        .capture_names()
        .position(|group| group == Some(name))
        .ok_or_else(|| format!("pattern: has no group named `{name}`"))
}
