//! The steps, as they stand in the arguments.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// One thing to do; `main.rs` has the table.
#[derive(Debug)]
pub(crate) enum Step {
    Sleep(Duration),
    Wait,
    Busy(Duration),
    Exit(u8),
    Mark(String),
    IgnoreTerm,
    Listen(u16),
    Hang(u16),
    Child(Vec<String>),
    Session(Vec<String>),
    Orphan(Vec<String>),
    Print(String),
    Lines { every: Duration, time: Duration },
    Flood(u64),
    Repeat(u64),
    Leak(usize),
    Lock { file: String, stale_after: Duration },
    Notify(String),
    Ping { every: Duration, time: Duration },
}

/// Reads all steps before the first is done, so that a typing error is no fault of its own kind.
pub(crate) fn parse(words: &[String]) -> Result<Vec<Step>> {
    let mut words = Words { left: words };
    let mut steps = Vec::new();
    while let Some((word, left)) = words.left.split_first() {
        words.left = left;
        let step = words.step(word).with_context(|| format!("cannot read `{word}`"))?;
        steps.push(step);
    }
    Ok(steps)
}

struct Words<'a> {
    left: &'a [String],
}

impl Words<'_> {
    fn step(&mut self, word: &str) -> Result<Step> {
        Ok(match word {
            "sleep" => Step::Sleep(self.time()?),
            "wait" => Step::Wait,
            "busy" => Step::Busy(self.time()?),
            "exit" => Step::Exit(self.next()?.parse()?),
            "mark" => Step::Mark(self.next()?),
            "ignore-term" => Step::IgnoreTerm,
            "listen" => Step::Listen(self.next()?.parse()?),
            "hang" => Step::Hang(self.next()?.parse()?),
            "child" => Step::Child(self.block()?),
            "session" => Step::Session(self.block()?),
            "orphan" => Step::Orphan(self.block()?),
            "print" => Step::Print(self.next()?),
            "lines" => Step::Lines { every: self.time()?, time: self.time()? },
            "flood" => Step::Flood(self.next()?.parse()?),
            "repeat" => Step::Repeat(self.next()?.parse()?),
            "leak" => Step::Leak(self.next()?.parse()?),
            "lock" => Step::Lock { file: self.next()?, stale_after: self.time()? },
            "notify" => Step::Notify(self.next()?),
            "ping" => Step::Ping { every: self.time()?, time: self.time()? },
            _ => bail!("there is no such step"),
        })
    }

    fn next(&mut self) -> Result<String> {
        let (word, left) = self.left.split_first().context("a word is missing after it")?;
        self.left = left;
        Ok(word.clone())
    }

    /// A number of milliseconds.
    fn time(&mut self) -> Result<Duration> {
        Ok(Duration::from_millis(self.next()?.parse()?))
    }

    /// The words between `{` and the `}` that closes it.
    fn block(&mut self) -> Result<Vec<String>> {
        if self.next()? != "{" {
            bail!("`{{` is missing after it");
        }
        let (mut depth, mut inside) = (1, Vec::new());
        loop {
            let word = self.next().context("a `}` is missing")?;
            match word.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(inside);
            }
            inside.push(word);
        }
    }
}
