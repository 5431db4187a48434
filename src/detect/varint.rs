//! Unsigned integers in 1 to 10 bytes, seven bits a byte, low bits first (LEB128).
//!
//! The form of sealed minutes and days. It knows nothing of what the numbers mean.

/// Appends `value`.
#[inline]
pub fn write(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads the value at `*at` and moves `*at` behind it.
#[inline]
pub fn read(bytes: &[u8], at: &mut usize) -> u64 {
    let first = bytes[*at];
    *at += 1;
    if first < 0x80 {
        return u64::from(first);
    }
    let mut value = u64::from(first & 0x7f);
    let mut shift = 7;
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

/// As [`read`] for bytes that nobody vouches for: `None` where they hold no number of 64 bits.
pub fn read_checked(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back() {
        let mut bytes = Vec::new();
        let values: Vec<u64> = (0..64)
            .flat_map(|bit| [1u64 << bit, (1 << bit) - 1])
            .collect();
        for value in &values {
            write(&mut bytes, *value);
        }
        write(&mut bytes, u64::MAX);
        let mut at = 0;
        for value in &values {
            assert_eq!(read(&bytes, &mut at), *value);
        }
        assert_eq!(read(&bytes, &mut at), u64::MAX);
        assert_eq!(at, bytes.len());
    }
}
