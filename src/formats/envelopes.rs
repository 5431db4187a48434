//! Envelopes around CloudTrail records, told by their members.
//!
//! EventBridge, CloudWatch Logs and its carriers, LookupEvents, SNS and SQS, in one another and
//! mixed. What holds no record of a call is skipped by rule.

use super::collector::{Collector, Refusal};
use super::decoded::{RejectReason, SkipRule};
use super::json::{Kind, Scanner, Value, unescape};
use super::payload;
use super::reader::Reader;

/// What CloudTrail publishes to try a topic out.
const VALIDATION_MESSAGE: &[u8] = b"CloudTrail validation message.";

/// Members by which envelopes are told, where they stand.
///
/// | envelope | told by | what is inside |
/// | --- | --- | --- |
/// | EventBridge | `detail` | a record |
/// | CloudWatch Logs subscription | `logEvents` | records as text in `message` |
/// | the same by Lambda | `awslogs.data` | base64 of gzip of the above |
/// | the same by Kinesis, Firehose | `kinesis.data`, `Data`, `data` | base64 of gzip of the above |
/// | LookupEvents | `Events`, `CloudTrailEvent` | a record as text |
/// | SNS, also to Lambda | `Message`, `Sns` | text with any of these |
/// | OpenSearch document | `aws.cloudtrail` | a record |
/// | SQS | `Messages`, `Body`, `body` | text with any of these |
/// | log file | `Records`, `records` | any of these |
///
/// Skipped by rule: a delivery notice (`s3Bucket` with `s3ObjectKey`, or `s3`), a
/// `CONTROL_MESSAGE`, the messages by which SNS confirms a subscription.
#[derive(Debug, Default)]
struct Members {
    detail: Value,
    cloudtrail_event: Value,
    log_events: Value,
    message_type: Value,
    /// Arrays whose elements are envelopes or records.
    elements: Value,
    /// An object to look into: `awslogs`, `kinesis`, `Sns`, `aws`, `cloudtrail`.
    inner: Value,
    data: Value,
    message: Value,
    sns_type: Value,
    body: Value,
    is_delivery_notice: bool,
}

impl Reader {
    /// Opens the well-formed object `bytes` when it is an envelope, else rejects it.
    pub(super) fn take_envelope(&mut self, bytes: &[u8], to: &mut Collector<'_>) {
        let members = Members::scan(bytes);
        let text_is = |value: Value, text: &[u8]| value.is_text() && value.of(bytes) == text;
        if members.detail.kind == Kind::Object {
            self.take_member(bytes, members.detail, to);
        } else if text_is(members.message_type, b"CONTROL_MESSAGE") {
            to.skip(SkipRule::ControlMessage);
        } else if members.log_events.kind == Kind::Array {
            self.take_log_events(bytes, members.log_events, to);
        } else if members.elements.kind == Kind::Array {
            self.take_elements(bytes, members.elements, to);
        } else if members.is_delivery_notice || text_is(members.message, VALIDATION_MESSAGE) {
            to.skip(SkipRule::DeliveryNotice);
        } else if members.inner.kind == Kind::Object {
            self.take_member(bytes, members.inner, to);
        } else if text_is(members.sns_type, b"SubscriptionConfirmation")
            || text_is(members.sns_type, b"UnsubscribeConfirmation")
        {
            to.skip(SkipRule::ControlMessage);
        } else if let Some(text) = members.text() {
            self.take_text(bytes, text, to);
        } else if members.data.is_text() {
            self.take_data(bytes, members.data, to);
        } else {
            let refusal = Refusal::new(
                RejectReason::NotARecord,
                "neither a record nor an envelope that is known",
            );
            to.reject(refusal, bytes);
        }
    }

    fn take_log_events(&mut self, bytes: &[u8], array: Value, to: &mut Collector<'_>) {
        let mut events = Scanner::checked(bytes).at(array.start);
        let mut is_first = true;
        if events.enter(b'[').is_err() {
            return;
        }
        while let Ok(Some(event)) = events.next_element(is_first) {
            is_first = false;
            let message = match event.kind {
                Kind::Object => member(bytes, event, b"message"),
                _ => Value::default(),
            };
            match message.kind {
                Kind::Text | Kind::EscapedText => self.take_text(bytes, message, to),
                Kind::Object => self.take_member(bytes, message, to),
                _ => to.reject(
                    Refusal::new(RejectReason::NotARecord, "a log event without a message"),
                    event.of(bytes),
                ),
            }
        }
    }

    fn take_text(&mut self, bytes: &[u8], text: Value, to: &mut Collector<'_>) {
        self.take_escaped(text.of(bytes), to);
    }

    /// Takes a member that holds base64, or plain text after all.
    fn take_data(&mut self, bytes: &[u8], data: Value, to: &mut Collector<'_>) {
        let mut text = String::new();
        let is_readable = unescape(data.of(bytes), &mut text).is_ok();
        if is_readable && !payload::is_base64_like(text.as_bytes()) && !text.starts_with('{') {
            to.reject(
                Refusal::new(RejectReason::InvalidPayload, "`data` is not base64 of gzip"),
                bytes,
            );
            return;
        }
        self.take_text(bytes, data, to);
    }
}

impl Members {
    fn scan(bytes: &[u8]) -> Members {
        let mut members = Members::default();
        let mut has_bucket = false;
        let mut has_key = false;
        for_each_member(bytes, 0, |key, value| {
            let place = match key {
                b"detail" => &mut members.detail,
                b"CloudTrailEvent" => &mut members.cloudtrail_event,
                b"logEvents" => &mut members.log_events,
                b"messageType" => &mut members.message_type,
                b"Records" | b"records" | b"Events" | b"Messages" => &mut members.elements,
                b"awslogs" | b"kinesis" | b"Sns" | b"aws" | b"cloudtrail" => &mut members.inner,
                b"Data" | b"data" => &mut members.data,
                b"Message" => &mut members.message,
                b"Type" => &mut members.sns_type,
                b"Body" | b"body" => &mut members.body,
                b"s3Bucket" => return has_bucket = true,
                b"s3ObjectKey" => return has_key = true,
                b"s3" => return members.is_delivery_notice = true,
                b"Event" if value.of(bytes) == b"s3:TestEvent" => {
                    return members.is_delivery_notice = true;
                }
                _ => return,
            };
            *place = value;
        });
        members.is_delivery_notice |= has_bucket && has_key;
        members
    }

    /// The member that holds a record or an envelope as text.
    fn text(&self) -> Option<Value> {
        [self.cloudtrail_event, self.message, self.body]
            .into_iter()
            .find(|value| value.is_text())
    }
}

/// The last member called `name` of the object at `object`.
fn member(bytes: &[u8], object: Value, name: &[u8]) -> Value {
    let mut found = Value::default();
    for_each_member(bytes, object.start, |key, value| {
        if key == name {
            found = value;
        }
    });
    found
}

fn for_each_member(bytes: &[u8], start: u32, mut visit: impl FnMut(&[u8], Value)) {
    let mut scanner = Scanner::checked(bytes).at(start);
    if scanner.enter(b'{').is_err() {
        return;
    }
    let mut is_first = true;
    while let Ok(Some(key)) = scanner.next_key(is_first) {
        is_first = false;
        let Ok(value) = scanner.value() else {
            return;
        };
        visit(key.of(bytes), value);
    }
}
