//! Walks over one JSON object member by member and skips the values nobody asks for.
//!
//! Two modes. `Unchecked` reads text that nothing has looked at yet and trusts it as little as
//! needed: strings, brackets and the grammar of the objects walked are checked, what lies inside
//! skipped values only for strings and bracket depth; any control character, hence any line
//! break, is a [`Stop::Doubt`]. `Checked` reads text that a `Grammar` has accepted. The verdict
//! of a scan depends on the text up to where it stops, so more bytes never change it.

use super::block::string_stops;
use super::container::skip_container;

/// Why a scan ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The bytes end before the object does.
    Incomplete,
    /// Something unusual; somebody slower has to look.
    Doubt,
}

/// What a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// The member does not occur.
    #[default]
    Absent,
    Null,
    True,
    False,
    Number,
    /// A string without escapes; the range excludes the quotes.
    Text,
    /// A string with escapes; the range excludes the quotes.
    EscapedText,
    Object,
    Array,
}

/// A value as kind and range of the scanned bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Value {
    pub kind: Kind,
    pub start: u32,
    pub end: u32,
}

/// A position in the bytes of one object or array.
#[derive(Debug)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    is_checked: bool,
    nesting_max: u32,
}

impl Value {
    pub fn is_text(self) -> bool {
        matches!(self.kind, Kind::Text | Kind::EscapedText)
    }

    /// The bytes of the value within those it was scanned from.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

impl<'a> Scanner<'a> {
    /// A scanner of text that nothing has looked at; deeper than `nesting_max` is a doubt.
    pub fn unchecked(bytes: &'a [u8], nesting_max: u32) -> Self {
        Scanner {
            bytes,
            at: 0,
            is_checked: false,
            nesting_max,
        }
    }

    /// A scanner of text that is known to be well-formed.
    pub fn checked(bytes: &'a [u8]) -> Self {
        Scanner {
            bytes,
            at: 0,
            is_checked: true,
            nesting_max: u32::MAX,
        }
    }

    /// The same scanner at another place.
    pub fn at(&self, position: u32) -> Scanner<'a> {
        Scanner {
            at: position as usize,
            ..*self
        }
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where the scanner stands: after a whole object, its length.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Steps into the object or array that begins here.
    pub fn enter(&mut self, open: u8) -> Result<(), Stop> {
        if self.skip_space()? != open {
            return Err(Stop::Doubt);
        }
        self.at += 1;
        Ok(())
    }

    /// The next key of the object, or `None` behind its closing brace; `is_first` right after
    /// [`Self::enter`]. The scanner then stands before the value.
    #[inline]
    pub fn next_key(&mut self, is_first: bool) -> Result<Option<Value>, Stop> {
        let mut byte = self.skip_space()?;
        if byte == b'}' {
            self.at += 1;
            return Ok(None);
        }
        if !is_first {
            if byte != b',' {
                return Err(Stop::Doubt);
            }
            self.at += 1;
            byte = self.skip_space()?;
        }
        if byte != b'"' {
            return Err(Stop::Doubt);
        }
        let key = self.string()?;
        if self.skip_space()? != b':' {
            return Err(Stop::Doubt);
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// The next element of the array, or `None` behind its closing bracket.
    pub fn next_element(&mut self, is_first: bool) -> Result<Option<Value>, Stop> {
        let byte = self.skip_space()?;
        if byte == b']' {
            self.at += 1;
            return Ok(None);
        }
        if !is_first {
            if byte != b',' {
                return Err(Stop::Doubt);
            }
            self.at += 1;
        }
        self.value().map(Some)
    }

    /// The first byte of the value the scanner stands before.
    pub fn peek(&mut self) -> Result<u8, Stop> {
        self.skip_space()
    }

    /// Reads the value here and stands behind it.
    #[inline]
    pub fn value(&mut self) -> Result<Value, Stop> {
        match self.skip_space()? {
            b'"' => self.string(),
            b'{' => self.container(Kind::Object),
            b'[' => self.container(Kind::Array),
            _ => self.scalar(),
        }
    }

    /// Skips white space and returns the byte after it, without taking it.
    #[inline]
    fn skip_space(&mut self) -> Result<u8, Stop> {
        loop {
            match self.bytes.get(self.at) {
                None => return Err(Stop::Incomplete),
                Some(b' ') => self.at += 1,
                Some(b'\n' | b'\r' | b'\t') if self.is_checked => self.at += 1,
                Some(byte) if *byte < 0x20 => return Err(Stop::Doubt),
                Some(byte) => return Ok(*byte),
            }
        }
    }

    /// Reads the string whose opening quote is here.
    #[inline]
    fn string(&mut self) -> Result<Value, Stop> {
        let start = self.at + 1;
        let mut at = start;
        let mut kind = Kind::Text;
        loop {
            at = self.find_string_stop(at)?;
            match self.bytes[at] {
                b'"' => break,
                b'\\' => {
                    kind = Kind::EscapedText;
                    match self.bytes.get(at + 1) {
                        None => return Err(Stop::Incomplete),
                        Some(escaped) if *escaped < 0x20 => return Err(Stop::Doubt),
                        Some(_) => at += 2,
                    }
                }
                _ => return Err(Stop::Doubt),
            }
        }
        self.at = at + 1;
        Ok(value(kind, start, at))
    }

    /// Position of the next quote, backslash or control character from `at` on.
    #[inline]
    fn find_string_stop(&self, mut at: usize) -> Result<usize, Stop> {
        while let Some(block) = self.bytes.get(at..at + 16) {
            let stops = string_stops(block.try_into().expect("16 bytes were cut out"));
            if stops != 0 {
                return Ok(at + stops.trailing_zeros() as usize);
            }
            at += 16;
        }
        while let Some(byte) = self.bytes.get(at) {
            if matches!(byte, b'"' | b'\\') || *byte < 0x20 {
                return Ok(at);
            }
            at += 1;
        }
        Err(Stop::Incomplete)
    }

    fn scalar(&mut self) -> Result<Value, Stop> {
        let start = self.at;
        let length = self.bytes[start..]
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']') || *byte <= b' ')
            .ok_or(Stop::Incomplete)?;
        let kind = match &self.bytes[start..start + length] {
            b"null" => Kind::Null,
            b"true" => Kind::True,
            b"false" => Kind::False,
            raw if is_number(raw) => Kind::Number,
            _ => return Err(Stop::Doubt),
        };
        self.at = start + length;
        Ok(value(kind, start, self.at))
    }

    /// Skips the object or array that begins here.
    #[inline]
    fn container(&mut self, kind: Kind) -> Result<Value, Stop> {
        let start = self.at;
        self.at = skip_container(self.bytes, start, self.is_checked, self.nesting_max)?;
        Ok(value(kind, start, self.at))
    }
}

fn value(kind: Kind, start: usize, end: usize) -> Value {
    Value {
        kind,
        start: start as u32,
        end: end as u32,
    }
}

/// Whether `raw` is a JSON number (RFC 8259 section 6).
fn is_number(raw: &[u8]) -> bool {
    let digits = |from: usize| {
        raw[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut at = usize::from(raw.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && raw[at] == b'0') {
        return false;
    }
    at += whole;
    if raw.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return false;
        }
        at += 1 + fraction;
    }
    if matches!(raw.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(raw.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return false;
        }
        at += exponent;
    }
    at == raw.len()
}
