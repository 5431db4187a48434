//! What a verdict was made of, as a person reads it: a row for each window, a line for each step
//! from surprise to score and from score to Start.

use crate::model::{Direction, Explained, Judgement, Reasons, ScoreState, WindowReasons};

/// Titles of the columns of [`window_rows`].
pub const COLUMNS: [&str; 8] = [
    "window",
    "seen",
    "expected",
    "dispersion",
    "surprise",
    "early or late",
    "time of day",
    "left",
];

/// A row for each window, shortest first: what was seen in it, and what the explanations left.
pub fn window_rows(reasons: &Reasons) -> Vec<[String; 8]> {
    reasons.windows.iter().map(window_row).collect()
}

fn window_row(window: &WindowReasons) -> [String; 8] {
    let tried = |explained: Option<Explained>| match explained {
        _ if !window.is_explained => "not needed".to_string(),
        None => "no".to_string(),
        Some(Explained { expected, left }) => format!("{left:.1} ({expected:.2} expected)"),
    };
    // What is not surprising after the first explanation is not asked about the second.
    let same_phase = match window.shifted {
        Some(shifted) if window.surprise == shifted.left && window.same_phase.is_none() => {
            "no".to_string()
        }
        _ => tried(window.same_phase),
    };
    [
        format!("{} min", window.minutes),
        format!("{:.0}", window.count),
        format!("{:.2} ({} to {})", window.expected, window.low, window.high),
        format!("{:.2}", window.dispersion),
        format!("{:.1}", window.raw),
        tried(window.shifted),
        same_phase,
        format!("{:.1}", window.surprise),
    ]
}

/// The rows as a table for a terminal; an arrow is at the window that counts.
pub fn window_table(reasons: &Reasons) -> String {
    let mut rows = vec![COLUMNS.map(str::to_string)];
    rows.extend(window_rows(reasons));
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut table = String::new();
    for (place, row) in rows.iter().enumerate() {
        let is_chosen = reasons.chosen.is_some_and(|chosen| place == chosen + 1);
        table.push_str(if is_chosen { "> " } else { "  " });
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:>width$}"))
            .collect();
        table.push_str(&cells.join("  "));
        table.push('\n');
    }
    table
}

/// Names and values of the steps from the largest surprise to a Start or none.
pub fn steps(judgement: &Judgement) -> Vec<(&'static str, String)> {
    let Some(reasons) = &judgement.reasons else {
        return Vec::new();
    };
    let Some(window) = reasons.chosen.map(|chosen| &reasons.windows[chosen]) else {
        return vec![("score", "z 0: no window surprised".to_string())];
    };
    let side = match window.direction {
        Direction::Up => "more than usual",
        Direction::Down => "less than usual",
    };
    let mut steps = vec![
        (
            "largest",
            format!(
                "1e-{:.1} in {} min, {side}",
                window.surprise, window.minutes
            ),
        ),
        (
            "history",
            format!(
                "about {:.1} of {:.0} hours of this series surprised (older ones fade)",
                reasons.exceedances, reasons.hours
            ),
        ),
        ("score alone", format!("z {:.2}", reasons.z_alone)),
        (
            "precedents",
            format!(
                "{} comparable in the last week, where two excuse: z {:.2}",
                reasons.precedents, judgement.z
            ),
        ),
    ];
    if reasons.start_z < judgement.z {
        steps.push((
            "weak case",
            format!(
                "{:.2} of it counts: {}",
                reasons.start_z,
                match window.direction {
                    Direction::Up => "the last week has an example that was about as high",
                    Direction::Down => "nothing flows at this time that could have stopped",
                }
            ),
        ));
    }
    steps.push(("needed", needed(reasons)));
    steps.push(("outcome", outcome(judgement, reasons)));
    steps
}

fn needed(reasons: &Reasons) -> String {
    let why = match (reasons.is_first_week, reasons.continues) {
        (false, false) => "",
        (true, false) => ", raised in the first week of a series",
        (false, true) => ", raised soon after an incident like it",
        (true, true) => ", raised in the first week of a series and soon after an incident like it",
    };
    match reasons.needed.is_finite() {
        true => format!("{:.2}{why}", reasons.needed),
        false => "no threshold was known yet".to_string(),
    }
}

fn outcome(judgement: &Judgement, reasons: &Reasons) -> String {
    let missing = reasons.needed - reasons.start_z;
    match judgement.state {
        ScoreState::Warmup => "nothing: no incident starts in the warm-up".to_string(),
        ScoreState::New => "nothing: the series is new".to_string(),
        ScoreState::None if missing > 0.0 && missing.is_finite() => {
            format!("nothing: {missing:.2} decades are missing")
        }
        ScoreState::None => {
            "nothing, though the score is enough: the window has too few counts, or \
                             drops are withheld in silence"
                .to_string()
        }
        ScoreState::Up | ScoreState::Down if missing <= 0.0 => {
            "enough for an incident, and one is open".to_string()
        }
        ScoreState::Up | ScoreState::Down => "an incident was open already".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Minute;

    fn window(minutes: u32, raw: f64, shifted: Option<f64>, same: Option<f64>) -> WindowReasons {
        let explained = |left: f64| Explained {
            expected: 30.0,
            left,
        };
        WindowReasons {
            minutes,
            count: 101.0,
            expected: 20.25,
            low: 13.0,
            high: 29.0,
            dispersion: 1.5,
            direction: Direction::Up,
            raw,
            is_explained: raw > 3.0,
            shifted: shifted.map(explained),
            same_phase: same.map(explained),
            surprise: same.or(shifted).unwrap_or(raw),
        }
    }

    fn judgement(state: ScoreState) -> Judgement {
        let windows = vec![
            window(1, 40.25, Some(39.5), Some(30.0)),
            window(5, 20.0, None, Some(12.0)),
            window(10, 2.0, None, None),
        ];
        Judgement {
            minute: Minute(0),
            count: 101,
            expected: 20.25,
            low: 13.0,
            high: 29.0,
            surprise: 30.0,
            z: 9.0,
            state,
            reasons: Some(Box::new(Reasons {
                windows,
                chosen: Some(0),
                exceedances: 2.25,
                hours: 98.4,
                z_alone: 9.0,
                precedents: 1,
                start_z: 7.25,
                needed: 8.0,
                is_first_week: true,
                continues: false,
            })),
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_window() {
        let judgement = judgement(ScoreState::None);
        let reasons = judgement.reasons.as_ref().expect("it has reasons");
        let table = window_table(reasons);
        let lines: Vec<&str> = table.lines().collect();
        let first = ">  1 min   101  20.25 (13 to 29)        1.50      40.2  \
                     39.5 (30.00 expected)  30.0 (30.00 expected)  30.0";
        assert_eq!(lines[1], first);
        assert!(lines[2].contains("20.0                     no  12.0 (30.00 expected)  12.0"));
        assert!(lines[3].ends_with("not needed             not needed   2.0"));
    }

    #[test]
    fn steps_lead_from_surprise_to_outcome() {
        let text = |state| {
            let steps = steps(&judgement(state)).into_iter();
            let lines: Vec<String> = steps
                .map(|(name, text)| format!("{name}: {text}"))
                .collect();
            lines.join("\n")
        };
        let silent = text(ScoreState::None);
        for words in [
            "largest: 1e-30.0 in 1 min, more than usual",
            "about 2.2 of 98 hours",
            "1 comparable",
            "7.25 of it counts",
            "needed: 8.00, raised in the first week",
            "outcome: nothing: 0.75 decades are missing",
        ] {
            assert!(silent.contains(words), "{words} in\n{silent}");
        }
        assert!(text(ScoreState::Up).ends_with("an incident was open already"));
    }
}
