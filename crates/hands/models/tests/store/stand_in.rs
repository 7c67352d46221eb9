//! A hub with one file, and the faults a hub can have.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};

/// The path of the one file.
const FILE: &str = "/Org/Repo/resolve/";

/// How the stand-in behaves.
#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    pub(crate) content: Vec<u8>,
    /// The hash it claims, if not the true one.
    pub(crate) claims: Option<String>,
    /// It sends so many bytes of the body and hangs up, this many times.
    pub(crate) cuts: Vec<usize>,
    /// It answers every request with the whole file.
    pub(crate) ignores_ranges: bool,
    /// It answers nothing but this.
    pub(crate) status: Option<&'static str>,
    /// It says nothing of the hash.
    pub(crate) silent: bool,
    /// The repository has another name now.
    pub(crate) moved: bool,
}

/// A running stand-in.
pub(crate) struct StandIn {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut behaviour = behaviour;
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that hangs up in the middle is part of the game.
                drop(answer(&stream, &mut behaviour, &log));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far: method, path, range and authorization.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(
    stream: &TcpStream,
    behaviour: &mut Behaviour,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut words = request.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (mut range, mut entry) = (0, format!("{method} {path}"));
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let line = line.to_ascii_lowercase();
        if let Some(from) = line.strip_prefix("range: bytes=") {
            range = from.trim_end_matches('-').parse().unwrap();
            entry = format!("{entry} from {range}");
        }
        if let Some(token) = line.strip_prefix("authorization: ") {
            entry = format!("{entry} as {token}");
        }
    }
    log.lock().unwrap().push(entry);
    if let Some(status) = behaviour.status {
        return head(stream, status, &[]);
    }
    if behaviour.moved && path.starts_with(FILE) {
        let elsewhere = path.replace("/Org/Repo/", "/New/Repo/");
        return head(stream, "307 Temporary Redirect", &[("location", elsewhere)]);
    }
    if path.contains("/resolve/") {
        return redirect(stream, behaviour);
    }
    send(stream, behaviour, range)
}

fn redirect(stream: &TcpStream, behaviour: &Behaviour) -> std::io::Result<()> {
    let true_hash = || format!("{:x}", Sha256::digest(&behaviour.content));
    let hash = behaviour.claims.clone().unwrap_or_else(true_hash);
    let mut headers = vec![("location", "/cdn/blob".to_owned())];
    if !behaviour.silent {
        headers.push(("x-linked-etag", format!("\"{hash}\"")));
        headers.push(("x-linked-size", behaviour.content.len().to_string()));
        headers.push(("x-repo-commit", "c0ffee".to_owned()));
    }
    head(stream, "302 Found", &headers)
}

fn send(mut stream: &TcpStream, behaviour: &mut Behaviour, range: usize) -> std::io::Result<()> {
    let from = if behaviour.ignores_ranges { 0 } else { range };
    let length = behaviour.content.len();
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let body = &behaviour.content[from..];
    write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len())?;
    if from > 0 {
        write!(stream, "content-range: bytes {from}-{}/{length}\r\n", length - 1)?;
    }
    stream.write_all(b"\r\n")?;
    let cut = if behaviour.cuts.is_empty() { body.len() } else { behaviour.cuts.remove(0) };
    stream.write_all(&body[..cut.min(body.len())])
}

fn head(mut stream: &TcpStream, status: &str, headers: &[(&str, String)]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n")?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")
}
