//! An insight in plain words: what was seen, what is usual, how unlikely that is, what came closest
//! to explaining it away, and from which count on it was said (reference detection, section 6.8).

use super::number::decimal;
use crate::model::{
    Dimension, Direction, Edge, EndReason, Explanation, IncidentKind, Innocent, InsightEvent,
    InsightType, roll_up_in_words,
};

/// Rates a minute below this are called hardly any.
const HARDLY_ANY: f64 = 0.01;

/// The insight in plain words.
pub fn sentence(event: &InsightEvent) -> String {
    match event.edge {
        Edge::Start => start(event),
        Edge::End => end(event),
    }
}

fn start(event: &InsightEvent) -> String {
    let why = &event.explanation;
    let mut parts = vec![format!(
        "{} {} a minute over the last {}, where {}.",
        subject(event),
        times(why.observed / minutes(why)),
        span(why.window_minutes),
        usual(why),
    )];
    parts.push(match why.kind {
        IncidentKind::Missed => format!(
            "By how seldom it misses them, about {}.",
            chance(why.surprise)
        ),
        _ => format!(
            "At the usual rate the chance of this is about {}.",
            chance(why.surprise)
        ),
    });
    parts.extend(how_often(why));
    parts.extend(who(event));
    parts.push(closest(why.closest).to_string());
    if let Some(count) = why.count_to_fire {
        let side = match event.direction {
            Direction::Up => "Below",
            Direction::Down => "Above",
        };
        let window = match why.window_minutes {
            1 => "that minute".to_string(),
            minutes => format!("those {}", span(minutes)),
        };
        parts.push(format!(
            "{side} {count} in {window} it would have stayed silent."
        ));
    }
    parts.join(" ")
}

fn end(event: &InsightEvent) -> String {
    let why = &event.explanation;
    let seen = times(event.insight_count as f64 / f64::from(event.insight_minutes.max(1)));
    let lasted = match event.insight_minutes {
        1 => "one minute".to_string(),
        minutes => span(minutes),
    };
    let subject = subject(event);
    let usual = usual(why);
    match event.reason {
        Some(EndReason::NewNormal) => format!(
            "{subject} {seen} a minute for {lasted}, where {usual} before. \
             It has lasted so long that it counts as usual from now on."
        ),
        Some(EndReason::Calm) | None => format!(
            "Back to usual at {}: {subject} {seen} a minute for {lasted}, where {usual}.",
            event.minute
        ),
    }
}

/// What happened, up to the number: "PutObject (s3.amazonaws.com) was called", "All APIs of
/// s3.amazonaws.com together were called".
fn subject(event: &InsightEvent) -> String {
    let series = &event.series;
    let (source, name) = (&series.event_source, &series.event_name);
    let (what, was) = match roll_up_in_words(&series.account, source, name) {
        Some(words) => (format!("A{} together", &words[1..]), "were"),
        None => (format!("{name} ({source})"), "was"),
    };
    match series.insight_type {
        InsightType::ApiCallRate => format!("{what} {was} called"),
        InsightType::ApiErrorRate => format!("{what} failed with {}", series.error_code),
    }
}

/// "20 is usual (17 to 24 at this hour)".
fn usual(why: &Explanation) -> String {
    let minutes = minutes(why);
    let expected = why.expected / minutes;
    if expected < HARDLY_ANY {
        return "hardly any are usual".to_string();
    }
    format!(
        "{} is usual ({} to {} at this hour)",
        rate(expected),
        rate(why.expected_low / minutes),
        rate(why.expected_high / minutes)
    )
}

fn minutes(why: &Explanation) -> f64 {
    f64::from(why.window_minutes.max(1))
}

/// "minute", "5 minutes", "2 hours".
fn span(minutes: u32) -> String {
    match minutes {
        1 => "minute".to_string(),
        minutes if minutes >= 120 && minutes % 60 == 0 => format!("{} hours", minutes / 60),
        minutes => format!("{minutes} minutes"),
    }
}

/// "once", "20 times".
fn times(value: f64) -> String {
    match rate(value).as_str() {
        "1" => "once".to_string(),
        text => format!("{text} times"),
    }
}

/// A rate a minute with about three digits.
fn rate(value: f64) -> String {
    let decimals = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    let text = decimal(value, decimals);
    match text.as_str() {
        "0" if value > 0.0 => "less than 0.01".to_string(),
        _ => text,
    }
}

/// A probability given in decades: "1 in 30,000", from a million on "1 in 10^36".
fn chance(decades: f64) -> String {
    if decades >= 6.0 {
        return format!("1 in 10^{}", decimal(decades.floor(), 0));
    }
    let one_in = libm::pow(10.0, decades.max(0.0));
    let step = libm::pow(10.0, decades.max(0.0).floor());
    let rounded = ((one_in / step).round() * step) as u64;
    format!("1 in {}", thousands(rounded))
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What the fleet's own history says of insights as strong, when it is known.
fn how_often(why: &Explanation) -> Option<String> {
    let expected = why.expected_per_week?;
    let number = match decimal(expected, 2) {
        text if text == "0" => "less than 0.01".to_string(),
        text => format!("about {text}"),
    };
    let budget = match why.budget_per_week {
        Some(budget) => {
            let scope = why.budget_scope.as_deref();
            let scope = scope.map_or(String::new(), |scope| format!(" of {scope}"));
            format!("; you accept {} false ones{scope}", decimal(budget, 2))
        }
        None => String::new(),
    };
    Some(format!(
        "Judging by how often this and the other series surprise, {number} as strong come in a \
         week, true ones included{budget}."
    ))
}

/// Who made most of it, for a surge that attributions explain.
fn who(event: &InsightEvent) -> Option<String> {
    if event.direction == Direction::Down || event.insight_count == 0 {
        return None;
    }
    let identities = event
        .attributions
        .iter()
        .find(|attribution| attribution.dimension == Dimension::UserIdentityArn)?;
    let first = identities.insight.first()?;
    let share = first.count as f64 * 100.0 / event.insight_count as f64;
    Some(format!(
        "{} made {} % of it.",
        first.value,
        decimal(share, 0)
    ))
}

fn closest(innocent: Innocent) -> &'static str {
    match innocent {
        Innocent::Baseline => {
            "Neither a shift by some minutes, nor the time of day, nor an earlier episode explains \
             it."
        }
        Innocent::Shifted => {
            "That the usual ones came some minutes early or late comes closest to explaining it, \
             and is not enough."
        }
        Innocent::SamePhase => {
            "What happens at this time on other days comes closest to explaining it, and is not \
             enough."
        }
        Innocent::Precedent => {
            "Similar episodes within the last seven days come closest to explaining it, and are \
             not enough."
        }
        Innocent::Late => "On other days these calls always came; they may still come late.",
        Innocent::SingleHour => {
            "Neither what these hours are on other days nor the most unusual one of them alone \
             explains it."
        }
    }
}
