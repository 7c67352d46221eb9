//! Just enough HTTP/1.1 to take recorded traffic apart.

use anyhow::{Context as _, Result};

/// Splits what one side of a connection sent into messages: head and body each.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some((message, rest)) = message(bytes) {
        messages.push(message);
        bytes = rest;
    }
    messages
}

/// A message's head and body.
type Message = (String, Vec<u8>);

fn message(bytes: &[u8]) -> Option<(Message, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let rest = &bytes[end + 4..];
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    if field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        let (body, rest) = dechunked(rest)?;
        return Some(((head, body), rest));
    }
    let length: usize = field("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let body = rest.get(..length)?;
    Some(((head, body.to_vec()), &rest[length..]))
}

fn dechunked(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        bytes = bytes.get(end + 2..)?;
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size + 2..)?;
        if size == 0 {
            return Some((body, bytes));
        }
    }
}

/// The text of a streamed chat completion, and in how many pieces it came.
pub(crate) fn streamed_text(body: &[u8]) -> Result<(String, usize)> {
    let mut stream = sanctum_dialect::ChatStream::new();
    let (mut text, mut pieces) = (String::new(), 0);
    for event in stream.feed(body)? {
        if let sanctum_dialect::ChatEvent::Content(piece) = event {
            text.push_str(&piece);
            pieces += 1;
        }
    }
    stream.finish().context("the stream is not whole")?;
    Ok((text, pieces))
}
