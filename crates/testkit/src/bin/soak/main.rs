//! A castellan that is hurt at random for minutes, and must be whole afterwards.
//!
//! `soak --programs DIRECTORY [--minutes M] [--components N] [--seed S]`. Two hundred components in
//! layers of needs; every half second one of them dies, now and then castellan itself or its
//! dead-man's switch. Then, at peace: everything that should be up is up, and works; there is no
//! orphan, no zombie and no leaked descriptor; the journal is whole. The last line is
//! `soak: N failed`.

mod dice;
mod fleet;
mod journal;
mod keep;
mod look;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use sanctum_host::process::Identity;

use dice::Dice;
use keep::Keep;

/// From one death to the next.
const DEATH_INTERVAL: Duration = Duration::from_millis(500);
/// One death in so many is castellan's.
const CASTELLAN_ODDS: u64 = 40;
/// One death in so many is the dead-man's switch's.
const DEADMAN_ODDS: u64 = 60;
/// The longest that there is no castellan.
const ABSENCE_MAX_MS: u64 = 2_000;
/// The longest until all is well again: a backoff may be a minute.
const PEACE_MAX: Duration = Duration::from_mins(4);
/// How many descriptors may come and go: a connection, a probe.
const DESCRIPTORS_SLACK: usize = 8;

fn main() -> ExitCode {
    let failed = Options::parse().and_then(|options| run(&options));
    match failed {
        Ok(0) => {
            say("soak: 0 failed");
            ExitCode::SUCCESS
        }
        Ok(failed) => {
            say(&format!("soak: {failed} failed"));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("soak: {error:#}\nsoak: 1 failed"));
            ExitCode::FAILURE
        }
    }
}

struct Options {
    programs: PathBuf,
    minutes: f64,
    components: usize,
    seed: u64,
}

impl Options {
    fn parse() -> Result<Self> {
        let (mut programs, mut minutes, mut components) = (None, 2.0, 200);
        let mut seed = u64::from(std::process::id());
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("`{word}` has no value"));
            match word.as_str() {
                "--programs" => programs = Some(PathBuf::from(value()?)),
                "--minutes" => minutes = value()?.parse()?,
                "--components" => components = value()?.parse()?,
                "--seed" => seed = value()?.parse()?,
                _ => bail!("`{word}` is not known"),
            }
        }
        let programs = programs.context("`--programs DIRECTORY` is missing")?;
        Ok(Self { programs, minutes, components, seed })
    }
}

/// How often each kind of death was dealt.
#[derive(Debug, Default)]
struct Deaths {
    components: usize,
    grandchildren: usize,
    castellan: usize,
    deadman: usize,
    /// Components that a death of castellan cost a restart.
    lost: Vec<String>,
}

/// Runs it all and returns how many of the claims do not hold.
fn run(options: &Options) -> Result<usize> {
    say(&format!("soak: {} minutes, seed {}", options.minutes, options.seed));
    let life = Duration::from_secs_f64(options.minutes * 60.0) + PEACE_MAX * 4;
    let mut keep = Keep::build(&options.programs, options.components, life)?;
    keep.start()?;
    keep.wait_until_whole(PEACE_MAX)?;
    say(&format!("soak: {} components are up", options.components));

    let mut dice = Dice::new(options.seed);
    let end = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let mut deaths = Deaths::default();
    while Instant::now() < end {
        hurt(&mut keep, &mut dice, &mut deaths)?;
        thread::sleep(DEATH_INTERVAL);
    }
    say(&format!("soak: dealt {deaths:?}"));

    let mut failed = 0;
    let mut claim = |what: &str, held: Result<String>| match held {
        Ok(seen) => say(&format!("  ok   {what} ({seen})")),
        Err(error) => {
            failed += 1;
            say(&format!("  FAIL {what}\n       {error:#}"));
        }
    };
    claim("everything that should be up is up", keep.wait_until_whole(PEACE_MAX));
    claim("castellan's deaths cost no component a restart", {
        let lost = &deaths.lost;
        if lost.is_empty() { Ok("none".to_owned()) } else { Err(anyhow::anyhow!("{lost:?}")) }
    });
    claim("there are no orphans", keep.orphans());
    claim("there are no zombies", keep.zombies());
    claim("no descriptor is leaked", descriptors(&mut keep));
    claim("the journal is whole", journal::check(&keep.home()));
    claim("told to end, it ends and leaves nothing", keep.end());
    if failed > 0 {
        say(&format!("soak: its state is kept in {}", keep.retain().display()));
    }
    Ok(failed)
}

/// One death, and where it is castellan's, the next castellan.
fn hurt(keep: &mut Keep, dice: &mut Dice, deaths: &mut Deaths) -> Result<()> {
    if dice.one_in(CASTELLAN_ODDS) {
        deaths.castellan += 1;
        let lost = keep.replace_castellan(Duration::from_millis(dice.below(ABSENCE_MAX_MS)))?;
        deaths.lost.extend(lost);
    } else if dice.one_in(DEADMAN_ODDS) {
        if let Some(deadman) = keep.deadman() {
            deaths.deadman += 1;
            look::send(&deadman, Signal::KILL);
        }
    } else {
        let living = keep.living()?;
        ensure!(!living.is_empty(), "nothing is alive");
        let (_, pid) = &living[dice.index(living.len())];
        let children = look::children_of(*pid);
        let victim = if !children.is_empty() && dice.one_in(2) {
            deaths.grandchildren += 1;
            children[dice.index(children.len())]
        } else {
            deaths.components += 1;
            *pid
        };
        let signal = if dice.one_in(4) { Signal::TERM } else { Signal::KILL };
        if let Some(victim) = Identity::of(victim) {
            look::send(&victim, signal);
        }
    }
    Ok(())
}

/// Kills every component once, and once more: the same number of descriptors must be open.
fn descriptors(keep: &mut Keep) -> Result<String> {
    let mut counts = Vec::new();
    for _ in 0..2 {
        for (_, pid) in keep.living()? {
            if let Some(process) = Identity::of(pid) {
                look::send(&process, Signal::KILL);
            }
        }
        thread::sleep(DEATH_INTERVAL);
        keep.wait_until_whole(PEACE_MAX)?;
        counts.push(look::descriptors_of(keep.castellan()?)?);
    }
    ensure!(counts[1] <= counts[0] + DESCRIPTORS_SLACK, "first {}, then {}", counts[0], counts[1]);
    Ok(format!("{} and {}", counts[0], counts[1]))
}

#[expect(clippy::print_stderr, reason = "this program's output is what it is for")]
fn say(line: &str) {
    eprintln!("{line}");
}
