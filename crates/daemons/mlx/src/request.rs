//! A chat completion request: from its bytes to something checked.
//!
//! What changes the meaning of an answer and cannot be done here is refused; what only colours it
//! is dropped, and said in a header. Fields we do not know are ignored, as clients send many.

mod message;
mod raw;

use minijinja::Value;

use crate::sampler::Sampling;

/// Stop strings a request may name.
const STOPS_MAX: usize = 16;
/// The largest penalty, either way.
const PENALTY_MAX: f32 = 2.0;
/// The highest temperature, as in the OpenAI interface.
const TEMPERATURE_MAX: f32 = 2.0;
/// `min_p` when a request does not name it: it keeps small models from drawing nonsense.
const MIN_P_DEFAULT: f32 = 0.05;

/// A checked request.
#[derive(Debug)]
pub struct ChatRequest {
    /// The messages, as the chat template takes them.
    pub messages: Vec<Value>,
    /// The tools, as the chat template takes them.
    pub tools: Option<Value>,
    /// The name of the model that was asked for.
    pub model: Option<String>,
    /// Whether the answer is wanted as it comes.
    pub delivery: Delivery,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Strings the answer ends before.
    pub stops: Vec<String>,
    /// The longest answer that is wanted, in tokens.
    pub answer_tokens_max: Option<usize>,
    /// Fields that were given and are not followed.
    pub dropped: Vec<&'static str>,
}

/// How an answer is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In one piece.
    Whole,
    /// As it comes.
    Stream {
        /// Whether the last chunk says what it took.
        usage: bool,
    },
}

/// What the seat decides where a request is silent.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// The temperature.
    pub temperature: f32,
    /// What a token loses for each time it was chosen before.
    pub frequency_penalty: f32,
    /// The seed.
    pub seed: u64,
}

/// What is wrong with a request, and with which of its fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// What is wrong.
    pub message: String,
    /// The field.
    pub param: Option<&'static str>,
}

impl Invalid {
    fn new(param: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: Some(param) }
    }
}

impl ChatRequest {
    /// Reads and checks a request.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse(body: &[u8], defaults: Defaults) -> Result<Self, Invalid> {
        let raw: raw::ChatRequest = serde_json::from_slice(body).map_err(|error| Invalid {
            message: format!("cannot read the request: {error}"),
            param: None,
        })?;
        if raw.messages.is_empty() {
            return Err(Invalid::new("messages", "there are no messages"));
        }
        if raw.n.is_some_and(|n| n != 1) {
            return Err(Invalid::new("n", "one answer is given to a request: `n` can only be 1"));
        }
        if let Some(format) = raw.response_format.as_ref().filter(|it| it.kind != "text") {
            let message = format!("this seat cannot hold an answer to `{}` yet", format.kind);
            return Err(Invalid::new("response_format", message));
        }
        let (tools, mut dropped) = tools(&raw);
        dropped.extend(raw.colours());
        Ok(Self {
            sampling: sampling(&raw, defaults)?,
            answer_tokens_max: answer_tokens_max(&raw)?,
            delivery: delivery(&raw),
            stops: stops(raw.stop)?,
            messages: raw.messages.into_iter().map(message::for_template).collect(),
            tools,
            model: raw.model,
            dropped,
        })
    }
}

fn sampling(raw: &raw::ChatRequest, defaults: Defaults) -> Result<Sampling, Invalid> {
    let temperature = raw.temperature.unwrap_or(defaults.temperature);
    if !(0.0..=TEMPERATURE_MAX).contains(&temperature) {
        let message = format!("`temperature` is from 0 to {TEMPERATURE_MAX}, not {temperature}");
        return Err(Invalid::new("temperature", message));
    }
    let top_p = raw.top_p.unwrap_or(1.0);
    if !(top_p > 0.0 && top_p <= 1.0) {
        return Err(Invalid::new(
            "top_p",
            format!("`top_p` is above 0 and at most 1, not {top_p}"),
        ));
    }
    let min_p = raw.min_p.unwrap_or(MIN_P_DEFAULT);
    if !(0.0..=1.0).contains(&min_p) {
        return Err(Invalid::new("min_p", format!("`min_p` is from 0 to 1, not {min_p}")));
    }
    let frequency_penalty = raw.frequency_penalty.unwrap_or(defaults.frequency_penalty);
    let presence_penalty = raw.presence_penalty.unwrap_or(0.0);
    for (name, penalty) in
        [("frequency_penalty", frequency_penalty), ("presence_penalty", presence_penalty)]
    {
        if !(-PENALTY_MAX..=PENALTY_MAX).contains(&penalty) {
            let message =
                format!("`{name}` is from -{PENALTY_MAX} to {PENALTY_MAX}, not {penalty}");
            return Err(Invalid::new(name, message));
        }
    }
    let seed = raw.seed.map_or(defaults.seed, i64::cast_unsigned);
    Ok(Sampling { temperature, top_p, min_p, frequency_penalty, presence_penalty, seed })
}

fn answer_tokens_max(raw: &raw::ChatRequest) -> Result<Option<usize>, Invalid> {
    let limit = match (raw.max_completion_tokens, raw.max_tokens) {
        (Some(limit), _) => Some(("max_completion_tokens", limit)),
        (None, Some(limit)) => Some(("max_tokens", limit)),
        (None, None) => None,
    };
    match limit {
        Some((name, limit)) if limit < 1 => {
            Err(Invalid::new(name, format!("`{name}` is at least 1, not {limit}")))
        }
        Some((_, limit)) => Ok(Some(usize::try_from(limit).unwrap_or(usize::MAX))),
        None => Ok(None),
    }
}

fn delivery(raw: &raw::ChatRequest) -> Delivery {
    if raw.stream.unwrap_or(false) {
        let options = raw.stream_options.as_ref();
        Delivery::Stream { usage: options.and_then(|it| it.include_usage).unwrap_or(false) }
    } else {
        Delivery::Whole
    }
}

fn stops(stop: raw::Stop) -> Result<Vec<String>, Invalid> {
    let raw::Stop(stops) = stop;
    if stops.len() > STOPS_MAX {
        let message = format!("at most {STOPS_MAX} stop strings are followed, not {}", stops.len());
        return Err(Invalid::new("stop", message));
    }
    if stops.iter().any(String::is_empty) {
        return Err(Invalid::new("stop", "a stop string cannot be empty"));
    }
    Ok(stops)
}

/// The tools for the template, and what is not followed of the choice among them.
fn tools(raw: &raw::ChatRequest) -> (Option<Value>, Vec<&'static str>) {
    let given = raw.tools.clone().filter(|tools| tools.len().is_some_and(|count| count > 0));
    match &raw.tool_choice {
        None | Some(raw::ToolChoice::Auto) => (given, Vec::new()),
        Some(raw::ToolChoice::None) => (None, Vec::new()),
        Some(raw::ToolChoice::Forced) => (given, vec!["tool_choice"]),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
