//! The one place that prints: data on standard output, talk on standard error.
//!
//! What takes longer than a moment is a [`Step`]: on a terminal a line with the time that has
//! passed, elsewhere plain lines, one when it begins to take long and one when it is done.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use sanctum_host::progress::Progress;

use crate::failure::Failure;

/// How often a running step is drawn anew on a terminal.
const DRAW_INTERVAL: Duration = Duration::from_millis(120);
/// How often a running step is mentioned where there is no terminal.
const MENTION_INTERVAL: Duration = Duration::from_secs(15);

/// Standard output and standard error, and how they may be used.
#[derive(Debug)]
pub(crate) struct Output {
    out: Palette,
    err: Palette,
    terminal_out: bool,
    terminal: bool,
}

/// Whether text may have colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Palette {
    Colors,
    Plain,
}

impl Palette {
    /// Colours text, where it may be.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        match self {
            Self::Colors => format!("\u{1b}[{}m{text}\u{1b}[0m", paint.code()),
            Self::Plain => text.to_owned(),
        }
    }
}

/// What a colour means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Good,
    Passing,
    Bad,
    Faint,
    Strong,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Passing => "33",
            Self::Bad => "31",
            Self::Faint => "2",
            Self::Strong => "1",
        }
    }
}

#[expect(clippy::unused_self, reason = "who prints has been given the one door to do it through")]
impl Output {
    pub(crate) fn from_environment() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|value| value != "dumb");
        let palette =
            |terminal: bool| if wanted && terminal { Palette::Colors } else { Palette::Plain };
        Self {
            out: palette(io::stdout().is_terminal()),
            err: palette(io::stderr().is_terminal()),
            terminal_out: io::stdout().is_terminal(),
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Prints a line of data. A reader that has gone away is no failure of ours.
    pub(crate) fn data(&self, line: impl Display) {
        drop(writeln!(io::stdout(), "{line}"));
    }

    /// Prints many lines of data at once.
    pub(crate) fn lines(&self, lines: impl IntoIterator<Item = String>) {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        drop(io::stdout().lock().write_all(text.as_bytes()));
    }

    /// Prints a piece of data at once, without an end of line.
    pub(crate) fn stream(&self, piece: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(piece.as_bytes())?;
        out.flush()
    }

    /// Says something to the person at the terminal.
    pub(crate) fn say(&self, line: impl Display) {
        drop(writeln!(io::stderr(), "{line}"));
    }

    pub(crate) fn hint(&self, hint: impl Display) {
        self.say(format!("{} {hint}", self.paint_err(Paint::Passing, "hint:")));
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        self.say(format!("{} {failure}", self.paint_err(Paint::Bad, "error:")));
        for detail in failure.details() {
            self.say(detail);
        }
        for hint in failure.hints() {
            self.hint(hint);
        }
    }

    /// Whether standard output is a terminal.
    pub(crate) fn is_terminal_out(&self) -> bool {
        self.terminal_out
    }

    /// The colours of standard output.
    pub(crate) fn palette(&self) -> Palette {
        self.out
    }

    /// The colours of standard error.
    pub(crate) fn palette_err(&self) -> Palette {
        self.err
    }

    /// Colours text for standard output.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        self.out.paint(paint, text)
    }

    /// Colours text for standard error.
    pub(crate) fn paint_err(&self, paint: Paint, text: &str) -> String {
        self.err.paint(paint, text)
    }

    /// Begins something that may take a while.
    pub(crate) fn step(&self, name: impl Into<String>) -> Step<'_> {
        let name = name.into();
        let bar = self.terminal.then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(style("{spinner} {prefix} {msg} ({elapsed})"));
            bar.set_prefix(name.clone());
            bar.enable_steady_tick(DRAW_INTERVAL);
            bar
        });
        let now = Instant::now();
        Step { output: self, bar, name, started: now, mentioned: now, detail: String::new() }
    }
}

/// A template that does not parse is a fault of this file; the plain style shows as much.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Something under way.
#[derive(Debug)]
pub(crate) struct Step<'o> {
    output: &'o Output,
    bar: Option<ProgressBar>,
    name: String,
    started: Instant,
    mentioned: Instant,
    detail: String,
}

impl Step<'_> {
    /// Says what it is doing now.
    pub(crate) fn detail(&mut self, detail: impl Into<String>) {
        self.detail = detail.into();
        if let Some(bar) = &self.bar {
            bar.set_message(self.detail.clone());
        } else if self.mentioned.elapsed() >= MENTION_INTERVAL {
            self.mentioned = Instant::now();
            self.output.say(format!(
                "  {}: {} ({})",
                self.name,
                self.detail,
                shown(self.started.elapsed())
            ));
        }
    }

    /// Says how many bytes of how many are there.
    pub(crate) fn bytes(&mut self, done: u64, total: u64) {
        let share = (done * 100).checked_div(total).unwrap_or(0);
        self.detail(format!("{} of {} ({share} %)", HumanBytes(done), HumanBytes(total)));
    }

    /// Takes what a long job of the host plane reports.
    pub(crate) fn progress(&mut self, progress: Progress) {
        match progress {
            Progress::Step { index, count, name } => {
                self.detail(format!("[{index}/{count}] {name}"));
            }
            Progress::Detail(detail) => self.detail(detail),
            Progress::Fraction { done, total } => self.bytes(done, total),
            Progress::StepDone { .. } => {}
        }
    }

    /// Prints a line above the running step.
    pub(crate) fn line(&self, line: impl Display) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.say(line)),
            None => self.output.say(line),
        }
    }

    /// Ends it well.
    pub(crate) fn done(self, result: impl Display) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let mark = self.output.paint_err(Paint::Good, "✓");
        let took =
            self.output.paint_err(Paint::Faint, &format!("({})", shown(self.started.elapsed())));
        self.output.say(format!("{mark} {} {result} {took}", self.name));
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A duration as a person says it: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_as_a_person_says_it() {
        for (millis, said) in
            [(412, "0.4 s"), (12_700, "12 s"), (200_000, "3 min 20 s"), (7_500_000, "2 h 5 min")]
        {
            assert_eq!(shown(Duration::from_millis(millis)), said);
        }
    }
}
