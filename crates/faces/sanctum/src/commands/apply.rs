//! `apply`: a changed manifest is put in force, and only what differs is touched.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use sanctum_host::file;
use sanctum_model::Manifest;
use sanctum_model::manifest::Problem;
use sanctum_wire::{ChangePlan, ClientError, ManifestProblem};

use super::orders::{failure, patiently, watch_until_ready};
use super::{Outcome, block_on, guest, model, up};
use crate::arguments::Apply;
use crate::failure::{CONFIGURATION, Failure, NOT_RUNNING};
use crate::output::Output;
use crate::place::{self, Loaded, Place};
use crate::view::changes;

pub(crate) fn run(place: &Place, output: &Output, options: &Apply) -> Outcome {
    let path = match &options.file {
        None => place.layout.manifest(),
        Some(path) => path.display().to_string(),
    };
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::new(format!("cannot read `{path}`: {error}")).with_code(CONFIGURATION)
    })?;
    let loaded = place::loaded(&path, text, output.palette_err())?;
    let client = place.client();
    let planned = block_on(async { Ok(client.plan(&loaded.text).await) })?;
    let plan = match planned {
        Ok(plan) => plan,
        Err(ClientError::NotRunning { .. }) if options.dry_run => {
            output.say(format!("`{path}` is a good manifest; castellan is not running"));
            output.hint("`sanctum plan` shows what `sanctum up` would start");
            return Ok(ExitCode::SUCCESS);
        }
        Err(ClientError::NotRunning { .. }) => return Err(only_written(place, &loaded)?),
        Err(error) => return Err(refusal(&error, &loaded, output)),
    };
    output.lines(changes::lines(&plan, output.palette()));
    if options.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let yes = if options.yes { Yes::Said } else { Yes::Unsaid };
    match consent(&plan, yes, io::stdin().is_terminal()) {
        Consent::Given => {}
        Consent::Asked if is_agreed()? => {}
        Consent::Asked => return Err(Failure::new("nothing was changed")),
        Consent::Missing => {
            return Err(Failure::new("something would be stopped or restarted, and nobody can be asked; nothing was changed")
                .hint("`--yes` does it without asking"));
        }
    }
    prepare(place, output, &loaded.manifest, &plan)?;
    let mut step = output.step("components");
    block_on(async {
        let generation = put_in_force(place, output, &loaded).await?;
        watch_until_ready(place, output, &mut step, generation).await
    })?;
    step.done("are all as the manifest says");
    Ok(ExitCode::SUCCESS)
}

/// Has castellan take the manifest. Gives the generation from which on that is to be seen.
pub(super) async fn put_in_force(
    place: &Place,
    output: &Output,
    loaded: &Loaded,
) -> Result<u64, Failure> {
    let client = place.client();
    let applied = patiently(async || client.apply(&loaded.text).await).await;
    applied.map(|plan| plan.generation).map_err(|error| refusal(&error, loaded, output))
}

/// Images, models and keys of what is started anew. What goes on as it is has them.
pub(super) fn prepare(
    place: &Place,
    output: &Output,
    manifest: &Manifest,
    plan: &ChangePlan,
) -> Result<(), Failure> {
    let changed: BTreeSet<&str> =
        plan.changes.iter().map(|change| change.component.as_str()).collect();
    up::mint_secrets(place, manifest)?;
    if changed.contains("guest") {
        guest::build(place, output)?;
    }
    for (name, seat) in manifest.seats() {
        if changed.contains(Manifest::seat_component(name).as_str()) {
            model::ensure(place, output, &seat.model)?;
        }
    }
    Ok(())
}

/// Nobody is there to apply it: it is the manifest of the next start.
fn only_written(place: &Place, loaded: &Loaded) -> Result<Failure, Failure> {
    let path = place.layout.manifest();
    let is_there = fs::read_to_string(&path).is_ok_and(|text| text == loaded.text);
    if !is_there {
        file::write_atomic(Path::new(&path), loaded.text.as_bytes(), 0o600)
            .map_err(|error| Failure::from_error(&error))?;
    }
    Ok(Failure::new(format!(
        "castellan is not running: `{path}` is good and in its place, and nothing was started"
    ))
    .with_code(NOT_RUNNING)
    .hint("`sanctum up` starts everything"))
}

/// What castellan said against a manifest, each problem with its place.
pub(super) fn refusal(error: &ClientError, loaded: &Loaded, output: &Output) -> Failure {
    let Loaded { path, text, .. } = loaded;
    match error {
        ClientError::Refused { problems, .. } if !problems.is_empty() => {
            let problem = |problem: &ManifestProblem| {
                let end = problem.end.min(text.len());
                Problem {
                    span: problem.start.min(end)..end,
                    message: problem.message.clone(),
                    help: problem.help.clone(),
                }
            };
            let problems: Vec<Problem> = problems.iter().map(problem).collect();
            place::manifest_failure(path, text, &problems, output.palette_err())
        }
        ClientError::NotRunning { .. }
        | ClientError::Silent { .. }
        | ClientError::Unreachable { .. }
        | ClientError::Broken(_)
        | ClientError::Strange { .. }
        | ClientError::Refused { .. } => failure(error),
    }
}

/// Whether `--yes` was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Yes {
    Said,
    Unsaid,
}

/// Whether a plan may be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consent {
    Given,
    Asked,
    Missing,
}

/// What only adds or adjusts needs no word; what stops something does.
fn consent(plan: &ChangePlan, yes: Yes, is_terminal: bool) -> Consent {
    match yes {
        Yes::Said => Consent::Given,
        Yes::Unsaid if !changes::interrupts(plan) => Consent::Given,
        Yes::Unsaid if is_terminal => Consent::Asked,
        Yes::Unsaid => Consent::Missing,
    }
}

fn is_agreed() -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::new(format!("cannot ask: {error}"));
    let mut terminal = io::stderr().lock();
    terminal.write_all(b"do it? [y/N] ").and_then(|()| terminal.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use sanctum_wire::{Change, ChangeKind};

    use super::*;

    fn plan(kind: ChangeKind) -> ChangePlan {
        let change = Change { component: "a".to_owned(), kind, what: String::new() };
        ChangePlan { generation: 1, changes: vec![change] }
    }

    #[test]
    fn what_stops_something_needs_a_word_and_nothing_else_does() {
        for (kind, yes, is_terminal, expected) in [
            (ChangeKind::Add, Yes::Unsaid, false, Consent::Given),
            (ChangeKind::Adjust, Yes::Unsaid, true, Consent::Given),
            (ChangeKind::Restart, Yes::Unsaid, true, Consent::Asked),
            (ChangeKind::Remove, Yes::Unsaid, false, Consent::Missing),
            (ChangeKind::Remove, Yes::Said, false, Consent::Given),
        ] {
            assert_eq!(consent(&plan(kind), yes, is_terminal), expected, "{kind:?}");
        }
    }
}
