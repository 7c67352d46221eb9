//! The shapes of an answer: whole, and chunk by chunk.

use bytes::Bytes;
use serde::Serialize;

use crate::executor::{Ending, Reason};

/// What is the same in an answer and in each of its chunks.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
}

/// A whole answer.
#[derive(Serialize)]
pub(super) struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: Usage,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    refusal: Option<()>,
}

/// What an answer took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
    prompt_tokens_details: PromptTokens,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct PromptTokens {
    cached_tokens: usize,
}

/// A part of an answer.
#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

/// What ends a stream that is whole.
pub(super) const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");
/// A comment, which clients skip: it keeps the connection from looking dead.
pub(super) const STILL_HERE: Bytes = Bytes::from_static(b": still working\n\n");

impl Head {
    /// The whole answer.
    pub(super) fn completion<'a>(&'a self, content: &'a str, ending: &Ending) -> Completion<'a> {
        let message = Message { role: "assistant", content, refusal: None };
        let finish_reason = finish_reason(ending.reason);
        Completion {
            id: &self.id,
            object: "chat.completion",
            created: self.created,
            model: &self.model,
            choices: [Choice { index: 0, message, logprobs: None, finish_reason }],
            usage: usage(ending),
        }
    }

    /// The first chunk: who speaks.
    pub(super) fn role_frame(&self) -> Bytes {
        self.choice_frame(Delta { role: Some("assistant"), content: Some("") }, None)
    }

    /// A chunk of text.
    pub(super) fn text_frame(&self, text: &str) -> Bytes {
        self.choice_frame(Delta { role: None, content: Some(text) }, None)
    }

    /// The chunk that says why the answer ended.
    pub(super) fn finish_frame(&self, ending: &Ending) -> Bytes {
        self.choice_frame(Delta::default(), Some(finish_reason(ending.reason)))
    }

    /// The chunk that says what the answer took.
    pub(super) fn usage_frame(&self, ending: &Ending) -> Bytes {
        self.frame(&[], Some(usage(ending)))
    }

    fn choice_frame(&self, delta: Delta<'_>, finish_reason: Option<&'static str>) -> Bytes {
        self.frame(&[ChunkChoice { index: 0, delta, logprobs: None, finish_reason }], None)
    }

    fn frame(&self, choices: &[ChunkChoice<'_>], usage: Option<Usage>) -> Bytes {
        frame(&Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage,
        })
    }
}

/// One server-sent event. JSON holds no line breaks of its own, so one line is enough.
pub(super) fn frame(data: &impl Serialize) -> Bytes {
    let json = serde_json::to_string(data).expect("strings and numbers have a form in JSON");
    Bytes::from(format!("data: {json}\n\n"))
}

fn finish_reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Stop => "stop",
        Reason::Length => "length",
    }
}

fn usage(ending: &Ending) -> Usage {
    let Ending { prompt_tokens, cached_tokens, answer_tokens, .. } = *ending;
    Usage {
        prompt_tokens,
        completion_tokens: answer_tokens,
        total_tokens: prompt_tokens + answer_tokens,
        prompt_tokens_details: PromptTokens { cached_tokens },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head { id: "chatcmpl-1".to_owned(), created: 7, model: "general".to_owned() }
    }

    const ENDING: Ending =
        Ending { reason: Reason::Length, prompt_tokens: 3, cached_tokens: 1, answer_tokens: 2 };

    fn text(frame: &Bytes) -> &str {
        std::str::from_utf8(frame).unwrap()
    }

    #[test]
    fn each_frame_is_one_line_of_json_and_an_empty_one() {
        assert_eq!(
            text(&head().text_frame("a\nb \"c\" 🦀")),
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\
             \"model\":\"general\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\\nb \
             \\\"c\\\" 🦀\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
        );
    }

    #[test]
    fn the_first_frame_names_the_speaker_and_the_last_the_reason() {
        assert!(
            text(&head().role_frame()).contains(r#""delta":{"role":"assistant","content":""}"#)
        );
        let finish = head().finish_frame(&ENDING);
        assert!(text(&finish).contains(r#""delta":{},"logprobs":null,"finish_reason":"length""#));
    }

    #[test]
    fn the_usage_frame_has_no_choice_and_all_numbers() {
        let frame = head().usage_frame(&ENDING);
        assert!(text(&frame).contains(
            r#""choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}}"#
        ));
    }
}
