//! Which series and direction something is about, by patterns over the parts of a key.
//!
//! The one notion of "these series" that a person writes: exact texts, or with `*` (any text), `?`
//! (any character) and `[...]` (any of these characters).

use glob::Pattern;

use super::{Direction, InsightType, SeriesRef};

/// Bytes of a pattern: a key may have as many by default.
pub const PATTERN_BYTES_MAX: usize = 1024;

/// Series and direction that match every part; a part that is `None` matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    pub account: Option<Pattern>,
    pub region: Option<Pattern>,
    pub event_source: Option<Pattern>,
    pub event_name: Option<Pattern>,
    /// Of CloudTrail's name of the type.
    pub insight_type: Option<Pattern>,
    /// Of the empty text for call rates.
    pub error_code: Option<Pattern>,
    pub direction: Option<Direction>,
}

impl Scope {
    /// Names of the parts that have patterns, in the order of a key.
    pub const FIELDS: [&'static str; 6] = [
        "account",
        "region",
        "event_source",
        "event_name",
        "insight_type",
        "error_code",
    ];

    /// A scope of patterns in the order of [`Self::FIELDS`]; else the field and what is wrong.
    pub fn parse(
        patterns: [Option<&str>; 6],
        direction: Option<Direction>,
    ) -> Result<Self, (&'static str, String)> {
        let mut parsed = [const { None }; 6];
        for (place, text) in patterns.into_iter().enumerate() {
            let wrong = |text: String| (Self::FIELDS[place], text);
            parsed[place] = text.map(parse_pattern).transpose().map_err(wrong)?;
        }
        let [
            account,
            region,
            event_source,
            event_name,
            insight_type,
            error_code,
        ] = parsed;
        if let Some(pattern) = &insight_type {
            let types = [InsightType::ApiCallRate, InsightType::ApiErrorRate];
            if !types.iter().any(|one| pattern.matches(one.name())) {
                let text =
                    format!("`{pattern}` is neither ApiCallRateInsight nor ApiErrorRateInsight");
                return Err(("insight_type", text));
            }
        }
        Ok(Scope {
            account,
            region,
            event_source,
            event_name,
            insight_type,
            error_code,
            direction,
        })
    }

    /// Its patterns in the order of [`Self::FIELDS`].
    pub fn patterns(&self) -> [Option<&str>; 6] {
        [
            &self.account,
            &self.region,
            &self.event_source,
            &self.event_name,
            &self.insight_type,
            &self.error_code,
        ]
        .map(|pattern| pattern.as_ref().map(Pattern::as_str))
    }

    /// Whether a series is of this scope in some direction.
    pub fn covers(&self, key: SeriesRef<'_>) -> bool {
        let fits = |pattern: &Option<Pattern>, text: &str| {
            pattern.as_ref().is_none_or(|one| one.matches(text))
        };
        fits(&self.account, key.account)
            && fits(&self.region, key.region)
            && fits(&self.event_source, key.event_source)
            && fits(&self.event_name, key.event_name)
            && fits(&self.insight_type, key.insight_type.name())
            && fits(&self.error_code, key.error_code)
    }

    /// Whether a series is of this scope in this direction.
    pub fn matches(&self, key: SeriesRef<'_>, direction: Direction) -> bool {
        self.direction.is_none_or(|one| one == direction) && self.covers(key)
    }

    /// What it matches, as `field=pattern` with commas between; `*` if that is everything.
    pub fn name(&self) -> String {
        let mut parts: Vec<String> = Self::FIELDS
            .iter()
            .zip(self.patterns())
            .filter_map(|(field, pattern)| Some(format!("{field}={}", pattern?)))
            .collect();
        parts.extend(
            self.direction
                .map(|one| format!("direction={}", one.name())),
        );
        if parts.is_empty() {
            return "*".to_string();
        }
        parts.join(",")
    }
}

fn parse_pattern(text: &str) -> Result<Pattern, String> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(format!("it is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    Pattern::new(text).map_err(|error| format!("`{text}` is no pattern: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key<'a>(account: &'a str, error_code: &'a str) -> SeriesRef<'a> {
        SeriesRef {
            account,
            region: "r",
            event_source: "iam.amazonaws.com",
            event_name: "n",
            insight_type: match error_code {
                "" => InsightType::ApiCallRate,
                _ => InsightType::ApiErrorRate,
            },
            error_code,
        }
    }

    #[test]
    fn every_part_has_to_match_and_patterns_are_of_whole_texts() {
        let scope = Scope::parse(
            [
                Some("12*"),
                None,
                Some("iam.*"),
                None,
                None,
                Some("Thrott?ing*"),
            ],
            Some(Direction::Up),
        )
        .unwrap();
        assert!(scope.matches(key("123", "ThrottlingException"), Direction::Up));
        assert!(!scope.matches(key("123", "ThrottlingException"), Direction::Down));
        assert!(!scope.covers(key("9", "ThrottlingException")));
        assert!(!scope.covers(key("123", "NoThrottling")));
        assert_eq!(
            scope.name(),
            "account=12*,event_source=iam.*,error_code=Thrott?ing*,direction=up"
        );
        let calls = Scope::parse([None, None, None, None, None, Some("")], None).unwrap();
        assert!(calls.covers(key("1", "")) && !calls.covers(key("1", "E")));
        assert_eq!(Scope::default().name(), "*");
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_field() {
        let wrong = |place: usize, text: &str| {
            let mut patterns = [None; 6];
            patterns[place] = Some(text);
            Scope::parse(patterns, None).unwrap_err().0
        };
        assert_eq!(wrong(1, "a["), "region");
        assert_eq!(wrong(4, "Api"), "insight_type");
        assert_eq!(wrong(0, &"x".repeat(1025)), "account");
    }
}
