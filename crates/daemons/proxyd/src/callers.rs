//! Who may ask.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sanctum_secrets::Secret;

/// One who may ask, and the key that proves it.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) name: Arc<str>,
    key: Secret<String>,
}

impl Caller {
    pub(crate) fn new(name: Arc<str>, key: Secret<String>) -> Self {
        Self { name, key }
    }

    pub(crate) fn has_key(&self, key: &Secret<String>) -> bool {
        self.key.matches(key.expose().as_bytes())
    }
}

/// All who may ask.
#[derive(Debug)]
pub(crate) struct Callers(Vec<Caller>);

impl Callers {
    pub(crate) fn new(callers: Vec<Caller>) -> Self {
        Self(callers)
    }

    /// The caller whose key the request bears.
    ///
    /// Every key is compared, whether or not one has matched: the time tells nothing.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let key = bearer(values.next()?.as_bytes())?;
        if values.next().is_some() {
            return None;
        }
        let mut found = None;
        for caller in &self.0 {
            if caller.key.matches(key) {
                found = Some(&caller.name);
            }
        }
        found.map(Arc::clone)
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_with_a_known_key_is_a_caller() {
        let caller = |name: &str, key: &str| Caller::new(name.into(), Secret::new(key.to_owned()));
        let callers = Callers::new(vec![caller("one", "k1"), caller("two", "k2")]);
        for (value, expected) in [
            ("Bearer k1", Some("one")),
            ("bearer  k2", Some("two")),
            ("Bearer k", None),
            ("Bearer ", None),
            ("Basic k1", None),
            ("k1", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(callers.identify(&headers).as_deref(), expected, "{value}");
        }
        let mut two = HeaderMap::new();
        two.append(AUTHORIZATION, "Bearer k1".parse().unwrap());
        two.append(AUTHORIZATION, "Bearer k2".parse().unwrap());
        assert_eq!(callers.identify(&two), None);
    }
}
