//! `insightd demo`: two weeks of traffic with known incidents, replayed in seconds, then live.
//!
//! The traffic is made as CloudTrail records and takes the way of real logs, so what the table
//! shows is what the engine would have said of a real account.

use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::arguments::ConfigArgument;
use super::interrupt::Interrupt;
use super::{CliError, Exit};
use crate::config::Settings;
use crate::formats::{Decoded, Decoder, Format, sentence};
use crate::model::{Edge, InsightEvent, Minute, roll_up_in_words};
use crate::service::{Outputs, Pipeline};
use crate::sink::Target;
use crate::synth::{Demo, DemoIncident, START};

/// Real time between two live minutes of event time.
const LIVE_MINUTE: Duration = Duration::from_secs(1);
/// How often to look whether to stop.
const STOP_CHECK: Duration = Duration::from_millis(50);

/// Width of the table where no terminal says how wide it is.
const TABLE_COLUMNS: u16 = 110;

/// Show what insightd does: two weeks of synthetic traffic in seconds, then live
///
/// Prints what happened beside what was planted. The live part makes a minute of traffic a
/// second until Ctrl-C; its insights come as they are decided.
#[derive(Debug, Args)]
pub struct DemoCommand {
    #[command(flatten)]
    config: ConfigArgument,
    /// Stop after the two weeks
    #[arg(long)]
    once: bool,
    /// The same seed makes the same traffic
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl DemoCommand {
    pub fn run(self, is_quiet: bool) -> Result<Exit, CliError> {
        let settings = self.config.load_for_a_look()?;
        let interrupt = Interrupt::install()?;
        let demo = Demo::new(self.seed, START).map_err(CliError::Failure)?;
        let mut show = Show::new(demo, &settings)?;
        let bar = progress_bar(&show.demo, is_quiet);
        let is_whole = show.replay(&interrupt, &bar)?;
        bar.finish_and_clear();
        if !is_whole {
            return Ok(Exit::Done);
        }
        if self.once {
            show.pipeline.finish(None)?;
        }
        show.take_decided();
        show.print(&show.report())?;
        if !self.once {
            show.live(&interrupt)?;
        }
        Ok(Exit::Done)
    }
}

/// The demo's traffic on its way through the engine.
struct Show {
    demo: Demo,
    decoder: Decoder,
    decoded: Decoded,
    bytes: Vec<u8>,
    pipeline: Pipeline<'static>,
    inbox: std::sync::mpsc::Receiver<InsightEvent>,
    decided: Vec<InsightEvent>,
    events: u64,
    begun: Instant,
    out: Target,
}

impl Show {
    fn new(demo: Demo, settings: &Settings) -> Result<Self, CliError> {
        let (sender, inbox) = std::sync::mpsc::channel();
        let outputs = Outputs {
            observer: Some(Box::new(move |detection| {
                for event in &detection.output().insights {
                    // Nobody listens any more only when the demo has ended.
                    let _ = sender.send(event.clone());
                }
            })),
            ..Outputs::default()
        };
        Ok(Show {
            demo,
            decoder: Decoder::new(Format::CloudTrail, settings.decode.clone()),
            decoded: Decoded::default(),
            bytes: Vec::new(),
            pipeline: Pipeline::new(settings, None, outputs)?,
            inbox,
            decided: Vec::new(),
            events: 0,
            begun: Instant::now(),
            out: Target::stdout(),
        })
    }

    /// Runs the history; false when it was interrupted.
    fn replay(&mut self, interrupt: &Interrupt, bar: &ProgressBar) -> Result<bool, CliError> {
        while self.demo.next_hour(&mut self.bytes) {
            self.feed()?;
            bar.set_position(u64::from(self.demo.progress().0));
            if interrupt.exit().is_some() {
                return Ok(false);
            }
        }
        self.feed()?;
        Ok(true)
    }

    /// Has the engine take in the bytes made so far.
    fn feed(&mut self) -> Result<(), CliError> {
        self.decoder.feed(&self.bytes, &mut self.decoded);
        self.bytes.clear();
        let events = &self.decoded.events;
        self.events += events.len() as u64;
        self.pipeline.push(events, 0..events.len())?;
        self.decoded.clear();
        Ok(())
    }

    fn take_decided(&mut self) -> Vec<InsightEvent> {
        let new: Vec<InsightEvent> = self.inbox.try_iter().collect();
        self.decided.extend(new.iter().cloned());
        new
    }

    fn live(&mut self, interrupt: &Interrupt) -> Result<(), CliError> {
        self.print(
            "\nLive: a minute of traffic a second; insights come ten minutes after their time, \
             when counts are final. Ctrl-C ends.\n",
        )?;
        while interrupt.exit().is_none() {
            let next = Instant::now() + LIVE_MINUTE;
            let minute = self.demo.live_minute(&mut self.bytes);
            self.feed()?;
            for event in self.take_decided() {
                let line = live_line(&event);
                self.print(&line)?;
            }
            if minute.0.is_multiple_of(10) {
                self.print(&format!("{minute}  all series watched\n"))?;
            }
            while interrupt.exit().is_none() && Instant::now() < next {
                thread::park_timeout(STOP_CHECK);
            }
        }
        Ok(())
    }

    /// The table of what happened beside what was planted, what was said of each, and a line
    /// about the whole.
    fn report(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_BORDERS_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(["planted", "API", "when (UTC)", "found", "said after"]);
        let columns = columns();
        table.set_width(columns as u16);
        let (mut said, mut found_count) = (String::new(), 0);
        for incident in self.demo.incidents() {
            let found = self.starts().find(|event| belongs(event, incident));
            table.add_row(self.row(incident, found));
            if let Some(event) = found {
                found_count += 1;
                let words = wrap(&format!("    {}", sentence(event)), columns);
                said += &format!("  {}\n{words}\n", api(event));
            }
        }
        let first_week_ends = START.0 + 7 * Minute::PER_DAY;
        let incidents = self.demo.incidents();
        let (learning, others): (Vec<&InsightEvent>, Vec<&InsightEvent>) = self
            .starts()
            .filter(|event| !incidents.iter().any(|incident| belongs(event, incident)))
            .partition(|event| event.minute.0 < first_week_ends);
        for event in &others {
            let found = format!("{} {}", date(event.minute), clock(event.minute));
            table.add_row(["(nothing)", &api(event), "", &found, ""]);
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        let found = format!(
            "Of {} planted incidents {found_count} were found; {} insights had no planted cause \
             in the second week, {} in the first, while the baselines were being learned.",
            incidents.len(),
            others.len(),
            learning.len(),
        );
        format!(
            "{table}\n\nWhat it said:\n{said}\n{} events of two weeks in {} series took \
             {seconds:.1} s.\n{}\n",
            self.events,
            self.pipeline.detection().stats().series,
            wrap(&found, columns),
        )
    }

    fn starts(&self) -> impl Iterator<Item = &InsightEvent> {
        self.decided
            .iter()
            .filter(|event| event.edge == Edge::Start)
    }

    fn row(&self, incident: &DemoIncident, found: Option<&InsightEvent>) -> [String; 5] {
        let label = &incident.label;
        let end = found.and_then(|start| {
            let mut ends = self.decided.iter().filter(|event| event.edge == Edge::End);
            ends.find(|event| event.shared_event_id == start.shared_event_id)
        });
        let span = match (found, end) {
            (None, _) => "no".to_string(),
            (Some(start), None) => format!("from {}", clock(start.minute)),
            (Some(start), Some(end)) => format!("{} to {}", clock(start.minute), clock(end.minute)),
        };
        let delay = found.map_or(String::new(), |start| {
            format!("{} min", start.decided_at.0 + 1 - label.start.0)
        });
        let (from, to) = (clock(label.start), clock(label.end));
        [
            incident.title.to_string(),
            label.series.event_name.to_string(),
            format!("{} {from} to {to}", date(label.start)),
            span,
            delay,
        ]
    }

    fn print(&mut self, text: &str) -> Result<(), CliError> {
        self.out.write(text.as_bytes())?;
        self.out.flush()?;
        Ok(())
    }
}

/// The insight is on the incident's series, while it lasts or within an hour of it.
fn belongs(event: &InsightEvent, incident: &DemoIncident) -> bool {
    let label = &incident.label;
    event.series == label.series
        && event.minute.0 + Minute::PER_HOUR >= label.start.0
        && event.minute.0 < label.end.0 + Minute::PER_HOUR
}

fn api(event: &InsightEvent) -> String {
    let series = &event.series;
    let words = roll_up_in_words(&series.account, &series.event_source, &series.event_name);
    let name = words.unwrap_or_else(|| series.event_name.to_string());
    format!("{name} {}", series.error_code)
        .trim_end()
        .to_string()
}

/// Month and day, UTC.
fn date(minute: Minute) -> String {
    minute.to_string()[5..10].to_string()
}

/// Hours and minutes, UTC.
fn clock(minute: Minute) -> String {
    let of_day = minute.0 % Minute::PER_DAY;
    format!("{:02}:{:02}", of_day / 60, of_day % 60)
}

fn live_line(event: &InsightEvent) -> String {
    match event.edge {
        Edge::Start => {
            let words = wrap(&format!("    {}", sentence(event)), columns());
            format!("{}  START  {}:\n{words}\n", event.minute, api(event))
        }
        Edge::End => format!("{}  END    {}: back to usual\n", event.minute, api(event)),
    }
}

/// Columns of the terminal, or as many as suit a file.
fn columns() -> usize {
    let table = Table::new();
    usize::from(table.width().unwrap_or(TABLE_COLUMNS))
}

/// `text` on lines of at most `columns` characters, each indented as the first one; a longer
/// word has a line for itself.
fn wrap(text: &str, columns: usize) -> String {
    let indent = &text[..text.len() - text.trim_start().len()];
    let (mut wrapped, mut length) = (indent.to_string(), indent.len());
    for word in text.split_whitespace() {
        let word_length = word.chars().count();
        if length > indent.len() {
            if length + 1 + word_length > columns {
                wrapped += "\n";
                wrapped += indent;
                length = indent.len();
            } else {
                wrapped += " ";
                length += 1;
            }
        }
        wrapped += word;
        length += word_length;
    }
    wrapped
}

fn progress_bar(demo: &Demo, is_quiet: bool) -> ProgressBar {
    if is_quiet {
        return ProgressBar::hidden();
    }
    let total = u64::from(demo.progress().1);
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let template = "{bar:30} two weeks of traffic: minute {pos} of {len}";
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    bar.set_style(style);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_under_their_indent() {
        assert_eq!(wrap("  one two three", 9), "  one two\n  three");
        assert_eq!(wrap("  one two three", 8), "  one\n  two\n  three");
        assert_eq!(wrap("unbreakable é a", 3), "unbreakable\né a");
        assert_eq!(wrap("", 3), "");
    }
}
