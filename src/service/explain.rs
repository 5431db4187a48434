//! A close look at one minute of one series of a run that was recorded.

use crate::config::Settings;
use crate::model::{Judgement, Minute, SeriesKey};
use crate::tuning::SeriesSet;
use crate::tuning::chart::Charts;
use crate::tuning::close_look::{Question, look_closely};
use crate::tuning::part_run::Part;
use crate::view::plot;

use super::Recorded;

/// What is known of a minute and of the time around it.
pub struct Closely {
    /// Of the minute itself, with its reasons; `None` where the series was not known then.
    pub at: Option<Judgement>,
    /// Of the minutes that a plot shows.
    pub around: Vec<Judgement>,
    pub charts: Charts,
}

impl Recorded {
    /// Looks at `minute`, with charts around `onset`; `None` where the series has no count.
    pub fn look(
        &self,
        settings: &Settings,
        series: &SeriesKey,
        minute: Minute,
        onset: Minute,
    ) -> Option<Closely> {
        let number = self.kept.find(series.as_ref())?;
        let mut keep = SeriesSet::none(&self.kept);
        keep.insert(number);
        let detect = &settings.detect;
        let width = detect.bucket_minutes;
        let mut closely = Closely {
            at: None,
            around: Vec::new(),
            charts: Charts::around(onset, &(self.origin..self.closed), width),
        };
        let first = Minute(minute.0.saturating_sub(plot::BEFORE * width));
        let shown = first..Minute(minute.0 + (plot::AFTER + 1) * width);
        let charts = closely.charts.span();
        let question = Question {
            series: number,
            span: charts.start.min(shown.start)..charts.end.max(shown.end),
            with_reasons: Some(minute),
        };
        let part = Part {
            kept: &self.kept,
            keep: &keep,
            settings: detect,
            origin: self.origin,
            has_scores: false,
        };
        look_closely(
            &part,
            &mut self.run.thresholds(),
            &[question],
            &mut |_, judgement| {
                closely.charts.add(judgement);
                if shown.contains(&judgement.minute) {
                    closely.around.push(judgement.clone());
                }
                if judgement.minute == minute {
                    closely.at = Some(judgement.clone());
                }
            },
        );
        Some(closely)
    }
}
