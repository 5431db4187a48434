//! Selectors as tables: which events pass, and which selectors are refused. The rules are those
//! of AWS's "Filtering data events", "Logging management events" and the API reference of
//! `EventSelector`, `DataResource`, `AdvancedEventSelector` and `AdvancedFieldSelector`.

use serde_json::{Value, json};

use super::*;
use crate::ingest::SelectorsSpec;
use crate::model::{EventBatch, EventFields};

/// The events that the tables are about, by name.
fn event(name: &str) -> EventFields<'static> {
    let management = EventFields {
        event_source: "iam.amazonaws.com",
        event_name: "CreateUser",
        event_type: "AwsApiCall",
        identity_arn: "arn:aws:iam::1:user/alice",
        ..EventFields::default()
    };
    let data = EventFields {
        category: EventCategory::Data,
        event_source: "s3.amazonaws.com",
        event_name: "GetObject",
        is_read_only: true,
        resources: &[
            ("arn:aws:s3:::logs", "AWS::S3::Bucket"),
            ("arn:aws:s3:::logs/2024/a.gz", "AWS::S3::Object"),
        ],
        ..management
    };
    match name {
        "write" => management,
        "read" => EventFields {
            event_name: "ListUsers",
            is_read_only: true,
            ..management
        },
        "decrypt" => EventFields {
            event_source: "kms.amazonaws.com",
            event_name: "Decrypt",
            ..management
        },
        "create key" => EventFields {
            event_source: "kms.amazonaws.com",
            event_name: "CreateKey",
            ..management
        },
        "console" => EventFields {
            is_from_console: true,
            ..management
        },
        "service" => EventFields {
            event_type: "AwsServiceEvent",
            identity_arn: "",
            ..management
        },
        "get" => data,
        "put" => EventFields {
            event_name: "PutObject",
            is_read_only: false,
            ..data
        },
        "invoke" => EventFields {
            event_source: "lambda.amazonaws.com",
            event_name: "Invoke",
            resources: &[("arn:aws:lambda:r:1:function:f", "AWS::Lambda::Function")],
            ..data
        },
        "denied" => EventFields {
            event_source: "ec2.amazonaws.com",
            error_code: "VpceAccessDenied",
            vpc_endpoint_id: "vpce-1",
            category: EventCategory::NetworkActivity,
            ..management
        },
        "insight" => EventFields {
            category: EventCategory::Insight,
            ..management
        },
        other => panic!("no event is called {other}"),
    }
}

const EVENTS: [&str; 11] = [
    "write",
    "read",
    "decrypt",
    "create key",
    "console",
    "service",
    "get",
    "put",
    "invoke",
    "denied",
    "insight",
];

fn selectors(spec: &Value) -> Result<Selectors, String> {
    let spec: Result<SelectorsSpec, _> = serde_json::from_value(spec.clone());
    Selectors::new(&spec.map_err(|error| error.to_string())?)
}

/// Exactly the named events pass.
fn check(spec: &Value, passing: &[&str]) {
    let selectors = selectors(spec).unwrap_or_else(|error| panic!("{spec}: {error}"));
    let mut batch = EventBatch::default();
    for name in EVENTS {
        batch.push(&event(name));
    }
    let events = EVENTS.iter().enumerate();
    let found: Vec<&str> = events
        .filter(|(index, _)| selectors.evaluate(&batch.get(*index)))
        .map(|(_, name)| *name)
        .collect();
    assert_eq!(found, passing, "{spec}");
}

#[test]
fn basic_selectors() {
    let management = [
        "write",
        "read",
        "decrypt",
        "create key",
        "console",
        "service",
    ];
    let all = [&management[..], &["get", "put", "invoke"]].concat();
    check(&json!({}), &all);
    let s3 = |values: &[&str]| json!([{"Type": "AWS::S3::Object", "Values": values}]);
    let data_only = |resources: Value| {
        let selector = json!({"IncludeManagementEvents": false, "DataResources": resources});
        json!({"basic": [selector]})
    };
    let cases = [
        (json!({"basic": [{}]}), management.to_vec()),
        (
            json!({"basic": [{"ReadWriteType": "ReadOnly"}]}),
            vec!["read", "decrypt"],
        ),
        (
            json!({"basic": [{"ReadWriteType": "WriteOnly"}]}),
            vec!["write", "create key", "console", "service"],
        ),
        (
            json!({"basic": [{"ExcludeManagementEventSources": ["kms.amazonaws.com"]}]}),
            vec!["write", "read", "console", "service"],
        ),
        (
            json!({"basic": [{"IncludeManagementEvents": false}]}),
            vec![],
        ),
        (data_only(s3(&["arn:aws:s3"])), vec!["get", "put"]),
        (data_only(s3(&["arn:aws:s3:::"])), vec!["get", "put"]),
        (data_only(s3(&["arn:aws:s3:::logs/20"])), vec!["get", "put"]),
        (data_only(s3(&["arn:aws:s3:::logs/3"])), vec![]),
        (data_only(s3(&[])), vec![]),
        (
            data_only(json!([{"Type": "AWS::Lambda::Function", "Values": ["arn:aws:lambda"]}])),
            vec!["invoke"],
        ),
        (
            data_only(json!([{"Type": "AWS::Lambda::Function",
                "Values": ["arn:aws:lambda:r:1:function:f"]}])),
            vec!["invoke"],
        ),
        (
            data_only(json!([{"Type": "AWS::Lambda::Function",
                "Values": ["arn:aws:lambda:r:1:function:"]}])),
            vec![],
        ),
        // Any selector is enough.
        (
            json!({"basic": [
                {"ReadWriteType": "ReadOnly", "DataResources": s3(&["arn:aws:s3"])},
                {"ReadWriteType": "WriteOnly", "IncludeManagementEvents": false,
                 "DataResources": s3(&["arn:aws:s3:::other/"])},
            ]}),
            vec!["read", "decrypt", "get"],
        ),
    ];
    for (spec, passing) in cases {
        check(&spec, &passing);
    }
}

/// One advanced selector of a category with further field selectors.
fn advanced(category: &str, fields: Value) -> Value {
    let mut all = vec![json!({"Field": "eventCategory", "Equals": [category]})];
    all.extend(fields.as_array().expect("a list").iter().cloned());
    json!({"advanced": [{"Name": "n", "FieldSelectors": all}]})
}

#[test]
fn advanced_selectors_of_management_events() {
    let cases: [(Value, &[&str]); 12] = [
        (
            json!([]),
            &[
                "write",
                "read",
                "decrypt",
                "create key",
                "console",
                "service",
            ],
        ),
        (
            json!([{"Field": "readOnly", "Equals": ["true"]}]),
            &["read", "decrypt"],
        ),
        (
            json!([{"Field": "eventSource", "NotEquals": ["kms.amazonaws.com", "x"]}]),
            &["write", "read", "console", "service"],
        ),
        (
            json!([{"Field": "eventName", "Equals": ["Decrypt"], "StartsWith": ["List"]}]),
            &["read", "decrypt"],
        ),
        (
            json!([{"Field": "eventName", "EndsWith": ["User", "Key"],
                "NotStartsWith": ["CreateK"]}]),
            &["write", "console", "service"],
        ),
        (
            json!([{"Field": "eventName", "NotEndsWith": ["User"], "NotEquals": ["Decrypt"]}]),
            &["read", "create key"],
        ),
        (
            json!([{"Field": "eventName", "Equals": ["createuser"]}]),
            &[],
        ),
        (
            json!([{"Field": "eventType", "Equals": ["AwsServiceEvent"]}]),
            &["service"],
        ),
        (
            json!([{"Field": "sessionCredentialFromConsole", "Equals": ["true"]}]),
            &["console"],
        ),
        (
            json!([{"Field": "sessionCredentialFromConsole", "NotEquals": ["true"]},
                   {"Field": "readOnly", "Equals": ["false"]}]),
            &["write", "create key", "service"],
        ),
        (
            json!([{"Field": "userIdentity.arn", "StartsWith": ["arn:aws:iam::1:"]},
                   {"Field": "eventSource", "Equals": ["kms.amazonaws.com"]}]),
            &["decrypt", "create key"],
        ),
        (
            json!([{"Field": "userIdentity.arn", "NotEndsWith": ["alice"]}]),
            &["service"],
        ),
    ];
    for (fields, passing) in cases {
        check(&advanced("Management", fields), passing);
    }
}

#[test]
fn advanced_selectors_of_other_events() {
    let s3 = json!({"Field": "resources.type", "Equals": ["AWS::S3::Object"]});
    let data: [(Value, &[&str]); 6] = [
        (json!([s3]), &["get", "put"]),
        (
            json!([{"Field": "resources.type",
                "Equals": ["AWS::S3::Object", "AWS::Lambda::Function"]}]),
            &["get", "put", "invoke"],
        ),
        (
            json!([s3, {"Field": "readOnly", "Equals": ["false"]}]),
            &["put"],
        ),
        (
            json!([s3, {"Field": "resources.ARN", "StartsWith": ["arn:aws:s3:::logs/"]}]),
            &["get", "put"],
        ),
        // Type and ARN are those of one resource: the bucket's ARN is not an object's.
        (
            json!([s3, {"Field": "resources.ARN", "Equals": ["arn:aws:s3:::logs"]}]),
            &[],
        ),
        (
            json!([s3, {"Field": "resources.ARN", "NotStartsWith": ["arn:aws:s3:::logs/"]}]),
            &[],
        ),
    ];
    for (fields, passing) in data {
        check(&advanced("Data", fields), passing);
    }
    let source = json!({"Field": "eventSource", "Equals": ["ec2.amazonaws.com"]});
    let code = json!({"Field": "errorCode", "Equals": ["VpceAccessDenied"]});
    let other = json!({"Field": "vpcEndpointId", "NotEquals": ["vpce-1"]});
    check(
        &advanced("NetworkActivity", json!([source, code])),
        &["denied"],
    );
    check(&advanced("NetworkActivity", json!([source, other])), &[]);
    check(&advanced("Insight", json!([])), &["insight"]);
}

#[test]
fn selectors_that_aws_refuses_are_refused_with_a_reason() {
    let management = |field: Value| advanced("Management", json!([field]));
    let equals = |field: &str, values: Vec<String>| json!({"Field": field, "Equals": values});
    let text = |length: usize| "x".repeat(length);
    let cases = [
        (
            json!({"basic": vec![json!({}); 6]}),
            "6 selectors, at most 5",
        ),
        (
            json!({"basic": [{"DataResources": [{"Type": "AWS::S3::Object",
                "Values": vec!["arn:aws:s3:::a/"; 251]}]}]}),
            "251 DataResources values",
        ),
        (json!({"basic": [{"ReadWriteType": "Both"}]}), "Both"),
        (
            json!({"basic": [{"readWriteType": "All"}]}),
            "readWriteType",
        ),
        (
            json!({"basic": [{}, {"DataResources": [{"Type": "AWS::SNS::Topic"}]}]}),
            "basic[1].DataResources[0].Type: `AWS::SNS::Topic`",
        ),
        (
            json!({"basic": [{"DataResources": [
                {"Type": "AWS::S3::Object", "Values": ["logs"]}]}]}),
            "`logs` is not an ARN",
        ),
        (
            json!({"basic": [{"DataResources": [
                {"Type": "AWS::S3::Object", "Values": ["arn:aws:lambda"]}]}]}),
            "not an ARN of AWS::S3::Object",
        ),
        (
            json!({"basic": [{"ExcludeManagementEventSources": ["iam.amazonaws.com"]}]}),
            "`iam.amazonaws.com` is none of kms.amazonaws.com, rdsdata.amazonaws.com",
        ),
        (
            json!({"basic": [{}], "advanced": [{"FieldSelectors": []}]}),
            "exclude each other",
        ),
        (
            json!({"advanced": [{"FieldSelectors": []}]}),
            "at least one",
        ),
        (
            json!({"advanced": [{"FieldSelectors": [
                {"Field": "eventName", "Equals": ["x"]}]}]}),
            "eventCategory has to equal one value",
        ),
        (advanced("Other", json!([])), "`Other` is none of"),
        (
            advanced("Data", json!([])),
            "need a selector of resources.type",
        ),
        (
            advanced("NetworkActivity", json!([])),
            "need a selector of eventSource",
        ),
        (
            management(equals("resources.type", vec![text(1)])),
            "FieldSelectors[1] (resources.type): the field does not exist",
        ),
        (
            advanced("Insight", json!([equals("eventName", vec![text(1)])])),
            "does not exist",
        ),
        (management(json!({"Field": "eventName"})), "no operator"),
        (
            management(equals("eventName", vec![])),
            "at least one value",
        ),
        (
            management(equals("eventName", vec![text(0)])),
            "0 characters",
        ),
        (
            management(equals("eventName", vec![text(2049)])),
            "2049 characters",
        ),
        (
            management(equals("eventName", vec![text(1); 500])),
            "501 values",
        ),
        (
            management(equals("readOnly", vec!["yes".to_string()])),
            "`yes` is not true or false",
        ),
        (
            management(json!({"Field": "readOnly", "NotEquals": ["true"]})),
            "NotEquals is not allowed here, only Equals",
        ),
        (
            management(json!({"Field": "sessionCredentialFromConsole", "Equals": ["false"]})),
            "`false` is not true",
        ),
        (
            advanced(
                "Data",
                json!([{"Field": "resources.type", "StartsWith": ["AWS::"]}]),
            ),
            "only Equals",
        ),
        (
            advanced(
                "Management",
                json!([
                    equals("eventName", vec![text(1)]),
                    equals("eventName", vec![text(2)])
                ]),
            ),
            "already",
        ),
        (
            json!({"advanced": [{"Name": text(1001), "FieldSelectors": [
                equals("eventCategory", vec!["Management".to_string()])]}]}),
            "Name: 1001 characters",
        ),
    ];
    for (spec, reason) in cases {
        let message = selectors(&spec).map(|_| ()).unwrap_err();
        assert!(message.contains(reason), "{spec}: {message}");
    }
}

/// The limits themselves are allowed.
#[test]
fn selectors_at_the_limits_are_accepted() {
    let long = "x".repeat(2048);
    let cases = [
        json!({"basic": vec![json!({}); 5]}),
        advanced(
            "Management",
            json!([{"Field": "eventName", "Equals": vec![long; 499]}]),
        ),
        json!({"advanced": [{"Name": "x".repeat(1000), "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Management"]}]}]}),
    ];
    for spec in cases {
        assert!(selectors(&spec).is_ok(), "{:?}", selectors(&spec).err());
    }
}

#[test]
fn selectors_can_be_written_in_toml() {
    let text = r#"
        [[advanced]]
        Name = "all but KMS"
        FieldSelectors = [
          { Field = "eventCategory", Equals = ["Management"] },
          { Field = "eventSource", NotEquals = ["kms.amazonaws.com"] },
        ]
    "#;
    let spec: SelectorsSpec = toml::from_str(text).unwrap();
    check(
        &serde_json::to_value(&spec).unwrap(),
        &["write", "read", "console", "service"],
    );
}
