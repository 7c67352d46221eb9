//! The configuration files of our daemons, as text.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use sanctum_model::manifest::Target;
use sanctum_model::{Manifest, SeatName};

use crate::guest::GATEWAY_PORT;

/// The secret with which the guest calls proxyd.
pub const CALLER_SECRET: &str = "caller-main";
/// The secret with which the host speaks to the agent.
pub const GATEWAY_SECRET: &str = "gateway-main";

/// The secret with which proxyd calls a seat.
pub fn seat_secret(seat: &SeatName) -> String {
    format!("seat-{seat}")
}

/// Renders `proxyd.toml`.
pub(super) fn proxyd(manifest: &Manifest) -> String {
    let port = manifest.proxyd().port;
    let mut ports: Vec<String> = Vec::from([port.to_string()]);
    if port != GATEWAY_PORT {
        // What the agent calls it: the port at the guest's end of the umbilical.
        ports.push(GATEWAY_PORT.to_string());
    }
    let mut text = format!(
        "# Rendered from sanctum.toml; changes here are lost.\n\
         listen = \"127.0.0.1:{port}\"\nhost_ports = [{}]\n\n\
         [[caller]]\nname = \"guest-main\"\nsecret = \"{CALLER_SECRET}\"\n",
        ports.join(", ")
    );
    for (name, seat) in manifest.seats() {
        let base_url = format!("http://127.0.0.1:{}/v1", seat.port);
        let models = models(manifest, |target| match target {
            Target::Seat(other) if other == name => Some(name.to_string()),
            Target::Seat(_) | Target::Provider(..) => None,
        });
        text += &block(name.as_str(), &base_url, &seat_secret(name), &models);
    }
    for (name, provider) in manifest.providers() {
        let models = models(manifest, |target| match target {
            Target::Provider(other, model) if other == name => Some(model.clone()),
            Target::Seat(_) | Target::Provider(..) => None,
        });
        text += &block(name.as_str(), &provider.base_url, &provider.key, &models);
    }
    text
}

/// For each route that ends here: its name, what the seat calls it, and how early it is tried.
fn models(manifest: &Manifest, upstream: impl Fn(&Target) -> Option<String>) -> String {
    let mut models = String::new();
    for (name, targets) in manifest.routes() {
        for (rank, target) in targets.iter().enumerate() {
            if let Some(upstream) = upstream(target) {
                let (name, upstream) = (quoted(name), quoted(&upstream));
                let line =
                    format!("    {{ name = {name}, upstream = {upstream}, rank = {rank} }},\n");
                models.push_str(&line);
            }
        }
    }
    models
}

fn block(name: &str, base_url: &str, secret: &str, models: &str) -> String {
    let (base_url, secret) = (quoted(base_url), quoted(secret));
    format!(
        "\n[[seat]]\nname = \"{name}\"\nbase_url = {base_url}\nsecret = {secret}\nmodels = [\n{models}]\n"
    )
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                let code = format!("\\u{:04X}", u32::from(control));
                quoted.push_str(&code);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxyds_file_says_who_may_call_and_where_it_leads() {
        let manifest = Manifest::parse(
            r#"
            [proxyd]
            port = 4141
            [seat.general]
            model = "smollm2-135m-instruct"
            [provider.openrouter]
            base_url = "https://openrouter.ai/api/v1"
            key = "openrouter"
            [route]
            council-brain = ["openrouter/some/model", "general"]
            "#,
        )
        .unwrap();
        insta::assert_snapshot!(proxyd(&manifest));
    }

    #[test]
    fn a_text_stays_one_string_whatever_it_holds() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\"b\\c\u000Ad""#);
    }
}
