//! The rate of one series beside what was expected of it, as text for a terminal.
//!
//! A column is a bucket. What was usual is a light band, what was seen a bar; where a bar covers
//! the band it is drawn in a middle tone, so that all can be told apart without colours.

use std::fmt::Write as _;

use crate::model::{Judgement, Minute};

/// Columns before the marked bucket, and after it.
pub const BEFORE: u32 = 47;
pub const AFTER: u32 = 24;
const ROWS: u32 = 12;
/// Eighths of a cell, from the bottom.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const BAND: char = '░';
const COVERED: char = '▓';
const UNSEEN: &str = "\u{1b}[2m";
const OUTSIDE: &str = "\u{1b}[1;31m";
const PLAIN: &str = "\u{1b}[0m";

/// What to draw.
#[derive(Clone, Copy, Debug)]
pub struct Plot<'a> {
    /// By minute; a bucket that is missing is empty.
    pub judgements: &'a [Judgement],
    pub marked: Minute,
    pub bucket_minutes: u32,
    pub has_colours: bool,
}

/// One column in counts a minute.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    seen: f64,
    low: f64,
    high: f64,
    is_known: bool,
}

impl Plot<'_> {
    /// Lines of at most 80 columns.
    pub fn text(&self) -> String {
        let columns = self.columns();
        let tops = columns.iter().map(|column| column.seen.max(column.high));
        let top = tops.fold(0.0, f64::max);
        if top <= 0.0 {
            return "nothing was seen around it, and less than one a minute is usual\n".to_string();
        }
        let mut text = String::new();
        for row in (0..ROWS).rev() {
            let edge = match row {
                _ if row + 1 == ROWS => number(top),
                0 => number(0.0),
                _ if row == ROWS / 2 - 1 => number(top / 2.0),
                _ => String::new(),
            };
            write!(text, "{edge:>7} ").expect("a String takes all text");
            let mut cells = String::new();
            for column in &columns {
                self.cell(column, row, top, &mut cells);
            }
            text.push_str(cells.trim_end());
            text.push('\n');
        }
        text.push_str(&self.axis());
        text
    }

    fn columns(&self) -> Vec<Column> {
        let first = self.first();
        let mut columns = vec![Column::default(); (BEFORE + 1 + AFTER) as usize];
        for judgement in self.judgements {
            let place = judgement.minute.0.checked_sub(first);
            let place = place.map(|minutes| (minutes / self.bucket_minutes) as usize);
            let Some(column) = place.and_then(|place| columns.get_mut(place)) else {
                continue;
            };
            let minutes = f64::from(self.bucket_minutes);
            *column = Column {
                seen: judgement.count as f64 / minutes,
                low: judgement.low / minutes,
                high: judgement.high / minutes,
                is_known: true,
            };
        }
        columns
    }

    /// First minute of the first column.
    fn first(&self) -> u32 {
        let marked = self.marked.bucket(self.bucket_minutes).0;
        marked.saturating_sub(BEFORE * self.bucket_minutes)
    }

    fn cell(&self, column: &Column, row: u32, top: f64, out: &mut String) {
        let scaled = |value: f64| value / top * f64::from(ROWS) - f64::from(row);
        let seen = (scaled(column.seen) * 8.0).round().clamp(0.0, 8.0) as usize;
        let middle = 0.5;
        let is_band = column.is_known
            && scaled(column.low) <= middle
            && (scaled(column.high) > middle || row == 0 && column.high <= 0.0);
        let is_usual = column.low <= column.seen && column.seen <= column.high;
        let (cell, style) = match (seen, is_band) {
            (0, false) => (' ', ""),
            (0, true) => (BAND, UNSEEN),
            (8, true) => (COVERED, ""),
            (eighths, _) if is_usual => (EIGHTHS[eighths], ""),
            (eighths, _) => (EIGHTHS[eighths], OUTSIDE),
        };
        if self.has_colours && !style.is_empty() {
            write!(out, "{style}{cell}{PLAIN}").expect("a String takes all text");
        } else {
            out.push(cell);
        }
    }

    fn axis(&self) -> String {
        let marked = self.marked.bucket(self.bucket_minutes);
        let last = Minute(marked.0 + AFTER * self.bucket_minutes);
        let clock = |minute: Minute| minute.to_string()[11..16].to_string();
        let (before, after) = (BEFORE as usize, AFTER as usize);
        format!(
            "{:8}{}┴{}\n{:8}{:<7$}{:^5}{:>8$}\n",
            "",
            "─".repeat(before),
            "─".repeat(after),
            "",
            clock(Minute(self.first())),
            clock(marked),
            clock(last),
            before - 2,
            after - 2
        ) + &format!(
            "{:8}█ seen a minute, {BAND} usual (5 % to 95 %), {COVERED} both; ┴ {marked}\n",
            ""
        )
    }
}

/// About three digits.
fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_string(),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ScoreState;

    /// A flat series of 4 (2 to 6), that is 12 at the marked minute and silent after it.
    fn judgements() -> Vec<Judgement> {
        let one = |minute: u32| Judgement {
            minute: Minute(minute),
            count: match minute.cmp(&1_000) {
                std::cmp::Ordering::Less => 4,
                std::cmp::Ordering::Equal => 12,
                std::cmp::Ordering::Greater => 0,
            },
            expected: 4.0,
            low: 2.0,
            high: 6.0,
            surprise: 0.0,
            z: 0.0,
            state: ScoreState::None,
            reasons: None,
        };
        (953..1_025).map(one).collect()
    }

    fn plot(judgements: &[Judgement], has_colours: bool) -> String {
        let plot = Plot {
            judgements,
            marked: Minute(1_000),
            bucket_minutes: 1,
            has_colours,
        };
        plot.text()
    }

    #[test]
    fn bars_stand_out_of_the_band() {
        let text = plot(&judgements(), false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), ROWS as usize + 3);
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
        let column = |place: usize| -> String {
            let of_line = |line: &&str| line.chars().nth(8 + place).unwrap_or(' ');
            lines[..ROWS as usize].iter().map(of_line).collect()
        };
        assert_eq!(column(0), "      ░░▓▓██", "4 of 12, usually 2 to 6");
        assert_eq!(column(BEFORE as usize), "██████▓▓▓▓██", "a surge");
        assert_eq!(column(BEFORE as usize + 1), "      ░░░░  ", "a drop");
        assert!(lines[0].starts_with("   12.0 "));
        assert_eq!(lines[13].chars().nth(8 + BEFORE as usize), Some(':'));
        assert!(lines[13].contains("15:53") && lines[13].contains("16:40"));
    }

    #[test]
    fn colours_are_the_only_difference() {
        let (plain, coloured) = (plot(&judgements(), false), plot(&judgements(), true));
        assert!(!plain.contains('\u{1b}'));
        assert!(coloured.contains(OUTSIDE) && coloured.contains(UNSEEN));
        let mut stripped = coloured;
        for style in [OUTSIDE, UNSEEN, PLAIN] {
            stripped = stripped.replace(style, "");
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn without_judgements_it_says_so() {
        assert!(plot(&[], false).starts_with("nothing was seen"));
    }
}
