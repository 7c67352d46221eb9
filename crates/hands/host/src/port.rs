//! Who holds a TCP port of this machine.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use rustix::process::Pid;

/// A process that listens where one of ours wants to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// The id of its process group.
    pub group: u32,
    /// Its name.
    pub name: String,
}

/// Whether a loopback port can be bound now, and if not, by whom it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// It can be bound.
    Free,
    /// A process that can be named has it.
    Held(Holder),
    /// Somebody has it who cannot be named: another user's process.
    HeldByUnknown,
}

/// Looks whether 127.0.0.1:`port` is free, by binding it for a moment.
pub fn look(port: u16) -> Port {
    if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
        return Port::Free;
    }
    let holder = if Path::new("/proc/net/tcp").exists() { by_proc(port) } else { by_lsof(port) };
    holder.map_or(Port::HeldByUnknown, Port::Held)
}

/// From the kernel's table of sockets to an inode, and from that to the process that has it open.
fn by_proc(port: u16) -> Option<Holder> {
    let inodes = listening_inodes(port);
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find_map(|pid: u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        let holds = open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|link| {
            let link = link.to_string_lossy();
            link.strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'))
                .is_some_and(|inode| inodes.contains(inode))
        });
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        holds.then(|| holder(pid, name.unwrap_or_default().trim()))
    })
}

/// The inodes of the sockets that listen on `port`, IPv4 and IPv6.
fn listening_inodes(port: u16) -> BTreeSet<String> {
    let suffix = format!(":{port:04X}");
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|table| fs::read_to_string(table).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.filter_map(|row| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == "0A";
        listens.then(|| fields.get(9).map(|inode| (*inode).to_owned())).flatten()
    })
    .collect()
}

fn by_lsof(port: u16) -> Option<Holder> {
    let filter = format!("-iTCP:{port}");
    let output =
        Command::new("lsof").args(["-nP", "-sTCP:LISTEN", "-Fpc", &filter]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field = |letter: char| text.lines().find_map(|line| line.strip_prefix(letter));
    Some(holder(field('p')?.parse().ok()?, field('c')?))
}

fn holder(pid: u32, name: &str) -> Holder {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let group = raw.and_then(|pid| rustix::process::getpgid(Some(pid)).ok());
    let group = group.and_then(|group| u32::try_from(group.as_raw_nonzero().get()).ok());
    Holder { pid, group: group.unwrap_or(pid), name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_named_and_a_free_one_is_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        match look(port) {
            Port::Held(holder) => assert_eq!(holder.pid, std::process::id()),
            other @ (Port::Free | Port::HeldByUnknown) => panic!("{other:?}"),
        }
        drop(listener);
        assert_eq!(look(port), Port::Free);
    }
}
