//! Rates CSV in any pieces; what was read is the same when written and read again.
#![no_main]

use insightd::formats::{DecodeLimits, RateRows, RatesCsvDecoder};
use insightd_fuzz::{Input, pieces, write_seeds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: write_seeds(seeds), |data: &[u8]| {
    let mut input = Input::new(data);
    let mode = input.byte();
    let pattern = input.number();
    let limits = match mode & 1 {
        0 => DecodeLimits::default(),
        _ => DecodeLimits {
            record_bytes_max: 90,
            key_bytes_max: 8,
            ..DecodeLimits::default()
        },
    };
    let whole = decode(&limits, &[input.rest]);
    let cut = decode(&limits, &pieces(input.rest, pattern));
    assert_eq!(outcomes(&whole), outcomes(&cut), "the pieces change the outcome");
    let mut again = String::new();
    for row in whole.iter() {
        let fields = [row.account, row.region, row.event_source, row.event_name, row.error_code];
        // A quoted row holds no unit separator; an unquoted one no comma.
        if fields.iter().any(|field| field.contains('\u{1f}')) {
            return;
        }
        again.push_str(&row.time.to_string());
        for field in fields {
            again.push_str(",\"");
            again.push_str(&field.replace('"', "\"\""));
            again.push('"');
        }
        again.push_str(&format!(",{}\n", row.count));
    }
    let limits = DecodeLimits::default();
    let again = decode(&limits, &[again.as_bytes()]);
    assert_eq!(rows(&whole), rows(&again), "written and read again");
});

fn decode(limits: &DecodeLimits, pieces: &[&[u8]]) -> RateRows {
    let mut decoder = RatesCsvDecoder::new(limits.clone());
    let mut out = RateRows::default();
    for piece in pieces {
        decoder.feed(piece, &mut out);
    }
    decoder.finish(&mut out);
    let counts = &out.counts;
    assert_eq!(counts.records, counts.events + counts.rejected_total());
    assert_eq!(counts.events, out.len() as u64);
    assert_eq!(counts.rejected_total(), out.rejects.len() as u64);
    out
}

fn rows(rows: &RateRows) -> Vec<String> {
    rows.iter().map(|row| format!("{row:?}")).collect()
}

fn outcomes(out: &RateRows) -> Vec<String> {
    let rejects = out.rejects.iter().map(|reject| format!("{reject:?}"));
    rows(out).into_iter().chain(rejects).collect()
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "time,account,region,event_source,event_name,error_code,count\r\n\
         2024-01-01T00:00:00Z,1,r,s,n,,7\n\n2024-01-01T00:01:00+01:00,1,r,s,n,E,0",
        "count,time,account,region,event_source,event_name,error_code\n\
         7,2024-01-01T00:00:00Z,\"a,\"\"b\"\"\",r,s,\"n\",\n",
        "\u{feff}2024-01-01 00:00:00,,,s,n,,18446744073709551615\n,,\n\"\"\n",
    ];
    let with_head = |text: &&str| [&[0, 1, 2, 3, 4], text.as_bytes()].concat();
    let small = |text: &&str| [&[1, 9, 9, 9, 9], text.as_bytes()].concat();
    texts
        .iter()
        .map(with_head)
        .chain(texts.iter().map(small))
        .collect()
}
