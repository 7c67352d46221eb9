//! Whom an https seat must prove itself to: the machine's certificate authorities, and one more
//! where the configuration names it.

use std::cell::OnceCell;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::config::SeatConfig;
use crate::setup::SetupError;

/// The largest file of certificates, in bytes.
const CA_BYTES_MAX: u64 = 1024 * 1024;

/// The machine's authorities, read when the first https seat needs them.
#[derive(Debug, Default)]
pub(crate) struct Authorities {
    native: OnceCell<RootCertStore>,
}

impl Authorities {
    /// The TLS settings for a seat. One that is reached over http gets settings that trust nobody.
    pub(crate) fn tls_for(&self, config: &SeatConfig) -> Result<ClientConfig, SetupError> {
        let seat = || Arc::clone(&config.name);
        let mut trusted = RootCertStore::empty();
        if config.base_url.starts_with("https:") {
            trusted = self.native.get_or_init(native).clone();
            if let Some(path) = &config.extra_ca {
                add(&mut trusted, path, &seat())?;
            }
            if trusted.is_empty() {
                return Err(SetupError::NoAuthorities { seat: seat() });
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| SetupError::Tls { seat: seat(), source })?;
        Ok(versions.with_root_certificates(trusted).with_no_client_auth())
    }
}

#[cfg(not(target_os = "macos"))]
fn native() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "cannot read some of the machine's certificate authorities");
    }
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(found.certs);
    trusted
}

/// The file that macOS keeps for programs without its frameworks. What the owner has added to the
/// keychain is not in it: that is named by `extra_ca`.
#[cfg(target_os = "macos")]
fn native() -> RootCertStore {
    let mut trusted = RootCertStore::empty();
    match CertificateDer::pem_file_iter("/etc/ssl/cert.pem") {
        Ok(found) => {
            trusted.add_parsable_certificates(found.flatten());
        }
        Err(error) => tracing::warn!(%error, "cannot read the machine's certificate authorities"),
    }
    trusted
}

fn add(trusted: &mut RootCertStore, path: &Path, seat: &Arc<str>) -> Result<(), SetupError> {
    let unreadable =
        |source| SetupError::ExtraCa { seat: Arc::clone(seat), path: path.to_owned(), source };
    let unusable = || SetupError::NoCa { seat: Arc::clone(seat), path: path.to_owned() };
    if fs::metadata(path).map_err(unreadable)?.len() > CA_BYTES_MAX {
        return Err(unreadable(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    let text = fs::read(path).map_err(unreadable)?;
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        trusted.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
        added += 1;
    }
    if added == 0 { Err(unusable()) } else { Ok(()) }
}
