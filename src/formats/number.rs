//! Numbers as text: the same text wherever it is written, no exponents, no trailing zeros.

/// `value` rounded to `decimals` places; `inf`, `-inf` and `nan` for what is no number.
pub fn decimal(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return value.to_string().to_ascii_lowercase();
    }
    let mut text = format!("{value:.decimals$}");
    if text.contains('.') {
        let length = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(length);
    }
    if text == "-0" {
        text.remove(0);
    }
    text
}

/// `count / minutes` rounded half up to ten decimals, as CloudTrail writes averages.
///
/// In whole numbers, so it is exact; zero minutes give 0.
pub fn average(count: u64, minutes: u32) -> String {
    const ONE: u128 = 10_000_000_000;
    if minutes == 0 {
        return "0".to_string();
    }
    let minutes = u128::from(minutes);
    let scaled = (u128::from(count) * ONE * 2 + minutes) / (minutes * 2);
    let (whole, fraction) = (scaled / ONE, scaled % ONE);
    if fraction == 0 {
        return whole.to_string();
    }
    let text = format!("{whole}.{fraction:010}");
    text.trim_end_matches('0').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The averages are those of real records (reference, section 1.2).
    #[test]
    fn averages_are_those_of_real_records() {
        for (count, minutes, text) in [
            (17_702, 10_080, "1.7561507937"),
            (861_036, 10_080, "85.4202380952"),
            (18, 10_080, "0.0017857143"),
            (1, 11_336, "0.0000882145"),
            (1, 10_181, "0.0000982222"),
            (6, 5, "1.2"),
            (6, 1, "6"),
            (0, 11_092, "0"),
            (0, 0, "0"),
            (u64::MAX, 1, "18446744073709551615"),
        ] {
            assert_eq!(average(count, minutes), text);
        }
    }

    #[test]
    fn decimals_have_no_needless_zeros() {
        for (value, text) in [
            (1.5, "1.5"),
            (100.0, "100"),
            (-0.000_001, "0"),
            (1e-5, "0"),
            (0.12345, "0.1235"),
            (1e20, "100000000000000000000"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(decimal(value, 4), text);
        }
    }
}
