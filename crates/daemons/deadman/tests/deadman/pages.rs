//! Pages reach somebody, by one way or another, whoever dies.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::stand::{QUICK, Stand, send, state};

#[test]
fn a_castellan_that_does_not_come_back_is_paged_by_the_first_way_that_works_and_resolved() {
    let mut stand = Stand::new("");
    let taken = stand.path("page").display().to_string();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    stand.write(
        "deadman.conf",
        &format!(
            "{QUICK}page_http = http://{closed}/\n\
             page_exec = /bin/false\npage_exec = /usr/bin/tee -a {taken}\n"
        ),
    );
    let first = stand.castellan();
    stand.deadman();
    stand.until("it is watched", || stand.has("watching"));
    stand.write("mode", "exit\n");
    stand.kill(first);
    stand.until("the page is taken", || stand.has("page-delivered"));
    let page = stand.read("page");
    assert!(page.starts_with("castellan is down on "), "{page}");
    for part in ["castellan is dead: pid ", "did not come back", "evidence: /", "last words"] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    assert_eq!((stand.starts().len(), stand.count("page-failed")), (3, 2));
    assert_eq!(stand.path("deadman/outbox").read_dir().unwrap().count(), 0);
    assert_eq!(stand.path("deadman/sent").read_dir().unwrap().count(), 1);

    stand.write("mode", "work\n");
    stand.castellan();
    stand.until("the page is resolved", || stand.count("page-delivered") == 2);
    assert!(stand.read("page").contains("castellan is back on "));
    assert_eq!(stand.count("page"), 2);
}

#[test]
fn a_page_is_posted_to_a_listener_and_an_outside_watcher_hears_the_heartbeat() {
    let (page_port, pages) = server("200 OK");
    let (beat_port, beats) = server("200 OK");
    let mut stand = Stand::new(&format!(
        "{QUICK}page_http = http://localhost:{page_port}/page?who=me\n\
         heartbeat_http = http://127.0.0.1:{beat_port}/beat\nheartbeat_interval = 200ms\n"
    ));
    let first = stand.castellan();
    stand.deadman();
    let beat = beats.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(beat.starts_with("GET /beat HTTP/1.1\r\n"), "{beat}");
    stand.until("it is watched", || stand.has("watching"));
    stand.write("mode", "mute\n");
    send("STOP", &first.to_string());
    let page = pages.recv_timeout(Duration::from_mins(1)).unwrap();
    assert!(page.starts_with("POST /page?who=me HTTP/1.1\r\n"), "{page}");
    assert!(page.contains("\r\n\r\ncastellan is down on "), "{page}");
    assert_eq!(stand.count("started"), 2);
    assert_eq!(
        stand.count("killed"),
        2,
        "the first, and the one that was started and said nothing"
    );
}

#[test]
fn a_page_that_nobody_takes_outlives_the_deadman() {
    let mut stand = Stand::new(&format!("{QUICK}page_exec = /bin/false\n"));
    let first = stand.castellan();
    let deadman = stand.deadman();
    stand.until("it is watched", || stand.has("watching"));
    stand.write("mode", "exit\n");
    stand.kill(first);
    stand.until("the page waits", || stand.has("page-waits"));
    stand.kill(deadman);
    let taken = stand.path("page").display().to_string();
    stand.write("deadman.conf", &format!("{QUICK}page_exec = /usr/bin/tee -a {taken}\n"));
    stand.deadman();
    stand.until("the page is taken", || stand.has("page-delivered"));
    assert!(stand.read("page").starts_with("castellan is down on "));
    stand.until("the page is put away", || stand.path("deadman/sent").exists());
    assert_eq!(stand.count("page"), 1, "the next one does not page again what is paged");
}

#[test]
fn a_lease_that_was_never_whole_is_paged_and_nobody_is_started_or_signalled() {
    let mut stand = Stand::new("stale_after = 300ms\n");
    let stranger = stand.stranger();
    stand.write("run/castellan.lease", &format!("version 1\nstate keeping\npid {stranger}"));
    stand.deadman();
    stand.until("it is paged", || stand.has("page"));
    assert!(!stand.has("started") && !stand.has("killed"));
    assert_eq!(state(stranger), Some('S'));
}

/// Answers every request, and tells what was asked.
fn server(answer: &'static str) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if sender.send(exchange(stream.unwrap(), answer)).is_err() {
                return;
            }
        }
    });
    (port, receiver)
}

fn exchange(mut stream: TcpStream, answer: &str) -> String {
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count) = stream.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
        if count == 0 {
            break;
        }
    }
    write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").ok();
    String::from_utf8_lossy(&bytes).into_owned()
}
