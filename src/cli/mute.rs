//! `insightd mute`: insights that nobody wants to be told of for a while.

use std::sync::Arc;

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::arguments::{ConfigArgument, format_named, has_input_failed, parse_time};
use super::interrupt::Interrupt;
use super::knowledge::{
    KnowledgePlace, TimeOrSpan, give, in_force_from, parse_owner, parse_reason, print,
};
use super::{CliError, Exit};
use crate::formats::{RecordContext, write_knowledge};
use crate::model::{Direction, EventTime, Knowledge, Known, Mute, Scope};
use crate::service::{Delivery, InputKind, Outputs, ReplayJob, replay};
use crate::sink::{InsightSink, Target};
use crate::source::expand;
use crate::view::{MuteView, Mutes};

/// Keep insights of some series from being written for a while, and count what that hid
///
/// A muted insight is decided as always and not written. A mute applies by event time: to insights
/// whose Start was decided in its span, whenever they are replayed. The End goes with its Start.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct MuteCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Record a mute; prints its id
    Add(AddCommand),
    /// List mutes; with PATH, with what each hides of the insights of these logs
    List(ListCommand),
    /// Record that a mute is in force no longer
    Remove(RemoveCommand),
}

#[derive(Debug, Args)]
struct AddCommand {
    #[command(flatten)]
    config: ConfigArgument,
    #[command(flatten)]
    scope: ScopeArguments,
    #[command(flatten)]
    why: WhyArguments,
    /// When it ends: a time, or a span from its beginning (14d)
    #[arg(long, value_name = "TIME", value_parser = TimeOrSpan::parse)]
    until: TimeOrSpan,
    /// Event time from which on it hides Starts [default: the next minute]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<EventTime>,
}

#[derive(Debug, Args)]
struct RemoveCommand {
    #[command(flatten)]
    config: ConfigArgument,
    /// The mute, as `add` and `list` print it
    #[arg(value_name = "ID")]
    id: Uuid,
    #[command(flatten)]
    why: WhyArguments,
    /// Event time from which on it hides nothing [default: the next minute]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<EventTime>,
}

#[derive(Debug, Args)]
struct ListCommand {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print the records as they are kept, one JSON object a line
    #[arg(long, conflicts_with = "paths")]
    export: bool,
    /// What the logs hold: auto, cloudtrail, rates, or the name of a mapping
    #[arg(short, long, value_name = "FORMAT", default_value = "auto")]
    format: String,
    /// Recorded logs to replay
    #[arg(value_name = "PATH")]
    paths: Vec<std::path::PathBuf>,
}

/// Who says so, and why.
#[derive(Debug, Args)]
pub struct WhyArguments {
    /// Who says so
    #[arg(long, value_name = "NAME", value_parser = parse_owner)]
    pub owner: String,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    pub reason: String,
}

/// Which series. What is left out matches any; patterns are exact texts, or with * (any text),
/// ? (any character) and [...] (any of these characters).
#[derive(Debug, Args)]
struct ScopeArguments {
    /// Pattern of the account
    #[arg(long, value_name = "PATTERN")]
    account: Option<String>,
    /// Pattern of the region
    #[arg(long, value_name = "PATTERN")]
    region: Option<String>,
    /// Pattern of the event source
    #[arg(long, value_name = "PATTERN")]
    event_source: Option<String>,
    /// Pattern of the event name
    #[arg(long, value_name = "PATTERN")]
    event_name: Option<String>,
    /// Pattern of the type: ApiCallRateInsight, ApiErrorRateInsight
    #[arg(long, value_name = "PATTERN")]
    insight_type: Option<String>,
    /// Pattern of the error code; the empty text for call rates
    #[arg(long, value_name = "PATTERN")]
    error_code: Option<String>,
    /// up (surges and new activity) or down (drops) only
    #[arg(long, value_name = "DIRECTION", value_parser = parse_direction)]
    direction: Option<Direction>,
}

const EXAMPLES: &str = "\
Examples:
  insightd mute add -c insightd.toml --account 111122223333 --event-source 'ec2.*' \\
      --until 14d --owner maria --reason 'migration of the build fleet'
  insightd mute list -c insightd.toml logs/          what each hides of these logs
  insightd mute remove -c insightd.toml ID --owner maria --reason done";

impl MuteCommand {
    pub fn run(self) -> Result<Exit, CliError> {
        match self.action {
            Action::Add(command) => command.run(),
            Action::List(command) => command.run(),
            Action::Remove(command) => command.run(),
        }
    }
}

impl AddCommand {
    fn run(self) -> Result<Exit, CliError> {
        let settings = self.config.load()?;
        let place = KnowledgePlace::of(&settings)?;
        let scope = self.scope.parse()?;
        if scope == Scope::default() {
            let text = "name at least one part of what is to be muted; --account '*' is everything";
            return Err(CliError::Usage(text.to_string()));
        }
        let scope = Box::new(scope);
        let from = in_force_from(self.from);
        let until = self.until.after(from);
        if until <= from {
            let text = format!("--until {until} is not after {from}, when the mute begins");
            return Err(CliError::Usage(text));
        }
        let WhyArguments { owner, reason } = &self.why;
        let record = Knowledge::new(from, owner, reason, Known::Mute { scope, until });
        place.add(&record, |_| Ok(()))?;
        print(format!("{}\n", record.id).as_bytes())
    }
}

impl RemoveCommand {
    fn run(self) -> Result<Exit, CliError> {
        let settings = self.config.load()?;
        let place = KnowledgePlace::of(&settings)?;
        let WhyArguments { owner, reason } = &self.why;
        let what = Known::Unmute { mute: self.id };
        let record = Knowledge::new(in_force_from(self.from), owner, reason, what);
        place.add(&record, |held| {
            let mutes = Mute::all(held);
            let Some(mute) = mutes.iter().find(|mute| mute.id == self.id) else {
                return Err(CliError::Failure(format!("there is no mute {}", self.id)));
            };
            if mute.until <= record.from {
                let text = format!("mute {} is over since {}", self.id, mute.until);
                return Err(CliError::Failure(text));
            }
            Ok(())
        })?;
        Ok(Exit::Done)
    }
}

impl ListCommand {
    fn run(self) -> Result<Exit, CliError> {
        let mut settings = self.config.load_for_a_look()?;
        let place = KnowledgePlace::of(&settings)?;
        let knowledge: Arc<[Knowledge]> = place.read(&settings)?.into();
        give(&mut settings, &knowledge);
        if self.export {
            let lines: Vec<u8> = knowledge.iter().flat_map(write_knowledge).collect();
            return print(&lines);
        }
        if self.paths.is_empty() {
            let mutes = Mutes::new(&knowledge);
            return print(list(mutes.views(), false).as_bytes());
        }
        let interrupt = Interrupt::install()?;
        let expanded = expand(&self.paths);
        for problem in &expanded.problems {
            tracing::error!("{problem}");
        }
        let context = RecordContext {
            engine_version: env!("CARGO_PKG_VERSION").to_string(),
            settings_hash: settings.hash.clone(),
            include_extension: false,
        };
        let sink = InsightSink::new(Target::nowhere(), context, None);
        let outputs = Outputs {
            insights: Some(Delivery::new(&settings, &knowledge, sink, None)),
            ..Outputs::default()
        };
        let job = ReplayJob {
            files: expanded.files.clone(),
            kind: match self.format.as_str() {
                "rates" => InputKind::Rates,
                name => InputKind::Events(format_named(name, &settings)?),
            },
            until: None,
            since: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            knowledge,
            stop: interrupt.stop.clone(),
        };
        let replayed = replay(job, &settings, None, outputs, &mut |_| {})?;
        if let Some(exit) = interrupt.exit() {
            return Ok(exit);
        }
        let delivery = replayed.pipeline.outputs.insights.as_ref();
        let mutes = delivery.map_or(&[][..], Delivery::mutes);
        print(list(mutes, true).as_bytes())?;
        Ok(
            match has_input_failed(&expanded, &replayed.account.losses) {
                true => Exit::Failure,
                false => Exit::Done,
            },
        )
    }
}

impl ScopeArguments {
    fn parse(&self) -> Result<Scope, CliError> {
        let patterns = [
            &self.account,
            &self.region,
            &self.event_source,
            &self.event_name,
            &self.insight_type,
            &self.error_code,
        ];
        Scope::parse(patterns.map(Option::as_deref), self.direction).map_err(|(field, problem)| {
            CliError::Usage(format!("--{}: {problem}", field.replace('_', "-")))
        })
    }
}

/// One mute a line, with tabs between its parts.
fn list(mutes: &[MuteView], has_counts: bool) -> String {
    let mut text = String::from("id\tfrom\tuntil\tscope\towner\treason");
    text.push_str(if has_counts { "\tstarts\tends\n" } else { "\n" });
    for MuteView { mute, starts, ends } in mutes {
        let Mute {
            id,
            scope,
            from,
            until,
            owner,
            reason,
        } = mute;
        let scope = scope.name();
        let parts = [&scope, owner, reason].map(|part| part.replace(['\t', '\n', '\r'], " "));
        let [scope, owner, reason] = parts;
        text.push_str(&format!(
            "{id}\t{from}\t{until}\t{scope}\t{owner}\t{reason}"
        ));
        if has_counts {
            text.push_str(&format!("\t{starts}\t{ends}"));
        }
        text.push('\n');
    }
    text
}

fn parse_direction(text: &str) -> Result<Direction, String> {
    match text {
        "up" => Ok(Direction::Up),
        "down" => Ok(Direction::Down),
        _ => Err("write up or down".to_string()),
    }
}
