//! The detector as its specification reads, and nothing else: every bucket visited, every sum
//! taken anew from raw lists, `f64` and the platform's logarithms throughout.

mod start;

use insightd::model::{Direction, EndReason};

use crate::naive_tail::tail;

#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    pub start: usize,
    pub onset: usize,
    pub direction: Direction,
    pub continues: bool,
    /// Decided at, reported end, reason.
    pub end: Option<(usize, usize, EndReason)>,
}

#[derive(Clone, Copy)]
struct Entry {
    t: usize,
    up: bool,
    s: f64,
    ratio: f64,
    rate: f64,
}

#[derive(Default)]
pub struct Naive {
    g0: usize,
    z_star: f64,
    /// Raw counts, late ones included.
    pub hist: Vec<f64>,
    /// Counts as the windows see them, and expectations.
    ring: Vec<f64>,
    mus: Vec<f64>,
    phis: [f64; 4],
    /// Learned calls by hour since the origin, late ones included; `None` before the life began.
    hours: Vec<f64>,
    born: usize,
    profile: Vec<f64>,
    shape: Vec<f64>,
    loss: [f64; 5],
    a: f64,
    b: f64,
    phi_l: f64,
    hs: f64,
    hm: f64,
    me: [f64; 5],
    late: f64,
    flat: f64,
    hod: [f64; 3],
    how: [f64; 3],
    ratio: f64,
    w: [f64; 5],
    nn: [f64; 4],
    dd: [f64; 4],
    open_x: [f64; 4],
    open_mu: [f64; 4],
    n: f64,
    se: f64,
    hrs: f64,
    hmax: Option<Entry>,
    began_in_incident: bool,
    precedents: Vec<Entry>,
    open: Option<usize>,
    calm: usize,
    calm_from: usize,
    begins_anew: bool,
    last_calm_end: Option<(usize, bool)>,
    pub happenings: Vec<Happening>,
    /// Least distance of a score from the value that decides on it.
    pub closest_call: f64,
}

const BLOCKS: [usize; 4] = [1, 5, 15, 60];

impl Naive {
    pub fn new(origin_hour: u32, z_star: f64) -> Self {
        Naive {
            g0: origin_hour as usize,
            z_star,
            closest_call: f64::INFINITY,
            ..Naive::default()
        }
    }

    fn phi(&self, i: usize) -> f64 {
        ((self.nn[i] + 15.0) / (self.dd[i] + 5.0)).max(1.0)
    }

    /// Level of an hour of the life, by hours since the origin.
    fn slot_values(&self, h: usize) -> Vec<Option<f64>> {
        let mut slots = vec![None; 168];
        for hour in self.born.max(h.saturating_sub(168))..h {
            slots[(self.g0 + hour) % 168] = Some(self.hours[hour]);
        }
        slots
    }

    pub fn minute(&mut self, x: u64) {
        let t = self.ring.len();
        let (h, m) = (t / 60, t % 60);
        let was_open_when_hour_began = self.began_in_incident;
        if m == 0 {
            self.boundary(h);
        }
        let age = h - self.born;
        let fr = (m as f64 + 0.5) / 60.0 - 0.5;
        let side = if fr > 0.0 { 2 } else { 1 };
        let at = |e: &[f64; 3]| (1.0 - fr.abs()) * e[0] + fr.abs() * e[side];
        let (hod, how) = (at(&self.hod), at(&self.how));
        let experts = [self.flat, hod, how, hod * self.ratio, how * self.ratio];
        let mx: f64 = experts.iter().zip(self.w).map(|(e, w)| e * w).sum();
        let mu = (mx * self.shape[m]).max(2e-5);
        self.hist.resize(t + 1, 0.0);
        self.hist[t] += x as f64;
        self.ring.push(x as f64);
        self.mus.push(mu);
        let phi1 = self.phi(0);
        let xc = match self.open {
            Some(_) => mu,
            None => (x as f64).min(mu + 4.0 * (phi1 * mu).sqrt() + 4.0 * phi1),
        };
        self.hs += xc;
        self.hm += mx;
        for (me, e) in self.me.iter_mut().zip(experts) {
            *me += e;
        }
        if mx > 1e-4 {
            let a = if age > 72 {
                1.0 / 72.0
            } else {
                1.0 / (age as f64 + 1.0)
            };
            self.profile[m] = (self.profile[m] + a * (xc / mx - self.profile[m])).min(60.0);
        }
        for (i, w) in BLOCKS.into_iter().enumerate() {
            self.open_x[i] += xc;
            self.open_mu[i] += mu;
            if (t + 1).is_multiple_of(w) {
                let keep = 2f64.powf(-(w as f64) / 2880.0);
                self.nn[i] = keep * self.nn[i] + (self.open_x[i] - self.open_mu[i]).powi(2);
                self.dd[i] = keep * self.dd[i] + self.open_mu[i];
                self.open_x[i] = 0.0;
                self.open_mu[i] = 0.0;
            }
        }
        let (s, up, ratio, rate, w) = self.surprise(t, mx);
        if m == 0 && h > 0 {
            self.book(t, age, was_open_when_hour_began);
        }
        let z = self.score(t, s, up, ratio, rate);
        if s > self.hmax.map_or(0.0, |peak| peak.s) {
            self.hmax = Some(Entry {
                t,
                up,
                s,
                ratio,
                rate,
            });
        }
        let start_z = self.start_z(t, z, up, rate, w);
        self.step(t, start_z, up, age);
    }

    fn boundary(&mut self, h: usize) {
        if h > 0 {
            let hs = self.hs;
            self.hours.push(hs + self.late);
            for i in 0..5 {
                let m = self.me[i].max(1e-3);
                let first = if hs > 0.0 { hs * (hs / m).ln() } else { 0.0 };
                self.loss[i] = 0.985 * self.loss[i] + (first - (hs - m)) / self.phi_l;
            }
            let square = (hs - self.hm).powi(2) / self.hm.max(1.0);
            self.phi_l = (0.98 * self.phi_l + 0.02 * square.min(25.0 * self.phi_l)).max(1.0);
            self.a = 0.55 * self.a + hs;
            self.b = 0.55 * self.b + self.me[1];
        }
        if self.begins_anew {
            self.begins_anew = false;
            self.born = h;
        }
        if h == self.born {
            self.profile = vec![1.0; 60];
        }
        if h == self.born || h - self.born == 24 {
            self.nn = [0.0; 4];
            self.dd = [0.0; 4];
            self.open_x = [0.0; 4];
            self.open_mu = [0.0; 4];
            self.loss = [0.0; 5];
            self.phi_l = 2.0;
            self.a = 0.0;
            self.b = 0.0;
        }
        (self.hs, self.hm, self.me, self.late) = (0.0, 0.0, [0.0; 5], 0.0);
        let least = self.loss.iter().copied().fold(f64::INFINITY, f64::min);
        let raw = self.loss.map(|loss| (-(loss - least).min(50.0)).exp());
        let sum: f64 = raw.iter().sum();
        self.w = raw.map(|w| w / sum);
        let slots = self.slot_values(h);
        let filled = slots.iter().flatten().count() as f64;
        let total: f64 = slots.iter().flatten().sum();
        self.flat = (total + 0.5) / (60.0 * filled + 1.2 * (168.0 - filled));
        let k = (self.g0 + h) % 168;
        for (i, q) in [k, (k + 167) % 168, (k + 1) % 168].into_iter().enumerate() {
            let days: Vec<f64> = (0..7).filter_map(|d| slots[q % 24 + 24 * d]).collect();
            let sum: f64 = days.iter().sum();
            self.hod[i] = (sum + 60.0 * self.flat) / (60.0 * (days.len() as f64 + 1.0));
            self.how[i] = match slots[q] {
                Some(level) => (level + 60.0 * self.hod[i]) / 120.0,
                None => self.hod[i],
            };
        }
        self.ratio = (self.a + 5.0 * self.phi_l) / (self.b + 5.0 * self.phi_l);
        self.ratio = self.ratio.clamp(0.1, 10.0);
        self.shape = vec![1.0; 60];
        if filled >= 6.0 {
            let v = self.phi(0) / (self.flat * filled.min(100.0));
            for (f, p) in self.shape.iter_mut().zip(&self.profile) {
                let d = p - 1.0;
                *f = (1.0 + d * (1.0 - 4.0 * v / (d * d).max(1e-12)).max(0.0)).max(0.02);
            }
            let sum: f64 = self.shape.iter().sum();
            self.shape.iter_mut().for_each(|f| *f *= 60.0 / sum);
        }
        self.phis = [0, 1, 2, 3].map(|i| self.phi(i));
        self.began_in_incident = self.open.is_some();
    }

    fn window_phi(&self, w: usize, blocks: [f64; 4]) -> f64 {
        let a = 2f64.ln() / 3f64.ln();
        match w {
            1 => blocks[0],
            5 => blocks[1],
            10 => blocks[1] * (1.0 - a) + blocks[2] * a,
            _ => blocks[3],
        }
    }

    fn surprise(&self, t: usize, mx: f64) -> (f64, bool, f64, f64, usize) {
        let mut best = (0.0, true, 0.0, 0.0, 1);
        for w in [1, 5, 10, 60] {
            if w > t + 1 {
                continue;
            }
            let x: f64 = self.ring[t + 1 - w..].iter().sum();
            let mean: f64 = self.mus[t + 1 - w..].iter().sum();
            let phi = self.window_phi(w, self.phis);
            let up = x >= mean;
            if !up && w < 10 && mean < 100.0 * phi {
                continue;
            }
            if (x - mean).powi(2) < 4.0 * phi * mean && x - mean < 6.0 * phi {
                continue;
            }
            let raw = tail(up, x, mean, phi);
            if raw <= best.0 {
                continue;
            }
            let s = if raw > 3.0 {
                self.explain(t, w, x, mean, phi, up, raw, mx)
            } else {
                raw
            };
            if s > best.0 {
                best = (s, up, (x + 0.5) / (mean + 0.5), x / w as f64, w);
            }
        }
        best
    }

    #[allow(clippy::too_many_arguments)]
    fn explain(
        &self,
        t: usize,
        w: usize,
        x: f64,
        mean: f64,
        phi: f64,
        up: bool,
        raw: f64,
        mx: f64,
    ) -> f64 {
        let pick = |a: f64, b: f64| if up { a.max(b) } else { a.min(b) };
        let mut s = raw;
        if t > w + 8 {
            let mu_at = |at: usize| match at > t {
                true => (mx * self.shape[at % 60]).max(2e-5),
                false => self.mus[at],
            };
            let mut moved = mean;
            for shift in [-2i64, -1, 1, 2] {
                let end = (t as i64 + shift) as usize;
                moved = pick(moved, (end + 1 - w..=end).map(mu_at).sum());
            }
            if up {
                let missing =
                    |j: usize| (self.mus[t + 1 - w - j] - self.ring[t + 1 - w - j]).max(0.0);
                moved = pick(moved, mean + (1..=3).map(missing).sum::<f64>());
            }
            if moved != mean {
                s = s.min(tail(up, x, moved, phi));
            }
        }
        if s <= 3.0 {
            return s;
        }
        let mut y = Vec::new();
        for d in 1..=7 {
            if t < 1440 * d + 3 + w {
                break;
            }
            let ends = t - 1440 * d - 3..=t - 1440 * d + 3;
            let sums = ends.map(|end| self.hist[end + 1 - w..=end].iter().sum::<f64>());
            y.push(sums.reduce(pick).expect("seven shifts"));
        }
        if y.len() < 2 {
            return s;
        }
        let week_ago = *y.last().expect("two days");
        let all = y.len() == 7;
        y.sort_by(f64::total_cmp);
        let mut reference = if up { y[y.len() - 2] } else { y[1] };
        if all {
            reference = pick(reference, week_ago);
        }
        if (reference > mean) == up && tail(up, reference, mean, phi) > 2.0 {
            let reference = if up { reference } else { reference.max(0.05) };
            s = s.min(tail(up, x, reference, phi.max(1.0 + 0.06 * reference)));
        }
        s
    }

    fn book(&mut self, t: usize, age: usize, was_open_when_hour_began: bool) {
        let peak = self.hmax.take();
        let highest = peak.map_or(0.0, |peak| peak.s);
        if age >= 49 && !was_open_when_hour_began {
            let keep = 2f64.powf(-1.0 / 168.0);
            self.n *= keep;
            self.se *= keep;
            self.hrs = self.hrs * keep + 1.0;
            self.note_call(highest, 4.0);
            if highest > 4.0 {
                self.n += 1.0;
                self.se += highest.min(14.0) - 4.0;
            }
        }
        if age >= 25 {
            self.note_call(highest, 8.4);
        }
        let Some(peak) = peak.filter(|peak| age >= 25 && peak.s > 8.4) else {
            return;
        };
        match self.precedents.last_mut() {
            Some(last) if last.up == peak.up && t - last.t <= 180 => {
                last.t = t;
                last.s = last.s.max(peak.s);
                let pick = |a: f64, b: f64| if peak.up { a.max(b) } else { a.min(b) };
                last.ratio = pick(last.ratio, peak.ratio);
                last.rate = pick(last.rate, peak.rate);
            }
            _ => self.precedents.push(Entry { t, ..peak }),
        }
        if self.precedents.len() > 8 {
            self.precedents.remove(0);
        }
    }

    fn score(&self, t: usize, s: f64, up: bool, ratio: f64, rate: f64) -> f64 {
        if s <= 4.0 {
            return 0.0;
        }
        let lambda = (self.n + 2.0) / (self.hrs + 100.0);
        let z = -lambda.min(1.0).log10() + 15.0 * (1.0 + (s - 4.0) / (5.6 + self.se)).log10();
        let alike = |p: &&Entry| {
            let far = p.ratio * 1.5 >= ratio || p.rate * 1.5 >= rate;
            p.up && (181..=10_140).contains(&(t - p.t)) && (p.s * 1.5 >= s || far)
        };
        if up && z > 2.0 && self.precedents.iter().filter(alike).count() >= 2 {
            2.0
        } else {
            z
        }
    }

    fn step(&mut self, t: usize, z: f64, up: bool, age: usize) {
        if let Some(started) = self.open {
            return self.pass(t, started);
        }
        if age < 48 || self.begins_anew || z == 0.0 {
            return;
        }
        let continues = self
            .last_calm_end
            .is_some_and(|(end, was)| was == up && t - end <= 120);
        let (first_week, again) = if age < 168 { (1.0, 4.0) } else { (0.0, 2.0) };
        let z_star = self.z_star + first_week + if continues { again } else { 0.0 };
        self.note_call(z, z_star);
        if z < z_star {
            return;
        }
        let (mut best, mut onset) = (0f64, t);
        for w in 1..=60.min(t + 1) {
            let x: f64 = self.ring[t + 1 - w..].iter().sum();
            let mean: f64 = self.mus[t + 1 - w..].iter().sum();
            let ratio = if x > 0.0 { x * (x / mean).ln() } else { 0.0 } - (x - mean);
            if (x > mean) == up && ratio > best + 1e-9 * best.abs() {
                best = ratio;
                onset = t + 1 - w;
            }
        }
        if t < 10_080 && self.hist[..onset].iter().all(|x| *x == 0.0) {
            return;
        }
        let direction = if up { Direction::Up } else { Direction::Down };
        self.happenings.push(Happening {
            start: t,
            onset,
            direction,
            continues,
            end: None,
        });
        self.open = Some(t);
        self.calm = 0;
    }

    fn pass(&mut self, t: usize, started: usize) {
        let last = self.happenings.last().expect("an open incident").clone();
        let up = last.direction == Direction::Up;
        let blocks = [0, 1, 2, 3].map(|i| self.phi(i));
        let usual = |w: usize, phi: f64| {
            let x: f64 = self.ring[t + 1 - w..].iter().sum();
            let mean: f64 = self.mus[t + 1 - w..].iter().sum();
            tail(up, x, mean, phi)
        };
        let mut decades = usual(
            if up { 1 } else { 10 },
            self.window_phi(if up { 1 } else { 10 }, blocks),
        );
        if !up && self.mus[t - 1] + self.mus[t] >= 6.0 * blocks[0] {
            decades = decades.min(usual(2, blocks[0]));
        }
        self.note_call(decades, 1.3);
        if decades < 1.3 {
            if self.calm == 0 {
                self.calm_from = t;
            }
            self.calm += 1;
        } else {
            self.calm = 0;
        }
        let (end, reason) = if self.calm == 5 {
            self.last_calm_end = Some((self.calm_from, up));
            (self.calm_from, EndReason::Calm)
        } else if t == started + 1440 {
            self.begins_anew = true;
            (t + 1, EndReason::NewNormal)
        } else {
            return;
        };
        for minute in last.onset.max((t + 1).saturating_sub(64))..end {
            self.ring[minute] = self.mus[minute];
        }
        self.open = None;
        self.happenings.last_mut().expect("an open incident").end = Some((t, end, reason));
    }

    /// A late count of a minute that was judged before.
    pub fn correct(&mut self, t: usize, x: u64) {
        self.hist[t] += x as f64;
        let inside = self.happenings.iter().any(|happening| {
            t >= happening.onset && happening.end.is_none_or(|(_, end, _)| t < end)
        });
        if inside {
            return;
        }
        match self.hours.get_mut(t / 60) {
            Some(level) => *level += x as f64,
            None => self.late += x as f64,
        }
    }

    fn note_call(&mut self, value: f64, limit: f64) {
        self.closest_call = self.closest_call.min((value - limit).abs());
    }
}
