//! Writes `requestParameters` and `responseElements`: nested JSON of a wanted size with escapes,
//! non-ASCII text, documents in strings, and trap keys: names that mean something at the top of
//! a record (`eventName`, `errorCode` ...) and nothing inside.

use super::catalogue::{KEYS, ODD_VALUES, TRAPS, WORDS};
use super::identity::text;
use super::random::Random;

/// One nested key in so many is a trap, one value in so many needs care.
const TRAP_EVERY: u32 = 400;
const ODD_EVERY: u32 = 24;
const NESTING_MAX: u32 = 6;

/// Appends an object of about `size` bytes; never less than one key.
pub(super) fn write_object(out: &mut Vec<u8>, random: &mut Random, size: usize) {
    let end = out.len() + size;
    object(out, random, end, 0);
}

fn object(out: &mut Vec<u8>, random: &mut Random, end: usize, nesting: u32) {
    out.push(b'{');
    let mut number = 0u32;
    loop {
        if number > 0 {
            out.push(b',');
        }
        if random.below(TRAP_EVERY) == 0 {
            let (key, value) = *random.pick(&TRAPS);
            text(out, &["\"", key, "\":\"", value, "\""]);
        } else {
            // Keys of one object differ by their number.
            let key = *random.pick(&KEYS);
            text(out, &["\"", key]);
            if number > 0 {
                digits(out, number);
            }
            text(out, &["\":"]);
            value(out, random, end, nesting);
        }
        number += 1;
        if out.len() >= end || nesting > 0 && random.below(5) == 0 {
            break;
        }
    }
    out.push(b'}');
}

fn value(out: &mut Vec<u8>, random: &mut Random, end: usize, nesting: u32) {
    let room = end.saturating_sub(out.len());
    match random.below(16) {
        0 => text(out, &["true"]),
        1 => text(out, &["null"]),
        2 => digits(out, random.below(100_000)),
        3..=5 if room > 120 && nesting < NESTING_MAX => object(out, random, end, nesting + 1),
        6 if room > 120 && nesting < NESTING_MAX => {
            text(out, &["{\"items\":["]);
            for item in 0..random.within(1, 3) {
                if item > 0 {
                    out.push(b',');
                }
                object(out, random, out.len() + 60, nesting + 2);
            }
            text(out, &["]}"]);
        }
        7..=9 => {
            text(out, &["\"arn:aws:ec2:us-east-1:111122223333:instance/i-"]);
            hex(out, random.bits(), 16);
            out.push(b'"');
        }
        _ if random.below(ODD_EVERY) == 0 => {
            text(out, &["\"", *random.pick(ODD_VALUES.as_slice()), "\""])
        }
        _ => {
            out.push(b'"');
            for word in 0..random.within(1, 4) {
                if word > 0 {
                    out.push(b'-');
                }
                text(out, &[*random.pick(WORDS.as_slice())]);
            }
            out.push(b'-');
            hex(out, random.bits(), 8);
            out.push(b'"');
        }
    }
}

/// Appends the lowest `length` hexadecimal digits of `bits`.
pub(super) fn hex(out: &mut Vec<u8>, bits: u64, length: u32) {
    for place in (0..length).rev() {
        let digit = (bits >> (4 * place)) & 15;
        out.push(b"0123456789abcdef"[digit as usize]);
    }
}

/// Appends a number in decimal.
pub(super) fn digits(out: &mut Vec<u8>, number: u32) {
    let mut text = [0u8; 10];
    let mut from = text.len();
    let mut rest = number;
    loop {
        from -= 1;
        text[from] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[from..]);
}

/// Appends a random UUID (version 4).
pub(super) fn uuid(out: &mut Vec<u8>, random: &mut Random) {
    let (high, low) = (random.bits(), random.bits());
    hex(out, high >> 32, 8);
    out.push(b'-');
    hex(out, high >> 16, 4);
    out.push(b'-');
    hex(out, high & 0x0fff | 0x4000, 4);
    out.push(b'-');
    hex(out, low >> 48 & 0x3fff | 0x8000, 4);
    out.push(b'-');
    hex(out, low, 12);
}
