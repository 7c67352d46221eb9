//! The whole path, for real: the real programs, a real virtual machine, the real agent, a real
//! model. One world is brought up and every stage looks at it or hurts it.
//!
//! `system_test --programs DIRECTORY [--only WORDS] [--keep]`. It prints each stage as it goes and
//! closes with `N passed, N failed`.

mod http;
mod sockets;
mod stages;
mod tap;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::world::World;

/// One stage: a sentence that is true when it passes.
type Stage = (&'static str, fn(&mut World) -> Result<()>);

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprint_line(&format!("system test: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs every stage and returns how many failed.
fn run() -> Result<usize> {
    let options = Options::parse()?;
    let mut world = World::new(&options.programs, options.keep)?;
    let (mut passed, mut failed) = (0, 0);
    for (name, stage) in stages::ALL {
        if options.only.as_ref().is_some_and(|words| !name.contains(words)) {
            continue;
        }
        let started = Instant::now();
        eprint_line(&format!("  …    {name}"));
        match stage(&mut world) {
            Ok(()) => {
                passed += 1;
                eprint_line(&format!("  ok   {name} ({:.1} s)", started.elapsed().as_secs_f64()));
            }
            Err(error) => {
                failed += 1;
                eprint_line(&format!(
                    "  FAIL {name} ({:.1} s)\n       {error:#}",
                    started.elapsed().as_secs_f64()
                ));
                if passed < 2 {
                    eprint_line("       nothing came up: the other stages would say the same");
                    break;
                }
            }
        }
    }
    if failed > 0 {
        world.show_logs();
    }
    world.end();
    eprint_line(&format!("{passed} passed, {failed} failed"));
    Ok(failed)
}

struct Options {
    programs: PathBuf,
    only: Option<String>,
    keep: bool,
}

impl Options {
    fn parse() -> Result<Self> {
        let (mut programs, mut only, mut keep) = (None, None, false);
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--programs" => programs = words.next().map(PathBuf::from),
                "--only" => only = words.next(),
                "--keep" => keep = true,
                other => bail!("unknown word `{other}`"),
            }
        }
        Ok(Self { programs: programs.context("--programs DIRECTORY is missing")?, only, keep })
    }
}

/// Progress goes out line by line, also into a pipe.
#[expect(clippy::print_stderr, reason = "this program's output is what it is for")]
fn eprint_line(line: &str) {
    eprintln!("{line}");
}
