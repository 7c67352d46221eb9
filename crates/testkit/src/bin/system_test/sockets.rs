//! The sockets that processes listen on, from the kernel's tables.

use std::collections::BTreeSet;
use std::fs;

/// A socket on which a process can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listening {
    pub(crate) pid: u32,
    pub(crate) table: &'static str,
    /// The address as the kernel writes it, in hexadecimal.
    pub(crate) address: String,
    pub(crate) port: u16,
}

impl Listening {
    /// 127.0.0.0/8, `::1`, or either of them mapped.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.address.len() {
            8 => self.address.ends_with("7F"),
            _ => {
                self.address == "00000000000000000000000001000000"
                    || (self.address.starts_with("0000000000000000FFFF0000")
                        && self.address.ends_with("7F"))
            }
        }
    }
}

/// Every process whose group or session is one of `groups`, with all their descendants.
pub(crate) fn members(groups: &BTreeSet<u32>) -> BTreeSet<u32> {
    let all: Vec<(u32, u32, u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| parents(entry.file_name().to_str()?.parse().ok()?))
        .collect();
    let mut members: BTreeSet<u32> = all
        .iter()
        .filter(|(pid, _, group, session)| {
            groups.contains(pid) || groups.contains(group) || groups.contains(session)
        })
        .map(|(pid, ..)| *pid)
        .collect();
    loop {
        let more: Vec<u32> = all
            .iter()
            .filter(|(pid, parent, ..)| members.contains(parent) && !members.contains(pid))
            .map(|(pid, ..)| *pid)
            .collect();
        if more.is_empty() {
            return members;
        }
        members.extend(more);
    }
}

/// A process's id, parent, group and session.
fn parents(pid: u32) -> Option<(u32, u32, u32, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(1).map(|field| field.parse().ok());
    Some((pid, fields.next()??, fields.next()??, fields.next()??))
}

/// What these processes listen on: TCP sockets that listen, UDP sockets that are bound and not
/// connected, raw sockets.
pub(crate) fn listening(pids: &BTreeSet<u32>) -> Vec<Listening> {
    let mut found = Vec::new();
    for &pid in pids {
        let inodes = inodes(pid);
        for table in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"] {
            let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
            for row in text.lines().skip(1) {
                let fields: Vec<&str> = row.split_whitespace().collect();
                let (Some(local), Some(remote), Some(state), Some(inode)) =
                    (fields.get(1), fields.get(2), fields.get(3), fields.get(9))
                else {
                    continue;
                };
                let reachable = if table.starts_with("tcp") {
                    *state == "0A"
                } else {
                    remote.ends_with(":0000")
                };
                if !reachable || !inodes.contains(*inode) {
                    continue;
                }
                let Some((address, port)) = local.split_once(':') else { continue };
                let port = u16::from_str_radix(port, 16).unwrap_or(0);
                found.push(Listening { pid, table, address: address.to_owned(), port });
            }
        }
    }
    found
}

fn inodes(pid: u32) -> BTreeSet<String> {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| {
            link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned)
        })
        .collect()
}
