//! What requests may look like, and what is said of those that may not.

use super::*;

const DEFAULTS: Defaults = Defaults { temperature: 0.7, frequency_penalty: 0.25, seed: 42 };

fn parse(body: &str) -> Result<ChatRequest, Invalid> {
    ChatRequest::parse(body.as_bytes(), DEFAULTS)
}

fn with(fields: &str) -> Result<ChatRequest, Invalid> {
    parse(&format!(r#"{{"messages":[{{"role":"user","content":"hi"}}]{fields}}}"#))
}

#[test]
fn the_smallest_request_takes_the_seats_defaults() {
    let request = with("").unwrap();
    assert_eq!(request.delivery, Delivery::Whole);
    assert_eq!(request.sampling.seed, 42);
    assert!((request.sampling.temperature - 0.7).abs() < f32::EPSILON);
    assert_eq!(request.answer_tokens_max, None);
    assert!(request.dropped.is_empty());
}

#[test]
fn content_is_a_string_or_text_parts_or_nothing() {
    let request = parse(
        r#"{"messages":[
            {"role":"developer","content":[{"type":"text","text":"Be "},{"type":"text","text":"brief."}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function",
              "function":{"name":"look","arguments":"{\"at\":1}"}}]},
            {"role":"tool","tool_call_id":"a","content":"seen"}]}"#,
    )
    .unwrap();
    let shown: Vec<String> =
        request.messages.iter().map(|it| serde_json::to_string(it).unwrap()).collect();
    assert_eq!(shown[0], r#"{"role":"system","content":"Be brief."}"#);
    assert!(shown[1].contains(r#""arguments":{"at":1}"#), "{}", shown[1]);
    assert!(shown[2].contains(r#""tool_call_id":"a""#), "{}", shown[2]);
}

#[test]
fn both_names_of_the_token_limit_are_followed_and_the_newer_one_first() {
    assert_eq!(with(r#","max_tokens":5"#).unwrap().answer_tokens_max, Some(5));
    let both = with(r#","max_tokens":5,"max_completion_tokens":6"#).unwrap();
    assert_eq!(both.answer_tokens_max, Some(6));
    assert_eq!(with(r#","max_tokens":null"#).unwrap().answer_tokens_max, None);
}

#[test]
fn stop_is_a_string_or_several() {
    assert_eq!(with(r#","stop":"END""#).unwrap().stops, ["END"]);
    assert_eq!(with(r#","stop":["a","b"]"#).unwrap().stops, ["a", "b"]);
    assert!(with(r#","stop":null"#).unwrap().stops.is_empty());
}

#[test]
fn a_stream_tells_what_it_took_only_if_asked() {
    assert_eq!(with(r#","stream":true"#).unwrap().delivery, Delivery::Stream { usage: false });
    let asked = with(r#","stream":true,"stream_options":{"include_usage":true}"#).unwrap();
    assert_eq!(asked.delivery, Delivery::Stream { usage: true });
}

#[test]
fn penalties_are_followed_and_have_limits() {
    let silent = with("").unwrap().sampling;
    assert!((silent.frequency_penalty - 0.25).abs() < f32::EPSILON);
    let given = with(r#","frequency_penalty":-1,"presence_penalty":0.5"#).unwrap().sampling;
    assert!((given.frequency_penalty + 1.0).abs() < f32::EPSILON);
    assert!((given.presence_penalty - 0.5).abs() < f32::EPSILON);
    assert!(with(r#","frequency_penalty":2.5"#).is_err());
    assert!(with(r#","presence_penalty":-3"#).is_err());
}

#[test]
fn what_is_not_followed_is_named() {
    let request = with(
        r#","logprobs":true,"logit_bias":{},
           "tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required""#,
    )
    .unwrap();
    assert_eq!(request.dropped, ["tool_choice", "logprobs"]);
    assert!(request.tools.is_some());
}

#[test]
fn tools_are_left_out_when_none_is_to_be_used() {
    let tools = r#","tools":[{"type":"function","function":{"name":"f"}}]"#;
    assert!(with(&format!(r#"{tools},"tool_choice":"none""#)).unwrap().tools.is_none());
    assert!(with(&format!(r#"{tools},"tool_choice":"auto""#)).unwrap().tools.is_some());
    assert!(with(r#","tools":[]"#).unwrap().tools.is_none());
}

#[test]
fn fields_we_do_not_know_are_ignored() {
    assert!(with(r#","store":false,"metadata":{"a":1},"reasoning_effort":"low""#).is_ok());
}

#[test]
fn each_wrong_field_is_named_and_said() {
    for (fields, param, words) in [
        (r#","temperature":2.5"#, Some("temperature"), "from 0 to 2"),
        (r#","temperature":-1"#, Some("temperature"), "from 0 to 2"),
        (r#","top_p":0"#, Some("top_p"), "above 0"),
        (r#","min_p":2"#, Some("min_p"), "from 0 to 1"),
        (r#","n":2"#, Some("n"), "only be 1"),
        (r#","max_tokens":0"#, Some("max_tokens"), "at least 1"),
        (r#","stop":[""]"#, Some("stop"), "empty"),
        (r#","response_format":{"type":"json_schema"}"#, Some("response_format"), "json_schema"),
        (r#","stream":"yes""#, None, "boolean"),
        (r#","stop":5"#, None, "a string, or an array of strings"),
        (r#","tool_choice":"perhaps""#, None, "`required`"),
    ] {
        let error = with(fields).unwrap_err();
        assert_eq!(error.param, param, "{fields}");
        assert!(error.message.contains(words), "{fields}: {}", error.message);
    }
}

#[test]
fn messages_that_cannot_be_asked_are_refused() {
    for (body, words) in [
        ("", "EOF"),
        ("{}", "missing field `messages`"),
        (r#"{"messages":[]}"#, "no messages"),
        (r#"{"messages":[{"role":"owner","content":"x"}]}"#, "`developer`"),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}"#,
            "a part of type `text`",
        ),
    ] {
        let error = parse(body).unwrap_err();
        assert!(error.message.contains(words), "{body}: {}", error.message);
    }
}
