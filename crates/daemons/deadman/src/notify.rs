//! systemd's notify protocol, which castellan speaks too: that we are ready, and that we look.
//!
//! Readiness is said again each time: the castellan that hears it may be another one than before.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// How often we tell of ourselves when nobody says how often.
const INTERVAL: Duration = Duration::from_secs(10);

/// Where to tell, and how often.
#[derive(Debug)]
pub(crate) struct Notify {
    socket: UnixDatagram,
    address: SocketAddr,
    interval: Duration,
    has_watchdog: bool,
    told_at: Option<Duration>,
}

impl Notify {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    pub(crate) fn from_values(
        socket: Option<&str>,
        watchdog_usec: Option<&str>,
        watchdog_pid: Option<&str>,
    ) -> Option<Self> {
        let address = address(socket?).ok()?;
        let socket = UnixDatagram::unbound().ok()?;
        // Nobody may be reading at the other end.
        socket.set_nonblocking(true).ok()?;
        let is_meant = watchdog_pid.is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = watchdog_usec
            .and_then(|usec| usec.parse().ok())
            .filter(|usec| is_meant && *usec > 0)
            .map(Duration::from_micros);
        let interval = watchdog.map_or(INTERVAL, |watchdog| INTERVAL.min(watchdog / 2));
        let has_watchdog = watchdog.is_some();
        Some(Self { socket, address, interval, has_watchdog, told_at: None })
    }

    /// How long may pass between two calls of [`Notify::tell`].
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// Tells that we are there, if it is time.
    pub(crate) fn tell(&mut self, status: &str, now: Duration) {
        if self.told_at.is_some_and(|told| now < told + self.interval / 2) {
            return;
        }
        self.told_at = Some(now);
        let watchdog = if self.has_watchdog { "\nWATCHDOG=1" } else { "" };
        let message = format!("READY=1{watchdog}\nSTATUS={}", crate::tool::clip(status));
        self.socket.send_to_addr(message.as_bytes(), &self.address).ok();
    }
}

fn address(name: &str) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt as _;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_that_it_is_ready_and_looks_to_whoever_listens_now() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("notify.sock");
        let mut notify = Notify::from_values(path.to_str(), Some("2000000"), None).unwrap();
        assert_eq!(notify.interval(), Duration::from_secs(1));
        notify.tell("nobody hears", Duration::ZERO);
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        notify.tell("too soon", Duration::from_millis(100));
        notify.tell("all\nwell", Duration::from_secs(1));
        let mut buffer = [0; 500];
        let count = listener.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"READY=1\nWATCHDOG=1\nSTATUS=all well");
    }

    #[test]
    fn a_listener_that_does_not_read_does_not_hold_us() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("notify.sock");
        let _listener = UnixDatagram::bind(&path).unwrap();
        let mut notify = Notify::from_values(path.to_str(), None, None).unwrap();
        for second in 0..10_000 {
            notify.tell("well", Duration::from_secs(second * 60));
        }
    }

    #[test]
    fn a_watchdog_meant_for_another_process_is_not_ours() {
        let notify = Notify::from_values(Some("/n"), Some("2000000"), Some("1")).unwrap();
        assert!(!notify.has_watchdog);
        assert!(Notify::from_values(None, Some("2000000"), None).is_none());
    }
}
