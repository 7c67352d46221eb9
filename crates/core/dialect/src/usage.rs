//! What an answer cost, in tokens.

use serde::{Deserialize, Deserializer, Serialize};

/// Tokens as the seat counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    #[serde(default, deserialize_with = "or_zero")]
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    #[serde(default, deserialize_with = "or_zero")]
    pub completion_tokens: u64,
    /// Both together.
    #[serde(default, deserialize_with = "or_zero")]
    pub total_tokens: u64,
}

fn or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(0))
}

impl Usage {
    /// The usage in the last bytes of an answer that was not streamed, without reading the rest.
    ///
    /// `None` where the tail holds no whole `usage` object.
    pub fn in_tail(tail: &[u8]) -> Option<Self> {
        const KEY: &[u8] = b"\"usage\"";
        let key = tail.windows(KEY.len()).rposition(|window| window == KEY)?;
        let after = tail[key + KEY.len()..].trim_ascii_start().strip_prefix(b":")?;
        serde_json::Deserializer::from_slice(after).into_iter().next()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_found_in_a_tail_cut_anywhere_before_it() {
        let body = r#"{"choices":[{"message":{"content":"say \"usage\": {}"}}],"usage" : {"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"details":{"x":1}},"id":"a"}"#;
        let expected = Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
        for start in [0, 10, 57] {
            assert_eq!(Usage::in_tail(&body.as_bytes()[start..]), Some(expected), "{start}");
        }
        assert_eq!(Usage::in_tail(&body.as_bytes()[70..]), None);
        assert_eq!(Usage::in_tail(b""), None);
        assert_eq!(Usage::in_tail(br#"{"usage":null}"#), None);
    }
}
