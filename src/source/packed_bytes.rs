//! The bytes of one input as they lie on disk, through a buffer.
//!
//! A file can be put away between reads: handle and buffer are given back, and the next read
//! opens it where it was. So whoever decodes the bytes keeps its state and never starts over.

use std::fs::File;
use std::io::{self, BufRead, ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes read at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// Reads one input from its beginning to its end.
pub struct PackedBytes {
    origin: Origin,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were used.
    used: usize,
    /// Bytes used in all.
    position: u64,
    /// Bytes used over all inputs, for progress.
    bytes_read: Arc<AtomicU64>,
}

enum Origin {
    /// Cannot be opened again.
    Live(Box<dyn Read + Send>),
    File {
        path: PathBuf,
        handle: Option<File>,
    },
}

impl PackedBytes {
    pub fn of_live(source: Box<dyn Read + Send>, bytes_read: Arc<AtomicU64>) -> Self {
        Self::new(Origin::Live(source), bytes_read)
    }

    /// Nothing is opened before the first read.
    pub fn of_file(path: PathBuf, bytes_read: Arc<AtomicU64>) -> Self {
        Self::new(Origin::File { path, handle: None }, bytes_read)
    }

    fn new(origin: Origin, bytes_read: Arc<AtomicU64>) -> Self {
        PackedBytes {
            origin,
            buffer: Vec::new(),
            used: 0,
            position: 0,
            bytes_read,
        }
    }

    /// The next bytes, `length` of them unless the input ends before.
    pub fn head(&mut self, length: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.used < length {
            if self.fill_more()? == 0 {
                break;
            }
        }
        let end = self.buffer.len().min(self.used + length);
        Ok(&self.buffer[self.used..end])
    }

    /// Gives handle and buffer back until the next read; what is live stays open.
    pub fn put_away(&mut self) {
        if let Origin::File { handle, .. } = &mut self.origin {
            *handle = None;
            self.buffer = Vec::new();
            self.used = 0;
        }
    }

    pub fn is_open(&self) -> bool {
        match &self.origin {
            Origin::Live(_) => true,
            Origin::File { handle, .. } => handle.is_some(),
        }
    }

    /// Appends what one read gives to the buffer, which loses what was used.
    fn fill_more(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let start = self.buffer.len();
        self.buffer.resize(start + BUFFER_BYTES, 0);
        let result = self
            .origin
            .read(self.position + start as u64, &mut self.buffer[start..]);
        self.buffer
            .truncate(start + result.as_ref().copied().unwrap_or(0));
        result
    }

    fn note_used(&mut self, bytes: usize) {
        self.position += bytes as u64;
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl BufRead for PackedBytes {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.buffer.len() {
            self.fill_more()?;
        }
        Ok(&self.buffer[self.used..])
    }

    fn consume(&mut self, bytes: usize) {
        self.used += bytes;
        self.note_used(bytes);
    }
}

impl Read for PackedBytes {
    /// Large reads of what is not in the buffer go past it.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.used == self.buffer.len() && out.len() >= BUFFER_BYTES {
            let read = self.origin.read(self.position, out)?;
            self.note_used(read);
            return Ok(read);
        }
        let mut ready = self.fill_buf()?;
        let read = ready.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

impl Origin {
    /// One read; a file that is put away is opened at `position` first.
    fn read(&mut self, position: u64, out: &mut [u8]) -> io::Result<usize> {
        let source: &mut dyn Read = match self {
            Origin::Live(source) => source,
            Origin::File { path, handle } => match handle {
                Some(file) => file,
                None => handle.insert(open_at(path, position)?),
            },
        };
        loop {
            match source.read(out) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

fn open_at(path: &PathBuf, position: u64) -> io::Result<File> {
    let mut file = File::open(path)?;
    if position > 0 {
        if file.metadata()?.len() < position {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        file.seek(SeekFrom::Start(position))?;
    }
    Ok(file)
}
