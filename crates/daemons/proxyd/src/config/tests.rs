//! What the configuration accepts, and how it says no.

use super::*;

const SMALLEST: &str = r#"listen = "127.0.0.1:4040"
[[caller]]
name = "guest-main"
secret = "caller-main"
[[seat]]
name = "general"
base_url = "http://127.0.0.1:1337/v1/"
models = [{ name = "council-brain" }]
"#;

fn faults(text: &str) -> Vec<String> {
    let faults = Config::parse(text, Path::new("/etc")).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn the_smallest_configuration_has_sensible_limits() {
    let config = Config::parse(SMALLEST, Path::new("/etc")).unwrap();
    let seat = &config.seats[0];
    assert_eq!(seat.base_url, "http://127.0.0.1:1337/v1");
    assert_eq!(seat.models[0].upstream, "council-brain");
    assert_eq!(seat.patience.first_byte, Duration::from_mins(10));
}

#[test]
fn five_faults_are_five_lines_each_with_its_place() {
    let text = r#"listen = "0.0.0.0:4040"
colour = "red"
[[caller]]
name = "Guest Main"
secret = "caller-main"
[[seat]]
name = "general"
base_url = "ftp://example.org"
idle_timeout_s = 0
models = [{ name = "a" }]
"#;
    let expected = [
        "line 1: `listen`: only loopback addresses are listened on: use 127.0.0.1 or [::1]",
        "line 2: unknown key `colour`; known here: listen, host_ports, caller, seat",
        "line 4: caller 1: `name`: `Guest Main` is not a name: use 1 to 32 of a-z, 0-9 and `-`, a letter first",
        "line 8: seat 1: `base_url`: the URL must begin with http:// or https://",
        "line 9: seat 1: `idle_timeout_s` must be from 1 to 3600",
    ];
    assert_eq!(faults(text), expected);
}

#[test]
fn an_empty_file_says_what_is_missing() {
    let faults = faults("");
    assert_eq!(faults.len(), 3, "{faults:#?}");
    for key in ["`listen` is missing", "`caller` is missing", "`seat` is missing"] {
        assert!(faults.iter().any(|fault| fault.contains(key)), "{key}");
    }
}

#[test]
fn what_is_not_toml_is_said_with_its_line() {
    let faults = faults("listen = \"127.0.0.1:4040\"\nseat = [\n");
    assert!(faults[0].starts_with("line "), "{faults:?}");
}

#[test]
fn a_key_does_not_cross_a_network_in_the_clear() {
    let seat = |url: &str| SMALLEST.replace("http://127.0.0.1:1337/v1/", url);
    let keyed = |url: &str| seat(url).replace("models", "secret = \"seat\"\nmodels");
    for url in
        ["http://127.0.0.1:1/v1", "http://[::1]:1", "http://localhost", "https://lan.example"]
    {
        assert!(Config::parse(&keyed(url), Path::new("/")).is_ok(), "{url}");
    }
    assert!(Config::parse(&seat("http://lan.example/v1"), Path::new("/")).is_ok());
    let faults = faults(&keyed("http://lan.example/v1"));
    assert_eq!(faults.len(), 1);
    assert!(faults[0].contains("in the clear"), "{faults:?}");
}

#[test]
fn a_url_that_hides_something_is_refused() {
    for url in
        ["https://user:pass@host/v1", "https://host/v1?key=x", "/v1", "host:80", "", "http://"]
    {
        let text = SMALLEST.replace("http://127.0.0.1:1337/v1/", url);
        assert_eq!(faults(&text).len(), 1, "{url}");
    }
}

#[test]
fn a_name_may_stand_only_once() {
    let again =
        SMALLEST.replace("}]", "}, { name = \"council-brain\", upstream = \"other\", rank = 1 }]");
    assert!(Config::parse(&again, Path::new("/")).is_ok(), "two upstream models may share a name");
    let twice = format!(
        "{SMALLEST}[[caller]]\nname = \"guest-main\"\nsecret = \"caller-main\"\n\
         [[seat]]\nname = \"general\"\nbase_url = \"https://h\"\nmodels = [{{ name = \"a\" }}, {{ name = \"a\" }}]\n"
    );
    let faults = faults(&twice);
    assert_eq!(faults.len(), 4, "{faults:#?}");
    assert!(faults.iter().all(|fault| fault.contains("stands twice")), "{faults:#?}");
}
