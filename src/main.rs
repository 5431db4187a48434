//! Parses the command line, runs one command, turns its outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    insightd::cli::main()
}
