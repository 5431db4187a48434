//! A file or standard output, buffered, with errors that name it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use thiserror::Error;

/// Writing to an output failed.
#[derive(Debug, Error)]
#[error("cannot write {name}: {source}")]
pub struct SinkError {
    pub name: String,
    #[source]
    pub source: io::Error,
}

impl SinkError {
    /// The reader of standard output went away, which is its right.
    pub fn is_broken_pipe(&self) -> bool {
        self.source.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Where one kind of output goes.
pub struct Target {
    name: String,
    writer: BufWriter<Box<dyn Write + Send>>,
}

impl Target {
    pub fn stdout() -> Self {
        Target {
            name: "standard output".to_string(),
            writer: BufWriter::new(Box::new(io::stdout())),
        }
    }

    /// Nowhere.
    pub fn nowhere() -> Self {
        Target {
            name: "nowhere".to_string(),
            writer: BufWriter::new(Box::new(io::sink())),
        }
    }

    /// Creates the file, or empties it.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        let name = path.display().to_string();
        match File::create(path) {
            Ok(file) => Ok(Target {
                name,
                writer: BufWriter::with_capacity(256 << 10, Box::new(file)),
            }),
            Err(source) => Err(SinkError { name, source }),
        }
    }

    /// The file at `path`, or standard output without one.
    pub fn open(path: Option<&Path>) -> Result<Self, SinkError> {
        path.map_or_else(|| Ok(Self::stdout()), Self::create)
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.writer
            .write_all(bytes)
            .map_err(|source| error(&self.name, source))
    }

    /// Hands everything written so far to the operating system.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.writer
            .flush()
            .map_err(|source| error(&self.name, source))
    }
}

fn error(name: &str, source: io::Error) -> SinkError {
    SinkError {
        name: name.to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error_with_a_name() {
        let mut target = Target::create(Path::new("/dev/full")).unwrap();
        let error = target
            .write(b"x")
            .and_then(|()| target.flush())
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot write /dev/full: No space left")
        );
    }
}
