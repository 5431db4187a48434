//! Asks the processor to fetch memory that will be read soon.
//!
//! The only unsafe code of the crate. The intrinsic reads nothing a program could observe and
//! accepts any address; on other processors than x86-64 the function does nothing.
#![allow(unsafe_code)]

/// Fetches the cache line of `items[index]` ahead of its use; an index beyond the end is ignored.
#[inline]
pub fn prefetch<T>(items: &[T], index: usize) {
    let Some(item) = items.get(index) else {
        return;
    };
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64, and a prefetch has no effect but on the cache.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = item;
}

/// Fetches all cache lines of `item` ahead of its use.
#[inline]
pub fn prefetch_whole<T>(item: &T) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..size_of::<T>().div_ceil(64) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let address = std::ptr::from_ref(item)
            .cast::<i8>()
            .wrapping_add(line * 64);
        // SAFETY: SSE is part of x86-64, and a prefetch has no effect but on the cache.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = item;
}
