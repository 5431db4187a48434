//! Checks one JSON value against the grammar, over any number of pieces, without recursion.
//!
//! It finds the end of a value of unknown shape, or the byte at which it stops being JSON
//! (RFC 8259). It keeps one bit per open bracket and no text. UTF-8 is not its business.

/// What a value breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Syntax,
    /// A control character inside a string, a line break excepted.
    ControlCharacter,
    /// A line break inside a string: almost always a record that was cut.
    UnterminatedString,
    NestedTooDeep,
}

/// How far a value has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The value goes on behind the bytes given.
    Open,
    /// The value ends before this index of the bytes given.
    Complete(usize),
    /// The byte at this index cannot stand there.
    Invalid(usize, Fault),
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    /// Right behind `[`: a value or `]`.
    ValueOrEnd,
    /// Right behind `{`: a key or `}`.
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    /// Inside a string; `true` for a key.
    String(bool),
    Escape(bool),
    /// Hexadecimal digits still to come.
    Unicode(bool, u8),
    /// The rest of `true`, `false` or `null`.
    Literal(&'static [u8]),
    Number(Number),
}

/// Where in a number the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

/// An incremental check of one value.
#[derive(Clone, Debug)]
pub struct Grammar {
    expect: Expect,
    /// One bit per open bracket, set for an object.
    open: Vec<u64>,
    depth: u32,
    nesting_max: u32,
}

impl Grammar {
    /// A check of the value that begins with the next byte.
    pub fn new(nesting_max: u32) -> Self {
        Grammar {
            expect: Expect::Value,
            open: Vec::new(),
            depth: 0,
            nesting_max,
        }
    }

    /// Starts anew and keeps the memory.
    pub fn restart(&mut self) {
        self.expect = Expect::Value;
        self.depth = 0;
    }

    /// Starts anew on the rest of an object, behind the value of one of its members.
    pub fn restart_behind_member(&mut self) {
        self.expect = Expect::CommaOrEnd;
        self.open.clear();
        self.open.push(1);
        self.depth = 1;
    }

    /// Checks the next bytes.
    pub fn advance(&mut self, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while at < bytes.len() {
            if let Expect::String(_) = self.expect {
                at += plain_length(&bytes[at..]);
                if at == bytes.len() {
                    break;
                }
            }
            let byte = bytes[at];
            if let Expect::Number(number) = self.expect {
                match number.next(byte) {
                    Some(next) => {
                        self.expect = Expect::Number(next);
                        at += 1;
                        continue;
                    }
                    None if !number.may_end() => return Progress::Invalid(at, Fault::Syntax),
                    None if self.depth == 0 => return Progress::Complete(at),
                    None => self.expect = Expect::CommaOrEnd,
                }
            }
            match self.take(byte) {
                Ok(true) => return Progress::Complete(at + 1),
                Ok(false) => at += 1,
                Err(fault) => return Progress::Invalid(at, fault),
            }
        }
        Progress::Open
    }

    /// Whether the value is whole if nothing follows: only a bare number can be.
    pub fn may_end(&self) -> bool {
        self.depth == 0 && matches!(self.expect, Expect::Number(number) if number.may_end())
    }

    /// Takes one byte; `true` when it ends the value.
    fn take(&mut self, byte: u8) -> Result<bool, Fault> {
        match self.expect {
            Expect::String(is_key) => return self.take_in_string(byte, is_key),
            Expect::Escape(is_key) => {
                self.expect = match byte {
                    b'u' => Expect::Unicode(is_key, 4),
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                        Expect::String(is_key)
                    }
                    _ => return Err(Fault::Syntax),
                };
                return Ok(false);
            }
            Expect::Unicode(is_key, left) => {
                if !byte.is_ascii_hexdigit() {
                    return Err(Fault::Syntax);
                }
                self.expect = match left {
                    1 => Expect::String(is_key),
                    _ => Expect::Unicode(is_key, left - 1),
                };
                return Ok(false);
            }
            Expect::Literal(rest) => {
                if byte != rest[0] {
                    return Err(Fault::Syntax);
                }
                if rest.len() == 1 {
                    return Ok(self.end_value());
                }
                self.expect = Expect::Literal(&rest[1..]);
                return Ok(false);
            }
            _ => {}
        }
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return Ok(false);
        }
        self.take_structure(byte)
    }

    fn take_in_string(&mut self, byte: u8, is_key: bool) -> Result<bool, Fault> {
        match byte {
            b'"' if is_key => self.expect = Expect::Colon,
            b'"' => return Ok(self.end_value()),
            b'\\' => self.expect = Expect::Escape(is_key),
            b'\n' | b'\r' => return Err(Fault::UnterminatedString),
            0..=0x1f => return Err(Fault::ControlCharacter),
            _ => {}
        }
        Ok(false)
    }

    fn take_structure(&mut self, byte: u8) -> Result<bool, Fault> {
        match (self.expect, byte) {
            (Expect::KeyOrEnd | Expect::Key, b'"') => self.expect = Expect::String(true),
            (Expect::KeyOrEnd, b'}') => return Ok(self.close()),
            (Expect::ValueOrEnd, b']') => return Ok(self.close()),
            (Expect::Colon, b':') => self.expect = Expect::Value,
            (Expect::CommaOrEnd, b',') => {
                self.expect = match self.is_in_object() {
                    true => Expect::Key,
                    false => Expect::Value,
                }
            }
            (Expect::CommaOrEnd, b'}') if self.is_in_object() => return Ok(self.close()),
            (Expect::CommaOrEnd, b']') if !self.is_in_object() => return Ok(self.close()),
            (Expect::Value | Expect::ValueOrEnd, _) => self.begin_value(byte)?,
            (_, 0..=0x1f) => return Err(Fault::ControlCharacter),
            _ => return Err(Fault::Syntax),
        }
        Ok(false)
    }

    fn begin_value(&mut self, byte: u8) -> Result<(), Fault> {
        self.expect = match byte {
            b'{' => {
                self.push(true)?;
                Expect::KeyOrEnd
            }
            b'[' => {
                self.push(false)?;
                Expect::ValueOrEnd
            }
            b'"' => Expect::String(false),
            b't' => Expect::Literal(b"rue"),
            b'f' => Expect::Literal(b"alse"),
            b'n' => Expect::Literal(b"ull"),
            b'-' => Expect::Number(Number::Minus),
            b'0' => Expect::Number(Number::Zero),
            b'1'..=b'9' => Expect::Number(Number::Whole),
            0..=0x1f => return Err(Fault::ControlCharacter),
            _ => return Err(Fault::Syntax),
        };
        Ok(())
    }

    fn push(&mut self, is_object: bool) -> Result<(), Fault> {
        if self.depth >= self.nesting_max {
            return Err(Fault::NestedTooDeep);
        }
        let (word, bit) = (self.depth as usize / 64, self.depth % 64);
        if word == self.open.len() {
            self.open.push(0);
        }
        self.open[word] = self.open[word] & !(1 << bit) | u64::from(is_object) << bit;
        self.depth += 1;
        Ok(())
    }

    fn is_in_object(&self) -> bool {
        let top = self.depth - 1;
        self.open[top as usize / 64] >> (top % 64) & 1 == 1
    }

    fn close(&mut self) -> bool {
        self.depth -= 1;
        self.end_value()
    }

    /// Notes that a value has ended; `true` when it was the outermost.
    fn end_value(&mut self) -> bool {
        self.expect = Expect::CommaOrEnd;
        self.depth == 0
    }
}

impl Number {
    fn next(self, byte: u8) -> Option<Number> {
        Some(match (self, byte) {
            (Number::Minus, b'0') => Number::Zero,
            (Number::Minus, b'1'..=b'9') | (Number::Whole, b'0'..=b'9') => Number::Whole,
            (Number::Zero | Number::Whole, b'.') => Number::Point,
            (Number::Point | Number::Fraction, b'0'..=b'9') => Number::Fraction,
            (Number::Zero | Number::Whole | Number::Fraction, b'e' | b'E') => Number::Exponent,
            (Number::Exponent, b'+' | b'-') => Number::Sign,
            (Number::Exponent | Number::Sign | Number::Power, b'0'..=b'9') => Number::Power,
            _ => return None,
        })
    }

    fn may_end(self) -> bool {
        matches!(
            self,
            Number::Zero | Number::Whole | Number::Fraction | Number::Power
        )
    }
}

/// Length of the run without quote, backslash or control character.
fn plain_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(block) = bytes.get(at..at + 16) {
        let stops = super::block::string_stops(block.try_into().expect("16 bytes were cut out"));
        if stops != 0 {
            return at + stops.trailing_zeros() as usize;
        }
        at += 16;
    }
    let is_stop = |byte: &u8| matches!(byte, b'"' | b'\\') || *byte < 0x20;
    at + bytes[at..]
        .iter()
        .position(is_stop)
        .unwrap_or(bytes.len() - at)
}
