//! Reads one table key by key, collects what is wrong, and knows at the end what nobody asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::Problem;

/// Names closer than this are offered as "did you mean".
const SIMILARITY_MIN: f64 = 0.75;
/// A word longer than this is not a slip of the hand.
const SUGGESTION_BYTES_MAX: usize = 64;
/// The most problems that are told of one text.
const PROBLEMS_MAX: usize = 256;

/// The problems found so far, shared by all readers of one text.
#[derive(Clone, Debug, Default)]
pub(super) struct Problems(Rc<RefCell<Vec<Problem>>>);

impl Problems {
    pub(super) fn add(&self, span: Range<usize>, message: impl Into<String>) {
        self.add_with_help(span, message, "");
    }

    pub(super) fn add_with_help(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let message = printable(message.into());
        let problem = Problem { span, message, help: printable(help.into()) };
        if !self.is_full() {
            self.0.borrow_mut().push(problem);
        }
    }

    /// Whether so much is wrong that nothing more is told.
    pub(super) fn is_full(&self) -> bool {
        self.0.borrow().len() >= PROBLEMS_MAX
    }

    pub(super) fn take(&self) -> Vec<Problem> {
        self.0.take()
    }
}

/// A value with its place, so that a later check can point at it.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// One table being read.
#[derive(Debug)]
pub(super) struct Reader<'t, 'i> {
    table: Option<&'t DeTable<'i>>,
    span: Range<usize>,
    path: String,
    known: Vec<&'static str>,
    problems: Problems,
}

impl<'t, 'i> Reader<'t, 'i> {
    pub(super) fn root(table: &'t Spanned<DeTable<'i>>, problems: Problems) -> Self {
        let path = String::new();
        Self { table: Some(table.get_ref()), span: 0..0, path, known: Vec::new(), problems }
    }

    /// The place of the table itself.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub(super) fn problems(&self) -> &Problems {
        &self.problems
    }

    fn get(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table?.get(key)
    }

    /// Whether the key is there, whatever it holds.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// The place of the value under the key, or of the table.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        self.table.and_then(|table| table.get(key)).map_or_else(|| self.span(), Spanned::span)
    }

    /// Whether the table itself is there.
    pub(super) fn is_written(&self) -> bool {
        self.table.is_some()
    }

    /// A list of words for a command line; none can hold a NUL.
    pub(super) fn arguments(&mut self, key: &'static str) -> Vec<Placed<String>> {
        let words = self.texts(key);
        for word in words.iter().filter(|word| word.value.contains('\0')) {
            let message = format!("`{}` cannot hold a NUL", self.name(key));
            self.problems.add(word.span.clone(), message);
        }
        words
    }

    /// Takes these keys for known, whatever they hold.
    pub(super) fn pass(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// Says of each of these keys that is there why it cannot be.
    pub(super) fn refuse(&mut self, keys: &[&'static str], why: &str, help: &str) {
        for key in keys {
            self.known.push(key);
            let Some((written, _)) = self.table.and_then(|table| table.get_key_value(*key)) else {
                continue;
            };
            let message = format!("`{}`: {why}", self.name(key));
            self.problems.add_with_help(written.span(), message, help);
        }
    }

    /// A key with the path of its table.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn mistyped(&self, key: &str, value: &Spanned<DeValue<'i>>, wanted: &str) {
        let found = value.get_ref().type_str();
        let message = format!("`{}` must be {wanted}, not {found}", self.name(key));
        self.problems.add(value.span(), message);
    }

    /// The table below `key`, or an empty one.
    pub(super) fn table(&mut self, key: &'static str) -> Reader<'t, 'i> {
        let path = self.name(key);
        let (mut table, mut span) = (None, self.span.clone());
        if let Some(value) = self.get(key) {
            span = value.span();
            match value.get_ref().as_table() {
                Some(found) => table = Some(found),
                None => self.mistyped(key, value, "a table"),
            }
        }
        Reader { table, span, path, known: Vec::new(), problems: self.problems.clone() }
    }

    /// Every entry of the table below `key`, each as a table of its own with its name.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(Placed<String>, Reader<'t, 'i>)> {
        let outer = self.table(key);
        let Some(table) = outer.table else { return Vec::new() };
        let mut found = Vec::new();
        for (name, value) in table {
            let placed = Placed { value: name.get_ref().to_string(), span: name.span() };
            let path = outer.name(name.get_ref());
            let Some(inner) = value.get_ref().as_table() else {
                outer.mistyped(name.get_ref(), value, "a table");
                continue;
            };
            let reader = Reader {
                table: Some(inner),
                span: name.span(),
                path,
                known: Vec::new(),
                problems: self.problems.clone(),
            };
            found.push((placed, reader));
        }
        found
    }

    /// Every entry of this table as a name and a list of texts; nothing is unknown here.
    pub(super) fn lists(self) -> Vec<(Placed<String>, Vec<Placed<String>>)> {
        let Some(table) = self.table else { return Vec::new() };
        let mut found = Vec::new();
        for (name, value) in table {
            let placed = Placed { value: name.get_ref().to_string(), span: name.span() };
            found.push((placed, self.texts_of(name.get_ref(), value)));
        }
        found
    }

    /// Every entry of this table as a name and a text; nothing is unknown here.
    pub(super) fn pairs(self) -> Vec<(Placed<String>, Placed<String>)> {
        let Some(table) = self.table else { return Vec::new() };
        let mut found = Vec::new();
        for (name, value) in table {
            let key = Placed { value: name.get_ref().to_string(), span: name.span() };
            if let Some(text) = value.get_ref().as_str() {
                found.push((key, Placed { value: text.to_owned(), span: value.span() }));
            } else {
                self.mistyped(name.get_ref(), value, "a text");
            }
        }
        found
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<Placed<String>> {
        let value = self.get(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.mistyped(key, value, "a text");
            return None;
        };
        Some(Placed { value: text.to_owned(), span: value.span() })
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Vec<Placed<String>> {
        match self.get(key) {
            Some(value) => self.texts_of(key, value),
            None => Vec::new(),
        }
    }

    fn texts_of(&self, key: &str, value: &Spanned<DeValue<'i>>) -> Vec<Placed<String>> {
        let Some(array) = value.get_ref().as_array() else {
            self.mistyped(key, value, "a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in array {
            match item.get_ref().as_str() {
                Some(text) => texts.push(Placed { value: text.to_owned(), span: item.span() }),
                None => self.mistyped(key, item, "a list of texts"),
            }
        }
        texts
    }

    /// A text that `parse` understands, or `default`.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> T {
        let Some(text) = self.text(key) else { return default };
        match parse(&text.value) {
            Ok(value) => value,
            Err(error) => {
                self.problems.add(text.span, format!("`{}`: {error}", self.name(key)));
                default
            }
        }
    }

    /// One of a few words, or `default`.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        default: T,
        choices: &[(&str, T)],
    ) -> T {
        let Some(text) = self.text(key) else { return default };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text.value) {
            return *value;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let message =
            format!("`{}` is one of {}, not \"{}\"", self.name(key), words.join(", "), text.value);
        let help = suggestion(&text.value, choices.iter().map(|(word, _)| *word));
        self.problems.add_with_help(text.span, message, help);
        default
    }

    /// A whole number within bounds, or `default`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        default: u32,
        min: u32,
        max: u32,
    ) -> Placed<u32> {
        let Some(value) = self.get(key) else {
            return Placed { value: default, span: self.span() };
        };
        let span = value.span();
        let Some(integer) = value.get_ref().as_integer() else {
            self.mistyped(key, value, "a whole number");
            return Placed { value: default, span };
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (min..=max).contains(number));
        if number.is_none() {
            let message = format!(
                "`{}` must be from {min} to {max}, not {}",
                self.name(key),
                integer.as_str()
            );
            self.problems.add(span.clone(), message);
        }
        Placed { value: number.unwrap_or(default), span }
    }

    /// A truth, or `default`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.get(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.mistyped(key, value, "true or false");
            default
        })
    }

    /// A list of exit codes, in order and each once; empty if it is not there.
    pub(super) fn codes(&mut self, key: &'static str) -> Vec<Placed<u8>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.mistyped(key, value, "a list of exit codes");
            return Vec::new();
        };
        let mut codes = Vec::new();
        for item in array {
            let integer = item.get_ref().as_integer();
            let code = integer
                .and_then(|integer| i64::from_str_radix(integer.as_str(), integer.radix()).ok())
                .and_then(|code| u8::try_from(code).ok());
            match (code, integer) {
                (Some(value), _) => codes.push(Placed { value, span: item.span() }),
                (None, Some(integer)) => {
                    let written = integer.as_str();
                    let message = format!(
                        "`{}`: an exit code is from 0 to 255, not {written}",
                        self.name(key)
                    );
                    self.problems.add(item.span(), message);
                }
                (None, None) => self.mistyped(key, item, "a list of exit codes"),
            }
        }
        codes.sort_by_key(|code| code.value);
        codes.dedup_by_key(|code| code.value);
        codes
    }

    /// A TCP port, or `default`.
    pub(super) fn port(&mut self, key: &'static str, default: u16) -> Placed<u16> {
        let found = self.number(key, u32::from(default), u32::from(default.min(1)), 65535);
        Placed { value: u16::try_from(found.value).unwrap_or(default), span: found.span }
    }

    /// A number with at most three decimals within bounds, in thousandths, or `default`.
    pub(super) fn thousandths(&mut self, key: &'static str, default: u32, max: u32) -> u32 {
        let Some(value) = self.get(key) else { return default };
        let float = value.get_ref().as_float().map(DeFloat::as_str);
        let integer = value.get_ref().as_integer().map(DeInteger::as_str);
        let Some(written) = float.or(integer) else {
            self.mistyped(key, value, "a number");
            return default;
        };
        thousandths(written).filter(|number| *number <= max).unwrap_or_else(|| {
            let message = format!(
                "`{}` must be from 0 to {} with at most three decimals, not {written}",
                self.name(key),
                f64::from(max) / 1000.0
            );
            self.problems.add(value.span(), message);
            default
        })
    }

    /// A required name, as the type says.
    pub(super) fn parse_name<T: FromStr<Err = E>, E: std::fmt::Display>(
        &self,
        text: &Placed<String>,
    ) -> Option<T> {
        match text.value.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                self.problems.add(text.span.clone(), error.to_string());
                None
            }
        }
    }

    /// Reports that `key` must be there.
    pub(super) fn missing(&self, key: &str, help: &str) {
        let message = format!("`{}` is missing", self.name(key));
        self.problems.add_with_help(self.span(), message, help);
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(self) {
        let Some(table) = self.table else { return };
        for (key, _) in table {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let place = if self.path.is_empty() {
                    "at the top level".to_owned()
                } else {
                    format!("in [{}]", self.path)
                };
                let mut help = suggestion(name, self.known.iter().copied());
                if help.is_empty() {
                    let known: BTreeSet<_> = self.known.iter().copied().collect();
                    help = format!("known here: {}", Vec::from_iter(known).join(", "));
                }
                self.problems.add_with_help(
                    key.span(),
                    format!("unknown key `{name}` {place}"),
                    help,
                );
            }
        }
    }
}

/// The text as it can be shown: what would move the cursor is spelled out.
fn printable(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let spelled = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(spelled).collect()
}

/// "did you mean", if one of the known words is close enough.
pub(super) fn suggestion<'w>(written: &str, known: impl Iterator<Item = &'w str>) -> String {
    if written.len() > SUGGESTION_BYTES_MAX {
        return String::new();
    }
    known
        .map(|word| (strsim::jaro_winkler(written, word), word))
        .filter(|(likeness, _)| *likeness >= SIMILARITY_MIN)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| format!("did you mean `{word}`?"))
        .unwrap_or_default()
}

fn thousandths(written: &str) -> Option<u32> {
    let (whole, fraction) = written.split_once('.').unwrap_or((written, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let fraction: u32 = format!("{fraction:0<3}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_thousandths_exactly() {
        for (written, expected) in [
            ("0", Some(0)),
            ("0.7", Some(700)),
            ("1.25", Some(1250)),
            ("0.0001", None),
            ("-1", None),
            ("1e3", None),
        ] {
            assert_eq!(thousandths(written), expected, "{written}");
        }
    }

    #[test]
    fn a_close_word_is_offered_and_a_far_one_is_not() {
        assert_eq!(suggestion("memmory", ["memory", "cpus"].into_iter()), "did you mean `memory`?");
        assert_eq!(suggestion("xyz", ["memory", "cpus"].into_iter()), "");
    }
}
