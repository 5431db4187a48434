//! What people know better than the data, as it is written in the settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Seconds;

/// What people know better than the data: mutes, and feedback on insights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenKnowledge {
    /// File that it is kept in, one JSON object a line, only ever appended to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Records the file may hold; over it nothing is added.
    pub records_max: u32,
    /// Bytes the file may have; over it the file is refused.
    pub bytes_max: u64,
}

/// Insights of one account grouped because one cause may explain them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenStories {
    /// Starts of one account decided in less than this after the first of them make one story.
    pub within: Seconds,
    /// Stories open at once; over it the oldest ends early.
    pub open_max: u32,
    /// Insights listed in one story; over it they are only counted.
    pub insights_max: u32,
}

impl Default for WrittenStories {
    fn default() -> Self {
        WrittenStories {
            within: Seconds(600),
            open_max: 10_000,
            insights_max: 1_000,
        }
    }
}

impl Default for WrittenKnowledge {
    fn default() -> Self {
        WrittenKnowledge {
            path: None,
            records_max: 10_000,
            bytes_max: 16 << 20,
        }
    }
}
