//! A relay between proxyd and the seat that remembers every byte of both directions.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;

/// One connection's bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording {
    /// From proxyd to the seat.
    pub(crate) asked: Vec<u8>,
    /// From the seat to proxyd.
    pub(crate) answered: Vec<u8>,
}

/// The relay.
#[derive(Debug)]
pub(crate) struct Tap {
    address: SocketAddr,
    recordings: Arc<Mutex<Vec<Arc<Mutex<Recording>>>>>,
}

impl Tap {
    /// Listens on a free loopback port and relays to `seat_port`.
    pub(crate) fn to(seat_port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let recordings = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&recordings);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let recording = Arc::new(Mutex::new(Recording::default()));
                lock(&kept).push(Arc::clone(&recording));
                thread::spawn(move || drop(relay(near, seat_port, &recording)));
            }
        });
        Ok(Self { address, recordings })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What has been recorded so far, one entry a connection.
    pub(crate) fn recordings(&self) -> Vec<Recording> {
        lock(&self.recordings).iter().map(|recording| lock(recording).clone()).collect()
    }
}

fn relay(near: TcpStream, seat_port: u16, recording: &Arc<Mutex<Recording>>) -> Result<()> {
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, seat_port))?;
    let (near_in, far_out) = (near.try_clone()?, far.try_clone()?);
    let asked = Arc::clone(recording);
    let (tap_host, seat_host) = (host(near.local_addr()?.port()), host(seat_port));
    let upward = thread::spawn(move || {
        // The seat answers to its own name only, and proxyd calls the tap by the tap's.
        let named = |bytes: &[u8]| replaced(bytes, &tap_host, &seat_host);
        copy(near_in, far_out, named, |bytes| lock(&asked).asked.extend_from_slice(bytes));
    });
    copy(far, near, <[u8]>::to_vec, |bytes| lock(recording).answered.extend_from_slice(bytes));
    drop(upward.join());
    Ok(())
}

fn host(port: u16) -> Vec<u8> {
    format!("host: 127.0.0.1:{port}\r\n").into_bytes()
}

/// The bytes with the first `from` in them replaced. A head comes in one piece: it is small, and
/// proxyd writes it at once.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match bytes.windows(from.len()).position(|part| part == from) {
        Some(at) => [&bytes[..at], to, &bytes[at + from.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

/// Copies until one side ends, and then ends both: a client that has gone must be seen.
fn copy(
    mut from: TcpStream,
    mut to: TcpStream,
    change: impl Fn(&[u8]) -> Vec<u8>,
    mut keep: impl FnMut(&[u8]),
) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        let bytes = change(&buffer[..count]);
        if count == 0 || to.write_all(&bytes).is_err() {
            break;
        }
        keep(&bytes);
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
