//! Finds the records in a stream of JSON text that comes in pieces.
//!
//! A stream is any mixture of values: one a line, pretty-printed, concatenated, in top-level
//! arrays or in `{"Records":[...]}`. Arrays are walked element by element, so only one record has
//! to fit in memory. A record is first offered to the reader's fast scan; what that refuses is
//! checked against the grammar and then read from the checked text. After a value that breaks the
//! grammar the framer goes on at the next place where a record begins (module `restart`). Every
//! decision depends on the text alone, never on how it was cut into pieces.

use memchr::memchr;

use super::collector::{Collector, Refusal};
use super::decoded::{DecodeLimits, RejectReason};
use super::json::{Grammar, Progress, Stop};
use super::payload::PayloadBudget;
use super::reader::Reader;
use super::restart::{Head, Restart, Search, first_key, head, last_solid};

/// Open arrays that are walked element by element; deeper ones are single values.
const CONTAINERS_MAX: usize = 8;

/// UTF-8 byte order mark, which some editors leave at the start of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// An array whose elements are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    /// An array that stands for itself.
    Array,
    /// The array under the first key of an object.
    Member,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Between,
    /// A value begins at the first byte of the view.
    Value,
    /// Behind the array of an object, up to the object's end.
    Tail,
    /// Behind a broken value, looking for the next record.
    Torn(Torn),
}

/// A value that could not be used, while its end is being looked for.
#[derive(Debug)]
struct Torn {
    refusal: Refusal,
    byte_offset: u64,
    /// Its first bytes, as many as a reject keeps.
    kept: Vec<u8>,
    /// Bytes of the view that can be no restart.
    from: usize,
    /// First key of the broken record when it stood in an array: its siblings begin alike.
    key: Vec<u8>,
    /// The last byte before the view that is no white space.
    before: u8,
}

enum Step {
    /// So many bytes are done with.
    Took(usize),
    /// Nothing can be decided before more bytes come.
    More,
}

/// The position in a stream of JSON values.
#[derive(Debug)]
pub struct Framer {
    state: State,
    containers: Vec<Container>,
    grammar: Grammar,
    /// Bytes of the current value that the grammar has checked.
    checked: usize,
    /// The fast scan has refused the current value.
    is_refused: bool,
    /// Length of the view at which the fast scan is tried again, and length already looked at.
    retry_at: usize,
    looked_at: usize,
    /// Something broke, so brackets may be left over.
    is_torn: bool,
    /// Right behind a restart, where a new outermost object may begin.
    is_restarted: bool,
    offset: u64,
    /// The stream is the payload of an envelope; offsets stay those of the envelope.
    is_payload: bool,
}

impl Framer {
    /// A framer of a whole input.
    pub fn new(limits: &DecodeLimits) -> Self {
        Framer {
            state: State::Between,
            containers: Vec::new(),
            grammar: Grammar::new(limits.nesting_max),
            checked: 0,
            is_refused: false,
            retry_at: 0,
            looked_at: 0,
            is_torn: false,
            is_restarted: false,
            offset: 0,
            is_payload: false,
        }
    }

    /// Begins another stream of the same kind, and keeps the memory.
    pub fn restart(&mut self) {
        self.state = State::Between;
        self.containers.clear();
        self.grammar.restart();
        self.checked = 0;
        self.is_refused = false;
        self.retry_at = 0;
        self.looked_at = 0;
        self.is_torn = false;
        self.is_restarted = false;
        self.offset = 0;
    }

    /// A framer of the payload of an envelope.
    pub fn of_payload(limits: &DecodeLimits) -> Self {
        Framer {
            is_payload: true,
            ..Framer::new(limits)
        }
    }

    /// Takes what can be taken of `view`, which continues what was not taken before; returns how
    /// many bytes are done with. With `is_end` everything is taken. A whole input stops when
    /// there is enough, and goes on with the same view from there.
    pub fn drain(
        &mut self,
        view: &[u8],
        is_end: bool,
        reader: &mut Reader,
        to: &mut Collector<'_>,
    ) -> usize {
        let (mut at, mut is_full) = (0, false);
        while at < view.len() {
            let rest = &view[at..];
            if !self.is_payload {
                is_full = to.is_full();
                if is_full {
                    break;
                }
                to.begin_value(self.offset);
            }
            match self.step(rest, is_end, reader, to) {
                Step::More => break,
                Step::Took(length) => {
                    at += length;
                    self.offset += length as u64;
                }
            }
        }
        if is_end && !is_full {
            assert_eq!(at, view.len(), "the end of input leaves nothing open");
            self.end(to);
        }
        at
    }

    fn step(
        &mut self,
        view: &[u8],
        is_end: bool,
        reader: &mut Reader,
        to: &mut Collector<'_>,
    ) -> Step {
        match self.state {
            State::Between => self.step_between(view, is_end, reader, to),
            State::Value => self.step_value(view, is_end, reader, to),
            State::Tail => self.step_tail(view),
            State::Torn(_) => self.step_torn(view, is_end, to),
        }
    }

    fn step_between(
        &mut self,
        view: &[u8],
        is_end: bool,
        reader: &mut Reader,
        to: &mut Collector<'_>,
    ) -> Step {
        let is_separator =
            |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b'\x1e');
        let separators = view.iter().take_while(|byte| is_separator(byte)).count();
        if separators > 0 {
            return Step::Took(separators);
        }
        if view[0] == BYTE_ORDER_MARK[0] && self.containers.is_empty() {
            let length = view.len().min(3);
            if view[..length] == BYTE_ORDER_MARK[..length] && (length == 3 || !is_end) {
                return if length == 3 {
                    Step::Took(3)
                } else {
                    Step::More
                };
            }
        }
        match view[0] {
            b'{' => match head(view, reader.container_keys()) {
                Head::Incomplete if !is_end => Step::More,
                Head::Container(length) if self.containers.len() < CONTAINERS_MAX => {
                    self.open(Container::Member);
                    Step::Took(length)
                }
                _ => self.begin_value(),
            },
            b'[' if self.containers.len() < CONTAINERS_MAX => {
                self.open(Container::Array);
                Step::Took(1)
            }
            b'[' | b'"' => self.begin_value(),
            b']' | b'}' => self.close(view[0]),
            _ if !self.containers.is_empty() => self.begin_value(),
            _ => self.text_line(view, is_end, reader, to),
        }
    }

    fn open(&mut self, container: Container) {
        if self.is_restarted && container == Container::Member {
            self.containers.clear();
        }
        if self.containers.is_empty() {
            self.is_torn = false;
        }
        self.is_restarted = false;
        self.containers.push(container);
    }

    fn begin_value(&mut self) -> Step {
        self.grammar.restart();
        self.checked = 0;
        self.is_refused = false;
        self.retry_at = 0;
        self.looked_at = 0;
        self.is_restarted = false;
        self.state = State::Value;
        Step::Took(0)
    }

    fn close(&mut self, bracket: u8) -> Step {
        match (self.containers.last(), bracket) {
            (Some(Container::Array), b']') => {
                self.containers.pop();
                Step::Took(1)
            }
            (Some(Container::Member), b']') => {
                self.containers.pop();
                self.grammar.restart_behind_member();
                self.state = State::Tail;
                Step::Took(1)
            }
            _ if self.is_torn => {
                self.containers.pop();
                Step::Took(1)
            }
            _ => {
                self.containers.pop();
                let refusal = Refusal::new(
                    RejectReason::InvalidJson,
                    format!("`{}` closes nothing", char::from(bracket)),
                );
                self.tear(refusal, &[], 1)
            }
        }
    }

    /// Text outside of any JSON: a line of base64, or nothing that is known.
    fn text_line(
        &mut self,
        view: &[u8],
        is_end: bool,
        reader: &mut Reader,
        to: &mut Collector<'_>,
    ) -> Step {
        if view.len() < 4 && !is_end && memchr(b'\n', view).is_none() {
            return Step::More;
        }
        let unreadable = |byte: u8| match byte {
            0..=0x1f => Refusal::new(
                RejectReason::ControlCharacter,
                format!("byte 0x{byte:02x} where a record should begin"),
            ),
            _ => Refusal::new(RejectReason::NotJson, "no JSON where a record should begin"),
        };
        if !reader.is_payload_text(view) {
            return self.tear(unreadable(view[0]), &[], 0);
        }
        let bytes_max = to.limits.record_bytes_max;
        let window = &view[..view.len().min(bytes_max)];
        match memchr(b'\n', &window[self.looked_at.min(window.len())..]) {
            Some(length) => {
                let length = self.looked_at + length;
                self.looked_at = 0;
                self.take_text(&view[..length], reader, to)
            }
            None if window.len() == bytes_max => self.tear(Refusal::too_long(bytes_max), &[], 0),
            None if is_end => self.take_text(view, reader, to),
            None => {
                self.looked_at = window.len();
                Step::More
            }
        }
    }

    fn take_text(&self, text: &[u8], reader: &mut Reader, to: &mut Collector<'_>) -> Step {
        self.grant(text, to);
        reader.take_payload_text(text, to);
        Step::Took(text.len())
    }

    /// What the payloads of an outermost value may come to depends on its own length.
    fn grant(&self, value: &[u8], to: &mut Collector<'_>) {
        if !self.is_payload {
            to.payload_budget = PayloadBudget::of(value.len(), to.limits);
        }
    }

    fn step_value(
        &mut self,
        view: &[u8],
        is_end: bool,
        reader: &mut Reader,
        to: &mut Collector<'_>,
    ) -> Step {
        let bytes_max = to.limits.record_bytes_max;
        let window = &view[..view.len().min(bytes_max)];
        let is_last_chance = is_end || window.len() == bytes_max;
        if !self.is_refused && window[0] == b'{' {
            let is_worth_trying = is_last_chance
                || window.len() >= self.retry_at
                || memchr(b'\n', &window[self.looked_at..]).is_some();
            self.looked_at = window.len();
            if !is_worth_trying {
                return Step::More;
            }
            match reader.take_unchecked(window, to) {
                Ok(length) => {
                    self.looked_at = 0;
                    self.state = State::Between;
                    return Step::Took(length);
                }
                Err(Stop::Incomplete) if !is_last_chance => {
                    self.retry_at = window.len() * 2;
                    return Step::More;
                }
                Err(_) => self.is_refused = true,
            }
        }
        match self.grammar.advance(&window[self.checked..]) {
            Progress::Complete(length) => {
                let length = self.checked + length;
                self.take_checked(&view[..length], reader, to)
            }
            Progress::Invalid(at, fault) => {
                let at = self.checked + at;
                self.tear(Refusal::broken(fault, at, view[at]), view, 1)
            }
            Progress::Open if is_end && self.grammar.may_end() => {
                self.take_checked(view, reader, to)
            }
            Progress::Open if window.len() == bytes_max => {
                self.tear(Refusal::too_long(bytes_max), view, 1)
            }
            Progress::Open if is_end => {
                let refusal = Refusal::new(
                    RejectReason::Truncated,
                    format!("the input ends {} bytes into it", view.len()),
                );
                self.tear(refusal, view, 1)
            }
            Progress::Open => {
                self.checked = window.len();
                Step::More
            }
        }
    }

    fn take_checked(&mut self, value: &[u8], reader: &mut Reader, to: &mut Collector<'_>) -> Step {
        self.grant(value, to);
        reader.take_checked(value, to);
        self.looked_at = 0;
        self.state = State::Between;
        Step::Took(value.len())
    }

    fn step_tail(&mut self, view: &[u8]) -> Step {
        match self.grammar.advance(view) {
            Progress::Complete(length) => {
                self.state = State::Between;
                Step::Took(length)
            }
            Progress::Invalid(at, fault) => {
                // What stands before may have gone with an earlier piece: the broken byte is where
                // the reject begins, however the input is cut.
                self.offset += at as u64;
                self.tear(Refusal::broken(fault, 0, view[at]), &[], 0);
                self.offset -= at as u64;
                Step::Took(at)
            }
            Progress::Open => Step::Took(view.len()),
        }
    }

    /// Gives a value up and looks for the next record, not before `from`.
    fn tear(&mut self, refusal: Refusal, value: &[u8], from: usize) -> Step {
        let key = match self.containers.is_empty() {
            true => Vec::new(),
            false => first_key(value).to_vec(),
        };
        self.is_torn = true;
        self.looked_at = 0;
        self.state = State::Torn(Torn {
            refusal,
            byte_offset: self.offset,
            kept: Vec::new(),
            from,
            key,
            before: b':',
        });
        Step::Took(0)
    }

    fn step_torn(&mut self, view: &[u8], is_end: bool, to: &mut Collector<'_>) -> Step {
        let State::Torn(torn) = &mut self.state else {
            return Step::Took(0);
        };
        let search = Search {
            from: torn.from,
            key: &torn.key,
            before: torn.before,
            is_outermost: self.containers.is_empty(),
        };
        let restart = search.find(view);
        let length = match restart {
            Restart::At(at) => at,
            Restart::Perhaps(at) if !is_end => at,
            Restart::Perhaps(_) | Restart::None => view.len(),
        };
        let room = to.limits.reject_bytes_max - torn.kept.len();
        torn.kept.extend_from_slice(&view[..length.min(room)]);
        if matches!(restart, Restart::At(_)) || is_end {
            self.end_torn(to);
            return Step::Took(length);
        }
        torn.from = 0;
        torn.before = last_solid(&view[..length]).unwrap_or(torn.before);
        if length == 0 {
            Step::More
        } else {
            Step::Took(length)
        }
    }

    fn end_torn(&mut self, to: &mut Collector<'_>) {
        if let State::Torn(torn) = std::mem::take(&mut self.state) {
            if !self.is_payload {
                to.begin_value(torn.byte_offset);
            }
            let is_in_array = !self.containers.is_empty();
            let is_padding = |byte: &u8| {
                matches!(byte, b' ' | b'\n' | b'\r' | b'\t') || *byte == b',' && is_in_array
            };
            let length = torn.kept.iter().rposition(|byte| !is_padding(byte));
            to.reject(
                torn.refusal,
                &torn.kept[..length.map_or(0, |last| last + 1)],
            );
        }
        self.is_restarted = true;
    }

    /// Reports what the end of input leaves open.
    fn end(&mut self, to: &mut Collector<'_>) {
        if matches!(self.state, State::Torn(_)) {
            self.end_torn(to);
        }
        if !self.is_payload {
            to.begin_value(self.offset);
        }
        let is_tail = matches!(self.state, State::Tail);
        if (is_tail || !self.containers.is_empty()) && !self.is_torn {
            let refusal = Refusal::new(
                RejectReason::Truncated,
                "the input ends inside an array of records",
            );
            to.reject(refusal, &[]);
        }
        self.containers.clear();
        self.state = State::Between;
    }
}
