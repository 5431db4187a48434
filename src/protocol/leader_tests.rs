//! Requests and their answers, as leaders give them and readers of the topic take them.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::model::{Knowledge, Known};
use crate::protocol::REQUESTS_MAX;

fn record(number: u32) -> Arc<Knowledge> {
    let what = Known::Unmute {
        mute: Uuid::from_u128(u128::from(number)),
    };
    Arc::new(Knowledge::new(Minute(number), "me", "why", what))
}

fn request(number: u32) -> CoordinationRecord {
    CoordinationRecord::Request {
        record: record(number),
    }
}

fn known(number: u32, of: u32) -> CoordinationRecord {
    CoordinationRecord::Known {
        number,
        record: record(of),
    }
}

fn leader(records_max: usize, bytes_max: u64) -> Leader {
    let limits = KnowledgeLimits {
        bytes_max,
        records_max,
    };
    Leader::new(DetectSettings::default(), String::new(), 4, limits)
}

fn said(records: &[CoordinationRecord]) -> Coordination {
    let mut coordination = Coordination::default();
    for record in records {
        // What is said has the form of the topic.
        let bytes = record.encode();
        let read = CoordinationRecord::decode(&bytes).expect("it was just written");
        assert_eq!(read, *record);
        coordination.apply(&read);
    }
    coordination
}

#[test]
fn what_is_asked_is_known_once_in_the_order_of_the_requests() {
    let mut coordination = said(&[request(7), request(3), request(7)]);
    let leader = leader(10, 10_000);
    let answers = leader.answers(&coordination);
    assert_eq!(answers, [known(0, 7), known(1, 3)]);
    let [
        LogRecord::Knowledge {
            number,
            record: relayed,
        },
        _,
    ] = &relayed(&answers)[..]
    else {
        panic!("one for each");
    };
    assert_eq!((*number, relayed), (0, &record(7)));
    answers.iter().for_each(|answer| coordination.apply(answer));
    coordination.apply(&request(3));
    assert_eq!(leader.answers(&coordination), [], "it is known already");
    // A leader that was replaced without knowing cannot say another thing under a number.
    coordination.apply(&known(1, 9));
    coordination.apply(&known(2, 7));
    assert_eq!(coordination.known(), [record(7), record(3)]);
    coordination.apply(&request(9));
    assert_eq!(leader.answers(&coordination), [known(2, 9)]);
}

#[test]
fn what_is_over_a_limit_is_refused_and_may_be_asked_again() {
    let refused = |answers: &[CoordinationRecord], word: &str| {
        let [
            CoordinationRecord::Known { .. },
            CoordinationRecord::Refused { id, reason },
        ] = answers
        else {
            panic!("{answers:?}");
        };
        assert_eq!(*id, record(2).id.as_u128());
        assert!(reason.contains(word), "{reason}");
    };
    let mut coordination = said(&[request(1), request(2)]);
    let bytes = write_knowledge(&record(1)).len() as u64;
    refused(
        &leader(10, 2 * bytes - 1).answers(&coordination),
        "bytes_max",
    );
    let answers = leader(1, 10_000).answers(&coordination);
    refused(&answers, "records_max");
    answers.iter().for_each(|answer| coordination.apply(answer));
    assert_eq!(coordination.known_bytes(), bytes);
    assert_eq!(leader(1, 10_000).answers(&coordination), []);
    coordination.apply(&request(2));
    assert_eq!(leader(2, 2 * bytes).answers(&coordination), [known(1, 2)]);
}

#[test]
fn more_requests_than_may_wait_are_not_heard() {
    let mut coordination = Coordination::default();
    for number in 0..REQUESTS_MAX as u32 + 5 {
        coordination.apply(&request(number));
    }
    assert_eq!(coordination.requests().len(), REQUESTS_MAX);
    let answers = leader(REQUESTS_MAX, 1 << 30).answers(&coordination);
    assert_eq!(
        answers.len(),
        ANSWERS_MAX,
        "one transaction after the other"
    );
}

#[test]
fn a_request_that_was_changed_by_hand_is_none() {
    let bytes = request(1).encode();
    let at = bytes.windows(3).position(|three| three == b"why");
    let mut changed = bytes[..bytes.len() - 4].to_vec();
    changed[at.expect("the reason is there")] = b'W';
    changed.extend_from_slice(&crc32c::crc32c(&changed).to_le_bytes());
    let error = CoordinationRecord::decode(&changed);
    assert!(error.is_err(), "{error:?}");
    assert_eq!(request(1).kind(), crate::protocol::REQUEST_KIND);
}
