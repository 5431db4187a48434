//! Mappings, shipped and written by the input, over any bytes in any pieces.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use insightd::formats::mapping::shipped;
use insightd::formats::{DecodeLimits, Format, Mapping, MappingSpec};
use insightd_fuzz::{Input, decode, pieces, write_seeds};
use libfuzzer_sys::fuzz_target;

/// Stands between a mapping as written and what it reads.
const BETWEEN: &[u8] = b"\n===\n";

thread_local! {
    static SHIPPED: Vec<Arc<Mapping>> = shipped().into_values().collect();
    /// The mapping of the input before: a pattern takes long to compile.
    static LAST: RefCell<Option<(Vec<u8>, Arc<Mapping>)>> = const { RefCell::new(None) };
}

fuzz_target!(init: write_seeds(seeds), |data: &[u8]| {
    let mut input = Input::new(data);
    let choice = usize::from(input.byte());
    let pattern = input.number();
    let shipped = SHIPPED.with(|all| all.get(choice % 4).cloned());
    let (mapping, text) = match shipped {
        Some(mapping) => (mapping, input.rest),
        None => {
            let at = input.rest.windows(BETWEEN.len()).position(|w| w == BETWEEN);
            let Some(at) = at else { return };
            let (written, text) = (&input.rest[..at], &input.rest[at + BETWEEN.len()..]);
            let Some(mapping) = own(written) else { return };
            (mapping, text)
        }
    };
    let limits = match choice & 4 {
        0 => DecodeLimits::default(),
        _ => DecodeLimits {
            record_bytes_max: 120,
            key_bytes_max: 16,
            value_bytes_max: 12,
            nesting_max: 8,
            ..DecodeLimits::default()
        },
    };
    let format = Format::Mapping(mapping);
    let whole = decode(&format, &limits, &[text]);
    let cut = decode(&format, &limits, &pieces(text, pattern));
    assert_eq!(whole, cut, "the pieces change the outcome");
});

fn own(written: &[u8]) -> Option<Arc<Mapping>> {
    let last = LAST.with_borrow(|last| last.clone());
    if let Some((_, mapping)) = last.filter(|last| last.0 == written) {
        return Some(mapping);
    }
    let spec: MappingSpec = toml::from_str(std::str::from_utf8(written).ok()?).ok()?;
    let again = toml::to_string(&spec).expect("what was read can be written");
    assert_eq!(
        toml::from_str::<MappingSpec>(&again).ok(),
        Some(spec.clone())
    );
    let mapping = Arc::new(Mapping::new("own", &spec).ok()?);
    LAST.set(Some((written.to_vec(), mapping.clone())));
    Some(mapping)
}

fn seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 3] = [
        include_bytes!("../../src/formats/testdata/access.log"),
        include_bytes!("../../src/formats/testdata/kubernetes.ndjson"),
        include_bytes!("../../src/formats/testdata/ocsf.ndjson"),
    ];
    let written: [&[u8]; 3] = [
        include_bytes!("../../src/formats/mapping/shipped/access_log.toml"),
        include_bytes!("../../src/formats/mapping/shipped/kubernetes.toml"),
        include_bytes!("../../src/formats/mapping/shipped/ocsf.toml"),
    ];
    let small: &[u8] = b"kind = \"json\"\nrecords = \"/a/b~1\"\ntime = [\"{/t}\", \"{/u/0}\"]\n\
        time_format = \"%Y-%m-%d %H:%M\"\nsource = \"x{{{/s}}}\"\nname = \"{/n} {/o/p}\"\n\
        error = \"{/e}\"\nerror_when = { value = \"{/c}\", at_least = 4.5 }\n\
        only = [{ value = \"{/k}\", equals = [\"1\"] }]\n===\n\
        {\"a\":{\"b/\":[{\"t\":\"2024-01-01 00:00\",\"s\":\"\\u0041\",\"n\":1,\"o\":{\"p\":true},\
        \"e\":null,\"c\":\"5\",\"k\":1}]}}\n{\"u\":[7],\"k\":\"1\"}\n";
    let mut seeds = vec![[&[3, 1, 2, 3, 4], small].concat()];
    for (index, text) in texts.iter().enumerate() {
        let head = [index as u8, 1, 2, 3, 4];
        seeds.push([&head, *text].concat());
        let head = [3 + 4 * index as u8, 1, 2, 3, 4];
        seeds.push([&head, written[index], BETWEEN, text].concat());
    }
    seeds
}
