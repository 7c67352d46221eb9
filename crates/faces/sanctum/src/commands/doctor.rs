//! `doctor`: checks the machine and every hop, touches nothing, and names what mends each finding.

use std::process::ExitCode;

use super::{Outcome, print_json};
use crate::checks::{self, Check, Level};
use crate::output::{Output, Paint};
use crate::place::Place;

pub(crate) fn run(place: &Place, output: &Output, json: bool) -> Outcome {
    let mut checks = checks::machine(place);
    match place.load(output) {
        Ok(loaded) => {
            checks.push(Check::good(
                "manifest.valid",
                format!("`{}` is a good manifest", place.layout.manifest()),
            ));
            checks.extend(checks::prerequisites(place, &loaded.manifest));
            checks.extend(checks::hops(place, &loaded.manifest));
        }
        Err(failure) => {
            let mend =
                failure.hints().first().cloned().unwrap_or_else(|| "sanctum plan".to_owned());
            checks.push(Check::bad("manifest.valid", failure.to_string(), mend));
        }
    }
    checks.sort_by_key(|check| std::cmp::Reverse(check.level)); // stable: the order of the way within
    let worst = checks.iter().map(|check| check.level).max().unwrap_or(Level::Good);
    if json {
        print_json(output, &checks)?;
    } else {
        for check in &checks {
            let (word, paint) = match check.level {
                Level::Good => ("ok", Paint::Good),
                Level::Note => ("note", Paint::Passing),
                Level::Bad => ("bad", Paint::Bad),
            };
            output.data(format!(
                "{}  {:22} {}",
                output.paint(paint, &format!("{word:4}")),
                check.id,
                check.what
            ));
            if !check.mend.is_empty() {
                output.data(format!(
                    "      {}",
                    output.paint(Paint::Faint, &format!("→ {}", check.mend))
                ));
            }
        }
    }
    Ok(if worst == Level::Bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
