//! Where this user's Sanctum is: the directories, the manifest, the control socket.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};
use sanctum_guest::GuestPaths;
use sanctum_host::program;
use sanctum_model::Manifest;
use sanctum_model::manifest::Problem;
use sanctum_plan::Layout;
use sanctum_secrets::Secrets;
use sanctum_wire::Client;
use sha2::{Digest as _, Sha256};

use crate::failure::{CONFIGURATION, Failure};
use crate::output::{Output, Palette};

/// The directories of this run, from the environment.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) layout: Layout,
}

/// A manifest with the text it was read from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) path: String,
    pub(crate) manifest: Manifest,
    pub(crate) sha256: String,
    pub(crate) text: String,
}

impl Place {
    /// Finds the directories. Nothing is made.
    pub(crate) fn from_environment() -> Result<Self, Failure> {
        let variable = |name: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let home = variable("HOME");
        let below_home = |path: &str| {
            home.as_ref().map(|home| home.join(path)).ok_or_else(|| {
                Failure::new("HOME is not set").hint("set SANCTUM_HOME and SANCTUM_CACHE instead")
            })
        };
        let state = match variable("SANCTUM_HOME") {
            Some(state) => state,
            None => below_home(".sanctum")?,
        };
        let cache = match (variable("SANCTUM_CACHE"), variable("XDG_CACHE_HOME")) {
            (Some(cache), _) => cache,
            (None, Some(caches)) => caches.join("sanctum"),
            (None, None) => below_home(".cache/sanctum")?,
        };
        let program = std::env::current_exe().map_err(|error| Failure::from_error(&error))?;
        let programs = program.parent().unwrap_or(Path::new("/")).to_owned();
        let layout =
            Layout { home: text(&state)?, cache: text(&cache)?, programs: text(&programs)? };
        Ok(Self { layout })
    }

    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::at(self.layout.secrets())
    }

    pub(crate) fn guest(&self) -> GuestPaths {
        GuestPaths::new(Path::new(&self.layout.home))
    }

    pub(crate) fn cache(&self) -> &Path {
        Path::new(&self.layout.cache)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.layout.socket())
    }

    /// Reads the manifest. There must be one.
    pub(crate) fn load(&self, output: &Output) -> Result<Loaded, Failure> {
        let path = self.layout.manifest();
        match fs::read_to_string(&path) {
            Ok(text) => loaded(&path, text, output.palette_err()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failure::new(format!("there is no manifest at `{path}`"))
                    .with_code(CONFIGURATION)
                    .hint("`sanctum init` writes one; `sanctum up` does so too, with the defaults"))
            }
            Err(error) => {
                Err(Failure::new(format!("cannot read `{path}`: {error}")).with_code(CONFIGURATION))
            }
        }
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(|error| Failure::from_error(&error))?;
    absolute.to_str().map(|text| text.trim_end_matches('/').to_owned()).ok_or_else(|| {
        Failure::new(format!("`{}` is not UTF-8", path.display())).hint("choose another directory")
    })
}

/// Reads the text of a manifest, and looks for the programs it names.
pub(crate) fn loaded(path: &str, text: String, palette: Palette) -> Result<Loaded, Failure> {
    let programs = std::env::var_os("PATH").unwrap_or_default();
    match program::parse_manifest(&text, &programs) {
        Ok(manifest) => {
            let sha256 = format!("{:x}", Sha256::digest(&text));
            Ok(Loaded { path: path.to_owned(), manifest, sha256, text })
        }
        Err(error) => Err(manifest_failure(path, &text, error.problems(), palette)),
    }
}

/// Every problem with the line it is on.
pub(crate) fn manifest_failure(
    path: &str,
    text: &str,
    problems: &[Problem],
    palette: Palette,
) -> Failure {
    let count = problems.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    let mut failure =
        Failure::new(format!("cannot use `{path}`: {count} {noun}")).with_code(CONFIGURATION);
    let theme = match palette {
        Palette::Colors => GraphicalTheme::unicode(),
        Palette::Plain => GraphicalTheme::unicode_nocolor(),
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false);
    for problem in problems {
        let report = Report { problem, source: NamedSource::new(path, text.to_owned()) };
        let mut rendered = String::new();
        if handler.render_report(&mut rendered, &report).is_err() {
            rendered.clone_from(&problem.message);
        }
        failure = failure.detail(rendered.trim_end().to_owned());
    }
    failure
}

/// One problem, as miette wants it.
#[derive(Debug)]
struct Report<'p> {
    problem: &'p Problem,
    source: NamedSource<String>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.problem.message)
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = &self.problem.help;
        if help.is_empty() { None } else { Some(Box::new(help)) }
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.problem.span.clone();
        Some(Box::new(std::iter::once(LabeledSpan::new(None, span.start, span.len()))))
    }
}
