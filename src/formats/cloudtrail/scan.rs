//! Finds the members that matter in one record, in one pass and without copying.

use crate::formats::json::{Kind, Scanner, Stop, Value, unescape};

/// The members an event is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Version,
    Time,
    Source,
    Name,
    Region,
    Error,
    Agent,
    Id,
    ReadOnly,
    Type,
    Management,
    Recipient,
    Category,
    VpcEndpoint,
    Console,
    AddendumReason,
    IdentityType,
    IdentityArn,
    IdentityAccount,
    InvokedBy,
    /// A digest of log files, which is no record of a call.
    Digest,
}

/// Where the members of one record stand.
#[derive(Clone, Debug, Default)]
pub struct RawRecord {
    values: [Value; Field::Digest as usize + 1],
    /// The `resources` array, when there is one.
    pub resources: Value,
    /// The record inside, when this is the envelope of EventBridge.
    pub detail: Value,
    /// Whether one of `values` has escapes.
    pub has_escapes: bool,
}

/// Resources of one record that are looked at; more are dropped and counted.
pub const RESOURCES_MAX: usize = 100;

/// What is done with the value of a key.
#[derive(Clone, Copy, Debug)]
enum Target {
    Keep(Field),
    Identity,
    Addendum,
    Resources,
    Detail,
    Skip,
}

impl RawRecord {
    pub fn get(&self, field: Field) -> Value {
        self.values[field as usize]
    }

    pub fn set(&mut self, field: Field, value: Value) {
        self.has_escapes |= value.kind == Kind::EscapedText;
        self.values[field as usize] = value;
    }

    pub fn values_mut(&mut self) -> &mut [Value] {
        &mut self.values
    }

    /// Scans the object the scanner stands before into an empty record.
    pub fn scan(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        scanner.enter(b'{')?;
        let mut is_first = true;
        while let Some(key) = scanner.next_key(is_first)? {
            is_first = false;
            match target_of(scanner, key) {
                Target::Skip => {
                    scanner.value()?;
                }
                Target::Keep(field) => {
                    let value = scanner.value()?;
                    self.set(field, value);
                }
                Target::Identity => self.scan_identity(scanner)?,
                Target::Addendum => self.scan_addendum(scanner)?,
                Target::Resources => self.resources = scanner.value()?,
                Target::Detail => self.detail = scanner.value()?,
            }
        }
        Ok(())
    }

    fn scan_identity(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        use Field::{IdentityAccount, IdentityArn, IdentityType, InvokedBy};
        for field in [IdentityAccount, IdentityArn, IdentityType, InvokedBy] {
            self.set(field, Value::default());
        }
        scan_members(
            scanner,
            |key| match key {
                b"type" => Some(IdentityType),
                b"arn" => Some(IdentityArn),
                b"accountId" => Some(IdentityAccount),
                b"invokedBy" => Some(InvokedBy),
                _ => None,
            },
            self,
        )
    }

    fn scan_addendum(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        self.set(Field::AddendumReason, Value::default());
        scan_members(
            scanner,
            |key| match key {
                b"reason" => Some(Field::AddendumReason),
                _ => None,
            },
            self,
        )
    }
}

/// Keeps the members of an inner object that `field_of` names; a value of another type is passed.
fn scan_members(
    scanner: &mut Scanner<'_>,
    field_of: fn(&[u8]) -> Option<Field>,
    raw: &mut RawRecord,
) -> Result<(), Stop> {
    if scanner.peek()? != b'{' {
        scanner.value()?;
        return Ok(());
    }
    scanner.enter(b'{')?;
    let mut is_first = true;
    while let Some(key) = scanner.next_key(is_first)? {
        is_first = false;
        let field = with_key(scanner, key, field_of);
        let value = scanner.value()?;
        if let Some(field) = field {
            raw.set(field, value);
        }
    }
    Ok(())
}

/// Calls `choose` with the text of a key, escapes resolved.
#[inline]
fn with_key<T>(scanner: &Scanner<'_>, key: Value, choose: impl Fn(&[u8]) -> T) -> T {
    let bytes = key.of(scanner.bytes());
    if key.kind == Kind::Text {
        return choose(bytes);
    }
    let mut text = String::new();
    match unescape(bytes, &mut text) {
        Ok(()) => choose(text.as_bytes()),
        Err(()) => choose(b""),
    }
}

#[inline]
fn target_of(scanner: &Scanner<'_>, key: Value) -> Target {
    with_key(scanner, key, target_of_text)
}

/// By length first: most keys are told from all others by a single comparison then.
fn target_of_text(key: &[u8]) -> Target {
    match (key.len(), key) {
        (6, b"detail") => Target::Detail,
        (7, b"eventID") => Target::Keep(Field::Id),
        (8, b"readOnly") => Target::Keep(Field::ReadOnly),
        (8, b"addendum") => Target::Addendum,
        (9, b"eventTime") => Target::Keep(Field::Time),
        (9, b"eventName") => Target::Keep(Field::Name),
        (9, b"awsRegion") => Target::Keep(Field::Region),
        (9, b"userAgent") => Target::Keep(Field::Agent),
        (9, b"errorCode") => Target::Keep(Field::Error),
        (9, b"eventType") => Target::Keep(Field::Type),
        (9, b"resources") => Target::Resources,
        (11, b"eventSource") => Target::Keep(Field::Source),
        (12, b"eventVersion") => Target::Keep(Field::Version),
        (12, b"userIdentity") => Target::Identity,
        (13, b"eventCategory") => Target::Keep(Field::Category),
        (13, b"vpcEndpointId") => Target::Keep(Field::VpcEndpoint),
        (15, b"managementEvent") => Target::Keep(Field::Management),
        (15, b"digestStartTime") => Target::Keep(Field::Digest),
        (18, b"recipientAccountId") => Target::Keep(Field::Recipient),
        (28, b"sessionCredentialFromConsole") => Target::Keep(Field::Console),
        _ => Target::Skip,
    }
}

/// Appends (ARN, type) of the resources in `array` to `out`; returns how many were dropped.
pub fn scan_resources(
    scanner: &Scanner<'_>,
    array: Value,
    out: &mut Vec<(Value, Value)>,
) -> Result<u64, Stop> {
    if array.kind != Kind::Array {
        return Ok(0);
    }
    let mut elements = scanner.at(array.start);
    elements.enter(b'[')?;
    let mut dropped = 0;
    let mut is_first = true;
    while let Some(element) = elements.next_element(is_first)? {
        is_first = false;
        if element.kind != Kind::Object {
            continue;
        }
        let resource = scan_resource(&mut scanner.at(element.start))?;
        if resource == <(Value, Value)>::default() {
            continue;
        }
        if out.len() < RESOURCES_MAX {
            out.push(resource);
        } else {
            dropped += 1;
        }
    }
    Ok(dropped)
}

/// `ARN`, else `arn`, else `ARNPrefix`; and `type`.
fn scan_resource(scanner: &mut Scanner<'_>) -> Result<(Value, Value), Stop> {
    let mut arns = [Value::default(); 3];
    let mut kind = Value::default();
    scanner.enter(b'{')?;
    let mut is_first = true;
    while let Some(key) = scanner.next_key(is_first)? {
        is_first = false;
        let place = with_key(scanner, key, |key| match key {
            b"ARN" => 0,
            b"arn" => 1,
            b"ARNPrefix" => 2,
            b"type" => 3,
            _ => 4,
        });
        let value = scanner.value()?;
        match place {
            0..3 => arns[place] = value,
            3 if value.is_text() => kind = value,
            3 => kind = Value::default(),
            _ => {}
        }
    }
    let arn = arns.into_iter().find(|arn| arn.is_text());
    Ok((arn.unwrap_or_default(), kind))
}
