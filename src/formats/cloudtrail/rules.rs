//! CloudTrail's rules for what a record leaves unsaid: time, read or write, who called.

use crate::model::EventTime;

/// Verbs of API names that only read; the name goes on with a capital, a digit, or not at all.
const READ_VERBS: [&str; 24] = [
    "BatchCheck",
    "BatchDescribe",
    "BatchGet",
    "BatchList",
    "Check",
    "Count",
    "Describe",
    "Download",
    "Estimate",
    "Filter",
    "Find",
    "Get",
    "Head",
    "List",
    "Lookup",
    "Preview",
    "Query",
    "Read",
    "Retrieve",
    "Scan",
    "Search",
    "Select",
    "Simulate",
    "View",
];

/// Whether an API only reads, judged by its name; used where a record does not say.
///
/// KMS counts its cryptographic calls as reads (CloudTrail user guide, management events).
pub fn is_read_by_name(event_source: &str, event_name: &str) -> bool {
    let begins_with = |verb: &str| {
        event_name.strip_prefix(verb).is_some_and(|rest| {
            let next = rest.bytes().next();
            next.is_none_or(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        })
    };
    READ_VERBS.iter().any(|verb| begins_with(verb))
        || event_source == "kms.amazonaws.com"
            && (matches!(event_name, "Encrypt" | "Decrypt" | "ReEncrypt")
                || event_name.starts_with("GenerateDataKey"))
}

/// An assumed role's ARN without its session name; any other ARN as it is.
pub fn strip_session(arn: &str) -> &str {
    // arn:partition:sts:region:account:assumed-role/Role/session
    let mut colons = memchr::memchr_iter(b':', arn.as_bytes());
    let Some(resource) = colons.nth(4).map(|at| at + 1) else {
        return arn;
    };
    let Some(role_and_session) = arn[resource..].strip_prefix("assumed-role/") else {
        return arn;
    };
    match role_and_session.find('/') {
        Some(at) => &arn[..arn.len() - role_and_session.len() + at],
        None => arn,
    }
}

/// Reads the time forms that audit records use; one without an offset is UTC.
pub fn parse_time(text: &str) -> Option<EventTime> {
    EventTime::parse(text).or_else(|| {
        let has_date_and_time = text.len() >= 16 && text.len() <= 40 && text.is_ascii();
        if !has_date_and_time || text.ends_with('Z') {
            return None;
        }
        EventTime::parse(&format!("{text}Z"))
    })
}

/// Reads a number as seconds since 1970, or milliseconds from 1e11 (the year 5138) on.
pub fn parse_time_number(text: &str) -> Option<EventTime> {
    let number: f64 = text.parse().ok()?;
    if !(0.0..1e15).contains(&number) {
        return None;
    }
    if number >= 1e11 {
        EventTime::from_milliseconds(number as i64)
    } else {
        EventTime::from_seconds(number as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_told_by_their_verb() {
        for read in [
            "GetObject",
            "ListFunctions20150331",
            "Describe",
            "BatchGetItem",
        ] {
            assert!(is_read_by_name("s", read), "{read}");
        }
        for write in [
            "PutObject",
            "Getaway",
            "Listen",
            "Checkout",
            "CreateUser",
            "Decrypt",
        ] {
            assert!(!is_read_by_name("s", write), "{write}");
        }
        assert!(is_read_by_name("kms.amazonaws.com", "GenerateDataKeyPair"));
    }

    #[test]
    fn only_the_session_name_is_stripped() {
        for (arn, stripped) in [
            (
                "arn:aws:sts::1:assumed-role/Admin/alice",
                "arn:aws:sts::1:assumed-role/Admin",
            ),
            (
                "arn:aws:sts::1:assumed-role/Admin",
                "arn:aws:sts::1:assumed-role/Admin",
            ),
            (
                "arn:aws:iam::1:role/service/Admin",
                "arn:aws:iam::1:role/service/Admin",
            ),
            ("arn:aws:iam::1:user/Alice", "arn:aws:iam::1:user/Alice"),
        ] {
            assert_eq!(strip_session(arn), stripped);
        }
    }

    #[test]
    fn times_without_an_offset_are_utc() {
        let want = EventTime::parse("2025-02-14T19:43:02Z");
        for text in [
            "2025-02-14T19:43:02Z",
            "2025-02-14 19:43:02",
            "2025-02-14 19:43:02.000000000",
            "2025-02-14T20:43:02+01:00",
        ] {
            assert_eq!(parse_time(text), want, "{text}");
        }
        assert_eq!(parse_time_number("1739562182"), want);
        assert_eq!(parse_time_number("1739562182000"), want);
        assert_eq!(parse_time_number("1739562182.9"), want);
        for bad in [
            "",
            "2025-02-14",
            "yesterday at about noon",
            "2025-02-30 19:43:02",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        assert_eq!(parse_time_number("-1"), None);
    }
}
