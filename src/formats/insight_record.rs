//! Insights records as read: CloudTrail's trail shape in all versions since 2019, and our own.
//!
//! Numbers stay as they were written (`0`, `0.0` and `9.82222E-5` are different texts of which
//! the first two are even different JSON values), and unknown members are kept, so that a record
//! prints back equal as a JSON value.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// An Insights record in CloudTrail's trail shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InsightRecord {
    pub event_version: String,
    pub event_time: String,
    pub aws_region: String,
    #[serde(rename = "eventID")]
    pub event_id: String,
    pub event_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_account_id: Option<String>,
    #[serde(rename = "sharedEventID")]
    pub shared_event_id: String,
    pub insight_details: InsightDetails,
    pub event_category: String,
    /// What insightd adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insightd: Option<Map<String, Value>>,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// What the insight is about, and its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InsightDetails {
    pub state: String,
    pub event_source: String,
    pub event_name: String,
    pub insight_type: String,
    /// In error rate insights only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Since 2024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_event_category: Option<String>,
    pub insight_context: InsightContext,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InsightContext {
    pub statistics: InsightStatistics,
    /// Since 2020.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributions: Option<Vec<InsightAttribution>>,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// Averages are per minute, durations in minutes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InsightStatistics {
    pub baseline: InsightAverage,
    pub insight: InsightAverage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insight_duration: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_duration: Option<u64>,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InsightAverage {
    pub average: Number,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InsightAttribution {
    pub attribute: String,
    pub insight: Vec<InsightAttributionValue>,
    pub baseline: Vec<InsightAttributionValue>,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InsightAttributionValue {
    pub value: String,
    pub average: Number,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members that no version has so far were kept in some objects and lost in others, so a
    /// record of a later version did not print back equal.
    #[test]
    fn unknown_members_are_kept_in_every_object() {
        let value = |name: &str| serde_json::json!({"value": "v", "average": 1, name: 1});
        let record = serde_json::json!({
            "eventVersion": "1.10", "eventTime": "t", "awsRegion": "r", "eventID": "i",
            "eventType": "y", "sharedEventID": "s", "eventCategory": "Insight", "new0": 1,
            "insightDetails": {
                "state": "Start", "eventSource": "s", "eventName": "n", "insightType": "t",
                "new1": [1],
                "insightContext": {
                    "statistics": {
                        "baseline": {"average": 0.5, "new2": 1},
                        "insight": {"average": 2, "new3": 1},
                        "new4": {"a": 1}
                    },
                    "attributions": [{
                        "attribute": "a", "insight": [value("new5")], "baseline": [value("new6")],
                        "new7": "x"
                    }],
                    "new8": true
                }
            }
        });
        let read: InsightRecord = serde_json::from_value(record.clone()).expect("a record");
        let printed = serde_json::to_value(&read).expect("a record prints");
        assert_eq!(printed, record);
    }

    /// An average that was read came out a last digit lower, and another one lower each time.
    #[test]
    fn averages_print_back_to_the_last_digit() {
        let text = r#"{"value":"v","average":1.5555555555555557e+124}"#;
        let read: InsightAttributionValue = serde_json::from_str(text).expect("a value");
        assert_eq!(serde_json::to_string(&read).expect("it prints"), text);
    }
}
