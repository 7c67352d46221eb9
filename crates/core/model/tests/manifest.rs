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

#[test]
fn castellan_is_no_component_of_its_own() {
    let said = messages("[component.castellan]\nprogram = \"x\"\n");
    assert_eq!(said, ["`castellan` keeps components and is none"]);
}

#[test]
fn a_size_that_no_machine_has_is_refused() {
    let said = messages("[guest]\nmemory = \"16777215TiB\"\n");
    assert_eq!(said, ["`guest.memory`: 16777215 TiB is more than 64 TiB"]);
}

#[test]
fn a_name_of_a_model_is_no_option_and_no_riddle() {
    for bad in ["-rf", "", "a b", "ü"] {
        let text = format!(
            "[openclaw]\nmodel = \"x\"\n[route]\nx = [\"general\"]\n\"{bad}\" = [\"general\"]\n"
        );
        let said = messages(&text);
        assert!(said[0].contains("is not the name of a model"), "{said:?}");
    }
    let said = messages("[openclaw]\nmodel = \"--help\"\n");
    assert!(said[0].contains("is not the name of a model"), "{said:?}");
}

#[test]
fn a_model_of_a_seat_is_a_name_or_a_whole_path() {
    let text = |model: &str| format!("[seat.general]\nmodel = \"{model}\"\n");
    for good in ["smollm2-135m-instruct", "Qwen3_4B.Q4", "/models/a b.gguf"] {
        Manifest::parse(&text(good)).unwrap();
    }
    for bad in ["", "..", "models/a.gguf", "~/a.gguf", "-x", "a b"] {
        assert_eq!(
            messages(&text(bad)),
            ["`seat.general.model`: a name of the store, or a path that begins with `/`"],
            "{bad}"
        );
    }
}

#[test]
fn a_provider_that_is_proxyd_itself_is_refused() {
    let text = |url: &str| {
        format!(
            "[provider.x]\nbase_url = \"{url}\"\nkey = \"x\"\n[route]\ncouncil-brain = [\"x/m\"]\n"
        )
    };
    for bad in ["http://127.0.0.1:4040/v1", "https://localhost:4040/v1", "http://[::1]:4040"] {
        let said = messages(&text(bad));
        assert_eq!(said, ["this is proxyd itself, which would ask itself for ever"], "{bad}");
    }
    Manifest::parse(&text("http://127.0.0.1:4041/v1")).unwrap();
    Manifest::parse(&text("http://[::1]/v1")).unwrap();
    for bad in ["https://:443/v1", "https://x.example:0/v1", "https://x.example:99999/v1"] {
        assert_eq!(messages(&text(bad)).len(), 1, "{bad}");
    }
}

#[test]
fn a_route_does_not_fall_back_on_itself() {
    let said = messages("[route]\ncouncil-brain = [\"general\", \"general\"]\n");
    assert_eq!(said, ["the route lists `general` twice"]);
}

#[test]
fn two_ports_that_clash_are_shown_at_the_one_that_is_written() {
    let text = "[guest]\nssh_port = 4040\n";
    let found = problems(text);
    assert_eq!(&text[found[0].span.clone()], "4040");
    assert_eq!(
        found[0].message,
        "port 4040 is claimed twice: by guest.ssh_port and by proxyd.port"
    );
}

#[test]
fn what_would_move_the_cursor_is_spelled_out() {
    for text in ["[guest]\ndriver = \"\\u001b[31mred\"\n", "[\"\\u001b[31m\"]\n", "a = \u{1b}\n"] {
        for problem in problems(text) {
            let shown = problem.message + &problem.help;
            assert!(!shown.contains(char::is_control), "{shown:?}");
        }
    }
}

#[test]
fn a_text_without_end_is_refused_before_it_is_read() {
    let said = messages(&"#".repeat((1 << 20) + 1));
    assert_eq!(said, ["a manifest has at most 1 MiB, and this one 1048577 B"]);
}

#[test]
fn what_is_nested_without_end_is_refused() {
    for text in [
        format!("a = {}", "[".repeat(200_000)),
        format!("a = {}", "{a=".repeat(200_000)),
        format!("{} = 1", vec!["a"; 100_000].join(".")),
    ] {
        assert!(messages(&text)[0].contains("recur"));
    }
}

#[test]
fn no_more_problems_are_told_than_anybody_reads() {
    let one = |index| format!("[component.c{index}]\nprogram = \"x\"\nneeds = [\"d{index}\"]\n");
    let text: String = (0..2000).map(one).collect();
    assert_eq!(problems(&text).len(), 256);
}
