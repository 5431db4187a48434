//! The activity model of a large account, as Rates minute by minute.
//!
//! Zipf(1.1) rates, half of the series Poisson, 30 % in bursty sessions, 20 % on a schedule; 48
//! active minutes a week in the mean. The law keeps its shape whatever the number of series.

use insightd::model::{
    AttributionDelta, Dimension, InsightType, Minute, Rates, RatesBuilder, SeriesKey,
    SourceCategory,
};

/// 2026-01-05T00:00:00Z.
pub const FIRST: u32 = 29_460_960;
pub const WEEK: f64 = 10_080.0;

#[derive(Clone, Copy)]
enum Kind {
    Poisson,
    Bursty,
    Scheduled,
    /// In every minute.
    Steady,
    /// In one minute only.
    Once,
}

struct Source {
    key: SeriesKey,
    kind: Kind,
    /// Mean count a minute.
    rate: f64,
    /// Minutes left of the running session.
    session: u32,
    identities: [u32; 3],
    agents: [u32; 2],
}

/// Who counts in which minute.
pub struct Traffic {
    sources: Vec<Source>,
    calendar: Vec<Vec<u32>>,
    random: u64,
    /// Counts of a series in a minute that were given so far.
    pub pairs: u64,
}

impl Traffic {
    pub fn new(series: usize, seed: u64) -> Self {
        let mut traffic = Traffic {
            sources: Vec::new(),
            calendar: vec![Vec::new(); 20 * 1440],
            random: seed,
            pairs: 0,
        };
        // Rank 1 of a million has 18.8 million events a week; the law keeps its shape when scaled.
        let scale = 1e6 / series as f64;
        for rank in 0..series {
            let weekly = 18.8e6 / ((rank as f64 + 0.5) * scale).powf(1.1);
            let kind = match traffic.below(10) {
                0..5 => Kind::Poisson,
                5..8 => Kind::Bursty,
                _ => Kind::Scheduled,
            };
            let first = traffic.gap(kind, weekly / WEEK);
            traffic.add(kind, weekly / WEEK, first.min(20 * 1440 - 1));
        }
        traffic
    }

    pub fn add_steady(&mut self, series: usize, rate: f64) {
        (0..series).for_each(|_| self.add(Kind::Steady, rate, 0));
    }

    pub fn add_once(&mut self, series: u32) {
        for _ in 0..series {
            let minute = self.below(1440) as usize;
            self.add(Kind::Once, 0.0, minute);
        }
    }

    fn add(&mut self, kind: Kind, rate: f64, first: usize) {
        let number = self.sources.len();
        let account = number % 997;
        let is_error = number % 5 == 4;
        let key = SeriesKey {
            account: format!("{:012}", 100_000 + account).into(),
            region: format!("region-{}", number % 7).into(),
            event_source: format!("service{}.amazonaws.com", number % 211).into(),
            event_name: format!("DescribeThing{}", number / 5).into(),
            insight_type: if is_error {
                InsightType::ApiErrorRate
            } else {
                InsightType::ApiCallRate
            },
            error_code: if is_error { "AccessDenied" } else { "" }.into(),
        };
        let identity = |own: u64| (account * 20) as u32 + (own % 20) as u32;
        let identities = [0; 3].map(|_| identity(self.next()));
        let agents = [0; 2].map(|_| (self.next() % 300) as u32);
        self.calendar[first].push(number as u32);
        self.sources.push(Source {
            key,
            kind,
            rate,
            session: 0,
            identities: [
                identities[0],
                identities[number % 2],
                identities[number % 3],
            ],
            agents: [agents[0], agents[number % 2]],
        });
    }

    pub fn minute(&mut self, minute: usize) -> Rates {
        let mut builder = RatesBuilder::default();
        let due = std::mem::take(&mut self.calendar[minute]);
        self.pairs += due.len() as u64;
        for number in due {
            let (kind, rate) = {
                let source = &self.sources[number as usize];
                (source.kind, source.rate)
            };
            let count = self.count(kind, rate);
            let gap = self.next_gap(number as usize, kind, rate);
            if let Some(day) = self.calendar.get_mut(minute + gap) {
                day.push(number);
            }
            let draw = self.next();
            self.enter(&mut builder, number as usize, minute, count, draw);
        }
        builder.finish(0, (0, 0))
    }

    fn enter(
        &self,
        builder: &mut RatesBuilder,
        number: usize,
        minute: usize,
        count: u64,
        draw: u64,
    ) {
        let source = &self.sources[number];
        let key = builder.add_key(source.key.as_ref(), SourceCategory::Management);
        let mut deltas = Vec::with_capacity(6);
        let mut push = |dimension, value: String, count| {
            if count > 0 {
                deltas.push(AttributionDelta {
                    dimension,
                    value: builder.value(&value),
                    count,
                });
            }
        };
        let identity = |at: u64| {
            let number = source.identities[(at % 3) as usize];
            format!("arn:aws:sts::{:012}:assumed-role/Role{number}", number / 20)
        };
        let agent = |at: u64| {
            let number = source.agents[(at % 2) as usize];
            format!("aws-sdk-go/1.44.{number} (go1.19; linux; amd64)")
        };
        let part = if count > 1 { count / 3 } else { 0 };
        push(Dimension::UserIdentityArn, identity(draw), count - part);
        push(Dimension::UserIdentityArn, identity(draw >> 8), part);
        push(Dimension::UserAgent, agent(draw >> 16), count - part);
        push(Dimension::UserAgent, agent(draw >> 24), part);
        if source.key.insight_type == InsightType::ApiCallRate {
            push(Dimension::ErrorCode, "null".to_string(), count);
        }
        builder.add_entry(key, Minute(FIRST + minute as u32), count, &deltas);
    }

    fn count(&mut self, kind: Kind, rate: f64) -> u64 {
        match kind {
            Kind::Once => 1,
            Kind::Scheduled => rate.max(1.0) as u64,
            Kind::Bursty => 1 + self.below(5) + rate as u64,
            Kind::Poisson | Kind::Steady if rate < 2.0 => 1 + u64::from(self.below(100) < 30),
            Kind::Poisson | Kind::Steady => {
                // Twelve uniform draws make a normal one.
                let normal = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
                (rate + normal * rate.sqrt()).max(1.0) as u64
            }
        }
    }

    fn next_gap(&mut self, number: usize, kind: Kind, rate: f64) -> usize {
        if let Kind::Bursty = kind {
            let source = &mut self.sources[number];
            if source.session > 0 {
                source.session -= 1;
                return 1 + self.below(3) as usize;
            }
            // A session of ten minutes has about thirty calls.
            source.session = if rate > 3.0 { 600 } else { 9 };
        }
        self.gap(kind, rate)
    }

    fn gap(&mut self, kind: Kind, rate: f64) -> usize {
        let exponential = -(1.0 - self.unit()).ln();
        match kind {
            Kind::Once => usize::MAX / 2,
            Kind::Steady => 1,
            Kind::Scheduled => (1.0 / rate).round().max(1.0) as usize,
            Kind::Poisson if rate > 2.0 => 1,
            Kind::Poisson => 1 + (exponential / rate) as usize,
            Kind::Bursty => 1 + (exponential * (30.0 / rate)) as usize,
        }
    }

    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
