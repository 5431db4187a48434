//! Bit masks over blocks of bytes: where quotes, backslashes, brackets and controls stand.
//!
//! Bit `i` of a mask belongs to byte `i`. On x86-64 the masks come from SSE2, which every such
//! machine has, or from AVX2 where that is there; elsewhere from plain words. All give the same.

/// Bytes per block.
pub const BLOCK: usize = 64;

/// What stands where in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masks {
    pub quote: u64,
    pub backslash: u64,
    /// `{` and `[`.
    pub open: u64,
    /// `}` and `]`.
    pub close: u64,
    /// Bytes below 0x20.
    pub control: u64,
}

/// Sets bit `i` of the result to the parity of bits `0 ..= i`: from quotes to "inside a string".
pub fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_max_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8,
    };

    use super::{BLOCK, Masks};

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(bytes: &[u8]) -> __m128i {
        let word = |at: usize| {
            i64::from_le_bytes(
                bytes[at..at + 8]
                    .try_into()
                    .expect("eight bytes were cut out"),
            )
        };
        _mm_set_epi64x(word(8), word(0))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn equal(lane: __m128i, byte: u8) -> u32 {
        _mm_movemask_epi8(_mm_cmpeq_epi8(lane, _mm_set1_epi8(byte as i8))) as u32
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn control(lane: __m128i) -> u32 {
        let limit = _mm_set1_epi8(0x1f);
        _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(lane, limit), limit)) as u32
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn masks_sse2(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        for part in 0..4 {
            let lane = load(&block[part * 16..part * 16 + 16]);
            // `[` and `{`, and `]` and `}`, differ in bit 0x20 only.
            let folded = _mm_or_si128(lane, _mm_set1_epi8(0x20));
            masks.quote |= u64::from(equal(lane, b'"')) << (part * 16);
            masks.backslash |= u64::from(equal(lane, b'\\')) << (part * 16);
            masks.open |= u64::from(equal(folded, b'{')) << (part * 16);
            masks.close |= u64::from(equal(folded, b'}')) << (part * 16);
            masks.control |= u64::from(control(lane)) << (part * 16);
        }
        masks
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn string_stops_sse2(bytes: &[u8; 16]) -> u32 {
        let lane = load(bytes);
        equal(lane, b'"') | equal(lane, b'\\') | control(lane)
    }

    /// What stands where in the block.
    #[inline]
    pub fn masks(block: &[u8; BLOCK]) -> Masks {
        // SAFETY: SSE2 belongs to x86-64 itself; the function takes a reference and no pointer.
        unsafe { masks_sse2(block) }
    }

    /// Bit mask of the quotes, backslashes and controls among 16 bytes.
    #[inline]
    pub fn string_stops(bytes: &[u8; 16]) -> u32 {
        // SAFETY: as above.
        unsafe { string_stops_sse2(bytes) }
    }
}

/// The same for processors with AVX2, which is asked for when it is to be used.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
pub mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8,
        _mm256_cmpeq_epi8, _mm256_max_epu8, _mm256_movemask_epi8, _mm256_or_si256,
        _mm256_set_epi64x, _mm256_set1_epi8,
    };

    use super::{BLOCK, Masks};
    use crate::formats::json::Stop;
    use crate::formats::json::container::Blocks;

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(bytes: &[u8]) -> __m256i {
        let word = |at: usize| {
            i64::from_le_bytes(
                bytes[at..at + 8]
                    .try_into()
                    .expect("eight bytes were cut out"),
            )
        };
        _mm256_set_epi64x(word(24), word(16), word(8), word(0))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn equal(lane: __m256i, byte: u8) -> u64 {
        let equal = _mm256_cmpeq_epi8(lane, _mm256_set1_epi8(byte as i8));
        u64::from(_mm256_movemask_epi8(equal) as u32)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn masks(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        for part in 0..2 {
            let lane = load(&block[part * 32..part * 32 + 32]);
            let folded = _mm256_or_si256(lane, _mm256_set1_epi8(0x20));
            let raised = _mm256_max_epu8(lane, _mm256_set1_epi8(0x1f));
            masks.quote |= equal(lane, b'"') << (part * 32);
            masks.backslash |= equal(lane, b'\\') << (part * 32);
            masks.open |= equal(folded, b'{') << (part * 32);
            masks.close |= equal(folded, b'}') << (part * 32);
            masks.control |= equal(raised, 0x1f) << (part * 32);
        }
        masks
    }

    /// A product without carries with all ones is the parity of the bits up to each.
    #[inline]
    #[target_feature(enable = "sse2,pclmulqdq")]
    fn prefix_xor(bits: u64) -> u64 {
        let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits as i64), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(product) as u64
    }

    #[target_feature(enable = "avx2,pclmulqdq,popcnt,bmi1")]
    fn skip_avx2(
        bytes: &[u8],
        start: usize,
        is_checked: bool,
        nesting_max: u32,
    ) -> Result<usize, Stop> {
        let blocks = Blocks {
            masks: |block: &[u8; BLOCK]| masks(block),
            prefix_xor: |bits| prefix_xor(bits),
        };
        blocks.skip(bytes, start, is_checked, nesting_max)
    }

    /// `container::skip_container`, where the processor can.
    #[inline]
    pub fn skip(
        bytes: &[u8],
        start: usize,
        is_checked: bool,
        nesting_max: u32,
    ) -> Option<Result<usize, Stop>> {
        let is_there = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("bmi1");
        // SAFETY: the processor has what the function was compiled for.
        is_there.then(|| unsafe { skip_avx2(bytes, start, is_checked, nesting_max) })
    }

    /// Masks and prefix as `skip` sees them; `None` where the processor cannot.
    #[cfg(test)]
    pub fn masks_and_prefix(block: &[u8; BLOCK]) -> Option<(Masks, u64)> {
        let is_there = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("pclmulqdq");
        // SAFETY: as above.
        is_there.then(|| unsafe { (masks(block), prefix_xor(masks(block).quote)) })
    }
}

#[cfg(any(not(target_arch = "x86_64"), test))]
mod plain {
    use super::{BLOCK, Masks};

    #[cfg_attr(test, allow(dead_code))]
    pub fn masks(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        for (index, byte) in block.iter().enumerate() {
            let place = |hit: bool| u64::from(hit) << index;
            masks.quote |= place(*byte == b'"');
            masks.backslash |= place(*byte == b'\\');
            masks.open |= place(matches!(byte, b'{' | b'['));
            masks.close |= place(matches!(byte, b'}' | b']'));
            masks.control |= place(*byte < 0x20);
        }
        masks
    }

    #[cfg_attr(test, allow(dead_code))]
    pub fn string_stops(bytes: &[u8; 16]) -> u32 {
        let mut stops = 0;
        for (index, byte) in bytes.iter().enumerate() {
            let hit = matches!(byte, b'"' | b'\\') || *byte < 0x20;
            stops |= u32::from(hit) << index;
        }
        stops
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub use plain::{masks, string_stops};
#[cfg(target_arch = "x86_64")]
pub use sse2::{masks, string_stops};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fast_masks_equal_plain_ones(bytes in prop::collection::vec(
            prop_oneof![
                prop::sample::select(b"\"\\{}[]\x1f\x20\x00;\xdb\xfb\x9b".to_vec()),
                any::<u8>(),
            ],
            BLOCK,
        )) {
            let block: [u8; BLOCK] = bytes.try_into().expect("the length is that of a block");
            let plain = plain::masks(&block);
            prop_assert_eq!(masks(&block), plain);
            #[cfg(target_arch = "x86_64")]
            if let Some(wide) = avx2::masks_and_prefix(&block) {
                prop_assert_eq!(wide, (plain, prefix_xor(plain.quote)));
            }
            let head: [u8; 16] = block[..16].try_into().expect("16 bytes were cut out");
            prop_assert_eq!(string_stops(&head), plain::string_stops(&head));
        }
    }

    #[test]
    fn prefix_xor_marks_from_each_odd_bit() {
        assert_eq!(prefix_xor(0b0010_0100), 0b0001_1100);
        assert_eq!(prefix_xor(1), u64::MAX);
    }
}
