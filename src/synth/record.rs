//! Writes one CloudTrail record as a line of NDJSON, keys in the order that CloudTrail uses.
//!
//! Everything in a record that is not given follows from its random numbers, and those from the
//! event's place in the traffic: the same event gives the same bytes wherever it is written.

use super::cast::{Caller, IdentityKind};
use super::identity::{self, text};
use super::parameters::{digits, hex, uuid, write_object};
use super::random::Random;
use super::spec::Spec;

/// How large records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordSize {
    /// As in a real trail: median 1.4 KB, mean 1.6 KB, the largest 30 KB.
    Trail,
    /// About 0.9 KB: parameters are short.
    Lean,
}

/// What a record says besides what its random numbers decide.
pub(super) struct RecordFields<'a> {
    pub spec: &'a Spec,
    pub caller: &'a Caller,
    /// Empty when the call succeeded.
    pub error_code: &'a str,
    /// `2026-01-05T00:00:` of the event's minute, and its second.
    pub minute: &'a str,
    pub second: u32,
    pub size: RecordSize,
}

/// Appends the record with its newline.
pub(super) fn write(out: &mut Vec<u8>, fields: &RecordFields<'_>, random: &mut Random) {
    let RecordFields {
        spec,
        caller,
        error_code,
        minute,
        ..
    } = fields;
    let date = &minute[..10];
    out.extend_from_slice(br#"{"eventVersion":"1.11","userIdentity":"#);
    identity::write(out, caller, date);
    text(out, &[r#","eventTime":""#, minute]);
    out.push(b'0' + (fields.second / 10) as u8);
    out.push(b'0' + (fields.second % 10) as u8);
    let parts = [
        r#"Z","eventSource":""#,
        &spec.event_source,
        r#"","eventName":""#,
        &spec.event_name,
        r#"","awsRegion":""#,
        &spec.region,
        r#"","sourceIPAddress":""#,
        &caller.address,
        r#"","userAgent":""#,
    ];
    text(out, &parts);
    escaped(out, &caller.agent);
    out.push(b'"');
    if !error_code.is_empty() {
        let parts = [
            r#","errorCode":""#,
            error_code,
            r#"","errorMessage":"User: arn:aws:sts::"#,
            &caller.account,
            r#":assumed-role/"#,
            &caller.name,
            r#" is not authorized to perform: \"this action\" because it said so""#,
        ];
        text(out, &parts);
    }
    parameters(out, fields, random);
    text(out, &[r#","requestID":""#]);
    uuid(out, random);
    text(out, &[r#"","eventID":""#]);
    uuid(out, random);
    text(out, &[r#"","readOnly":"#, truth(spec.is_read_only)]);
    tail(out, fields, random);
}

/// `requestParameters`, `responseElements` and now and then `additionalEventData`.
fn parameters(out: &mut Vec<u8>, fields: &RecordFields<'_>, random: &mut Random) {
    let (request, response) = sizes(fields.size, random);
    text(out, &[r#","requestParameters":"#]);
    if request == 0 {
        text(out, &["null"]);
    } else {
        write_object(out, random, request);
    }
    text(out, &[r#","responseElements":"#]);
    if response == 0 || fields.spec.is_read_only || !fields.error_code.is_empty() {
        text(out, &["null"]);
    } else {
        write_object(out, random, response);
    }
    if fields.spec.resource.is_some() || random.below(10) == 0 {
        text(
            out,
            &[
                r#","additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"#,
                r#""ECDHE-RSA-AES128-GCM-SHA256","bytesTransferredIn":"#,
            ],
        );
        digits(out, random.below(100_000));
        text(out, &[r#","AuthenticationMethod":"AuthHeader"}"#]);
    }
}

/// Bytes of request parameters and response elements. The logarithms are fitted so that whole
/// records of a bench stream have the sizes of reference performance, section 1.
fn sizes(size: RecordSize, random: &mut Random) -> (usize, usize) {
    if size == RecordSize::Lean {
        return (40 + random.below(80) as usize, 0);
    }
    if random.below(24) == 0 {
        // One in twenty-four is a large document, up to 28 KB.
        let large = random.log_normal(8.2, 0.8).min(28_000.0);
        return (large as usize, 200);
    }
    let request = random.log_normal(5.26, 0.6).min(3_000.0) as usize;
    let response = if random.below(4) == 0 {
        0
    } else {
        random.log_normal(4.3, 0.7).min(3_000.0) as usize
    };
    (request, response)
}

/// From `resources` on: what follows `readOnly`.
fn tail(out: &mut Vec<u8>, fields: &RecordFields<'_>, random: &mut Random) {
    let RecordFields { spec, caller, .. } = fields;
    if let Some((kind, arn)) = spec.resource {
        let parts = [
            r#","resources":[{"accountId":""#,
            &spec.account,
            r#"","type":""#,
            kind,
            r#"","ARN":""#,
            arn,
            "resource-",
        ];
        text(out, &parts);
        digits(out, random.below(8));
        text(out, &[r#""}]"#]);
    }
    let is_data = spec.resource.is_some();
    let parts = [
        r#","eventType":"AwsApiCall","managementEvent":"#,
        truth(!is_data),
        r#","recipientAccountId":""#,
        &spec.account,
        "\"",
    ];
    text(out, &parts);
    let is_service = caller.kind == IdentityKind::AwsService;
    if is_service {
        text(out, &[r#","sharedEventID":""#]);
        uuid(out, random);
        out.push(b'"');
    } else if random.below(6) == 0 {
        text(out, &[r#","vpcEndpointId":"vpce-0"#]);
        hex(out, random.bits(), 16);
        text(out, &[r#"","vpcEndpointAccountId":""#, &spec.account, "\""]);
    }
    let category = if is_data { "Data" } else { "Management" };
    text(out, &[r#","eventCategory":""#, category, "\""]);
    if !is_service {
        let parts = [
            r#","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","#,
            r#""clientProvidedHostHeader":""#,
            &spec.event_source,
            r#""}"#,
        ];
        text(out, &parts);
    }
    if caller.is_console {
        text(out, &[r#","sessionCredentialFromConsole":"true""#]);
    }
    text(out, &["}\n"]);
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Appends the text of a JSON string, escaped.
fn escaped(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
}
