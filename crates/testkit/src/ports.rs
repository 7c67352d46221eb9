//! Loopback ports that nobody else uses.

use std::net::{Ipv4Addr, TcpListener};

/// The first port that is tried. Below the range from which systems take the near end of an
/// outgoing connection: a look at a closed port in that range can meet itself.
const FIRST: u16 = 20_000;
/// The ports a test has to itself.
const STEP: u16 = 8;
/// How many tests have ports of their own.
const PLACES: u16 = 1_500;

/// The ports of one manifest.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The guest's sshd.
    pub guest: u16,
    /// The agent, at the host's end of the umbilical.
    pub openclaw: u16,
    /// The LLM gateway.
    pub proxyd: u16,
    /// The seat `general`.
    pub seat: u16,
    /// A declared component.
    pub declared: u16,
}

impl Ports {
    /// Ports that can be bound now. `salt` parts the tests of one process.
    ///
    /// # Panics
    ///
    /// When every place is taken.
    pub fn free(salt: u16) -> Self {
        let first = (std::process::id() % u32::from(PLACES)) as usize + usize::from(salt);
        let place = (0..usize::from(PLACES))
            .map(|step| (first + step) % usize::from(PLACES))
            .map(|place| FIRST + STEP * u16::try_from(place).unwrap_or_default())
            .find(|&base| (base..base + STEP).all(is_free))
            .expect("some loopback ports are free");
        let [guest, openclaw, proxyd, seat, declared] =
            [place, place + 1, place + 2, place + 3, place + 4];
        Self { guest, openclaw, proxyd, seat, declared }
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
