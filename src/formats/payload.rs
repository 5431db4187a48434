//! Opens payloads: base64, and gzip inside it, within a budget of bytes.

use std::io::Read;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::MultiGzDecoder;

use super::collector::Refusal;
use super::decoded::{DecodeLimits, RejectReason};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// Whether `text` begins as base64 of gzip (`H4sI`) or of a JSON object (`eyJ`) does.
pub fn is_base64_like(text: &[u8]) -> bool {
    text.starts_with(b"H4sI") || text.starts_with(b"eyJ")
}

/// Decodes base64 and, when gzip is inside, inflates it; takes what it yields off `budget`.
pub fn open(text: &[u8], limits: &DecodeLimits, budget: &mut usize) -> Result<Vec<u8>, Refusal> {
    let invalid = |what: String| Refusal::new(RejectReason::InvalidPayload, what);
    let bytes = BASE64
        .decode(text)
        .map_err(|error| invalid(format!("not base64: {error}")))?;
    if !bytes.starts_with(GZIP_MAGIC) {
        return Ok(bytes);
    }
    let mut inside = Vec::new();
    let mut inflate = MultiGzDecoder::new(bytes.as_slice()).take(*budget as u64 + 1);
    inflate
        .read_to_end(&mut inside)
        .map_err(|error| invalid(format!("damaged gzip: {error}")))?;
    if inside.len() > *budget {
        return Err(Refusal::new(
            RejectReason::PayloadTooLarge,
            format!("inflates to more than {} bytes", limits.payload_bytes_max),
        ));
    }
    *budget -= inside.len();
    Ok(inside)
}
