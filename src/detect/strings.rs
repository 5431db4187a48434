//! Strings that occur often, kept once and named by a small number.
//!
//! Every user of a string holds a reference; with the last one its memory and its number are
//! free again. Numbers mean nothing outside the process: all order is by text.

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};
use std::hash::BuildHasher;

use super::invariants::require;

/// A counted set of strings.
#[derive(Clone, Debug, Default)]
pub struct Strings {
    rows: Vec<Row>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    text_bytes: usize,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Row {
    text: Box<str>,
    references: u32,
}

impl Strings {
    /// The number of `text`, with one reference more.
    pub fn intern(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        let rows = &self.rows;
        if let Some(id) = self
            .index
            .find(hash, |id| &*rows[*id as usize].text == text)
        {
            let id = *id;
            self.rows[id as usize].references += 1;
            return id;
        }
        let row = Row {
            text: text.into(),
            references: 1,
        };
        self.text_bytes += text.len();
        let id = match self.free.pop() {
            Some(id) => {
                self.rows[id as usize] = row;
                id
            }
            None => {
                self.rows.push(row);
                (self.rows.len() - 1) as u32
            }
        };
        let (rows, hasher) = (&self.rows, &self.hasher);
        self.index
            .insert_unique(hash, id, |id| hasher.hash_one(&*rows[*id as usize].text));
        id
    }

    pub fn get(&self, id: u32) -> &str {
        &self.rows[id as usize].text
    }

    /// Adds a reference to a string that has one.
    pub fn retain(&mut self, id: u32) {
        self.rows[id as usize].references += 1;
    }

    /// Gives one reference back.
    pub fn release(&mut self, id: u32) {
        let row = &mut self.rows[id as usize];
        row.references -= 1;
        if row.references > 0 {
            return;
        }
        let text = std::mem::take(&mut row.text);
        self.text_bytes -= text.len();
        let hash = self.hasher.hash_one(&*text);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.free.push(id);
    }

    /// How many strings are held.
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// How many numbers there are, free ones included.
    pub fn rows_len(&self) -> usize {
        self.rows.len()
    }

    /// Whether a string with this number is held.
    pub fn holds(&self, id: u32) -> bool {
        let row = self.rows.get(id as usize);
        row.is_some_and(|row| row.references > 0)
    }

    /// Checks strings that were read; `uses` says how often each number is named.
    pub fn check(&self, uses: &[u32]) -> Result<(), String> {
        let references = self.rows.iter().map(|row| row.references);
        let are_equal = references.eq(uses.iter().copied());
        require(
            are_equal,
            "references",
            "each string is held as often as it is named",
        )?;
        let mut is_free = vec![false; self.rows.len()];
        for id in &self.free {
            let is_new = is_free
                .get_mut(*id as usize)
                .is_some_and(|slot| !std::mem::replace(slot, true));
            require(is_new, "free", "each number is there and free once")?;
        }
        for (id, (row, is_free)) in self.rows.iter().zip(is_free).enumerate() {
            let is_unused = row.references == 0;
            require(is_free == is_unused, "free", "what nobody holds is free")?;
            let is_empty = !is_unused || row.text.is_empty();
            require(is_empty, "rows", "a free string has no text")?;
            require(
                is_unused || self.number(&row.text) == Some(id as u32),
                "rows",
                "no text is there twice",
            )?;
        }
        Ok(())
    }

    fn number(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        let is_it = |id: &u32| &*self.rows[*id as usize].text == text;
        self.index.find(hash, is_it).copied()
    }

    /// Heap bytes, with 16 for each string's own allocation.
    pub fn memory_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
            + self.free.capacity() * 4
            + self.index.allocation_size()
            + self.text_bytes
            + self.len() * 16
    }
}

impl Serialize for Strings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.rows, &self.free).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (rows, free) = <(Vec<Row>, Vec<u32>)>::deserialize(deserializer)?;
        let mut strings = Strings {
            text_bytes: rows.iter().map(|row| row.text.len()).sum(),
            index: HashTable::with_capacity(rows.len()),
            rows,
            free,
            ..Strings::default()
        };
        let (rows, hasher) = (&strings.rows, &strings.hasher);
        for (id, row) in rows.iter().enumerate() {
            if row.references > 0 {
                let hash = hasher.hash_one(&*row.text);
                strings.index.insert_unique(hash, id as u32, |id| {
                    hasher.hash_one(&*rows[*id as usize].text)
                });
            }
        }
        Ok(strings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reference_frees_text_and_number() {
        let mut strings = Strings::default();
        let a = strings.intern("a");
        let b = strings.intern("b");
        assert_eq!(strings.intern("a"), a);
        strings.release(a);
        assert_eq!(strings.get(a), "a");
        strings.release(a);
        assert_eq!(strings.len(), 1);
        assert_eq!(strings.intern("c"), a);
        assert_eq!((strings.get(a), strings.get(b)), ("c", "b"));
        let bytes = postcard::to_allocvec(&strings).unwrap();
        let mut back: Strings = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(back.intern("b"), b);
    }
}
