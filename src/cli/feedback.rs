//! `insightd feedback`: what people make of past insights.

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::arguments::{ConfigArgument, parse_time};
use super::knowledge::{
    KnowledgePlace, TimeOrSpan, in_force_from, parse_owner, parse_reason, print,
};
use super::{CliError, Exit};
use crate::formats::write_knowledge;
use crate::model::{EventTime, Knowledge, Known, Said};

/// Say what a past insight was, so that the detector heeds it from then on
///
/// It changes no decision that was made. It is heeded by event time: from --from on, at the first
/// full hour in which the insight has been over for an hour.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_long_help = EXAMPLES)]
pub struct FeedbackCommand {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    config: ConfigArgument,
    /// The insight: its sharedEventID
    #[arg(long, value_name = "UUID", required = true)]
    id: Option<Uuid>,
    /// What it was
    #[arg(long, value_name = "VERDICT", required = true)]
    verdict: Option<Verdict>,
    /// Who says so
    #[arg(long, value_name = "NAME", required = true, value_parser = parse_owner)]
    owner: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", required = true, value_parser = parse_reason)]
    reason: Option<String>,
    /// For `expected`: until when the like is excused, a time or a span from --from (90d)
    #[arg(long, value_name = "TIME", value_parser = TimeOrSpan::parse)]
    until: Option<TimeOrSpan>,
    /// Event time from which on it is heeded [default: the next minute]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<EventTime>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List feedback
    List(ListCommand),
}

#[derive(Debug, Args)]
struct ListCommand {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print the records as they are kept, one JSON object a line
    #[arg(long)]
    export: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Verdict {
    /// An incident: no part of what chance does, and no precedent for the next one
    True,
    /// Planned or known: the like on this series is excused until --until
    Expected,
    /// Chance: it stays a precedent and in the fit
    False,
    /// The level is as it should be: the series begins anew
    NewNormal,
}

const EXAMPLES: &str = "\
Examples:
  insightd feedback -c insightd.toml --id 5f9b... --verdict true --owner maria --reason 'key leak'
  insightd feedback -c insightd.toml --id 5f9b... --verdict expected --until 90d \\
      --owner maria --reason 'monthly export'
  insightd feedback list -c insightd.toml --export > knowledge.ndjson";

impl FeedbackCommand {
    pub fn run(self) -> Result<Exit, CliError> {
        if let Some(Action::List(command)) = self.action {
            return command.run();
        }
        let (Some(insight), Some(verdict), Some(owner), Some(reason)) =
            (self.id, self.verdict, self.owner, self.reason)
        else {
            return Err(CliError::Usage(
                "--id, --verdict, --owner, --reason".to_string(),
            ));
        };
        let settings = self.config.load()?;
        let place = KnowledgePlace::of(&settings)?;
        let from = in_force_from(self.from);
        let said = match (verdict, self.until) {
            (Verdict::Expected, Some(until)) if until.after(from) > from => Said::Expected {
                until: until.after(from),
            },
            (Verdict::Expected, Some(until)) => {
                let until = until.after(from);
                let text = format!("--until {until} is not after {from}, when it begins");
                return Err(CliError::Usage(text));
            }
            (Verdict::Expected, None) => {
                let text = "--verdict expected needs --until: how long is the like excused?";
                return Err(CliError::Usage(text.to_string()));
            }
            (_, Some(_)) => {
                let text = "--until belongs to --verdict expected";
                return Err(CliError::Usage(text.to_string()));
            }
            (Verdict::True, None) => Said::True,
            (Verdict::False, None) => Said::False,
            (Verdict::NewNormal, None) => Said::NewNormal,
        };
        let record = Knowledge::new(from, &owner, &reason, Known::Feedback { insight, said });
        place.add(&record, |_| Ok(()))?;
        print(format!("{}\n", record.id).as_bytes())
    }
}

impl ListCommand {
    fn run(self) -> Result<Exit, CliError> {
        let settings = self.config.load()?;
        let knowledge = KnowledgePlace::of(&settings)?.read(&settings)?;
        if self.export {
            let lines: Vec<u8> = knowledge.iter().flat_map(write_knowledge).collect();
            return print(&lines);
        }
        let mut text = String::from("id\tfrom\tinsight\tverdict\tuntil\towner\treason\n");
        for one in knowledge.iter() {
            let Known::Feedback { insight, said } = &one.what else {
                continue;
            };
            let until = match said {
                Said::Expected { until } => until.to_string(),
                _ => String::new(),
            };
            let [owner, reason] =
                [&one.owner, &one.reason].map(|part| part.replace(['\t', '\n', '\r'], " "));
            let (id, from, name) = (one.id, one.from, said.name());
            text.push_str(&format!(
                "{id}\t{from}\t{insight}\t{name}\t{until}\t{owner}\t{reason}\n"
            ));
        }
        print(text.as_bytes())
    }
}
