//! Mappings: how to read an audit log that is not CloudTrail.
//!
//! A mapping says, field by field, where in a JSON record or a line of text the value stands.
//! [`MappingSpec`] is what a user writes under `[formats.NAME]`, [`Mapping`] what became of it
//! after checking. The mappings that come with insightd are written in the same words.

mod event;
mod json;
mod spec;
mod template;

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;

use self::json::PointerTree;
use self::template::{Slots, Texts};
use super::collector::{Collector, Refusal};
use super::decoded::RejectReason;
pub use spec::{ConditionSpec, MappingKind, MappingSpec, TextSpec};

/// The shipped mappings as written.
const SHIPPED: [(&str, &str); 3] = [
    ("access_log", include_str!("shipped/access_log.toml")),
    ("kubernetes", include_str!("shipped/kubernetes.toml")),
    ("ocsf", include_str!("shipped/ocsf.toml")),
];

/// A checked mapping.
#[derive(Debug)]
pub struct Mapping {
    name: String,
    source: Source,
    slots: Slots,
    fields: Fields,
}

/// How the slots of a record are filled.
#[derive(Debug)]
enum Source {
    Json {
        tree: PointerTree,
        /// Pointer to an array of records within a value.
        records: Option<Vec<String>>,
    },
    Line {
        pattern: Regex,
        /// For each slot the number of its group.
        groups: Vec<usize>,
    },
}

/// What each field of an event is made of.
#[derive(Debug)]
struct Fields {
    only: Vec<Condition>,
    time: Texts,
    time_form: TimeForm,
    account: Texts,
    region: Texts,
    event_source: Texts,
    event_name: Texts,
    error: Texts,
    error_when: Option<Condition>,
    identity: Texts,
    agent: Texts,
    id: Texts,
    event_type: Texts,
    category: Texts,
    read_only: Vec<Condition>,
}

#[derive(Debug)]
struct Condition {
    value: Texts,
    equals: Vec<String>,
    at_least: Option<f64>,
}

#[derive(Debug)]
enum TimeForm {
    /// RFC 3339, or a number of seconds or milliseconds told by its size.
    Auto,
    Rfc3339,
    EpochSeconds,
    EpochMilliseconds,
    /// A strftime pattern; UTC when it has no offset.
    Pattern(String),
}

/// Memory that reading through a mapping reuses from record to record.
#[derive(Debug, Default)]
pub struct MappingScratch {
    slots: template::SlotValues,
    locations: Option<regex::CaptureLocations>,
}

impl Mapping {
    /// Checks a mapping; the error says which key is wrong, and why.
    pub fn new(name: &str, spec: &MappingSpec) -> Result<Mapping, String> {
        spec::check(name, spec)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether records are lines of text and not JSON.
    pub(super) fn is_line_based(&self) -> bool {
        matches!(self.source, Source::Line { .. })
    }

    /// Takes one well-formed JSON value: a record, or an object around an array of records.
    pub(super) fn take_json(
        &self,
        value: &[u8],
        scratch: &mut MappingScratch,
        to: &mut Collector<'_>,
    ) {
        let Source::Json { tree, records } = &self.source else {
            return;
        };
        let Ok(text) = std::str::from_utf8(value) else {
            let refusal = Refusal::new(RejectReason::InvalidUtf8, "the record is not UTF-8");
            to.reject(refusal, value);
            return;
        };
        let array = records
            .as_ref()
            .and_then(|path| json::find_array(text, path));
        let Some(array) = array else {
            self.take_json_record(tree, text, scratch, to);
            return;
        };
        for element in json::elements(text, array) {
            self.take_json_record(tree, element, scratch, to);
        }
    }

    fn take_json_record(
        &self,
        tree: &PointerTree,
        record: &str,
        scratch: &mut MappingScratch,
        to: &mut Collector<'_>,
    ) {
        scratch.slots.begin(self.slots.len());
        let outcome = tree
            .fill(record, &mut scratch.slots)
            .and_then(|()| self.take_slots(record, &mut scratch.slots, to));
        if let Err(refusal) = outcome {
            to.reject(refusal, record.as_bytes());
        }
    }

    /// Takes one line of text.
    pub(super) fn take_line(
        &self,
        line: &[u8],
        scratch: &mut MappingScratch,
        to: &mut Collector<'_>,
    ) {
        let Source::Line { pattern, groups } = &self.source else {
            return;
        };
        let Ok(text) = std::str::from_utf8(line) else {
            let refusal = Refusal::new(RejectReason::InvalidUtf8, "the line is not UTF-8");
            to.reject(refusal, line);
            return;
        };
        let locations = scratch
            .locations
            .get_or_insert_with(|| pattern.capture_locations());
        if pattern.captures_read(locations, text).is_none() {
            let refusal = Refusal::new(RejectReason::LineMismatch, "the pattern does not match");
            to.reject(refusal, line);
            return;
        }
        scratch.slots.begin(self.slots.len());
        for (slot, group) in groups.iter().enumerate() {
            if let Some((start, end)) = locations.get(*group) {
                scratch.slots.set_source(slot, start, end);
            }
        }
        if let Err(refusal) = self.take_slots(text, &mut scratch.slots, to) {
            to.reject(refusal, line);
        }
    }
}

/// The mappings that come with insightd, by name.
pub fn shipped() -> BTreeMap<&'static str, Arc<Mapping>> {
    let checked = |(name, spec): (&'static str, MappingSpec)| {
        let mapping = Mapping::new(name, &spec).expect("a test checks the shipped mappings");
        (name, Arc::new(mapping))
    };
    shipped_specs().into_iter().map(checked).collect()
}

/// The mappings that come with insightd, as written.
pub fn shipped_specs() -> BTreeMap<&'static str, MappingSpec> {
    SHIPPED
        .into_iter()
        .map(|(name, text)| {
            let spec = toml::from_str(text).expect("a test reads the shipped mappings");
            (name, spec)
        })
        .collect()
}

#[cfg(test)]
mod tests;
