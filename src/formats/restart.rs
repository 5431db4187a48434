//! Where records may begin: the head of an object around records, and the place to go on at after
//! a broken value.
//!
//! A record begins at the start of an unindented line, or at `{"eventVersion":` anywhere, or at
//! an object with the first key of the broken record when that stood in an array. JSON strings
//! hold no bare line breaks and no bare quotes, so none of these lies inside a string.

use memchr::memchr2;

/// Longest head that is looked at: brace, spaces, key, colon, spaces, bracket.
const HEAD_MAX: usize = 1024;

/// First keys longer than this are not told apart from others.
const KEY_MAX: usize = 256;

/// The beginning of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// An object whose first member is an array of records; so many bytes up to its inside.
    Container(usize),
    Other,
    /// Too few bytes to say.
    Incomplete,
}

/// Where to go on after a broken value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    At(usize),
    /// The bytes from here on may turn out to be one.
    Perhaps(usize),
    None,
}

/// What is known of the value that broke.
#[derive(Debug)]
pub struct Search<'s> {
    /// Index from which on a record may begin.
    pub from: usize,
    /// First key of the broken record when it stood in an array, else empty.
    pub key: &'s [u8],
    /// The last byte before the view that is no white space.
    pub before: u8,
    pub is_outermost: bool,
}

/// What the object at the start of `view` is; `keys` are those that hold arrays of records.
pub fn head(view: &[u8], keys: &[&str]) -> Head {
    let window = &view[..view.len().min(HEAD_MAX)];
    let or_other = |head: Option<Head>| match head {
        None if window.len() == HEAD_MAX => Head::Other,
        None => Head::Incomplete,
        Some(head) => head,
    };
    or_other(key_and_colon(window).and_then(|found| {
        let Some((key, at)) = found else {
            return Some(Head::Other);
        };
        if !keys.iter().any(|known| known.as_bytes() == key) {
            return Some(Head::Other);
        }
        let at = skip_space(window, at)?;
        Some(match window[at] {
            b'[' => Head::Container(at + 1),
            _ => Head::Other,
        })
    }))
}

/// The first key of the object at the start of `value`, or nothing.
pub fn first_key(value: &[u8]) -> &[u8] {
    match key_and_colon(&value[..value.len().min(HEAD_MAX)]) {
        Some(Some((key, _))) => key,
        _ => &[],
    }
}

impl Search<'_> {
    /// Finds the next place where a record may begin.
    pub fn find(&self, view: &[u8]) -> Restart {
        let mut at = self.from;
        while let Some(found) = memchr2(b'\n', b'{', view.get(at..).unwrap_or(&[])) {
            at += found;
            if view[at] == b'\n' {
                match view.get(at + 1) {
                    None => return Restart::Perhaps(at),
                    Some(byte) if begins_line(*byte, self.is_outermost) => {
                        return Restart::At(at + 1);
                    }
                    Some(_) => {}
                }
            } else {
                let window = &view[at..view.len().min(at + HEAD_MAX)];
                match key_and_colon(window) {
                    None if window.len() < HEAD_MAX => return Restart::Perhaps(at),
                    Some(Some((key, _))) if key == b"eventVersion" => return Restart::At(at),
                    Some(Some((key, _))) if self.is_sibling(key, &view[..at]) => {
                        return Restart::At(at);
                    }
                    _ => {}
                }
            }
            at += 1;
        }
        Restart::None
    }

    /// Whether an object with this first key, behind `before`, is the next element of the array.
    fn is_sibling(&self, key: &[u8], before: &[u8]) -> bool {
        !self.key.is_empty() && key == self.key && last_solid(before).unwrap_or(self.before) == b','
    }
}

/// The last byte that is no white space.
pub fn last_solid(bytes: &[u8]) -> Option<u8> {
    let is_solid = |byte: &&u8| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    bytes.iter().rev().find(is_solid).copied()
}

/// Whether a line that begins so begins a new value; inside arrays only brackets do.
fn begins_line(byte: u8, is_outermost: bool) -> bool {
    match byte {
        b'{' | b'[' => true,
        b'}' | b']' | b',' | b'"' | b':' | 0..=b' ' => false,
        _ => is_outermost,
    }
}

/// The first key of an object and the index behind its colon; `Some(None)` when it does not begin
/// so, `None` when there are too few bytes to say.
#[allow(clippy::option_option)]
fn key_and_colon(window: &[u8]) -> Option<Option<(&[u8], usize)>> {
    let quote = skip_space(window, 1)?;
    if window[quote] != b'"' {
        return Some(None);
    }
    let behind = &window[quote + 1..];
    let key_window = &behind[..behind.len().min(KEY_MAX)];
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    let Some(length) = key_window.iter().position(is_end) else {
        return (key_window.len() == KEY_MAX).then_some(None);
    };
    if behind[length] != b'"' {
        return Some(None);
    }
    let colon = skip_space(window, quote + 2 + length)?;
    if window[colon] != b':' {
        return Some(None);
    }
    Some(Some((&behind[..length], colon + 1)))
}

fn skip_space(window: &[u8], from: usize) -> Option<usize> {
    let is_other = |byte: &u8| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    let length = window.get(from..)?.iter().position(is_other)?;
    Some(from + length)
}
