//! Finds the programs that a manifest names, before anything is started with them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use rustix::fs::{Access, access};
use sanctum_model::Manifest;
use sanctum_model::manifest::{ManifestError, Problem, Program};

/// Why a program cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is a path from wherever one happens to be.
    #[error("`{program}` is a path that does not begin with `/`")]
    Relative {
        /// The program as it is written.
        program: String,
    },
    /// No directory of `PATH` has it.
    #[error("`{program}` is not on PATH")]
    NotOnPath {
        /// The program as it is written.
        program: String,
    },
    /// It is not there.
    #[error("cannot find `{}`", path.display())]
    Absent {
        /// Where it should be.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is a directory, a socket, a device.
    #[error("`{}` is {what} and not a program", path.display())]
    NotAFile {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It is a file that this user may not run.
    #[error("`{}` is not executable", path.display())]
    NotExecutable {
        /// Where.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl ProgramError {
    /// What to do about it; empty where nothing can be said.
    pub fn help(&self) -> String {
        match self {
            Self::Relative { program } if program.starts_with("~/") => {
                "`~` is the shell's word: write the whole path".to_owned()
            }
            Self::Relative { .. } => {
                "write the whole path: castellan is not started where you are".to_owned()
            }
            Self::NotOnPath { .. } => "write its whole path, or install it".to_owned(),
            Self::NotExecutable { path, .. } => format!("chmod +x '{}'", path.display()),
            Self::Absent { .. } | Self::NotAFile { .. } => String::new(),
        }
    }
}

/// Finds a program: a whole path, or a name in one of the directories of `path_variable`, which is
/// written as `PATH` is. Directories that are not written from `/` are passed over.
///
/// # Errors
///
/// [`ProgramError`] says why it cannot be run. Of a name that is found more than once, but nowhere
/// executable, the first.
pub fn find(program: &str, path_variable: &OsStr) -> Result<PathBuf, ProgramError> {
    if program.starts_with('/') {
        let path = PathBuf::from(program);
        return check(&path).map(|()| path);
    }
    if program.contains('/') {
        return Err(ProgramError::Relative { program: program.to_owned() });
    }
    let mut first = None;
    if !program.is_empty() {
        for directory in env::split_paths(path_variable).filter(|path| path.is_absolute()) {
            let path = directory.join(program);
            match check(&path) {
                Ok(()) => return Ok(path),
                Err(ProgramError::Absent { .. }) => {}
                Err(error) => first = first.or(Some(error)),
            }
        }
    }
    Err(first.unwrap_or_else(|| ProgramError::NotOnPath { program: program.to_owned() }))
}

fn check(path: &Path) -> Result<(), ProgramError> {
    let metadata = fs::metadata(path)
        .map_err(|source| ProgramError::Absent { path: path.to_owned(), source })?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "a device, a pipe or a socket" };
        return Err(ProgramError::NotAFile { path: path.to_owned(), what });
    }
    access(path, Access::EXEC_OK).map_err(|error| ProgramError::NotExecutable {
        path: path.to_owned(),
        source: error.into(),
    })
}

/// What is wrong with the programs of a manifest, each with its place.
pub fn problems(programs: &[Program], path_variable: &OsStr) -> Vec<Problem> {
    let problem = |program: &Program| {
        let path = program.path_variable.as_deref().map_or(path_variable, OsStr::new);
        let error = find(&program.program, path).err()?;
        let key = format!("component.{}.{}", program.component, program.used);
        let message = format!("`{key}`: {error}");
        Some(Problem { span: program.span.clone(), message, help: error.help() })
    };
    programs.iter().filter_map(problem).collect()
}

/// Reads a manifest all of whose programs can be run, by this user and as of now.
///
/// # Errors
///
/// [`ManifestError`] carries every problem, of the text and of the programs.
pub fn parse_manifest(text: &str, path_variable: &OsStr) -> Result<Manifest, ManifestError> {
    Manifest::parse_with(text, |programs| problems(programs, path_variable))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use tempfile::TempDir;

    use super::*;

    /// A directory with a program, a text, a directory and a link that leads nowhere.
    fn directory() -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, mode) in [("runs", 0o755), ("text", 0o644)] {
            let path = directory.path().join(name);
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(directory.path().join("folder")).unwrap();
        symlink("/nowhere/at/all", directory.path().join("dangling")).unwrap();
        symlink("runs", directory.path().join("link")).unwrap();
        directory
    }

    fn said(program: &str, path_variable: &OsStr) -> String {
        find(program, path_variable).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_path_is_taken_as_it_is() {
        let directory = directory();
        for name in ["runs", "link"] {
            let path = directory.path().join(name);
            assert_eq!(find(path.to_str().unwrap(), OsStr::new("")).unwrap(), path);
        }
    }

    #[test]
    fn a_name_is_looked_up_on_path() {
        let (one, other) = (tempfile::tempdir().unwrap(), directory());
        let path = env::join_paths([one.path(), other.path()]).unwrap();
        assert_eq!(find("runs", &path).unwrap(), other.path().join("runs"));
        assert_eq!(said("absent", &path), "`absent` is not on PATH");
        assert_eq!(said("dangling", &path), "`dangling` is not on PATH");
        assert_eq!(said("", &path), "`` is not on PATH");
    }

    #[test]
    fn a_file_that_cannot_run_does_not_hide_one_that_can() {
        let (text, runs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (directory, mode) in [(&text, 0o644), (&runs, 0o755)] {
            let path = directory.path().join("x");
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = env::join_paths([text.path(), runs.path()]).unwrap();
        assert_eq!(find("x", &path).unwrap(), runs.path().join("x"));
        assert!(said("x", text.path().as_os_str()).ends_with("/x` is not executable"));
    }

    #[test]
    fn what_cannot_run_is_said_to_be_what_it_is() {
        let directory = directory();
        let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        for (name, expected) in [
            ("text", "is not executable"),
            ("folder", "is a directory and not a program"),
            ("dangling", "cannot find"),
            ("absent", "cannot find"),
            ("text/below", "cannot find"),
        ] {
            let said = said(&at(name), OsStr::new(""));
            assert!(said.contains(expected), "{said}");
        }
        assert!(said("/dev/null", OsStr::new("")).contains("is a device"));
    }

    #[test]
    fn a_path_from_where_one_happens_to_be_is_refused() {
        for (program, help) in [("./run", "the whole path"), ("~/bin/run", "shell's word")] {
            let error = find(program, OsStr::new("/bin")).unwrap_err();
            assert!(matches!(error, ProgramError::Relative { .. }), "{error}");
            assert!(error.help().contains(help), "{}", error.help());
        }
        let directory = directory();
        assert!(directory.path().join("runs").exists());
        assert_eq!(said("runs", OsStr::new(".::bin")), "`runs` is not on PATH");
    }

    #[test]
    fn programs_and_text_are_judged_together() {
        let text = "[component.a]\nprogram = \"./a\"\nneeds = [\"nobody-at-all\"]\n\
                    [component.b]\nprogram = \"sh\"\nready = { exec = [\"/no/such\", \"x\"] }\n\
                    [component.c]\nprogram = \"sh\"\nenvironment = { PATH = \"/no\" }\n";
        let error = parse_manifest(text, OsStr::new("/usr/bin:/bin")).unwrap_err();
        let shown: Vec<_> = error
            .problems()
            .iter()
            .map(|problem| (problem.message.as_str(), &text[problem.span.clone()]))
            .collect();
        assert_eq!(
            shown,
            [
                ("`component.a.program`: `./a` is a path that does not begin with `/`", "\"./a\""),
                ("`a` needs `nobody-at-all`, which does not exist", "\"nobody-at-all\""),
                ("`component.b.ready.exec`: cannot find `/no/such`", "\"/no/such\""),
                ("`component.c.program`: `sh` is not on PATH", "\"sh\""),
            ]
        );
        parse_manifest("[component.a]\nprogram = \"sh\"\n", OsStr::new("/usr/bin:/bin")).unwrap();
    }
}
