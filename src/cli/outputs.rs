//! Files that a command writes must not be those that it reads.

use std::path::{Path, PathBuf};

use super::CliError;
use crate::source::InputFile;

/// Opening an output empties it, so none of these (option, file) may be an input, nor another
/// output.
pub fn check_outputs(outputs: &[(&str, &Path)], inputs: &[InputFile]) -> Result<(), CliError> {
    let outputs: Vec<(&str, &Path, PathBuf)> = outputs
        .iter()
        .filter_map(|(option, path)| Some((*option, *path, file_of(path)?)))
        .collect();
    for (index, (option, path, file)) in outputs.iter().enumerate() {
        if let Some((other, ..)) = outputs[..index].iter().find(|other| other.2 == *file) {
            let problem = format!("{other} and {option} are the same file");
            return Err(CliError::Usage(problem));
        }
        let is_read = |input: &&InputFile| match input {
            InputFile::Stdin => false,
            InputFile::File(input) => file_of(input).is_some_and(|input| input == *file),
        };
        if let Some(input) = inputs.iter().find(is_read) {
            return Err(CliError::Usage(format!(
                "{option} {} is also read as {}; it would be overwritten",
                path.display(),
                input.name()
            )));
        }
    }
    Ok(())
}

/// The file that a path names or would make, without links; `None` for devices and pipes.
fn file_of(path: &Path) -> Option<PathBuf> {
    if let Ok(file) = path.canonicalize() {
        return file.is_file().then_some(file);
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Some(directory.canonicalize().ok()?.join(path.file_name()?))
}
