//! Files: hashed, checked for room, put in place whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Bytes read at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// A hash that grows with what is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hash {
    state: Sha256,
    bytes: u64,
}

impl Hash {
    /// Takes more bytes in.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// The number of bytes taken in.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The hash, in hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        use std::fmt::Write as _;
        self.state.finalize().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes any text");
            hex
        })
    }
}

/// Hashes all that `file` still holds, and tells how far it is.
pub(crate) fn hash(mut file: impl io::Read, mut told: impl FnMut(u64)) -> io::Result<Hash> {
    let mut hash = Hash::default();
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash),
            count => hash.update(&block[..count]),
        }
        told(hash.bytes());
    }
}

/// The bytes that can still be written beside `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let about = rustix::fs::statvfs(path)?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

/// Writes a small file: beside, flushed, renamed into place.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Flushes the folder `path` stands in, so that a rename outlives a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
