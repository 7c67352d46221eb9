//! The configuration: one TOML file, read once at the start.
//!
//! Strict: a key that is not listed here is a fault, and all faults are reported at once, each
//! with its line. Secrets are named, never written: each name is a file in the secrets directory.
//!
//! ```toml
//! listen = "127.0.0.1:4040"   # loopback only; port 0 takes a free one
//! host_ports = [4040]         # ports that a `Host` header may name; the listening one if absent
//!
//! [[caller]]                  # who may ask; at least one
//! name = "guest-main"
//! secret = "caller-main"      # its key
//!
//! [[seat]]                    # who answers; at least one
//! name = "general"
//! base_url = "http://127.0.0.1:1337/v1"   # http or https; a key goes over http to loopback only
//! secret = "seat-general"     # optional: the key sent to the seat
//! extra_ca = "lan.pem"        # optional, https: trusted beside the machine's authorities;
//!                             # relative to this file
//! connect_timeout_s = 5       # optional: to connect, TLS included
//! first_byte_timeout_s = 600  # optional: to the first byte of an answer
//! idle_timeout_s = 120        # optional: from one byte of an answer to the next
//!
//! [[seat.models]]             # or inline: models = [{ name = "…", upstream = "…", rank = 0 }]
//! name = "council-brain"      # what callers ask for
//! upstream = "smollm2-135m-instruct"  # optional: what the seat calls it, if not the same
//! rank = 0                    # optional: lower ones are tried first
//! ```
//!
//! Several seats may serve one name: they are tried by rank, those of one rank in the order of the
//! file, and the first that answers wins.

mod reader;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use sanctum_model::SeatName;
use sanctum_secrets::SecretName;
use toml::de::DeTable;

pub(crate) use reader::Fault;
use reader::{Faults, Placed, Table};

const CONNECT_TIMEOUT_DEFAULT_S: u32 = 5;
const FIRST_BYTE_TIMEOUT_DEFAULT_S: u32 = 600;
const IDLE_TIMEOUT_DEFAULT_S: u32 = 120;
/// The longest time limit of any kind, in seconds.
const TIMEOUT_MAX_S: u32 = 3600;
/// The last rank.
const RANK_MAX: u32 = 1000;
/// The longest name of a model, in bytes.
const MODEL_BYTES_MAX: usize = 256;

/// A checked configuration: names are unique, and there is a caller and a seat.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    /// Empty: the port that is listened on.
    pub(crate) host_ports: Vec<u16>,
    pub(crate) callers: Vec<CallerConfig>,
    pub(crate) seats: Vec<SeatConfig>,
}

/// One who may ask.
#[derive(Debug)]
pub(crate) struct CallerConfig {
    pub(crate) name: Arc<str>,
    pub(crate) secret: SecretName,
}

/// One who answers.
#[derive(Debug)]
pub(crate) struct SeatConfig {
    pub(crate) name: Arc<str>,
    /// Without a slash at its end.
    pub(crate) base_url: String,
    pub(crate) secret: Option<SecretName>,
    pub(crate) extra_ca: Option<PathBuf>,
    pub(crate) models: Vec<ModelConfig>,
    pub(crate) patience: Patience,
}

/// A model of a seat.
#[derive(Debug)]
pub(crate) struct ModelConfig {
    /// What callers ask for.
    pub(crate) name: String,
    /// What the seat calls it.
    pub(crate) upstream: String,
    /// Lower ones are tried first.
    pub(crate) rank: u32,
}

/// How long a seat is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration `{path}`", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot use the configuration: {} faults", .0.len())]
    Faults(Vec<Fault>),
}

impl Config {
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, directory).map_err(ConfigError::Faults)
    }

    fn parse(text: &str, directory: &Path) -> Result<Self, Vec<Fault>> {
        let faults = Faults::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            faults.add(&error.span().unwrap_or(0..0), error.message());
        }
        if !errors.is_empty() {
            return Err(faults.into_sorted());
        }
        let config = read(&table, directory, &faults);
        let faults = faults.into_sorted();
        config.filter(|_| faults.is_empty()).ok_or(faults)
    }
}

fn read(
    table: &toml::Spanned<DeTable<'_>>,
    directory: &Path,
    faults: &Faults<'_>,
) -> Option<Config> {
    let mut top = Table::top(table, faults);
    let text = top.required("listen", "listen = \"127.0.0.1:4040\"");
    let listen = top.parsed("listen", text.as_ref(), loopback_address);
    let ports = top.numbers("host_ports", 1..=65535);
    let host_ports = ports.into_iter().filter_map(|port| u16::try_from(port).ok()).collect();
    let callers = callers(&mut top, faults);
    let seats = seats(&mut top, directory, faults);
    top.finish();
    Some(Config { listen: listen?, host_ports, callers, seats })
}

fn loopback_address(text: &str) -> Result<SocketAddr, &'static str> {
    let address: SocketAddr =
        text.parse().map_err(|_| "not an address and port, such as 127.0.0.1:4040")?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("only loopback addresses are listened on: use 127.0.0.1 or [::1]")
    }
}

fn callers(top: &mut Table<'_, '_>, faults: &Faults<'_>) -> Vec<CallerConfig> {
    let tables = top.tables("caller");
    if tables.is_empty() {
        top.missing("caller", "[[caller]] with a name and a secret, or nobody may ask");
    }
    let mut names = Unique::new("caller", faults);
    let mut secrets = Unique::new("the secret of a caller", faults);
    let mut callers = Vec::new();
    for mut table in tables {
        let name = table.required("name", "name = \"guest-main\"");
        let secret = table.required("secret", "secret = \"caller-main\"");
        names.add(name.as_ref());
        secrets.add(secret.as_ref());
        let name = table.parsed("name", name.as_ref(), str::parse::<SeatName>);
        let secret = table.parsed("secret", secret.as_ref(), str::parse);
        table.finish();
        if let (Some(name), Some(secret)) = (name, secret) {
            callers.push(CallerConfig { name: name.as_str().into(), secret });
        }
    }
    callers
}

fn seats(top: &mut Table<'_, '_>, directory: &Path, faults: &Faults<'_>) -> Vec<SeatConfig> {
    let tables = top.tables("seat");
    if tables.is_empty() {
        top.missing("seat", "[[seat]] with a name, a base_url and models, or nobody can answer");
    }
    let mut names = Unique::new("seat", faults);
    tables.into_iter().filter_map(|table| seat(table, directory, &mut names, faults)).collect()
}

fn seat(
    mut table: Table<'_, '_>,
    directory: &Path,
    names: &mut Unique<'_>,
    faults: &Faults<'_>,
) -> Option<SeatConfig> {
    let name = table.required("name", "name = \"general\"");
    names.add(name.as_ref());
    let name = table.parsed("name", name.as_ref(), str::parse::<SeatName>);
    let url = table.required("base_url", "base_url = \"http://127.0.0.1:1337/v1\"");
    let base = table.parsed("base_url", url.as_ref(), base_url);
    let key = table.text("secret");
    let secret = table.parsed("secret", key.as_ref(), str::parse);
    let extra_ca = table.text("extra_ca");
    if let Some((_, reach)) = &base {
        if let (Reach::Clear, Some(key)) = (reach, &key) {
            let message = "this key would cross a network in the clear: use https in `base_url`";
            faults.add(&key.at, message);
        }
        if let (Reach::Clear | Reach::Loopback, Some(ca)) = (reach, &extra_ca) {
            faults.add(&ca.at, "`extra_ca` needs an https `base_url`");
        }
    }
    let models = models(&mut table, faults);
    let mut seconds = |key, default| {
        Duration::from_secs(u64::from(table.number(key, default, 1..=TIMEOUT_MAX_S)))
    };
    let patience = Patience {
        connect: seconds("connect_timeout_s", CONNECT_TIMEOUT_DEFAULT_S),
        first_byte: seconds("first_byte_timeout_s", FIRST_BYTE_TIMEOUT_DEFAULT_S),
        idle: seconds("idle_timeout_s", IDLE_TIMEOUT_DEFAULT_S),
    };
    table.finish();
    Some(SeatConfig {
        name: name?.as_str().into(),
        base_url: base?.0,
        secret,
        extra_ca: extra_ca.map(|path| directory.join(path.value)),
        models,
        patience,
    })
}

fn models(seat: &mut Table<'_, '_>, faults: &Faults<'_>) -> Vec<ModelConfig> {
    let tables = seat.tables("models");
    if !seat.has("models") {
        seat.missing("models", "models = [{ name = \"council-brain\", upstream = \"…\" }]");
    }
    let mut pairs = Unique::new("model", faults);
    let mut models = Vec::new();
    for mut table in tables {
        let name = table.required("name", "name = \"council-brain\"");
        let upstream = table.text("upstream").or_else(|| name.clone());
        if let (Some(name), Some(upstream)) = (&name, &upstream) {
            let pair = format!("{} = {}", name.value, upstream.value);
            pairs.add(Some(&Placed { value: pair, at: name.at.clone() }));
        }
        let name = table.parsed("name", name.as_ref(), model_name);
        let upstream = table.parsed("upstream", upstream.as_ref(), model_name);
        let rank = table.number("rank", 0, 0..=RANK_MAX);
        table.finish();
        if let (Some(name), Some(upstream)) = (name, upstream) {
            models.push(ModelConfig { name, upstream, rank });
        }
    }
    models
}

fn model_name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > MODEL_BYTES_MAX || text.contains(char::is_control) {
        return Err("a model's name has 1 to 256 bytes and no control characters");
    }
    Ok(text.to_owned())
}

/// Which way a seat is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Tls,
    Loopback,
    Clear,
}

fn base_url(text: &str) -> Result<(String, Reach), &'static str> {
    let uri: Uri = text.parse().map_err(|_| "not a URL, such as http://127.0.0.1:1337/v1")?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or("a URL with a host is needed")?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a URL holds no user and no password: name a `secret`");
    }
    if uri.query().is_some() || text.contains('#') {
        return Err("no query and no fragment belong here");
    }
    let reach = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Reach::Tls,
        Some(scheme) if *scheme == Scheme::HTTP && is_loopback(host) => Reach::Loopback,
        Some(scheme) if *scheme == Scheme::HTTP => Reach::Clear,
        Some(_) | None => return Err("the URL must begin with http:// or https://"),
    };
    Ok((text.trim_end_matches('/').to_owned(), reach))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Texts of one kind, each of which may stand only once.
struct Unique<'f> {
    kind: &'static str,
    seen: BTreeSet<String>,
    faults: &'f Faults<'f>,
}

impl<'f> Unique<'f> {
    fn new(kind: &'static str, faults: &'f Faults<'f>) -> Self {
        Self { kind, seen: BTreeSet::new(), faults }
    }

    fn add(&mut self, text: Option<&Placed<String>>) {
        if let Some(text) = text
            && !self.seen.insert(text.value.clone())
        {
            self.faults.add(&text.at, format!("{} `{}` stands twice", self.kind, text.value));
        }
    }
}

#[cfg(test)]
mod tests;
