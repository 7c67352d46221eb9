//! The hub: what it says of a file, and the file itself from any byte on.
//!
//! The hub answers for a large file with a redirect that names its SHA-256 (`x-linked-etag`), its
//! size and the commit. The commit is then asked for, so that a branch that moves between two
//! attempts does not mix two files.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use sanctum_secrets::Secret;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION};
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::request::HubFile;

/// The hub's address.
pub const HUB: &str = "https://huggingface.co";

/// The time a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// The time the first byte of an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The time no byte may come before a connection counts as cut.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Redirects that are followed to learn of a file.
const REDIRECTS_MAX: usize = 5;

/// A hub, and who asks it.
#[derive(Debug)]
pub struct Hub {
    agent: Agent,
    base: String,
    token: Option<Secret<String>>,
}

/// What the hub says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    /// The hash.
    pub(crate) sha256: String,
    /// The size, in bytes.
    pub(crate) size_bytes: u64,
    /// The file at the commit the revision stood for.
    pub(crate) file: HubFile,
}

/// Why the hub gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// It cannot be asked.
    #[error("cannot reach `{url}`")]
    Reach {
        /// What was asked for.
        url: String,
        /// The cause.
        source: Box<ureq::Error>,
    },
    /// It has no such file.
    #[error("the hub has no `{0}`: check the organisation, the repository and the file")]
    Absent(String),
    /// It wants to know who asks, or asks for a licence to be accepted.
    #[error(
        "the hub gives `{0}` only to known users who accepted its licence: accept it on its page and pass a token in HF_TOKEN"
    )]
    Closed(String),
    /// It answers something else.
    #[error("the hub answers {status} to `{url}`")]
    Status {
        /// What was asked for.
        url: String,
        /// The answer.
        status: StatusCode,
    },
    /// It does not say what the file must be.
    #[error(
        "the hub tells no SHA-256 and size for `{0}`, so it cannot be checked: only large files have them"
    )]
    NoHash(String),
    /// It continues elsewhere than asked.
    #[error("the hub does not continue `{url}` at byte {wanted}")]
    Elsewhere {
        /// What was asked for.
        url: String,
        /// The first byte that was wanted.
        wanted: u64,
    },
}

impl Hub {
    /// The hub at `base` ([`HUB`], or a mirror), asked with `token` if there is one. The system's
    /// certificates are trusted, and `HTTPS_PROXY` is followed.
    pub fn new(base: &str, token: Option<Secret<String>>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
        let secure = base.starts_with("https:");
        let tls = if secure { tls.root_certs(system_roots()) } else { tls };
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .https_only(secure)
            .http_status_as_error(false)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_recv_response(Some(ANSWER_MAX))
            .timeout_per_read(Some(SILENCE_MAX))
            .user_agent(concat!("sanctum/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self { agent, base: base.trim_end_matches('/').to_owned(), token }
    }

    fn url(&self, file: &HubFile) -> String {
        format!("{}/{}/resolve/{}/{}", self.base, file.repository, file.revision, file.file)
    }

    /// Asks what a file is.
    pub(crate) fn about(&self, file: &HubFile) -> Result<About, HubError> {
        let mut url = self.url(file);
        for _ in 0..REDIRECTS_MAX {
            let request = self.agent.head(&url).config().max_redirects(0).build();
            let request = match &self.token {
                Some(token) => request.header("authorization", bearer(token)),
                None => request,
            };
            let answer = request.call().map_err(|error| reach(&url, error))?;
            if let Some(about) = linked(answer.headers(), file) {
                return Ok(about);
            }
            let location = answer.headers().get(LOCATION).and_then(|it| it.to_str().ok());
            match location {
                // A repository that was renamed stays on the same hub; nobody else is asked.
                Some(location) if answer.status().is_redirection() && location.starts_with('/') => {
                    url = format!("{}{location}", self.base);
                }
                Some(_) | None => {
                    return Err(refusal(&answer, &url, file)
                        .unwrap_or_else(|| HubError::NoHash(file.to_string())));
                }
            }
        }
        Err(HubError::NoHash(file.to_string()))
    }

    /// Opens a file from byte `from` on. Returns the byte the answer begins at, `from` or 0, and
    /// the bytes.
    pub(crate) fn open(
        &self,
        file: &HubFile,
        from: u64,
    ) -> Result<(u64, impl Read + 'static), HubError> {
        let url = self.url(file);
        let mut request = self.agent.get(&url);
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", bearer(token));
        }
        let answer = request.call().map_err(|error| reach(&url, error))?;
        let begins = match answer.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if begins_at(answer.headers()) == Some(from) => from,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(HubError::Elsewhere { url, wanted: from });
            }
            status => {
                let otherwise = HubError::Status { url: url.clone(), status };
                return Err(refusal(&answer, &url, file).unwrap_or(otherwise));
            }
        };
        Ok((begins, answer.into_body().into_reader()))
    }
}

fn bearer(token: &Secret<String>) -> String {
    format!("Bearer {}", token.expose())
}

fn reach(url: &str, error: ureq::Error) -> HubError {
    HubError::Reach { url: url.to_owned(), source: Box::new(error) }
}

#[cfg(not(target_os = "macos"))]
fn system_certificates() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// The file that macOS keeps for programs without its frameworks.
#[cfg(target_os = "macos")]
fn system_certificates() -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    let found = CertificateDer::pem_file_iter("/etc/ssl/cert.pem");
    found.into_iter().flatten().flatten().collect()
}

fn system_roots() -> RootCerts {
    let found = system_certificates();
    let owned = found.iter().map(|certificate| Certificate::from_der(certificate).to_owned());
    RootCerts::new_with_certs(&owned.collect::<Vec<_>>())
}

/// What is wrong, if the answer says no.
fn refusal(answer: &Response<Body>, url: &str, file: &HubFile) -> Option<HubError> {
    match answer.status() {
        StatusCode::NOT_FOUND => Some(HubError::Absent(file.to_string())),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Some(HubError::Closed(file.to_string()))
        }
        status if status.is_success() || status.is_redirection() => None,
        status => Some(HubError::Status { url: url.to_owned(), status }),
    }
}

/// What the hub's own headers say of a large file.
fn linked(headers: &HeaderMap, file: &HubFile) -> Option<About> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let etag = text("x-linked-etag").or_else(|| text("etag"))?;
    let sha256 = etag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
    let size = text("x-linked-size").or_else(|| text(CONTENT_LENGTH.as_str()))?;
    let is_hash = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    let commit = text("x-repo-commit").filter(|commit| {
        !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    let revision = commit.unwrap_or(&file.revision).to_owned();
    let file = HubFile { revision, ..file.clone() };
    is_hash.then_some(About { sha256, size_bytes: size.parse().ok()?, file })
}

/// The first byte of a partial answer: `bytes 100-199/200` begins at 100.
fn begins_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.parse().ok()
}
