//! What the fuzz targets share: how an input is read, how it is cut into pieces, seeds, and an
//! allocator that calls a huge request by its name.
//!
//! A target writes its seed inputs and ends when `INSIGHTD_FUZZ_SEEDS` names a directory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;

use insightd::formats::{DecodeLimits, Decoded, Decoder, Format};

pub mod engines;
#[path = "../../tests/support/record_oracle.rs"]
pub mod record_oracle;

/// No input of a fuzz run is larger than a few kilobytes: what asks for this much at once
/// believed a length that it read.
const REQUEST_BYTES_MAX: usize = 256 << 20;

struct Limited;

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// What is left to read of an input.
pub struct Input<'a> {
    pub rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Input { rest: data }
    }

    /// The next byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub fn number(&mut self) -> u32 {
        let bytes = self.take(4).iter();
        bytes.fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    /// The next `length` bytes, or as many as there are.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }
}

/// All outcomes of decoding these pieces as text; the counts add up.
pub fn decode(format: &Format, limits: &DecodeLimits, pieces: &[&[u8]]) -> Vec<String> {
    let mut decoder = Decoder::new(format.clone(), limits.clone());
    let mut out = Decoded::default();
    for piece in pieces {
        decoder.feed(piece, &mut out);
    }
    decoder.finish(&mut out);
    let counts = &out.counts;
    assert_eq!(
        counts.records,
        counts.events + counts.skipped_total() + counts.rejected_total()
    );
    assert_eq!(counts.events, out.events.len() as u64);
    let rejects = out.rejects.len() as u64 + counts.rejects_not_kept;
    assert_eq!(counts.rejected_total(), rejects);
    let events = out.events.iter();
    let events = events.map(|event| event.with_fields(|fields| format!("{fields:?}")));
    let rejects = out.rejects.iter().map(|reject| format!("{reject:?}"));
    let counts = std::iter::once(format!("{counts:?}"));
    events.chain(rejects).chain(counts).collect()
}

/// Cuts `bytes` into pieces of lengths that `pattern` chooses: single bytes, a few, or many.
pub fn pieces(bytes: &[u8], pattern: u32) -> Vec<&[u8]> {
    let mut state = u64::from(pattern);
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let most = match state >> 61 {
            0 => 1,
            1..4 => 9,
            4..7 => 70,
            _ => 1 << 20,
        };
        let length = 1 + (state >> 33) as usize % most;
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// `bytes` with their CRC-32C behind them.
pub fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let mut whole = bytes.to_vec();
    whole.extend_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
    whole
}

/// Writes the seeds and ends the process when it was started for that.
pub fn write_seeds(seeds: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(directory) = std::env::var_os("INSIGHTD_FUZZ_SEEDS") else {
        return;
    };
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory).expect("the directory of seeds can be made");
    for (number, seed) in seeds().into_iter().enumerate() {
        let path = directory.join(format!("seed-{number:02}"));
        std::fs::write(path, seed).expect("a seed can be written");
    }
    std::process::exit(0);
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn check(bytes: usize) {
    if bytes > REQUEST_BYTES_MAX {
        eprintln!("a single allocation of {bytes} bytes");
        std::process::abort();
    }
}
