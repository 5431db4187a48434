//! Where bytes come from: files, directories, globs and standard input, plain or compressed.
//!
//! [`expand`] turns what the user named into files, [`open_by_content`] a file into
//! decompressed bytes, [`FileReader`] bytes into decoded pieces, [`Streams`] many of those into
//! the pieces of each stream, decoded ahead by threads. Nothing here decides what counts.

mod ahead;
mod decompress;
mod expand;
mod file_bytes;
mod file_reader;
mod gzip;
#[cfg(feature = "kafka")]
pub mod kafka;
mod packed_bytes;
mod streams;

pub use decompress::{Compression, ContentReader, OpenError, open_by_content};
pub use expand::{Expanded, InputFile, PathProblem, expand};
pub use file_bytes::{FileBytes, FileLoss};
pub use file_reader::{FileReader, Piece, ReadPlan};
pub use packed_bytes::PackedBytes;
pub use streams::{StreamPiece, StreamSettings, Streams};
