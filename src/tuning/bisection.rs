//! The least number that does something, where more always does it, too.

/// The least number from 1 to `most` for which `does` holds; `None` if it holds for none. It has
/// to hold for every number above one for which it holds.
pub fn least(most: u64, does: &dyn Fn(u64) -> bool) -> Option<u64> {
    // `low` does not, `high` does.
    let (mut low, mut high) = (0, 1);
    while !does(high) {
        if high >= most {
            return None;
        }
        low = high;
        high = (2 * high).min(most);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if does(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_least_number_is_found() {
        for most in 1..70 {
            for first in 1..75 {
                let expected = (first <= most).then_some(first);
                assert_eq!(least(most, &|number| number >= first), expected, "{most}");
            }
        }
    }
}
