//! Where a page goes: a program's standard input, or plain HTTP.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::tool;

/// What a program has to take a page.
const EXEC_MAX: Duration = Duration::from_secs(30);
/// What an exchange over HTTP may take, all in all.
const HTTP_MAX: Duration = Duration::from_secs(10);
/// What is read of an answer.
const ANSWER_BYTES_MAX: usize = 1024;

/// Somebody who takes pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Gets the text on its standard input, and has taken it if its exit code is 0.
    Exec { program: String, arguments: Vec<String> },
    /// Gets the text by POST, and has taken it if it answers 200 to 299.
    Http(Url),
}

/// An address without encryption: there is no TLS in std.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// As it stands in `Host`.
    authority: String,
    /// As it can be looked up, with a port.
    dial: String,
    path: String,
}

/// What is handed over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parcel<'a> {
    pub(crate) id: &'a str,
    pub(crate) text: &'a str,
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Arguments may hold what is nobody else's business.
            Self::Exec { program, .. } => formatter.write_str(program),
            Self::Http(url) => write!(formatter, "http://{}", url.authority),
        }
    }
}

impl Target {
    /// Hands a page over. Blocks for [`EXEC_MAX`] or [`HTTP_MAX`] at most.
    ///
    /// # Errors
    ///
    /// When it was not taken, as far as can be told.
    pub(crate) fn deliver(&self, parcel: Parcel<'_>) -> io::Result<()> {
        match self {
            Self::Exec { .. } => self.execute(parcel),
            Self::Http(url) => url.exchange("POST", parcel),
        }
    }

    /// Tells an outside watcher that we are there: GET, or the program with an empty input.
    ///
    /// # Errors
    ///
    /// As [`Target::deliver`].
    pub(crate) fn beat(&self) -> io::Result<()> {
        let parcel = Parcel { id: "", text: "" };
        match self {
            Self::Exec { .. } => self.execute(parcel),
            Self::Http(url) => url.exchange("GET", parcel),
        }
    }

    fn execute(&self, parcel: Parcel<'_>) -> io::Result<()> {
        let Self::Exec { program, arguments } = self else { return Ok(()) };
        let mut command = Command::new(program);
        command.args(arguments).env("SANCTUM_PAGE_ID", parcel.id);
        tool::run(&mut command, parcel.text, EXEC_MAX)?.success().map(drop)
    }
}

impl Url {
    /// Parses `http://HOST[:PORT][/PATH]`.
    ///
    /// # Errors
    ///
    /// When it is not one, or asks for what is not there.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err(format!(
                "`{text}` needs TLS, which is not built in: \
                 use `page_exec = /usr/bin/curl --fail --max-time 20 --data-binary @- {text}`"
            ));
        }
        let rest =
            text.strip_prefix("http://").ok_or_else(|| format!("`{text}` is no http URL"))?;
        if rest.chars().any(|c| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
            return Err(format!("`{text}` holds what must be escaped"));
        }
        let (address, _) = rest.split_once('#').unwrap_or((rest, ""));
        let path_at = address.find(['/', '?']).unwrap_or(address.len());
        let (authority, path) = address.split_at(path_at);
        if authority.contains('@') {
            return Err("a URL with a password would send it unencrypted".to_owned());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            Some(_) | None => (authority, "80"),
        };
        let is_bare = host.contains(':') && !host.starts_with('[');
        if host.is_empty() || is_bare || port.parse::<u16>().map_or(true, |port| port == 0) {
            return Err(format!("`{authority}` is no host and port"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { authority: authority.to_owned(), dial: format!("{host}:{port}"), path })
    }

    fn exchange(&self, method: &str, parcel: Parcel<'_>) -> io::Result<()> {
        let deadline = Instant::now() + HTTP_MAX;
        let mut stream = self.connect(deadline)?;
        let Parcel { id, text } = parcel;
        let (path, authority, length) = (&self.path, &self.authority, text.len());
        let body = match method {
            "POST" => format!(
                "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
                 Idempotency-Key: {id}\r\n\r\n{text}"
            ),
            _ => "\r\n".to_owned(),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n\
             User-Agent: castellan-deadman\r\nConnection: close\r\n{body}"
        );
        stream.set_write_timeout(Some(left(deadline)?))?;
        stream.write_all(request.as_bytes())?;
        judge(&status_line(&mut stream, deadline)?)
    }

    fn connect(&self, deadline: Instant) -> io::Result<TcpStream> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        for address in self.look_up(deadline)? {
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The system's own look-up has no deadline, so it is left behind when it takes too long.
    fn look_up(&self, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let dial = self.dial.clone();
        thread::spawn(move || {
            sender.send(dial.to_socket_addrs().map(Iterator::collect)).ok();
        });
        receiver.recv_timeout(left(deadline)?).unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "no name server answers"))
        })
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes too long"));
    }
    Ok(left)
}

fn status_line(stream: &mut TcpStream, deadline: Instant) -> io::Result<String> {
    let mut answer = Vec::new();
    let mut buffer = [0; 256];
    while !answer.contains(&b'\n') && answer.len() < ANSWER_BYTES_MAX {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn judge(line: &str) -> io::Result<()> {
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let code = words.next().and_then(|code| code.parse::<u16>().ok());
    match code {
        Some(200..=299) if is_http => Ok(()),
        Some(_) | None => Err(io::Error::other(format!("it answers `{}`", tool::clip(line)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_url_is_taken_apart_or_refused() {
        let url = Url::parse("http://127.0.0.1:8080/a?b=c#d").unwrap();
        assert_eq!((url.dial.as_str(), url.path.as_str()), ("127.0.0.1:8080", "/a?b=c"));
        let url = Url::parse("http://[::1]").unwrap();
        assert_eq!((url.dial.as_str(), url.path.as_str()), ("[::1]:80", "/"));
        assert_eq!(Url::parse("http://host?x").unwrap().path, "/?x");
        for bad in [
            "https://example.org/",
            "ftp://x",
            "http://",
            "http://:80/",
            "http://host:0/",
            "http://host:99999/",
            "http://::1/",
            "http://user:word@host/",
            "http://host/a b",
            "http://host/\u{1}",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_success_is_success() {
        assert!(judge("HTTP/1.1 204 No Content").is_ok());
        for bad in ["HTTP/1.1 302 Found", "HTTP/1.1 500 No", "", "SSH-2.0-x", "HTTP/1.1 abc"] {
            assert!(judge(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_page_arrives_whole_over_http() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = String::new();
            while !text.ends_with("down\n") {
                let mut buffer = [0; 512];
                let count = stream.read(&mut buffer).unwrap();
                text += std::str::from_utf8(&buffer[..count]).unwrap();
            }
            stream.write_all(b"HTTP/1.1 202 Accepted\r\n\r\n").unwrap();
            text
        });
        let target = Target::Http(Url::parse(&format!("http://localhost:{port}/p")).unwrap());
        target.deliver(Parcel { id: "7", text: "it is down\n" }).unwrap();
        let request = server.join().unwrap();
        assert!(request.starts_with("POST /p HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nContent-Length: 11\r\n"), "{request}");
    }

    #[test]
    fn a_program_has_taken_a_page_only_with_exit_code_0() {
        let shell = |script: &str| Target::Exec {
            program: "/bin/sh".to_owned(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
        };
        let parcel = Parcel { id: "7", text: "down" };
        shell("test \"$(cat)\" = down && test $SANCTUM_PAGE_ID = 7").deliver(parcel).unwrap();
        let error = shell("exit 9").deliver(parcel).unwrap_err();
        assert!(error.to_string().contains("exit code 9"), "{error}");
        let absent = Target::Exec { program: "/no/such".to_owned(), arguments: Vec::new() };
        assert!(absent.deliver(parcel).is_err());
    }
}
