//! Event selectors: refused with a message, or passing events by AWS's rules, which a plain
//! reading of them states a second time.
#![no_main]

use insightd::ingest::{FieldSelectorSpec, Selectors, SelectorsSpec};
use insightd::model::{AuditEvent, EventBatch, EventCategory, EventFields};
use insightd_fuzz::{Input, write_seeds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: write_seeds(seeds), |data: &[u8]| {
    let mut input = Input::new(data);
    let choice = input.byte();
    let Ok(text) = std::str::from_utf8(input.rest) else { return };
    let Ok(spec) = serde_json::from_str::<SelectorsSpec>(text) else { return };
    let selectors = match Selectors::new(&spec) {
        Ok(selectors) => selectors,
        Err(message) => {
            assert!(!message.is_empty());
            return;
        }
    };
    let mut batch = EventBatch::default();
    for event in events(choice) {
        batch.push(&event);
    }
    for event in batch.iter() {
        let passes = selectors.evaluate(&event);
        if spec.basic.is_empty() && !spec.advanced.is_empty() {
            let naive = spec.advanced.iter().any(|one| advanced(&one.field_selectors, &event));
            assert_eq!(passes, naive, "{text}");
        }
    }
});

/// AWS's rules, naively: every field agrees; conditions on a resource hold for one of them.
fn advanced(fields: &[FieldSelectorSpec], event: &AuditEvent<'_>) -> bool {
    let is_resource = |one: &&FieldSelectorSpec| one.field.starts_with("resources.");
    let resource = |(arn, kind): (&str, &str)| {
        fields
            .iter()
            .filter(is_resource)
            .all(|one| match one.field.as_str() {
                "resources.type" => agrees(one, kind),
                _ => agrees(one, arn),
            })
    };
    let has_resource = !fields.iter().any(|one| is_resource(&one));
    (has_resource || event.resources().any(resource))
        && fields.iter().filter(|one| !is_resource(one)).all(|one| {
            let text = |is_true: bool| if is_true { "true" } else { "false" };
            let value = match one.field.as_str() {
                "eventCategory" => match event.category() {
                    EventCategory::Management => "Management",
                    EventCategory::Data => "Data",
                    EventCategory::NetworkActivity => "NetworkActivity",
                    _ => "none",
                },
                "eventSource" => event.event_source(),
                "eventName" => event.event_name(),
                "eventType" => event.event_type(),
                "readOnly" => text(event.is_read_only()),
                "sessionCredentialFromConsole" => text(event.is_from_console()),
                "userIdentity.arn" => event.identity_arn(),
                "errorCode" => event.error_code(),
                "vpcEndpointId" => event.vpc_endpoint_id(),
                other => panic!("no field is called {other}"),
            };
            agrees(one, value)
        })
}

fn agrees(one: &FieldSelectorSpec, value: &str) -> bool {
    let any = |list: &Option<Vec<String>>, test: fn(&str, &str) -> bool| {
        list.as_ref()
            .map(|list| list.iter().any(|text| test(value, text)))
    };
    let positive = [
        any(&one.equals, |value, text| value == text),
        any(&one.starts_with, |value, text| value.starts_with(text)),
        any(&one.ends_with, |value, text| value.ends_with(text)),
    ];
    let negative = [
        any(&one.not_equals, |value, text| value == text),
        any(&one.not_starts_with, |value, text| value.starts_with(text)),
        any(&one.not_ends_with, |value, text| value.ends_with(text)),
    ];
    let is_none = positive.iter().all(Option::is_none);
    (is_none || positive.contains(&Some(true))) && !negative.contains(&Some(true))
}

fn events(choice: u8) -> Vec<EventFields<'static>> {
    let management = EventFields {
        event_source: ["iam.amazonaws.com", "kms.amazonaws.com"][usize::from(choice & 1)],
        event_name: ["CreateUser", "PutObject"][usize::from(choice >> 1 & 1)],
        event_type: "AwsApiCall",
        identity_arn: "arn:aws:iam::1:user/alice",
        is_read_only: choice & 4 != 0,
        is_from_console: choice & 8 != 0,
        ..EventFields::default()
    };
    let data = EventFields {
        category: EventCategory::Data,
        resources: &[
            ("arn:aws:s3:::logs", "AWS::S3::Bucket"),
            ("arn:aws:s3:::logs/2024/a.gz", "AWS::S3::Object"),
        ],
        ..management
    };
    let denied = EventFields {
        category: EventCategory::NetworkActivity,
        error_code: "VpceAccessDenied",
        vpc_endpoint_id: "vpce-1",
        ..management
    };
    vec![management, data, denied]
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"basic":[{"ReadWriteType":"WriteOnly","IncludeManagementEvents":true,"DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3:::logs/"]}],"ExcludeManagementEventSources":["kms.amazonaws.com"]}]}"#,
        r#"{"advanced":[{"Name":"n","FieldSelectors":[{"Field":"eventCategory","Equals":["Data"]},{"Field":"resources.type","Equals":["AWS::S3::Object"]},{"Field":"resources.ARN","StartsWith":["arn:aws:s3:::logs/"],"NotEndsWith":["x"]},{"Field":"readOnly","Equals":["true"]}]}]}"#,
        r#"{"advanced":[{"FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]},{"Field":"eventSource","NotEquals":["kms.amazonaws.com"]},{"Field":"eventName","StartsWith":["Put"],"EndsWith":["User"]},{"Field":"userIdentity.arn","NotStartsWith":["arn:aws:iam::2"]},{"Field":"sessionCredentialFromConsole","Equals":["true"]},{"Field":"eventType","Equals":["AwsApiCall"]}]}]}"#,
        r#"{"advanced":[{"FieldSelectors":[{"Field":"eventCategory","Equals":["NetworkActivity"]},{"Field":"eventSource","Equals":["kms.amazonaws.com"]},{"Field":"errorCode","Equals":["VpceAccessDenied"]},{"Field":"vpcEndpointId","Equals":["vpce-1"]}]}]}"#,
    ];
    let with_head = |text: &&str| [&[3], text.as_bytes()].concat();
    texts.iter().map(with_head).collect()
}
