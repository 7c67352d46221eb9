//! From the manifest to the components castellan keeps: which programs, with which arguments,
//! after what, and how one sees that each works.

mod component;
mod render;

use alloc::vec;
use alloc::vec::Vec;

use sanctum_model::manifest::{DEADMAN, Deadman};
use sanctum_model::{Component, Manifest};

use crate::Layout;

pub use component::agent_context_tokens;
pub use render::{CALLER_SECRET, GATEWAY_SECRET, seat_secret};

/// Every component of a manifest: the system's own, then the user's.
pub fn components(manifest: &Manifest, layout: &Layout) -> Vec<Component> {
    let mut components = match manifest.castellan().deadman {
        Deadman::Kept => vec![component::deadman(layout)],
        Deadman::Absent => Vec::new(),
    };
    let seats = manifest.seats().iter();
    components.extend(seats.map(|(name, seat)| component::seat(name, seat, layout)));
    components.push(component::proxyd(manifest, layout));
    components.push(component::guest(manifest, layout));
    components.push(component::umbilical(manifest, layout));
    components.push(component::openclaw(manifest, layout));
    let sweep = manifest.castellan().sweep;
    components.extend(sweep.map(|interval| component::sweep(interval, layout)));
    let declared = manifest.components().iter();
    components.extend(declared.map(|(name, it)| component::declared(name, it, layout)));
    components
}

/// Those that the user declares, and what watches castellan itself.
pub fn declared_components(manifest: &Manifest, layout: &Layout) -> Vec<Component> {
    let mut components = components(manifest, layout);
    components.retain(|component| {
        component.name.as_str() == DEADMAN || manifest.components().contains_key(&component.name)
    });
    components
}
