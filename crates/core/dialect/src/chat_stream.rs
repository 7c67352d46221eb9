//! A streamed chat completion, as a client reads it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{ApiError, SseError, SseEvent, SseReader, Usage};

/// Something a streamed answer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatEvent {
    /// Who speaks; `assistant`.
    Role(String),
    /// More of the answer's text; never empty.
    Content(String),
    /// More of what the model thinks before it answers; never empty.
    Reasoning(String),
    /// The model calls tools; the call itself is not read.
    ToolCall,
    /// The answer ended, and why.
    Finish(FinishReason),
    /// What it cost.
    Usage(Usage),
    /// It went wrong after it had begun.
    Error(ApiError),
    /// The stream is over.
    Done,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model had said all.
    Stop,
    /// A limit on tokens was reached.
    Length,
    /// The model waits for the result of a tool.
    ToolCalls,
    /// The answer was held back.
    ContentFilter,
    /// A word that this dialect does not know.
    Other(String),
}

/// Why a stream cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum ChatStreamError {
    /// The stream breaks a limit of its framing.
    #[error("cannot read the stream")]
    Frame(#[from] SseError),
    /// An event is no chunk of a chat completion.
    #[error("an event of the stream is not a chunk of a chat completion")]
    Chunk(#[source] serde_json::Error),
}

/// A streamed answer that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Why it ended.
    pub finish: FinishReason,
    /// What it cost, where the server said so.
    pub usage: Option<Usage>,
}

/// Why a stream that is over is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// The connection ended in the middle.
    #[error("the stream was cut: it ended without a finish reason")]
    NoFinish,
    /// The server said that it was over, but not that the answer was.
    #[error("the stream said [DONE] without a finish reason")]
    DoneWithoutFinish,
    /// The stream carried an error.
    #[error("the answer went wrong on its way")]
    Error(#[source] ApiError),
}

/// Reads a streamed chat completion: bytes in, cut anywhere, events out.
///
/// A cut stream is never success: ask [`ChatStream::finish`] when the bytes are at their end.
///
/// ```
/// use sanctum_dialect::{ChatEvent, ChatStream};
///
/// let mut stream = ChatStream::new();
/// let events = stream.feed(b"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n").unwrap();
/// assert_eq!(events, [ChatEvent::Content("Hi".to_owned())]);
/// assert!(stream.finish().is_err(), "no finish reason came");
/// ```
#[derive(Clone, Debug, Default)]
pub struct ChatStream {
    reader: SseReader,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    error: Option<ApiError>,
    done: bool,
}

impl ChatStream {
    /// A stream of which nothing has come.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and gives what they say. Nothing after `[DONE]` is read.
    ///
    /// # Errors
    ///
    /// When the bytes are no stream of chunks; it cannot be read further then.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<ChatEvent>, ChatStreamError> {
        let mut said = Vec::new();
        for event in self.reader.feed(bytes)? {
            if !self.done {
                self.on_event(&event, &mut said)?;
            }
        }
        Ok(said)
    }

    /// Whether `[DONE]` has come.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Judges the stream when no more bytes will come.
    ///
    /// # Errors
    ///
    /// When the answer is not whole: no finish reason came, or an error did.
    pub fn finish(self) -> Result<Completion, Cut> {
        if let Some(error) = self.error {
            return Err(Cut::Error(error));
        }
        match self.finish {
            Some(finish) => Ok(Completion { finish, usage: self.usage }),
            None if self.done => Err(Cut::DoneWithoutFinish),
            None => Err(Cut::NoFinish),
        }
    }

    fn on_event(
        &mut self,
        event: &SseEvent,
        said: &mut Vec<ChatEvent>,
    ) -> Result<(), ChatStreamError> {
        let data = event.data.trim();
        if data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            self.done = true;
            said.push(ChatEvent::Done);
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_str(data).map_err(ChatStreamError::Chunk)?;
        if chunk.error.is_some()
            && let Some(error) = ApiError::parse(data.as_bytes())
        {
            self.error = Some(error.clone());
            said.push(ChatEvent::Error(error));
        }
        let choices = chunk.choices.unwrap_or_default();
        if let Some(choice) = choices.into_iter().find(|choice| choice.index == 0) {
            self.on_choice(choice, said);
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage);
            said.push(ChatEvent::Usage(usage));
        }
        Ok(())
    }

    fn on_choice(&mut self, choice: Choice<'_>, said: &mut Vec<ChatEvent>) {
        let delta = choice.delta.unwrap_or_default();
        said.extend(delta.role.map(ChatEvent::Role));
        let not_empty = |text: &String| !text.is_empty();
        let reasoning = delta.reasoning_content.or(delta.reasoning);
        said.extend(reasoning.filter(not_empty).map(ChatEvent::Reasoning));
        said.extend(delta.content.filter(not_empty).map(ChatEvent::Content));
        said.extend(delta.tool_calls.map(|_| ChatEvent::ToolCall));
        if let Some(reason) = choice.finish_reason {
            let reason = FinishReason::from(reason);
            self.finish = Some(reason.clone());
            said.push(ChatEvent::Finish(reason));
        }
    }
}

impl From<String> for FinishReason {
    fn from(word: String) -> Self {
        match word.as_str() {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" => Self::ToolCalls,
            "content_filter" => Self::ContentFilter,
            _ => Self::Other(word),
        }
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<Usage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
struct Delta<'a> {
    role: Option<String>,
    content: Option<String>,
    reasoning: Option<String>,
    reasoning_content: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
        : still here\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüß\"},\"finish_reason\":null}]}\n\n\
        data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"another choice\"}}]}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" dich\"},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\n\
        data: [DONE]\n\n";

    fn events() -> Vec<ChatEvent> {
        vec![
            ChatEvent::Role("assistant".to_owned()),
            ChatEvent::Content("Grüß".to_owned()),
            ChatEvent::Content(" dich".to_owned()),
            ChatEvent::Finish(FinishReason::Stop),
            ChatEvent::Usage(Usage { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }),
            ChatEvent::Done,
        ]
    }

    proptest! {
        #[test]
        fn an_answer_is_the_same_wherever_its_bytes_are_cut(
            cuts in prop::collection::vec(0..=WHOLE.len(), 0..20),
        ) {
            let mut cuts = cuts;
            cuts.extend([0, WHOLE.len()]);
            cuts.sort_unstable();
            let mut stream = ChatStream::new();
            let mut said = Vec::new();
            for pair in cuts.windows(2) {
                said.extend(stream.feed(&WHOLE.as_bytes()[pair[0]..pair[1]]).unwrap());
            }
            prop_assert_eq!(said, events());
            prop_assert!(stream.finish().is_ok());
        }
    }

    #[test]
    fn a_stream_is_success_only_from_its_finish_reason_on() {
        let finished = WHOLE.find("\"stop\"").unwrap();
        for length in 0..WHOLE.len() {
            let mut stream = ChatStream::new();
            stream.feed(&WHOLE.as_bytes()[..length]).unwrap();
            let outcome = stream.finish();
            if outcome.is_ok() {
                assert!(length > finished, "cut at {length}");
            } else {
                assert_eq!(outcome, Err(Cut::NoFinish));
                assert!(length < finished + 40, "cut at {length}");
            }
        }
    }

    #[test]
    fn done_without_a_finish_reason_is_no_success() {
        let mut stream = ChatStream::new();
        stream
            .feed(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n")
            .unwrap();
        assert!(stream.is_done());
        assert_eq!(stream.finish(), Err(Cut::DoneWithoutFinish));
    }

    #[test]
    fn an_error_in_the_stream_wins_over_a_finish_reason() {
        let mut stream = ChatStream::new();
        let said = stream
            .feed(
                b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                    data: {\"error\":{\"message\":\"boom\",\"code\":\"upstream_stream_cut\"}}\n\n",
            )
            .unwrap();
        assert!(matches!(&said[1], ChatEvent::Error(error) if error.message == "boom"), "{said:?}");
        assert!(matches!(stream.finish(), Err(Cut::Error(_))));
    }

    #[test]
    fn an_event_that_is_no_chunk_is_an_error() {
        for data in
            ["data: {\"choices\":[{\"delta\":\n\n", "data: 7\n\n", "data: {\"choices\":{}}\n\n"]
        {
            assert!(ChatStream::new().feed(data.as_bytes()).is_err(), "{data}");
        }
    }

    #[test]
    fn tool_calls_reasoning_and_foreign_words_are_seen() {
        let mut stream = ChatStream::new();
        let said = stream
            .feed(b"data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\",\"tool_calls\":[{}]},\"finish_reason\":\"odd\"}]}\n\n")
            .unwrap();
        let odd = FinishReason::Other("odd".to_owned());
        let expected =
            [ChatEvent::Reasoning("hm".to_owned()), ChatEvent::ToolCall, ChatEvent::Finish(odd)];
        assert_eq!(said, expected);
    }
}
