//! A model that is a rule: what it says follows from the last message of the user.
//!
//! | the message | the answer |
//! |---|---|
//! | `count to N` | `1 2 3 … N` |
//! | `slowly REST` | the answer to REST, 20 ms a token |
//! | `hang` | none: the engine sleeps for a minute, as a hung one would |
//! | `fail` | none: the engine fails |
//! | anything else | the message itself |
//!
//! A token is a byte, or one of two marks: the start and the end of a turn. It serves tests of
//! everything around an engine and never a user.

use std::time::Duration;

use super::{About, Engine, EngineError, Token};

const TURN: (Token, &str) = (Token(256), "<|turn|>");
const END: (Token, &str) = (Token(257), "<|end|>");
const VOCABULARY: usize = 258;
/// How much likelier the next token of the rule is than any other: sampling finds it too.
const CERTAINTY: f32 = 100.0;
const SLOW_STEP: Duration = Duration::from_millis(20);
const HANG: Duration = Duration::from_mins(1);

const TEMPLATE: &str = concat!(
    "{% for message in messages %}",
    r"<|turn|>{{ message.role + '\n' + message.content }}<|end|>",
    "{% endfor %}",
    r"{% if add_generation_prompt %}<|turn|>{{ 'assistant\n' }}{% endif %}",
);

/// The rule, and what it was told.
#[derive(Debug)]
pub struct Scripted {
    about: About,
    history: Vec<Token>,
    logits: Vec<f32>,
}

impl Scripted {
    /// A rule with room for so many tokens.
    pub fn new(context_tokens: usize) -> Self {
        let about = About {
            engine: "scripted",
            architecture: "scripted".to_owned(),
            context_tokens,
            template: TEMPLATE.to_owned(),
            beginning: String::new(),
            end: END.1.to_owned(),
            ends: [END.0].into(),
            weights_bytes: 0,
            cache_bytes: 0,
        };
        Self { about, history: Vec::new(), logits: vec![0.0; VOCABULARY] }
    }

    /// The token the rule wants next.
    fn next(&self) -> Result<Token, EngineError> {
        let turns = || self.history.split(|token| *token == TURN.0).map(bytes).rev();
        let said = turns().next().unwrap_or_default();
        let said = said.strip_prefix("assistant\n").unwrap_or_default().len();
        let asked = turns().find_map(|turn| turn.strip_prefix("user\n").map(str::to_owned));
        let asked = asked.unwrap_or_default();
        let (asked, step) = match asked.strip_prefix("slowly ") {
            Some(rest) => (rest, SLOW_STEP),
            None => (asked.as_str(), Duration::ZERO),
        };
        std::thread::sleep(step);
        let answer = match asked {
            "fail" => return Err(EngineError::Work("the script says so".to_owned())),
            "hang" => {
                std::thread::sleep(HANG);
                String::new()
            }
            _ => match asked.strip_prefix("count to ").and_then(|number| number.parse().ok()) {
                Some(number) => count(number),
                None => asked.to_owned(),
            },
        };
        Ok(answer.as_bytes().get(said).map_or(END.0, |byte| Token(i32::from(*byte))))
    }
}

fn count(number: u32) -> String {
    (1..=number).map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
}

/// The text of a turn; a character that is not whole yet counts with the bytes it has.
fn bytes(tokens: &[Token]) -> String {
    let bytes: Vec<u8> = tokens.iter().filter_map(|token| u8::try_from(token.0).ok()).collect();
    match String::from_utf8(bytes) {
        Ok(text) => text,
        // One replacement byte for each of the broken ones: only the length matters here.
        Err(error) => error
            .into_bytes()
            .into_iter()
            .map(|byte| if byte.is_ascii() { char::from(byte) } else { '?' })
            .collect(),
    }
}

impl Engine for Scripted {
    fn about(&self) -> &About {
        &self.about
    }

    fn tokenize(&self, prompt: &str) -> Vec<Token> {
        let mut tokens = Vec::with_capacity(prompt.len());
        let mut rest = prompt;
        while let Some(first) = rest.as_bytes().first() {
            let mark = [TURN, END].into_iter().find(|(_, text)| rest.starts_with(text));
            if let Some((token, text)) = mark {
                tokens.push(token);
                rest = &rest[text.len()..];
            } else {
                tokens.push(Token(i32::from(*first)));
                let next = rest.char_indices().nth(1).map_or(rest.len(), |(at, _)| at);
                let more = &rest.as_bytes()[1..next];
                tokens.extend(more.iter().map(|byte| Token(i32::from(*byte))));
                rest = &rest[next..];
            }
        }
        tokens
    }

    fn piece(&self, token: Token) -> Vec<u8> {
        u8::try_from(token.0).into_iter().collect()
    }

    fn keep(&mut self, tokens: usize) -> Result<(), EngineError> {
        self.history.truncate(tokens);
        Ok(())
    }

    fn extend(&mut self, tokens: &[Token]) -> Result<&[f32], EngineError> {
        self.history.extend_from_slice(tokens);
        let next = self.next()?;
        self.logits.fill(0.0);
        if let Some(logit) = usize::try_from(next.0).ok().and_then(|at| self.logits.get_mut(at)) {
            *logit = CERTAINTY;
        }
        Ok(&self.logits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_marks_survive_the_tokenizer() {
        let engine = Scripted::new(100);
        let tokens = engine.tokenize("<|turn|>user\nhö<|end|>");
        assert_eq!(tokens.first(), Some(&TURN.0));
        assert_eq!(tokens.last(), Some(&END.0));
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| engine.piece(*token)).collect();
        assert_eq!(String::from_utf8(bytes).unwrap(), "user\nhö");
    }

    #[test]
    fn the_rule_counts_and_then_ends() {
        let mut engine = Scripted::new(100);
        let mut tokens = engine.tokenize("<|turn|>user\ncount to 3<|end|><|turn|>assistant\n");
        let mut answer = Vec::new();
        loop {
            let logits = engine.extend(&tokens).unwrap();
            let best = logits.iter().position(|logit| *logit == CERTAINTY).unwrap();
            let best = Token(i32::try_from(best).unwrap());
            if best == END.0 {
                break;
            }
            answer.extend(engine.piece(best));
            tokens = vec![best];
        }
        assert_eq!(answer, b"1 2 3");
    }
}
