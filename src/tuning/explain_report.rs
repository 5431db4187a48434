//! What `explain` has to say, as values: the model of its page and its JSON.
//!
//! Times are seconds since the epoch, rates are a minute, surprises in decades.

use serde::Serialize;

use super::timeline::{AttributionView, ChartView, Fact, SeriesView};

/// Why an insight was made at a minute, or why none was.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExplainReport {
    pub engine_version: String,
    pub series: SeriesView,
    /// The minute that was judged.
    pub minute: i64,
    /// First and last second of the incident that the minute belongs to; no last while it goes on.
    pub onset: Option<i64>,
    pub end: Option<i64>,
    /// The same in plain words.
    pub sentences: Vec<String>,
    pub facts: Vec<Fact>,
    /// By window, shortest first, a cell for each of [`crate::view::reasons::COLUMNS`].
    pub windows: Vec<Vec<String>>,
    /// Place of the window that counts.
    pub chosen: Option<usize>,
    /// From the largest surprise to a Start or none.
    pub steps: Vec<Fact>,
    pub attributions: Vec<AttributionView>,
    /// Why something is missing here.
    pub notes: Vec<String>,
    pub coarse: Option<ChartView>,
    pub fine: Option<ChartView>,
    /// All of it as on a terminal.
    #[serde(skip)]
    pub text: String,
}

/// The report as Markdown: the text as it is.
pub fn markdown(report: &ExplainReport) -> String {
    let fence = "`".repeat(3);
    format!(
        "# insightd explain\n\n{fence}text\n{}{fence}\n",
        report.text
    )
}
