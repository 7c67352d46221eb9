//! What a manifest may say, and how it is told what it may not.

use sanctum_model::Manifest;
use sanctum_model::manifest::{Problem, Target, ToolProfile};

fn problems(text: &str) -> Vec<Problem> {
    Manifest::parse(text).expect_err("the manifest has faults").problems().to_vec()
}

fn messages(text: &str) -> Vec<String> {
    problems(text).into_iter().map(|problem| problem.message).collect()
}

#[test]
fn an_empty_manifest_is_a_whole_system() {
    let manifest = Manifest::parse("").unwrap();
    assert_eq!(manifest.seats().len(), 1);
    assert_eq!(manifest.openclaw().port, 1977);
    assert_eq!(manifest.proxyd().port, 4040);
    let route = &manifest.routes()["council-brain"];
    assert_eq!(route, &[Target::Seat("general".parse().unwrap())]);
}

#[test]
fn what_is_written_is_what_is_meant() {
    let manifest = Manifest::parse(
        r#"
        [guest]
        memory = "4GiB"
        cpus = 4
        accelerator = "tcg"

        [openclaw]
        tools = "full"
        model = "brain"

        [seat.general]
        model = "smollm2-135m-instruct"
        temperature = 0

        [provider.openrouter]
        base_url = "https://openrouter.ai/api/v1/"
        key = "openrouter"

        [route]
        brain = ["openrouter/anthropic/claude-sonnet", "general"]

        [component.radio]
        program = "/usr/bin/radio"
        arguments = ["--quiet"]
        needs = ["proxyd"]
        port = 9000
        ready = { http = "/health", body = "ok" }
        "#,
    )
    .unwrap();
    assert_eq!(manifest.guest().memory.to_string(), "4 GiB");
    assert_eq!(manifest.openclaw().tools, ToolProfile::Full);
    assert_eq!(manifest.seats()[&"general".parse().unwrap()].temperature_milli, 0);
    assert_eq!(
        manifest.routes()["brain"],
        [
            Target::Provider("openrouter".parse().unwrap(), "anthropic/claude-sonnet".to_owned()),
            Target::Seat("general".parse().unwrap()),
        ]
    );
    assert_eq!(manifest.components().len(), 1);
}

#[test]
fn all_faults_are_reported_at_once_and_in_order() {
    let text = r#"
[guest]
memmory = "2GiB"
cpus = 0
accelerator = "kwm"

[proxyd]
port = 1977

[seat.general]
context = "big"

[openclaw]
model = "brain"
"#;
    let found = problems(text);
    let said: Vec<_> = found.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        said,
        [
            "unknown key `memmory` in [guest]",
            "`guest.cpus` must be from 1 to 64, not 0",
            "`guest.accelerator` is one of \"auto\", \"kvm\", \"tcg\", not \"kwm\"",
            "port 1977 is claimed twice: by openclaw.port and by proxyd.port",
            "`seat.general.model` is missing",
            "`seat.general.context` must be a whole number, not string",
        ]
    );
    assert_eq!(&text[found[0].span.clone()], "memmory");
    assert_eq!(found[0].help, "did you mean `memory`?");
    assert_eq!(&text[found[2].span.clone()], "\"kwm\"");
    assert_eq!(found[2].help, "did you mean `kvm`?");
}

#[test]
fn a_text_that_is_not_toml_says_where() {
    let found = problems("[guest\ncpus = 2\n");
    assert!(!found.is_empty());
    assert!(found[0].span.start <= 7, "{found:?}");
}

#[test]
fn a_route_must_lead_somewhere_that_exists() {
    assert_eq!(
        messages("[route]\ncouncil-brain = [\"generel\"]\n"),
        ["there is no seat or provider `generel`"]
    );
    assert_eq!(
        messages("[provider.x]\nbase_url = \"https://x.example/v1\"\nkey = \"x\"\n"),
        ["without a local seat there must be a [route]"]
    );
    assert_eq!(
        messages("[openclaw]\nmodel = \"brian\"\n[route]\nbrain = [\"general\"]\n"),
        ["`openclaw.model` is `brian`, and no [route] has that name"]
    );
}

#[test]
fn a_key_where_its_name_belongs_is_refused_without_being_shown() {
    let text = "[provider.x]\nbase_url = \"https://x.example/v1\"\nkey = \"sk-Live-KEY\"\n";
    let said = messages(text).join("\n");
    assert!(said.contains("never the secret itself"), "{said}");
    assert!(!said.contains("sk-Live-KEY"), "{said}");
}

#[test]
fn a_key_is_not_sent_in_the_clear_past_this_machine() {
    let text = |url: &str| {
        format!(
            "[provider.x]\nbase_url = \"{url}\"\nkey = \"x\"\n[route]\ncouncil-brain = [\"x/m\"]\n"
        )
    };
    for good in ["http://127.0.0.1:9/v1", "http://localhost/v1", "https://x.example/v1"] {
        Manifest::parse(&text(good)).unwrap();
    }
    for bad in
        ["http://x.example/v1", "http://192.168.1.7:8080/v1", "http://127.0.0.1.evil.example/v1"]
    {
        assert!(Manifest::parse(&text(bad)).is_err(), "{bad}");
    }
}

#[test]
fn a_seat_and_a_provider_do_not_share_a_name() {
    let text = "[seat.general]\nmodel = \"m\"\n\
                [provider.general]\nbase_url = \"https://x.example/v1\"\nkey = \"x\"\n";
    assert_eq!(messages(text), ["`general` is a seat and a provider"]);
}

#[test]
fn needs_must_exist_and_not_run_in_a_circle() {
    let circle = r#"
[component.a]
program = "a"
needs = ["b"]
[component.b]
program = "b"
needs = ["a", "proxydd"]
"#;
    let said = messages(circle);
    assert_eq!(
        said,
        ["needs run in a circle: `a` → `b` → `a`", "`b` needs `proxydd`, which does not exist",]
    );
}

#[test]
fn the_systems_own_names_are_taken() {
    let said = messages("[component.guest]\nprogram = \"x\"\n");
    assert_eq!(said, ["`guest` is a component of the system itself"]);
}

#[test]
fn too_little_memory_is_refused_with_both_numbers() {
    let said = messages("[guest]\nmemory = \"512MiB\"\n");
    assert_eq!(said, ["`guest.memory`: 512 MiB is too little: OpenClaw needs 2 GiB at least"]);
}
