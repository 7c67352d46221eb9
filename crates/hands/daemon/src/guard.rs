//! Keeps web pages out of a loopback server.
//!
//! A page in the user's browser can send requests to 127.0.0.1, also under a name of its own that
//! resolves there. Such a request carries the page's `Origin`, or a `Host` that is not ours.

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Why a request is turned away before anything of it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `Host` is missing or names another than this loopback server.
    #[error(
        "the Host header does not name this loopback server: use 127.0.0.1, localhost or [::1] and its port"
    )]
    Host,
    /// `Origin` is present: the request comes from a web page.
    #[error("requests from web pages are not answered here")]
    Origin,
}

/// Lets a request pass that was sent to loopback `port` by a program and not by a web page.
///
/// # Errors
///
/// The reason for turning it away.
pub fn check_loopback_caller(headers: &HeaderMap, port: u16) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|value| value.to_str().ok()).ok_or(Refusal::Host)?;
    if hosts.next().is_some() || !is_loopback_authority(host, port) {
        return Err(Refusal::Host);
    }
    if headers.contains_key(ORIGIN) { Err(Refusal::Origin) } else { Ok(()) }
}

fn is_loopback_authority(authority: &str, port: u16) -> bool {
    let (name, named_port) = match authority.rsplit_once(':') {
        Some((name, digits)) if !digits.ends_with(']') => (name, digits.parse().ok()),
        _ => (authority, Some(80)),
    };
    let loopback = name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]";
    loopback && named_port == Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn a_program_on_this_machine_passes() {
        for host in ["127.0.0.1:4040", "localhost:4040", "LOCALHOST:4040", "[::1]:4040"] {
            assert_eq!(check_loopback_caller(&headers(&[("host", host)]), 4040), Ok(()), "{host}");
        }
        assert_eq!(check_loopback_caller(&headers(&[("host", "localhost")]), 80), Ok(()));
    }

    #[test]
    fn a_name_that_only_resolves_to_loopback_is_refused() {
        for host in
            ["evil.example:4040", "127.evil.com:4040", "127.0.0.1", "127.0.0.1:1", "", "[::1]"]
        {
            let seen = check_loopback_caller(&headers(&[("host", host)]), 4040);
            assert_eq!(seen, Err(Refusal::Host), "{host}");
        }
        assert_eq!(check_loopback_caller(&HeaderMap::new(), 4040), Err(Refusal::Host));
    }

    #[test]
    fn a_web_page_is_refused_even_from_loopback() {
        let seen = headers(&[("host", "127.0.0.1:4040"), ("origin", "http://127.0.0.1:4040")]);
        assert_eq!(check_loopback_caller(&seen, 4040), Err(Refusal::Origin));
        let seen = headers(&[("host", "127.0.0.1:4040"), ("origin", "null")]);
        assert_eq!(check_loopback_caller(&seen, 4040), Err(Refusal::Origin));
    }
}
