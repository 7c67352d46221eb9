//! The stages, in the order they run: looks first, then harm, the slowest to recover from last.

mod answer;
mod exposure;
mod faults;
mod walls;

use crate::Stage;

/// Every stage.
pub(crate) const ALL: [Stage; 17] = [
    ("`up` interrupted while things start leaves them starting", answer::up_interrupted),
    ("the next `up` goes on, and ends with a question answered", answer::up_answers),
    ("`up` on a running system says so in under two seconds and changes nothing", answer::up_again),
    ("an answer is streamed, and is the very text the seat produced", answer::the_seats_own_text),
    ("proxyd logged the guest's key by its name, and no body", answer::proxyd_logged),
    ("nothing of ours listens on an address that is not loopback", exposure::loopback_only),
    ("no secret stands in an argument, a log or the image", exposure::no_secret_shown),
    ("root in the guest reaches proxyd and nothing else", walls::from_inside),
    (
        "the umbilical's key opens the umbilical's forwards and nothing else",
        walls::with_the_tunnel_key,
    ),
    ("a wrong key gets no answer at any hop", walls::wrong_keys),
    ("the seat killed: back, and an answer comes", faults::seat_killed),
    ("proxyd killed: back, and an answer comes", faults::proxyd_killed),
    ("the umbilical killed: back, and an answer comes", faults::umbilical_killed),
    (
        "castellan killed: brought back, and everything it kept has lived on",
        faults::castellan_killed,
    ),
    ("the agent killed in the guest: back, and an answer comes", faults::openclaw_killed),
    ("the virtual machine killed: all back in order, and an answer comes", faults::guest_killed),
    ("`down` leaves nothing running", faults::down_leaves_nothing),
];
