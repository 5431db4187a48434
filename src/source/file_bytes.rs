//! The decompressed bytes of one input, chunk by chunk, with what was lost if it breaks.
//!
//! A file can be closed between chunks and goes on where it was, so that thousands of files can
//! take turns without holding a handle each. A packed one keeps its decoder's state meanwhile:
//! starting over would read and unpack all before it again on every turn.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::{ContentReader, InputFile, PackedBytes, open_by_content};

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
        self.content.as_ref().is_some_and(ContentReader::is_open)
    }

    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Nothing follows.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Makes `out` the next bytes, `want` at most; none and no error means the end. An error is
    /// given once, then the input is at its end; the bytes before it stand in `out`.
    pub fn read_chunk(&mut self, want: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.is_over {
            out.clear();
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
        if let Some(content) = &mut self.content
            && !self.is_live
        {
            content.put_away();
        }
    }

    fn try_read(&mut self, want: usize, out: &mut Vec<u8>) -> Result<(), String> {
        let content = match &mut self.content {
            Some(content) => content,
            None => {
                let bytes_read = Arc::clone(&self.bytes_read);
                let source = match &self.file {
                    InputFile::File(path) => PackedBytes::of_file(path.clone(), bytes_read),
                    InputFile::Stdin => PackedBytes::of_live(Box::new(io::stdin()), bytes_read),
                };
                let content = open_by_content(source, self.bytes_max);
                let content = content.map_err(|error| {
                    out.clear();
                    error.to_string()
                })?;
                self.content.insert(content)
            }
        };
        let result = content.read_chunk(want, self.is_live, out);
        let read = out.len();
        self.bytes += read as u64;
        self.is_over = read == 0 || (read < want && !self.is_live);
        result.map(|_| ()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file closed between chunks was read again from its start each time: quadratic.
    /// Now every byte of it is read once, packed or not, whoever else takes turns.
    #[test]
    fn a_file_closed_between_chunks_goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let mut text = Vec::new();
        for number in 0u32..40_000 {
            text.extend_from_slice(&number.wrapping_mul(2_654_435_761).to_le_bytes());
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &text).unwrap();
        let gzip = encoder.finish().unwrap();
        let two = [gzip.clone(), gzip].concat();
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        for (packed, times) in [(&text, 1), (&two, 2), (&zstd, 1)] {
            let path = directory.path().join("numbers");
            std::fs::write(&path, packed).unwrap();
            let read = Arc::new(AtomicU64::new(0));
            let mut bytes = FileBytes::new(InputFile::File(path), 1 << 20, Arc::clone(&read));
            let (mut all, mut chunk) = (Vec::new(), Vec::new());
            while !bytes.is_over() {
                bytes.read_chunk(7777, &mut chunk).unwrap();
                all.extend_from_slice(&chunk);
                bytes.close_for_now();
                assert!(!bytes.is_open());
            }
            assert_eq!(all, text.repeat(times));
            let read = read.load(std::sync::atomic::Ordering::Relaxed);
            assert_eq!(read, packed.len() as u64);
        }
    }

    /// A file that was cut while others had their turn is a loss, not an end.
    #[test]
    fn a_file_that_became_shorter_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shrinking");
        std::fs::write(&path, [b'x'; 100]).unwrap();
        let file = InputFile::File(path.clone());
        let mut bytes = FileBytes::new(file, 1 << 20, Arc::default());
        let mut out = Vec::new();
        bytes.read_chunk(50, &mut out).unwrap();
        bytes.close_for_now();
        std::fs::write(&path, [b'x'; 10]).unwrap();
        let error = bytes.read_chunk(50, &mut out).unwrap_err();
        assert!(error.contains("became shorter"), "{error}");
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
