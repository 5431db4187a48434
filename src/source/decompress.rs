//! Opens bytes by what they are, not by what they are called: gzip, zstd or plain.
//!
//! Gzip files of several members and zstd files of several frames are read to their end.
//! Decompressed bytes are bounded, so a small file cannot become an endless one. Other
//! compressed forms are recognised and refused by name.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use super::PackedBytes;
use super::gzip::GzipReader;

/// First bytes that tell a form.
const MAGIC_BYTES: usize = 16;

/// Largest block of the zstd format.
const ZSTD_BLOCK_BYTES: usize = 128 << 10;

/// How the bytes of a file are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Plain,
    Gzip,
    Zstd,
}

/// Why a file gives no bytes at all.
#[derive(Debug)]
pub enum OpenError {
    Io(io::Error),
    /// A form that is recognised and not read; its name.
    Unsupported(&'static str),
}

/// Decompressed bytes of one file, at most `bytes_max` of them if it is compressed.
pub struct ContentReader {
    inner: Packed,
    pub compression: Compression,
    bytes: u64,
    bytes_max: u64,
    /// There were more bytes than that.
    is_cut: bool,
}

enum Packed {
    Plain(PackedBytes),
    Gzip(Box<GzipReader<PackedBytes>>),
    /// Read block by block, whatever the caller's buffer: an error loses what one read of the
    /// decoder had before it, and that must not depend on the caller.
    Zstd(BufReader<zstd::stream::read::Decoder<'static, PackedBytes>>),
}

/// First bytes of forms that are named instead of being read as text.
const UNSUPPORTED: [(&[u8], &str); 9] = [
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"PAR1", "Parquet"),
    (b"Obj\x01", "Avro"),
    (b"ORC", "ORC"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\xff\x06\0\0sNaPpY", "snappy"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
];

impl std::error::Error for OpenError {}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Io(error) => error.fmt(f),
            OpenError::Unsupported(name) => write!(
                f,
                "{name} is not read; give it plain, gzip or zstd (for example {name} piped to -)"
            ),
        }
    }
}

/// Looks at the first bytes of `source` and reads it as what it is.
pub fn open_by_content(
    mut source: PackedBytes,
    bytes_max: u64,
) -> Result<ContentReader, OpenError> {
    let head = source.head(MAGIC_BYTES).map_err(OpenError::Io)?.to_vec();
    let unsupported = UNSUPPORTED
        .iter()
        .find(|(magic, _)| head.starts_with(magic));
    if let Some((_, name)) = unsupported {
        return Err(OpenError::Unsupported(name));
    }
    let is_zstd_skippable =
        head.len() >= 4 && (0x50..=0x5f).contains(&head[0]) && head[1..4] == *b"\x2a\x4d\x18";
    let (inner, compression) = if head.starts_with(b"\x1f\x8b") {
        let decoder = GzipReader::new(source);
        (Packed::Gzip(Box::new(decoder)), Compression::Gzip)
    } else if head.starts_with(b"\x28\xb5\x2f\xfd") || is_zstd_skippable {
        let decoder = zstd::stream::read::Decoder::with_buffer(source).map_err(OpenError::Io)?;
        let blocks = BufReader::with_capacity(ZSTD_BLOCK_BYTES, decoder);
        (Packed::Zstd(blocks), Compression::Zstd)
    } else {
        (Packed::Plain(source), Compression::Plain)
    };
    Ok(ContentReader {
        inner,
        compression,
        bytes: 0,
        bytes_max,
        is_cut: false,
    })
}

impl ContentReader {
    /// Makes `out` the next `want` bytes: fewer only at the end, or, with `is_live`, when no more
    /// have arrived yet; none at the end. What came before an error stands in `out`.
    pub fn read_chunk(
        &mut self,
        want: usize,
        is_live: bool,
        out: &mut Vec<u8>,
    ) -> io::Result<usize> {
        out.resize(want, 0);
        let mut filled = 0;
        let result = loop {
            if filled == want {
                break Ok(());
            }
            match self.read_some(&mut out[filled..]) {
                Ok(0) => break Ok(()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => break Err(error),
            }
            if is_live {
                break Ok(());
            }
        };
        out.truncate(filled);
        result.map(|()| filled)
    }

    /// Decompressed bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the file's handle back until the next chunk; the state of the decoder stays.
    pub fn put_away(&mut self) {
        match &mut self.inner {
            Packed::Plain(source) => source.put_away(),
            Packed::Gzip(decoder) => decoder.source_mut().put_away(),
            Packed::Zstd(blocks) => blocks.get_mut().get_mut().put_away(),
        }
    }

    pub fn is_open(&self) -> bool {
        match &self.inner {
            Packed::Plain(source) => source.is_open(),
            Packed::Gzip(decoder) => decoder.source().is_open(),
            Packed::Zstd(blocks) => blocks.get_ref().get_ref().is_open(),
        }
    }

    fn read_some(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.is_cut {
            return Err(self.too_large());
        }
        let read = match &mut self.inner {
            Packed::Plain(source) => source.read(out)?,
            Packed::Gzip(decoder) => decoder.read(out)?,
            Packed::Zstd(blocks) => {
                let block = blocks.fill_buf()?;
                let read = block.len().min(out.len());
                out[..read].copy_from_slice(&block[..read]);
                blocks.consume(read);
                read
            }
        };
        self.bytes += read as u64;
        if self.compression != Compression::Plain && self.bytes > self.bytes_max {
            let excess = (self.bytes - self.bytes_max) as usize;
            self.bytes = self.bytes_max;
            self.is_cut = true;
            // The bytes up to the bound are good; the next call says why there are no more.
            return match excess < read {
                true => Ok(read - excess),
                false => Err(self.too_large()),
            };
        }
        Ok(read)
    }

    fn too_large(&self) -> io::Error {
        io::Error::other(format!(
            "it decompresses to more than limits.decompressed_bytes_max ({} bytes)",
            self.bytes_max
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use flate2::Compression as Level;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn source(packed: &[u8]) -> PackedBytes {
        let bytes = io::Cursor::new(packed.to_vec());
        PackedBytes::of_live(Box::new(bytes), Arc::default())
    }

    /// Reads `packed` in chunks of every small size and checks what comes out.
    fn check(packed: &[u8], bytes_max: u64, expected: &[u8], error: Option<&str>) {
        for want in [1, 2, 3, 7, 1000] {
            let mut reader = open_by_content(source(packed), bytes_max).unwrap();
            let (mut out, mut chunk) = (Vec::new(), Vec::new());
            let found = loop {
                let result = reader.read_chunk(want, want == 2, &mut chunk);
                out.extend_from_slice(&chunk);
                match result {
                    Ok(0) => break None,
                    Ok(_) => {}
                    Err(error) => break Some(error.to_string()),
                }
            };
            assert_eq!(out, expected, "{want} bytes at a time, {found:?}");
            match error {
                Some(words) => {
                    let found = found.unwrap();
                    assert!(found.contains(words), "{found}");
                }
                None => assert_eq!(found, None),
            }
        }
    }

    #[test]
    fn content_decides_and_all_members_are_read() {
        check(b"", 0, b"", None);
        check(b"plain", 0, b"plain", None);
        check(
            &[gzip(b"one "), gzip(b"two")].concat(),
            100,
            b"one two",
            None,
        );
        let frame = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        check(
            &[frame(b"one "), frame(b"two")].concat(),
            100,
            b"one two",
            None,
        );
    }

    #[test]
    fn what_was_decompressed_before_the_break_is_used() {
        let whole = gzip(b"0123456789");
        check(
            &whole[..whole.len() - 8],
            100,
            b"0123456789",
            Some("cut off"),
        );
        let whole = zstd::encode_all(&b"0123456789"[..], 1).unwrap();
        check(
            &whole[..whole.len() - 1],
            100,
            b"012345678",
            Some("incomplete"),
        );
    }

    #[test]
    fn a_bomb_ends_at_the_bound() {
        check(
            &gzip(&[b'x'; 1000]),
            10,
            &[b'x'; 10],
            Some("limits.decompressed_bytes_max"),
        );
        check(&gzip(&[b'x'; 10]), 10, &[b'x'; 10], None);
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        let error = open_by_content(source(b"PAR1...."), 0)
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains("Parquet"), "{error}");
    }
}
