//! Makes events of single values, by format; opens envelopes and sends what is inside through a
//! framer again.

use std::sync::Arc;

use super::cloudtrail::{Interpreter, RawRecord, Verdict};
use super::collector::{Collector, Refusal};
use super::decoded::{Format, RejectReason};
use super::framer::Framer;
use super::json::{Kind, Scanner, Stop, Value, unescape};
use super::mapping::{Mapping, MappingScratch};
use super::payload;

/// Envelopes within envelopes that are opened.
const ENVELOPES_MAX: u32 = 6;

/// Levels that the fast scan leaves to the exact check, because it counts in whole blocks.
const NESTING_MARGIN: u32 = 3;

/// Turns values into outcomes.
#[derive(Debug)]
pub struct Reader {
    kind: ReaderKind,
    interpreter: Interpreter,
    scratch: MappingScratch,
    /// Envelopes that are open around the current value.
    depth: u32,
}

#[derive(Debug)]
enum ReaderKind {
    CloudTrail { opens_envelopes: bool },
    Mapping(Arc<Mapping>),
}

impl Reader {
    pub fn new(format: Format) -> Self {
        Reader {
            kind: match format {
                Format::Auto => ReaderKind::CloudTrail {
                    opens_envelopes: true,
                },
                Format::CloudTrail => ReaderKind::CloudTrail {
                    opens_envelopes: false,
                },
                Format::Mapping(mapping) => ReaderKind::Mapping(mapping),
            },
            interpreter: Interpreter::default(),
            scratch: MappingScratch::default(),
            depth: 0,
        }
    }

    /// Keys whose array, standing first in an object, is walked element by element.
    pub fn container_keys(&self) -> &[&'static str] {
        match &self.kind {
            ReaderKind::CloudTrail {
                opens_envelopes: true,
            } => &["Records", "Events"],
            ReaderKind::CloudTrail { .. } => &["Records"],
            ReaderKind::Mapping(_) => &[],
        }
    }

    /// Takes the record at the start of `window`, which nothing has checked; returns its length.
    #[inline]
    pub fn take_unchecked(&mut self, window: &[u8], to: &mut Collector<'_>) -> Result<usize, Stop> {
        if let ReaderKind::Mapping(_) = self.kind {
            return Err(Stop::Doubt);
        }
        let nesting_max = to.limits.nesting_max.saturating_sub(NESTING_MARGIN);
        let mut scanner = Scanner::unchecked(window, nesting_max);
        let mut raw = RawRecord::default();
        raw.scan(&mut scanner)?;
        let length = scanner.position();
        match self.interpreter.take(&raw, &window[..length], to) {
            Verdict::Taken => Ok(length),
            Verdict::NotARecord => {
                let detail = self.bridged(&raw, window).ok_or(Stop::Doubt)?;
                self.take_bridged(detail, to).map(|()| length)
            }
        }
    }

    /// The record that EventBridge has put an envelope around.
    fn bridged<'w>(&self, raw: &RawRecord, window: &'w [u8]) -> Option<&'w [u8]> {
        let is_bridged =
            raw.detail.kind == Kind::Object && self.opens_envelopes() && self.depth < ENVELOPES_MAX;
        is_bridged.then(|| raw.detail.of(window))
    }

    /// Takes a record out of its EventBridge envelope without the check of its grammar, as
    /// [`Self::take_unchecked`] does with a bare one.
    fn take_bridged(&mut self, detail: &[u8], to: &mut Collector<'_>) -> Result<(), Stop> {
        let nesting_max = to.limits.nesting_max.saturating_sub(NESTING_MARGIN + 1);
        let mut scanner = Scanner::unchecked(detail, nesting_max);
        let mut raw = RawRecord::default();
        raw.scan(&mut scanner).map_err(|_| Stop::Doubt)?;
        if scanner.position() != detail.len() {
            return Err(Stop::Doubt);
        }
        match self.interpreter.take(&raw, detail, to) {
            Verdict::Taken => Ok(()),
            Verdict::NotARecord => Err(Stop::Doubt),
        }
    }

    /// Takes one whole, well-formed value.
    pub fn take_checked(&mut self, value: &[u8], to: &mut Collector<'_>) {
        if let ReaderKind::Mapping(mapping) = &self.kind {
            mapping.take_json(value, &mut self.scratch, to);
            return;
        }
        match value[0] {
            b'{' => self.take_object(value, to),
            b'"' if self.opens_envelopes() => self.take_escaped(&value[1..value.len() - 1], to),
            _ => to.reject(
                Refusal::new(RejectReason::NotARecord, "not an object"),
                value,
            ),
        }
    }

    /// Takes one line of text, when the format is a mapping of lines.
    pub fn take_line(&mut self, line: &[u8], to: &mut Collector<'_>) {
        if let ReaderKind::Mapping(mapping) = &self.kind {
            mapping.take_line(line, &mut self.scratch, to);
        }
    }

    fn take_object(&mut self, value: &[u8], to: &mut Collector<'_>) {
        let mut raw = RawRecord::default();
        if raw.scan(&mut Scanner::checked(value)).is_err() {
            let refusal = Refusal::new(RejectReason::InvalidJson, "an object that breaks off");
            to.reject(refusal, value);
            return;
        }
        if self.interpreter.take(&raw, value, to) == Verdict::Taken {
            return;
        }
        if self.opens_envelopes() {
            self.take_envelope(value, to);
        } else {
            to.reject(
                Refusal::new(RejectReason::NotARecord, "no CloudTrail record"),
                value,
            );
        }
    }

    fn opens_envelopes(&self) -> bool {
        matches!(
            self.kind,
            ReaderKind::CloudTrail {
                opens_envelopes: true
            }
        )
    }

    /// Whether a line that is no JSON may be a payload: base64 of gzip, or of a JSON object.
    pub fn is_payload_text(&self, line: &[u8]) -> bool {
        self.opens_envelopes() && payload::is_base64_like(line)
    }

    /// Takes a text that is base64, perhaps of gzip, and what is inside.
    pub fn take_payload_text(&mut self, text: &[u8], to: &mut Collector<'_>) {
        match payload::open(text.trim_ascii(), &mut to.payload_budget) {
            Ok(inside) => self.take_inside(&inside, text, to),
            Err(refusal) => to.reject(refusal, text),
        }
    }

    /// Takes what the inside of a JSON string holds.
    pub fn take_escaped(&mut self, raw: &[u8], to: &mut Collector<'_>) {
        let mut text = String::with_capacity(raw.len());
        match unescape(raw, &mut text) {
            Ok(()) if payload::is_base64_like(text.as_bytes()) => {
                self.take_payload_text(text.as_bytes(), to);
            }
            Ok(()) => self.take_inside(text.as_bytes(), raw, to),
            Err(()) => to.reject(
                Refusal::new(RejectReason::InvalidJson, "a broken escape"),
                raw,
            ),
        }
    }

    /// Sends the inside of an envelope through a framer of its own.
    fn take_inside(&mut self, inside: &[u8], outside: &[u8], to: &mut Collector<'_>) {
        if inside.trim_ascii().is_empty() {
            to.reject(
                Refusal::new(RejectReason::NotARecord, "an empty payload"),
                outside,
            );
            return;
        }
        if self.enter(outside, to) {
            Framer::of_payload(to.limits).drain(inside, true, self, to);
            self.depth -= 1;
        }
    }

    /// Goes one envelope deeper, or rejects `outside` when that is too deep.
    pub fn enter(&mut self, outside: &[u8], to: &mut Collector<'_>) -> bool {
        if self.depth == ENVELOPES_MAX {
            let refusal = Refusal::new(
                RejectReason::EnvelopeTooDeep,
                format!("more than {ENVELOPES_MAX} envelopes in one another"),
            );
            to.reject(refusal, outside);
            return false;
        }
        self.depth += 1;
        true
    }

    /// Takes each element of the array at `array` of `bytes`, one envelope deeper.
    pub fn take_elements(&mut self, bytes: &[u8], array: Value, to: &mut Collector<'_>) {
        if !self.enter(bytes, to) {
            return;
        }
        let mut elements = Scanner::checked(bytes).at(array.start);
        let mut is_first = true;
        if elements.enter(b'[').is_ok() {
            while let Ok(Some(element)) = elements.next_element(is_first) {
                is_first = false;
                let (mut start, mut end) = (element.start as usize, element.end as usize);
                if element.is_text() {
                    (start, end) = (start - 1, end + 1);
                }
                self.take_checked(&bytes[start..end], to);
            }
        }
        self.depth -= 1;
    }

    /// Takes the object at `object` of `bytes`, one envelope deeper.
    pub fn take_member(&mut self, bytes: &[u8], object: Value, to: &mut Collector<'_>) {
        if self.enter(bytes, to) {
            self.take_checked(object.of(bytes), to);
            self.depth -= 1;
        }
    }
}
