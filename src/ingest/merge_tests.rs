//! The merge against the rule in the design, applied naively to whole lists of times.

use proptest::prelude::*;

use super::*;
use crate::model::EventFields;

const JUMP_MAX: u32 = 100;

fn time(seconds: i64) -> EventTime {
    EventTime::from_seconds(seconds).unwrap()
}

fn batch(times: &[i64]) -> EventBatch {
    let mut batch = EventBatch::default();
    for seconds in times {
        batch.push(&EventFields {
            time: time(*seconds),
            ..EventFields::default()
        });
    }
    batch
}

/// What came out: (stream, time) taken in order, and (stream, index, reason) rejected.
type Outcome = (Vec<(u32, i64)>, Vec<(u32, u64, JumpReason)>);

/// Runs the merge, with the streams cut into batches of `chunk` events.
fn run(streams: &[Vec<i64>], chunk: usize) -> Outcome {
    let mut merge = Merge::new(streams.len() as u32, JUMP_MAX);
    let mut given = vec![0; streams.len()];
    let mut outcome = Outcome::default();
    loop {
        match merge.step() {
            Step::Need { stream } => {
                let rest = &streams[stream as usize][given[stream as usize]..];
                let chunk = &rest[..rest.len().min(chunk)];
                given[stream as usize] += chunk.len();
                match chunk {
                    [] => merge.end(stream),
                    _ => drop(merge.offer(stream, batch(chunk))),
                }
            }
            Step::Take {
                stream,
                batch,
                range,
            } => {
                assert!(!range.is_empty());
                let times = range.map(|index| (stream, batch.get(index).time().seconds()));
                outcome.0.extend(times);
            }
            Step::Reject(reject) => {
                assert_eq!(reject.event.get(0).time(), reject.time);
                outcome
                    .1
                    .push((reject.stream, reject.event_index, reject.reason));
            }
            Step::Done => return outcome,
        }
    }
}

/// The rule read literally: first which events of a stream are believed, then whose turn it is.
fn oracle(streams: &[Vec<i64>]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut believed = Vec::new();
    for (index, times) in streams.iter().enumerate() {
        let mut kept: Vec<i64> = Vec::new();
        for (at, seconds) in times.iter().enumerate() {
            let highest = kept.iter().max();
            let is_jump = highest.is_none_or(|highest| seconds - highest > i64::from(JUMP_MAX));
            let reason = match times.get(at + 1) {
                _ if !is_jump => None,
                Some(next) if seconds - next > i64::from(JUMP_MAX) => {
                    Some(JumpReason::Contradicted)
                }
                Some(_) => None,
                None if kept.is_empty() => None,
                None => Some(JumpReason::Unconfirmed),
            };
            match reason {
                None => kept.push(*seconds),
                Some(reason) => outcome.1.push((index as u32, at as u64, reason)),
            }
        }
        believed.push(kept);
    }
    let mut taken = vec![0; streams.len()];
    loop {
        let turn = (0..believed.len())
            .filter(|stream| taken[*stream] < believed[*stream].len())
            .min_by_key(|stream| {
                let so_far = &believed[*stream][..taken[*stream].max(1)];
                (so_far.iter().max().copied(), *stream)
            });
        let Some(stream) = turn else { break };
        outcome
            .0
            .push((stream as u32, believed[stream][taken[stream]]));
        taken[stream] += 1;
    }
    outcome
        .1
        .sort_by_key(|(stream, index, _)| (*stream, *index));
    outcome
}

fn check(streams: &[Vec<i64>], chunk: usize) {
    let (taken, mut rejected) = run(streams, chunk);
    rejected.sort_by_key(|(stream, index, _)| (*stream, *index));
    let (expected, expected_rejected) = oracle(streams);
    assert_eq!(taken, expected, "{streams:?} in chunks of {chunk}");
    assert_eq!(rejected, expected_rejected, "{streams:?}");
}

#[test]
fn a_wild_time_waits_for_the_next_event() {
    use JumpReason::{Contradicted, Unconfirmed};
    const FAR: i64 = 9_000_000;
    /// Times of one stream, times taken, indexes rejected.
    type Case = (&'static [i64], &'static [i64], &'static [(u64, JumpReason)]);
    let cases: [Case; 10] = [
        (&[5], &[5], &[]),
        (&[FAR, 5, 6], &[5, 6], &[(0, Contradicted)]),
        (&[FAR, 5], &[5], &[(0, Contradicted)]),
        (&[5, FAR, 6], &[5, 6], &[(1, Contradicted)]),
        (&[5, 6, FAR], &[5, 6], &[(2, Unconfirmed)]),
        (
            &[5, FAR, FAR + 1, FAR + 2],
            &[5, FAR, FAR + 1, FAR + 2],
            &[],
        ),
        (&[5, FAR, FAR - 100, 7], &[5, FAR, FAR - 100, 7], &[]),
        (&[5, FAR, 900, 901], &[5, 900, 901], &[(1, Contradicted)]),
        (&[5, 105, 205], &[5, 105, 205], &[]),
        (&[5, 106, 5], &[5, 5], &[(1, Contradicted)]),
    ];
    for (times, taken, rejected) in cases {
        for chunk in [1, 2, 100] {
            let (got, got_rejected) = run(&[times.to_vec()], chunk);
            let got: Vec<i64> = got.into_iter().map(|(_, seconds)| seconds).collect();
            assert_eq!(got, taken, "{times:?}");
            let got_rejected: Vec<_> = got_rejected.into_iter().map(|r| (r.1, r.2)).collect();
            assert_eq!(got_rejected, rejected, "{times:?}");
        }
        check(&[times.to_vec()], 1);
    }
}

#[test]
fn the_stream_that_is_furthest_behind_comes_next() {
    let streams = [vec![10, 11, 30], vec![10, 20], vec![], vec![5, 40]];
    let (taken, _) = run(&streams, 2);
    let expected = [(3, 5), (3, 40), (0, 10), (0, 11), (1, 10), (1, 20), (0, 30)];
    assert_eq!(taken, expected);
    check(&streams, 1);
}

proptest! {
    #[test]
    fn it_does_what_the_rule_says_in_any_chunks(
        streams in proptest::collection::vec(
            proptest::collection::vec(
                prop_oneof![6 => 0i64..60, 3 => 0i64..250, 1 => 100_000i64..100_300],
                0..20,
            ),
            0..6,
        ),
        chunk in 1usize..8,
    ) {
        check(&streams, chunk);
    }
}
