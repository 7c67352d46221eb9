//! The store as a whole, against a stand-in for the hub.

#[cfg(test)]
mod hub;
#[cfg(test)]
mod stand_in;
