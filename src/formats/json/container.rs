//! Skips one object or array a block at a time, without looking at what is in it.
//!
//! Only strings, escapes, bracket depth and control characters count. On x86-64 the walk is
//! compiled twice, for every such machine and for those with AVX2, which takes half the
//! instructions; which one runs changes nothing else.

use super::block::{BLOCK, Masks, masks, prefix_xor};
use super::scanner::Stop;

/// Position behind the object or array that begins at `start`. In text that is not `is_checked`
/// a control character, a backslash outside of strings or more levels than `nesting_max` are a
/// doubt.
#[inline]
pub fn skip_container(
    bytes: &[u8],
    start: usize,
    is_checked: bool,
    nesting_max: u32,
) -> Result<usize, Stop> {
    #[cfg(target_arch = "x86_64")]
    if let Some(result) = super::block::avx2::skip(bytes, start, is_checked, nesting_max) {
        return result;
    }
    let blocks = Blocks { masks, prefix_xor };
    blocks.skip(bytes, start, is_checked, nesting_max)
}

/// How the bits of a block are found.
pub struct Blocks<M, X> {
    pub masks: M,
    pub prefix_xor: X,
}

impl<M: Fn(&[u8; BLOCK]) -> Masks, X: Fn(u64) -> u64 + Copy> Blocks<M, X> {
    /// As [`skip_container`].
    #[inline(always)]
    pub fn skip(
        &self,
        bytes: &[u8],
        start: usize,
        is_checked: bool,
        nesting_max: u32,
    ) -> Result<usize, Stop> {
        let mut at = start;
        let mut walk = Walk::default();
        loop {
            let found = match bytes.get(at..at + BLOCK) {
                Some(block) => (self.masks)(block.try_into().expect("a block was cut out")),
                None => {
                    let tail = bytes.get(at..).filter(|tail| !tail.is_empty());
                    let tail = tail.ok_or(Stop::Incomplete)?;
                    let mut block = [b' '; BLOCK];
                    block[..tail.len()].copy_from_slice(tail);
                    (self.masks)(&block)
                }
            };
            let step = walk.step(found, self.prefix_xor);
            let seen = step.end.map_or(u64::MAX, |end| (1 << end) - 1);
            let doubtful = found.control | found.backslash & !step.string;
            if doubtful & seen != 0 && !is_checked {
                return Err(Stop::Doubt);
            }
            if let Some(end) = step.end {
                return Ok(at + end as usize + 1);
            }
            // Only a whole block tells, because more bytes may end the value in this one.
            let is_whole = at + BLOCK <= bytes.len();
            if is_whole && step.depth_bound > nesting_max {
                return Err(Stop::Doubt);
            }
            at += BLOCK;
        }
    }
}

/// State of a walk over blocks: bracket depth, and whether a string or an escape is open.
#[derive(Debug, Default)]
struct Walk {
    depth: u32,
    /// All ones inside a string, else zero.
    in_string: u64,
    /// One when the first byte of the next block is escaped.
    escaped_first: u64,
}

struct WalkStep {
    /// Index of the bracket that closed the container.
    end: Option<u32>,
    /// Depth that was not exceeded in this block.
    depth_bound: u32,
    /// Bits of the bytes inside strings.
    string: u64,
}

impl Walk {
    #[inline(always)]
    fn step(&mut self, found: Masks, prefix_xor: impl Fn(u64) -> u64) -> WalkStep {
        let escaped = self.escaped(found.backslash);
        let quote = found.quote & !escaped;
        let string = prefix_xor(quote) ^ self.in_string;
        self.in_string = ((string as i64) >> 63) as u64;
        let open = found.open & !string;
        let close = found.close & !string;
        if open | close == 0 {
            return WalkStep {
                end: None,
                depth_bound: self.depth,
                string,
            };
        }
        let depth_bound = self.depth + open.count_ones();
        if close.count_ones() < self.depth {
            self.depth = depth_bound - close.count_ones();
            return WalkStep {
                end: None,
                depth_bound,
                string,
            };
        }
        let mut rest = close;
        let mut closed = 0;
        while rest != 0 {
            let index = rest.trailing_zeros();
            closed += 1;
            let opened = (open & ((1 << index) - 1)).count_ones();
            if self.depth + opened <= closed {
                return WalkStep {
                    end: Some(index),
                    depth_bound,
                    string,
                };
            }
            rest &= rest - 1;
        }
        self.depth = depth_bound - closed;
        WalkStep {
            end: None,
            depth_bound,
            string,
        }
    }

    /// Bits of the bytes that a backslash escapes.
    #[inline(always)]
    fn escaped(&mut self, backslash: u64) -> u64 {
        if backslash == 0 {
            return std::mem::take(&mut self.escaped_first);
        }
        let mut escaped = self.escaped_first;
        let mut rest = backslash & !escaped;
        self.escaped_first = 0;
        while rest != 0 {
            let index = rest.trailing_zeros();
            if index == 63 {
                self.escaped_first = 1;
                break;
            }
            escaped |= 2 << index;
            // The escaped byte is no escape itself.
            rest &= !(3 << index);
        }
        escaped
    }
}
