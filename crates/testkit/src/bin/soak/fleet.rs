//! The manifest: components of every temper, in layers of needs.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

/// How many layers there are.
const LAYERS: usize = 5;
/// Where ports are looked for: below the range from which systems take the near end of a
/// connection.
const PORTS: std::ops::Range<u16> = 22_000..32_000;

/// One in so many listens and is looked at.
const LISTENS: usize = 5;

/// A manifest of `count` components whose programs live for `life`.
pub(crate) fn manifest(troublemaker: &Path, count: usize, life: Duration) -> Result<String> {
    let mut ports = PORTS.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let mut text = String::new();
    let layer = count.div_ceil(LAYERS);
    for index in 0..count {
        let mut more = String::new();
        let steps = match index % 20 {
            place if place % LISTENS == 1 => {
                let port = ports.next();
                ensure!(port.is_some(), "there are no free ports");
                let port = port.unwrap_or_default();
                writeln!(more, "port = {port}")?;
                writeln!(more, "ready = {{ http = \"/health\", body = \"ok\" }}")?;
                format!("listen {port} wait")
            }
            2 | 12 => "child { wait } session { wait } wait".to_owned(),
            5 => "child { session { ignore-term wait } wait } wait".to_owned(),
            8 => "ignore-term wait".to_owned(),
            14 => "lines 200 86400000".to_owned(),
            17 => "flood 1000 wait".to_owned(),
            _ => "wait".to_owned(),
        };
        if index >= layer {
            let below = index - layer;
            let needs = if below.is_multiple_of(layer) || index.is_multiple_of(2) {
                format!("\"b{below}\"")
            } else {
                format!("\"b{below}\", \"b{}\"", below - 1)
            };
            writeln!(more, "needs = [{needs}]")?;
        }
        let words: Vec<String> = steps.split(' ').map(|word| format!("\"{word}\"")).collect();
        writeln!(
            text,
            "[component.b{index}]\nprogram = \"{}\"\narguments = [{}]\nstop_max = \"1s\"\n\
             environment = {{ TROUBLEMAKER_LIFE_S = \"{}\" }}\n{more}",
            troublemaker.display(),
            words.join(", "),
            life.as_secs(),
        )?;
    }
    Ok(text)
}
