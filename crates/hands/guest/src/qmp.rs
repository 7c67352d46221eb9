//! The two protocols of QEMU: that of the machine, and that of its agent in the guest. One
//! question, one answer, each on its unix socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{GuestError, GuestPaths};

/// The time one answer may take; the emulator that takes longer is stuck.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// The time the agent in the guest has to say that it is there; an emulated one is not quick.
const AGENT_MAX: Duration = Duration::from_secs(15);
/// Bytes of one answer.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Events that may come before an answer.
const EVENTS_MAX: usize = 64;

/// What the emulator says the machine is: `running`, `paused`, `shutdown` and so on.
///
/// # Errors
///
/// [`GuestError::Protocol`] when there is no emulator, or it does not answer in time.
pub fn machine_state(paths: &GuestPaths) -> Result<String, GuestError> {
    let answer = ask(&paths.qmp_socket(), "query-status")?;
    Ok(answer["status"].as_str().unwrap_or("unknown").to_owned())
}

/// Asks the guest to shut down by itself: through the agent of QEMU in it, since the guest has
/// nothing that would watch a power button.
///
/// # Errors
///
/// As [`machine_state`], and when no agent answers: the guest is not up yet, or hangs.
pub fn power_down(paths: &GuestPaths) -> Result<(), GuestError> {
    let socket = paths.guest_agent_socket();
    let odd = |what: String| GuestError::Protocol { socket: socket.clone(), what };
    let stream = connect(&socket, AGENT_MAX).map_err(odd)?;
    let mut reader = BufReader::new(&stream);
    say(&stream, &json!({ "execute": "guest-ping" })).map_err(odd)?;
    read_answer(&mut reader).map_err(odd)?;
    // It gives no answer to this: it is gone by then.
    let order = json!({ "execute": "guest-shutdown", "arguments": { "mode": "powerdown" } });
    say(&stream, &order).map_err(odd)
}

/// Ends the emulator, whatever the guest is at.
pub(super) fn quit(paths: &GuestPaths) -> Result<(), GuestError> {
    ask(&paths.qmp_socket(), "quit").map(drop)
}

fn ask(socket: &Path, command: &str) -> Result<Value, GuestError> {
    let odd = |what: String| GuestError::Protocol { socket: socket.to_owned(), what };
    let stream = connect(socket, ANSWER_MAX).map_err(odd)?;
    let mut reader = BufReader::new(&stream);
    read(&mut reader).map_err(odd)?;
    let mut answer = Value::Null;
    for execute in ["qmp_capabilities", command] {
        say(&stream, &json!({ "execute": execute })).map_err(odd)?;
        answer = read_answer(&mut reader).map_err(odd)?;
    }
    Ok(answer)
}

fn connect(socket: &Path, answer_max: Duration) -> Result<UnixStream, String> {
    let stream = UnixStream::connect(socket).map_err(|error| error.to_string())?;
    stream
        .set_read_timeout(Some(answer_max))
        .and_then(|()| stream.set_write_timeout(Some(answer_max)))
        .map_err(|error| error.to_string())?;
    Ok(stream)
}

fn say(mut stream: &UnixStream, message: &Value) -> Result<(), String> {
    let line = message.to_string() + "\n";
    stream.write_all(line.as_bytes()).map_err(|error| error.to_string())
}

fn read_answer(reader: &mut BufReader<&UnixStream>) -> Result<Value, String> {
    for _ in 0..EVENTS_MAX {
        let mut message = read(reader)?;
        if let Some(answer) = message.get_mut("return") {
            return Ok(answer.take());
        }
        if let Some(error) = message.get("error") {
            return Err(format!("it refused: {error}"));
        }
    }
    Err("it sent events and no answer".to_owned())
}

fn read(reader: &mut BufReader<&UnixStream>) -> Result<Value, String> {
    let mut line = String::new();
    match reader.take(LINE_BYTES_MAX).read_line(&mut line) {
        Ok(0) => Err("it closed the connection".to_owned()),
        Ok(_) => serde_json::from_str(&line).map_err(|error| format!("it sent no JSON: {error}")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// An emulator that answers with these lines, one for the greeting and one for each question.
    fn emulator(lines: &'static [&'static str]) -> (tempfile::TempDir, GuestPaths) {
        let home = tempfile::tempdir().unwrap();
        let paths = GuestPaths::new(home.path());
        std::fs::create_dir_all(paths.directory()).unwrap();
        let listener = UnixListener::bind(paths.qmp_socket()).unwrap();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(&stream);
            for (number, answer) in lines.iter().enumerate() {
                if number > 0 {
                    reader.read_line(&mut String::new()).unwrap();
                }
                (&stream).write_all(answer.as_bytes()).unwrap();
                (&stream).write_all(b"\n").unwrap();
            }
        });
        (home, paths)
    }

    #[test]
    fn the_state_is_read_past_events() {
        let (_home, paths) = emulator(&[
            r#"{"QMP":{}}"#,
            r#"{"return":{}}"#,
            "{\"event\":\"RESET\"}\n{\"return\":{\"status\":\"running\"}}",
        ]);
        assert_eq!(machine_state(&paths).unwrap(), "running");
    }

    #[test]
    fn an_emulator_that_refuses_or_hangs_up_is_an_error() {
        let (_home, paths) = emulator(&[r#"{"QMP":{}}"#, r#"{"return":{}}"#]);
        assert!(matches!(machine_state(&paths), Err(GuestError::Protocol { .. })));
        let (_home, paths) = emulator(&[
            r#"{"QMP":{}}"#,
            r#"{"return":{}}"#,
            r#"{"error":{"class":"CommandNotFound"}}"#,
        ]);
        assert!(machine_state(&paths).unwrap_err().to_string().contains("it refused"));
    }

    #[test]
    fn a_guest_without_an_agent_is_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let paths = GuestPaths::new(home.path());
        assert!(matches!(power_down(&paths), Err(GuestError::Protocol { .. })));
    }

    #[test]
    fn no_emulator_is_an_error_at_once() {
        let home = tempfile::tempdir().unwrap();
        assert!(machine_state(&GuestPaths::new(home.path())).is_err());
    }
}
