//! Records survive the way to bytes and back; bytes that are no record are refused politely.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{Direction, Knowledge, Known, Said, Scope};

type EntryParts = (usize, u32, u64, Vec<(usize, usize, u64)>);

fn any_rates() -> impl Strategy<Value = Rates> {
    let text = || "[a-zé./:]{0,12}";
    let key = (text(), text(), text(), text(), "[A-Z]{0,3}", any::<bool>());
    let delta = (any::<usize>(), 0usize..4, any::<u64>());
    let entry = (
        any::<usize>(),
        any::<u32>(),
        any::<u64>(),
        proptest::collection::vec(delta, 0..4),
    );
    (
        any::<u32>(),
        any::<(u64, u64)>(),
        proptest::collection::vec(key, 1..6),
        proptest::collection::vec(text(), 1..6),
        proptest::collection::vec(entry, 0..12),
    )
        .prop_map(|(source, positions, keys, values, entries)| {
            let mut builder = RatesBuilder::default();
            for (account, region, event_source, event_name, error_code, is_data) in &keys {
                let key = SeriesRef {
                    account,
                    region,
                    event_source,
                    event_name,
                    insight_type: match error_code.is_empty() {
                        true => InsightType::ApiCallRate,
                        false => InsightType::ApiErrorRate,
                    },
                    error_code,
                };
                let category = match is_data {
                    true => SourceCategory::Data,
                    false => SourceCategory::Management,
                };
                builder.add_key(key, category);
            }
            for value in &values {
                builder.add_value(value);
            }
            for entry in &entries {
                add_entry(&mut builder, entry, keys.len(), values.len());
            }
            builder.finish(source, positions)
        })
}

fn add_entry(builder: &mut RatesBuilder, entry: &EntryParts, keys: usize, values: usize) {
    let (key, minute, count, deltas) = entry;
    let deltas: Vec<AttributionDelta> = deltas
        .iter()
        .map(|(value, dimension, count)| AttributionDelta {
            dimension: Dimension::ALL[*dimension],
            value: (value % values) as u32,
            count: *count,
        })
        .collect();
    builder.add_entry((key % keys) as u32, Minute(*minute), *count, &deltas);
}

fn any_record() -> impl Strategy<Value = LogRecord> {
    let progress = (any::<u32>(), any::<u64>(), 0i64..253_402_300_800, 0usize..3).prop_map(
        |(source, position, watermark, state)| {
            LogRecord::Progress(Progress {
                source,
                position,
                watermark: EventTime::from_seconds(watermark).unwrap(),
                state: [
                    SourceState::Active,
                    SourceState::IdleProven,
                    SourceState::Blocked,
                ][state],
            })
        },
    );
    prop_oneof![
        ".{0,40}".prop_map(LogRecord::Settings),
        any::<u32>().prop_map(LogRecord::Sources),
        any_rates().prop_map(LogRecord::Rates),
        progress,
        any::<u32>().prop_map(LogRecord::Retired),
        any_knowledge(),
    ]
}

fn any_knowledge() -> impl Strategy<Value = LogRecord> {
    let parts = (
        any::<u32>(),
        0u32..1 << 26,
        1u32..1 << 26,
        0usize..6,
        "\\PC{0,20}x",
    );
    parts.prop_map(|(number, from, span, what, text)| {
        let until = Minute(from + span);
        let insight = uuid::Uuid::from_u128(u128::from(span));
        let said = |said| Known::Feedback { insight, said };
        let mute = || {
            let account = glob::Pattern::escape(&text);
            let patterns = [
                Some(account.as_str()),
                None,
                Some("a*"),
                None,
                None,
                Some(""),
            ];
            let scope = Box::new(Scope::parse(patterns, Some(Direction::Up)).unwrap());
            Known::Mute { scope, until }
        };
        let what = match what {
            0 => mute(),
            1 => Known::Unmute { mute: insight },
            2 => said(Said::True),
            3 => said(Said::False),
            4 => said(Said::NewNormal),
            _ => said(Said::Expected { until }),
        };
        let record = Arc::new(Knowledge::new(Minute(from), &text, "why", what));
        LogRecord::Knowledge { number, record }
    })
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_was(record in any_record()) {
        let mut bytes = vec![7];
        encode(&record, &mut bytes);
        prop_assert_eq!(decode(&bytes[1..]), Ok(record));
    }

    #[test]
    fn no_bytes_make_it_panic(
        kind in 0u8..7,
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = decode(&body);
        // With a right checksum, so that the body is looked at.
        let mut bytes = vec![VERSION, kind];
        bytes.extend_from_slice(&body);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        let _ = decode(&bytes);
    }

    #[test]
    fn damage_is_noticed_and_never_panics(
        record in any_record(),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
        fix_checksum in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        encode(&record, &mut bytes);
        let at = at.index(bytes.len() - CHECKSUM_BYTES);
        bytes[at] ^= flip;
        if fix_checksum {
            let covered = bytes.len() - CHECKSUM_BYTES;
            let checksum = crc32c::crc32c(&bytes[..covered]);
            bytes[covered..].copy_from_slice(&checksum.to_le_bytes());
            let _ = decode(&bytes);
        } else {
            prop_assert_eq!(decode(&bytes), Err(RecordError::Checksum));
        }
    }

    #[test]
    fn a_cut_record_is_refused(record in any_record(), cut in 1usize..20) {
        let mut bytes = Vec::new();
        encode(&record, &mut bytes);
        bytes.truncate(bytes.len().saturating_sub(cut));
        prop_assert!(decode(&bytes).is_err());
    }
}

/// The bytes that `docs/rates-log.md` walks through.
#[test]
fn the_documented_example_is_what_is_written() {
    let mut builder = RatesBuilder::default();
    let key = SeriesRef {
        account: "1",
        region: "r",
        event_source: "s",
        event_name: "n",
        insight_type: InsightType::ApiErrorRate,
        error_code: "E",
    };
    builder.add_key(key, SourceCategory::Management);
    let value = builder.add_value("u");
    let delta = AttributionDelta {
        dimension: Dimension::UserAgent,
        value,
        count: 200,
    };
    builder.add_entry(0, Minute(28_333_333), 200, &[delta]);
    let mut bytes = Vec::new();
    encode(&LogRecord::Rates(builder.finish(0, (5, 300))), &mut bytes);
    let body = [
        0x01, 0x03, 0x00, 0x05, 0xac, 0x02, 0x01, 0x02, 0x01, b'1', 0x01, b'r', 0x01, b's', 0x01,
        b'n', 0x01, b'E', 0x01, 0x01, b'u', 0x01, 0x00, 0xaa, 0xd4, 0x82, 0x1b, 0xc8, 0x01, 0x01,
        0x01, 0xc8, 0x01,
    ];
    assert_eq!(bytes[..bytes.len() - 4], body);
    assert_eq!(
        bytes[bytes.len() - 4..],
        crc32c_by_hand(&body).to_le_bytes()
    );
}

/// CRC-32C bit by bit from its polynomial (Castagnoli, reflected 0x82f63b78): a second opinion.
fn crc32c_by_hand(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ ((crc & 1) * 0x82f6_3b78);
        }
    }
    !crc
}

#[test]
fn other_versions_are_named() {
    let mut bytes = vec![9, KIND_SOURCES, 1];
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    assert_eq!(decode(&bytes), Err(RecordError::Version(9)));
    assert_eq!(decode(&[]), Err(RecordError::TooShort));
}
