//! Numbers and times as a person reads them.

use super::super::markdown::figure;
use crate::model::EventTime;

/// `2026-01-15 10:20`; seconds outside 1970 to 9999 as a number.
pub fn minute(seconds: i64) -> String {
    match EventTime::from_seconds(seconds) {
        Some(time) => time.to_string()[..16].replace('T', " "),
        None => seconds.to_string(),
    }
}

/// `01-15`, or `01-15 10:20` where it is not midnight.
pub fn day(seconds: i64) -> String {
    let text = minute(seconds);
    let text = text.get(5..).unwrap_or(&text);
    text.strip_suffix(" 00:00").unwrap_or(text).to_string()
}

/// `35 min`, `2 h 5 min`, `3 d 4 h`.
pub fn duration(seconds: i64) -> String {
    let minutes = seconds.max(0) / 60;
    let (days, hours, rest) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours, rest) {
        (0, 0, rest) => format!("{rest} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, rest) => format!("{hours} h {rest} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// Digits grouped by thousands, with a space that does not break.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A rate with about three digits, grouped where it is large.
pub fn rate(value: f64) -> String {
    match value {
        value if value >= 1_000.0 => grouped(value.round() as u64),
        value => figure(value),
    }
}

/// A share of a width in percent, with two digits behind the point.
pub fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share.clamp(0.0, 1.0))
}

/// A number as JSON with three digits that count; what is none is `null`.
pub fn json_number(value: Option<f64>) -> String {
    match value {
        Some(value) if value.is_finite() => format!("{value:.2e}")
            .parse::<f64>()
            .map_or("null".to_string(), |rounded| rounded.to_string()),
        _ => "null".to_string(),
    }
}
