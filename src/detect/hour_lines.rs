//! What is expected bucket by bucket, this hour and the two before (6.2).
//!
//! Within an hour every expert is a straight line on each side of the middle, and so is their
//! mixture: three numbers give the expectation of any bucket, before the profile shapes it. A
//! profile that singles out a few buckets is a list, so that a series without recent counts needs
//! no ring of expectations; one that shapes many is a row, for the running hour only.

use serde::{Deserialize, Serialize};

use super::invariants::{DERIVED_MAX, are_amounts, require};
use super::settings::Tuning;
use super::slots::{read_boxed_row, write_row};

/// No bucket is expected to hold less, in calls per minute.
pub const RATE_MIN: f64 = 2e-5;
/// Buckets with a share of their own up to which they are listed.
const PEAKS_MAX: usize = 12;

/// Expected rates of three hours, youngest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HourLines {
    lines: [Line; 3],
    /// Buckets whose share is not their line's.
    peaks: Vec<Peak>,
    /// f of the running hour, where it does not fit into `peaks`.
    #[serde(serialize_with = "write_shape", deserialize_with = "read_shape")]
    shape: Option<Box<[f32; 60]>>,
    /// Bits, youngest first: the hour has, or had, a `shape`.
    shaped_hours: u8,
}

/// The mixture of experts over one hour: at its middle, and towards the hours before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Line {
    middle: f32,
    before: f32,
    after: f32,
    /// f of the buckets that have no share of their own.
    share: f32,
}

/// A bucket with a share of its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Peak {
    /// Hours before the running one.
    ago: u8,
    bucket: u8,
    share: f32,
}

/// What a profile makes of an hour: f of each bucket, and of those it knows nothing of.
pub struct Shares {
    pub buckets: [f32; 60],
    pub unlearned: f32,
}

impl HourLines {
    /// Begins an hour with the mixture at its middle and towards its neighbours; without shares
    /// every bucket has the same.
    pub fn open_hour(&mut self, mixture: [f64; 3], shares: Option<&Shares>, tuning: &Tuning) {
        let [middle, before, after] = mixture.map(|rate| rate as f32);
        let share = shares.map_or(1.0, |shares| shares.unlearned);
        self.lines = [
            Line {
                middle,
                before,
                after,
                share,
            },
            self.lines[0],
            self.lines[1],
        ];
        self.peaks.retain_mut(|peak| {
            peak.ago += 1;
            peak.ago < 3
        });
        if self.peaks.capacity() > 2 * self.peaks.len() {
            self.peaks.shrink_to_fit();
        }
        let hour = tuning.hour as usize;
        let is_listed = shares.is_none_or(|shares| self.list_or_keep(&shares.buckets[..hour]));
        if is_listed {
            self.shape = None;
        }
        // Wider buckets reach back further than the lines do: they always keep their ring.
        let bit = u8::from(!is_listed || hour < 60);
        self.shaped_hours = (self.shaped_hours << 1 | bit) & 0b111;
    }

    /// Rate of the mixture in bucket `m` of the running hour.
    pub fn mixture(&self, m: usize, tuning: &Tuning) -> f64 {
        self.lines[0].rate(m, tuning)
    }

    /// A rate that no bucket of the running hour falls below.
    pub fn mixture_min(&self) -> f64 {
        self.lines[0].low()
    }

    /// Calls expected in bucket `m` of an hour at a rate of the mixture, shaped by the profile.
    pub fn mean(&self, mixture: f64, m: usize, tuning: &Tuning) -> f32 {
        let share = match &self.shape {
            Some(shape) => shape[m],
            None => {
                let own = self
                    .peaks
                    .iter()
                    .find(|p| p.ago == 0 && usize::from(p.bucket) == m);
                own.map_or(self.lines[0].share, |peak| peak.share)
            }
        };
        mean_of(mixture, share, tuning)
    }

    /// Calls expected in the buckets from `m` on of the running hour.
    pub fn fill_means(&self, m: usize, out: &mut [f32], tuning: &Tuning) {
        match &self.shape {
            Some(shape) => self.lines[0].fill_shaped(m, out, shape, tuning),
            None => self.fill_past_means(0, m, out, tuning),
        }
    }

    /// Calls expected in the buckets from `m` on of the hour `ago` hours before, which must not
    /// have had a shape.
    pub fn fill_past_means(&self, ago: usize, m: usize, out: &mut [f32], tuning: &Tuning) {
        let line = &self.lines[ago];
        line.fill(m, out, tuning);
        for peak in self
            .peaks
            .iter()
            .filter(|peak| usize::from(peak.ago) == ago)
        {
            let bucket = usize::from(peak.bucket);
            if let Some(mean) = bucket.checked_sub(m).and_then(|at| out.get_mut(at)) {
                *mean = mean_of(line.rate(bucket, tuning), peak.share, tuning);
            }
        }
    }

    /// Whether this hour or the two before have a shape, so that what they expected is known only
    /// to those who kept it.
    pub fn is_shaped(&self) -> bool {
        self.shaped_hours != 0
    }

    /// Calls expected of the running hour before it is shaped, which moves calls and adds none.
    pub fn calls_of_hour(&self, tuning: &Tuning) -> f64 {
        self.lines[0].calls(tuning)
    }

    /// Calls that neither the running hour nor the one before exceeds.
    pub fn calls_of_hours_max(&self) -> f64 {
        60.0 * (self.lines[0].peak().max(self.lines[1].peak()) + RATE_MIN)
    }

    /// Calls that no hour's worth of buckets of these two hours exceeds.
    pub fn calls_near_max(&self) -> f64 {
        let is_plain = self.shaped_hours == 0 && self.peaks.is_empty();
        self.calls_of_hours_max() * if is_plain { 1.0 } else { 2.0 }
    }

    /// A rate that no bucket of this hour and the one before falls below, where no profile shapes
    /// them.
    pub fn rate_min_if_plain(&self) -> Option<f64> {
        let is_plain = self.shaped_hours & 0b11 == 0 && self.peaks.is_empty();
        is_plain.then(|| self.lines[0].low().min(self.lines[1].low()))
    }

    /// Checks what was read.
    pub fn check(&self) -> Result<(), String> {
        for line in &self.lines {
            let rates = [line.middle, line.before, line.after];
            let are_right = are_amounts(rates, DERIVED_MAX / 1e3) && is_share(line.share);
            require(are_right, "lines", "they are rates and shares")?;
        }
        let is_peak = |peak: &Peak| peak.ago < 3 && peak.bucket < 60 && is_share(peak.share);
        let are_right = self.peaks.len() <= 3 * PEAKS_MAX && self.peaks.iter().all(is_peak);
        require(are_right, "peaks", "they are a few shares of buckets")?;
        let shape = self.shape.iter().flat_map(|shape| shape.iter());
        require(shape.copied().all(is_share), "shape", "it has shares")?;
        require(
            self.shaped_hours < 8,
            "shaped_hours",
            "it is about three hours",
        )
    }

    pub fn heap_bytes(&self) -> usize {
        let shape = if self.shape.is_some() { 240 } else { 0 };
        self.peaks.capacity() * size_of::<Peak>() + shape
    }

    /// Lists the buckets with a share of their own, or keeps the whole row if they are many.
    fn list_or_keep(&mut self, shares: &[f32]) -> bool {
        let usual = self.lines[0].share;
        let own = |share: &f32| *share != usual;
        let count = shares.iter().filter(|share| own(share)).count();
        if shares.len() == 60 && count <= PEAKS_MAX {
            self.peaks.reserve_exact(count);
            for (bucket, share) in shares.iter().enumerate().filter(|(_, share)| own(share)) {
                self.peaks.push(Peak {
                    ago: 0,
                    bucket: bucket as u8,
                    share: *share,
                });
            }
            return true;
        }
        let shape = self.shape.get_or_insert_with(|| Box::new([1.0; 60]));
        shape[..shares.len()].copy_from_slice(shares);
        false
    }
}

impl Line {
    fn rate(&self, m: usize, tuning: &Tuning) -> f64 {
        let side = if m * 2 < tuning.hour as usize {
            self.before
        } else {
            self.after
        };
        let middle = f64::from(self.middle);
        middle + tuning.offsets[m] * (f64::from(side) - middle)
    }

    fn peak(&self) -> f64 {
        f64::from(self.middle.max(self.before).max(self.after))
    }

    /// Rounding to `f32` may take a rate below both by less than this takes off.
    fn low(&self) -> f64 {
        f64::from(self.middle.min(self.before).min(self.after)) * (1.0 - 1e-6)
    }

    fn calls(&self, tuning: &Tuning) -> f64 {
        let sides = f64::from(self.before) + f64::from(self.after);
        (60.0 - 2.0 * tuning.half_offsets) * f64::from(self.middle) + tuning.half_offsets * sides
    }

    fn fill(&self, m: usize, out: &mut [f32], tuning: &Tuning) {
        let half = (tuning.hour as usize).div_ceil(2);
        let first = half.saturating_sub(m).min(out.len());
        let (before, after) = out.split_at_mut(first);
        let middle = f64::from(self.middle);
        for (side, m, out) in [(self.before, m, before), (self.after, m + first, after)] {
            let slope = f64::from(side) - middle;
            for (mean, offset) in out.iter_mut().zip(&tuning.offsets[m..]) {
                *mean = mean_of(middle + offset * slope, self.share, tuning);
            }
        }
    }

    fn fill_shaped(&self, m: usize, out: &mut [f32], shape: &[f32; 60], tuning: &Tuning) {
        for (i, mean) in out.iter_mut().enumerate() {
            *mean = mean_of(self.rate(m + i, tuning), shape[m + i], tuning);
        }
    }
}

/// Whether a number may be the share of a bucket in its hour's line.
fn is_share(share: f32) -> bool {
    are_amounts([share], 100.0)
}

fn mean_of(mixture: f64, share: f32, tuning: &Tuning) -> f32 {
    let rate = mixture * f64::from(share);
    // Not `max`, whose rule for numbers that are none keeps a loop from using vectors.
    let rate = if rate > RATE_MIN { rate } else { RATE_MIN };
    (rate * f64::from(tuning.bucket_minutes)) as f32
}

fn write_shape<S: serde::Serializer>(
    shape: &Option<Box<[f32; 60]>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row<'a>(#[serde(serialize_with = "write_row")] &'a [f32; 60]);
    shape.as_deref().map(Row).serialize(serializer)
}

fn read_shape<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<[f32; 60]>>, D::Error> {
    #[derive(Deserialize)]
    struct Row(#[serde(deserialize_with = "read_boxed_row")] Box<[f32; 60]>);
    Ok(Option::<Row>::deserialize(deserializer)?.map(|row| row.0))
}
