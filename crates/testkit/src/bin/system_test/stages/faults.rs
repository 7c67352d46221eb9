//! Each part killed in turn, and the end.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sanctum_host::process::Identity;

use crate::sockets;
use crate::world::World;

/// A host program is back within this.
const BACK_SOON: Duration = Duration::from_mins(2);
/// The agent's start under emulation on a busy machine is within this.
const BACK_SLOWLY: Duration = Duration::from_mins(20);

pub(crate) fn seat_killed(world: &mut World) -> Result<()> {
    killed_and_back(world, "sanctum-mlx", BACK_SOON)
}

pub(crate) fn proxyd_killed(world: &mut World) -> Result<()> {
    killed_and_back(world, "proxyd", BACK_SOON)
}

pub(crate) fn umbilical_killed(world: &mut World) -> Result<()> {
    killed_and_back(world, "umbilical", BACK_SOON)
}

/// Also QEMU goes: it is in the component's group, and its parent's death is its own.
pub(crate) fn guest_killed(world: &mut World) -> Result<()> {
    let machine = sockets::members(&[world.pid("guest")?].into())
        .into_iter()
        .find(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.starts_with("qemu-system"))
        })
        .context("no QEMU is among the guest's processes")?;
    let machine = Identity::of(machine).context("QEMU is gone before it was killed")?;
    killed_and_back(world, "guest", BACK_SLOWLY)?;
    ensure!(!machine.is_alive(), "the old QEMU is still there");
    for casualty in ["umbilical", "openclaw"] {
        let crashes = world.component(casualty)?["crashes"].as_u64().unwrap_or_default();
        crate::eprint_line(&format!(
            "       {casualty} was started anew as a casualty; it has {crashes} ends in all"
        ));
    }
    Ok(())
}

fn killed_and_back(world: &World, name: &str, limit: Duration) -> Result<()> {
    let pid = world.pid(name)?;
    kill(pid)?;
    world.wait_until(&format!("another `{name}` runs"), limit, |world| {
        Ok(world.pid(name)? != pid)
    })?;
    let took = world.wait_until_ready(limit)?;
    crate::eprint_line(&format!("       ready again {:.1} s after", took.as_secs_f64()));
    answers(world)
}

fn answers(world: &World) -> Result<()> {
    let answer = world.ask("What is the capital of France?")?;
    ensure!(!answer["text"].as_str().unwrap_or_default().trim().is_empty(), "an empty answer");
    Ok(())
}

/// The agent's own process dies in the guest: the guest's systemd starts it again, and the host
/// sees the gap.
pub(crate) fn openclaw_killed(world: &mut World) -> Result<()> {
    world.in_guest("systemctl kill --signal=KILL --kill-whom=main openclaw.service")?;
    world.wait_until("the host sees the gap", Duration::from_mins(3), |world| {
        Ok(world.component("openclaw")?["phase"] != "ready")
    })?;
    let took = world.wait_until_ready(BACK_SLOWLY)?;
    crate::eprint_line(&format!(
        "       ready again {:.1} s after the gap was seen",
        took.as_secs_f64()
    ));
    answers(world)
}

/// Its dead-man's switch starts another one, which adopts what lives.
pub(crate) fn castellan_killed(world: &mut World) -> Result<()> {
    let castellan = |world: &World| world.snapshot()?["castellan_pid"].as_u64().context("its pid");
    let (killed, before) = (castellan(world)?, pids(world)?);
    kill(u32::try_from(killed)?)?;
    for pid in &before {
        ensure!(Identity::of(*pid).is_some(), "child {pid} died with castellan");
    }
    world.wait_until("another castellan answers", BACK_SOON, |world| {
        Ok(castellan(world).is_ok_and(|pid| pid != killed))
    })?;
    world.wait_until_ready(BACK_SOON)?;
    ensure!(pids(world)? == before, "a component was started anew");
    answers(world)
}

fn pids(world: &World) -> Result<Vec<u32>> {
    ["castellan-deadman", "sanctum-mlx", "proxyd", "guest", "umbilical", "openclaw"]
        .iter()
        .map(|name| world.pid(name))
        .collect()
}

pub(crate) fn down_leaves_nothing(world: &mut World) -> Result<()> {
    let members: Vec<Identity> =
        sockets::members(&world.groups()?).into_iter().filter_map(Identity::of).collect();
    ensure!(members.len() >= 7, "only {} processes were running", members.len());
    world.run_shown(&["down"])?;
    let left: Vec<_> = members.iter().filter(|member| member.is_alive()).collect();
    ensure!(left.is_empty(), "still alive: {left:?}");
    Ok(())
}

fn kill(pid: u32) -> Result<()> {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("a pid")?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    Ok(())
}
