//! The control API as types, and its client over a unix socket.
