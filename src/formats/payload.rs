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

/// What the payloads of any value may come to, however short it is.
const GRANT_BYTES_MIN: usize = 64 << 10;
/// Bytes that each byte of a value may inflate to beyond that. Logs in gzip in base64 come to a
/// tenth of it, bombs to three times as much in each envelope.
const GRANT_RATIO: usize = 256;

/// Decompressed bytes that the payloads of one outermost value may come to together: what a file
/// makes of itself is then bounded by its length, not by its number of values.
#[derive(Clone, Copy, Debug, Default)]
pub struct PayloadBudget {
    granted: usize,
    left: usize,
}

impl PayloadBudget {
    /// The budget of an outermost value of so many bytes.
    pub fn of(value_bytes: usize, limits: &DecodeLimits) -> Self {
        let by_length = GRANT_BYTES_MIN.saturating_add(value_bytes.saturating_mul(GRANT_RATIO));
        let granted = limits.payload_bytes_max.min(by_length);
        PayloadBudget {
            granted,
            left: granted,
        }
    }
}

/// Whether `text` begins as base64 of gzip (`H4sI`) or of a JSON object (`eyJ`) does.
pub fn is_base64_like(text: &[u8]) -> bool {
    text.starts_with(b"H4sI") || text.starts_with(b"eyJ")
}

/// Decodes base64 and, when gzip is inside, inflates it; takes what it yields off `budget`.
pub fn open(text: &[u8], budget: &mut PayloadBudget) -> Result<Vec<u8>, Refusal> {
    let invalid = |what: String| Refusal::new(RejectReason::InvalidPayload, what);
    let bytes = BASE64
        .decode(text)
        .map_err(|error| invalid(format!("not base64: {error}")))?;
    if !bytes.starts_with(GZIP_MAGIC) {
        return Ok(bytes);
    }
    let mut inside = Vec::new();
    let mut inflate = MultiGzDecoder::new(bytes.as_slice()).take(budget.left as u64 + 1);
    inflate
        .read_to_end(&mut inside)
        .map_err(|error| invalid(format!("damaged gzip: {error}")))?;
    if inside.len() > budget.left {
        let granted = budget.granted;
        return Err(Refusal::new(
            RejectReason::PayloadTooLarge,
            format!("the payloads of this value inflate to more than {granted} bytes"),
        ));
    }
    budget.left -= inside.len();
    Ok(inside)
}
