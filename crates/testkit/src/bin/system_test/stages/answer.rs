//! The path itself.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::http;
use crate::world::World;

/// A terminal's interrupt goes to the whole group; castellan is not in it.
pub(crate) fn up_interrupted(world: &mut World) -> Result<()> {
    let mut command = world.sanctum(&["up"]);
    let child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    world.wait_until("the guest is starting", Duration::from_mins(1), |world| {
        Ok(world.component("guest")?["phase"] == "starting")
    })?;
    rustix::process::kill_process_group(rustix::process::Pid::from_child(&child), Signal::INT)?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "it ended with {}: {said}", output.status);
    ensure!(said.contains("goes on in the background"), "{said}");
    ensure!(world.component("guest")?["phase"] != "stopped", "the guest was stopped");
    Ok(())
}

pub(crate) fn up_answers(world: &mut World) -> Result<()> {
    let answer = world.run_shown(&["up"])?;
    ensure!(!answer.trim().is_empty(), "no answer was printed");
    crate::eprint_line(&format!("       the agent: {}", answer.trim()));
    let snapshot = world.snapshot()?;
    let states = snapshot["components"].as_array().context("components")?;
    let (tasks, stay): (Vec<&Value>, Vec<&Value>) =
        states.iter().partition(|state| state["name"] == "sweep");
    ensure!(tasks.len() == 1, "no sweep is kept: {states:?}");
    let phases: Vec<_> = stay.iter().map(|state| state["phase"].clone()).collect();
    ensure!(phases.len() == 6 && phases.iter().all(|phase| phase == "ready"), "{phases:?}");
    Ok(())
}

pub(crate) fn up_again(world: &mut World) -> Result<()> {
    let before = world.groups()?;
    let started = Instant::now();
    let output = world.sanctum(&["up"]).output()?;
    let took = started.elapsed();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success() && said.contains("up already"), "{said}");
    ensure!(took.as_secs_f64() < 2.0, "it took {took:?}");
    ensure!(world.groups()? == before, "a process changed");
    Ok(())
}

/// The answer the user sees, the stream the tap saw, and a replay of the same body at the seat are
/// the same text.
pub(crate) fn the_seats_own_text(world: &mut World) -> Result<()> {
    let answer = world.ask("What is the capital of France?")?;
    let text = answer["text"].as_str().context("text")?.trim().to_owned();
    ensure!(!text.is_empty(), "the answer is empty");
    let pieces = answer["pieces"].as_u64().context("pieces")?;
    ensure!(pieces > 1, "the answer came in {pieces} piece, not streamed");
    for recording in world.tap.recordings().iter().rev() {
        let asked = http::messages(&recording.asked);
        let answered = http::messages(&recording.answered);
        for ((_, body), (_, stream)) in asked.iter().zip(&answered).rev() {
            let Ok((said, said_in)) = http::streamed_text(stream) else { continue };
            if said.trim() != text {
                continue;
            }
            ensure!(said_in > 1, "the seat answered in one piece");
            let again = replay(world, body)?;
            ensure!(
                again == said,
                "the same body at the seat gave another text:\n{said:?}\n{again:?}"
            );
            return Ok(());
        }
    }
    bail!("no stream of the seat has the text {text:?}")
}

/// Sends a recorded body to the seat itself.
fn replay(world: &World, body: &[u8]) -> Result<String> {
    let (file, headers) = (world.home().join("replay.json"), world.home().join("replay.headers"));
    fs::write(&file, body)?;
    let key = fs::read_to_string(world.home().join("secrets/seat-general"))?;
    fs::write(
        &headers,
        format!("authorization: Bearer {}\ncontent-type: application/json\n", key.trim()),
    )?;
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail-with-body", "--max-time", "300", "--no-buffer"])
        .arg("--header")
        .arg(format!("@{}", headers.display()))
        .arg("--data-binary")
        .arg(format!("@{}", file.display()))
        .arg(format!("http://127.0.0.1:{}/v1/chat/completions", world.ports.seat))
        .output()?;
    fs::remove_file(headers)?;
    ensure!(
        output.status.success(),
        "curl: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(http::streamed_text(&output.stdout)?.0)
}

pub(crate) fn proxyd_logged(world: &mut World) -> Result<()> {
    let log = world.log("proxyd");
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("caller=\"guest-main\"")).collect();
    ensure!(!lines.is_empty(), "no request of the guest is logged:\n{log}");
    ensure!(
        lines.iter().any(|line| line.contains("outcome=\"completed\"")),
        "none is completed:\n{}",
        lines.join("\n")
    );
    ensure!(!log.contains("capital of France"), "the log holds a body");
    Ok(())
}
