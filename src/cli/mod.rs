//! The command line: one file per subcommand, exit codes in one place.
//!
//! Standard output is data, standard error is talk. A command returns an [`Exit`] or a
//! [`CliError`]; only [`main`] prints the error and turns either into a code.

mod arguments;
mod completions;
mod config;
mod demo;
mod diff;
mod exit;
mod explain;
mod explain_report;
mod feedback;
mod grid;
mod interrupt;
mod knowledge;
mod man;
mod mute;
mod outputs;
mod recording;
mod replay;
mod replay_report;
mod report_file;
#[cfg(feature = "kafka")]
mod run;
pub mod simulate;
mod state;
mod tune;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::telemetry::{LogFormat, LogSettings, Verbosity, say, start_logging};
pub use exit::{CliError, Exit};

/// CloudTrail Insights for any audit stream, on your own machine.
///
/// Learns the call rate and the error rates of every API over seven days and says when one
/// leaves its baseline, and when it returns.
#[derive(Debug, Parser)]
#[command(name = "insightd", version, max_term_width = 100, after_long_help = EXIT_CODES)]
struct Cli {
    /// Tell changes of state as well as warnings
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// Tell errors only: no summary, no progress
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoCommand),
    Replay(replay::ReplayCommand),
    #[cfg(feature = "kafka")]
    Run(run::RunCommand),
    Tune(tune::TuneCommand),
    Diff(diff::DiffCommand),
    Simulate(simulate::SimulateArgs),
    Explain(explain::ExplainCommand),
    Feedback(feedback::FeedbackCommand),
    Mute(mute::MuteCommand),
    Config(config::ConfigCommand),
    State(state::StateCommand),
    Completions(completions::CompletionsCommand),
    Man(man::ManCommand),
}

impl Command {
    fn is_service(&self) -> bool {
        #[cfg(feature = "kafka")]
        return matches!(self, Command::Run(_));
        #[cfg(not(feature = "kafka"))]
        return false;
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failure: an input that was named is not there, nothing could be read, output failed
  2    usage
  3    a check found something
  4    the configuration is invalid
  5    more input was unusable than --max-rejects allows
  130  cut short by Ctrl-C, 143 by SIGTERM

Environment:
  INSIGHTD_SECTION__KEY  overrides a key of the configuration
  INSIGHTD_LOG           which log lines to show, for example \"info\" or \"insightd=debug\"";

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output with code 0, usage errors elsewhere with 2.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let verbosity = match (cli.quiet, cli.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let filter = std::env::var("INSIGHTD_LOG").ok();
    // The service begins its own log, once it knows how it is wanted.
    if !cli.command.is_service() {
        start_logging(LogSettings {
            verbosity,
            filter: filter.as_deref(),
            format: LogFormat::Brief,
        });
    }
    match run(cli.command, cli.quiet, filter.as_deref()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            if !error.is_quiet() {
                say(format_args!("insightd: {error}"));
            }
            error.exit().into()
        }
    }
}

#[cfg_attr(not(feature = "kafka"), allow(unused_variables))]
fn run(command: Command, is_quiet: bool, filter: Option<&str>) -> Result<Exit, CliError> {
    match command {
        Command::Demo(command) => command.run(is_quiet),
        Command::Replay(command) => command.run(is_quiet),
        #[cfg(feature = "kafka")]
        Command::Run(command) => command.run(is_quiet, filter),
        Command::Tune(command) => command.run(is_quiet),
        Command::Diff(command) => command.run(),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Explain(command) => command.run(is_quiet),
        Command::Feedback(command) => command.run(),
        Command::Mute(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::State(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_argument_has_a_help_text() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str();
                let has_help = argument.get_help().is_some() || ["help", "version"].contains(&id);
                assert!(has_help, "{} --{id}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
