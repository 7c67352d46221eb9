//! One message of a conversation: as it is written, and as a chat template takes it.

use std::fmt;

use minijinja::Value;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

#[derive(Deserialize)]
pub(super) struct Message {
    role: Role,
    #[serde(default)]
    content: Content,
    name: Option<String>,
    tool_call_id: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    /// What newer clients call the system.
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Deserialize)]
struct ToolCall {
    id: Option<String>,
    function: FunctionCall,
}

#[derive(Deserialize)]
struct FunctionCall {
    name: String,
    #[serde(default)]
    arguments: String,
}

/// A message's text: given as a string, or as parts.
#[derive(Default)]
struct Content(String);

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, or an array of text parts")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Content, A::Error> {
        let mut whole = String::new();
        while let Some(part) = parts.next_element::<Part>()? {
            match part.text {
                Some(text) if part.kind == "text" => whole.push_str(&text),
                Some(_) | None => {
                    let kind = de::Unexpected::Str(&part.kind);
                    return Err(de::Error::invalid_value(kind, &"a part of type `text`"));
                }
            }
        }
        Ok(Content(whole))
    }
}

/// The message as a template takes it. A tool call's arguments become an object, as templates
/// expect; text that is none stays text.
pub(super) fn for_template(message: Message) -> Value {
    let role = match message.role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut fields = vec![("role", Value::from(role)), ("content", Value::from(message.content.0))];
    fields.extend(message.name.map(|name| ("name", Value::from(name))));
    fields.extend(message.tool_call_id.map(|id| ("tool_call_id", Value::from(id))));
    let calls = message.tool_calls.filter(|calls| !calls.is_empty());
    fields.extend(
        calls.map(|calls| {
            ("tool_calls", calls.into_iter().map(call_for_template).collect::<Value>())
        }),
    );
    Value::from_pairs(fields)
}

fn call_for_template(call: ToolCall) -> Value {
    let FunctionCall { name, arguments } = call.function;
    let arguments = serde_json::from_str(&arguments).unwrap_or_else(|_| Value::from(arguments));
    let function = Value::from_pairs([("name", Value::from(name)), ("arguments", arguments)]);
    let mut fields = vec![("type", Value::from("function")), ("function", function)];
    fields.extend(call.id.map(|id| ("id", Value::from(id))));
    Value::from_pairs(fields)
}
