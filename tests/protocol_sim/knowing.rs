//! What people of a seed know, and what the finished logs say of it to somebody who never fails.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use insightd::detect::{Engine, Need, Output};
use insightd::formats::{rates_record, write_insight};
use insightd::model::{
    Edge, Feedback, InsightEvent, Knowledge, Known, LogRecord, Minute, Said, Scope,
};
use insightd::protocol::{Coordination, CoordinationRecord};

use super::broker::Broker;
use super::instance::{World, canonical, context};
use super::random::Random;
use super::traffic::START;

/// Hours in which things happen, since the beginning.
const HAPPENS: Range<u64> = 48..54;

/// Mutes, removals and feedback on insights that there would be if nobody said anything.
pub fn draw(random: &mut Random, insights: &[InsightEvent]) -> Vec<Arc<Knowledge>> {
    let mut drawn: Vec<Arc<Knowledge>> = Vec::new();
    for number in 0..random.below(7) {
        let minute = START as u64 / 60 + random.between(HAPPENS.start * 60, HAPPENS.end * 60);
        let from = Minute(minute as u32);
        let until = Minute(from.0 + random.between(1, 400) as u32);
        let mutes = drawn
            .iter()
            .filter(|one| matches!(one.what, Known::Mute { .. }));
        let mutes: Vec<_> = mutes.map(|one| one.id).collect();
        let insight = insights
            .get(random.below(insights.len().max(1) as u64) as usize)
            .map(|event| event.shared_event_id);
        let what = match (random.below(5), insight) {
            (0, Some(insight)) => {
                let all = [Said::True, Said::NewNormal, Said::Expected { until }];
                let said = all[random.below(3) as usize];
                Known::Feedback { insight, said }
            }
            (1, _) if !mutes.is_empty() => Known::Unmute {
                mute: mutes[random.below(mutes.len() as u64) as usize],
            },
            _ => {
                let name = ["*", "Api0", "Api[12]", "Api3"][random.below(4) as usize];
                let patterns = [None, None, None, Some(name), None, None];
                let scope = Scope::parse(patterns, None).expect("patterns");
                Known::Mute {
                    scope: Box::new(scope),
                    until,
                }
            }
        };
        let reason = format!("number {number}");
        drawn.push(Arc::new(Knowledge::new(from, "somebody", &reason, what)));
    }
    drawn
}

/// What the coordination topic says in the end.
pub fn coordination(broker: &Broker) -> Coordination {
    let mut coordination = Coordination::default();
    for record in broker.coordination.records.values() {
        coordination.apply(record);
    }
    coordination
}

/// Checks that every request has its one answer, and returns what is known.
pub fn check_answers(
    broker: &Broker,
    asked: &[Arc<Knowledge>],
    known_max: usize,
) -> Vec<Knowledge> {
    let coordination = coordination(broker);
    let known = coordination.known();
    assert_eq!(known.len(), asked.len().min(known_max));
    let ids: BTreeSet<_> = known.iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), known.len(), "each once");
    assert!(
        asked
            .iter()
            .all(|one| ids.contains(&one.id) || known.len() == known_max)
    );
    let mut numbers = Vec::new();
    for record in broker.coordination.records.values() {
        if let CoordinationRecord::Known { number, .. } = record {
            numbers.push(*number);
        }
    }
    assert_eq!(numbers, (0..known.len() as u32).collect::<Vec<_>>());
    for log in &broker.rates {
        let records = log.records.values().filter_map(|bytes| {
            match rates_record::decode(bytes).expect("whole records") {
                LogRecord::Knowledge { number, record } => Some((number, record)),
                _ => None,
            }
        });
        let expected = known.iter().cloned().enumerate();
        let expected = expected.map(|(number, record)| (number as u32, record));
        assert!(records.eq(expected), "every log says the same in one order");
    }
    known.iter().map(|one| (**one).clone()).collect()
}

/// What the finished logs lead to.
pub struct Told {
    pub lines: Vec<Vec<u8>>,
    /// Mute and insight of each end that is hidden.
    pub hidden: Vec<(uuid::Uuid, uuid::Uuid, Edge)>,
    /// Whether every partition has heard of everything before it was in force.
    pub is_in_time: bool,
}

/// A mute as one partition has it.
struct OwnMute {
    id: uuid::Uuid,
    scope: Scope,
    span: Range<u32>,
}

/// Reads every log from its beginning to its end, with one engine each, that is told all it needs.
pub fn told_by_logs(broker: &Broker, world: &World) -> Told {
    let coordination = coordination(broker);
    let mut told = Told {
        lines: Vec::new(),
        hidden: Vec::new(),
        is_in_time: true,
    };
    for log in &broker.rates {
        let mut engine = Engine::new(world.settings.clone());
        engine.apply(
            &LogRecord::Sources(coordination.first_sources().expect("they are named")),
            &mut Output::default(),
        );
        if let Some(origin) = coordination.origin() {
            engine.set_origin(origin);
        }
        let mut mutes: Vec<OwnMute> = Vec::new();
        for bytes in log.records.values() {
            let record = rates_record::decode(bytes).expect("whole records");
            if let LogRecord::Knowledge { record, .. } = &record {
                hear(record, &mut engine, &mut mutes, &mut told);
            }
            let mut output = Output::default();
            let mut need = engine.apply(&record, &mut output);
            while let Some(Need::Threshold { hour }) = need {
                let all = coordination.thresholds(hour).expect("it was said");
                engine.know_thresholds(hour, all.clone());
                need = engine.resume(&mut output);
            }
            assert_eq!(need, None, "the origin is known");
            for event in &output.insights {
                tell(event, &mutes, world, &mut told);
            }
        }
    }
    told
}

fn hear(one: &Knowledge, engine: &mut Engine, mutes: &mut Vec<OwnMute>, told: &mut Told) {
    let closed = engine.closed().map_or(0, |minute| minute.0);
    let from = one.from.0.max(closed);
    told.is_in_time &= closed <= one.from.0;
    match &one.what {
        Known::Mute { scope, until } => mutes.push(OwnMute {
            id: one.id,
            scope: scope.as_ref().clone(),
            span: from..until.0,
        }),
        Known::Unmute { mute } => {
            for other in mutes.iter_mut().filter(|other| other.id == *mute) {
                other.span.end = other.span.end.min(from.max(other.span.start));
            }
        }
        Known::Feedback { .. } => engine.hear(Feedback::of(one).expect("it is some")),
    }
}

fn tell(event: &InsightEvent, mutes: &[OwnMute], world: &World, told: &mut Told) {
    let hides = |mute: &&OwnMute| {
        mute.span.contains(&event.start_decided_at.0)
            && mute.scope.matches(event.series.as_ref(), event.direction)
    };
    if let Some(mute) = mutes.iter().find(hides) {
        told.hidden
            .push((mute.id, event.shared_event_id, event.edge));
        return;
    }
    let mut line = Vec::new();
    write_insight(event, &context(&canonical(&world.settings)), &mut line);
    line.pop();
    told.lines.push(line);
}
