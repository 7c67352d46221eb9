//! What is made of what `limactl` says, with a stand-in for it.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Signal, getpid, kill_process};
use sanctum_model::manifest::ToolProfile;
use tokio::sync::Notify;

use super::run::{live, watch};
use super::*;

/// A stand-in that keeps the instance's status in a file, and each order in another.
struct Stand {
    directory: tempfile::TempDir,
}

impl Stand {
    /// `on_start` and `on_stop` are what the two orders do, in shell; `$S` is the status file.
    fn new(status: &str, on_start: &str, on_stop: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path().display();
        let script = format!(
            "#!/bin/sh\nS={here}/status\necho \"$*\" >> {here}/orders\ncase $1 in\n\
             list)\n  [ -s $S ] || {{ echo 'No instance matching sanctum found.' >&2; exit 1; }}\n\
             cat $S ;;\nstart)\n  {on_start} ;;\nstop)\n  {on_stop} ;;\nesac\n"
        );
        let path = directory.path().join("limactl");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(directory.path().join("status"), status).unwrap();
        Self { directory }
    }

    fn limactl(&self) -> String {
        self.directory.path().join("limactl").display().to_string()
    }

    fn looks(&self) -> usize {
        let text = fs::read_to_string(self.directory.path().join("orders")).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("list")).count()
    }

    fn orders(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join("orders")).unwrap_or_default();
        text.lines().filter(|line| !line.starts_with("list")).map(str::to_owned).collect()
    }
}

fn row(status: &str) -> String {
    format!(
        "{{\"name\":\"sanctum\",\"status\":\"{status}\",\"sshLocalPort\":1922,\
         \"errors\":[\"host agent is running but driver is not\"]}}\n"
    )
}

fn becomes(status: &str) -> String {
    format!("echo '{}' > $S", row(status).trim_end())
}

#[tokio::test]
async fn a_running_instance_is_started_by_doing_nothing() {
    let lima = Stand::new(&row("Running"), "exit 9", "exit 9");
    assert_eq!(start(&lima.limactl(), Path::new("x.yaml")).await.unwrap(), 1922);
    assert!(lima.orders().is_empty());
}

#[tokio::test]
async fn an_instance_that_lima_does_not_show_is_made_from_its_file() {
    let lima = Stand::new("", &becomes("Running"), "exit 9");
    assert!(matches!(state(&lima.limactl()).await, LimaState::Unknown { .. }));
    assert_eq!(start(&lima.limactl(), Path::new("/s/lima.yaml")).await.unwrap(), 1922);
    assert_eq!(lima.orders(), ["start --tty=false --timeout=600s --name=sanctum /s/lima.yaml"]);
}

#[tokio::test]
async fn a_start_that_says_it_failed_counts_by_what_is_seen() {
    let late = becomes("Running") + "; echo 'did not receive an event' >&2; exit 1";
    let lima = Stand::new(&row("Stopped"), &late, "exit 9");
    assert_eq!(start(&lima.limactl(), Path::new("x.yaml")).await.unwrap(), 1922);
}

#[tokio::test]
async fn a_start_that_says_it_worked_counts_by_what_is_seen() {
    let lima = Stand::new(&row("Stopped"), "exit 0", "exit 9");
    let error = start(&lima.limactl(), Path::new("x.yaml")).await.unwrap_err().to_string();
    assert!(error.contains("it is stopped"), "{error}");
}

#[tokio::test]
async fn a_broken_instance_is_stopped_by_force_before_it_is_started() {
    let only_force = format!("[ \"$2\" = -f ] || exit 1; {}", becomes("Stopped"));
    let lima = Stand::new(&row("Broken"), &becomes("Running"), &only_force);
    assert_eq!(start(&lima.limactl(), Path::new("x.yaml")).await.unwrap(), 1922);
    assert_eq!(lima.orders(), ["stop -f sanctum", "start --tty=false --timeout=600s sanctum"]);
}

#[tokio::test]
async fn a_stop_that_only_works_by_force_works() {
    let only_force = format!("[ \"$2\" = -f ] || exit 1; {}", becomes("Stopped"));
    let lima = Stand::new(&row("Running"), "exit 9", &only_force);
    stop(&lima.limactl()).await.unwrap();
    assert_eq!(lima.orders(), ["stop sanctum", "stop -f sanctum"]);
}

#[tokio::test]
async fn a_list_that_is_empty_with_exit_status_zero_is_unknown_and_not_stopped() {
    let lima = Stand::new("\n", "exit 9", "exit 0");
    assert!(matches!(state(&lima.limactl()).await, LimaState::Unknown { .. }));
    assert!(matches!(stop(&lima.limactl()).await, Err(GuestError::Lima { .. })));
}

#[tokio::test]
async fn a_missing_limactl_is_unknown() {
    let LimaState::Unknown { why } = state("/no/such/limactl").await else { panic!() };
    assert!(why.contains("/no/such/limactl"));
}

#[tokio::test]
async fn an_instance_that_lima_has_is_started_with_what_is_wanted_now() {
    let lima = Stand::new("", &becomes("Running"), "exit 9");
    let directory = lima.directory.path();
    let row = row("Stopped").replace("{\"name\"", &format!("{{\"dir\":{directory:?},\"name\""));
    fs::write(directory.join("status"), row).unwrap();
    let wanted = directory.join("wanted.yaml");
    fs::write(&wanted, "cpus: 4\n").unwrap();
    start(&lima.limactl(), &wanted).await.unwrap();
    assert_eq!(fs::read_to_string(directory.join("lima.yaml")).unwrap(), "cpus: 4\n");
    assert_eq!(lima.orders(), ["start --tty=false --timeout=600s sanctum"]);
}

#[tokio::test]
async fn a_run_starts_the_guest_and_stops_it_when_told() {
    let lima = Stand::new(&row("Stopped"), &becomes("Running"), &becomes("Stopped"));
    let (limactl, paths) = (lima.limactl(), GuestPaths::new(lima.directory.path()));
    let told_when_it_runs = async {
        while !matches!(state(&limactl).await, LimaState::Running { .. }) {}
        kill_process(getpid(), Signal::TERM).unwrap();
    };
    let (ended, ()) =
        within(async { tokio::join!(run(&limactl, &paths), told_when_it_runs) }).await;
    ended.unwrap();
    assert_eq!(lima.orders(), ["start --tty=false --timeout=600s sanctum", "stop sanctum"]);
}

#[tokio::test]
async fn a_run_that_cannot_start_the_guest_ends_with_an_error() {
    let lima = Stand::new(&row("Stopped"), "exit 1", "exit 9");
    let paths = GuestPaths::new(lima.directory.path());
    let error = within(run(&lima.limactl(), &paths)).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot start the guest with Lima: it is stopped"), "{error}");
}

#[tokio::test]
async fn a_guest_that_is_seen_down_twice_is_down() {
    for (status, says) in [("Broken", "host agent is running"), ("Stopped", "it is stopped")] {
        let lima = Stand::new(&row(status), "exit 9", "exit 9");
        let error = within(watch(&lima.limactl(), Duration::ZERO)).await.to_string();
        assert!(error.starts_with("cannot keep up") && error.contains(says), "{error}");
        assert_eq!(lima.looks(), 2);
    }
}

#[tokio::test]
async fn a_guest_that_lima_does_not_show_is_neither_up_nor_down() {
    let lima = Stand::new("", "exit 9", "exit 9");
    let limactl = lima.limactl();
    let shown_after_a_while = async {
        while lima.looks() < 5 {
            tokio::task::yield_now().await;
        }
        fs::write(lima.directory.path().join("status"), row("Broken")).unwrap();
    };
    within(async { tokio::join!(watch(&limactl, Duration::ZERO), shown_after_a_while) }).await;
    assert!(lima.looks() >= 6, "{}", lima.looks());
}

#[test]
fn a_guest_for_lima_has_its_keys_its_pin_and_a_private_file_and_no_disk_here() {
    let home = tempfile::tempdir().unwrap();
    let paths = GuestPaths::new(home.path());
    let image = Image { key: "ab12".to_owned(), directory: home.path().to_owned() };
    let sum = "ab".repeat(32);
    let manifest = format!(
        "{{\"key\":\"ab12\",\"contract\":1,\"arch\":\"\",\"suite\":\"\",\"kernel\":\"\",\"node\":\"\",\
         \"openclaw\":\"\",\"sha256\":{{\"{DISK}\":\"{sum}\"}}}}"
    );
    fs::write(home.path().join("manifest.json"), manifest).unwrap();
    let settings = InstanceSettings {
        ssh_port: 1923,
        model: "council-brain",
        tools: ToolProfile::Minimal,
        context_tokens: 8192,
        answer_tokens_max: 1024,
    };
    let secrets = Secrets::at(home.path().join("secrets"));
    prepare(&paths, &image, &secrets, &settings, 2, 3072).unwrap();
    let yaml = fs::read_to_string(paths.lima_yaml()).unwrap();
    for part in ["\"localPort\":1923", &format!("sha256:{sum}"), "openclaw.json"] {
        assert!(yaml.contains(part), "{part}");
    }
    assert_eq!(fs::metadata(paths.lima_yaml()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(paths.known_hosts()).unwrap().starts_with("[127.0.0.1]:1923 "));
    assert!(!paths.disk().exists() && !paths.instance_tar().exists());
}

#[tokio::test]
async fn a_run_that_is_told_twice_does_not_wait_for_the_guest() {
    let slow = format!("if [ \"$2\" = -f ]; then {}; else exec sleep 60; fi", becomes("Stopped"));
    let lima = Stand::new(&row("Running"), "exit 9", &slow);
    let (limactl, teller) = (lima.limactl(), Notify::new());
    let told_twice = async {
        while lima.looks() == 0 {
            tokio::task::yield_now().await;
        }
        teller.notify_one();
        while lima.orders().is_empty() {
            tokio::task::yield_now().await;
        }
        teller.notify_one();
    };
    let run = live(&limactl, Path::new("x.yaml"), async || teller.notified().await);
    let (ended, ()) = within(async { tokio::join!(run, told_twice) }).await;
    ended.unwrap();
    assert_eq!(lima.orders(), ["stop sanctum", "stop -f sanctum"]);
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future).await.unwrap()
}
