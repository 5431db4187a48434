//! The decompressed bytes of one input, chunk by chunk, with what was lost if it breaks.
//!
//! A file can be closed between chunks and goes on where it was, so that thousands of files can
//! take turns without holding a handle each.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{ContentReader, InputFile, OpenError, open_by_content};

/// A file that gave nothing, or less than it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLoss {
    pub file: String,
    pub problem: String,
    /// Decompressed bytes that were read and used before the problem.
    pub bytes_used: u64,
    /// Records found in those bytes.
    pub records: u64,
}

/// Reads one input from its beginning to its end.
pub struct FileBytes {
    file: InputFile,
    bytes_max: u64,
    content: Option<ContentReader>,
    /// Decompressed bytes handed out so far.
    bytes: u64,
    /// A pipe or the like: it is taken as it comes, and cannot be opened again.
    is_live: bool,
    is_over: bool,
    /// Bytes read from disk over all files, for progress.
    bytes_read: Arc<AtomicU64>,
}

/// Counts what passes.
struct Counting<R> {
    inner: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl fmt::Display for FileLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileLoss {
            file,
            problem,
            bytes_used,
            records,
        } = self;
        if *bytes_used == 0 {
            return write!(f, "{file}: {problem}; nothing of it was read");
        }
        write!(
            f,
            "{file}: {problem}; its first {bytes_used} bytes ({records} records) were used, \
             the rest is lost"
        )
    }
}

impl FileBytes {
    /// `bytes_max` bounds the decompressed bytes of a compressed file; `bytes_read` counts the
    /// bytes read from disk.
    pub fn new(file: InputFile, bytes_max: u64, bytes_read: Arc<AtomicU64>) -> Self {
        FileBytes {
            is_live: file.is_live(),
            bytes_read,
            file,
            bytes_max,
            content: None,
            bytes: 0,
            is_over: false,
        }
    }

    pub fn name(&self) -> String {
        self.file.name()
    }

    /// Decompressed bytes handed out so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn is_open(&self) -> bool {
        self.content.is_some()
    }

    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Nothing follows.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Appends up to `want` bytes; nothing appended and no error means the end. An error is
    /// given once, then the input is at its end; bytes before it are appended all the same.
    pub fn read_chunk(&mut self, want: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.is_over {
            return Ok(());
        }
        let result = self.try_read(want, out);
        if self.is_over || result.is_err() {
            self.is_over = true;
            self.content = None;
        }
        result
    }

    /// Closes the file until the next chunk is asked for; pipes stay open.
    pub fn close_for_now(&mut self) {
        if !self.is_live {
            self.content = None;
        }
    }

    fn try_read(&mut self, want: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.content.is_none() {
            let mut content = self.open().map_err(|error| error.to_string())?;
            skip(&mut content, self.bytes).map_err(|error| error.to_string())?;
            self.content = Some(content);
        }
        let content = self.content.as_mut().expect("it was just opened");
        let before = out.len();
        let result = content.read_chunk(want, self.is_live, out);
        let read = out.len() - before;
        self.bytes += read as u64;
        self.is_over = read == 0 || (read < want && !self.is_live);
        result.map(|_| ()).map_err(|error| error.to_string())
    }

    fn open(&self) -> Result<ContentReader, OpenError> {
        let source: Box<dyn Read + Send> = match &self.file {
            InputFile::Stdin => Box::new(io::stdin()),
            InputFile::File(path) => Box::new(File::open(path).map_err(OpenError::Io)?),
        };
        let source = Counting {
            inner: source,
            bytes_read: Arc::clone(&self.bytes_read),
        };
        open_by_content(Box::new(source), self.bytes_max)
    }
}

fn skip(content: &mut ContentReader, bytes: u64) -> io::Result<()> {
    let mut left = bytes;
    let mut piece = Vec::new();
    while left > 0 {
        piece.clear();
        let read = content.read_chunk(left.min(1 << 20) as usize, false, &mut piece)?;
        if read == 0 {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        left -= read as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_closed_between_chunks_goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("numbers.gz");
        let text: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let mut encoder = flate2::write::GzEncoder::new(
            File::create(&path).unwrap(),
            flate2::Compression::fast(),
        );
        std::io::Write::write_all(&mut encoder, &text).unwrap();
        encoder.finish().unwrap();
        let mut bytes = FileBytes::new(InputFile::File(path), 1 << 20, Arc::default());
        let mut all = Vec::new();
        loop {
            let before = all.len();
            bytes.read_chunk(777, &mut all).unwrap();
            bytes.close_for_now();
            assert!(!bytes.is_open());
            if all.len() == before {
                break;
            }
        }
        assert_eq!(all, text);
    }

    #[test]
    fn a_missing_file_is_an_error_once() {
        let mut bytes = FileBytes::new(InputFile::File("no/such/file".into()), 1, Arc::default());
        let mut out = Vec::new();
        assert!(bytes.read_chunk(10, &mut out).is_err());
        assert_eq!(bytes.read_chunk(10, &mut out), Ok(()));
        assert!(out.is_empty());
    }
}
