//! Who holds a TCP port of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
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
    let listening = listening().remove(&port).unwrap_or_default();
    listening.holder.map_or(Port::HeldByUnknown, Port::Held)
}

/// Who listens on a port, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// The addresses that are listened on.
    pub addresses: BTreeSet<IpAddr>,
    /// One who listens; nobody where nobody can be named.
    pub holder: Option<Holder>,
}

/// Everything that listens on TCP ports of this machine, as far as it is shown to this user. Binds
/// nothing.
pub fn listening() -> BTreeMap<u16, Listening> {
    if !Path::new("/proc/net/tcp").exists() {
        return listening_of_lsof();
    }
    let mut found: BTreeMap<u16, Listening> = BTreeMap::new();
    let mut ports: BTreeMap<String, u16> = BTreeMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for row in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let Some((address, inode)) = listener_of_row(row) else { continue };
            found.entry(address.port()).or_default().addresses.insert(address.ip());
            ports.insert(inode, address.port());
        }
    }
    for (port, holder) in holders(&ports) {
        found.entry(port).or_default().holder.get_or_insert(holder);
    }
    found
}

/// Address and inode of a row of `/proc/net/tcp`, if somebody listens there.
fn listener_of_row(row: &str) -> Option<(SocketAddr, String)> {
    let fields: Vec<&str> = row.split_whitespace().collect();
    if *fields.get(3)? != "0A" {
        return None;
    }
    let (address, port) = fields.get(1)?.split_once(':')?;
    let ip = ip_of_hex(address)?;
    Some((SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?), (*fields.get(9)?).to_owned()))
}

/// Words of 32 bits, each in the order of this machine's own memory.
fn ip_of_hex(text: &str) -> Option<IpAddr> {
    let word =
        |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            let bytes: [u8; 16] = words.try_into().ok()?;
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// Which process has which of these sockets open.
fn holders(ports: &BTreeMap<String, u16>) -> Vec<(u16, Holder)> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found = Vec::new();
    for pid in pids {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        for link in open.filter_map(|entry| fs::read_link(entry.path()).ok()) {
            let link = link.to_string_lossy();
            let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            if let Some(port) = inode.and_then(|inode| ports.get(inode)) {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                found.push((*port, holder(pid, name.trim())));
            }
        }
    }
    found
}

fn listening_of_lsof() -> BTreeMap<u16, Listening> {
    let output = Command::new("lsof").args(["-nP", "-iTCP", "-sTCP:LISTEN", "-Fpcn"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    listening_of_fields(&text.unwrap_or_default())
}

/// Reads what `lsof -F` prints: a line for each field, the field's letter first.
fn listening_of_fields(text: &str) -> BTreeMap<u16, Listening> {
    let mut found: BTreeMap<u16, Listening> = BTreeMap::new();
    let (mut pid, mut name) = (0, "");
    for line in text.lines() {
        if let Some(text) = line.strip_prefix('p') {
            (pid, name) = (text.parse().unwrap_or(0), "");
        } else if let Some(text) = line.strip_prefix('c') {
            name = text;
        } else if let Some((address, port)) =
            line.strip_prefix('n').and_then(|text| text.rsplit_once(':'))
        {
            let Ok(port) = port.parse() else { continue };
            let address = address.trim_matches(['[', ']']);
            let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            let entry = found.entry(port).or_default();
            entry.addresses.insert(address.parse().unwrap_or(everywhere));
            entry.holder.get_or_insert_with(|| holder(pid, name));
        }
    }
    found
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
    fn who_listens_is_found_with_where_and_without_binding() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wide = TcpListener::bind("0.0.0.0:0").unwrap();
        let found = listening();
        let seen = |listener: &TcpListener| &found[&listener.local_addr().unwrap().port()];
        assert_eq!(seen(&listener).holder.as_ref().unwrap().pid, std::process::id());
        assert!(seen(&listener).addresses.iter().all(IpAddr::is_loopback));
        assert!(seen(&wide).addresses.iter().any(IpAddr::is_unspecified));
    }

    #[test]
    fn an_address_of_the_kernels_table_is_read_in_this_machines_order() {
        let loopback = u32::from_ne_bytes([127, 0, 0, 1]);
        assert_eq!(ip_of_hex(&format!("{loopback:08X}")), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(ip_of_hex(&"0".repeat(32)), Some(Ipv6Addr::UNSPECIFIED.into()));
        assert_eq!(ip_of_hex("xyz"), None);
    }

    #[test]
    fn fields_of_lsof_are_read_per_process() {
        let text = "p501\ncproxyd\nf7\nn127.0.0.1:4040\np502\ncssh\nf4\nn[::1]:1977\nf5\nn*:1978\n";
        let found = listening_of_fields(text);
        assert_eq!(found[&4040].holder.as_ref().unwrap().name, "proxyd");
        assert_eq!(found[&1977].addresses, BTreeSet::from([Ipv6Addr::LOCALHOST.into()]));
        assert!(found[&1978].addresses.iter().all(IpAddr::is_unspecified));
    }

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
