//! What must hold between the parts of a manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::str::FromStr;

use super::reader::{Placed, Problems, Reader, suggestion};
use super::{Program, Provider, Proxyd, RESERVED_NAMES, Seat, Target};
use crate::{ByteSize, ComponentName, ProviderName, SeatName};

/// A seat's name with its component's prefix must still be a component's name.
pub(super) const SEAT_NAME_LENGTH_MAX: usize = 20;
/// No size is more than any machine has, so that sums of sizes are sums.
const SIZE_MAX: ByteSize = ByteSize::gibibytes(64 << 10);
/// The longest name of a model route, and of a model, in characters.
const MODEL_NAME_LENGTH_MAX: usize = 128;

/// Where things were written that are checked once everything is read.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The declared components as they are written, good names or not.
    pub(super) names: BTreeSet<String>,
    pub(super) claims: Vec<Claim>,
    /// Who needs what.
    pub(super) needs: Vec<(String, Placed<String>)>,
    /// The model routes that prove something.
    pub(super) capabilities: Vec<Placed<String>>,
    /// The addresses of providers.
    pub(super) addresses: Vec<Placed<String>>,
    /// The programs that declared components name.
    pub(super) programs: Vec<Program>,
}

/// A port, who wants it, and where that is written.
#[derive(Debug)]
pub(super) struct Claim {
    port: u16,
    by: String,
    span: Range<usize>,
}

impl Claim {
    pub(super) fn new(port: u16, by: impl Into<String>, span: Range<usize>) -> Self {
        Self { port, by: by.into(), span }
    }
}

/// A name that is written in this source, not by a user.
pub(super) fn name<T: FromStr>(text: &str) -> T {
    let Ok(name) = text.parse() else { unreachable!("`{text}` is a name") };
    name
}

/// Port 0 is a port that was never chosen, and is reported where it is missing.
pub(super) fn ports(places: &Places, problems: &Problems) {
    let mut taken: BTreeMap<u16, &Claim> = BTreeMap::new();
    for claim in places.claims.iter().filter(|claim| claim.port != 0) {
        match taken.get(&claim.port) {
            None => {
                taken.insert(claim.port, claim);
            }
            Some(first) => {
                let message = format!(
                    "port {} is claimed twice: by {} and by {}",
                    claim.port, first.by, claim.by
                );
                // What is not written has no place.
                let claim = if claim.span.is_empty() { first } else { claim };
                let help = "give one of them another port";
                problems.add_with_help(claim.span.clone(), message, help);
            }
        }
    }
}

/// A size that a machine may have.
pub(super) fn size(text: &str) -> Result<ByteSize, String> {
    let size = ByteSize::parse(text).map_err(|error| error.to_string())?;
    if size > SIZE_MAX { Err(format!("{size} is more than {SIZE_MAX}")) } else { Ok(size) }
}

/// The name of a model in the store, or the whole path of a file.
pub(super) fn seat_model(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let named = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= MODEL_NAME_LENGTH_MAX
        && text.chars().all(plain);
    if named || (text.starts_with('/') && !text.contains(char::is_control)) {
        Ok(text.to_owned())
    } else {
        Err("a name of the store, or a path that begins with `/`")
    }
}

pub(super) fn base_url(text: &str) -> Result<String, &'static str> {
    let (name, port) = authority(text);
    if name.is_empty()
        || !text.chars().all(|c| c.is_ascii_graphic())
        || text.contains(['?', '#', '@', '\\'])
    {
        return Err(
            "an address that begins with https:// (or http://) and a host, without a query or a user",
        );
    }
    if !port.is_empty() && !port.parse::<u16>().is_ok_and(|port| port != 0) {
        return Err("a port is a number from 1 to 65535");
    }
    if text.starts_with("http://") && !is_here(name) {
        return Err("a key goes over http:// to this machine alone; use https://");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Host and port of an address; empty where there is none.
fn authority(address: &str) -> (&str, &str) {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        Some(_) | None => (host, ""),
    }
}

fn is_here(name: &str) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].contains(&name)
}

/// No provider is proxyd itself, which would ask itself for ever.
pub(super) fn addresses(places: &Places, proxyd: &Proxyd, problems: &Problems) {
    for address in &places.addresses {
        let (name, port) = authority(&address.value);
        if is_here(name) && port.parse() == Ok(proxyd.port) {
            let message = "this is proxyd itself, which would ask itself for ever";
            let help = "write the address of somebody who has the models";
            problems.add_with_help(address.span.clone(), message, help);
        }
    }
}

pub(super) fn secret_name(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let named = text.len() <= 64
        && text.starts_with(plain)
        && text.chars().all(|c| plain(c) || c == '-' || c == '_');
    if named {
        Ok(text.to_owned())
    } else {
        Err("the name of a secret (a-z, 0-9, `-`, `_`), never the secret itself")
    }
}

pub(super) fn component_name(
    reader: &Reader<'_, '_>,
    name: &Placed<String>,
) -> Option<ComponentName> {
    if name.value == "castellan" {
        let message = "`castellan` keeps components and is none";
        reader.problems().add_with_help(name.span.clone(), message, "choose another name");
        return None;
    }
    if RESERVED_NAMES.contains(&name.value.as_str()) || name.value.starts_with("sanctum-mlx-") {
        let message = format!("`{}` is a component of the system itself", name.value);
        reader.problems().add_with_help(name.span.clone(), message, "choose another name");
        return None;
    }
    reader.parse_name(name)
}

/// proxyd knows both kinds by one name.
pub(super) fn names(
    seats: &BTreeMap<SeatName, Seat>,
    providers: &[Placed<String>],
    problems: &Problems,
) {
    for provider in providers {
        if seats.keys().any(|seat| seat.as_str() == provider.value) {
            let message = format!("`{}` is a seat and a provider", provider.value);
            problems.add_with_help(provider.span.clone(), message, "give one of them another name");
        }
    }
}

/// The routes as written; without any, `model` leads to each seat in turn.
pub(super) fn routes(
    reader: Reader<'_, '_>,
    seats: &BTreeMap<SeatName, Seat>,
    providers: &BTreeMap<ProviderName, Provider>,
    model: &str,
) -> BTreeMap<String, Vec<Target>> {
    let problems = reader.problems().clone();
    let span = reader.span();
    let lists = reader.lists();
    let mut routes = BTreeMap::new();
    for (name, targets) in &lists {
        route_name(name, &problems);
        twice(targets, &problems);
        if targets.is_empty() {
            problems.add(name.span.clone(), format!("the route `{}` leads nowhere", name.value));
        }
        let targets = targets.iter().filter_map(|text| target(text, seats, providers, &problems));
        routes.insert(name.value.clone(), targets.collect());
    }
    if lists.is_empty() {
        if seats.is_empty() {
            let help = "write [route] with, for instance, council-brain = [\"PROVIDER/MODEL\"]";
            problems.add_with_help(span, "without a local seat there must be a [route]", help);
        }
        routes.insert(model.to_owned(), seats.keys().cloned().map(Target::Seat).collect());
    }
    routes
}

/// A route's name stands on command lines and in requests.
fn route_name(name: &Placed<String>, problems: &Problems) {
    let named = (1..=MODEL_NAME_LENGTH_MAX).contains(&name.value.len())
        && !name.value.starts_with('-')
        && name.value.chars().all(|c| c.is_ascii_graphic());
    if !named {
        let message = format!(
            "`{}` is not the name of a model: use 1 to {MODEL_NAME_LENGTH_MAX} visible ASCII \
             characters, not `-` first",
            name.value
        );
        problems.add(name.span.clone(), message);
    }
}

/// What has failed once is no other way out.
fn twice(targets: &[Placed<String>], problems: &Problems) {
    let mut seen = BTreeSet::new();
    for target in targets {
        if !seen.insert(&target.value) {
            let message = format!("the route lists `{}` twice", target.value);
            problems.add_with_help(target.span.clone(), message, "leave one of them out");
        }
    }
}

fn target(
    text: &Placed<String>,
    seats: &BTreeMap<SeatName, Seat>,
    providers: &BTreeMap<ProviderName, Provider>,
    problems: &Problems,
) -> Option<Target> {
    let (first, rest) = text.value.split_once('/').unwrap_or((&text.value, ""));
    if rest.is_empty() {
        let seat = seats.keys().find(|seat| seat.as_str() == first);
        if let Some(seat) = seat {
            return Some(Target::Seat(seat.clone()));
        }
    } else if let Some(provider) = providers.keys().find(|provider| provider.as_str() == first) {
        return Some(Target::Provider(provider.clone(), rest.to_owned()));
    }
    let known =
        seats.keys().map(SeatName::as_str).chain(providers.keys().map(ProviderName::as_str));
    let mut help = suggestion(first, known);
    if help.is_empty() {
        "a target is the name of a [seat.NAME], or PROVIDER/MODEL of a [provider.NAME]"
            .clone_into(&mut help);
    }
    problems.add_with_help(
        text.span.clone(),
        format!("there is no seat or provider `{first}`"),
        help,
    );
    None
}

pub(super) fn model(
    model: &Placed<String>,
    routes: &BTreeMap<String, Vec<Target>>,
    problems: &Problems,
) {
    route_name(model, problems);
    if !routes.contains_key(&model.value) {
        let message =
            format!("`openclaw.model` is `{}`, and no [route] has that name", model.value);
        problems.add_with_help(model.span.clone(), message, known_route(&model.value, routes));
    }
}

/// What is proven by a model route needs one that exists.
pub(super) fn capabilities(
    places: &Places,
    routes: &BTreeMap<String, Vec<Target>>,
    problems: &Problems,
) {
    for route in &places.capabilities {
        if !routes.contains_key(&route.value) {
            let message = format!("there is no model route `{}`", route.value);
            problems.add_with_help(route.span.clone(), message, known_route(&route.value, routes));
        }
    }
}

fn known_route(written: &str, routes: &BTreeMap<String, Vec<Target>>) -> String {
    let help = suggestion(written, routes.keys().map(String::as_str));
    if help.is_empty() {
        format!("known: {}", routes.keys().cloned().collect::<Vec<_>>().join(", "))
    } else {
        help
    }
}
