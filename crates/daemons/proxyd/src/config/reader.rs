//! Reads one table key by key, collects every fault with its line, and knows at the end which keys
//! nobody asked for.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The line it stands in, counted from 1.
    pub(crate) line: usize,
    /// What is wrong, and what to do.
    pub(crate) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.message)
    }
}

/// The faults found so far in one text.
#[derive(Debug)]
pub(super) struct Faults<'t> {
    text: &'t str,
    found: RefCell<Vec<Fault>>,
}

impl<'t> Faults<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: RefCell::default() }
    }

    pub(super) fn add(&self, at: &Range<usize>, message: impl Into<String>) {
        let before = &self.text.as_bytes()[..at.start.min(self.text.len())];
        let line = before.split(|byte| *byte == b'\n').count();
        self.found.borrow_mut().push(Fault { line, message: message.into() });
    }

    /// All of them, in the order of the text.
    pub(super) fn into_sorted(self) -> Vec<Fault> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|fault| fault.line);
        found
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) at: Range<usize>,
}

/// One table being read.
#[derive(Debug)]
pub(super) struct Table<'t, 'i> {
    entries: &'t DeTable<'i>,
    /// The place of the table.
    pub(super) at: Range<usize>,
    /// What the table is called in messages, with a space after it; empty at the top.
    called: String,
    asked: Vec<&'static str>,
    faults: &'t Faults<'t>,
}

impl<'t, 'i> Table<'t, 'i> {
    pub(super) fn top(table: &'t Spanned<DeTable<'i>>, faults: &'t Faults<'t>) -> Self {
        let entries = table.get_ref();
        Self { entries, at: 0..0, called: String::new(), asked: Vec::new(), faults }
    }

    fn get(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.asked.push(key);
        self.entries.get(key)
    }

    fn mistyped(&self, key: &str, wanted: &str, found: &Spanned<DeValue<'_>>) {
        let kind = found.get_ref().type_str();
        self.faults
            .add(&found.span(), format!("{}`{key}` must be {wanted}, not {kind}", self.called));
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Says that a key which must be there is not.
    pub(super) fn missing(&self, key: &str, example: &str) {
        let message = format!("{}`{key}` is missing: write {example}", self.called);
        self.faults.add(&self.at, message);
    }

    /// A text, or nothing.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Placed<String>> {
        let value = self.get(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.mistyped(key, "a text", value);
            return None;
        };
        Some(Placed { value: text.to_owned(), at: value.span() })
    }

    /// A text that must be there; `example` shows how it is written.
    pub(super) fn required(&mut self, key: &'static str, example: &str) -> Option<Placed<String>> {
        if !self.has(key) {
            self.missing(key, example);
        }
        self.text(key)
    }

    /// What `parse` makes of a text, or nothing.
    pub(super) fn parsed<T, E: fmt::Display>(
        &self,
        key: &str,
        text: Option<&Placed<String>>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = text?;
        match parse(&text.value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.faults.add(&text.at, format!("{}`{key}`: {error}", self.called));
                None
            }
        }
    }

    /// A whole number within bounds, or `default`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        default: u32,
        bounds: RangeInclusive<u32>,
    ) -> u32 {
        let Some(value) = self.get(key) else { return default };
        self.number_of(key, value, &bounds).unwrap_or(default)
    }

    /// A list of whole numbers within bounds; empty if it is not there.
    pub(super) fn numbers(&mut self, key: &'static str, bounds: RangeInclusive<u32>) -> Vec<u32> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.mistyped(key, "a list of whole numbers", value);
            return Vec::new();
        };
        items.iter().filter_map(|item| self.number_of(key, item, &bounds)).collect()
    }

    fn number_of(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        bounds: &RangeInclusive<u32>,
    ) -> Option<u32> {
        let Some(integer) = value.get_ref().as_integer() else {
            self.mistyped(key, "a whole number", value);
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            let (least, most) = (bounds.start(), bounds.end());
            let message = format!("{}`{key}` must be from {least} to {most}", self.called);
            self.faults.add(&value.span(), message);
        }
        number
    }

    /// Every table of a list of tables; none if it is not there.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Table<'t, 'i>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.mistyped(key, "a list of tables", value);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Some(entries) = item.get_ref().as_table() else {
                self.mistyped(key, "a list of tables", item);
                continue;
            };
            let called = format!("{}{key} {}: ", self.called, index + 1);
            let faults = self.faults;
            tables.push(Table { entries, at: item.span(), called, asked: Vec::new(), faults });
        }
        tables
    }

    /// Says which keys of the table mean nothing.
    pub(super) fn finish(self) {
        for (key, _) in self.entries {
            let name: &str = key.get_ref();
            if !self.asked.contains(&name) {
                let known = self.asked.join(", ");
                let message = format!("{}unknown key `{name}`; known here: {known}", self.called);
                self.faults.add(&key.span(), message);
            }
        }
    }
}
