//! The real small model, `SmolLM2-135M-Instruct` in `Q4_1`, on llama.cpp.
//!
//! Runs where `SANCTUM_TEST_MODEL` names its file, and says so where it does not.
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::fs;
use std::path::PathBuf;

use crate::support::{Answer, Seat, fails, question};
use sanctum_mlx::engine::{EngineChoice, Token, with_engine};
use sanctum_mlx::sampler::{Sampler, Sampling};

fn model() -> Option<String> {
    let named = std::env::var("SANCTUM_TEST_MODEL").ok();
    if named.is_none() {
        eprintln!("skipped: SANCTUM_TEST_MODEL names no model");
    }
    named
}

#[test]
fn the_model_knows_the_capital_of_france_token_by_token() {
    let Some(model) = model() else { return };
    let choice =
        EngineChoice::Llama { model: PathBuf::from(model), context_tokens: 512, threads: 2 };
    let mut answer = Vec::new();
    with_engine(&choice, |engine| {
        let greedy = Sampling::GREEDY;
        let mut sampler = Sampler::new(greedy);
        let mut tokens = engine.tokenize(
            "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
        );
        while answer.len() < 20 {
            let next = sampler.pick(engine.extend(&tokens).unwrap()).unwrap();
            answer.push(next);
            if engine.about().ends.contains(&next) {
                break;
            }
            tokens = vec![next];
        }
        let text: Vec<u8> = answer.iter().flat_map(|token| engine.piece(*token)).collect();
        assert_eq!(String::from_utf8(text).unwrap(), "The capital of France is Paris.");
    })
    .unwrap();
    assert_eq!(answer, [504, 3575, 282, 4649, 314, 7042, 30, 2].map(Token));
}

#[test]
fn the_same_body_gives_the_same_text_cold_and_warm_with_a_real_model() {
    let Some(model) = model() else { return };
    let seat = Seat::start(&["--no-key", "--model", &model, "--context", "2048"]);
    let facts = "The river runs past the mill and under the old bridge. ".repeat(50);
    let body = question(&format!("{facts}\nWhat does the river do?"), r#","max_tokens":40"#);
    let cold = seat.chat(&body);
    let other = seat.chat(&question("What is 2+2?", r#","max_tokens":20"#));
    let cold_again = seat.chat(&body);
    let warm = seat.chat(&body);
    let cached = |answer: &Answer| {
        answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert!(other.content().contains('4'), "{}", other.content());
    assert_eq!([cached(&cold), cached(&cold_again), cached(&warm)], [0, 0, 512]);
    assert_eq!(cold.content(), cold_again.content());
    assert_eq!(cold.content(), warm.content());
    assert!(!cold.content().is_empty());
}

#[test]
fn a_seed_makes_a_sampled_answer_repeatable() {
    let Some(model) = model() else { return };
    let seat = Seat::start(&["--no-key", "--model", &model, "--context", "1024"]);
    let ask = |seed: u32| {
        let body = format!(
            r#"{{"messages":[{{"role":"user","content":"Tell me a story."}}],"temperature":1,
                "max_tokens":30,"seed":{seed}}}"#
        );
        seat.chat(&body).content()
    };
    let first = ask(1);
    assert_eq!(first, ask(1));
    assert_ne!(first, ask(2));
}

#[test]
fn a_broken_model_ends_the_seat_before_it_listens() {
    let home = tempfile::tempdir().unwrap();
    let text = home.path().join("text.gguf");
    fs::write(&text, "not a model").unwrap();
    let short = home.path().join("short.gguf");
    fs::write(&short, "GG").unwrap();
    let torn = home.path().join("torn.gguf");
    fs::write(&torn, b"GGUF\x03\0\0\0\xff\xff\0\0").unwrap();
    let absent = home.path().join("absent.gguf");
    for (path, words) in [
        (absent, "No such file"),
        (text, "does not begin with `GGUF`"),
        (short, "too short"),
        (torn, "cannot load the model"),
    ] {
        let (code, said) = fails(&["--no-key", "--model", path.to_str().unwrap()]);
        assert_eq!(code, 65, "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("listening"), "{said}");
    }
}
