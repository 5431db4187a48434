//! What a series makes of what people say of its past insights.

use std::ops::Range;

use super::super::ledger::PastInsight;
use super::super::settings::Tuning;
use super::SeriesState;
use crate::model::Direction;

impl SeriesState {
    /// A true incident in these buckets excuses nothing.
    pub fn forget_precedents(
        &mut self,
        direction: Direction,
        buckets: Range<u32>,
        tuning: &Tuning,
    ) {
        self.recalibration
            .forget_precedents(direction, buckets, tuning);
    }

    /// What is like this insight, which lasted so long, is excused up to a bucket.
    pub fn expect_again(
        &mut self,
        past: &PastInsight,
        buckets: Range<u32>,
        until: u32,
        tuning: &Tuning,
    ) {
        self.recalibration
            .excuse(past.direction, past.peak, buckets, until, tuning);
    }

    /// What is now is normal: an open incident ends with its next bucket, and the series begins
    /// anew with the hour that follows; without one, with the hour that begins.
    pub fn accept_as_normal(&mut self) {
        self.incidents.accept_as_normal();
    }
}
