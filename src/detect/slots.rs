//! A row of numbers by slot, most of them 0 for most series.
//!
//! The hours of a week and the buckets of an hour are such rows. Values that are not 0 are kept
//! as pairs of slot and value until the plain row is smaller. Which form is held is a function
//! of the values alone, except that a row which thins out is repacked only when asked.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::invariants::are_amounts;
use crate::model::prefetch_whole;

/// `N` numbers of one precision, `N <= 256`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Slots<const N: usize> {
    /// (slot, little-endian `f32`), by slot, no value 0.
    Sparse(Vec<[u8; 5]>),
    #[serde(serialize_with = "write_row", deserialize_with = "read_boxed_row")]
    Dense(Box<[f32; N]>),
}

impl<const N: usize> Default for Slots<N> {
    fn default() -> Self {
        Slots::Sparse(Vec::new())
    }
}

impl<const N: usize> Slots<N> {
    /// Pairs beyond which the plain row is held: it is at most three times as large by then, and
    /// its sums are several times cheaper.
    const SPARSE_MAX: usize = N * 2 / 5;

    pub fn get(&self, slot: usize) -> f32 {
        match self {
            Slots::Dense(row) => row[slot],
            Slots::Sparse(pairs) => match pairs.binary_search_by_key(&(slot as u8), |p| p[0]) {
                Ok(at) => value_of(&pairs[at]),
                Err(_) => 0.0,
            },
        }
    }

    pub fn set(&mut self, slot: usize, value: f32) {
        match self {
            Slots::Dense(row) => row[slot] = value,
            Slots::Sparse(pairs) => {
                match pairs.binary_search_by_key(&(slot as u8), |p| p[0]) {
                    Ok(at) if value == 0.0 => {
                        pairs.remove(at);
                    }
                    Ok(at) => pairs[at] = pair(slot, value),
                    Err(_) if value == 0.0 => {}
                    Err(at) => {
                        if pairs.len() == pairs.capacity() {
                            pairs.reserve_exact(4);
                        }
                        pairs.insert(at, pair(slot, value));
                    }
                }
                if pairs.len() > Self::SPARSE_MAX {
                    self.unpack();
                }
            }
        }
    }

    /// Calls `visit` with every slot whose value is not 0, from slot 0 upwards.
    pub fn for_each(&self, mut visit: impl FnMut(usize, f32)) {
        match self {
            Slots::Dense(row) => {
                for (slot, value) in row.iter().enumerate() {
                    visit(slot, *value);
                }
            }
            Slots::Sparse(pairs) => {
                for pair in pairs {
                    visit(usize::from(pair[0]), value_of(pair));
                }
            }
        }
    }

    /// Sum of all values, in eight lanes that are added at the end: one order for one form.
    pub fn total(&self) -> f64 {
        let mut lanes = [0.0; 8];
        match self {
            Slots::Dense(row) => {
                let chunks = row.chunks_exact(8);
                for (lane, value) in lanes.iter_mut().zip(chunks.remainder()) {
                    *lane += f64::from(*value);
                }
                for chunk in chunks {
                    for (lane, value) in lanes.iter_mut().zip(chunk) {
                        *lane += f64::from(*value);
                    }
                }
            }
            Slots::Sparse(pairs) => {
                for (i, pair) in pairs.iter().enumerate() {
                    lanes[i % 8] += f64::from(value_of(pair));
                }
            }
        }
        lanes.iter().sum()
    }

    /// Sums of the values in the slots that leave each of these rests when divided by `CYCLE`.
    pub fn sums_by_rest<const CYCLE: usize, const R: usize>(&self, rests: [usize; R]) -> [f64; R] {
        let mut sums = [0.0; R];
        match self {
            Slots::Dense(row) => {
                for (sum, rest) in sums.iter_mut().zip(rests) {
                    for value in row[rest..].iter().step_by(CYCLE) {
                        *sum += f64::from(*value);
                    }
                }
            }
            Slots::Sparse(pairs) => {
                for pair in pairs {
                    let slot = usize::from(pair[0]) % CYCLE;
                    for (sum, rest) in sums.iter_mut().zip(rests) {
                        if slot == rest {
                            *sum += f64::from(value_of(pair));
                        }
                    }
                }
            }
        }
        sums
    }

    /// Replaces each value in `slots` that is not 0 by what `change` makes of it; `change` makes
    /// 0 of 0 and of nothing else.
    pub fn update_range(
        &mut self,
        slots: std::ops::Range<usize>,
        mut change: impl FnMut(usize, f32) -> f32,
    ) {
        match self {
            Slots::Dense(row) => {
                for (value, slot) in row[slots.clone()].iter_mut().zip(slots) {
                    *value = change(slot, *value);
                }
            }
            Slots::Sparse(pairs) => {
                for entry in pairs {
                    let slot = usize::from(entry[0]);
                    if slots.contains(&slot) {
                        *entry = pair(slot, change(slot, value_of(entry)));
                    }
                }
            }
        }
    }

    /// Whether `test` holds for any of the first `length` slots.
    pub fn any(&self, length: usize, test: impl Fn(f32) -> bool) -> bool {
        match self {
            Slots::Dense(row) => row[..length].iter().any(|value| test(*value)),
            Slots::Sparse(pairs) => {
                (pairs.len() < length && test(0.0)) || pairs.iter().any(|p| test(value_of(p)))
            }
        }
    }

    /// Makes values below `least` 0.
    pub fn drop_below(&mut self, least: f32) {
        match self {
            Slots::Dense(row) => {
                for value in row.iter_mut().filter(|value| **value < least) {
                    *value = 0.0;
                }
            }
            Slots::Sparse(pairs) => pairs.retain(|pair| value_of(pair) >= least),
        }
    }

    /// Goes back to pairs when half as many would do; costs a pass over the row.
    pub fn repack(&mut self) {
        if let Slots::Dense(row) = self {
            let used = row.iter().filter(|value| **value != 0.0).count();
            if used * 2 <= Self::SPARSE_MAX {
                let mut pairs = Vec::with_capacity(used);
                for (slot, value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                    pairs.push(pair(slot, *value));
                }
                *self = Slots::Sparse(pairs);
            }
        }
    }

    /// Fetches the row, if it is a plain one, ahead of its use.
    pub fn prefetch(&self) {
        if let Slots::Dense(row) = self {
            prefetch_whole(&**row);
        }
    }

    /// Whether the pairs are in order of slot and all values are amounts up to `most`.
    pub fn is_sound(&self, most: f64) -> bool {
        match self {
            Slots::Dense(row) => are_amounts(row.iter().copied(), most),
            Slots::Sparse(pairs) => {
                pairs.len() <= Self::SPARSE_MAX
                    && pairs.iter().all(|pair| usize::from(pair[0]) < N)
                    && pairs.is_sorted_by(|a, b| a[0] < b[0])
                    && are_amounts(pairs.iter().map(value_of), most)
            }
        }
    }

    pub fn heap_bytes(&self) -> usize {
        match self {
            Slots::Dense(_) => N * 4,
            Slots::Sparse(pairs) => pairs.capacity() * 5,
        }
    }

    fn unpack(&mut self) {
        let mut row = Box::new([0.0; N]);
        self.for_each(|slot, value| row[slot] = value);
        *self = Slots::Dense(row);
    }
}

fn pair(slot: usize, value: f32) -> [u8; 5] {
    let [a, b, c, d] = value.to_le_bytes();
    [slot as u8, a, b, c, d]
}

fn value_of(pair: &[u8; 5]) -> f32 {
    f32::from_le_bytes([pair[1], pair[2], pair[3], pair[4]])
}

/// serde knows arrays up to 32 only; a row is written as its values.
pub fn write_row<S: Serializer, T: Serialize, const N: usize>(
    row: &[T; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(row.iter())
}

/// Reads what [`write_row`] wrote.
pub fn read_row<'de, D: Deserializer<'de>, T: Deserialize<'de>, const N: usize>(
    deserializer: D,
) -> Result<[T; N], D::Error> {
    let values = Vec::<T>::deserialize(deserializer)?;
    let length = values.len();
    let row: Result<[T; N], _> = values.try_into();
    row.map_err(|_| serde::de::Error::invalid_length(length, &"a whole row"))
}

/// The same into a box.
pub fn read_boxed_row<'de, D: Deserializer<'de>, T: Deserialize<'de>, const N: usize>(
    deserializer: D,
) -> Result<Box<[T; N]>, D::Error> {
    read_row(deserializer).map(Box::new)
}
