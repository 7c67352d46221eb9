//! What it says to others: over HTTP, and in systemd's notify protocol.

use std::env;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// The longest request that is read.
const REQUEST_BYTES_MAX: usize = 4096;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\nconnection: close\r\n\r\n\
                        {\"status\":\"ok\"}";

/// Answers every request as one that is well does.
pub(crate) fn serve(port: u16) -> Result<()> {
    let listener = listener(port)?;
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; REQUEST_BYTES_MAX];
            if stream.read(&mut request).is_ok_and(|count| count > 0) {
                stream.write_all(ANSWER).ok();
            }
        }
    });
    Ok(())
}

/// Accepts and says nothing.
pub(crate) fn hang(port: u16) -> Result<()> {
    let listener = listener(port)?;
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            held.push(stream);
        }
    });
    Ok(())
}

fn listener(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("cannot listen on 127.0.0.1:{port}"))
}

/// Tells the supervisor, if there is one that listens.
pub(crate) fn notify(text: &str) -> Result<()> {
    let place = env::var("NOTIFY_SOCKET").context("NOTIFY_SOCKET is not set")?;
    let socket = UnixDatagram::unbound()?;
    socket.send_to(text.as_bytes(), &place).with_context(|| format!("cannot tell `{place}`"))?;
    Ok(())
}

/// Does something each `every` until `time` is over, with the number of the turn.
pub(crate) fn each(
    every: Duration,
    time: Duration,
    mut act: impl FnMut(u32) -> Result<()>,
) -> Result<()> {
    let began = Instant::now();
    let mut turn = 0;
    while began.elapsed() < time {
        act(turn)?;
        turn += 1;
        thread::sleep(every);
    }
    Ok(())
}
