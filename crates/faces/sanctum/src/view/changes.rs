//! What a changed manifest comes to, for a reader.

use sanctum_wire::{ChangeKind, ChangePlan};

use super::words::printable;
use crate::output::{Paint, Palette};

/// One line a component, then a sum.
pub(crate) fn lines(plan: &ChangePlan, palette: Palette) -> Vec<String> {
    if plan.changes.is_empty() {
        return vec!["nothing changes: the manifest means what is in force".to_owned()];
    }
    let width = plan.changes.iter().map(|change| change.component.len()).max().unwrap_or(0);
    let mut lines: Vec<String> = plan
        .changes
        .iter()
        .map(|change| {
            let (mark, word, paint) = match change.kind {
                ChangeKind::Add => ('+', "start", Paint::Good),
                ChangeKind::Remove => ('-', "stop", Paint::Bad),
                ChangeKind::Restart => ('~', "restart", Paint::Passing),
                ChangeKind::Adjust => ('·', "adjust", Paint::Faint),
            };
            let text = format!("{mark} {:width$}  {word:7}", change.component);
            let what = printable(&change.what);
            format!("{}  {what}", palette.paint(paint, &text)).trim_end().to_owned()
        })
        .collect();
    let sum = |kind: ChangeKind, word: &str| {
        let count = plan.changes.iter().filter(|change| change.kind == kind).count();
        (count > 0).then(|| format!("{count} {word}"))
    };
    let sums: Vec<String> = [
        sum(ChangeKind::Add, "to start"),
        sum(ChangeKind::Remove, "to stop"),
        sum(ChangeKind::Restart, "to restart"),
        sum(ChangeKind::Adjust, "to adjust as they run"),
    ]
    .into_iter()
    .flatten()
    .collect();
    lines.push(format!("{}; everything else goes on as it is", sums.join(", ")));
    lines
}

/// Whether something that may be running is stopped.
pub(crate) fn interrupts(plan: &ChangePlan) -> bool {
    plan.changes.iter().any(|change| match change.kind {
        ChangeKind::Remove | ChangeKind::Restart => true,
        ChangeKind::Add | ChangeKind::Adjust => false,
    })
}

#[cfg(test)]
mod tests {
    use sanctum_wire::Change;

    use super::*;

    fn plan(changes: &[(&str, ChangeKind, &str)]) -> ChangePlan {
        let change = |(component, kind, what): &(&str, ChangeKind, &str)| Change {
            component: (*component).to_owned(),
            kind: *kind,
            what: (*what).to_owned(),
        };
        ChangePlan { generation: 7, changes: changes.iter().map(change).collect() }
    }

    #[test]
    fn each_change_is_a_line_and_the_last_one_counts_them() {
        let plan = plan(&[
            ("radio", ChangeKind::Add, ""),
            ("old", ChangeKind::Remove, ""),
            ("proxyd", ChangeKind::Restart, "arguments, files"),
            ("guest", ChangeKind::Adjust, "probe"),
        ]);
        assert_eq!(
            lines(&plan, Palette::Plain).join("\n"),
            "+ radio   start\n\
             - old     stop\n\
             ~ proxyd  restart  arguments, files\n\
             · guest   adjust   probe\n\
             1 to start, 1 to stop, 1 to restart, 1 to adjust as they run; \
             everything else goes on as it is"
        );
    }

    #[test]
    fn only_what_is_stopped_interrupts() {
        assert!(!interrupts(&plan(&[("a", ChangeKind::Add, ""), ("b", ChangeKind::Adjust, "")])));
        assert!(interrupts(&plan(&[("a", ChangeKind::Remove, "")])));
        assert!(interrupts(&plan(&[("a", ChangeKind::Restart, "")])));
    }
}
