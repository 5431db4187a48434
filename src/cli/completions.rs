//! `insightd completions`: completion scripts for shells.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, CliError, Exit};
use crate::sink::Target;

/// Print a completion script for your shell
///
/// For example: insightd completions bash > ~/.local/share/bash-completion/completions/insightd
#[derive(Debug, Args)]
pub struct CompletionsCommand {
    /// The shell to complete for
    shell: Shell,
}

impl CompletionsCommand {
    pub fn run(self) -> Result<Exit, CliError> {
        // The generator panics where it cannot write; memory takes everything.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "insightd", &mut script);
        let mut target = Target::stdout();
        target.write(&script)?;
        target.flush()?;
        Ok(Exit::Done)
    }
}
