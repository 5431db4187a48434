//! Makes text of the inside of a JSON string.

use std::borrow::Cow;

/// Appends the text of a JSON string (without its quotes) to `out`.
///
/// `raw` is the inside of a string that a scanner found, so every backslash has a byte after it.
/// Half a surrogate pair becomes U+FFFD; `Err` for an escape that JSON does not know. The bytes
/// between escapes must be UTF-8, else they are repaired with U+FFFD.
pub fn unescape(raw: &[u8], out: &mut String) -> Result<(), ()> {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        push_bytes(&rest[..at], out);
        let escape = *rest.get(at + 1).ok_or(())?;
        rest = &rest[at + 2..];
        let character = match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => unicode(&mut rest)?,
            _ => return Err(()),
        };
        out.push(character);
    }
    push_bytes(rest, out);
    Ok(())
}

fn push_bytes(bytes: &[u8], out: &mut String) {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => out.push_str(text),
        Cow::Owned(text) => out.push_str(&text),
    }
}

/// Reads the four digits behind `\u`, and the second half of a pair.
fn unicode(rest: &mut &[u8]) -> Result<char, ()> {
    let first = hex4(rest)?;
    *rest = &rest[4..];
    if !(0xD800..0xE000).contains(&first) {
        return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    if first < 0xDC00
        && let Some(behind) = rest.strip_prefix(b"\\u")
        && let Ok(second) = hex4(behind)
        && (0xDC00..0xE000).contains(&second)
    {
        *rest = &behind[4..];
        let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    Ok(char::REPLACEMENT_CHARACTER)
}

fn hex4(bytes: &[u8]) -> Result<u32, ()> {
    let digits = bytes.get(..4).ok_or(())?;
    digits.iter().try_fold(0, |value, byte| {
        let digit = char::from(*byte).to_digit(16).ok_or(())?;
        Ok(value * 16 + digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_become_text() {
        let mut out = String::new();
        unescape(
            br#"a\"\\\/\b\f\n\r\t\u0041\uD83D\uDE00\ud83dx\udc00z"#,
            &mut out,
        )
        .unwrap();
        assert_eq!(out, "a\"\\/\u{8}\u{c}\n\r\tA\u{1F600}\u{FFFD}x\u{FFFD}z");
        for bad in [&br"\x"[..], br"\u12", br"\u12G4", br"\"] {
            assert!(unescape(bad, &mut String::new()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        /// serde_json is the second opinion on every string it can write.
        #[test]
        fn reads_what_serde_json_writes(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let mut out = String::new();
            unescape(&json.as_bytes()[1..json.len() - 1], &mut out).unwrap();
            prop_assert_eq!(out, text);
        }
    }
}
