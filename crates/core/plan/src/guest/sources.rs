//! Where Debian's packages come from: the machine's own apt sources, if they carry Debian.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

/// The keyring that the packages of the guest are checked against, whatever the machine trusts.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Where Debian is when the machine names no other place.
const DEBIAN: &str = "http://deb.debian.org/debian";
/// Where Debian's security updates are then.
const DEBIAN_SECURITY: &str = "http://deb.debian.org/debian-security";

/// One place that apt gets packages from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address of the archive.
    pub uri: String,
    /// The suite in it.
    pub suite: String,
}

/// Reads apt's sources in either of its two formats; what it does not understand it leaves out.
pub fn parse_sources(text: &str) -> Vec<Source> {
    let mut sources: Vec<Source> = text.lines().filter_map(one_line).flatten().collect();
    for paragraph in paragraphs(text) {
        sources.extend(deb822(&paragraph));
    }
    sources
}

/// The lines that mmdebstrap gets for `suite`: the archive, its updates and its security updates.
pub fn sources_for(machine: &[Source], suite: &str, components: &[String]) -> Vec<String> {
    let (archive, security) = match archives(machine) {
        Some(found) => found,
        None => (DEBIAN.to_string(), DEBIAN_SECURITY.to_string()),
    };
    let components = components.join(" ");
    [
        (&archive, suite.to_string()),
        (&archive, format!("{suite}-updates")),
        (&security, format!("{suite}-security")),
    ]
    .into_iter()
    .map(|(uri, suite)| format!("deb [signed-by={KEYRING}] {uri} {suite} {components}"))
    .collect()
}

/// The machine's archive of Debian and that of its security updates, where it names both.
fn archives(machine: &[Source]) -> Option<(String, String)> {
    let ending = |source: &&Source, ending: &str| {
        source.uri.trim_end_matches('/').rsplit('/').next() == Some(ending)
    };
    let archive = machine.iter().find(|source| ending(source, "debian"))?;
    let security = machine.iter().find(|source| ending(source, "debian-security"));
    let security = match security {
        Some(source) => source.uri.clone(),
        // A mirror of the one is seldom without the other, but it may be.
        None if archive.uri.contains("deb.debian.org") => DEBIAN_SECURITY.to_string(),
        None => format!("{}-security", archive.uri.trim_end_matches('/')),
    };
    Some((archive.uri.clone(), security))
}

fn one_line(line: &str) -> Option<Vec<Source>> {
    let rest = line.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    Some(vec![Source { uri: uri.to_string(), suite: suite.to_string() }])
}

fn paragraphs(text: &str) -> Vec<Vec<(String, String)>> {
    let mut all = vec![Vec::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            all.push(Vec::new());
        } else if let (Some(fields), Some((name, value))) = (all.last_mut(), line.split_once(':'))
            && !line.starts_with(char::is_whitespace)
        {
            fields.push((name.trim().to_lowercase(), value.trim().to_string()));
        }
    }
    all
}

fn deb822(fields: &[(String, String)]) -> Vec<Source> {
    let field = |wanted: &str| {
        fields.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str())
    };
    let off = field("enabled").eq_ignore_ascii_case("no");
    if off || !field("types").split_whitespace().any(|kind| kind == "deb") {
        return Vec::new();
    }
    let suites: Vec<&str> = field("suites").split_whitespace().collect();
    field("uris")
        .split_whitespace()
        .flat_map(|uri| {
            suites
                .iter()
                .map(|suite| Source { uri: uri.to_string(), suite: (*suite).to_string() })
                .collect::<Vec<_>>()
        })
        .collect()
}
