//! How improbable the last minutes are, under the baseline and its innocent explanations (6.4).
//!
//! Four windows are judged; what surprises must also surprise if the calls came a little early or
//! late, and if it happens at this time of day. Surprises are in decades: 6 is one in a million.

use libm::log;

use crate::model::{Direction, Explained};

use super::recent::{Recent, Sums};
use super::settings::{HISTORY_MINUTES, Tuning};
use super::tail::{ln_lower, ln_upper};
use super::verdict::History;

/// Surprise up to which no explanation is looked for.
pub const EXPLAIN_MIN: f64 = 3.0;
/// How far a window is moved, in buckets, to find calls that came early or late.
const SHIFT_MAX: u32 = 2;
/// Buckets before a window whose missing calls may have come late.
const LATE_BUCKETS: u32 = 3;
/// How far the same time of other days is moved.
const PHASE_SHIFT: u32 = 3;
/// A recurrence counts only if it was itself this surprising.
pub const RECURRENCE_MIN: f64 = 2.0;
/// A drop's recurrence is at least this, so that it has a dispersion.
pub const RECURRENCE_MEAN_MIN: f64 = 0.05;

/// Buckets, weighted by what is expected of them, that a drop's window below the longest must
/// spread over: a poll or two that fail are not the end of a flow; the longest window sees more.
const FLOW_BUCKETS_MIN: f64 = 2.5;
/// Buckets that are looked at for that, where the window is shorter.
const FLOW_BUCKETS: u32 = 5;
/// Hours on each side of a drop's window that say, by the days before, whether calls flow there.
const FLOW_AROUND_HOURS: u32 = 2;
/// Days before that are asked, as far as a history reaches.
const FLOW_DAYS: u32 = 6;
/// A flow has at least this share of the window's rate around it.
const FLOW_SHARE: f64 = 0.25;

/// The largest explained surprise of one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Surprise {
    /// Largest before explanations.
    pub raw: f64,
    /// Largest after explanations.
    pub value: f64,
    /// Side of the latter; `None` where it is 0.
    pub direction: Option<Direction>,
    /// Seen to expected, and seen per bucket, in its window.
    pub ratio: f64,
    pub rate: f64,
    /// Which of the four windows it is.
    pub window: usize,
}

/// One window under the baseline.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub index: usize,
    pub length: u32,
    pub sums: Sums,
    pub phi: f64,
}

/// Expected sums under which a window may be innocent; `None` where it does not apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct Innocents {
    pub shifted: Option<f64>,
    pub same_phase: Option<f64>,
}

/// What the explanations made of a window's surprise; `None` where one did not apply, or was not
/// asked any more.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    pub shifted: Option<Explained>,
    pub same_phase: Option<Explained>,
    /// Decades that are left.
    pub left: f64,
}

/// What a bucket is judged from.
pub struct Scene<'a> {
    pub t: u32,
    pub recent: &'a Recent,
    /// Expectations of the two buckets to come.
    pub ahead: [f64; SHIFT_MAX as usize],
    /// Dispersion of each window.
    pub phis: [f64; 4],
    pub tuning: &'a Tuning,
    pub history: &'a dyn History,
}

/// Counts of the days before, the newest bucket first: all windows of a bucket end at the same, so
/// a longer one asks only for what a shorter one has not asked for.
#[derive(Debug, Default)]
struct PastDays([Vec<u64>; 7]);

impl PastDays {
    /// The `span` buckets of a day that end with bucket `newest`.
    fn back_from(&mut self, newest: i64, span: usize, day: usize, of: &dyn History) -> &[u64] {
        let held = &mut self.0[day];
        if held.len() < span {
            let mut older = [0; 80];
            let older = &mut older[..span - held.len()];
            of.counts(newest + 1 - span as i64, older);
            held.extend(older.iter().rev());
        }
        &held[..span]
    }
}

fn explained(expected: Option<f64>, left: f64) -> Option<Explained> {
    expected.map(|expected| Explained { expected, left })
}

/// Decades of a tail on the side of `direction`; 0 if `x` is not there.
pub fn decades(direction: Direction, x: f64, mean: f64, phi: f64) -> f64 {
    let ln = match direction {
        Direction::Up => ln_upper(x, mean, phi),
        Direction::Down => ln_lower(x, mean, phi),
    };
    -ln / std::f64::consts::LN_10
}

/// Whether a sum is far enough off for its tail to be worth computing.
pub fn is_notable(count: f64, mean: f64, phi: f64) -> bool {
    let off = count - mean;
    off * off >= 4.0 * phi * mean || off >= 6.0 * phi
}

impl Window {
    pub fn direction(&self) -> Direction {
        if self.sums.count < self.sums.mean {
            Direction::Down
        } else {
            Direction::Up
        }
    }

    /// Decades under the baseline; 0 where the window says nothing.
    pub fn raw(&self, tuning: &Tuning) -> f64 {
        let Sums { count, mean } = self.sums;
        let direction = self.direction();
        if direction == Direction::Down && mean < tuning.drop_mean_min[self.index] * self.phi {
            return 0.0;
        }
        if !is_notable(count, mean, self.phi) {
            return 0.0;
        }
        decades(direction, count, mean, self.phi)
    }

    /// Decades that no innocent explanation takes away.
    pub fn explained(&self, raw: f64, innocents: &Innocents) -> f64 {
        let shifted = self.if_shifted(raw, innocents.shifted);
        if shifted <= EXPLAIN_MIN {
            return shifted;
        }
        self.if_same_phase(shifted, innocents.same_phase)
    }

    pub fn if_shifted(&self, raw: f64, mean: Option<f64>) -> f64 {
        mean.map_or(raw, |mean| {
            raw.min(decades(self.direction(), self.sums.count, mean, self.phi))
        })
    }

    pub fn if_same_phase(&self, shifted: f64, reference: Option<f64>) -> f64 {
        reference.map_or(shifted, |reference| {
            let phi = self.phi.max(1.0 + 0.06 * reference);
            shifted.min(decades(self.direction(), self.sums.count, reference, phi))
        })
    }

    pub fn ratio(&self) -> f64 {
        (self.sums.count + 0.5) / (self.sums.mean + 0.5)
    }

    pub fn rate(&self) -> f64 {
        self.sums.count / f64::from(self.length)
    }
}

impl Surprise {
    /// Whether a score is enough for a Start. It and the threshold are taken to six decimals, so
    /// that the last bits of logarithms decide nothing (6.9).
    pub fn is_enough(&self, z: f64, threshold: f64, tuning: &Tuning) -> bool {
        let count = self.rate * f64::from(tuning.windows[self.window]);
        let is_surge = self.direction == Some(Direction::Up);
        (z * 1e6).round() >= (threshold * 1e6).round()
            && !(is_surge && count.round() < tuning.surge_count_min)
    }
}

impl Scene<'_> {
    pub fn judge(&self) -> Surprise {
        let mut best = Surprise::default();
        let sums = self.recent.window_sums(self.t, self.tuning.windows);
        let mut raws = [0.0; 4];
        for (index, sums) in sums.into_iter().enumerate().skip(self.tuning.first_window) {
            if self.tuning.windows[index] > self.t + 1 {
                break;
            }
            raws[index] = self.window_of(index, sums).raw(self.tuning);
            best.raw = best.raw.max(raws[index]);
        }
        let mut past = PastDays::default();
        // The most surprising first: explanations cost most, and never add to a surprise.
        for _ in 0..raws.len() {
            let index =
                (0..raws.len()).fold(0, |most, i| if raws[i] > raws[most] { i } else { most });
            let raw = std::mem::take(&mut raws[index]);
            if raw == 0.0 || raw < best.value {
                break;
            }
            let window = self.window_of(index, sums[index]);
            let value = self.explain_by(&window, raw, &mut past).left;
            if value > best.value || (value == best.value && index < best.window) {
                best = Surprise {
                    raw: best.raw,
                    value,
                    direction: Some(window.direction()),
                    ratio: window.ratio(),
                    rate: window.rate(),
                    window: index,
                };
            }
        }
        best
    }

    /// The window with this index as it stands.
    pub fn window(&self, index: usize) -> Window {
        self.window_of(
            index,
            self.recent.window_sums(self.t, self.tuning.windows)[index],
        )
    }

    fn window_of(&self, index: usize, sums: Sums) -> Window {
        Window {
            index,
            length: self.tuning.windows[index],
            sums,
            phi: self.phis[index],
        }
    }

    /// Tries the explanations of a window in their order, as long as it surprises.
    pub fn explain(&self, window: &Window, raw: f64) -> Tried {
        self.explain_by(window, raw, &mut PastDays::default())
    }

    fn explain_by(&self, window: &Window, raw: f64, past: &mut PastDays) -> Tried {
        let mut tried = Tried {
            shifted: None,
            same_phase: None,
            left: raw,
        };
        if raw <= EXPLAIN_MIN {
            return tried;
        }
        let shifted = self.shifted_mean(window);
        tried.left = window.if_shifted(raw, shifted);
        tried.shifted = explained(shifted, tried.left);
        if tried.left <= EXPLAIN_MIN {
            return tried;
        }
        let same_phase = self.same_phase_by(window, past);
        tried.left = window.if_same_phase(tried.left, same_phase);
        tried.same_phase = explained(same_phase, tried.left);
        tried
    }

    /// What the window would expect if its calls came up to two buckets early or late, or (a
    /// surge) if calls missing just before it came late.
    pub fn shifted_mean(&self, window: &Window) -> Option<f64> {
        let length = window.length;
        if self.t <= length + 8 {
            return None;
        }
        let is_surge = window.direction() == Direction::Up;
        let base = window.sums.mean;
        let mut extreme = base;
        let mut earlier = base;
        let mut later = base;
        for shift in 0..SHIFT_MAX {
            earlier += self.recent.mean(self.t - length - shift) - self.recent.mean(self.t - shift);
            later +=
                self.ahead[shift as usize] - self.mean_ahead(shift as i64 + 1 - i64::from(length));
            for moved in [earlier, later] {
                extreme = if is_surge {
                    extreme.max(moved)
                } else {
                    extreme.min(moved)
                };
            }
        }
        if is_surge {
            let mut missing = 0.0;
            for back in 0..LATE_BUCKETS {
                let t = self.t - length - back;
                missing += (self.recent.mean(t) - self.recent.count(t)).max(0.0);
            }
            extreme = extreme.max(base + missing);
        }
        (extreme != base).then_some(extreme)
    }

    /// Expectation of the bucket `ahead` of this one; 0 or less is this one or before.
    fn mean_ahead(&self, ahead: i64) -> f64 {
        if ahead > 0 {
            self.ahead[ahead as usize - 1]
        } else {
            self.recent.mean(self.t - (-ahead) as u32)
        }
    }

    /// What happens at this time of day: the second most extreme of the last seven days, or what
    /// happened a week ago, if that was itself out of the ordinary.
    pub fn same_phase(&self, window: &Window) -> Option<f64> {
        self.same_phase_by(window, &mut PastDays::default())
    }

    fn same_phase_by(&self, window: &Window, past: &mut PastDays) -> Option<f64> {
        let direction = window.direction();
        let is_surge = direction == Direction::Up;
        let more_extreme = |a: f64, b: f64| if is_surge { a.max(b) } else { a.min(b) };
        let mut days = 0;
        // Most and second most extreme, and the last one looked at.
        let (mut first, mut second, mut oldest) = (None::<f64>, None::<f64>, 0.0);
        while days < 7 {
            let back = (days + 1) * self.tuning.day + PHASE_SHIFT + window.length;
            if back > self.t {
                break;
            }
            days += 1;
            oldest = self.extreme_near(days, window, past);
            match first {
                None => first = Some(oldest),
                Some(most) if more_extreme(most, oldest) != most => {
                    second = first;
                    first = Some(oldest);
                }
                Some(_) => second = Some(second.map_or(oldest, |s| more_extreme(s, oldest))),
            }
        }
        let mut reference = second?;
        if days == 7 {
            reference = more_extreme(reference, oldest);
        }
        let is_beyond = if is_surge {
            reference > window.sums.mean
        } else {
            reference < window.sums.mean
        };
        if !is_beyond
            || decades(direction, reference, window.sums.mean, window.phi) <= RECURRENCE_MIN
        {
            return None;
        }
        Some(if is_surge {
            reference
        } else {
            reference.max(RECURRENCE_MEAN_MIN)
        })
    }

    /// Whether calls flow at the time of this window, rather than come in one run of a schedule.
    pub fn has_flow(&self, window: &Window) -> bool {
        let is_short = window.length < self.tuning.windows[3];
        (!is_short || self.is_spread(window)) && self.has_flow_around(window)
    }

    fn is_spread(&self, window: &Window) -> bool {
        let (mut sum, mut squares) = (0.0, 0.0);
        for back in 0..window.length.max(FLOW_BUCKETS).min(self.t + 1) {
            let mean = self.recent.mean(self.t - back);
            sum += mean;
            squares += mean * mean;
        }
        sum * sum >= FLOW_BUCKETS_MIN * squares
    }

    /// Whether on the days before the hours around the window had calls as well.
    fn has_flow_around(&self, window: &Window) -> bool {
        let around = FLOW_AROUND_HOURS * self.tuning.hour;
        let reach = i64::from(HISTORY_MINUTES / self.tuning.bucket_minutes);
        let (mut inside, mut all, mut days) = (0, 0, 0);
        for day in 1..=FLOW_DAYS {
            let end = i64::from(self.t) + 1 - i64::from(day * self.tuning.day);
            let from = end - i64::from(window.length + around);
            if from < 0 || i64::from(self.t) - from > reach {
                break;
            }
            inside += self.count_between(end - i64::from(window.length), end);
            all += self.count_between(from, end + i64::from(around));
            days += 1;
        }
        let rate_around = (all - inside) as f64 / f64::from(2 * around);
        days == 0 || rate_around >= FLOW_SHARE * inside as f64 / f64::from(window.length)
    }

    /// Calls of the buckets from `from` to `to`.
    pub fn count_between(&self, from: i64, to: i64) -> u64 {
        if self.history.is_silent(from, to) {
            return 0;
        }
        let mut counts = [0; 60];
        let mut sum = 0;
        let mut at = from;
        while at < to {
            let length = (to - at).min(60);
            let counts = &mut counts[..length as usize];
            self.history.counts(at, counts);
            sum += counts.iter().sum::<u64>();
            at += length;
        }
        sum
    }

    /// First bucket of the window ending now that best divides usual from unusual: the likelihood
    /// ratio of its own rate over the expected one, the shortest where several are best.
    pub fn onset(&self, direction: Direction) -> u32 {
        let mut sums = Sums::default();
        let mut onset = self.t;
        let mut best = f64::NEG_INFINITY;
        for back in 0..self.tuning.onset_window.min(self.t + 1) {
            let t = self.t - back;
            sums.count += self.recent.count(t);
            sums.mean += self.recent.mean(t);
            let is_on_side = match direction {
                Direction::Up => sums.count > sums.mean,
                Direction::Down => sums.count < sums.mean,
            };
            let gain = if sums.count > 0.0 {
                sums.count * log(sums.count / sums.mean)
            } else {
                0.0
            };
            let ratio = gain - (sums.count - sums.mean);
            if is_on_side && ratio > best {
                best = ratio;
                onset = t;
            }
        }
        onset
    }

    /// Most extreme raw sum of the window's length that ends within three buckets of the same time
    /// `days` before.
    fn extreme_near(&self, days: u32, window: &Window, past: &mut PastDays) -> f64 {
        let length = window.length as usize;
        let span = length + 2 * PHASE_SHIFT as usize;
        let newest = i64::from(self.t - days * self.tuning.day + PHASE_SHIFT);
        let counts = past.back_from(newest, span, days as usize - 1, self.history);
        let mut sum: u64 = counts[..length].iter().sum();
        let mut extreme = sum;
        for i in length..span {
            sum = sum + counts[i] - counts[i - length];
            extreme = match window.direction() {
                Direction::Up => extreme.max(sum),
                Direction::Down => extreme.min(sum),
            };
        }
        extreme as f64
    }
}
