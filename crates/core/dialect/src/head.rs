//! The typed head of a chat completions request; the rest stays the bytes it came as.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::str::{self, Utf8Error};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The longest model name, in bytes.
const MODEL_BYTES_MAX: usize = 256;

/// What a hop must know of a chat completions request to pass it on.
///
/// Made from the body by [`ChatHead::parse`]; it remembers where in that body the model's name
/// stands, so that the name can be swapped without touching any other byte.
///
/// ```
/// use sanctum_dialect::ChatHead;
///
/// let body = br#"{"model": "council-brain", "stream": true, "x-new": [1,  2]}"#;
/// let head = ChatHead::parse(body).unwrap();
/// assert_eq!((head.model(), head.is_streaming()), ("council-brain", true));
/// assert_eq!(
///     head.with_model(body, "smollm2"),
///     br#"{"model": "smollm2", "stream": true, "x-new": [1,  2]}"#
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatHead {
    model: String,
    streaming: bool,
    model_at: Range<usize>,
}

/// Why a body is not a chat completions request that can be passed on.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The body is not text.
    #[error("the body is not UTF-8 text")]
    NotText(#[source] Utf8Error),
    /// The body is not JSON, or not one object.
    #[error("the body is not a JSON object")]
    NotObject(#[source] serde_json::Error),
    /// A key stands twice: two readers would read two different requests.
    #[error("the key `{0}` stands twice in the body")]
    Twice(String),
    /// A key that must be there is not.
    #[error("`model` is missing")]
    NoModel,
    /// The model's name is none.
    #[error("`model` must be a text of 1 to 256 bytes without control characters")]
    Model,
    /// The wish to stream is neither yes nor no.
    #[error("`stream` must be true, false or null")]
    Stream,
}

impl HeadError {
    /// The key of the request that is at fault, if it is one.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::NotText(_) | Self::NotObject(_) => None,
            Self::Twice(key) => Some(key),
            Self::NoModel | Self::Model => Some("model"),
            Self::Stream => Some("stream"),
        }
    }
}

impl ChatHead {
    /// Reads the head of a request.
    ///
    /// # Errors
    ///
    /// When the body is not one JSON object, a key stands twice in it, or a field of the head is
    /// missing or of the wrong kind.
    pub fn parse(body: &[u8]) -> Result<Self, HeadError> {
        let text = str::from_utf8(body).map_err(HeadError::NotText)?;
        let members: Members<'_> = serde_json::from_str(text).map_err(HeadError::NotObject)?;
        let mut seen = BTreeSet::new();
        let (mut model, mut stream) = (None, None);
        for (key, value) in &members.0 {
            if !seen.insert(key.as_str()) {
                return Err(HeadError::Twice(key.clone()));
            }
            match key.as_str() {
                "model" => model = Some(value.get()),
                "stream" => stream = Some(value.get()),
                _ => {}
            }
        }
        let written = model.ok_or(HeadError::NoModel)?;
        let start = written.as_ptr().addr() - text.as_ptr().addr();
        Ok(Self {
            model: model_name(written)?,
            streaming: is_streaming(stream)?,
            model_at: start..start + written.len(),
        })
    }

    /// The name of the model that is asked for.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Whether the answer is to be streamed.
    pub fn is_streaming(&self) -> bool {
        self.streaming
    }

    /// The same request for another model: a copy of `body`, the one this head was read from, in
    /// which only the value of `model` differs.
    ///
    /// # Panics
    ///
    /// When `body` is shorter than the one this head was read from.
    #[must_use]
    pub fn with_model(&self, body: &[u8], model: &str) -> Vec<u8> {
        let name = serde_json::Value::from(model).to_string();
        [&body[..self.model_at.start], name.as_bytes(), &body[self.model_at.end..]].concat()
    }
}

fn model_name(written: &str) -> Result<String, HeadError> {
    let name: String = serde_json::from_str(written).map_err(|_| HeadError::Model)?;
    let named = (1..=MODEL_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control);
    if named { Ok(name) } else { Err(HeadError::Model) }
}

fn is_streaming(written: Option<&str>) -> Result<bool, HeadError> {
    match written {
        Some("true") => Ok(true),
        None | Some("false" | "null") => Ok(false),
        Some(_) => Err(HeadError::Stream),
    }
}

/// The members of an object in their order, values unread.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn space() -> impl Strategy<Value = String> {
        "[ \t\r\n]{0,3}"
    }

    /// Members whose keys begin with `first`, each written with arbitrary white space.
    fn members(first: char) -> impl Strategy<Value = Vec<String>> {
        let member = (json(), any::<bool>(), space(), space());
        prop::collection::btree_map(any::<String>(), member, 0..6).prop_map(move |map| {
            map.into_iter()
                .map(|(key, (value, pretty, before, after))| {
                    let key = Value::from(format!("{first}{key}"));
                    let value = if pretty { format!("{value:#}") } else { value.to_string() };
                    format!("{before}{key}{after}:{before}{value}{after}")
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn swapping_the_model_keeps_every_other_byte(
            before in members('a'),
            after in members('b'),
            name in "[^\\p{C}]{1,40}",
            other in any::<String>(),
        ) {
            let body = |model: &str| {
                let model = format!("\"model\" : {} ", Value::from(model));
                let all: Vec<_> = before.iter().chain([&model]).chain(&after).cloned().collect();
                format!("{{{}}}\n", all.join(","))
            };
            let head = ChatHead::parse(body(&name).as_bytes()).unwrap();
            prop_assert_eq!(head.model(), &name);
            let swapped = head.with_model(body(&name).as_bytes(), &other);
            prop_assert_eq!(String::from_utf8(swapped).unwrap(), body(&other));
        }

        #[test]
        fn no_body_makes_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(ChatHead::parse(&body));
        }
    }

    #[test]
    fn the_head_is_read_wherever_it_stands_and_however_it_is_written() {
        for (body, model, streaming) in [
            (r#"{"model":"a"}"#, "a", false),
            (r#"{"stream":true,"model":"a"}"#, "a", true),
            (r#"{"messages":[{"model":"inner","stream":true}],"model":"a/b:c"}"#, "a/b:c", false),
            ("\n{\"mod\\u0065l\" : \"caf\\u00e9\" , \"stream\":null}", "café", false),
        ] {
            let head = ChatHead::parse(body.as_bytes()).unwrap();
            assert_eq!((head.model(), head.is_streaming()), (model, streaming), "{body}");
        }
    }

    #[test]
    fn a_body_that_is_no_request_is_refused_with_its_reason() {
        for (body, message, parameter) in [
            ("", "not a JSON object", None),
            ("[]", "not a JSON object", None),
            ("\"model\"", "not a JSON object", None),
            (r#"{"model":"a"} x"#, "not a JSON object", None),
            (r#"{"model":"a","#, "not a JSON object", None),
            (r#"{"messages":[]}"#, "`model` is missing", Some("model")),
            (r#"{"model":7}"#, "`model` must be", Some("model")),
            (r#"{"model":""}"#, "`model` must be", Some("model")),
            (r#"{"model":"a\nb"}"#, "`model` must be", Some("model")),
            (r#"{"model":"a","stream":"yes"}"#, "`stream` must be", Some("stream")),
            (r#"{"model":"a","model":"b"}"#, "`model` stands twice", Some("model")),
            (r#"{"model":"a","mod\u0065l":"b"}"#, "`model` stands twice", Some("model")),
            (r#"{"model":"a","n":1,"n":2}"#, "`n` stands twice", Some("n")),
        ] {
            let error = ChatHead::parse(body.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(message), "{body}: {error}");
            assert_eq!(error.parameter(), parameter, "{body}");
        }
        assert!(matches!(ChatHead::parse(b"{\"model\":\"\xff\"}"), Err(HeadError::NotText(_))));
    }

    #[test]
    fn a_deeply_nested_body_does_not_overflow_the_stack() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        let body = format!(r#"{{"model":"a","x":{deep}}}"#);
        assert_eq!(ChatHead::parse(body.as_bytes()).unwrap().model(), "a");
    }
}
