//! `insightd man`: the manual pages, from the same definitions as `--help`.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::{Cli, CliError, Exit};
use crate::sink::Target;

/// Print the manual page, or write all of them to a directory
///
/// For example: insightd man | man -l -
#[derive(Debug, Args)]
pub struct ManCommand {
    /// Write insightd.1 and a page for each subcommand here instead of printing the first
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl ManCommand {
    pub fn run(self) -> Result<Exit, CliError> {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let failed =
            |what: String, error: std::io::Error| CliError::Failure(format!("{what}: {error}"));
        let Some(dir) = self.dir else {
            let mut page = Vec::new();
            Man::new(command)
                .render(&mut page)
                .map_err(|error| failed("manual page".to_string(), error))?;
            let mut target = Target::stdout();
            target.write(&page)?;
            target.flush()?;
            return Ok(Exit::Done);
        };
        fs::create_dir_all(&dir).map_err(|error| failed(dir.display().to_string(), error))?;
        clap_mangen::generate_to(command, &dir)
            .map_err(|error| failed(dir.display().to_string(), error))?;
        Ok(Exit::Done)
    }
}
