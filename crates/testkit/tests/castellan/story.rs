//! Questions about what happened, in the order in which it did.

use sanctum_testkit::Castle;
use sanctum_wire::Event;

/// The five that every manifest has, in the order of a start.
pub(crate) const FIVE: [&str; 5] = ["sanctum-mlx", "proxyd", "guest", "umbilical", "openclaw"];

/// The place of the first event after `from` that is about `component` and says so.
pub(crate) fn find(events: &[Event], from: usize, component: &str, said: &str) -> Option<usize> {
    let told = |event: &Event| {
        event.component == component
            && (event.what == said || (event.what == "phase" && phase_of(event) == said))
    };
    events.iter().skip(from).position(told).map(|place| place + from)
}

/// The same, of an event that must be there.
pub(crate) fn place(castle: &Castle, from: usize, component: &str, said: &str) -> usize {
    let found = find(&castle.events(), from, component, said);
    assert!(found.is_some(), "{component} was never {said} since {from}\n{}", castle.story());
    found.unwrap_or_default()
}

/// Every component that was started since, by name.
pub(crate) fn spawned(castle: &Castle, from: usize) -> Vec<String> {
    let events = castle.events().into_iter().skip(from);
    events.filter(|event| event.what == "spawned").map(|event| event.component).collect()
}

fn phase_of(event: &Event) -> &str {
    event.detail.split(':').next().unwrap_or_default()
}
