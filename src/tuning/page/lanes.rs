//! Swim lanes: insights over time, a lane for each series, drawn without JavaScript.
//!
//! Places are percentages of the width, so that a lane fits any screen while its text and marks
//! keep their size.

use hashbrown::HashMap;

use super::super::timeline::{DirectionView, SeriesView, TimelineInsight, TimelineReport};
use super::text;
use crate::model::roll_up_in_words;

/// Series that have a lane of their own.
const LANES_MAX: usize = 60;
/// Marks on the time axis at most; more would collide on a narrow screen.
const TICKS_MAX: i64 = 7;
const HOUR: i64 = 3_600;
/// Steps of the axis, in hours, up to a year.
const TICK_HOURS: [i64; 13] = [1, 3, 6, 12, 24, 48, 96, 168, 336, 672, 1_344, 2_688, 8_760];

/// All lanes and what they share.
pub struct Lanes<'a> {
    pub lanes: Vec<Lane<'a>>,
    pub ticks: Vec<Tick>,
    /// Where the warm-up ends, in percent.
    pub warm_up: Option<String>,
}

/// A mark on the time axis.
pub struct Tick {
    pub left: String,
    pub label: String,
    /// What the label stands on: its start, middle or end.
    pub anchor: &'static str,
}

/// The insights of one series, or of all that have no lane of their own.
pub struct Lane<'a> {
    pub name: String,
    pub detail: String,
    pub bars: Vec<Bar<'a>>,
}

/// One insight in a lane.
pub struct Bar<'a> {
    pub id: &'a str,
    pub left: String,
    pub width: String,
    pub class: String,
    pub is_down: bool,
    pub label: String,
}

/// Lanes of the series with the most insights, in that order, then one for all others.
pub fn lanes(report: &TimelineReport) -> Lanes<'_> {
    let span = Span::of(report);
    let mut by_series: HashMap<&SeriesView, Vec<&TimelineInsight>> = HashMap::new();
    for insight in &report.insights {
        by_series.entry(&insight.series).or_default().push(insight);
    }
    let mut groups: Vec<_> = by_series.into_iter().collect();
    groups.sort_by(|(a, first), (b, second)| (second.len(), a).cmp(&(first.len(), b)));
    let rest = groups.split_off(groups.len().min(LANES_MAX));
    let mut lanes: Vec<Lane> = groups
        .iter()
        .map(|(series, insights)| Lane {
            name: api(series),
            detail: place(series),
            bars: insights.iter().map(|one| bar(one, &span)).collect(),
        })
        .collect();
    if !rest.is_empty() {
        let others = rest.iter().flat_map(|(_, insights)| insights);
        lanes.push(Lane {
            name: format!("{} other series", rest.len()),
            detail: "those with the fewest insights".to_string(),
            bars: others.map(|one| bar(one, &span)).collect(),
        });
    }
    Lanes {
        lanes,
        ticks: span.ticks(),
        warm_up: report
            .warm_up_end
            .filter(|end| *end > span.first)
            .map(|end| text::percent(span.share(end))),
    }
}

/// What a series counts: `GetRole AccessDenied`, `all APIs of iam.amazonaws.com`.
pub fn api(series: &SeriesView) -> String {
    let SeriesView {
        account,
        event_source,
        event_name,
        ..
    } = series;
    let name = roll_up_in_words(account, event_source, event_name);
    let name = name.as_ref().unwrap_or(event_name);
    format!("{name} {}", series.error_code)
        .trim_end()
        .to_string()
}

/// Where it counts it: `iam.amazonaws.com, 111122223333, us-east-1`.
pub fn place(series: &SeriesView) -> String {
    let parts = [&series.event_source, &series.account, &series.region];
    let known: Vec<&str> = parts
        .iter()
        .map(|part| part.as_str())
        .filter(|part| !["", "*"].contains(part))
        .collect();
    known.join(", ")
}

fn bar<'a>(insight: &'a TimelineInsight, span: &Span) -> Bar<'a> {
    let left = span.share(insight.onset);
    let right = insight.end.map_or(1.0, |end| span.share(end));
    let is_down = insight.direction == DirectionView::Down;
    let direction = if is_down { "down" } else { "up" };
    let mark = insight.mark.as_ref().map(|mark| mark.mark.name());
    let api = api(&insight.series);
    let onset = text::minute(insight.onset);
    Bar {
        id: &insight.id,
        left: text::percent(left),
        width: text::percent(right - left),
        class: format!("{direction} {}", mark.unwrap_or_default()),
        is_down,
        label: match mark {
            Some(mark) => format!("{mark}: {api} {direction} from {onset}"),
            None => format!("{api} {direction} from {onset}"),
        },
    }
}

/// The time that is drawn, in seconds since the epoch.
struct Span {
    first: i64,
    last: i64,
}

impl Span {
    /// The input's, widened to what lies outside of it.
    fn of(report: &TimelineReport) -> Self {
        let times = report
            .insights
            .iter()
            .flat_map(|one| [Some(one.onset), one.end]);
        let mut span = Span {
            first: report.first,
            last: report.last,
        };
        for time in times.flatten() {
            span.first = span.first.min(time);
            span.last = span.last.max(time);
        }
        span
    }

    fn share(&self, time: i64) -> f64 {
        let length = (self.last - self.first).max(1);
        ((time - self.first) as f64 / length as f64).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<Tick> {
        let length = self.last - self.first;
        let fits = |hours: &&i64| length / (**hours * HOUR) < TICKS_MAX;
        let Some(step) = TICK_HOURS.iter().find(fits).map(|hours| hours * HOUR) else {
            return Vec::new();
        };
        let start = self.first.div_euclid(step) * step;
        (0..=TICKS_MAX)
            .map(|place| start + place * step)
            .filter(|time| (self.first..=self.last).contains(time))
            .map(|time| {
                let share = self.share(time);
                Tick {
                    left: text::percent(share),
                    label: text::day(time),
                    anchor: match share {
                        share if share < 0.06 => "start",
                        share if share > 0.94 => "end",
                        _ => "middle",
                    },
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: [&str; 5], expected: [&str; 2]) {
        let series = SeriesView {
            account: key[0].to_string(),
            region: key[1].to_string(),
            event_source: key[2].to_string(),
            event_name: key[3].to_string(),
            error_code: key[4].to_string(),
            ..SeriesView::default()
        };
        assert_eq!([api(&series), place(&series)], expected);
    }

    #[test]
    fn a_series_is_named_by_what_it_counts_and_where() {
        check(["1", "r", "iam", "GetRole", ""], ["GetRole", "iam, 1, r"]);
        let denied = ["GetRole Denied", "iam"];
        check(["", "", "iam", "GetRole", "Denied"], denied);
        check(["1", "r", "iam", "*", ""], ["all APIs of iam", "iam, 1, r"]);
        let of_account = ["all APIs of account 1 Denied", "1"];
        check(["1", "*", "*", "*", "Denied"], of_account);
    }
}
