//! CloudTrail's event selectors, basic and advanced: which events are looked at at all.
//!
//! An event passes if any selector passes it. In an advanced selector all fields have to agree;
//! within a field the three Not-operators all have to hold, and one of the others has to. AWS
//! describes them under "Filtering data events" and "Logging management events".

use crate::model::{AuditEvent, EventCategory};

use super::ReadWriteType;
use super::rules::is_read;

/// Checked selectors. The default passes all management and all data events.
#[derive(Clone, Debug, Default)]
pub struct Selectors(pub(super) Kind);

#[derive(Clone, Debug, Default)]
pub(super) enum Kind {
    #[default]
    Unset,
    Basic(Vec<BasicSelector>),
    Advanced(Vec<AdvancedSelector>),
}

#[derive(Clone, Debug)]
pub(super) struct BasicSelector {
    pub read_write_type: ReadWriteType,
    pub management: bool,
    pub data: Vec<DataResources>,
    pub sources_excluded: Vec<String>,
}

/// Resources of one type.
#[derive(Clone, Debug)]
pub(super) struct DataResources {
    pub kind: String,
    pub arns: Vec<ArnPattern>,
}

#[derive(Clone, Debug)]
pub(super) enum ArnPattern {
    All,
    Prefix(String),
    Exact(String),
}

#[derive(Clone, Debug)]
pub(super) struct AdvancedSelector {
    pub category: EventCategory,
    pub conditions: Vec<Condition>,
    /// Conditions on type and ARN of one and the same resource.
    pub resource: Option<ResourceCondition>,
}

#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub field: Field,
    pub operators: Operators,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ResourceCondition {
    pub kind: Operators,
    pub arn: Operators,
}

/// A field of an event that has one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    EventSource,
    EventName,
    EventType,
    ReadOnly,
    SessionCredentialFromConsole,
    UserIdentityArn,
    ErrorCode,
    VpcEndpointId,
}

/// The operators of one field; a list that is empty was not written.
#[derive(Clone, Debug, Default)]
pub(super) struct Operators {
    pub equals: Vec<String>,
    pub starts_with: Vec<String>,
    pub ends_with: Vec<String>,
    pub not_equals: Vec<String>,
    pub not_starts_with: Vec<String>,
    pub not_ends_with: Vec<String>,
}

impl Selectors {
    /// Whether the selectors pass the event.
    pub fn evaluate(&self, event: &AuditEvent<'_>) -> bool {
        match &self.0 {
            Kind::Unset => matches!(
                event.category(),
                EventCategory::Management | EventCategory::Data
            ),
            Kind::Basic(selectors) => selectors.iter().any(|one| one.passes(event)),
            Kind::Advanced(selectors) => selectors.iter().any(|one| one.passes(event)),
        }
    }
}

impl BasicSelector {
    fn passes(&self, event: &AuditEvent<'_>) -> bool {
        let is_wanted = match self.read_write_type {
            ReadWriteType::All => true,
            ReadWriteType::ReadOnly => is_read(event),
            ReadWriteType::WriteOnly => !is_read(event),
        };
        is_wanted
            && match event.category() {
                EventCategory::Management => {
                    let source = event.event_source();
                    self.management && self.sources_excluded.iter().all(|one| one != source)
                }
                EventCategory::Data => self.data.iter().any(|one| one.passes(event)),
                _ => false,
            }
    }
}

impl DataResources {
    fn passes(&self, event: &AuditEvent<'_>) -> bool {
        let mut resources = event.resources().filter(|(_, kind)| *kind == self.kind);
        resources.any(|(arn, _)| {
            self.arns.iter().any(|pattern| match pattern {
                ArnPattern::All => true,
                ArnPattern::Prefix(prefix) => arn.starts_with(prefix.as_str()),
                ArnPattern::Exact(exact) => arn == exact,
            })
        })
    }
}

impl AdvancedSelector {
    fn passes(&self, event: &AuditEvent<'_>) -> bool {
        let resource_agrees = |wanted: &ResourceCondition| {
            event
                .resources()
                .any(|(arn, kind)| wanted.kind.agree(kind) && wanted.arn.agree(arn))
        };
        event.category() == self.category
            && self.conditions.iter().all(|condition| {
                let value = condition.field.of(event);
                condition.operators.agree(value)
            })
            && self.resource.as_ref().is_none_or(resource_agrees)
    }
}

impl Field {
    /// The event's value of the field; empty when it has none.
    fn of<'a>(self, event: &AuditEvent<'a>) -> &'a str {
        let text = |is_true| if is_true { "true" } else { "false" };
        match self {
            Field::EventSource => event.event_source(),
            Field::EventName => event.event_name(),
            Field::EventType => event.event_type(),
            Field::ReadOnly => text(is_read(event)),
            Field::SessionCredentialFromConsole => text(event.is_from_console()),
            Field::UserIdentityArn => event.identity_arn(),
            Field::ErrorCode => event.error_code(),
            Field::VpcEndpointId => event.vpc_endpoint_id(),
        }
    }
}

impl Operators {
    fn agree(&self, value: &str) -> bool {
        let starts = |list: &[String]| list.iter().any(|one| value.starts_with(one.as_str()));
        let ends = |list: &[String]| list.iter().any(|one| value.ends_with(one.as_str()));
        let equals = |list: &[String]| list.iter().any(|one| value == one);
        let is_any_positive =
            !(self.equals.is_empty() && self.starts_with.is_empty() && self.ends_with.is_empty());
        let positive = equals(&self.equals) || starts(&self.starts_with) || ends(&self.ends_with);
        let negative =
            equals(&self.not_equals) || starts(&self.not_starts_with) || ends(&self.not_ends_with);
        (positive || !is_any_positive) && !negative
    }
}

#[cfg(test)]
#[path = "selectors_tests.rs"]
mod tests;
