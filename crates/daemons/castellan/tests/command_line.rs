//! The program by itself; what it does with its components is tested in `testkit`.

use std::process::Command;

#[test]
fn the_help_tells_every_exit_code() {
    let output =
        Command::new(std::env::var_os("CARGO_BIN_EXE_castellan").expect("cargo says where it is"))
            .arg("--help")
            .output()
            .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for code in [" 0 ", " 1 ", " 69 ", " 78 "] {
        assert!(help.replace('\n', " ").contains(code), "{code} is not in\n{help}");
    }
}

#[test]
fn a_state_directory_without_a_manifest_is_named_with_78() {
    let home = tempfile::tempdir().unwrap();
    let mut castellan =
        Command::new(std::env::var_os("CARGO_BIN_EXE_castellan").expect("cargo says where it is"));
    castellan.arg("--home").arg(home.path()).arg("--cache").arg(home.path());
    let output = castellan.output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("sanctum.toml"), "{log}");
    assert_eq!(
        home.path().read_dir().unwrap().count(),
        0,
        "nothing is made where nothing is meant"
    );
}
