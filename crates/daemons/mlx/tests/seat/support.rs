//! A seat as a real process, and an HTTP client small enough to see every byte.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The time a seat gets to load its model, or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running seat. It is killed when this is dropped.
pub(crate) struct Seat {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Seat {
    /// Starts a scripted seat without a key.
    pub(crate) fn scripted(more: &[&str]) -> Self {
        let mut arguments = vec!["--engine", "scripted", "--no-key"];
        arguments.extend(more);
        Self::start(&arguments)
    }

    /// Starts a seat on a free port and waits until it listens.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("listening address=") {
                    let address: SocketAddr = address.trim().parse().unwrap();
                    sender.send(address).unwrap();
                }
            }
        });
        let Ok(address) = receiver.recv_timeout(PATIENCE) else {
            child.kill().unwrap();
            panic!("the seat does not listen");
        };
        Self { child, address }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").answer()
    }

    /// Asks for a completion.
    pub(crate) fn chat(&self, body: &str) -> Answer {
        self.send("POST", "/v1/chat/completions", &[], body).answer()
    }

    /// Sends a request and leaves its answer to be read.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Exchange {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            write!(head, "Host: {}\r\n", self.address).unwrap();
        }
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // A server may refuse before it has read a large body.
        drop(stream.write_all(body.as_bytes()));
        Exchange { stream: BufReader::new(stream) }
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        wait(&mut self.child)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(
        std::env::var_os("CARGO_BIN_EXE_sanctum-mlx").expect("cargo says where it is"),
    );
    if !arguments.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs a seat that is to end by itself. Returns its exit code and what it said.
pub(crate) fn fails(arguments: &[&str]) -> (i32, String) {
    let mut child = command(arguments).spawn().unwrap();
    let status = wait(&mut child);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status.code().unwrap(), said)
}

fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the seat does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A request that was sent.
pub(crate) struct Exchange {
    stream: BufReader<TcpStream>,
}

impl Exchange {
    /// Reads up to a line that holds `text`.
    pub(crate) fn read_until(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.stream.read_line(&mut line).unwrap(), 0, "no {text:?} came");
        }
    }

    /// Reads what is left, as it is.
    pub(crate) fn answer_rest(mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).unwrap();
        rest
    }

    /// Reads the whole answer.
    pub(crate) fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        // A server that refuses early may reset the connection after its answer.
        drop(self.stream.read_to_end(&mut bytes));
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|it| it.split(' ').nth(1)).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let chunked =
            headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if chunked { unchunk(body) } else { body.to_owned() };
        Answer { status, headers, body }
    }
}

fn unchunk(mut text: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(&rest[..size]);
        text = rest[size..].strip_prefix("\r\n").unwrap();
        if size == 0 {
            break;
        }
    }
    whole
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The text of a whole completion.
    pub(crate) fn content(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    }

    /// The code of an error in OpenAI's shape.
    pub(crate) fn error_code(&self) -> String {
        let error = &self.json()["error"];
        assert!(error["message"].is_string() && error["type"].is_string(), "{}", self.body);
        error["code"].as_str().unwrap().to_owned()
    }

    /// The data of each server-sent event.
    pub(crate) fn events(&self) -> Vec<&str> {
        self.body.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect()
    }

    /// The text of a streamed completion.
    pub(crate) fn streamed_text(&self) -> String {
        self.events()
            .iter()
            .filter_map(|event| serde_json::from_str::<Value>(event).ok())
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
            .collect()
    }
}

/// The body of a request with one message of the user.
pub(crate) fn question(text: &str, more: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(r#"{{"messages":[{{"role":"user","content":{text}}}],"temperature":0{more}}}"#)
}

/// Waits for `condition`, which is looked at often.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
