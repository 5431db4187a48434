//! The file that people's knowledge is kept in: read whole, and only ever appended to.
//!
//! A record is one line and one write, done under the file's lock and made durable before anybody
//! is told that it is there. What a crash left of a line gets an end of line first, so that it
//! breaks itself and nothing after it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::formats::{KnowledgeRead, read_knowledge, write_knowledge};
use crate::model::{Knowledge, KnowledgeLimits};

/// A file of knowledge cannot be used.
#[derive(Debug, Error)]
pub enum KnowledgeError {
    #[error("knowledge file {path}: cannot be {what}: {source}")]
    Io {
        what: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("knowledge file {path}: {limit}; what it holds cannot be taken in part")]
    TooMuch { path: String, limit: String },
}

/// A file of knowledge.
#[derive(Clone, Debug)]
pub struct KnowledgeFile {
    path: PathBuf,
    limits: KnowledgeLimits,
}

impl KnowledgeFile {
    pub fn new(path: &Path, limits: KnowledgeLimits) -> Self {
        KnowledgeFile {
            path: path.to_path_buf(),
            limits,
        }
    }

    /// What the file holds; nothing where there is none yet.
    pub fn read(&self) -> Result<KnowledgeRead, KnowledgeError> {
        match File::open(&self.path) {
            Ok(mut file) => self.read_from(&mut file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(KnowledgeRead::default()),
            Err(error) => Err(self.failure("opened", error)),
        }
    }

    /// Appends a record, creating the file where there is none; whether it was new. What the file
    /// holds already is given to `check` first, under the lock, which may refuse.
    pub fn append<E: From<KnowledgeError>>(
        &self,
        record: &Knowledge,
        check: impl FnOnce(&[Knowledge]) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .append(true)
            .create(true)
            .open(&self.path);
        let mut file = file.map_err(|error| self.failure("opened", error))?;
        file.lock().map_err(|error| self.failure("locked", error))?;
        let held = self.read_from(&mut file)?;
        if held.records.iter().any(|other| other.id == record.id) {
            return Ok(false);
        }
        check(&held.records)?;
        if held.records.len() >= self.limits.records_max {
            let limit = format!(
                "knowledge.records_max ({}) is reached",
                self.limits.records_max
            );
            return Err(self.too_much(limit).into());
        }
        self.write(&mut file, record)?;
        Ok(true)
    }

    fn write(&self, file: &mut File, record: &Knowledge) -> Result<(), KnowledgeError> {
        let failed = |error| self.failure("written", error);
        let mut line = Vec::new();
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        if length > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1)).map_err(failed)?;
            file.read_exact(&mut last).map_err(failed)?;
            if last != *b"\n" {
                line.push(b'\n');
            }
        }
        line.extend(write_knowledge(record));
        let bytes_max = self.limits.bytes_max;
        if length + line.len() as u64 > bytes_max {
            let limit = format!("knowledge.bytes_max ({bytes_max}) leaves no room for one more");
            return Err(self.too_much(limit));
        }
        file.write_all(&line).map_err(failed)?;
        file.sync_all().map_err(failed)
    }

    fn read_from(&self, file: &mut File) -> Result<KnowledgeRead, KnowledgeError> {
        let KnowledgeLimits {
            bytes_max,
            records_max,
        } = self.limits;
        let mut bytes = Vec::new();
        let mut limited = file.take(bytes_max + 1);
        let read = limited.read_to_end(&mut bytes);
        read.map_err(|error| self.failure("read", error))?;
        if bytes.len() as u64 > bytes_max {
            return Err(self.too_much(format!(
                "it is longer than knowledge.bytes_max ({bytes_max})"
            )));
        }
        let read = read_knowledge(&bytes);
        if read.records.len() > records_max {
            let records = read.records.len();
            let limit = format!("its {records} records are over knowledge.records_max");
            return Err(self.too_much(format!("{limit} ({records_max})")));
        }
        Ok(read)
    }

    fn failure(&self, what: &'static str, source: io::Error) -> KnowledgeError {
        KnowledgeError::Io {
            what,
            path: self.path.display().to_string(),
            source,
        }
    }

    fn too_much(&self, limit: String) -> KnowledgeError {
        KnowledgeError::TooMuch {
            path: self.path.display().to_string(),
            limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Known, Minute};
    use uuid::Uuid;

    const LIMITS: KnowledgeLimits = KnowledgeLimits {
        bytes_max: 10_000,
        records_max: 3,
    };

    fn record(number: u32) -> Knowledge {
        let what = Known::Unmute { mute: Uuid::nil() };
        Knowledge::new(Minute(number), "me", "why", what)
    }

    fn append(file: &KnowledgeFile, number: u32) -> Result<bool, KnowledgeError> {
        file.append(&record(number), |_| Ok(()))
    }

    #[test]
    fn records_are_appended_once_and_a_torn_line_harms_no_other() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("knowledge.ndjson");
        let file = KnowledgeFile::new(&path, LIMITS);
        assert_eq!(file.read().unwrap(), KnowledgeRead::default());
        assert!(append(&file, 1).unwrap());
        assert!(!append(&file, 1).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..bytes.len() - 1 {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(append(&file, 2).unwrap());
            let read = file.read().unwrap();
            assert_eq!(read.records, [record(2)], "{cut}");
            assert_eq!(read.broken.len(), usize::from(cut > 0), "{cut}");
        }
    }

    #[test]
    fn a_file_over_its_limits_is_refused_and_not_cut() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("knowledge.ndjson");
        let file = KnowledgeFile::new(&path, LIMITS);
        for number in 0..3 {
            assert!(append(&file, number).unwrap());
        }
        let error = append(&file, 3).unwrap_err().to_string();
        assert!(error.contains("knowledge.records_max"), "{error}");
        assert_eq!(file.read().unwrap().records.len(), 3);
        let small = KnowledgeLimits {
            bytes_max: 10,
            ..LIMITS
        };
        let error = KnowledgeFile::new(&path, small).read().unwrap_err();
        assert!(error.to_string().contains("knowledge.bytes_max"), "{error}");
    }
}
