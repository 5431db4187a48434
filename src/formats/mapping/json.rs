//! Fills a mapping's places from a JSON record: all its pointers in one walk.

use super::super::collector::Refusal;
use super::super::decoded::RejectReason;
use super::super::json::{Kind, Scanner, Stop, Value, unescape};
use super::template::SlotValues;

/// Steps of a pointer; the walk recurses that deep and no deeper.
const STEPS_MAX: usize = 32;

/// The pointers of a mapping as a tree of their steps.
#[derive(Debug)]
pub struct PointerTree {
    /// The first is the root.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Step and node behind it.
    children: Vec<(String, usize)>,
    slot: Option<usize>,
}

/// The steps of a JSON pointer (RFC 6901).
pub fn split_pointer(pointer: &str) -> Result<Vec<String>, String> {
    let Some(steps) = pointer.strip_prefix('/') else {
        return Err(format!(
            "`{pointer}` is no JSON pointer: it begins with no `/`"
        ));
    };
    let steps: Vec<String> = steps
        .split('/')
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect();
    if steps.len() > STEPS_MAX {
        return Err(format!("`{pointer}` has more than {STEPS_MAX} steps"));
    }
    Ok(steps)
}

/// The array at `path` of an object, if there is one.
pub fn find_array(text: &str, path: &[String]) -> Option<Value> {
    let mut place = Value {
        kind: Kind::Object,
        start: 0,
        end: text.len() as u32,
    };
    for step in path {
        if !text[place.start as usize..].starts_with('{') {
            return None;
        }
        let mut found = None;
        let mut scanner = Scanner::checked(text.as_bytes()).at(place.start);
        for_each_child(&mut scanner, |key, value| {
            if key == step {
                found = Some(value);
            }
            Ok(())
        })
        .ok()?;
        place = found?;
    }
    (place.kind == Kind::Array).then_some(place)
}

/// The elements of the array at `array`, each as its text.
pub fn elements(text: &str, array: Value) -> Vec<&str> {
    let mut scanner = Scanner::checked(text.as_bytes()).at(array.start);
    let mut found = Vec::new();
    if scanner.enter(b'[').is_ok() {
        while let Ok(Some(element)) = scanner.next_element(found.is_empty()) {
            let quote = u32::from(element.is_text());
            let (start, end) = (element.start - quote, element.end + quote);
            found.push(&text[start as usize..end as usize]);
        }
    }
    found
}

impl PointerTree {
    /// A tree of pointers; the slot of each is its index.
    pub fn new(pointers: &[String]) -> Result<PointerTree, String> {
        let mut tree = PointerTree {
            nodes: vec![Node::default()],
        };
        for (slot, pointer) in pointers.iter().enumerate() {
            let mut node = 0;
            for step in split_pointer(pointer)? {
                node = tree.child(node, step);
            }
            tree.nodes[node].slot = Some(slot);
        }
        Ok(tree)
    }

    /// Fills the slots from one record.
    pub fn fill(&self, record: &str, slots: &mut SlotValues) -> Result<(), Refusal> {
        if !record.starts_with('{') {
            return Err(Refusal::new(RejectReason::NotARecord, "not an object"));
        }
        let mut scanner = Scanner::checked(record.as_bytes());
        self.walk(0, &mut scanner, slots)
            .map_err(|_| Refusal::new(RejectReason::InvalidJson, "a broken escape"))
    }

    fn child(&mut self, node: usize, step: String) -> usize {
        let known = self.nodes[node]
            .children
            .iter()
            .find(|(name, _)| *name == step);
        if let Some((_, child)) = known {
            return *child;
        }
        let child = self.nodes.len();
        self.nodes.push(Node::default());
        self.nodes[node].children.push((step, child));
        child
    }

    fn walk(
        &self,
        node: usize,
        scanner: &mut Scanner<'_>,
        slots: &mut SlotValues,
    ) -> Result<(), Stop> {
        let here = scanner.at(0);
        for_each_child(scanner, |key, value| {
            let children = &self.nodes[node].children;
            let Some((_, child)) = children.iter().find(|(step, _)| step == key) else {
                return Ok(());
            };
            self.unset(*child, slots);
            if let Some(slot) = self.nodes[*child].slot {
                fill_slot(here.bytes(), value, slot, slots)?;
            }
            let is_inner = matches!(value.kind, Kind::Object | Kind::Array);
            if is_inner && !self.nodes[*child].children.is_empty() {
                self.walk(*child, &mut here.at(value.start), slots)?;
            }
            Ok(())
        })
    }

    /// Empties all slots at and below a node, because of a key that occurs again the last wins.
    fn unset(&self, node: usize, slots: &mut SlotValues) {
        let node = &self.nodes[node];
        if let Some(slot) = node.slot {
            slots.unset(slot);
        }
        for (_, child) in &node.children {
            self.unset(*child, slots);
        }
    }
}

fn fill_slot(bytes: &[u8], value: Value, slot: usize, slots: &mut SlotValues) -> Result<(), Stop> {
    match value.kind {
        Kind::Text | Kind::Number | Kind::True | Kind::False => {
            slots.set_source(slot, value.start as usize, value.end as usize);
        }
        Kind::EscapedText => slots
            .set_made(slot, |made| unescape(value.of(bytes), made))
            .map_err(|()| Stop::Doubt)?,
        Kind::Absent | Kind::Null | Kind::Object | Kind::Array => {}
    }
    Ok(())
}

/// Visits the members of an object, or the elements of an array by their index.
fn for_each_child(
    scanner: &mut Scanner<'_>,
    mut visit: impl FnMut(&str, Value) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut is_first = true;
    let mut text = String::new();
    if scanner.peek()? == b'[' {
        scanner.enter(b'[')?;
        let mut index = 0usize;
        while let Some(value) = scanner.next_element(is_first)? {
            is_first = false;
            text.clear();
            text.push_str(&index.to_string());
            visit(&text, value)?;
            index += 1;
        }
        return Ok(());
    }
    scanner.enter(b'{')?;
    while let Some(key) = scanner.next_key(is_first)? {
        is_first = false;
        let value = scanner.value()?;
        let bytes = key.of(scanner.bytes());
        if key.kind == Kind::Text {
            visit(std::str::from_utf8(bytes).map_err(|_| Stop::Doubt)?, value)?;
        } else {
            text.clear();
            unescape(bytes, &mut text).map_err(|()| Stop::Doubt)?;
            visit(&text, value)?;
        }
    }
    Ok(())
}
