//! Errors as the OpenAI dialect says them: `{"error":{"message","type","code","param"}}`.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// The longest text kept of an error that a server wrote, in characters.
const MESSAGE_CHARS_MAX: usize = 2000;

/// An error in an answer or a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiError {
    /// What is wrong, for people.
    pub message: String,
    /// The class, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The one reason, for programs; stable.
    pub code: Option<String>,
    /// The field of the request that is at fault.
    pub param: Option<String>,
}

/// The message, and the code where there is one.
impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(formatter, "{} ({code})", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    /// An error of a class, with its code.
    pub fn new(kind: &str, code: &str, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind: kind.to_owned(),
            code: Some(code.to_owned()),
            param: None,
        }
    }

    /// Names the field of the request that is at fault.
    #[must_use]
    pub fn about(mut self, parameter: Option<&str>) -> Self {
        self.param = parameter.map(str::to_owned);
        self
    }

    /// The body of an answer.
    #[expect(clippy::missing_panics_doc, reason = "texts can always be written as JSON")]
    pub fn to_body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a ApiError,
        }
        serde_json::to_vec(&Body { error: self }).expect("texts can always be written as JSON")
    }

    /// The event of a stream, with its closing blank line.
    pub fn to_event(&self) -> Vec<u8> {
        [b"data: ".as_slice(), &self.to_body(), b"\n\n"].concat()
    }

    /// Reads the body of an answer or the data of an event; `None` if it holds no error.
    ///
    /// Lenient, since servers differ: `error` may be a text or an object, a code may be a number.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        match body.get("error")? {
            Value::Null | Value::Bool(false) => None,
            Value::String(message) => Some(Self {
                message: shortened(message),
                kind: "error".to_owned(),
                code: None,
                param: None,
            }),
            error @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                let message = text(error, "message").unwrap_or_else(|| error.to_string());
                Some(Self {
                    message: shortened(&message),
                    kind: text(error, "type").unwrap_or_else(|| "error".to_owned()),
                    code: text(error, "code"),
                    param: text(error, "param"),
                })
            }
        }
    }
}

fn text(error: &Value, key: &str) -> Option<String> {
    match error.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_written_in_the_dialect_and_read_back() {
        let error = ApiError::new("invalid_request_error", "model_not_found", "no \"x\"")
            .about(Some("model"));
        let body = String::from_utf8(error.to_body()).unwrap();
        let expected = r#"{"error":{"message":"no \"x\"","type":"invalid_request_error","code":"model_not_found","param":"model"}}"#;
        assert_eq!(body, expected);
        assert_eq!(ApiError::parse(body.as_bytes()), Some(error));
    }

    #[test]
    fn an_event_is_one_line_even_if_the_message_is_not() {
        let event = ApiError::new("a", "b", "two\nlines").to_event();
        assert_eq!(String::from_utf8(event).unwrap().matches('\n').count(), 2);
    }

    #[test]
    fn errors_of_other_servers_are_understood() {
        for (body, message, code) in [
            (r#"{"error":"model not found"}"#, "model not found", None),
            (r#"{"error":{"message":"slow down","code":429}}"#, "slow down", Some("429")),
            (r#"{"error":{"detail":1}}"#, r#"{"detail":1}"#, None),
        ] {
            let error = ApiError::parse(body.as_bytes()).unwrap();
            assert_eq!((error.message.as_str(), error.code.as_deref()), (message, code), "{body}");
        }
        for none in [r#"{"choices":[]}"#, r#"{"error":null}"#, "[]", "not json", ""] {
            assert_eq!(ApiError::parse(none.as_bytes()), None, "{none}");
        }
    }
}
