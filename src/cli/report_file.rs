//! Where a report goes and in which form, which the ending of its file says.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CliError;
use crate::sink::Target;

/// An ending of file names, and how a report is written into such a file.
pub type Form<R> = (&'static str, fn(&R) -> String);

/// Files that a report is written to, each in its form.
pub struct ReportFiles<'a, R>(Vec<ReportFile<'a, R>>);

struct ReportFile<'a, R> {
    path: &'a Path,
    form: fn(&R) -> String,
}

impl<'a, R> ReportFiles<'a, R> {
    /// The form of each file by its ending, one of those of `forms`.
    pub fn new(paths: &'a [PathBuf], forms: &[Form<R>]) -> Result<Self, CliError> {
        let form_of = |path: &'a PathBuf| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            let form = forms.iter().find(|(known, _)| Some(*known) == ending);
            let Some((_, form)) = form else {
                let known: Vec<String> =
                    forms.iter().map(|(known, _)| format!(".{known}")).collect();
                return Err(CliError::Usage(format!(
                    "--report {}: the ending says the form; use one of {}",
                    path.display(),
                    known.join(", ")
                )));
            };
            Ok(ReportFile { path, form: *form })
        };
        Ok(ReportFiles(
            paths.iter().map(form_of).collect::<Result<_, _>>()?,
        ))
    }

    /// Writes the report into every file.
    pub fn write(&self, report: &R) -> Result<(), CliError> {
        for file in &self.0 {
            write_text(Some(file.path), &(file.form)(report))?;
        }
        Ok(())
    }
}

/// A report as JSON.
pub fn json<R: Serialize>(report: &R) -> String {
    let json = serde_json::to_string_pretty(report);
    json.expect("a report is plain values") + "\n"
}

/// Writes text to a file, or to standard output.
pub fn write_text(path: Option<&Path>, text: &str) -> Result<(), CliError> {
    let mut target = Target::open(path)?;
    target.write(text.as_bytes())?;
    target.flush()?;
    Ok(())
}
