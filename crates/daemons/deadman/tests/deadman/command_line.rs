//! The program by itself.

use std::process::{Command, Output};

use crate::stand::{QUICK, Stand, boot, lease, started};

fn deadman(arguments: &[&str]) -> Output {
    let mut deadman = Command::new(
        std::env::var_os("CARGO_BIN_EXE_castellan-deadman").expect("cargo says where it is"),
    );
    deadman.args(arguments).env_remove("SANCTUM_HOME").output().unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn the_help_tells_every_option_and_exit_code() {
    let help = said(&deadman(&["--help"])).replace('\n', " ");
    for part in
        ["--home", "--once", "--version", " 0 ", " 1 ", " 2 ", " 64 ", " 69 ", " 74 ", " 78 "]
    {
        assert!(help.contains(part), "{part} is not in\n{help}");
    }
    assert!(said(&deadman(&["--version"])).starts_with("castellan-deadman "));
}

#[test]
fn arguments_that_are_wrong_are_refused_with_64() {
    for arguments in [&["--onec"][..], &[], &["--home"], &["--once"], &["--home", "/", "x"]] {
        assert_eq!(deadman(arguments).status.code(), Some(64), "{arguments:?}");
    }
    assert_eq!(deadman(&["--home", "/no/such/place"]).status.code(), Some(74));
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_78_and_all_its_faults() {
    let stand = Stand::new("stale_after = soon\nrestarts = 3\npage_http = https://example.org/\n");
    let output = deadman(&["--home", stand.home().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    for part in ["line 1: `soon`", "line 2: `restarts`", "line 3: ", "page_exec = /usr/bin/curl"] {
        assert!(said(&output).contains(part), "{part} is not in\n{}", said(&output));
    }
}

#[test]
fn one_look_tells_by_its_exit_code_what_is_true() {
    let mut stand = Stand::new(QUICK);
    let home = stand.home().to_str().unwrap().to_owned();
    let look = || deadman(&["--home", &home, "--once"]);
    let code = |output: &Output| output.status.code().unwrap();

    assert_eq!(code(&look()), 0, "there is nothing to guard");
    stand.write("run/castellan.lease", "version 1\n");
    assert_eq!(code(&look()), 2, "{}", said(&look()));
    let sleeper = stand.stranger();
    stand.write("run/castellan.lease", &lease(&stand, sleeper, &started(sleeper), &boot()));
    assert_eq!(code(&look()), 1, "it is old");
    stand.write("run/castellan.lease", &lease(&stand, sleeper, "1", &boot()));
    assert!(said(&look()).starts_with("castellan is dead: "), "{}", said(&look()));
    stand.castellan();
    assert!(said(&look()).starts_with("castellan works (pid "), "{}", said(&look()));
    assert_eq!(code(&look()), 0);
    assert!(stand.words().is_empty() && !stand.path("deadman").exists(), "it touches nothing");
}

#[test]
fn a_second_deadman_is_refused_with_69_until_the_first_is_dead() {
    let mut stand = Stand::new(QUICK);
    let first = stand.deadman();
    stand.until("it looks", || stand.has("deadman"));
    let home = stand.home().to_str().unwrap().to_owned();
    let second = deadman(&["--home", &home]);
    assert_eq!(second.status.code(), Some(69));
    assert!(said(&second).contains(&home));
    stand.kill(first);
    stand.deadman();
    stand.until("the next one looks", || stand.count("deadman") == 2);
}

#[test]
fn it_depends_on_nothing_but_the_standard_library() {
    let manifest = include_str!("../../Cargo.toml");
    let sections: Vec<&str> = manifest.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(sections, ["[package]", "[dev-dependencies]", "[lints]"]);
}
