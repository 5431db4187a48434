//! Applies CloudTrail's rules to the members of one record and hands on the event.

use super::rules::{is_read_by_name, parse_time, parse_time_number, strip_session};
use super::scan::{Field, RawRecord, scan_resources};
use crate::formats::collector::{Collector, Refusal, cut};
use crate::formats::decoded::{DecodeLimits, RejectReason, SkipRule};
use crate::formats::json::{Kind, Scanner, Value, unescape};
use crate::model::{EventCategory, EventFields, EventTime};

/// Resources that need no allocation.
const RESOURCES_INLINE: usize = 8;

/// What a record turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was counted as an event, a skip or a reject.
    Taken,
    /// It has nothing of a record; it may be an envelope.
    NotARecord,
}

/// Makes events of records. What becomes of members that are missing or of a wild type:
///
/// | member | missing or null | other than text |
/// | --- | --- | --- |
/// | `eventVersion` | accepted | a number is read as text; a major number but 1 is rejected |
/// | `eventTime` | rejected | a number is seconds (milliseconds from 1e11 on) since 1970 |
/// | `eventSource`, `eventName` | rejected, empty too | rejected |
/// | `awsRegion`, account | empty | a number is read as text, all else rejected |
/// | `errorCode` | success, empty too | a number is read as text, all else rejected |
/// | `readOnly` | derived from the name | `"true"`, `"False"` are read, all else is missing |
/// | `managementEvent` | decided by category | as `readOnly` |
/// | `eventCategory` | by `managementEvent`, else management | missing |
/// | all others | empty | empty, a number is read as text |
///
/// A part of the series key over the limit is rejected; other values are cut and counted. Of a key
/// that occurs twice in an object the last wins.
#[derive(Debug, Default)]
pub struct Interpreter {
    /// Escaped members as text.
    flat: String,
    identity: String,
    resources: Vec<(Value, Value)>,
}

impl Interpreter {
    /// Takes the record `raw`, scanned from the whole of `bytes`.
    pub fn take(&mut self, raw: &RawRecord, bytes: &[u8], to: &mut Collector<'_>) -> Verdict {
        let Ok(text) = simdutf8::basic::from_utf8(bytes) else {
            let refusal = Refusal::new(RejectReason::InvalidUtf8, "the record is not UTF-8");
            to.reject(refusal, bytes);
            return Verdict::Taken;
        };
        self.resources.clear();
        let scanner = Scanner::checked(bytes);
        let dropped = scan_resources(&scanner, raw.resources, &mut self.resources);
        let Ok(dropped) = dropped else {
            let refusal = Refusal::new(RejectReason::InvalidJson, "`resources` is broken");
            to.reject(refusal, bytes);
            return Verdict::Taken;
        };
        let escaped = |(arn, kind): &(Value, Value)| {
            arn.kind == Kind::EscapedText || kind.kind == Kind::EscapedText
        };
        let mut view = View {
            raw,
            text,
            identity: &mut self.identity,
            resources: &self.resources,
            values_cut: dropped,
        };
        if !raw.has_escapes && !self.resources.iter().any(escaped) {
            return view.take(to, bytes);
        }
        let mut flat = std::mem::take(&mut self.flat);
        let flattened = flatten(raw, &mut self.resources, bytes, &mut flat);
        let verdict = match flattened {
            Ok(raw) => {
                view = View {
                    raw: &raw,
                    text: &flat,
                    identity: &mut self.identity,
                    resources: &self.resources,
                    values_cut: dropped,
                };
                view.take(to, bytes)
            }
            Err(()) => {
                to.reject(
                    Refusal::new(RejectReason::InvalidJson, "a broken escape"),
                    bytes,
                );
                Verdict::Taken
            }
        };
        self.flat = flat;
        verdict
    }
}

/// Copies the members into `flat` with escapes resolved; the ranges returned refer to it.
fn flatten(
    raw: &RawRecord,
    resources: &mut [(Value, Value)],
    bytes: &[u8],
    flat: &mut String,
) -> Result<RawRecord, ()> {
    flat.clear();
    let mut raw = raw.clone();
    let mut move_over = |value: &mut Value| {
        let start = flat.len() as u32;
        if value.kind == Kind::EscapedText {
            unescape(value.of(bytes), flat)?;
            value.kind = Kind::Text;
        } else if matches!(value.kind, Kind::Text | Kind::Number) {
            flat.push_str(std::str::from_utf8(value.of(bytes)).map_err(|_| ())?);
        }
        value.start = start;
        value.end = flat.len() as u32;
        Ok::<(), ()>(())
    };
    for value in raw.values_mut() {
        move_over(value)?;
    }
    for (arn, kind) in resources {
        move_over(arn)?;
        move_over(kind)?;
    }
    Ok(raw)
}

/// One record with its text, ready to be judged.
struct View<'v> {
    raw: &'v RawRecord,
    text: &'v str,
    identity: &'v mut String,
    resources: &'v [(Value, Value)],
    values_cut: u64,
}

impl<'v> View<'v> {
    fn take(&mut self, to: &mut Collector<'_>, bytes: &[u8]) -> Verdict {
        if let Some(rule) = self.skip_rule() {
            to.skip(rule);
            return Verdict::Taken;
        }
        if !self.is_record() {
            return Verdict::NotARecord;
        }
        if let Err(refusal) = self.event(to) {
            to.reject(refusal, bytes);
        }
        Verdict::Taken
    }

    fn skip_rule(&self) -> Option<SkipRule> {
        if self.raw.get(Field::Digest).kind != Kind::Absent {
            return Some(SkipRule::Digest);
        }
        match (self.text(Field::Category), self.text(Field::Type)) {
            ("Insight", _) | (_, "AwsCloudTrailInsight") => Some(SkipRule::Insight),
            ("Aggregated", _) | (_, "AwsAggregatedEvent") => Some(SkipRule::Aggregated),
            _ => None,
        }
    }

    /// Whether this is meant as a record of a call: with a time, or a source and a name. Sources
    /// such as `aws:s3` and `aws:sqs` belong to notifications.
    fn is_record(&self) -> bool {
        let is_present = |field| self.raw.get(field).kind != Kind::Absent;
        (is_present(Field::Time) || is_present(Field::Source) && is_present(Field::Name))
            && !self.text(Field::Source).starts_with("aws:")
    }

    fn event(&mut self, to: &mut Collector<'_>) -> Result<(), Refusal> {
        self.check_version()?;
        let time = self.time()?;
        let limits = to.limits;
        let event_source = self.required(Field::Source, RejectReason::MissingSource, limits)?;
        let event_name = self.required(Field::Name, RejectReason::MissingName, limits)?;
        let region = self.key_part(Field::Region, limits)?;
        let mut account = self.key_part(Field::Recipient, limits)?;
        if account.is_empty() {
            account = self.key_part(Field::IdentityAccount, limits)?;
        }
        let error_code = self.key_part(Field::Error, limits)?;
        let (is_read_only, is_read_only_derived) = match self.flag(Field::ReadOnly) {
            Some(said) => (said, false),
            None => (is_read_by_name(event_source, event_name), true),
        };
        let category = self.category();
        let arn = self.text(Field::IdentityArn);
        self.compose_identity();
        let identity = match (strip_session(arn), self.text(Field::InvokedBy)) {
            ("", "") => self.identity.as_str(),
            ("", invoked_by) => invoked_by,
            (stripped, _) => stripped,
        };
        let max = limits.value_bytes_max;
        let mut values_cut = self.values_cut;
        let mut inline = [("", ""); RESOURCES_INLINE];
        let mut spilled = Vec::new();
        let resources = self.resource_texts(max, &mut values_cut, &mut inline, &mut spilled);
        let fields = EventFields {
            time,
            account,
            region,
            event_source,
            event_name,
            error_code,
            identity: cut(identity, max, &mut values_cut),
            identity_arn: cut(arn, max, &mut 0),
            user_agent: cut(self.text(Field::Agent), max, &mut values_cut),
            event_id: cut(self.text(Field::Id), max, &mut 0),
            event_type: cut(self.text(Field::Type), max, &mut 0),
            vpc_endpoint_id: cut(self.text(Field::VpcEndpoint), max, &mut 0),
            category,
            is_read_only,
            is_read_only_derived,
            is_from_console: self.flag(Field::Console) == Some(true),
            is_update: self.text(Field::AddendumReason) == "UPDATED_DATA",
            resources,
        };
        to.event(&fields, values_cut);
        Ok(())
    }

    /// The text of a member; a number counts as its digits, anything else as empty.
    #[inline]
    fn text(&self, field: Field) -> &'v str {
        text_of(self.raw.get(field), self.text)
    }

    fn check_version(&self) -> Result<(), Refusal> {
        let version = self.text(Field::Version);
        if version.is_empty() || version == "1" || version.starts_with("1.") {
            return Ok(());
        }
        Err(Refusal::new(
            RejectReason::UnsupportedVersion,
            format!("`eventVersion` is {}", quoted(version)),
        ))
    }

    fn time(&self) -> Result<EventTime, Refusal> {
        let value = self.raw.get(Field::Time);
        let text = self.text(Field::Time);
        let time = match value.kind {
            Kind::Absent | Kind::Null => {
                return Err(Refusal::new(RejectReason::MissingTime, "no `eventTime`"));
            }
            Kind::Text => parse_time(text),
            Kind::Number => parse_time_number(text),
            _ => None,
        };
        time.ok_or_else(|| {
            Refusal::new(
                RejectReason::InvalidTime,
                format!("`eventTime` is {}", quoted(text)),
            )
        })
    }

    fn required(
        &self,
        field: Field,
        missing: RejectReason,
        limits: &DecodeLimits,
    ) -> Result<&'v str, Refusal> {
        let kind = self.raw.get(field).kind;
        if kind == Kind::Number {
            return Err(wrong_type(field));
        }
        let text = self.key_part(field, limits)?;
        if text.is_empty() {
            return Err(Refusal::new(missing, format!("no {}", name_of(field))));
        }
        Ok(text)
    }

    /// A part of the series key; empty when it is missing or null.
    fn key_part(&self, field: Field, limits: &DecodeLimits) -> Result<&'v str, Refusal> {
        match self.raw.get(field).kind {
            Kind::Absent | Kind::Null => return Ok(""),
            Kind::Text | Kind::Number => {}
            _ => return Err(wrong_type(field)),
        }
        let text = self.text(field);
        if text.len() > limits.key_bytes_max {
            return Err(Refusal::new(
                RejectReason::KeyTooLong,
                format!("{} has {} bytes", name_of(field), text.len()),
            ));
        }
        Ok(text)
    }

    fn flag(&self, field: Field) -> Option<bool> {
        match self.raw.get(field).kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            Kind::Text if self.text(field).eq_ignore_ascii_case("true") => Some(true),
            Kind::Text if self.text(field).eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    fn category(&self) -> EventCategory {
        if self.raw.get(Field::Category).kind == Kind::Text {
            return category_from_name(self.text(Field::Category));
        }
        match self.flag(Field::Management) {
            Some(false) => EventCategory::Data,
            Some(true) | None => EventCategory::Management,
        }
    }

    /// Writes `<type>:<account>` for callers that have neither an ARN nor an invoking service.
    fn compose_identity(&mut self) {
        self.identity.clear();
        let is_named =
            !self.text(Field::IdentityArn).is_empty() || !self.text(Field::InvokedBy).is_empty();
        if is_named {
            return;
        }
        let (kind, account) = (
            self.text(Field::IdentityType),
            self.text(Field::IdentityAccount),
        );
        self.identity.push_str(kind);
        if !account.is_empty() {
            self.identity.push(':');
            self.identity.push_str(account);
        }
    }

    fn resource_texts<'r>(
        &self,
        bytes_max: usize,
        values_cut: &mut u64,
        inline: &'r mut [(&'v str, &'v str); RESOURCES_INLINE],
        spilled: &'r mut Vec<(&'v str, &'v str)>,
    ) -> &'r [(&'v str, &'v str)] {
        let count = self.resources.len();
        let into: &'r mut [(&'v str, &'v str)] = if count <= RESOURCES_INLINE {
            &mut inline[..count]
        } else {
            spilled.resize(count, ("", ""));
            spilled
        };
        for (place, (arn, kind)) in into.iter_mut().zip(self.resources) {
            let arn = cut(text_of(*arn, self.text), bytes_max, values_cut);
            *place = (arn, cut(text_of(*kind, self.text), bytes_max, &mut 0));
        }
        into
    }
}

#[inline]
fn text_of(value: Value, text: &str) -> &str {
    match value.kind {
        Kind::Text | Kind::Number => &text[value.start as usize..value.end as usize],
        _ => "",
    }
}

/// The category with this CloudTrail name.
pub fn category_from_name(name: &str) -> EventCategory {
    match name {
        "Management" => EventCategory::Management,
        "Data" => EventCategory::Data,
        "NetworkActivity" => EventCategory::NetworkActivity,
        _ => EventCategory::Other,
    }
}

fn wrong_type(field: Field) -> Refusal {
    Refusal::new(
        RejectReason::WrongType,
        format!("{} is of a type that cannot be used", name_of(field)),
    )
}

/// At most 80 bytes of `text` in quotes, for messages.
fn quoted(text: &str) -> String {
    format!("{:?}", cut(text, 80, &mut 0))
}

fn name_of(field: Field) -> &'static str {
    match field {
        Field::Source => "`eventSource`",
        Field::Name => "`eventName`",
        Field::Region => "`awsRegion`",
        Field::Error => "`errorCode`",
        Field::Recipient => "`recipientAccountId`",
        Field::IdentityAccount => "`userIdentity.accountId`",
        _ => "a member",
    }
}
