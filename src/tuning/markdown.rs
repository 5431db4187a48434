//! Reports as Markdown: for a pull request, and readable on a terminal.

use std::fmt::Write as _;

use super::diff::{DiffReport, DifferenceView, Mark};
use super::report::{KindView, RivalView, SettingView, TuneReport};

/// Labels that were missed and are listed.
const MISSED_MAX: usize = 50;

/// The whole report.
pub fn tune(report: &TuneReport) -> String {
    let mut text = String::new();
    let input = &report.input;
    line(&mut text, "# insightd tune");
    line(&mut text, "");
    let span = match (&input.first, &input.last) {
        (Some(first), Some(last)) => format!(", {first} to {last}"),
        _ => String::new(),
    };
    line(
        &mut text,
        &format!(
            "{} records in {} files{span}, {} of them counted: {} series, {} counts of one \
             series and minute; {} could not be used.",
            input.records, input.files, input.counted, input.series, input.counts, input.rejected
        ),
    );
    if let Some(scored) = &report.scored {
        line(
            &mut text,
            &format!(
                "Judged: {} to {}, {:.1} weeks, {:.1} of them after the engine's first week. \
                 Budget: {} false insights a week.",
                scored.from, scored.to, scored.weeks, scored.settled_weeks, report.budget_per_week
            ),
        );
    }
    for note in &report.notes {
        line(&mut text, &format!("* Note: {note}."));
    }
    if report.scored.is_some() {
        recommendation(&mut text, report);
        costs(&mut text, report);
        finds(&mut text, report);
        spenders(&mut text, report);
        stories(&mut text, report);
        smallest(&mut text, report);
        labels(&mut text, report);
    }
    text
}

/// Two settings compared.
pub fn diff(report: &DiffReport) -> String {
    let mut text = String::new();
    let (first, second) = (&report.first, &report.second);
    line(&mut text, "# insightd diff\n");
    for (letter, side) in [("a", first), ("b", second)] {
        let (name, hash) = (&side.name, &side.settings_hash);
        let figures = format!("{} insights on {} series", side.insights, side.series);
        line(
            &mut text,
            &format!("* {letter}: {name}, {figures}, settings {hash}"),
        );
    }
    let count = |mark: Mark| {
        let of_mark = report.differences.iter().filter(|one| one.mark == mark);
        of_mark.count()
    };
    line(
        &mut text,
        &format!(
            "\n{} the same, {} gained, {} lost, {} moved.",
            report.same,
            count(Mark::Gained),
            count(Mark::Lost),
            count(Mark::Moved)
        ),
    );
    for (mark, title) in [
        (Mark::Gained, "Gained: only b says them"),
        (Mark::Lost, "Lost: only a says them"),
        (Mark::Moved, "Moved"),
    ] {
        let of_mark = report.differences.iter().filter(|one| one.mark == mark);
        let of_mark: Vec<&DifferenceView> = of_mark.collect();
        if !of_mark.is_empty() {
            line(&mut text, &format!("\n## {title}\n"));
        }
        for one in of_mark {
            let head = format!("* {} {} `{}`", one.start, one.direction, one.series);
            line(&mut text, &format!("{head}: {}.", one.reason));
        }
    }
    text
}

fn recommendation(text: &mut String, report: &TuneReport) {
    let chosen = &report.recommendation;
    line(text, "\n## Recommendation\n");
    let what = match chosen.setting {
        None => "Nothing can be recommended.".to_string(),
        Some(0) => "Keep the present settings.".to_string(),
        Some(place) => format!("Take **{}**.", report.settings[place].name),
    };
    line(text, &what);
    line(text, "");
    for reason in &chosen.reasons {
        line(text, &format!("* {reason}."));
    }
    if !chosen.toml.is_empty() {
        line(text, &format!("\n```toml\n{}```", chosen.toml));
    }
}

fn costs(text: &mut String, report: &TuneReport) {
    let has_labels = !report.labels.is_empty();
    line(text, "\n## What each setting costs and finds\n");
    let labelled = if has_labels {
        " precision | recall |"
    } else {
        ""
    };
    line(
        text,
        &format!(
            "| setting | threshold, calls / errors | false a week, asked | insights a week (90 %) \
             | budget spent | found of planted |{labelled}"
        ),
    );
    let columns = if has_labels { 8 } else { 6 };
    line(text, &format!("|{}", "---|".repeat(columns)));
    for setting in &report.settings {
        cost_row(text, setting, has_labels);
    }
    for rival in &report.rivals {
        rival_row(text, rival, has_labels);
    }
    line(text, "");
    scopes(text, report);
    for rival in &report.rivals {
        line(text, &format!("* {}: {}.", rival.name, rival.about));
    }
    for setting in report.settings.iter().filter(|one| one.muted > 0) {
        let (muted, name) = (setting.muted, &setting.name);
        line(
            text,
            &format!("* {muted} of the insights of {name} are muted: decided and not written."),
        );
    }
    line(
        text,
        "* Insights are all of them, true ones included; by the engine's promise at most twice the \
         false ones that were asked for.",
    );
}

fn cost_row(text: &mut String, setting: &SettingView, has_labels: bool) {
    let (low, high) = setting.insights_per_week_90;
    let labelled = match has_labels {
        true => format!(
            " {} | {} |",
            share(setting.precision),
            share(setting.recall)
        ),
        false => String::new(),
    };
    line(
        text,
        &format!(
            "| {} | {} | {} | {} ({} to {}) | {} | {} |{labelled}",
            setting.name,
            thresholds(setting),
            optional(setting.budget_per_week),
            figure(setting.insights_per_week),
            figure(low),
            figure(high),
            share(setting.budget_spent),
            share(setting.mean_detection),
        ),
    );
}

/// Both thresholds of what is in no scope.
pub fn thresholds(setting: &SettingView) -> String {
    let z = |z: Option<f64>| optional(z.map(|z| format!("{z:.2}")));
    format!("{} / {}", z(setting.threshold), z(setting.threshold_errors))
}

fn scopes(text: &mut String, report: &TuneReport) {
    let Some(present) = report.settings.first().filter(|one| !one.scopes.is_empty()) else {
        return;
    };
    line(
        text,
        "| budget (present settings) | threshold, calls / errors | false a week, asked \
         | insights a week | budget spent |",
    );
    line(text, "|---|---|---|---|---|");
    for scope in &present.scopes {
        line(
            text,
            &format!(
                "| `{}` | {:.2} / {:.2} | {} | {} | {} |",
                scope.name,
                scope.threshold,
                scope.threshold_errors,
                figure(scope.budget_per_week),
                figure(scope.unlabelled_per_week),
                share(Some(scope.budget_spent)),
            ),
        );
    }
    line(text, "");
}

fn rival_row(text: &mut String, rival: &RivalView, has_labels: bool) {
    let labelled = match has_labels {
        true => format!(" – | {} |", share(rival.recall)),
        false => String::new(),
    };
    line(
        text,
        &format!(
            "| *{}* | – | – | {} | – | {} |{labelled}",
            rival.name,
            figure(rival.alarms_per_week),
            share(rival.mean_detection),
        ),
    );
}

fn finds(text: &mut String, report: &TuneReport) {
    line(text, "\n## Planted incidents\n");
    if let Some(why) = &report.injections.why_none {
        return line(text, &format!("None were planted: {why}."));
    }
    line(
        text,
        &format!(
            "{} incidents on copies of {} series; found, and median delay in minutes.\n",
            report.injections.planted, report.injections.series
        ),
    );
    let ratio = report.rivals.iter().filter(|rival| !rival.kinds.is_empty());
    let columns: Vec<(&str, &[KindView])> = report
        .settings
        .iter()
        .map(|setting| (setting.name.as_str(), setting.kinds.as_slice()))
        .chain(ratio.map(|rival| (rival.name.as_str(), rival.kinds.as_slice())))
        .collect();
    let heads: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    line(text, &format!("| kind (number) | {} |", heads.join(" | ")));
    line(text, &format!("|---|{}", "---|".repeat(columns.len())));
    let kinds = columns.first().map_or(&[][..], |(_, kinds)| kinds);
    for (row, kind) in kinds.iter().enumerate() {
        let cells: Vec<String> = columns.iter().map(|(_, kinds)| cell(kinds, row)).collect();
        let head = format!("{} ({})", kind.kind, kind.incidents);
        line(text, &format!("| {head} | {} |", cells.join(" | ")));
    }
}

fn cell(kinds: &[KindView], row: usize) -> String {
    let Some(kind) = kinds.get(row) else {
        return "–".to_string();
    };
    let found = 100.0 * f64::from(kind.found) / f64::from(kind.incidents.max(1));
    match kind.delay_median {
        Some(delay) => format!("{found:.0} % / {delay}"),
        None => format!("{found:.0} %"),
    }
}

fn spenders(text: &mut String, report: &TuneReport) {
    let Some(present) = report.settings.first() else {
        return;
    };
    if present.spenders.is_empty() {
        return;
    }
    line(
        text,
        "\n## Series that spend the budget (present settings)\n",
    );
    line(text, "| series | insights | share |\n|---|---|---|");
    for spender in &present.spenders {
        let share = share(Some(spender.share));
        line(
            text,
            &format!("| `{}` | {} | {share} |", spender.series, spender.insights),
        );
    }
}

fn stories(text: &mut String, report: &TuneReport) {
    let Some(present) = report.settings.first() else {
        return;
    };
    let stories = &present.stories;
    if stories.largest.is_empty() {
        return;
    }
    line(text, "\n## Stories (present settings)\n");
    line(
        text,
        &format!(
            "{} Starts are {} stories; those with most:\n",
            stories.starts, stories.stories
        ),
    );
    line(
        text,
        "| account | first unusual minute | Starts | APIs |\n|---|---|---|---|",
    );
    for story in &stories.largest {
        let (account, start, starts) = (&story.account, &story.start, story.starts);
        line(
            text,
            &format!("| {account} | {start} | {starts} | `{}` |", story.apis),
        );
    }
}

fn smallest(text: &mut String, report: &TuneReport) {
    let Some(first) = report.smallest.first() else {
        return;
    };
    line(
        text,
        "\n## The smallest incident each could still show (present settings)\n",
    );
    line(text, &format!("Asked of {}.\n", first.asked));
    line(
        text,
        "| series | usual a minute | more a minute, for ten minutes | a full stop is noticed after \
         |\n|---|---|---|---|",
    );
    for one in &report.smallest {
        let (surge, stop) = match &one.why_unknown {
            Some(why) => (why.clone(), "–".to_string()),
            None => (
                one.surge
                    .map_or("none".to_string(), |extra| extra.to_string()),
                one.stop_minutes
                    .map_or("not within two hours".to_string(), |minutes| {
                        format!("{minutes} min")
                    }),
            ),
        };
        let usual = figure(one.usual);
        line(
            text,
            &format!("| `{}` | {usual} | {surge} | {stop} |", one.series),
        );
    }
}

fn labels(text: &mut String, report: &TuneReport) {
    if report.labels.is_empty() {
        return;
    }
    let missed: Vec<_> = report.labels.iter().filter(|label| !label.is_hit).collect();
    line(
        text,
        &format!(
            "\n## Labels: {} of {} found, {} missed (present settings)\n",
            report.labels.len() - missed.len(),
            report.labels.len(),
            missed.len()
        ),
    );
    for label in missed.iter().take(MISSED_MAX) {
        let why = label.why_missed.as_deref().unwrap_or_default();
        let head = format!("* `{}` {} {}", label.series, label.start, label.kind);
        line(text, &format!("{head}: {why}."));
    }
    if missed.len() > MISSED_MAX {
        let more = missed.len() - MISSED_MAX;
        line(
            text,
            &format!("* and {more} more; the JSON report has all."),
        );
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes all text");
}

pub(super) fn share(value: Option<f64>) -> String {
    optional(value.map(|share| format!("{:.0} %", 100.0 * share)))
}

pub(super) fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or("–".to_string(), |value| value.to_string())
}

/// A figure with about three digits.
pub(super) fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 0.01 || value == 0.0 => format!("{value:.2}"),
        value => format!("{value:.1e}"),
    }
}
