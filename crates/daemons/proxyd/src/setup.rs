//! From the configuration and the secrets to callers and seats that are ready. Fails closed: a key
//! that cannot be had is an error at the start, not at the first request.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;
use sanctum_secrets::{SecretError, SecretName, Secrets};

use crate::callers::{Caller, Callers};
use crate::config::{Config, SeatConfig};
use crate::seats::{Seat, Seats};
use crate::tls::Authorities;

/// Everything that is made of the configuration and the files it names.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) callers: Callers,
    pub(crate) seats: Seats,
}

/// Why a caller or a seat cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("cannot read the key of {whose} `{name}`")]
    Key { whose: &'static str, name: Arc<str>, source: SecretError },
    #[error("callers `{one}` and `{other}` have the same key: they cannot be told apart")]
    SameKey { one: Arc<str>, other: Arc<str> },
    #[error("the key of seat `{seat}` (secret `{secret}`) has characters that no header can carry")]
    NoHeader { seat: Arc<str>, secret: SecretName },
    #[error("cannot read `extra_ca` of seat `{seat}`, `{path}`", path = path.display())]
    ExtraCa { seat: Arc<str>, path: PathBuf, source: io::Error },
    #[error("`extra_ca` of seat `{seat}`, `{path}`, holds no usable certificate", path = path.display())]
    NoCa { seat: Arc<str>, path: PathBuf },
    #[error(
        "seat `{seat}` needs https, and this machine trusts no certificate authority: install ca-certificates, or name an `extra_ca`"
    )]
    NoAuthorities { seat: Arc<str> },
    #[error("cannot set up TLS for seat `{seat}`")]
    Tls { seat: Arc<str>, source: rustls::Error },
}

/// Reads all keys and certificates, and reports everything that is wrong with them.
pub(crate) fn read(config: &Config, secrets: &Secrets) -> Result<Setup, Vec<SetupError>> {
    let mut errors = Vec::new();
    let callers = callers(config, secrets, &mut errors);
    let authorities = Authorities::default();
    let mut seats = Vec::new();
    for seat in &config.seats {
        match ready_seat(seat, secrets, &authorities) {
            Ok(seat) => seats.push(Arc::new(seat)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(Setup { callers: Callers::new(callers), seats: Seats::new(seats) })
    } else {
        Err(errors)
    }
}

fn callers(config: &Config, secrets: &Secrets, errors: &mut Vec<SetupError>) -> Vec<Caller> {
    let mut callers: Vec<Caller> = Vec::new();
    for caller in &config.callers {
        let name = Arc::clone(&caller.name);
        match secrets.read(&caller.secret) {
            Ok(key) => {
                if let Some(other) = callers.iter().find(|other| other.has_key(&key)) {
                    let one = Arc::clone(&other.name);
                    errors.push(SetupError::SameKey { one, other: Arc::clone(&name) });
                }
                callers.push(Caller::new(name, key));
            }
            Err(source) => errors.push(SetupError::Key { whose: "caller", name, source }),
        }
    }
    callers
}

fn ready_seat(
    config: &SeatConfig,
    secrets: &Secrets,
    authorities: &Authorities,
) -> Result<Seat, SetupError> {
    let authorization = match &config.secret {
        Some(secret) => Some(authorization(config, secret, secrets)?),
        None => None,
    };
    let tls = authorities.tls_for(config)?;
    Ok(Seat::new(config, authorization, tls))
}

fn authorization(
    config: &SeatConfig,
    secret: &SecretName,
    secrets: &Secrets,
) -> Result<HeaderValue, SetupError> {
    let seat = || Arc::clone(&config.name);
    let key = secrets.read(secret).map_err(|source| SetupError::Key {
        whose: "seat",
        name: seat(),
        source,
    })?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose()))
        .map_err(|_| SetupError::NoHeader { seat: seat(), secret: secret.clone() })?;
    value.set_sensitive(true);
    Ok(value)
}
