//! Texts with places in braces, and the values that fill the places of one record.

use std::ops::Range;

/// The places that a mapping's texts name, each once.
#[derive(Debug, Default)]
pub struct Slots {
    names: Vec<String>,
}

/// Alternatives of which the first that can be made is taken.
#[derive(Debug)]
pub struct Texts {
    templates: Vec<Template>,
}

/// One text: what it is made of, in order.
#[derive(Debug)]
struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Plain(String),
    Slot(usize),
}

/// The values of one record's places; ranges refer to the record or to the `made` text.
#[derive(Debug, Default)]
pub struct SlotValues {
    values: Vec<Option<Place>>,
    made: String,
}

/// Where a text stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the record.
    Source(Range<usize>),
    /// In the text made beside it: escapes resolved, or several parts joined.
    Made(Range<usize>),
}

impl Slots {
    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    fn index_of(&mut self, name: &str) -> usize {
        if let Some(index) = self.names.iter().position(|known| known == name) {
            return index;
        }
        self.names.push(name.to_string());
        self.names.len() - 1
    }
}

impl Texts {
    /// Parses the alternatives; `{{` and `}}` stand for braces.
    pub fn parse(templates: &[String], slots: &mut Slots) -> Result<Texts, String> {
        let templates = templates.iter().map(|text| Template::parse(text, slots));
        Ok(Texts {
            templates: templates.collect::<Result<_, _>>()?,
        })
    }

    /// Makes the first text that can be made.
    pub fn make(&self, values: &mut SlotValues, record: &str) -> Option<Place> {
        let template = self.templates.iter().find(|template| {
            let mut slots = template.parts.iter().filter_map(|part| match part {
                Part::Slot(slot) => Some(*slot),
                Part::Plain(_) => None,
            });
            slots.all(|slot| values.is_filled(slot))
        })?;
        if let [Part::Slot(slot)] = template.parts[..] {
            return values.values[slot].clone();
        }
        Some(values.join(&template.parts, record))
    }
}

impl Template {
    fn parse(text: &str, slots: &mut Slots) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..];
            if brace.starts_with("{{") || brace.starts_with("}}") {
                plain.push_str(&brace[..1]);
                rest = &brace[2..];
                continue;
            }
            let (name, behind) = brace
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
                .ok_or_else(|| format!("`{text}` has a brace without its partner"))?;
            if name.is_empty() {
                return Err(format!("`{text}` has a place without a name"));
            }
            if !plain.is_empty() {
                parts.push(Part::Plain(std::mem::take(&mut plain)));
            }
            parts.push(Part::Slot(slots.index_of(name)));
            rest = behind;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Plain(plain));
        }
        Ok(Template { parts })
    }
}

impl SlotValues {
    /// Empties all places.
    pub fn begin(&mut self, slots: usize) {
        self.values.clear();
        self.values.resize(slots, None);
        self.made.clear();
    }

    /// Fills a place with a range of the record.
    pub fn set_source(&mut self, slot: usize, start: usize, end: usize) {
        self.values[slot] = Some(Place::Source(start..end));
    }

    /// Fills a place with a text that `write` appends to the made text.
    pub fn set_made<E>(
        &mut self,
        slot: usize,
        write: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.made.len();
        write(&mut self.made)?;
        self.values[slot] = Some(Place::Made(start..self.made.len()));
        Ok(())
    }

    /// Empties a place, for a key that occurs again.
    pub fn unset(&mut self, slot: usize) {
        self.values[slot] = None;
    }

    /// The text at a place.
    pub fn text<'t>(&'t self, place: Option<&Place>, record: &'t str) -> &'t str {
        match place {
            None => "",
            Some(Place::Source(range)) => &record[range.clone()],
            Some(Place::Made(range)) => &self.made[range.clone()],
        }
    }

    fn is_filled(&self, slot: usize) -> bool {
        match &self.values[slot] {
            Some(Place::Source(range) | Place::Made(range)) => !range.is_empty(),
            None => false,
        }
    }

    /// Joins the parts of a template whose places are all filled.
    fn join(&mut self, parts: &[Part], record: &str) -> Place {
        let start = self.made.len();
        for part in parts {
            match part {
                Part::Plain(text) => self.made.push_str(text),
                Part::Slot(slot) => match self.values[*slot].clone() {
                    Some(Place::Source(range)) => self.made.push_str(&record[range]),
                    Some(Place::Made(range)) => self.made.extend_from_within(range),
                    None => {}
                },
            }
        }
        Place::Made(start..self.made.len())
    }
}
