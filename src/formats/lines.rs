//! Splits a stream that comes in pieces into lines of bounded length.

use memchr::memchr;

/// A line, without its line break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'l> {
    Whole {
        bytes: &'l [u8],
        offset: u64,
    },
    /// Longer than is allowed; only its beginning is kept.
    TooLong {
        head: &'l [u8],
        offset: u64,
    },
}

/// What earlier pieces left open.
#[derive(Debug, Default)]
pub struct LineSplitter {
    open: Vec<u8>,
    /// The rest of a line that was too long is passed over.
    is_skipping: bool,
    /// Where the open line begins.
    offset: u64,
}

impl LineSplitter {
    /// Takes in the next bytes and hands on the lines they complete.
    pub fn feed(&mut self, bytes: &[u8], bytes_max: usize, mut take: impl FnMut(Line<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(at) = memchr(b'\n', rest) else {
                break;
            };
            let (line, behind) = (&rest[..at], &rest[at + 1..]);
            rest = behind;
            if self.is_skipping {
                self.is_skipping = false;
                self.offset += at as u64 + 1;
            } else if self.open.is_empty() {
                self.hand_on(line, bytes_max, &mut take);
                self.offset += 1;
            } else {
                let mut open = std::mem::take(&mut self.open);
                open.extend_from_slice(line);
                self.hand_on(&open, bytes_max, &mut take);
                self.offset += 1;
                open.clear();
                self.open = open;
            }
        }
        self.keep(rest, bytes_max, &mut take);
    }

    /// Hands on the last line, which no line break ends.
    pub fn finish(&mut self, bytes_max: usize, mut take: impl FnMut(Line<'_>)) {
        let open = std::mem::take(&mut self.open);
        if !open.is_empty() {
            self.hand_on(&open, bytes_max, &mut take);
        }
        self.is_skipping = false;
    }

    fn hand_on(&mut self, line: &[u8], bytes_max: usize, take: &mut impl FnMut(Line<'_>)) {
        let offset = self.offset;
        self.offset += line.len() as u64;
        if line.len() > bytes_max {
            let head = &line[..bytes_max];
            take(Line::TooLong { head, offset });
        } else {
            let bytes = line.strip_suffix(b"\r").unwrap_or(line);
            take(Line::Whole { bytes, offset });
        }
    }

    /// Keeps an open line, or gives it up when it is too long already.
    fn keep(&mut self, rest: &[u8], bytes_max: usize, take: &mut impl FnMut(Line<'_>)) {
        if self.is_skipping {
            self.offset += rest.len() as u64;
            return;
        }
        self.open.extend_from_slice(rest);
        if self.open.len() > bytes_max {
            let open = std::mem::take(&mut self.open);
            self.hand_on(&open, bytes_max, take);
            self.is_skipping = true;
        }
    }
}
