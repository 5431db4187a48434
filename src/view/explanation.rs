//! Why an insight fired, or why nothing did, in plain text.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::model::{
    Direction, EndReason, IncidentKind, Innocent, InsightEvent, Judgement, Minute, ScoreRow,
    ScoreState, SeriesKey,
};

/// An insight with its end, if it has one yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedPair {
    pub start: InsightEvent,
    pub end: Option<InsightEvent>,
}

/// What is known of one series around a minute at which nothing fired.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExplainedSilence {
    pub minute: Minute,
    /// Judged minutes around it, in order.
    pub rows: Vec<ScoreRow>,
    /// Score that a Start needed then.
    pub threshold: Option<f64>,
    /// Smallest count in that minute that would have started an incident.
    pub count_to_fire: Option<u64>,
    /// The series had any count at all.
    pub is_known: bool,
}

impl ExplainedPair {
    /// Several lines; `sentence` is what the record says.
    pub fn text(&self, sentence: &str) -> String {
        let mut text = format!("{}\n\n{sentence}\n\n", self.start.series);
        for (name, value) in self.facts() {
            writeln!(text, "{name:14} {value}").expect("a String takes all text");
        }
        text
    }

    /// Names and values of all that is known of the Start.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        self.decision().into_iter().chain(self.reasons()).collect()
    }

    /// What was seen, and when.
    fn decision(&self) -> Vec<(&'static str, String)> {
        let start = &self.start;
        let why = &start.explanation;
        let direction = start.direction.name();
        let (low, high) = (why.expected_low, why.expected_high);
        vec![
            (
                "fired",
                format!("{direction}, decided {}", start.decided_at),
            ),
            ("onset", start.minute.to_string()),
            ("end", self.end_text()),
            (
                "seen",
                format!("{} in {} min", why.observed, why.window_minutes),
            ),
            (
                "expected",
                format!("{:.2}, usually {low} to {high}", why.expected),
            ),
            (
                "baseline",
                format!(
                    "{} over {} min before the onset",
                    start.baseline_count, start.baseline_minutes
                ),
            ),
        ]
    }

    /// Why that was too much or too little, and who made it.
    fn reasons(&self) -> Vec<(&'static str, String)> {
        let start = &self.start;
        let why = &start.explanation;
        let mut lines = vec![
            (
                "windows",
                match why.kind {
                    IncidentKind::Minutes => format!(
                        "four window lengths were judged; the {} min window surprised most",
                        why.window_minutes
                    ),
                    IncidentKind::Hours => format!(
                        "4, 12 and 24 hours were judged by the seasons alone; {} surprised most",
                        why.window_minutes / 60
                    ),
                    IncidentKind::Missed => "an hour that is busy on other days, and those beside \
                                             it"
                    .to_string(),
                },
            ),
            (
                "surprise",
                format!(
                    "1e-{:.1} before explanations, 1e-{:.1} after",
                    why.surprise_raw, why.surprise
                ),
            ),
            ("explanations", {
                let tried = match why.kind {
                    IncidentKind::Minutes => {
                        "baseline, shifted or late, same time of day, precedent"
                    }
                    IncidentKind::Hours => "seasons, these hours of other days, a single hour",
                    IncidentKind::Missed => "an hour early or late, maintenance, a holiday",
                };
                format!("{tried}; {}", closest(why.closest))
            }),
            (
                "score",
                format!(
                    "z {:.2} against a threshold of {:.2} decades",
                    why.z, why.z_threshold
                ),
            ),
            ("would change", would_change(start)),
        ];
        if let Some(former) = start.continues {
            lines.push(("continues", former.to_string()));
        }
        for attribution in &start.attributions {
            let name = attribution.dimension.name();
            for value in &attribution.insight {
                lines.push(("by", format!("{name} {}: {}", value.value, value.count)));
            }
        }
        lines.push(("id", start.shared_event_id.to_string()));
        lines
    }

    fn end_text(&self) -> String {
        match &self.end {
            None => "not in this input".to_string(),
            Some(end) => {
                let reason = match end.reason {
                    Some(EndReason::NewNormal) => {
                        "it is the new normal: it lasted a day, or was said to be"
                    }
                    _ => match end.explanation.kind {
                        IncidentKind::Minutes => "five calm minutes in a row from there",
                        IncidentKind::Hours => "an hour as usual from there",
                        IncidentKind::Missed => "a busy hour from there",
                    },
                };
                format!("{}: {reason}", end.minute)
            }
        }
    }
}

fn closest(innocent: Innocent) -> &'static str {
    match innocent {
        Innocent::Baseline => "none came closer than the baseline itself",
        Innocent::Shifted => "closest: the expected calls came early or late",
        Innocent::SamePhase => "closest: it happens at this time of day",
        Innocent::Precedent => "closest: comparable episodes within the last seven days",
        Innocent::Late => "closest: the calls of this hour come late",
        Innocent::SingleHour => "closest: one of these hours makes it",
    }
}

fn would_change(start: &InsightEvent) -> String {
    let why = &start.explanation;
    match why.count_to_fire {
        Some(count) => {
            let side = match start.direction {
                Direction::Up => "fewer than",
                Direction::Down => "more than",
            };
            format!(
                "{side} {count} in the {} min window, or a threshold above {:.2}",
                why.window_minutes, why.z
            )
        }
        None => format!("a threshold above {:.2}", why.z),
    }
}

impl ExplainedSilence {
    /// The count in the minute asked for.
    pub fn count(&self) -> u64 {
        let at = self.rows.iter().find(|row| row.minute == self.minute);
        at.map_or(0, |row| row.count)
    }

    pub fn text(&self, series: &str) -> String {
        let minute = self.minute;
        let lines = self.lines().join("\n");
        format!("{series}\n\nNothing fired at {minute}.\n\n{lines}\n")
    }

    /// What is known of the minute, line by line.
    pub fn lines(&self) -> Vec<String> {
        let minute = self.minute;
        let mut lines = Vec::new();
        let mut say = |words: String| lines.extend(words.lines().map(str::to_string));
        if !self.is_known {
            say(
                "This series has no count in the input, so nothing was expected of it.".to_string(),
            );
            return lines;
        }
        let at = self.rows.iter().find(|row| row.minute == minute);
        match at {
            Some(row) => say(describe(row, self.threshold)),
            None => say("That minute had no count and no surprise.".to_string()),
        }
        if let Some(count) = self.count_to_fire {
            say(format!(
                "A count of {count} in that minute would have started an incident."
            ));
        }
        let highest = self
            .rows
            .iter()
            .max_by(|a, b| a.z.total_cmp(&b.z).then(b.minute.cmp(&a.minute)));
        if let Some(row) = highest.filter(|row| row.minute != minute && row.z > 0.0) {
            say(format!(
                "Highest score within an hour of it: z {:.2} at {}.",
                row.z, row.minute
            ));
        }
        lines
    }

    /// Adds what a close look at the minute saw, where no row has it.
    pub fn see_closely(&mut self, series: &SeriesKey, judgement: &Judgement) {
        if self.rows.iter().any(|row| row.minute == judgement.minute) {
            return;
        }
        let before = self.rows.iter().filter(|row| row.minute < judgement.minute);
        let place = before.count();
        let row = ScoreRow {
            key: Arc::new(series.clone()),
            minute: judgement.minute,
            count: judgement.count,
            expected: judgement.expected,
            low: judgement.low,
            high: judgement.high,
            surprise: judgement.surprise,
            z: judgement.z,
            state: judgement.state,
        };
        self.rows.insert(place, row);
    }
}

fn describe(row: &ScoreRow, threshold: Option<f64>) -> String {
    let state = match row.state {
        ScoreState::Warmup => "The engine was too young to start incidents.",
        ScoreState::New => "The series was too young to start incidents.",
        ScoreState::None => "No incident was open.",
        ScoreState::Up => "An incident upwards was open.",
        ScoreState::Down => "An incident downwards was open.",
    };
    let needed = threshold.map_or(String::new(), |z| format!(", a Start needs {z:.2}"));
    let surprise = match row.surprise {
        surprise if surprise > 0.0 => format!("1e-{surprise:.1} after explanations"),
        _ => "none".to_string(),
    };
    format!(
        "seen           {}\nexpected       {:.2}, usually {} to {}\n\
         surprise       {surprise}\nscore          z {:.2}{needed}\n{state}",
        row.count, row.expected, row.low, row.high, row.z
    )
}
