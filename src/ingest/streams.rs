//! Which files continue each other: paths that are equal up to the first date form one stream.
//!
//! A date is year, month and day in digits, with `-`, `/`, `_`, `.` or nothing between them, or
//! as folders `year=2024/month=12/day=11`. The digits stand alone, so that an account number is
//! no date; an hour, or a whole time of day, may follow directly (`2024121116`).

/// The part of `path` before its first date, or all of it when it has none.
///
/// Files with equal names are one stream, read in the order of their paths.
pub fn stream_name(path: &str) -> &str {
    let bytes = path.as_bytes();
    let start = (0..bytes.len()).find(|start| {
        let stands_alone = *start == 0 || !bytes[start - 1].is_ascii_digit();
        stands_alone && is_date(&bytes[*start..])
    });
    start.map_or(path, |start| &path[..start])
}

/// Whether `text` begins with a date.
fn is_date(text: &[u8]) -> bool {
    let Some((1970..=2099, rest)) = number(text, 4) else {
        return false;
    };
    let (separator, rest) = separator(rest);
    let Some((1..=12, rest)) = number(rest, 2) else {
        return false;
    };
    let Some(rest) = rest.strip_prefix(separator).or_else(|| after_key(rest)) else {
        return false;
    };
    let Some((1..=31, rest)) = number(rest, 2) else {
        return false;
    };
    let digits_after = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match separator {
        [] => digits_after == 0 || digits_after == 2 || digits_after == 6,
        _ => digits_after == 0,
    }
}

/// Splits what stands between year and month off `text`.
fn separator(text: &[u8]) -> (&[u8], &[u8]) {
    if let Some(rest) = after_key(text) {
        return (b"=", rest);
    }
    match text.first() {
        Some(b'-' | b'/' | b'_' | b'.') => text.split_at(1),
        _ => text.split_at(0),
    }
}

/// What follows `/month=` or the like.
fn after_key(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"/")?;
    let letters = text.iter().take_while(|byte| byte.is_ascii_alphabetic());
    text[letters.count()..].strip_prefix(b"=")
}

fn number(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (head, rest) = text.split_at_checked(digits)?;
    let mut value = 0;
    for byte in head {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u32::from(byte - b'0');
    }
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_what_stands_before_the_date() {
        let cases = [
            (
                "o/AWSLogs/111122223333/CloudTrail/us-east-1/2024/12/11/x_20241211T1650Z_a.json.gz",
                "o/AWSLogs/111122223333/CloudTrail/us-east-1/",
            ),
            (
                "111122223333_CloudTrail_us-east-1_20241211T1650Z_k.json.gz",
                "111122223333_CloudTrail_us-east-1_",
            ),
            ("logs/app-2024-12-11.log", "logs/app-"),
            ("logs/app.2024_12_11.7.log.gz", "logs/app."),
            ("logs/app-2024121116.log", "logs/app-"),
            ("logs/app-20241211165000.log", "logs/app-"),
            ("t/year=2024/month=12/day=11/a.gz", "t/year="),
            ("t/dt=2024-12-11/a.gz", "t/dt="),
            ("2024-12-11.log", ""),
            ("é/2024.12.11", "é/"),
            // No dates: account numbers, versions, impossible months and days.
            ("202412110000/a.json", "202412110000/a.json"),
            ("logs/app-12024-12-11.log", "logs/app-12024-12-11.log"),
            ("logs/2024-13-11.log", "logs/2024-13-11.log"),
            ("logs/2024-12-32.log", "logs/2024-12-32.log"),
            ("logs/2024-12/11.log", "logs/2024-12/11.log"),
            ("logs/access.log.1", "logs/access.log.1"),
            ("logs/2024", "logs/2024"),
            ("", ""),
        ];
        for (path, name) in cases {
            assert_eq!(stream_name(path), name, "{path}");
        }
    }
}
