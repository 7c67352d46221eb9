//! Looks at things: one bounded look, one answer, and the reason when the answer is no.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{self, Stdio};
use std::time::{Duration, Instant};
use std::{str, thread};

use sanctum_model::{Command, HttpTarget, Probe};

/// The most that is read of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// What is shown of an answer that was not the wanted one.
const SHOWN_BYTES_MAX: usize = 80;
/// How often the end of a probing program is looked for.
const EXEC_INTERVAL: Duration = Duration::from_millis(10);

/// Why a look did not show health.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// Nothing accepts a connection.
    #[error("nothing answers at {place}")]
    Connect {
        /// Where.
        place: String,
        /// The cause.
        source: io::Error,
    },
    /// Something accepts, and the exchange fails.
    #[error("{place} accepts and does not answer")]
    Exchange {
        /// Where.
        place: String,
        /// The cause.
        source: io::Error,
    },
    /// Something else than the wanted answers.
    #[error("{place} answers {found}, not {wanted}")]
    Other {
        /// Where.
        place: String,
        /// The beginning of what came.
        found: String,
        /// What should have come.
        wanted: String,
    },
    /// The probing program cannot be run.
    #[error("cannot run `{program}`")]
    Run {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// The probing program said no, or nothing in time.
    #[error("`{program}` {how}")]
    Said {
        /// The program.
        program: String,
        /// How it ended.
        how: String,
    },
}

/// Takes one look, within `timeout`. Blocks its thread that long at most.
///
/// # Errors
///
/// Why it does not show health.
pub fn look(probe: &Probe, timeout: Duration) -> Result<(), LookError> {
    match probe {
        Probe::Alive | Probe::Notify { .. } => Ok(()),
        Probe::Tcp { address, banner } => look_tcp(*address, banner, timeout),
        Probe::Http { target, host, path, status, body } => {
            let answer = http_get(target, host, path, timeout)?;
            judge_http(&answer, target, *status, body)
        }
        Probe::Exec(command) => look_exec(command, timeout),
    }
}

fn look_tcp(address: SocketAddr, banner: &str, timeout: Duration) -> Result<(), LookError> {
    let place = address.to_string();
    let mut stream = TcpStream::connect_timeout(&address, timeout)
        .map_err(|source| LookError::Connect { place: place.clone(), source })?;
    if banner.is_empty() {
        return Ok(());
    }
    let mut found = vec![0; banner.len()];
    stream
        .set_read_timeout(Some(timeout))
        .and_then(|()| stream.read_exact(&mut found).map_err(in_time))
        .map_err(|source| LookError::Exchange { place: place.clone(), source })?;
    judge_banner(address, &found, banner)
}

/// Asks for `path` and returns the whole answer, head and body, as it came.
///
/// # Errors
///
/// [`LookError::Connect`] and [`LookError::Exchange`].
pub fn http_get(
    target: &HttpTarget,
    host: &str,
    path: &str,
    timeout: Duration,
) -> Result<Vec<u8>, LookError> {
    let place = place(target);
    let deadline = Instant::now() + timeout;
    let request = http_request(host, path);
    let connected = |source| LookError::Connect { place: place.clone(), source };
    let exchanged = match target {
        HttpTarget::Tcp(address) => {
            let mut stream = TcpStream::connect_timeout(address, timeout).map_err(connected)?;
            exchange(
                &mut stream,
                |stream, left| stream.set_read_timeout(Some(left)),
                &request,
                deadline,
            )
        }
        HttpTarget::Unix(path) => {
            let mut stream = UnixStream::connect(path).map_err(connected)?;
            exchange(
                &mut stream,
                |stream, left| stream.set_read_timeout(Some(left)),
                &request,
                deadline,
            )
        }
    };
    exchanged.map_err(|source| LookError::Exchange { place: place.clone(), source })
}

/// The question that [`http_get`] asks.
pub fn http_request(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\naccept: */*\r\n\r\n")
}

fn exchange<S: Read + Write>(
    stream: &mut S,
    limit: impl Fn(&S, Duration) -> io::Result<()>,
    request: &str,
    deadline: Instant,
) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        limit(stream, left)?;
        match stream.read(&mut buffer).map_err(in_time)? {
            0 if answer.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => return Ok(answer),
            count => answer.extend_from_slice(&buffer[..count]),
        }
        if is_complete(&answer) {
            return Ok(answer);
        }
    }
}

/// A read that ran into its limit is told as that: the system's own word is "try again".
fn in_time(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

/// Whether the answer has all the body its head announces, for some servers keep the line open;
/// or is longer than anything that is asked for.
pub fn is_complete(answer: &[u8]) -> bool {
    if answer.len() > ANSWER_BYTES_MAX {
        return true;
    }
    let Some(head_end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..head_end]).to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    length.is_some_and(|length: usize| answer.len() >= head_end + 4 + length)
}

/// Whether an answer is the wanted one.
///
/// # Errors
///
/// [`LookError::Other`].
pub fn judge_http(
    answer: &[u8],
    target: &HttpTarget,
    status: u16,
    body: &str,
) -> Result<(), LookError> {
    let text = String::from_utf8_lossy(answer);
    let (head, found) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let first_line = head.lines().next().unwrap_or_default();
    let other = |found: &str, wanted: String| {
        Err(LookError::Other { place: place(target), found: shown(found.as_bytes()), wanted })
    };
    if first_line.split(' ').nth(1).and_then(|word| word.parse().ok()) != Some(status) {
        return other(first_line, format!("status {status}"));
    }
    if !found.contains(body) {
        return other(found, format!("a body with `{body}`"));
    }
    Ok(())
}

fn look_exec(command: &Command, timeout: Duration) -> Result<(), LookError> {
    let program = command.program.clone();
    let mut child = process::Command::new(&command.program)
        .args(&command.arguments)
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| LookError::Run { program: program.clone(), source })?;
    let deadline = Instant::now() + timeout;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                return Err(LookError::Said { program, how: format!("ended with {status}") });
            }
            Ok(None) if Instant::now() < deadline => thread::sleep(EXEC_INTERVAL),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(LookError::Said {
                    program,
                    how: format!("did not end within {timeout:?}"),
                });
            }
            Err(source) => return Err(LookError::Run { program, source }),
        }
    }
}

/// Whether the first bytes of a server are the wanted ones.
///
/// # Errors
///
/// [`LookError::Other`].
pub fn judge_banner(address: SocketAddr, found: &[u8], banner: &str) -> Result<(), LookError> {
    if found == banner.as_bytes() {
        return Ok(());
    }
    let (place, found) = (address.to_string(), shown(found));
    Err(LookError::Other { place, found, wanted: format!("`{banner}`") })
}

/// Where a target is, for a reader.
pub fn place(target: &HttpTarget) -> String {
    match target {
        HttpTarget::Tcp(address) => address.to_string(),
        HttpTarget::Unix(path) => path.clone(),
    }
}

fn shown(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes).chars().take(SHOWN_BYTES_MAX).collect();
    format!("`{}`", text.escape_debug())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const SHORT: Duration = Duration::from_millis(300);

    /// Answers one connection with `answer` and, if told, keeps it open.
    fn server(answer: &'static str, keep_open: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            if keep_open {
                thread::sleep(Duration::from_secs(5));
            } else {
                let mut rest = [0; 1024];
                drop(stream.read(&mut rest));
            }
        });
        address
    }

    fn http(address: SocketAddr, body: &str) -> Probe {
        let (host, path, body) = (address.to_string(), "/health".to_owned(), body.to_owned());
        Probe::Http { target: HttpTarget::Tcp(address), host, path, status: 200, body }
    }

    const LIVE: &str =
        "HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{\"ok\":true,\"status\":\"live\"}";

    #[test]
    fn a_body_that_holds_the_word_is_health() {
        look(&http(server(LIVE, false), "\"status\":\"live\""), SHORT).unwrap();
        look(&http(server(LIVE, true), "\"status\":\"live\""), SHORT).unwrap();
    }

    #[test]
    fn a_200_with_another_body_is_not_health() {
        let error = look(&http(server(LIVE, false), "ready"), SHORT).unwrap_err();
        assert!(matches!(error, LookError::Other { .. }), "{error}");
    }

    #[test]
    fn another_status_with_the_right_body_is_not_health() {
        let answer = "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nlive";
        assert!(matches!(
            look(&http(server(answer, false), "live"), SHORT),
            Err(LookError::Other { .. })
        ));
    }

    #[test]
    fn another_status_than_200_can_be_the_wanted_one() {
        let mut probe = http(server("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", false), "");
        if let Probe::Http { status, .. } = &mut probe {
            *status = 401;
        }
        look(&probe, SHORT).unwrap();
    }

    #[test]
    fn a_listener_that_says_nothing_is_not_health() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(matches!(look(&http(address, "live"), SHORT), Err(LookError::Exchange { .. })));
        let probe = Probe::Tcp { address, banner: "SSH-".to_owned() };
        assert!(matches!(look(&probe, SHORT), Err(LookError::Exchange { .. })));
    }

    #[test]
    fn a_closed_port_is_said_to_be_closed() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(look(&http(address, "live"), SHORT), Err(LookError::Connect { .. })));
    }

    #[test]
    fn a_banner_must_be_the_wanted_one() {
        let probe = |address| Probe::Tcp { address, banner: "SSH-".to_owned() };
        look(&probe(server("SSH-2.0-OpenSSH_9.2\r\n", false)), SHORT).unwrap();
        assert!(matches!(
            look(&probe(server("HTTP/1.1 400", false)), SHORT),
            Err(LookError::Other { .. })
        ));
    }

    #[test]
    fn a_probing_program_is_bounded() {
        look(&Probe::Exec(Command::new("true")), SHORT).unwrap();
        for (command, said) in [
            (Command::new("false"), "ended"),
            (Command::new("sleep").argument("60"), "did not end"),
        ] {
            let error = look(&Probe::Exec(command), SHORT).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
