//! Judgements of one series as the curves of a chart, in bins of equal length.
//!
//! A bin holds averages a minute. What was usual is that of single minutes, so in long bins the
//! range is wider than averages are.

use std::ops::Range;

use super::timeline::ChartView;
use crate::model::{Judgement, Minute};

/// Minutes before an onset that a chart of the week shows, and after it.
const WEEK_BEFORE: u32 = 7 * Minute::PER_DAY;
const WEEK_AFTER: u32 = 6 * Minute::PER_HOUR;
/// Bins of the week are at least so many minutes long.
const COARSE_MINUTES: u32 = 15;
/// Buckets before and after an onset that a chart of its surroundings shows.
const FINE_BEFORE: u32 = 60;
const FINE_AFTER: u32 = 120;

/// A chart that is being filled.
#[derive(Clone, Debug)]
pub struct Chart {
    span: Range<Minute>,
    bin_minutes: u32,
    bucket_minutes: u32,
    bins: Vec<Bin>,
}

#[derive(Clone, Debug, Default)]
struct Bin {
    /// Judged buckets.
    buckets: u32,
    count: f64,
    expected: f64,
    low: f64,
    high: f64,
}

/// Both charts of a minute.
#[derive(Clone, Debug)]
pub struct Charts {
    pub coarse: Chart,
    pub fine: Chart,
}

impl Charts {
    /// The charts around `minute`, within `input`.
    pub fn around(minute: Minute, input: &Range<Minute>, bucket_minutes: u32) -> Self {
        let bin = COARSE_MINUTES.max(bucket_minutes);
        let [before, after] = [FINE_BEFORE, FINE_AFTER].map(|buckets| buckets * bucket_minutes);
        let within = |before: u32, after: u32, bin: u32| {
            let start = minute.0.saturating_sub(before).max(input.start.0);
            let end = (minute.0 + after).min(input.end.0).max(start);
            Chart::new(Minute(start).bucket(bin)..Minute(end), bin, bucket_minutes)
        };
        Charts {
            coarse: within(WEEK_BEFORE, WEEK_AFTER.max(after), bin),
            fine: within(before, after, bucket_minutes),
        }
    }

    /// The minutes that they show.
    pub fn span(&self) -> Range<Minute> {
        let (coarse, fine) = (&self.coarse.span, &self.fine.span);
        coarse.start.min(fine.start)..coarse.end.max(fine.end)
    }

    pub fn add(&mut self, judgement: &Judgement) {
        self.coarse.add(judgement);
        self.fine.add(judgement);
    }
}

impl Chart {
    fn new(span: Range<Minute>, bin_minutes: u32, bucket_minutes: u32) -> Self {
        let bins = (span.end.0 - span.start.0).div_ceil(bin_minutes);
        Chart {
            span,
            bin_minutes,
            bucket_minutes,
            bins: vec![Bin::default(); bins as usize],
        }
    }

    fn add(&mut self, judgement: &Judgement) {
        if !self.span.contains(&judgement.minute) {
            return;
        }
        let place = (judgement.minute.0 - self.span.start.0) / self.bin_minutes;
        let bin = &mut self.bins[place as usize];
        bin.buckets += 1;
        bin.count += judgement.count as f64;
        bin.expected += judgement.expected;
        bin.low += judgement.low;
        bin.high += judgement.high;
    }

    /// The curves. Before a series has its first count nothing is seen and nothing expected.
    pub fn view(&self) -> ChartView {
        let curve = |value: fn(&Bin) -> f64| -> Vec<Option<f64>> {
            let average = |bin: &Bin| {
                let minutes = bin.buckets * self.bucket_minutes;
                (minutes > 0).then(|| value(bin) / f64::from(minutes))
            };
            self.bins.iter().map(average).collect()
        };
        ChartView {
            start: self.span.start.start().seconds(),
            step_seconds: i64::from(self.bin_minutes) * 60,
            seen: self.seen(),
            expected: curve(|bin| bin.expected),
            low: curve(|bin| bin.low),
            high: curve(|bin| bin.high),
        }
    }

    /// Averages over all minutes of a bin within the span: those that were not judged are silent.
    fn seen(&self) -> Vec<Option<f64>> {
        let starts = self.span.start.0..self.span.end.0;
        let starts = starts.step_by(self.bin_minutes as usize);
        let bins = starts.zip(&self.bins);
        bins.map(|(start, bin)| {
            let minutes = self.bin_minutes.min(self.span.end.0 - start);
            Some(bin.count / f64::from(minutes))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ScoreState;

    fn judgement(minute: u32, count: u64) -> Judgement {
        Judgement {
            minute: Minute(minute),
            count,
            expected: 2.0,
            low: 1.0,
            high: 4.0,
            surprise: 0.0,
            z: 0.0,
            state: ScoreState::None,
            reasons: None,
        }
    }

    /// Ten minutes of 30 calls in a bin of 15 whose other minutes were not judged.
    #[test]
    fn bins_hold_averages_a_minute() {
        let onset = Minute(30_000);
        let mut charts = Charts::around(onset, &(Minute(29_000)..Minute(30_100)), 1);
        for minute in 29_985..29_995 {
            charts.add(&judgement(minute, 3));
        }
        let coarse = charts.coarse.view();
        assert_eq!(coarse.start, 28_995 * 60, "a bin begins on a quarter");
        let bin = (29_985 - 28_995) / 15;
        assert_eq!(coarse.seen[bin], Some(2.0), "30 calls in 15 minutes");
        assert_eq!(coarse.expected[bin], Some(2.0));
        assert_eq!((coarse.low[bin], coarse.high[bin]), (Some(1.0), Some(4.0)));
        assert_eq!(coarse.seen[bin + 1], Some(0.0));
        assert_eq!(coarse.expected[bin + 1], None, "nothing is known");
        let fine = charts.fine.view();
        assert_eq!(fine.start, 29_940 * 60);
        assert_eq!(fine.seen.len(), 160, "the input ends");
        assert_eq!(fine.seen[45], Some(3.0));
        assert_eq!(charts.span(), Minute(28_995)..Minute(30_100));
    }

    /// Five-minute buckets: averages are still a minute.
    #[test]
    fn wide_buckets_are_averages_a_minute_too() {
        let mut charts = Charts::around(Minute(30_000), &(Minute(0)..Minute(40_000)), 5);
        charts.add(&judgement(30_000, 10));
        let fine = charts.fine.view();
        assert_eq!(fine.step_seconds, 300);
        assert_eq!(fine.seen[60], Some(2.0));
        assert_eq!(fine.high[60], Some(0.8));
    }
}
