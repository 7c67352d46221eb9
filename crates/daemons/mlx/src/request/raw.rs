//! The request as it is written: nothing promised.

use std::fmt;

use minijinja::Value;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::message::Message;

#[derive(Deserialize)]
pub(super) struct ChatRequest {
    pub(super) model: Option<String>,
    pub(super) messages: Vec<Message>,
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) max_tokens: Option<i64>,
    pub(super) max_completion_tokens: Option<i64>,
    pub(super) temperature: Option<f32>,
    pub(super) top_p: Option<f32>,
    pub(super) min_p: Option<f32>,
    pub(super) seed: Option<i64>,
    #[serde(default)]
    pub(super) stop: Stop,
    pub(super) n: Option<i64>,
    pub(super) response_format: Option<ResponseFormat>,
    pub(super) tools: Option<Value>,
    pub(super) tool_choice: Option<ToolChoice>,
    pub(super) frequency_penalty: Option<f32>,
    pub(super) presence_penalty: Option<f32>,
    logit_bias: Option<Value>,
    logprobs: Option<bool>,
}

impl ChatRequest {
    /// The fields that colour an answer and are not followed here.
    pub(super) fn colours(&self) -> impl Iterator<Item = &'static str> {
        let biased = self.logit_bias.as_ref().and_then(Value::len).is_some_and(|count| count > 0);
        [("logit_bias", biased), ("logprobs", self.logprobs == Some(true))]
            .into_iter()
            .filter_map(|(name, given)| given.then_some(name))
    }
}

#[derive(Deserialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ResponseFormat {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// No stop string, one, or several.
#[derive(Default)]
pub(super) struct Stop(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Stop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StopVisitor)
    }
}

struct StopVisitor;

impl<'de> Visitor<'de> for StopVisitor {
    type Value = Stop;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, or an array of strings")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Stop, E> {
        Ok(Stop::default())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Stop, E> {
        Ok(Stop(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Stop, A::Error> {
        let mut stops = Vec::new();
        while let Some(text) = texts.next_element()? {
            stops.push(text);
        }
        Ok(Stop(stops))
    }
}

/// What a request says of the use of tools.
pub(super) enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool is to be used.
    None,
    /// Some tool, or a certain one, is to be used.
    Forced,
}

impl<'de> Deserialize<'de> for ToolChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ToolChoiceVisitor)
    }
}

struct ToolChoiceVisitor;

impl<'de> Visitor<'de> for ToolChoiceVisitor {
    type Value = ToolChoice;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`none`, `auto`, `required`, or an object that names a tool")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ToolChoice, E> {
        match text {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Forced),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut fields: A) -> Result<ToolChoice, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(ToolChoice::Forced)
    }
}
