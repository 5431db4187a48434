//! Event selectors as written become [`Selectors`]: CloudTrail's rules and limits, each with a
//! message that says what is wrong where.

use crate::model::EventCategory;

use super::selectors::{
    AdvancedSelector, ArnPattern, BasicSelector, Condition, DataResources, Field, Kind, Operators,
    ResourceCondition, Selectors,
};
use super::selectors_spec::{
    AdvancedSelectorSpec, BasicSelectorSpec, DataResourceSpec, FieldSelectorSpec, SelectorsSpec,
};

const BASIC_MAX: usize = 5;
const DATA_RESOURCE_VALUES_MAX: usize = 250;
const ADVANCED_VALUES_MAX: usize = 500;
const NAME_CHARACTERS_MAX: usize = 1000;
const VALUE_CHARACTERS_MAX: usize = 2048;
/// Resource types of basic selectors, with the service in their ARNs.
const BASIC_TYPES: [(&str, &str); 3] = [
    ("AWS::S3::Object", "s3"),
    ("AWS::Lambda::Function", "lambda"),
    ("AWS::DynamoDB::Table", "dynamodb"),
];
const EXCLUDABLE_SOURCES: [&str; 2] = ["kms.amazonaws.com", "rdsdata.amazonaws.com"];

impl Selectors {
    /// Checks `spec` against CloudTrail's rules and limits; the message says what is wrong where.
    pub fn new(spec: &SelectorsSpec) -> Result<Self, String> {
        match (spec.basic.is_empty(), spec.advanced.is_empty()) {
            (true, true) => Ok(Selectors(Kind::Unset)),
            (false, true) => Ok(Selectors(Kind::Basic(check_basic(&spec.basic)?))),
            (true, false) => Ok(Selectors(Kind::Advanced(check_advanced(&spec.advanced)?))),
            (false, false) => Err("basic and advanced selectors exclude each other".to_string()),
        }
    }
}

fn check_basic(specs: &[BasicSelectorSpec]) -> Result<Vec<BasicSelector>, String> {
    if specs.len() > BASIC_MAX {
        let count = specs.len();
        return Err(format!(
            "basic: {count} selectors, at most {BASIC_MAX} are allowed"
        ));
    }
    let resources = specs.iter().flat_map(|spec| &spec.data_resources);
    let values: usize = resources.map(|resource| resource.values.len()).sum();
    if values > DATA_RESOURCE_VALUES_MAX {
        return Err(format!(
            "basic: {values} DataResources values in all, at most {DATA_RESOURCE_VALUES_MAX} \
             are allowed"
        ));
    }
    let checked = specs.iter().enumerate().map(|(index, spec)| {
        check_basic_one(spec).map_err(|message| format!("basic[{index}].{message}"))
    });
    checked.collect()
}

fn check_basic_one(spec: &BasicSelectorSpec) -> Result<BasicSelector, String> {
    for source in &spec.exclude_management_event_sources {
        if !EXCLUDABLE_SOURCES.contains(&source.as_str()) {
            return Err(format!(
                "ExcludeManagementEventSources: `{source}` is none of {}",
                EXCLUDABLE_SOURCES.join(", ")
            ));
        }
    }
    let data = spec.data_resources.iter().enumerate().map(|(index, one)| {
        check_data_resource(one).map_err(|message| format!("DataResources[{index}].{message}"))
    });
    Ok(BasicSelector {
        read_write_type: spec.read_write_type,
        management: spec.include_management_events,
        data: data.collect::<Result<_, _>>()?,
        sources_excluded: spec.exclude_management_event_sources.clone(),
    })
}

fn check_data_resource(spec: &DataResourceSpec) -> Result<DataResources, String> {
    let found = BASIC_TYPES.iter().find(|(kind, _)| *kind == spec.r#type);
    let Some((kind, service)) = found else {
        let kinds = BASIC_TYPES.map(|(kind, _)| kind).join(", ");
        return Err(format!(
            "Type: `{}` is none of {kinds}; advanced selectors know more types",
            spec.r#type
        ));
    };
    let mut arns = Vec::new();
    for value in &spec.values {
        let mut parts = value.splitn(4, ':');
        let starts = (parts.next(), parts.next(), parts.next());
        let (Some("arn"), Some(_), Some(found)) = starts else {
            return Err(format!("Values: `{value}` is not an ARN"));
        };
        if found != *service {
            return Err(format!("Values: `{value}` is not an ARN of {kind}"));
        }
        // `arn:aws:s3` and, for objects in any bucket, `arn:aws:s3:::`.
        arns.push(match parts.next() {
            None => ArnPattern::All,
            Some(_) if *service == "s3" => ArnPattern::Prefix(value.clone()),
            Some(_) => ArnPattern::Exact(value.clone()),
        });
    }
    Ok(DataResources {
        kind: kind.to_string(),
        arns,
    })
}

fn check_advanced(specs: &[AdvancedSelectorSpec]) -> Result<Vec<AdvancedSelector>, String> {
    let fields = specs.iter().flat_map(|spec| &spec.field_selectors);
    let lists = fields.flat_map(|field| operators(field).map(|(_, list)| list));
    let values: usize = lists.flatten().map(Vec::len).sum();
    if values > ADVANCED_VALUES_MAX {
        return Err(format!(
            "advanced: {values} values in all, at most {ADVANCED_VALUES_MAX} are allowed"
        ));
    }
    let checked = specs.iter().enumerate().map(|(index, spec)| {
        check_advanced_one(spec).map_err(|message| format!("advanced[{index}].{message}"))
    });
    checked.collect()
}

fn check_advanced_one(spec: &AdvancedSelectorSpec) -> Result<AdvancedSelector, String> {
    let name_length = spec.name.as_deref().unwrap_or("").chars().count();
    if name_length > NAME_CHARACTERS_MAX {
        return Err(format!(
            "Name: {name_length} characters, at most {NAME_CHARACTERS_MAX} are allowed"
        ));
    }
    if spec.field_selectors.is_empty() {
        return Err("FieldSelectors: there has to be at least one".to_string());
    }
    let category = check_category(spec)?;
    let mut selector = AdvancedSelector {
        category,
        conditions: Vec::new(),
        resource: None,
    };
    let mut seen: Vec<&str> = Vec::new();
    for (index, field) in spec.field_selectors.iter().enumerate() {
        let name = field.field.as_str();
        let complain = |message: String| format!("FieldSelectors[{index}] ({name}): {message}");
        if seen.contains(&name) {
            return Err(complain("the field has a selector already".to_string()));
        }
        seen.push(name);
        add_field(&mut selector, field).map_err(complain)?;
    }
    let required = match category {
        EventCategory::Data => "resources.type",
        EventCategory::NetworkActivity => "eventSource",
        _ => "eventCategory",
    };
    if !seen.contains(&required) {
        return Err(format!(
            "FieldSelectors: events of this category need a selector of {required}"
        ));
    }
    Ok(selector)
}

fn check_category(spec: &AdvancedSelectorSpec) -> Result<EventCategory, String> {
    let mut fields = spec.field_selectors.iter();
    let category = fields.find(|field| field.field == "eventCategory");
    let values = category.and_then(|field| field.equals.as_deref());
    match values {
        Some([one]) => match one.as_str() {
            "Management" => Ok(EventCategory::Management),
            "Data" => Ok(EventCategory::Data),
            "NetworkActivity" => Ok(EventCategory::NetworkActivity),
            "Insight" => Ok(EventCategory::Insight),
            other => Err(format!(
                "FieldSelectors: eventCategory `{other}` is none of Management, Data, \
                 NetworkActivity, Insight"
            )),
        },
        _ => Err("FieldSelectors: eventCategory has to equal one value".to_string()),
    }
}

/// Checks one field selector and adds it to `selector`.
fn add_field(selector: &mut AdvancedSelector, spec: &FieldSelectorSpec) -> Result<(), String> {
    check_field_name(selector.category, &spec.field)?;
    check_operators(spec)?;
    let list = |values: &Option<Vec<String>>| values.clone().unwrap_or_default();
    let operators = Operators {
        equals: list(&spec.equals),
        starts_with: list(&spec.starts_with),
        ends_with: list(&spec.ends_with),
        not_equals: list(&spec.not_equals),
        not_starts_with: list(&spec.not_starts_with),
        not_ends_with: list(&spec.not_ends_with),
    };
    let resource = &mut selector.resource;
    let field = match spec.field.as_str() {
        "eventCategory" => return Ok(()),
        "resources.type" => {
            resource.get_or_insert_with(ResourceCondition::default).kind = operators;
            return Ok(());
        }
        "resources.ARN" => {
            resource.get_or_insert_with(ResourceCondition::default).arn = operators;
            return Ok(());
        }
        "eventSource" => Field::EventSource,
        "eventName" => Field::EventName,
        "eventType" => Field::EventType,
        "readOnly" => Field::ReadOnly,
        "sessionCredentialFromConsole" => Field::SessionCredentialFromConsole,
        "userIdentity.arn" => Field::UserIdentityArn,
        "errorCode" => Field::ErrorCode,
        _ => Field::VpcEndpointId,
    };
    selector.conditions.push(Condition { field, operators });
    Ok(())
}

fn check_field_name(category: EventCategory, field: &str) -> Result<(), String> {
    let common = [
        "eventCategory",
        "eventSource",
        "readOnly",
        "eventName",
        "eventType",
        "sessionCredentialFromConsole",
        "userIdentity.arn",
    ];
    let data = ["resources.type", "resources.ARN"];
    let network = ["eventSource", "eventName", "errorCode", "vpcEndpointId"];
    let allowed = match category {
        EventCategory::Management => common.to_vec(),
        EventCategory::Data => [&common[..], &data].concat(),
        EventCategory::NetworkActivity => [&["eventCategory"][..], &network].concat(),
        _ => vec!["eventCategory"],
    };
    if allowed.contains(&field) {
        return Ok(());
    }
    Err(format!(
        "the field does not exist for events of this category, which has {}",
        allowed.join(", ")
    ))
}

fn check_operators(spec: &FieldSelectorSpec) -> Result<(), String> {
    let allowed: &[&str] = match spec.field.as_str() {
        "eventCategory" | "readOnly" | "resources.type" | "errorCode" => &["Equals"],
        "sessionCredentialFromConsole" => &["Equals", "NotEquals"],
        _ => &[],
    };
    let values_allowed: &[&str] = match spec.field.as_str() {
        "readOnly" => &["true", "false"],
        "sessionCredentialFromConsole" => &["true"],
        "errorCode" => &["VpceAccessDenied"],
        _ => &[],
    };
    let mut is_any = false;
    for (name, list) in operators(spec) {
        let Some(list) = list else { continue };
        is_any = true;
        if !allowed.is_empty() && !allowed.contains(&name) {
            return Err(format!(
                "{name} is not allowed here, only {}",
                allowed.join(" and ")
            ));
        }
        if list.is_empty() {
            return Err(format!("{name} needs at least one value"));
        }
        for value in list {
            let length = value.chars().count();
            if !(1..=VALUE_CHARACTERS_MAX).contains(&length) {
                return Err(format!(
                    "{name}: a value of {length} characters; 1 to {VALUE_CHARACTERS_MAX} \
                     are allowed"
                ));
            }
            if !values_allowed.is_empty() && !values_allowed.contains(&value.as_str()) {
                return Err(format!(
                    "{name}: `{value}` is not {}",
                    values_allowed.join(" or ")
                ));
            }
        }
    }
    if !is_any {
        return Err("no operator, for example Equals".to_string());
    }
    Ok(())
}

/// The operators of a field selector by name.
fn operators(spec: &FieldSelectorSpec) -> [(&'static str, Option<&Vec<String>>); 6] {
    [
        ("Equals", spec.equals.as_ref()),
        ("StartsWith", spec.starts_with.as_ref()),
        ("EndsWith", spec.ends_with.as_ref()),
        ("NotEquals", spec.not_equals.as_ref()),
        ("NotStartsWith", spec.not_starts_with.as_ref()),
        ("NotEndsWith", spec.not_ends_with.as_ref()),
    ]
}
