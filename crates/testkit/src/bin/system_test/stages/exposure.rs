//! What can be seen and reached from outside the processes.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::sockets;
use crate::world::World;

pub(crate) fn loopback_only(world: &mut World) -> Result<()> {
    let members = sockets::members(&world.groups()?);
    ensure!(
        members.len() >= 7,
        "castellan and five components are at least seven processes: {members:?}"
    );
    let found = sockets::listening(&members);
    let ports: Vec<u16> = found.iter().map(|socket| socket.port).collect();
    let expected = world.ports;
    for port in [expected.seat, expected.proxyd, expected.openclaw, expected.ssh] {
        ensure!(ports.contains(&port), "the look is blind: port {port} is not among {ports:?}");
    }
    let outside: Vec<_> = found.iter().filter(|socket| !socket.is_loopback()).collect();
    ensure!(outside.is_empty(), "{outside:?}");
    let unexpected: Vec<_> = found
        .iter()
        .filter(|socket| {
            ![expected.seat, expected.proxyd, expected.openclaw, expected.ssh]
                .contains(&socket.port)
        })
        .collect();
    ensure!(unexpected.is_empty(), "ports that no manifest claims: {unexpected:?}");
    Ok(())
}

/// The values of every secret are looked for where none may be.
pub(crate) fn no_secret_shown(world: &mut World) -> Result<()> {
    let mut secrets = Vec::new();
    for entry in fs::read_dir(world.home().join("secrets"))? {
        secrets.push(fs::read_to_string(entry?.path())?.trim().to_owned());
    }
    ensure!(secrets.len() >= 3, "there are only {} secrets to look for", secrets.len());
    let shown = |text: &[u8]| {
        secrets
            .iter()
            .any(|secret| text.windows(secret.len()).any(|part| part == secret.as_bytes()))
    };
    for pid in sockets::members(&world.groups()?) {
        for file in ["cmdline", "environ"] {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            ensure!(!shown(&text), "a secret stands in /proc/{pid}/{file}");
        }
    }
    let mut looked_at = 0;
    for directory in ["logs", "chitti", "config", "run"] {
        for entry in
            fs::read_dir(world.home().join(directory)).with_context(|| directory.to_owned())?
        {
            let path = entry?.path();
            if path.is_file() {
                looked_at += 1;
                ensure!(!shown(&fs::read(&path)?), "a secret stands in {}", path.display());
            }
        }
    }
    ensure!(looked_at >= 7, "only {looked_at} files were looked at");
    let console = fs::read(world.home().join("guest/main/console.log"))?;
    ensure!(!shown(&console), "a secret stands in the console's log");
    Ok(())
}
