//! A scripted seat, the daemon, and a client that tells a whole answer from a cut one.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, str};

/// No single wait of a test is longer.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);
pub(crate) const KEY: &str = "the-guests-own-key";
pub(crate) const SEAT_KEY: &str = "the-key-of-the-seat";

/// What a scripted seat does after it has read a request.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    /// Waits until the other side closes, and notes when that was.
    Hang,
}

pub(crate) fn send(text: impl Into<Vec<u8>>) -> Step {
    Step::Send(text.into())
}

/// A whole JSON answer.
pub(crate) fn json(status: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    vec![send(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {length}\r\nx-request-id: from-the-seat\r\n\r\n{body}"
    ))]
}

/// The head of a streamed answer.
pub(crate) fn stream_head() -> Step {
    send(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n",
    )
}

/// One piece of a chunked body.
pub(crate) fn chunk(text: &str) -> Step {
    send(format!("{:x}\r\n{text}\r\n", text.len()))
}

/// An event with some content.
pub(crate) fn content(text: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    )
}

pub(crate) const FINISH: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
pub(crate) const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":2,\"total_tokens\":13}}\n\n";
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// The end of a chunked body.
pub(crate) fn chunks_end() -> Step {
    send("0\r\n\r\n")
}

/// A request as a seat got it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A seat that follows a script; `script(n)` is for the n-th request.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    arrived: Receiver<()>,
    gone: Receiver<Instant>,
}

impl Upstream {
    pub(crate) fn start(script: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::start_with(script, |stream| stream)
    }

    /// As `start`, with something around each connection.
    pub(crate) fn start_with<S: Read + Write>(
        script: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (arrival, arrived) = mpsc::channel();
        let (going, gone) = mpsc::channel();
        let kept = Arc::clone(&seen);
        let shared = Arc::new((script, wrap));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, shared) = (Arc::clone(&kept), Arc::clone(&shared));
                let (arrival, going) = (arrival.clone(), going.clone());
                thread::spawn(move || {
                    let (script, wrap) = &*shared;
                    let mut stream = wrap(stream.unwrap());
                    let Some(request) = read_request(&mut stream) else { return };
                    let number = {
                        let mut kept = kept.lock().unwrap();
                        kept.push(request);
                        kept.len() - 1
                    };
                    let _sent = arrival.send(());
                    play(&mut stream, script(number), &going);
                });
            }
        });
        Self { port, seen, arrived, gone }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until a request is here.
    pub(crate) fn wait_for_request(&self) {
        self.arrived.recv_timeout(WAIT_MAX).expect("a request reaches the seat");
    }

    /// Waits until a hanging connection was closed from the other side, and tells when.
    pub(crate) fn wait_until_gone(&self) -> Instant {
        self.gone.recv_timeout(WAIT_MAX).expect("the connection to the seat is closed")
    }
}

fn read_request(stream: &mut impl Read) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length: usize = header(&head, "content-length").map_or(0, |n| n.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                return Some(Seen { head, body: bytes[end + 4..].to_vec() });
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn play(stream: &mut (impl Read + Write), steps: Vec<Step>, going: &Sender<Instant>) {
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(&bytes).and_then(|()| stream.flush()).is_err() {
                    let _sent = going.send(Instant::now());
                    return;
                }
            }
            Step::Pause(time) => thread::sleep(time),
            Step::Hang => {
                let mut buffer = [0; 1024];
                while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {}
                let _sent = going.send(Instant::now());
                return;
            }
        }
    }
}

/// The value of a header in a head.
pub(crate) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// One seat of a configuration, with limits that a busy machine keeps.
pub(crate) fn seat(name: &str, port: u16) -> String {
    format!(
        "[[seat]]\nname = \"{name}\"\nbase_url = \"http://127.0.0.1:{port}/v1\"\nsecret = \"seat\"\n\
         connect_timeout_s = 20\nfirst_byte_timeout_s = 60\nidle_timeout_s = 60\n\
         models = [{{ name = \"council-brain\", upstream = \"small/model:1\" }}]\n"
    )
}

/// As `seat`, with limits short enough to be waited for.
pub(crate) fn hasty_seat(name: &str, port: u16) -> String {
    seat(name, port)
        .replace("first_byte_timeout_s = 60", "first_byte_timeout_s = 2")
        .replace("idle_timeout_s = 60", "idle_timeout_s = 2")
}

/// A state directory with a configuration and the keys it names.
pub(crate) fn home(config: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("proxyd.toml"), config).unwrap();
    fs::DirBuilder::new().mode(0o700).create(home.path().join("secrets")).unwrap();
    secret(home.path(), "caller", KEY, 0o600);
    secret(home.path(), "other", "another-key", 0o600);
    secret(home.path(), "seat", SEAT_KEY, 0o600);
    home
}

pub(crate) fn secret(home: &Path, name: &str, value: &str, mode: u32) {
    let path = home.join("secrets").join(name);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).unwrap();
    file.write_all(value.as_bytes()).unwrap();
}

pub(crate) fn command(home: &Path) -> Command {
    let mut command =
        Command::new(std::env::var_os("CARGO_BIN_EXE_proxyd").expect("cargo says where it is"));
    command.arg("--config").arg(home.join("proxyd.toml"));
    command.arg("--secrets").arg(home.join("secrets"));
    command.env_remove("SANCTUM_LOG").stderr(Stdio::piped());
    command
}

/// The daemon, running; killed at the end of the test.
pub(crate) struct Proxyd {
    pub(crate) port: u16,
    pub(crate) child: Child,
    log: Arc<Mutex<String>>,
    _home: tempfile::TempDir,
}

impl Proxyd {
    /// Starts with two callers and these seats.
    pub(crate) fn start(seats: &str) -> Self {
        Self::start_in(home(&format!(
            "listen = \"127.0.0.1:0\"\n[[caller]]\nname = \"guest-main\"\nsecret = \"caller\"\n\
             [[caller]]\nname = \"other\"\nsecret = \"other\"\n{seats}"
        )))
    }

    pub(crate) fn start_in(home: tempfile::TempDir) -> Self {
        let mut child = command(home.path()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                *kept.lock().unwrap() += &(line + "\n");
            }
        });
        let mut proxyd = Self { port: 0, child, log, _home: home };
        let line = proxyd.wait_for_log("listening address=");
        let address: SocketAddr = line.split("address=").nth(1).unwrap().trim().parse().unwrap();
        proxyd.port = address.port();
        proxyd
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log that holds `text`.
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            if let Some(line) = self.log().lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "no `{text}` in the log:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the line that tells of a request.
    pub(crate) fn request_line(&self) -> String {
        self.wait_for_log(" request id=")
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A connection on which a request has been sent.
    pub(crate) fn send(&self, request: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        stream
    }

    /// Sends a request and reads the answer to its end.
    pub(crate) fn exchange(&self, request: &[u8]) -> Reply {
        Reply::read(&mut self.send(request))
    }

    /// A chat request with the guest's key.
    pub(crate) fn chat(&self, body: &str) -> Vec<u8> {
        let authorization = format!("authorization: Bearer {KEY}\r\n");
        self.request("POST", "/v1/chat/completions", &authorization, body)
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
        let (port, length) = (self.port, body.len());
        format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{headers}\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

impl Drop for Proxyd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An answer, and whether it came to its proper end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) whole: bool,
}

impl Reply {
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A connection that is reset has ended as well.
        drop(stream.read_to_end(&mut bytes));
        let end = find(&bytes, b"\r\n\r\n");
        assert!(end.is_some(), "no answer: {:?}", String::from_utf8_lossy(&bytes));
        let end = end.unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let raw = &bytes[end + 4..];
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let (body, whole) = match header(&head, "content-length") {
            Some(length) => (raw.to_vec(), raw.len() == length.parse::<usize>().unwrap()),
            None => unchunk(raw),
        };
        Self { status, head, body: String::from_utf8(body).unwrap(), whole }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The code of the error in the body.
    pub(crate) fn code(&self) -> Option<String> {
        sanctum_dialect::ApiError::parse(self.body.as_bytes())?.code
    }
}

/// The body, and whether the last chunk was there.
fn unchunk(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = find(raw, b"\r\n") {
        let length = usize::from_str_radix(str::from_utf8(&raw[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let rest = &raw[line + 2..];
        body.extend_from_slice(&rest[..length.min(rest.len())]);
        raw = rest.get(length + 2..).unwrap_or_default();
    }
    (body, false)
}

pub(crate) const ASK: &str = r#"{"model":"council-brain","messages":[]}"#;
pub(crate) const ASK_STREAM: &str = r#"{"model":"council-brain","messages":[],"stream":true}"#;
