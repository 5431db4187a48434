//! Event selectors as written: the shape in which AWS writes them, in TOML as in JSON.
//!
//! Only shape and defaults; whether they make sense is checked where they become `Selectors`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Selectors as written: basic or advanced, not both; each in the shape in which AWS writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SelectorsSpec {
    /// Basic event selectors, at most five.
    pub basic: Vec<BasicSelectorSpec>,
    /// Advanced event selectors.
    pub advanced: Vec<AdvancedSelectorSpec>,
}

/// One basic event selector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "PascalCase")]
pub struct BasicSelectorSpec {
    /// Which calls: `ReadOnly`, `WriteOnly` or `All`.
    pub read_write_type: ReadWriteType,
    /// Whether management events pass.
    pub include_management_events: bool,
    /// Which data events pass.
    pub data_resources: Vec<DataResourceSpec>,
    /// Sources of management events that do not pass: `kms.amazonaws.com`,
    /// `rdsdata.amazonaws.com`.
    pub exclude_management_event_sources: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReadWriteType {
    ReadOnly,
    WriteOnly,
    #[default]
    All,
}

/// Resources whose data events a basic selector passes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct DataResourceSpec {
    /// `AWS::S3::Object`, `AWS::Lambda::Function` or `AWS::DynamoDB::Table`.
    pub r#type: String,
    /// ARNs; S3 objects by prefix, the others exactly; `arn:aws:s3` and the like for all.
    #[serde(default)]
    pub values: Vec<String>,
}

/// One advanced event selector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct AdvancedSelectorSpec {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Conditions that all have to hold.
    pub field_selectors: Vec<FieldSelectorSpec>,
}

/// One condition on one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "PascalCase")]
pub struct FieldSelectorSpec {
    pub field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_with: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_with: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_equals: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_starts_with: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_ends_with: Option<Vec<String>>,
}

impl Default for BasicSelectorSpec {
    fn default() -> Self {
        BasicSelectorSpec {
            read_write_type: ReadWriteType::All,
            include_management_events: true,
            data_resources: Vec::new(),
            exclude_management_event_sources: Vec::new(),
        }
    }
}
