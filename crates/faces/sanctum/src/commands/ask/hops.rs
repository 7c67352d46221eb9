//! The way of a question, hop by hop, and which of them is broken.

use std::path::Path;
use std::time::Duration;

use sanctum_host::probe;
use sanctum_model::manifest::Target;
use sanctum_model::{Component, ErrorChain, Manifest};
use sanctum_plan::stack;
use serde::Serialize;

use crate::failure::Failure;
use crate::place::Place;

/// The longest a look at one hop may take.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// One hop on the way of a question.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    /// What a person calls it: `guest`, `forward`, `agent`, `gateway`, `seat`, `model`.
    pub(crate) name: &'static str,
    /// The component that makes it.
    pub(crate) component: String,
    pub(crate) state: HopState,
}

/// What a look at a hop showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum HopState {
    Good,
    /// And why.
    Broken(String),
}

/// Looks at every hop, from the model outward: what is found first is nearest to the root.
pub(crate) fn look_at_all(place: &Place, manifest: &Manifest) -> Vec<Hop> {
    let components = stack::components(manifest, &place.layout);
    let mut hops = Vec::new();
    for (name, seat) in manifest.seats() {
        let on_route = manifest.routes().get(&manifest.openclaw().model).is_some_and(|targets| {
            targets.iter().any(|target| matches!(target, Target::Seat(other) if other == name))
        });
        if on_route {
            let component = Manifest::seat_component(name).to_string();
            hops.push(model_file(place, &seat.model, component.clone()));
            hops.push(look(&components, "seat", &component));
        }
    }
    for (name, component) in
        [("gateway", "proxyd"), ("guest", "guest"), ("forward", "umbilical"), ("agent", "openclaw")]
    {
        hops.push(look(&components, name, component));
    }
    hops
}

fn model_file(place: &Place, model: &str, component: String) -> Hop {
    let file = place.layout.model_file(model);
    let state = if Path::new(&file).is_file() {
        HopState::Good
    } else {
        HopState::Broken(format!("there is no file `{file}`"))
    };
    Hop { name: "model", component, state }
}

fn look(components: &[Component], name: &'static str, component: &str) -> Hop {
    let found = components.iter().find(|other| other.name.as_str() == component);
    let seen = found.map(|found| probe::look(&found.readiness.probe, LOOK_MAX));
    let state = match seen {
        Some(Ok(())) => HopState::Good,
        Some(Err(error)) => HopState::Broken(ErrorChain(&error).to_string()),
        None => HopState::Broken("it is not in the manifest".to_owned()),
    };
    Hop { name, component: component.to_owned(), state }
}

/// Adds to a failed turn which hop is broken, if one is.
pub(super) fn blame(place: &Place, manifest: &Manifest, failure: Failure) -> Failure {
    let hops = look_at_all(place, manifest);
    let broken = hops.iter().find_map(|hop| match &hop.state {
        HopState::Good => None,
        HopState::Broken(why) => Some((hop, why)),
    });
    match broken {
        Some((hop, why)) => failure
            .detail(format!("  the hop that broke: {} ({}): {why}", hop.name, hop.component))
            .hint(format!("`sanctum status` says why; `sanctum logs {}` shows its side", hop.component)),
        None => failure
            .detail("  every hop answers: guest, forward, agent, gateway, seat, model; the turn itself failed")
            .hint("`sanctum logs openclaw proxyd` shows both sides of it"),
    }
}
