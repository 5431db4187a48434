//! What `explain` found, for a terminal and for its reports.

use super::report_file::{Form, json};
use crate::formats::sentence;
use crate::model::{Judgement, Minute, Reasons, SeriesKey};
use crate::service::Closely;
use crate::tuning::explain_report::{ExplainReport, markdown};
use crate::tuning::page;
use crate::tuning::timeline::{Fact, TimelineInsight};
use crate::tuning::timeline_insight::{series_view, timeline_insight};
use crate::view::plot::Plot;
use crate::view::reasons::{steps, window_rows, window_table};
use crate::view::{ExplainedPair, ExplainedSilence};

pub const FORMS: [Form<ExplainReport>; 3] =
    [("html", page::explain), ("md", markdown), ("json", json)];

/// Everything there is to say.
pub struct Explained {
    pub series: SeriesKey,
    /// The minute that was judged.
    pub minute: Minute,
    /// The insight, if there is one; else what is known of the silence.
    pub pair: Option<ExplainedPair>,
    pub silence: ExplainedSilence,
    pub closely: Option<Closely>,
    pub bucket_minutes: u32,
    pub notes: Vec<String>,
}

impl Explained {
    /// Text for standard output, in colours if that is a terminal that wants them.
    pub fn terminal(&self) -> String {
        let choice = anstream::AutoStream::choice(&std::io::stdout());
        self.text(choice != anstream::ColorChoice::Never)
    }

    fn text(&self, has_colours: bool) -> String {
        let mut text = match &self.pair {
            Some(pair) => pair.text(&sentence(&pair.start)),
            None => self.silence.text(&self.series.to_string()),
        };
        for note in &self.notes {
            text.push_str(&format!("\n{note}\n"));
        }
        if let Some(closely) = &self.closely {
            let plot = Plot {
                judgements: &closely.around,
                marked: self.minute,
                bucket_minutes: self.bucket_minutes,
                has_colours,
            };
            text.push('\n');
            text.push_str(&plot.text());
        }
        if let Some((judgement, reasons)) = self.reasons() {
            text.push_str(&format!(
                "\nWindows that end with {}, in decades (6 is one in a million):\n\n{}\n",
                self.minute,
                window_table(reasons)
            ));
            for (name, value) in steps(judgement) {
                text.push_str(&format!("{name:14} {value}\n"));
            }
        }
        text
    }

    fn reasons(&self) -> Option<(&Judgement, &Reasons)> {
        let judgement = self.closely.as_ref()?.at.as_ref()?;
        Some((judgement, judgement.reasons.as_deref()?))
    }

    pub fn report(&self) -> ExplainReport {
        let (coarse, fine) = match &self.closely {
            Some(closely) => (
                Some(closely.charts.coarse.view()),
                Some(closely.charts.fine.view()),
            ),
            None => (None, None),
        };
        let insight = self.pair.as_ref().map(timeline_insight);
        let is_silent = insight.is_none();
        let silence = || {
            let first = format!("Nothing fired at {}.", self.minute);
            [vec![first], self.silence.lines()].concat()
        };
        let TimelineInsight {
            sentences,
            facts,
            attributions,
            onset,
            end,
            ..
        } = insight.unwrap_or_default();
        let mut report = ExplainReport {
            engine_version: env!("CARGO_PKG_VERSION").to_string(),
            series: series_view(&self.series),
            minute: self.minute.start().seconds(),
            onset: (!is_silent).then_some(onset),
            end,
            sentences: if is_silent { silence() } else { sentences },
            facts,
            attributions,
            notes: self.notes.clone(),
            coarse,
            fine,
            text: self.text(false),
            ..ExplainReport::default()
        };
        if let Some((judgement, reasons)) = self.reasons() {
            let rows = window_rows(reasons).into_iter();
            report.windows = rows.map(Vec::from).collect();
            report.chosen = reasons.chosen;
            let fact = |(name, value): (&str, String)| Fact {
                name: name.to_string(),
                value,
            };
            report.steps = steps(judgement).into_iter().map(fact).collect();
        }
        report
    }
}
