//! What a sweep found, as text.

use sanctum_wire::{Finding, Severity};
use serde::Serialize;

use super::status::{self, paint};
use super::words::{age, names, printable};
use crate::output::{Paint, Palette};

/// Casualties of one root that are named.
const CASUALTIES_SHOWN_MAX: usize = 6;

/// What a sweep found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// When it ended, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    pub(crate) took_ms: u64,
    /// Components that were looked at.
    pub(crate) looked_at: usize,
    /// Those that showed what they should.
    pub(crate) good: usize,
    /// What is wrong, the worst first, each root once.
    pub(crate) findings: Vec<Finding>,
}

/// The exit code: how the worst finding is.
pub(crate) fn exit_code(report: &Report) -> u8 {
    let worst = report.findings.iter().map(|finding| finding.severity).max();
    status::code(worst.unwrap_or(Severity::Good))
}

/// For a person.
pub(crate) fn lines(report: &Report, palette: Palette) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in &report.findings {
        let title = format!("{} {}", finding.component, finding.code);
        let title = palette.paint(paint(finding.severity), &title);
        lines.push(format!("{title}: {}", printable(&finding.what)));
        if !finding.casualties.is_empty() {
            let names_: Vec<&str> = finding.casualties.iter().map(String::as_str).collect();
            lines.push(format!("  keeps down: {}", names(&names_, CASUALTIES_SHOWN_MAX)));
        }
        if !finding.mend.is_empty() {
            let mend = format!("→ {}", printable(&finding.mend));
            lines.push(format!("  {}", palette.paint(Paint::Faint, &mend)));
        }
    }
    lines.push(format!(
        "{} of {} components show from outside what they should; looked at in {}",
        report.good,
        report.looked_at,
        age(report.took_ms)
    ));
    lines
}

/// For chitti, on one line.
pub(crate) fn summary(report: &Report) -> String {
    let counts = format!("{} of {} good", report.good, report.looked_at);
    let finding = |finding: &Finding| {
        let casualties = match finding.casualties.len() {
            0 => String::new(),
            count => format!(" (keeps down {count})"),
        };
        format!("{} {}{casualties}: {}", finding.component, finding.code, finding.what)
    };
    let found: Vec<String> = report.findings.iter().map(finding).collect();
    if found.is_empty() { counts } else { format!("{counts}; {}", found.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::status::tests::finding;

    #[test]
    fn a_report_names_each_root_once() {
        let report = Report {
            at_ms: 0,
            took_ms: 400,
            looked_at: 204,
            good: 3,
            findings: vec![finding("guest", "not-working", "nothing answers", &["a", "b"])],
        };
        assert_eq!(
            lines(&report, Palette::Plain).join("\n"),
            "guest not-working: nothing answers\n  keeps down: a, b\n  → `sanctum explain guest`\n\
             3 of 204 components show from outside what they should; looked at in 0.4 s"
        );
        assert_eq!(
            summary(&report),
            "3 of 204 good; guest not-working (keeps down 2): nothing answers"
        );
        assert_eq!(exit_code(&report), 5);
    }
}
