//! What launchd says, read.

use super::*;

/// In the form in which macOS 26 prints an agent that runs.
const RUNNING: &str = "gui/501/com.example.job = {
\tactive count = 1
\tpath = /Users/a/Library/LaunchAgents/com.example.job.plist
\ttype = LaunchAgent
\tstate = running

\tprogram = /bin/sh
\targuments = {
\t\t/bin/sh
\t\t-c
\t\tprogram=/opt/example/job
[ -x \"$program\" ] || {
\tpid = 99
\tstate = not running
}
exec \"$program\"

\t}

\tworking directory = /Users/a

\tstdout path = /Users/a/Library/Logs/job.log
\tinherited environment = {
\t\tSSH_AUTH_SOCK => /private/tmp/com.apple.launchd.x/Listeners
\t}

\tdefault environment = {
\t\tPATH => /usr/bin:/bin:/usr/sbin:/sbin
\t}

\tenvironment = {
\t\tXPC_SERVICE_NAME => com.example.job
\t}

\tdomain = gui/501 [100008]
\tasid = 100008
\tminimum runtime = 10
\texit timeout = 5
\truns = 2
\tpid = 1219
\timmediate reason = speculative
\tforks = 2
\texecs = 1
\tinitialized = 1
\ttrampolined = 1
\tstarted suspended = 0
\tproxy started suspended = 0
\tlast exit code = (never exited)

\tresource coalition = {
\t\tID = 777
\t\ttype = resource
\t\tstate = active
\t\tactive count = 1
\t\tname = com.example.job
\t}

\tspawn type = daemon (3)
\tjetsam priority = 40
\tjob state = running

\tproperties = keepalive | runatload | inferred program
}
";

/// A crash loop, as launchd throttles it.
const SCHEDULED: &str = "gui/501/com.example.job = {
\tactive count = 0
\tpath = /Users/a/Library/LaunchAgents/com.example.job.plist
\tstate = spawn scheduled

\tprogram = /opt/example/job
\tminimum runtime = 10
\truns = 87
\tlast exit code = 78: EX_CONFIG
}
";

fn said(code: i32, errors: &str) -> Said {
    Said { code, output: String::new(), errors: errors.to_owned() }
}

#[test]
fn a_job_that_runs_is_read_past_its_blocks_and_its_raw_arguments() {
    let printed = parse_print(RUNNING);
    assert_eq!((printed.active, printed.pid), (Active::Running, Some(1219)));
    assert_eq!((printed.runs, printed.last_exit), (Some(2), None));
    assert_eq!(job(&parse_print(RUNNING)).restarts, Some(1));
}

#[test]
fn a_job_that_is_throttled_waits_and_says_how_it_ended() {
    let printed = parse_print(SCHEDULED);
    assert_eq!((printed.active, printed.pid, printed.runs), (Active::Waiting, None, Some(87)));
    assert_eq!(printed.last_exit.as_deref(), Some("exit code 78: EX_CONFIG"));
}

#[test]
fn a_signal_stands_in_place_of_a_code() {
    let text = "\tstate = not running\n\tlast terminating signal = Killed: 9\n";
    let printed = parse_print(text);
    assert_eq!(printed.active, Active::Ended);
    assert_eq!(printed.last_exit.as_deref(), Some("signal Killed: 9"));
}

#[test]
fn each_of_the_words_of_launchd_has_its_meaning() {
    let table = [
        ("running", Active::Running),
        ("xpcproxy", Active::Starting),
        ("SIGTERMed", Active::Stopping),
        ("spawn scheduled", Active::Waiting),
        ("not running", Active::Ended),
        ("waiting", Active::Ended),
        ("", Active::Unclear),
        ("on holiday", Active::Unclear),
    ];
    for (word, active) in table {
        assert_eq!(parse_state(word), active, "{word}");
    }
    assert_eq!(parse_print("something else entirely").active, Active::Unclear);
}

#[test]
fn a_label_is_disabled_in_the_old_words_and_in_the_new() {
    let new =
        "\n\tdisabled services = {\n\t\t\"com.a\" => disabled\n\t\t\"com.b\" => enabled\n\t}\n";
    let old = "\n\tdisabled services = {\n\t\t\"com.a\" => true\n\t\t\"com.b\" => false\n\t}\n";
    for text in [new, old] {
        assert!(parse_disabled(text, "com.a"));
        assert!(!parse_disabled(text, "com.b"));
        assert!(!parse_disabled(text, "com"));
    }
}

#[test]
fn each_code_of_launchctl_has_its_meaning() {
    let table = [
        (3, "Boot-out failed: 3: No such process", Refusal::NoJob),
        (5, "Bootstrap failed: 5: Input/output error", Refusal::Busy),
        (36, "Boot-out failed: 36: Operation now in progress", Refusal::Busy),
        (37, "Bootstrap failed: 37: Operation already in progress", Refusal::Busy),
        (
            113,
            "Bad request.\nCould not find service \"a\" in domain for user gui: 501",
            Refusal::NoJob,
        ),
        (112, "Bad request.\nCould not find domain for user gui: 501", Refusal::NoDomain),
        (113, "Could not find domain for user gui: 501", Refusal::NoDomain),
        (125, "Bootstrap failed: 125: Domain does not support specified action", Refusal::NoDomain),
        (119, "Bootstrap failed: 119: Service is disabled", Refusal::Disabled),
        (1, "Could not kickstart service \"a\": 1: Operation not permitted", Refusal::Other),
    ];
    for (code, words, refusal) in table {
        assert_eq!(read_refusal(&said(code, words)), refusal, "{words}");
    }
}

#[test]
fn nothing_that_would_name_a_whole_domain_is_a_label() {
    assert!(is_label("com.example.job") && is_label("homebrew.mxcl.a@1"));
    for label in ["", "a/b", "/", " ", "a b", "-k", "a\nb"] {
        assert!(!is_label(label), "{label:?}");
    }
}

#[test]
fn a_property_list_that_would_not_load_the_job_again_is_no_way_back() {
    let home = tempfile::tempdir().unwrap();
    let plist = home.path().join("com.a.plist");
    assert!(check_plist(&plist, "com.a").is_err(), "there is none");
    fs::write(&plist, "<key>Label</key><string>com.b</string>").unwrap();
    assert!(check_plist(&plist, "com.a").is_err(), "it is another's");
    fs::write(&plist, "<key>Label</key><string>com.a</string>").unwrap();
    fs::set_permissions(&plist, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(check_plist(&plist, "com.a"), Ok(()));
    fs::set_permissions(&plist, fs::Permissions::from_mode(0o664)).unwrap();
    assert!(check_plist(&plist, "com.a").is_err(), "others may write to it");
}
