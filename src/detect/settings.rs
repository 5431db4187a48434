//! What the user may set of the detector, and every constant that follows from it.
//!
//! `DetectSettings` is as written, `Tuning` as the kernel needs it: windows, blocks, decays and
//! limits for the bucket width and the profile in force. All numbers come from the reference
//! (detection, section 6); each names the part it belongs to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::budget::{STRATA, ScopedBudget};
use super::calendar::Calendar;
use crate::model::{Feedback, SHARDS};

/// Buckets of recent counts and expectations a series keeps: the widest window, moved by the
/// shifts, with the late minutes before it, fits.
pub const RECENT: usize = 64;
/// Hours of a week.
pub const WEEK_HOURS: usize = 168;
/// Minutes that a history must reach back: 7 days, the widest window and the shift (6.1).
pub const HISTORY_MINUTES: u32 = 10_143;

/// How readily the engine speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The budget decides, through the fleet layer.
    #[default]
    Default,
    /// As sensitive as CloudTrail Insights: two calls of an API that is never called are enough.
    Compat,
    /// About one insight per series and week, for a handful of series that someone looks at:
    /// buckets of five minutes and a threshold that does not depend on the number of series.
    Watch,
}

impl Profile {
    /// Width of a bucket where the user sets none.
    pub fn bucket_minutes(self) -> u32 {
        match self {
            Profile::Default | Profile::Compat => 1,
            Profile::Watch => 5,
        }
    }
}

/// Whose fleet the series of an engine are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FleetScope {
    /// They are all there are: the engine fits their threshold itself.
    #[default]
    Whole,
    /// They are one partition's: the engine reports its hours, and waits for what a coordinator
    /// makes of the reports of all partitions.
    Part,
}

/// The part of the configuration that changes decisions.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectSettings {
    /// False insights a week that the user accepts over all series; of the profiles, only the
    /// default heeds it.
    pub budget_per_week: f64,
    /// Budgets of their own for parts of the fleet; of several that match the first counts.
    pub budgets: Vec<ScopedBudget>,
    /// A threshold fixed by hand, whatever the profile; the fleet layer is off.
    pub fixed_z: Option<f64>,
    pub profile: Profile,
    /// Width of a bucket: 1, 5, 15 or 60 minutes.
    pub bucket_minutes: u32,
    /// Series tracked over all shards.
    pub series_max: u64,
    /// Attribution values kept per series, dimension and UTC day.
    pub values_max: u32,
    /// Counts and attributions waiting from which series that cannot be admitted are refused.
    pub waiting_max: u32,
    /// No drop starts while all sources are proven idle.
    pub holds_drops: bool,
    /// A series has the first whose scope covers it.
    pub calendars: Vec<Calendar>,
    /// What people said of insights; it is no part of the settings hash, as the counts are not.
    pub feedback: Arc<Vec<Feedback>>,
    pub fleet: FleetScope,
}

impl Default for DetectSettings {
    fn default() -> Self {
        DetectSettings {
            budget_per_week: 1.0,
            budgets: Vec::new(),
            fixed_z: None,
            profile: Profile::Default,
            bucket_minutes: 1,
            series_max: 2_000_000,
            values_max: 64,
            waiting_max: 1_000_000,
            holds_drops: false,
            calendars: Vec::new(),
            feedback: Arc::default(),
            fleet: FleetScope::Whole,
        }
    }
}

impl DetectSettings {
    /// Series tracked in one shard.
    pub fn shard_series_max(&self) -> u32 {
        (self.series_max / u64::from(SHARDS)).clamp(1, 1 << 20) as u32
    }

    /// Insights a week by scope, the rest first.
    pub fn budgets(&self) -> Vec<f64> {
        let scopes = self.budgets.iter().map(|scope| scope.per_week);
        std::iter::once(self.budget_per_week)
            .chain(scopes)
            .collect()
    }

    /// Insights a week over all scopes.
    pub fn budget_in_all(&self) -> f64 {
        self.budgets().iter().sum()
    }

    /// What each scope but the rest matches, as text.
    pub fn scope_names(&self) -> Vec<String> {
        self.budgets.iter().map(ScopedBudget::name).collect()
    }

    /// Number of classes: three of each scope.
    pub fn classes(&self) -> usize {
        (self.budgets.len() + 1) * STRATA
    }
}

/// The kernel's constants for one bucket width and profile. Counts and times are in buckets,
/// rates in calls per minute, unless the name says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    pub bucket_minutes: u32,
    /// Buckets in an hour.
    pub hour: u32,
    /// Buckets in a day.
    pub day: u32,
    /// Lengths of the four windows whose sums are judged (6.4).
    pub windows: [u32; 4],
    /// The shortest window that is judged. The dispersion of its block is what counts are clipped
    /// by before they are learned (6.2).
    pub first_window: usize,
    /// Lengths of the four blocks that dispersion is learned from (6.3).
    pub blocks: [u32; 4],
    /// What a block's learning keeps at each step: half is forgotten in two days (6.3), in five
    /// with `watch`.
    pub block_keep: [f64; 4],
    /// All blocks end together after this many buckets.
    pub cycle: u32,
    /// For each place in the cycle, which of the second to fourth block end with it, as bits.
    pub block_ends: [u8; 60],
    /// Distance of each bucket of an hour from the middle of the hour, in hours (6.2).
    pub offsets: [f64; 60],
    /// Sum of the distances over one half of the hour, in minutes.
    pub half_offsets: f64,
    /// The third window lies between the second and third block (6.3, one-minute buckets only).
    pub interpolates_dispersion: bool,
    /// A drop is judged on window i only where M is at least this many phi; infinite for never.
    pub drop_mean_min: [f64; 4],
    /// How far recent calls against expected ones may scale the seasons (6.2); 1 for never.
    pub ratio_max: f64,
    /// Longest window that an onset is looked for in.
    pub onset_window: u32,
    /// Hours of a series' life before it may start an incident (6.6).
    pub warm_up_hours: u32,
    /// Decades that z* is higher by in a series' first week (6.6).
    pub first_week_extra: f64,
    /// Surprise above which an hour counts as an exceedance and z is more than 0 (6.5).
    pub exceedance: f64,
    /// The probability of that surprise, and a little more.
    pub exceedance_chance: f64,
    /// Calls that the window of a surge must hold for a Start.
    pub surge_count_min: f64,
    /// Excess beyond which nothing more is learned (6.5).
    pub excess_max: f64,
    /// Surprise above which an hour becomes a precedent (6.5).
    pub precedent_min: f64,
    /// Age in buckets below which a precedent belongs to the same episode, and from which it is
    /// forgotten (6.5).
    pub precedent_age_min: u32,
    pub precedent_age_max: u32,
    /// Whether drops have precedents, too (6.5), which with the default profile only surges have.
    pub excuses_drops: bool,
    /// Decades that a strong surge needs more for a Start when one episode of the last week was
    /// about as high (decision 0009).
    pub seen_once_extra: f64,
    /// A drop has a high score only where calls flow: one run of a schedule that does not come is a
    /// weak case (decision 0009).
    pub drop_needs_flow: bool,
    /// Calm buckets in a row that end an incident (6.6).
    pub calm_count: u32,
    /// Buckets after a Start at which an incident becomes the new normal (6.6).
    pub new_normal: u32,
    /// Buckets after a calm end within which a Start continues the incident before (6.6).
    pub continue_within: u32,
    /// Decades that such a Start needs more, twice in a series' first week, so that what flickers
    /// around the threshold is one incident (decision 0010).
    pub continue_extra: f64,
    /// Hours are judged too, against the seasons alone (decision 0016).
    pub judges_hours: bool,
    /// The threshold that this profile or the user fixes; `None` leaves it to the fleet layer.
    pub fixed_z: Option<f64>,
}

/// Age in hours from which hours are learned for recalibration (6.5).
pub const RECALIBRATION_AGE_HOURS: u32 = 49;
/// Age in hours from which precedents are kept (6.5).
pub const PRECEDENT_AGE_HOURS: u32 = 25;
/// Age in hours at which what was learned of errors on the first day is forgotten (6.3).
pub const FIRST_DAY_HOURS: u32 = 24;
/// Age in hours below which a Start needs a decade more (6.6).
pub const FIRST_WEEK_HOURS: u32 = 168;
/// Threshold of the watch profile. It is met by any surprise above its exceedance limit on a series
/// that exceeds it less than once in 32 hours (6.5); what that comes to on real series is measured
/// (decision 0008).
const WATCH_Z: f64 = 1.5;
const WATCH_EXCEEDANCE: f64 = 3.5;
/// Least length of the watch profile's windows in minutes: whoever looks at a few series is not
/// helped by a burst of minutes.
const WATCH_WINDOW_MIN: u32 = 30;
/// Thresholds of the compat profile: every sample that AWS documents fires. Four calls of an API
/// that is called every nine hours are 3.9 decades, two of one never called are 4.6, and a single
/// one would be 4.1: it takes two.
const COMPAT_Z: f64 = 2.0;
const COMPAT_EXCEEDANCE: f64 = 3.5;

impl Tuning {
    /// Panics when the bucket is none of 1, 5, 15 and 60 minutes, which configuration refuses.
    pub fn new(settings: &DetectSettings) -> Self {
        let bucket = settings.bucket_minutes;
        assert!(
            [1, 5, 15, 60].contains(&bucket),
            "a bucket is 1, 5, 15 or 60 minutes, not {bucket}"
        );
        let is_minute = bucket == 1;
        let is_watch = settings.profile == Profile::Watch;
        let (windows, blocks) = if is_minute {
            ([1, 5, 10, 60], [1, 5, 15, 60])
        } else {
            ([1, 6, 12, 48], [1, 6, 12, 48])
        };
        let profile_z = match settings.profile {
            Profile::Default => None,
            Profile::Compat => Some(COMPAT_Z),
            Profile::Watch => Some(WATCH_Z),
        };
        let is_compat = settings.profile == Profile::Compat;
        let exceedance = match settings.profile {
            Profile::Default => 4.0,
            Profile::Compat => COMPAT_EXCEEDANCE,
            Profile::Watch => WATCH_EXCEEDANCE,
        };
        let is_long = |window: &u32| window * bucket >= WATCH_WINDOW_MIN;
        let first = windows.iter().position(is_long).unwrap_or(0);
        let half_life = if is_watch { 7200.0 } else { 2880.0 };
        let is_default = settings.profile == Profile::Default;
        Tuning {
            bucket_minutes: bucket,
            hour: 60 / bucket,
            day: 1440 / bucket,
            windows,
            first_window: if is_watch { first } else { 0 },
            blocks,
            block_keep: blocks.map(|w| libm::exp2(-f64::from(w * bucket) / half_life)),
            cycle: blocks[3],
            block_ends: std::array::from_fn(|place| block_ends(place as u32, blocks)),
            offsets: std::array::from_fn(|m| offset(m as u32, 60 / bucket)),
            half_offsets: if bucket == 60 { 0.0 } else { 7.5 },
            interpolates_dispersion: is_minute,
            drop_mean_min: drop_mean_min(bucket, windows),
            ratio_max: if is_watch { 1.0 } else { 10.0 },
            onset_window: windows[3],
            warm_up_hours: 48,
            first_week_extra: if is_default { 1.0 } else { 0.0 },
            exceedance,
            exceedance_chance: libm::exp10(-exceedance) * (1.0 + 1e-6),
            surge_count_min: if is_compat { 2.0 } else { 0.0 },
            excess_max: 10.0,
            precedent_min: 8.4,
            precedent_age_min: 181_u32.div_ceil(bucket),
            precedent_age_max: 10_140 / bucket,
            excuses_drops: !is_default,
            seen_once_extra: if is_default { 1.75 } else { 0.0 },
            drop_needs_flow: is_default,
            calm_count: 5,
            new_normal: 1440 / bucket,
            continue_within: 120_u32.div_ceil(bucket),
            continue_extra: if is_default { 2.0 } else { 0.0 },
            judges_hours: is_default,
            fixed_z: settings.fixed_z.or(profile_z),
        }
    }
}

/// Drops on windows under 10 minutes (wider buckets: an hour) need an expectation of 100 phi at
/// one-minute buckets and are not judged at wider ones (6.4, 6.10).
fn drop_mean_min(bucket: u32, windows: [u32; 4]) -> [f64; 4] {
    windows.map(|window| match (bucket, window) {
        (1, 1 | 5) => 100.0,
        (1, _) => 0.0,
        _ if window * bucket >= 60 => 0.0,
        _ => f64::INFINITY,
    })
}

fn block_ends(place: u32, blocks: [u32; 4]) -> u8 {
    let mut ends = 0;
    for open in 0..3 {
        if (place + 1).is_multiple_of(blocks[open + 1]) {
            ends |= 1 << open;
        }
    }
    ends
}

fn offset(m: u32, hour: u32) -> f64 {
    ((f64::from(m) + 0.5) / f64::from(hour) - 0.5).abs()
}
