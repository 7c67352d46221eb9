//! systemd's notify protocol: what a component says of itself.
//!
//! A socket for each component, so that who speaks is known by where it speaks, on every system.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use sanctum_host::file;
use tokio::net::UnixDatagram;

/// The longest message that is read.
const MESSAGE_BYTES_MAX: usize = 4096;
/// The longest status that is kept.
const STATUS_CHARACTERS_MAX: usize = 200;

/// One thing a component said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Ready,
    Watchdog,
    Stopping,
    Extend(Duration),
    Status(String),
}

/// Opens a component's socket, or takes its place.
pub(crate) fn listen(path: &Path) -> io::Result<UnixDatagram> {
    file::make_private_directory(path.parent().unwrap_or(Path::new("/")))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let socket = UnixDatagram::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(socket)
}

/// The next message. Cancel safe.
pub(crate) async fn next(socket: &UnixDatagram) -> io::Result<Vec<Said>> {
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    let count = socket.recv(&mut buffer).await?;
    Ok(parse(&String::from_utf8_lossy(&buffer[..count])))
}

/// Where a component's socket is.
pub(crate) fn place(directory: &str, component: &str) -> PathBuf {
    Path::new(directory).join(format!("{component}.sock"))
}

/// One assignment a line; what is not known here is somebody else's.
fn parse(message: &str) -> Vec<Said> {
    let said = |line: &str| match line.split_once('=')? {
        ("READY", "1") => Some(Said::Ready),
        ("WATCHDOG", "1") => Some(Said::Watchdog),
        ("STOPPING", "1") => Some(Said::Stopping),
        ("EXTEND_TIMEOUT_USEC", number) => {
            Some(Said::Extend(Duration::from_micros(number.parse().ok()?)))
        }
        ("STATUS", status) => {
            Some(Said::Status(status.chars().take(STATUS_CHARACTERS_MAX).collect()))
        }
        (_, _) => None,
    };
    message.lines().filter_map(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_an_assignment_a_line_and_others_are_passed_over() {
        let message = "READY=1\nSTATUS=loading 3 of 7\nMAINPID=77\nWATCHDOG=1\nWATCHDOG=trigger\n\
                       EXTEND_TIMEOUT_USEC=5000000\nEXTEND_TIMEOUT_USEC=soon\nSTOPPING=1\nnonsense";
        assert_eq!(
            parse(message),
            [
                Said::Ready,
                Said::Status("loading 3 of 7".to_owned()),
                Said::Watchdog,
                Said::Extend(Duration::from_secs(5)),
                Said::Stopping,
            ]
        );
    }
}
