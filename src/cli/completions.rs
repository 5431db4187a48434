//! `insightd completions`: completion scripts for shells.

use std::io;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, CliError, Exit};

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
        clap_complete::generate(
            self.shell,
            &mut Cli::command(),
            "insightd",
            &mut io::stdout(),
        );
        Ok(Exit::Done)
    }
}
