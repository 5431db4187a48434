//! Gzip as it is found on disks: several members, padding, a missing tail, damage.
//!
//! Every byte that can be inflated is handed out before an error is, however the reads are cut,
//! so that a broken file loses the same records on every machine and at every chunk size.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

/// Largest window of the format.
const WINDOW_BITS: u8 = 15;

/// Inflates all members of a gzip file; checksums are checked at the end of each.
pub struct GzipReader<R> {
    source: R,
    inflate: Decompress,
    place: Place,
}

enum Place {
    /// Inside a member (or before the first).
    Member,
    /// After a whole member.
    Between,
    /// Nothing more can be read; the error, if it was not handed out yet.
    Over(Option<io::Error>),
}

impl<R: BufRead> GzipReader<R> {
    pub fn new(source: R) -> Self {
        GzipReader {
            source,
            inflate: Decompress::new_gzip(WINDOW_BITS),
            place: Place::Member,
        }
    }

    /// Where the compressed bytes come from.
    pub fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    pub fn source(&self) -> &R {
        &self.source
    }

    /// Decides whether another member follows. Zero bytes after a member are padding.
    fn begin_next(&mut self) -> io::Result<()> {
        let next = loop {
            let input = self.source.fill_buf()?;
            let padding = input.iter().take_while(|byte| **byte == 0).count();
            let next = input.get(padding).copied();
            let is_end = input.is_empty();
            self.source.consume(padding);
            if next.is_some() || is_end {
                break next;
            }
        };
        self.place = match next {
            None => Place::Over(None),
            Some(0x1f) => {
                self.inflate.reset(true);
                Place::Member
            }
            Some(_) => Place::Over(Some(io::Error::other(
                "bytes after the gzip data that are not gzip",
            ))),
        };
        Ok(())
    }

    /// One step inside a member: bytes written, and where that leaves us.
    fn inflate_some(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let input = self.source.fill_buf()?;
        let is_end = input.is_empty();
        let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
        let result = self.inflate.decompress(input, out, FlushDecompress::None);
        let consumed = (self.inflate.total_in() - in_before) as usize;
        let written = (self.inflate.total_out() - out_before) as usize;
        self.source.consume(consumed);
        match result {
            Ok(Status::StreamEnd) => self.place = Place::Between,
            Ok(_) if is_end && written == 0 => {
                let error =
                    io::Error::new(io::ErrorKind::UnexpectedEof, "the gzip data is cut off");
                self.place = Place::Over(Some(error));
            }
            Ok(_) => {}
            Err(error) => {
                let error = io::Error::other(format!("the gzip data is damaged ({error})"));
                self.place = Place::Over(Some(error));
            }
        }
        Ok(written)
    }
}

impl<R: BufRead> Read for GzipReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match &mut self.place {
                Place::Over(error) => return error.take().map_or(Ok(0), Err),
                Place::Between => self.begin_next()?,
                Place::Member => {
                    let written = self.inflate_some(out)?;
                    if written > 0 {
                        return Ok(written);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn text() -> Vec<u8> {
        let mut text = Vec::new();
        for number in 0u32..2000 {
            writeln!(text, "{{\"line\":{}}}", number.wrapping_mul(2_654_435_761)).unwrap();
        }
        text
    }

    /// Reads with this many bytes of input and of output at a time.
    fn read_all(packed: &[u8], input: usize, output: usize) -> (Vec<u8>, Option<String>) {
        let mut reader = GzipReader::new(io::BufReader::with_capacity(input, packed));
        let (mut all, mut piece) = (Vec::new(), vec![0; output]);
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return (all, None),
                Ok(read) => all.extend_from_slice(&piece[..read]),
                Err(error) => return (all, Some(error.to_string())),
            }
        }
    }

    /// flate2's own reader is the second opinion on whole files.
    #[test]
    fn members_and_padding_are_read_to_the_end() {
        let packed = [gzip(&text()), gzip(b""), gzip(b"tail"), vec![0; 100]].concat();
        let mut expected = Vec::new();
        flate2::read::MultiGzDecoder::new(&packed[..packed.len() - 100])
            .read_to_end(&mut expected)
            .unwrap();
        for (input, output) in [(1, 1), (7, 64), (4096, 1), (1 << 20, 1 << 20)] {
            assert_eq!(read_all(&packed, input, output), (expected.clone(), None));
        }
    }

    /// However the reads are cut, a broken file gives the same bytes and the same error.
    #[test]
    fn a_broken_file_gives_all_it_has() {
        let text = text();
        let whole = gzip(&text);
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 0xff;
        let mut wrong_sum = whole.clone();
        wrong_sum[whole.len() - 8] ^= 1;
        let garbage = [&whole[..], b"garbage"].concat();
        for (packed, words) in [
            (&whole[..whole.len() / 2], "cut off"),
            (&whole[..whole.len() - 1], "cut off"),
            (&damaged[..], "damaged"),
            (&wrong_sum[..], "damaged"),
            (&garbage[..], "not gzip"),
        ] {
            let expected = read_all(packed, 1 << 20, 1 << 20);
            assert!(expected.1.as_ref().unwrap().contains(words), "{expected:?}");
            assert!(expected.0.len() > text.len() / 3);
            assert!(words == "damaged" || text.starts_with(&expected.0));
            for (input, output) in [(1, 1), (7, 64), (4096, 3), (100, 1 << 20)] {
                assert_eq!(read_all(packed, input, output), expected);
            }
        }
    }
}
