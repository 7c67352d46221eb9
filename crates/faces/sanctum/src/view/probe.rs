//! How one sees that a component works, in words.

use sanctum_model::{HttpTarget, Probe};

/// What a look must show.
pub(crate) fn described(probe: &Probe) -> String {
    match probe {
        Probe::Alive => "its process runs; nothing more can be asked of it".to_owned(),
        Probe::Tcp { address, banner } if banner.is_empty() => {
            format!("{address} accepts a connection")
        }
        Probe::Tcp { address, banner } => format!("{address} speaks first, and says `{banner}`"),
        Probe::Http { target, path, status, body, .. } => {
            let place = match target {
                HttpTarget::Tcp(address) => format!("http://{address}{path}"),
                HttpTarget::Unix(socket) => format!("{path} through {socket}"),
            };
            let holds =
                if body.is_empty() { String::new() } else { format!(" and holds `{body}`") };
            format!("{place} answers with {status}{holds}")
        }
        Probe::Exec(command) => format!("`{command}` ends with 0"),
        Probe::Notify { watchdog } if watchdog.is_zero() => "it said READY=1".to_owned(),
        Probe::Notify { watchdog } => {
            format!("it said READY=1, and says WATCHDOG=1 each {} s", watchdog.as_secs())
        }
    }
}
