//! Asks the processor to load a cache line before it is needed.
//!
//! A hint and nothing else: no result depends on it. Unsafe code stands here and in the bit masks
//! of `formats/json/block.rs`, and nowhere else.
#![allow(unsafe_code)]

/// Starts loading the cache line that `slice[index]` begins in; any index is allowed.
#[inline(always)]
pub fn prefetch_read<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let address = slice.as_ptr().wrapping_add(index).cast::<i8>();
        // SAFETY: a prefetch never faults and reads nothing that the program can see, whatever
        // the address; SSE, which it needs, is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, index);
}

/// Starts loading all cache lines of `item`.
#[inline]
pub fn prefetch_whole<T>(item: &T) {
    /// Bytes of a cache line.
    const LINE: usize = 64;
    let address = std::ptr::from_ref(item).cast::<[u8; LINE]>();
    #[cfg(target_arch = "x86_64")]
    for line in 0..size_of::<T>().div_ceil(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.wrapping_add(line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_index_is_allowed() {
        let values = [1u64, 2, 3];
        for index in [0, 2, 3, 1 << 40, usize::MAX] {
            prefetch_read(&values, index);
        }
        prefetch_read::<u64>(&[], 0);
    }
}
