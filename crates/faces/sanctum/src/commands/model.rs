//! `model`: the store of local models.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use sanctum_model::ByteSize;
use sanctum_models::{
    Fetched, HUB, Hub, ModelName, Progress, Pulled, Request, RequestError, Stored, Trust, catalogue,
};
use sanctum_secrets::SecretName;
use serde::Serialize;

use super::{Outcome, print_json};
use crate::arguments::Model;
use crate::failure::Failure;
use crate::output::{Output, Paint, Step, shown};
use crate::place::Place;

/// The secret that is sent to the hub, where there is one: some models want to know who asks.
const HUB_SECRET: &str = "huggingface";

pub(crate) fn run(place: &Place, output: &Output, command: Model) -> Outcome {
    match command {
        Model::Pull { source, name } => {
            let request: Request = source.parse().map_err(|error| unknown(&error))?;
            let name =
                name.map(|name| name.parse()).transpose().map_err(|error| unknown(&error))?;
            let pulled = pull(place, output, &request, name)?;
            output.data(pulled.stored.path.display());
            Ok(ExitCode::SUCCESS)
        }
        Model::List(options) => list(place, output, options.json),
    }
}

/// Gets a seat's model if it is not there. A path is the user's own file and must exist.
pub(crate) fn ensure(place: &Place, output: &Output, model: &str) -> Result<(), Failure> {
    let file = place.layout.model_file(model);
    if Path::new(&file).is_file() {
        return Ok(());
    }
    if model.contains('/') {
        return Err(Failure::new(format!("there is no model file `{file}`"))
            .hint(format!("correct `model` in {}", place.layout.manifest())));
    }
    let request: Request = model.parse().map_err(|error| unknown(&error))?;
    pull(place, output, &request, None).map(drop)
}

fn unknown(error: &RequestError) -> Failure {
    Failure::from_error(error).hint("`sanctum model list` shows what can be had by name")
}

fn pull(
    place: &Place,
    output: &Output,
    request: &Request,
    name: Option<ModelName>,
) -> Result<Pulled, Failure> {
    let what = match &name {
        Some(name) => name.to_string(),
        None => request.name().map_err(|error| unknown(&error))?.to_string(),
    };
    let mut step = output.step(format!("model {what}"));
    let hub = Hub::new(HUB, hub_token(place));
    let models = place.layout.models();
    let pulled = sanctum_models::pull(request, name, Path::new(&models), &hub, &mut |progress| {
        show(&mut step, progress);
    })
    .map_err(|error| {
        Failure::from_error(&error)
            .hint("run it again: what is there is gone on with")
            .hint("a file you have can be given by its path: `sanctum model pull ./model.gguf`")
    })?;
    match pulled.fetched {
        Fetched::Already => step.done("is there already"),
        Fetched::Now => {
            step.done(format!("is there, {}", ByteSize::from_bytes(pulled.stored.size_bytes)));
        }
    }
    if pulled.trust == Trust::FirstPull {
        output.say("its hash is what the hub said at this first pull; it is on record from now on");
    }
    Ok(pulled)
}

/// The key at the hub, if the user keeps one.
fn hub_token(place: &Place) -> Option<sanctum_secrets::Secret<String>> {
    let name: SecretName = HUB_SECRET.parse().ok()?;
    place.secrets().read(&name).ok()
}

fn show(step: &mut Step<'_>, progress: Progress) {
    match progress {
        Progress::Downloading { done_bytes, total_bytes, .. } => {
            step.bytes(done_bytes, total_bytes);
        }
        Progress::Packaging { elapsed } => {
            step.detail(format!("the package manager downloads, {}", shown(elapsed)));
        }
        Progress::Checking { done_bytes, total_bytes } => step.bytes(done_bytes, total_bytes),
        Progress::Retrying { done_bytes } => {
            step.detail(format!(
                "the connection was cut at {}, trying again",
                ByteSize::from_bytes(done_bytes)
            ));
        }
    }
}

/// One line of the list.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    stored: bool,
    size_bytes: u64,
    licence: String,
    source: String,
    sha256: Option<String>,
}

fn list(place: &Place, output: &Output, json: bool) -> Outcome {
    let models = place.layout.models();
    let stored =
        sanctum_models::list(Path::new(&models)).map_err(|error| Failure::from_error(&error))?;
    let names: BTreeSet<_> = stored.iter().map(|model| model.name.to_string()).collect();
    let mut entries: Vec<Entry> = stored.iter().map(of_store).collect();
    entries.extend(catalogue().iter().filter(|entry| !names.contains(entry.name)).map(|entry| {
        Entry {
            name: entry.name.to_owned(),
            stored: false,
            size_bytes: entry.size_bytes,
            licence: entry.licence.to_owned(),
            source: entry.purpose.to_owned(),
            sha256: entry.sha256.map(str::to_owned),
        }
    }));
    if json {
        return print_json(output, &entries);
    }
    for entry in entries {
        let (word, paint) =
            if entry.stored { ("here", Paint::Good) } else { ("pull", Paint::Faint) };
        let size = ByteSize::from_bytes(entry.size_bytes).to_string();
        output.data(format!(
            "{}  {:28} {size:>10}  {:12} {}",
            output.paint(paint, word),
            entry.name,
            entry.licence,
            entry.source
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn of_store(model: &Stored) -> Entry {
    Entry {
        name: model.name.to_string(),
        stored: true,
        size_bytes: model.size_bytes,
        licence: model.licence.clone(),
        source: model.source.clone(),
        sha256: Some(model.sha256.clone()),
    }
}
