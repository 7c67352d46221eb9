//! A seat as a whole: the real program, asked over real connections.

#[cfg(test)]
mod http;
#[cfg(all(test, feature = "llama"))]
mod smollm2;
#[cfg(test)]
mod support;
