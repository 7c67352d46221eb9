//! Which headers pass, each way. What is between two neighbours stays between them, and so do keys
//! and cookies.

use http::header::{
    ACCEPT_ENCODING, ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_TYPE, COOKIE, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::seats::Seat;

/// Between neighbours, besides what `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// The caller's own, or set anew for the seat.
const CALLERS_OWN: [HeaderName; 11] = [
    AUTHORIZATION,
    COOKIE,
    HOST,
    CONTENT_LENGTH,
    ACCEPT_ENCODING,
    EXPECT,
    FORWARDED,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("x-real-ip"),
];
/// The seat's own, meant for nobody behind proxyd.
const SEATS_OWN: [HeaderName; 4] =
    [SET_COOKIE, ALT_SVC, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE];

/// The headers of a caller's request as a seat gets them.
pub(crate) fn for_seat(from: &HeaderMap, seat: &Seat) -> HeaderMap {
    let mut headers = passed(from, |name| {
        !CALLERS_OWN.contains(name) && !name.as_str().starts_with("x-forwarded-")
    });
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    if let Some(authorization) = &seat.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    headers
}

/// The headers of a seat's answer as the caller gets them.
pub(crate) fn for_caller(from: &HeaderMap) -> HeaderMap {
    passed(from, |name| !SEATS_OWN.contains(name) && !name.as_str().starts_with("access-control-"))
}

/// Whether an answer is a stream of events that can be read on its way.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let value =
        |name| headers.get(name).map_or("", |value: &HeaderValue| value.to_str().unwrap_or(""));
    let kind = value(&CONTENT_TYPE).split(';').next().unwrap_or("").trim();
    let encoding = value(&CONTENT_ENCODING);
    kind.eq_ignore_ascii_case("text/event-stream")
        && (encoding.is_empty() || encoding.eq_ignore_ascii_case("identity"))
}

/// The length that an answer declares.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn passed(from: &HeaderMap, wanted: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let named: Vec<_> = from
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut headers = HeaderMap::with_capacity(from.len() + 2);
    for (name, value) in from {
        let ours = name.as_str().starts_with("x-sanctum-");
        let hop = HOP_BY_HOP.contains(name) || named.iter().any(|named| named == name.as_str());
        if !ours && !hop && wanted(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_headers_keys_and_cookies_do_not_pass() {
        let mut from = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Named"),
            ("x-named", "1"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a=b"),
            ("access-control-allow-origin", "*"),
            ("x-sanctum-seat", "forged"),
            ("x-request-id", "7"),
            ("content-type", "text/event-stream; charset=utf-8"),
        ] {
            from.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let to = for_caller(&from);
        let names: Vec<_> = to.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-request-id", "content-type"]);
        assert!(is_event_stream(&to));
    }

    #[test]
    fn a_compressed_stream_is_not_read_on_its_way() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "text/event-stream".parse().unwrap());
        headers.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(!is_event_stream(&headers));
    }
}
