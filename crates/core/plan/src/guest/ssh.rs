//! Everything said to and about OpenSSH: the umbilical, the owner's way in, keys and pins.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sanctum_model::Command;

use super::{AGENT_PORT, GATEWAY_PORT};

/// Seconds without a sign of life after which either side asks for one.
const ALIVE_INTERVAL_S: u32 = 5;
/// Unanswered questions after which the connection is given up.
const ALIVE_COUNT_MAX: u32 = 6;

/// The one ssh process that carries every forward of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Umbilical {
    /// The private key that may do nothing but forward.
    pub identity: String,
    /// The file that pins the guest's host key.
    pub known_hosts: String,
    /// A unix socket of the host that leads to the guest's end of the way to proxyd and so back
    /// to proxyd itself: what answers there proves that the way out of the guest works.
    pub proof_socket: String,
    /// The host port of the guest's sshd.
    pub ssh_port: u16,
    /// The host port that leads to the agent.
    pub agent_port: u16,
    /// The host port of proxyd.
    pub gateway_port: u16,
}

/// Renders the umbilical: `ssh -N` with both forwards and the proof, and no other setting than
/// these, whatever the user's own configuration says. It exits when any forward cannot be made.
pub fn umbilical(umbilical: &Umbilical) -> Command {
    let Umbilical { identity, known_hosts, proof_socket, ssh_port, agent_port, gateway_port } =
        umbilical;
    pinned(identity, known_hosts, *ssh_port)
        .arguments(["-N", "-T"])
        .arguments(["-o", "ExitOnForwardFailure=yes"])
        .arguments(["-o", "StreamLocalBindUnlink=yes"])
        .argument("-L")
        .argument(format!("127.0.0.1:{agent_port}:127.0.0.1:{AGENT_PORT}"))
        .argument("-R")
        .argument(format!("127.0.0.1:{GATEWAY_PORT}:127.0.0.1:{gateway_port}"))
        .argument("-L")
        .argument(format!("{proof_socket}:127.0.0.1:{GATEWAY_PORT}"))
        .argument("sanctum@127.0.0.1")
}

/// The owner's way into the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The private key of the guest's root; it stays on the host.
    pub identity: String,
    /// The file that pins the guest's host key.
    pub known_hosts: String,
    /// The host port of the guest's sshd.
    pub ssh_port: u16,
}

/// Renders an ssh command as the guest's root; without arguments it opens a shell.
///
/// The arguments are joined by spaces and read by the guest's shell, as ssh does it.
pub fn admin_ssh(admin: &Admin, arguments: &[String]) -> Command {
    pinned(&admin.identity, &admin.known_hosts, admin.ssh_port)
        .arguments(["-o", "ClearAllForwardings=yes"])
        .argument("root@127.0.0.1")
        .arguments(arguments.to_vec())
}

fn pinned(identity: &str, known_hosts: &str, port: u16) -> Command {
    let options: Vec<String> = [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "PreferredAuthentications=publickey",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        "GlobalKnownHostsFile=none",
        "HostKeyAlgorithms=ssh-ed25519",
        "CheckHostIP=no",
        "ControlMaster=no",
        "ControlPath=none",
        "ForwardAgent=no",
        "ForwardX11=no",
        "ConnectTimeout=60",
        "TCPKeepAlive=no",
        "LogLevel=ERROR",
    ]
    .into_iter()
    .map(String::from)
    .chain([
        format!("ServerAliveInterval={ALIVE_INTERVAL_S}"),
        format!("ServerAliveCountMax={ALIVE_COUNT_MAX}"),
        // The file's name may hold a space: ssh reads this option as a list of words.
        format!("UserKnownHostsFile=\"{known_hosts}\""),
    ])
    .collect();
    let mut command = Command::new("ssh").arguments(["-F", "none", "-i", identity]);
    for option in options {
        command = command.argument("-o").argument(option);
    }
    command.argument("-p").argument(format!("{port}"))
}

/// The line of `authorized_keys` for the umbilical's key: forwards to and from two loopback ports
/// and nothing else. `sshd_config` says the same a second time.
pub fn authorized_keys_tunnel(public_key: &str) -> String {
    format!(
        "restrict,port-forwarding,permitopen=\"127.0.0.1:{AGENT_PORT}\",\
         permitopen=\"127.0.0.1:{GATEWAY_PORT}\",permitlisten=\"127.0.0.1:{GATEWAY_PORT}\",\
         command=\"/usr/sbin/nologin\" {}\n",
        public_key.trim_end()
    )
}

/// The line of `authorized_keys` for the owner's key: a terminal and commands, no forwards.
pub fn authorized_keys_admin(public_key: &str) -> String {
    format!("restrict,pty {}\n", public_key.trim_end())
}

/// The line of `known_hosts` that pins the guest's host key before its first boot.
pub fn known_hosts_line(ssh_port: u16, public_key: &str) -> String {
    let key: Vec<&str> = public_key.split_whitespace().take(2).collect();
    format!("[127.0.0.1]:{ssh_port} {}\n", key.join(" "))
}
