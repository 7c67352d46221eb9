//! `plan`: what `up` would do. Reads the manifest and touches nothing.

use std::process::ExitCode;

use sanctum_guest::{arch, image};
use sanctum_model::manifest::ToolProfile;
use sanctum_model::{ByteSize, Component, Manifest, Plane};
use sanctum_plan::guest::{AGENT_PORT, GATEWAY_PORT};
use sanctum_plan::stack;
use sanctum_plan::supervise::Fleet;
use serde::Serialize;

use super::{Outcome, print_json};
use crate::output::{Output, Paint};
use crate::place::Place;

pub(crate) fn run(place: &Place, output: &Output, json: bool) -> Outcome {
    let loaded = place.load(output)?;
    let preview = Preview::of(&loaded.manifest, place);
    if json {
        return print_json(output, &preview);
    }
    for line in preview.lines(output) {
        output.data(line);
    }
    Ok(ExitCode::SUCCESS)
}

/// What would be, as data.
#[derive(Debug, Serialize)]
struct Preview {
    start_order: Vec<Start>,
    ports: Vec<Port>,
    forwards: Vec<Forward>,
    guest: Guest,
    memory: Vec<Memory>,
    to_be_made: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Start {
    component: String,
    plane: &'static str,
    needs: Vec<String>,
    command: String,
}

#[derive(Debug, Serialize)]
struct Port {
    component: String,
    address: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct Forward {
    from: String,
    to: String,
    why: &'static str,
}

#[derive(Debug, Serialize)]
struct Guest {
    driver: &'static str,
    cpus: u32,
    memory: String,
    image: String,
    tools: &'static str,
    model: String,
    context_tokens: u32,
}

#[derive(Debug, Serialize)]
struct Memory {
    component: String,
    peak: String,
}

impl Preview {
    fn of(manifest: &Manifest, place: &Place) -> Self {
        let components = stack::components(manifest, &place.layout);
        let fleet = Fleet::new(&components);
        let ordered: Vec<&Component> = fleet
            .members()
            .iter()
            .filter_map(|member| {
                components.iter().find(|component| component.name == *member.name())
            })
            .collect();
        Self {
            start_order: ordered.iter().map(|component| Start::of(component)).collect(),
            ports: ordered.iter().flat_map(|component| ports(component)).collect(),
            forwards: forwards(manifest),
            guest: guest(manifest),
            memory: ordered.iter().filter_map(|component| memory(component)).collect(),
            to_be_made: to_be_made(manifest, place),
        }
    }

    fn lines(&self, output: &Output) -> Vec<String> {
        let title = |text: &str| output.paint(Paint::Strong, text);
        let mut lines = vec![title("Start order")];
        for (index, start) in self.start_order.iter().enumerate() {
            let after = if start.needs.is_empty() {
                "at once".to_owned()
            } else {
                format!("after {}", start.needs.join(" and "))
            };
            lines.push(format!(
                "  {}. {:16} {:5}  {after}",
                index + 1,
                start.component,
                start.plane
            ));
        }
        lines.push(title("Ports of the host, all on loopback"));
        lines.extend(
            self.ports
                .iter()
                .map(|port| format!("  {:21} {:16} {}", port.address, port.component, port.why)),
        );
        lines.push(title("Forwards of the umbilical; the guest has no other way out"));
        lines.extend(
            self.forwards.iter().map(|way| format!("  {} → {}  {}", way.from, way.to, way.why)),
        );
        lines.push(title("Guest"));
        let guest = &self.guest;
        lines.push(format!(
            "  {}, {} processors, {}, image {}",
            guest.driver, guest.cpus, guest.memory, guest.image
        ));
        lines.push(format!(
            "  the agent asks for `{}`, counts on {} tokens of context, and is told of {} tools",
            guest.model, guest.context_tokens, guest.tools
        ));
        lines.push(title("Memory, where a peak is known"));
        lines.extend(
            self.memory.iter().map(|memory| format!("  {:16} {}", memory.component, memory.peak)),
        );
        lines.push(title("To be made first"));
        if self.to_be_made.is_empty() {
            lines.push("  nothing: it is all there".to_owned());
        }
        lines.extend(self.to_be_made.iter().map(|thing| format!("  {thing}")));
        lines
    }
}

impl Start {
    fn of(component: &Component) -> Self {
        Self {
            component: component.name.to_string(),
            plane: match component.plane {
                Plane::Host => "host",
                Plane::Guest => "guest",
            },
            needs: component.needs.iter().map(ToString::to_string).collect(),
            command: component.command.to_string(),
        }
    }
}

fn ports(component: &Component) -> Vec<Port> {
    let port = |claim: &sanctum_model::PortClaim| Port {
        component: component.name.to_string(),
        address: claim.address.to_string(),
        why: claim.why.clone(),
    };
    component.ports.iter().map(port).collect()
}

fn forwards(manifest: &Manifest) -> Vec<Forward> {
    let (agent, gateway) = (manifest.openclaw().port, manifest.proxyd().port);
    vec![
        Forward {
            from: format!("host 127.0.0.1:{agent}"),
            to: format!("guest 127.0.0.1:{AGENT_PORT}"),
            why: "questions to the agent",
        },
        Forward {
            from: format!("guest 127.0.0.1:{GATEWAY_PORT}"),
            to: format!("host 127.0.0.1:{gateway}"),
            why: "the agent's questions to a model",
        },
    ]
}

fn guest(manifest: &Manifest) -> Guest {
    let guest = manifest.guest();
    Guest {
        driver: if super::is_lima(guest.driver) { "lima" } else { "qemu" },
        cpus: guest.cpus,
        memory: guest.memory.to_string(),
        image: arch().map_or_else(|error| error.to_string(), image::key),
        tools: match manifest.openclaw().tools {
            ToolProfile::Minimal => "the minimal set of",
            ToolProfile::Full => "all",
        },
        model: manifest.openclaw().model.clone(),
        context_tokens: stack::agent_context_tokens(manifest),
    }
}

fn memory(component: &Component) -> Option<Memory> {
    let peak = component.memory.peak_bytes;
    (peak != 0).then(|| Memory {
        component: component.name.to_string(),
        peak: ByteSize::from_bytes(peak).to_string(),
    })
}

fn to_be_made(manifest: &Manifest, place: &Place) -> Vec<String> {
    let mut things = Vec::new();
    if !matches!(super::find_image(place), Ok(Some(_))) {
        things.push("the guest's image (about 1 GiB of downloads, 3 to 10 minutes)".to_owned());
    }
    for seat in manifest.seats().values() {
        if !std::path::Path::new(&place.layout.model_file(&seat.model)).is_file() {
            things.push(format!("the model `{}`", seat.model));
        }
    }
    if !place.guest().disk().exists() {
        things.push("the guest's identity: its keys, tokens and disk".to_owned());
    }
    things
}
