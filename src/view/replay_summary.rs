//! The summary at the end of a replay: what was read, what became of it, what it led to.
//!
//! Every record is counted, skipped by a rule or rejected for a reason; the three are printed
//! with their sum, so that a reader can check that nothing was lost.

use std::fmt;

use super::{MuteView, Story};
use crate::model::EventTime;

/// APIs that are named of a story.
const APIS_SHOWN: usize = 3;

/// What became of all records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordSums {
    pub records: u64,
    /// Records that went into a count; late ones are among them.
    pub counted: u64,
    /// Counted, but too late to change a decision.
    pub late: u64,
    /// Rules with how many records they left out.
    pub skipped: Vec<(&'static str, u64)>,
    /// Reasons with how many records they rejected.
    pub rejected: Vec<(&'static str, u64)>,
}

/// The threshold in force at the end, and what it allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdView {
    /// Score a Start needs.
    pub z: f64,
    /// False insights a week that are accepted; `None` when the threshold is fixed by hand.
    pub budget_per_week: Option<f64>,
    /// Starts a week over the time in which Starts were possible.
    pub starts_per_week: Option<f64>,
    /// Whether budgets of scopes stand beside that budget.
    pub has_scopes: bool,
    /// What to say of budgets below what thresholds were verified for.
    pub warning: Option<String>,
}

/// Insights grouped by what may be one cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoriesView {
    /// Starts that stories are made of.
    pub starts: u64,
    pub stories: u64,
    /// Those with most Starts, most first.
    pub largest: Vec<Story>,
}

/// What a run took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunCost {
    pub wall_seconds: f64,
    /// Over all threads; `None` where the system does not tell.
    pub cpu_seconds: Option<f64>,
}

/// A replay in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplaySummary {
    /// What cut the run short, if anything did.
    pub cut_short: Option<&'static str>,
    pub files: u64,
    pub streams: u64,
    pub files_lost: u64,
    pub bytes: u64,
    pub sums: RecordSums,
    pub span: Option<(EventTime, EventTime)>,
    /// Series tracked at the end.
    pub series: u64,
    /// Limits that were reached, with how often.
    pub limits: Vec<(&'static str, u64)>,
    pub starts: u64,
    pub ends: u64,
    /// Insights decided before `--from`.
    pub withheld: u64,
    /// Feedback that was heeded, and all of it.
    pub feedback: (u64, u64),
    /// Starts that maintenance windows kept from being ones.
    pub in_maintenance: u64,
    /// Mutes with what each hid.
    pub mutes: Vec<MuteView>,
    pub stories: StoriesView,
    pub threshold: Option<ThresholdView>,
    pub cost: RunCost,
}

impl RecordSums {
    pub fn skipped_total(&self) -> u64 {
        self.skipped.iter().map(|(_, count)| count).sum()
    }

    pub fn rejected_total(&self) -> u64 {
        self.rejected.iter().map(|(_, count)| count).sum()
    }

    /// What to look at when no record was counted, by what became of most of them.
    pub fn hint(&self) -> Option<&'static str> {
        if self.counted > 0 {
            return None;
        }
        let most = |counters: &[(&'static str, u64)]| {
            let most = counters.iter().max_by_key(|(_, count)| *count);
            most.copied().unwrap_or_default()
        };
        let (skipped, rejected) = (most(&self.skipped), most(&self.rejected));
        if rejected.1 > skipped.1 {
            return Some(
                "is --format right? --rejects FILE keeps the records, each with its reason",
            );
        }
        match skipped.0 {
            "read_call" => {
                Some("calls that only read are left out unless counting.read_calls is true")
            }
            "data_off" => Some("data events are left out unless counting.data_events is true"),
            _ => None,
        }
    }

    /// Every record is in exactly one place.
    pub fn add_up(&self) -> bool {
        self.records == self.counted + self.skipped_total() + self.rejected_total()
    }
}

impl fmt::Display for ReplaySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cause) = self.cut_short {
            writeln!(
                f,
                "cut short by {cause}; what was decided so far was written"
            )?;
        }
        let lost = match self.files_lost {
            0 => String::new(),
            lost => format!(", {lost} not or not wholly readable"),
        };
        writeln!(
            f,
            "files      {} in {} streams{lost}, {} decompressed",
            self.files,
            self.streams,
            bytes(self.bytes)
        )?;
        self.write_records(f)?;
        if let Some((first, last)) = self.span {
            writeln!(f, "time       {first} to {last}")?;
        }
        writeln!(f, "series     {}", self.series)?;
        if !self.limits.is_empty() {
            writeln!(f, "limits     {}", list(&self.limits))?;
        }
        self.write_insights(f)?;
        let cpu = self.cost.cpu_seconds;
        let cpu = cpu.map_or(String::new(), |cpu| format!(", {cpu:.2} s CPU"));
        write!(f, "took       {:.2} s{cpu}", self.cost.wall_seconds)
    }
}

impl ReplaySummary {
    fn write_records(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sums = &self.sums;
        writeln!(
            f,
            "records    {} = {} counted + {} skipped by rule + {} rejected",
            sums.records,
            sums.counted,
            sums.skipped_total(),
            sums.rejected_total()
        )?;
        if sums.late > 0 {
            writeln!(f, "  late     {} of the counted", sums.late)?;
        }
        if !sums.skipped.is_empty() {
            writeln!(f, "  skipped  {}", list(&sums.skipped))?;
        }
        if !sums.rejected.is_empty() {
            writeln!(f, "  rejected {}", list(&sums.rejected))?;
        }
        if let Some(hint) = sums.hint() {
            writeln!(f, "  hint     nothing was counted: {hint}")?;
        }
        Ok(())
    }

    /// Nothing where no mute hid anything.
    fn write_mutes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hid = |view: &&MuteView| view.starts + view.ends > 0;
        let starts: u64 = self.mutes.iter().map(|view| view.starts).sum();
        let ends: u64 = self.mutes.iter().map(|view| view.ends).sum();
        if starts + ends == 0 {
            return Ok(());
        }
        writeln!(f, "muted      {starts} Start, {ends} End, not written")?;
        for view in self.mutes.iter().filter(hid) {
            writeln!(f, "  {view}")?;
        }
        Ok(())
    }

    fn write_insights(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let withheld = match self.withheld {
            0 => String::new(),
            withheld => format!(", {withheld} decided before --from and not written"),
        };
        writeln!(
            f,
            "insights   {} Start, {} End{withheld}",
            self.starts, self.ends
        )?;
        if self.feedback.1 > 0 {
            let (heeded, all) = self.feedback;
            writeln!(f, "feedback   {heeded} of {all} heeded")?;
        }
        if self.in_maintenance > 0 {
            let starts = self.in_maintenance;
            writeln!(
                f,
                "worked on  {starts} Start kept from being one by maintenance windows"
            )?;
        }
        self.write_mutes(f)?;
        write!(f, "{}", self.stories)?;
        let Some(threshold) = &self.threshold else {
            return Ok(());
        };
        write!(f, "threshold  {:.2} decades", threshold.z)?;
        match threshold.budget_per_week {
            Some(budget) => {
                write!(f, " for a budget of {budget} false insights a week")?;
                if threshold.has_scopes {
                    write!(f, ", those of scopes apart")?;
                }
            }
            None => write!(f, ", fixed")?,
        }
        if let Some(starts) = threshold.starts_per_week {
            write!(f, "; spent {starts:.2} Starts a week, true ones included")?;
        }
        writeln!(f)?;
        match &threshold.warning {
            Some(warning) => writeln!(f, "  warning  {warning}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for StoriesView {
    /// Nothing where every story is a single Start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.stories == self.starts {
            return Ok(());
        }
        writeln!(
            f,
            "stories    {} insights in {} stories; those with most:",
            self.starts, self.stories
        )?;
        for story in self.largest.iter().filter(|story| story.starts > 1) {
            writeln!(
                f,
                "  {} account {}: {} insights, {}",
                story.event_time,
                story.account,
                story.starts,
                story.main_apis(APIS_SHOWN)
            )?;
        }
        Ok(())
    }
}

fn list(counters: &[(&'static str, u64)]) -> String {
    let parts: Vec<String> = counters
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    parts.join(", ")
}

fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} bytes")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_adds_up_in_print() {
        let summary = ReplaySummary {
            files: 2,
            streams: 1,
            files_lost: 1,
            bytes: 1_234_567,
            sums: RecordSums {
                records: 10,
                counted: 5,
                late: 1,
                skipped: vec![("duplicate", 2), ("digest", 1)],
                rejected: vec![("invalid_json", 2)],
            },
            series: 3,
            starts: 1,
            ..ReplaySummary::default()
        };
        assert!(summary.sums.add_up());
        assert_eq!(
            summary.to_string(),
            "files      2 in 1 streams, 1 not or not wholly readable, 1.2 MB decompressed\n\
             records    10 = 5 counted + 3 skipped by rule + 2 rejected\n  \
             late     1 of the counted\n  \
             skipped  2 duplicate, 1 digest\n  \
             rejected 2 invalid_json\n\
             series     3\n\
             insights   1 Start, 0 End\n\
             took       0.00 s"
        );
    }

    #[test]
    fn a_run_that_counted_nothing_says_where_to_look() {
        let check = |counted, skipped: &[(&'static str, u64)], rejected, words: &str| {
            let sums = RecordSums {
                counted,
                skipped: skipped.to_vec(),
                rejected: vec![("not_json", rejected)],
                ..RecordSums::default()
            };
            assert!(sums.hint().unwrap_or_default().contains(words), "{sums:?}");
            assert_eq!(sums.hint().is_some(), !words.is_empty());
        };
        check(
            0,
            &[("read_call", 3), ("data_off", 2)],
            1,
            "counting.read_calls",
        );
        check(
            0,
            &[("read_call", 2), ("data_off", 3)],
            1,
            "counting.data_events",
        );
        check(0, &[("duplicate", 3)], 4, "--format");
        check(0, &[("duplicate", 3)], 1, "");
        check(1, &[("read_call", 3)], 4, "");
    }
}
