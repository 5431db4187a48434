//! Where a report goes and in which form, which the ending of its file says.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CliError;
use crate::sink::Target;

/// In which form a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Html,
    Markdown,
    Csv,
    Json,
}

impl Form {
    /// The forms of several files, by their endings.
    pub fn of_all(paths: &[PathBuf]) -> Result<Vec<Form>, CliError> {
        paths.iter().map(|path| Form::of(path)).collect()
    }

    fn of(path: &Path) -> Result<Form, CliError> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("html") => Ok(Form::Html),
            Some("md") => Ok(Form::Markdown),
            Some("csv") => Ok(Form::Csv),
            Some("json") => Ok(Form::Json),
            _ => Err(CliError::Usage(format!(
                "--report {}: the ending says the form; use .html, .md, .csv or .json",
                path.display()
            ))),
        }
    }
}

/// A report as JSON.
pub fn json<T: Serialize>(report: &T) -> String {
    let json = serde_json::to_string_pretty(report);
    json.expect("a report is plain values") + "\n"
}

/// Writes a report to a file, or to standard output.
pub fn write_report(path: Option<&Path>, text: &str) -> Result<(), CliError> {
    let mut target = Target::open(path)?;
    target.write(text.as_bytes())?;
    target.flush()?;
    Ok(())
}
