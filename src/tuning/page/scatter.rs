//! What settings and rivals find against what they say: one point each, drawn without JavaScript.
//!
//! The best points lie at the upper left; a line joins settings that no other beats in both. The
//! axis of insights is logarithmic, with a place of its own for none at all.

use super::super::markdown::figure;
use super::text;

/// Height of the drawing in pixels; the width is whatever the screen has.
pub const HEIGHT: f64 = 280.0;
/// Share of the width that belongs to zero.
const ZERO_SHARE: f64 = 0.06;
/// A rival further than this beyond the settings stands at the edge, or it would crush them.
const RIVAL_REACH: f64 = 30.0;
/// Width at which labels are kept apart, in pixels: that of a small screen.
const NARROW: f64 = 290.0;
/// Room that a label takes, in pixels.
const LABEL: (f64, f64) = (20.0, 13.0);
/// Where a label may stand, in pixels from its point, most wanted first.
const LABEL_PLACES: [(f64, f64); 8] = [
    (0.0, -9.0),
    (0.0, 19.0),
    (15.0, 4.0),
    (-15.0, 4.0),
    (0.0, -22.0),
    (0.0, 32.0),
    (15.0, -14.0),
    (15.0, 24.0),
];

/// How much further away a label is where a ring is around the point.
const RING_FACTOR: f64 = 1.7;

/// What a point stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Present,
    Setting,
    Rival,
}

/// A setting or rival to draw.
pub struct Candidate {
    /// The same as in the table, a letter or a short number.
    pub label: String,
    pub title: String,
    pub kind: Kind,
    pub is_recommended: bool,
    pub per_week: f64,
    pub per_week_90: Option<(f64, f64)>,
    /// From 0 to 1.
    pub found: f64,
}

/// The drawing; `left` and the like are in percent of the width, `top` in pixels.
pub struct Scatter {
    pub points: Vec<Point>,
    pub frontier: Vec<Segment>,
    pub across: Vec<(String, String)>,
    pub upward: Vec<(f64, String)>,
}

pub struct Point {
    pub candidate: Candidate,
    pub left: String,
    pub top: f64,
    pub interval: Option<(String, String)>,
    pub label_dx: f64,
    pub label_top: f64,
    /// It lies further to the right than is drawn.
    pub is_beyond: bool,
}

pub struct Segment {
    pub from: (String, f64),
    pub to: (String, f64),
}

/// `None` where there is nothing to draw.
pub fn scatter(candidates: Vec<Candidate>) -> Option<Scatter> {
    let axis = Axis::of(&candidates)?;
    let frontier = frontier(&candidates, &axis);
    let mut taken: Vec<(f64, f64)> = candidates
        .iter()
        .map(|one| (axis.share(one.per_week) * NARROW, top(one.found)))
        .collect();
    let points = candidates
        .into_iter()
        .map(|candidate| {
            let share = axis.share(candidate.per_week);
            let top = top(candidate.found);
            let factor = if candidate.is_recommended {
                RING_FACTOR
            } else {
                1.0
            };
            let (dx, dy) = label_place((share * NARROW, top), factor, &taken);
            taken.push((share * NARROW + dx, top + dy - 5.0));
            let interval = candidate.per_week_90.map(|(low, high)| {
                let ends = (axis.share(low), axis.share(high));
                (text::percent(ends.0), text::percent(ends.1))
            });
            Point {
                left: text::percent(share),
                top,
                interval,
                label_dx: dx,
                label_top: top + dy,
                is_beyond: candidate.per_week > axis.high,
                candidate,
            }
        })
        .collect();
    Some(Scatter {
        points,
        frontier,
        across: axis.ticks(),
        upward: [0.0, 0.25, 0.5, 0.75, 1.0]
            .map(|found| (top(found), format!("{:.0} %", 100.0 * found)))
            .to_vec(),
    })
}

fn top(found: f64) -> f64 {
    (HEIGHT * (1.0 - found.clamp(0.0, 1.0))).round()
}

/// The first place where the label touches neither a point nor another label, nor the edge.
fn label_place(point: (f64, f64), factor: f64, taken: &[(f64, f64)]) -> (f64, f64) {
    let is_free = |place: &&(f64, f64)| {
        let (x, y) = (point.0 + factor * place.0, point.1 + factor * place.1 - 5.0);
        let touches = |other: &(f64, f64)| {
            (other.0 - x).abs() < LABEL.0 * 0.75 && (other.1 - y).abs() < LABEL.1 * 0.85
        };
        (-4.0..=NARROW + 4.0).contains(&x) && y < HEIGHT && !taken.iter().any(touches)
    };
    *LABEL_PLACES
        .iter()
        .find(is_free)
        .unwrap_or(&LABEL_PLACES[0])
}

/// Settings that find more than every one that says less, as steps.
fn frontier(candidates: &[Candidate], axis: &Axis) -> Vec<Segment> {
    let mut settings: Vec<&Candidate> = candidates
        .iter()
        .filter(|one| one.kind != Kind::Rival)
        .collect();
    settings.sort_by(|a, b| {
        let by_cost = a.per_week.total_cmp(&b.per_week);
        by_cost.then(b.found.total_cmp(&a.found))
    });
    let mut best: Vec<&Candidate> = Vec::new();
    for setting in settings {
        if best.last().is_none_or(|last| setting.found > last.found) {
            best.push(setting);
        }
    }
    best.windows(2)
        .flat_map(|pair| {
            let (from, to) = (axis.share(pair[0].per_week), axis.share(pair[1].per_week));
            let (low, high) = (top(pair[0].found), top(pair[1].found));
            let (from, to) = (text::percent(from), text::percent(to));
            let corner = (to.clone(), low);
            [((from, low), corner.clone()), (corner, (to, high))]
        })
        .map(|(from, to)| Segment { from, to })
        .collect()
}

/// Insights a week from left to right, between two powers of ten or halves of them.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn of(candidates: &[Candidate]) -> Option<Self> {
        let positive = |one: &&Candidate| one.per_week > 0.0 && one.per_week.is_finite();
        let of_settings = |one: &&Candidate| one.kind != Kind::Rival;
        let settings: Vec<f64> = candidates
            .iter()
            .filter(of_settings)
            .filter(positive)
            .map(|one| one.per_week)
            .collect();
        if candidates.is_empty() {
            return None;
        }
        let most = settings.iter().copied().fold(1.0, f64::max);
        let least = settings.iter().copied().fold(most, f64::min);
        let rivals = candidates
            .iter()
            .filter(positive)
            .map(|one| one.per_week)
            .filter(|cost| *cost <= most * RIVAL_REACH);
        let (least, most) = rivals.fold((least, most), |(low, high), cost| {
            (low.min(cost), high.max(cost))
        });
        Some(Axis {
            low: below(least / 1.3),
            high: above(most * 1.3),
        })
    }

    /// From 0 to 1; what is beyond an end stands at it.
    fn share(&self, per_week: f64) -> f64 {
        if per_week <= 0.0 {
            return 0.0;
        }
        let share = libm::log(per_week / self.low) / libm::log(self.high / self.low);
        ZERO_SHARE + (1.0 - ZERO_SHARE) * share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<(String, String)> {
        let mut ticks = vec![(text::percent(0.0), "0".to_string())];
        let mut tick = self.low;
        let is_long = self.high / self.low > 500.0;
        while tick <= self.high * 1.001 {
            ticks.push((text::percent(self.share(tick)), label(tick)));
            tick = above(tick * 1.01);
            if is_long {
                tick = decade(tick);
            }
        }
        ticks
    }
}

/// The largest of 1, 3, 10, 30, ... that is not above.
fn below(value: f64) -> f64 {
    let (mut step, mut next) = (1e-6, 3e-6);
    while next <= value && next < 1e12 {
        (step, next) = (next, following(next));
    }
    step
}

/// The smallest of 1, 3, 10, 30, ... that is not below.
fn above(value: f64) -> f64 {
    let step = below(value);
    if step >= value { step } else { following(step) }
}

/// The smallest power of ten that is not below.
fn decade(value: f64) -> f64 {
    libm::pow(10.0, libm::ceil(libm::log10(value * 0.999)))
}

/// 3 after 1, 10 after 3.
fn following(step: f64) -> f64 {
    let power = libm::pow(10.0, libm::floor(libm::log10(step * 1.001)));
    if step / power < 2.0 {
        3.0 * power
    } else {
        10.0 * power
    }
}

fn label(tick: f64) -> String {
    match tick {
        tick if tick >= 1_000.0 => text::grouped(tick.round() as u64),
        tick if tick >= 1.0 => format!("{tick:.0}"),
        tick if tick >= 0.01 => format!("{:.*}", if tick < 0.1 { 2 } else { 1 }, tick),
        tick => figure(tick),
    }
}
