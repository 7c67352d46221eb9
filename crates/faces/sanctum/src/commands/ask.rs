//! `ask`: one question to the agent, its answer streamed, and on failure the hop that broke.

mod clock;
mod hops;
mod turn;

use std::io::{self, IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use sanctum_plan::stack::GATEWAY_SECRET;
use serde::Serialize;

use super::{Outcome, block_on, print_json};
use crate::arguments::Ask;
use crate::failure::{CONFIGURATION, Failure};
use crate::output::{Output, Paint, Step, shown};
use crate::place::Place;

pub(crate) use hops::{Hop, HopState, look_at_all};

/// The longest question.
const QUESTION_BYTES_MAX: u64 = 1024 * 1024;

pub(crate) fn run(place: &Place, output: &Output, options: &Ask) -> Outcome {
    let question = question(&options.question)?;
    let asked = Asked {
        question,
        agent: options.agent.clone(),
        patience: Duration::from_secs(options.patience),
    };
    let answer =
        ask(place, output, &asked, if options.json { Show::Nothing } else { Show::Stream })?;
    if options.json {
        return print_json(output, &answer);
    }
    Ok(ExitCode::SUCCESS)
}

/// What is asked of whom.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) question: String,
    pub(crate) agent: Option<String>,
    pub(crate) patience: Duration,
}

/// Whether the answer is shown while it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    Stream,
    Nothing,
}

/// A whole answer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) finish: String,
    pub(crate) pieces: usize,
    pub(crate) first_ms: u64,
    pub(crate) total_ms: u64,
}

/// Asks and waits for the whole answer. A failure names the hop that broke.
pub(crate) fn ask(
    place: &Place,
    output: &Output,
    asked: &Asked,
    show: Show,
) -> Result<Answer, Failure> {
    let loaded = place.load(output)?;
    let name = GATEWAY_SECRET.parse().map_err(|error| Failure::from_error(&error))?;
    let token = place.secrets().read(&name).map_err(|error| {
        Failure::from_error(&error)
            .with_code(CONFIGURATION)
            .hint("`sanctum up` makes the guest's identity")
    })?;
    let port = loaded.manifest.openclaw().port;
    let started = Instant::now();
    let mut step = Some(output.step("asking"));
    let answered = block_on(async {
        let mut turn = turn::Turn::begin(port, &token, asked).await?;
        let (mut text, mut pieces, mut first) = (String::new(), 0, None);
        while let Some(piece) = turn.next().await? {
            if first.is_none() {
                first = Some(started.elapsed());
                drop(step.take()); // the waiting line gives way to the answer
            }
            pieces += 1;
            if show == Show::Stream {
                output
                    .stream(&piece)
                    .map_err(|error| Failure::new(format!("cannot print: {error}")))?;
            }
            text.push_str(&piece);
        }
        let finish = turn.finish()?;
        Ok(Answer {
            text,
            finish,
            pieces,
            first_ms: millis(first.unwrap_or_default()),
            total_ms: millis(started.elapsed()),
        })
    });
    drop::<Option<Step<'_>>>(step);
    let answer = answered.map_err(|failure| hops::blame(place, &loaded.manifest, failure))?;
    if show == Show::Stream {
        output.data("");
        if io::stderr().is_terminal() {
            let times = format!(
                "first word after {}, {} in all",
                shown(Duration::from_millis(answer.first_ms)),
                shown(started.elapsed())
            );
            output.say(output.paint_err(Paint::Faint, &times));
        }
    }
    if answer.text.trim().is_empty() {
        return Err(Failure::new("the agent answered nothing")
            .hint("`sanctum logs openclaw` shows its side"));
    }
    Ok(answer)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The words of the command line, or standard input.
fn question(words: &[String]) -> Result<String, Failure> {
    let from_stdin = words.is_empty() || words == ["-"];
    if from_stdin && io::stdin().is_terminal() {
        return Err(Failure::new("there is no question")
            .with_code(2)
            .hint("sanctum ask \"What is on my list today?\""));
    }
    let mut question = words.join(" ");
    if from_stdin {
        question.clear();
        io::stdin()
            .take(QUESTION_BYTES_MAX)
            .read_to_string(&mut question)
            .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
    }
    if question.trim().is_empty() {
        return Err(Failure::new("the question is empty").with_code(2));
    }
    Ok(question)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_make_one_question_and_none_make_a_fault() {
        assert_eq!(question(&["what".to_owned(), "now?".to_owned()]).unwrap(), "what now?");
        assert_eq!(question(&["  ".to_owned()]).unwrap_err().code(), 2);
    }
}
