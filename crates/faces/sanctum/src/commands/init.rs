//! `init`: at most three questions, and a manifest.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use sanctum_host::file;
use sanctum_model::{ByteSize, Manifest};
use sanctum_secrets::Secret;
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::arguments::Init;
use crate::failure::{CONFIGURATION, Failure};
use crate::output::Output;
use crate::place::Place;

/// The local model that is offered: the smallest that answers.
const MODEL_DEFAULT: &str = "smollm2-135m-instruct";
/// The guest's memory unless told.
const MEMORY_DEFAULT: &str = "3GiB";
/// The name of a provider's secret and table.
const PROVIDER: &str = "provider";

/// What has been answered so far; kept beside the manifest until that is written, so that
/// `--resume` need not ask again. It holds no key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    model: Option<ModelAnswer>,
    memory: Option<String>,
    start_at_login: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ModelAnswer {
    /// A model of the catalogue, on this machine.
    Local(String),
    /// Somebody else's, behind an OpenAI-compatible address.
    Provider { base_url: String, model: String },
}

pub(crate) fn run(place: &Place, output: &Output, options: &Init) -> Outcome {
    let path = place.layout.manifest();
    if Path::new(&path).exists() {
        if options.resume {
            place.load(output)?;
            output.say(format!("`{path}` is written already"));
            next_steps(output);
            return Ok(ExitCode::SUCCESS);
        }
        return Err(Failure::new(format!("there is a manifest already: `{path}`"))
            .with_code(CONFIGURATION)
            .hint("edit it, or move it away to begin anew"));
    }
    let kept = place.layout.run("init.json");
    let mut answers = if options.resume { resumed(&kept)? } else { Answers::default() };
    if options.yes {
        answers = Answers::default();
    } else {
        if !io::stdin().is_terminal() {
            return Err(Failure::new("init asks questions, and standard input is not a terminal")
                .with_code(2)
                .hint("`sanctum init --yes` asks none"));
        }
        ask_all(place, output, &mut answers, &kept)?;
    }
    write(place, output, &answers)?;
    drop(fs::remove_file(kept));
    next_steps(output);
    Ok(ExitCode::SUCCESS)
}

/// Writes the default manifest, as `init --yes` does.
pub(crate) fn write_default(place: &Place, output: &Output) -> Result<(), Failure> {
    write(place, output, &Answers::default())
}

fn next_steps(output: &Output) {
    output.say("next: `sanctum plan` shows what would be done, `sanctum up` does it");
}

fn resumed(kept: &str) -> Result<Answers, Failure> {
    match fs::read(kept) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new(format!("cannot understand `{kept}`: {error}"))
                .hint("run `sanctum init` without --resume")
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Answers::default()),
        Err(error) => Err(Failure::new(format!("cannot read `{kept}`: {error}"))),
    }
}

fn ask_all(
    place: &Place,
    output: &Output,
    answers: &mut Answers,
    kept: &str,
) -> Result<(), Failure> {
    let keep = |answers: &Answers| {
        let bytes = serde_json::to_vec(answers).map_err(|error| Failure::from_error(&error))?;
        file::write_atomic(Path::new(kept), &bytes, 0o600)
            .map_err(|error| Failure::from_error(&error))
    };
    if answers.model.is_none() {
        output
            .say("1 of 3. Which model answers? `local` runs a small one here; a web address of an");
        output.say(
            "        OpenAI-compatible provider (https://…/v1) uses that, and asks for its key.",
        );
        answers.model = Some(ask_model(place, output)?);
        keep(answers)?;
    }
    if answers.memory.is_none() {
        output.say("2 of 3. How much memory does the guest get? OpenClaw needs 2GiB at least.");
        let memory = ask(output, MEMORY_DEFAULT, |text| {
            ByteSize::parse(text).map_err(|error| error.to_string())?;
            Manifest::parse(&format!("[guest]\nmemory = \"{text}\"\n"))
                .map_err(|error| error.to_string())?;
            Ok(text.to_owned())
        })?;
        answers.memory = Some(memory);
        keep(answers)?;
    }
    if answers.start_at_login.is_none() {
        output.say("3 of 3. Start at login? Not yet: this version is started by `sanctum up`.");
        let answer = ask(output, "no", |text| match text {
            "no" | "n" => Ok("no".to_owned()),
            _ => Err("only `no` can be had in this version".to_owned()),
        })?;
        answers.start_at_login = Some(answer);
        keep(answers)?;
    }
    Ok(())
}

fn ask_model(place: &Place, output: &Output) -> Result<ModelAnswer, Failure> {
    let first = ask(output, "local", |text| {
        if text == "local" || text.starts_with("https://") || text.starts_with("http://") {
            Ok(text.trim_end_matches('/').to_owned())
        } else {
            Err("`local`, or an address that begins with https://".to_owned())
        }
    })?;
    if first == "local" {
        return Ok(ModelAnswer::Local(MODEL_DEFAULT.to_owned()));
    }
    let model = ask(output, "", |text| {
        if text.is_empty() {
            Err("the model's name at the provider".to_owned())
        } else {
            Ok(text.to_owned())
        }
    })?;
    let key = ask_key(output)?;
    let name = PROVIDER.parse().map_err(|error| Failure::from_error(&error))?;
    place.secrets().write(&name, &key).map_err(|error| Failure::from_error(&error))?;
    output.say(format!(
        "the key is in `{}`, for you alone to read",
        place.secrets().path(&name).display()
    ));
    Ok(ModelAnswer::Provider { base_url: first, model })
}

/// Asks until the answer is one; Enter takes the default.
fn ask(
    output: &Output,
    default: &str,
    check: impl Fn(&str) -> Result<String, String>,
) -> Result<String, Failure> {
    loop {
        prompt(&if default.is_empty() { "> ".to_owned() } else { format!("[{default}] > ") })?;
        let line = read_line()?;
        let text = if line.is_empty() { default } else { &line };
        match check(text) {
            Ok(answer) => return Ok(answer),
            Err(wrong) => output.hint(wrong),
        }
    }
}

fn ask_key(output: &Output) -> Result<Secret<String>, Failure> {
    loop {
        prompt("the provider's key (not shown) > ")?;
        let quiet = NoEcho::begin();
        let line = read_line();
        drop(quiet);
        output.say("");
        let line = line?;
        if !line.is_empty() {
            return Ok(Secret::new(line));
        }
        output.hint("the key cannot be empty");
    }
}

fn prompt(text: &str) -> Result<(), Failure> {
    let mut err = io::stderr();
    err.write_all(text.as_bytes())
        .and_then(|()| err.flush())
        .map_err(|error| Failure::from_error(&error))
}

fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    let count =
        io::stdin().lock().read_line(&mut line).map_err(|error| Failure::from_error(&error))?;
    if count == 0 {
        return Err(Failure::new("the answers ended early")
            .hint("`sanctum init --resume` goes on from here"));
    }
    Ok(line.trim().to_owned())
}

/// Keeps the terminal from showing what is typed, while it lives.
struct NoEcho(Option<rustix::termios::Termios>);

impl NoEcho {
    fn begin() -> Self {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd()).ok();
        if let Some(mut quiet) = before.clone() {
            quiet.local_modes.remove(LocalModes::ECHO);
            tcsetattr(stdin.as_fd(), OptionalActions::Flush, &quiet).ok();
        }
        Self(before)
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, before).ok();
        }
    }
}

fn write(place: &Place, output: &Output, answers: &Answers) -> Result<(), Failure> {
    let text = rendered(answers);
    Manifest::parse(&text).map_err(|error| Failure::from_error(&error).detail(text.clone()))?;
    let path = place.layout.manifest();
    file::write_atomic(Path::new(&path), text.as_bytes(), 0o600)
        .map_err(|error| Failure::from_error(&error))?;
    output.say(format!("wrote `{path}`"));
    Ok(())
}

fn rendered(answers: &Answers) -> String {
    let memory = answers.memory.as_deref().unwrap_or(MEMORY_DEFAULT);
    // So small a model says what fits only when greedy, and then the same for ever without penalty.
    let local = |model: &str| {
        format!("[seat.general]\nmodel = \"{model}\"\ntemperature = 0\nfrequency_penalty = 0.8\n")
    };
    let models = match &answers.model {
        Some(ModelAnswer::Provider { base_url, model }) => format!(
            "[provider.{PROVIDER}]\nbase_url = \"{base_url}\"\nkey = \"{PROVIDER}\"\n\n\
             [route]\ncouncil-brain = [{:?}]\n",
            format!("{PROVIDER}/{model}")
        ),
        Some(ModelAnswer::Local(model)) => local(model),
        None => local(MODEL_DEFAULT),
    };
    format!(
        "# What Sanctum keeps up on this machine. Every key and its default: docs/manifest.md.\n\n\
         [guest]\nmemory = \"{memory}\"\n\n{models}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_makes_a_manifest() {
        let provider = ModelAnswer::Provider {
            base_url: "https://openrouter.ai/api/v1".to_owned(),
            model: "some/model:free".to_owned(),
        };
        for model in [None, Some(ModelAnswer::Local(MODEL_DEFAULT.to_owned())), Some(provider)] {
            let text = rendered(&Answers { model, ..Answers::default() });
            Manifest::parse(&text).unwrap();
        }
    }
}
