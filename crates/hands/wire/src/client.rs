//! The client of the control socket.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{io, str};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::{Accepted, Event, Fault, Snapshot, Verb};

/// The time an answer may take; a stream of events has no end, but its head has.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The longest event that is read.
const EVENT_BYTES_MAX: usize = 256 * 1024;

/// Why castellan did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens: castellan does not run.
    #[error("castellan is not running: nothing answers at `{path}`", path = path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It listens and does not answer in time.
    #[error("castellan does not answer within {seconds} s")]
    Silent {
        /// The limit that passed.
        seconds: u64,
    },
    /// The connection broke.
    #[error("cannot speak with castellan")]
    Broken(#[source] hyper::Error),
    /// The answer is not what the API promises.
    #[error("cannot understand castellan's answer: {what}")]
    Strange {
        /// What is strange about it.
        what: String,
    },
    /// It refused.
    #[error("{fault}")]
    Refused {
        /// The status.
        status: u16,
        /// Its words.
        fault: String,
    },
}

/// Speaks with castellan. Each call is a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the castellan behind `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The socket it speaks to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Everything castellan knows. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn snapshot(&self) -> Result<Snapshot, ClientError> {
        self.call(Method::GET, "/v1/snapshot").await
    }

    /// Orders something of a component. Not cancel safe: the order may have been taken.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when there is no such component.
    pub async fn order(&self, component: &str, verb: Verb) -> Result<Accepted, ClientError> {
        self.call(Method::POST, &format!("/v1/components/{component}/{}", verb.as_str())).await
    }

    /// Stops everything and castellan itself. Returns when the order is taken.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn shutdown(&self) -> Result<Accepted, ClientError> {
        self.call(Method::POST, "/v1/shutdown").await
    }

    /// Ends castellan and leaves its children to the next one.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn handover(&self) -> Result<Accepted, ClientError> {
        self.call(Method::POST, "/v1/handover").await
    }

    /// The events after `since`, as they come.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn events(&self, since: u64) -> Result<Events, ClientError> {
        let response = self.request(Method::GET, &format!("/v1/events?since={since}")).await?;
        Ok(Events { body: response.into_body(), buffer: Vec::new() })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
    ) -> Result<T, ClientError> {
        let body = self.request(method, path).await?.into_body();
        let body = timeout(ANSWER_MAX, Limited::new(body, ANSWER_BYTES_MAX).collect()).await;
        let body = match body {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) => return Err(ClientError::Strange { what: error.to_string() }),
            Err(_) => return Err(silent()),
        };
        serde_json::from_slice(&body)
            .map_err(|error| ClientError::Strange { what: error.to_string() })
    }

    async fn request(&self, method: Method, path: &str) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| ClientError::NotRunning { path: self.socket.clone(), source })?;
        let answer = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            #[expect(
                clippy::disallowed_methods,
                reason = "ends with the one connection it drives"
            )]
            drop(tokio::spawn(connection));
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", "castellan")
                .body(Empty::<Bytes>::new())
                .expect("a request of fixed parts is well formed");
            sender.send_request(request).await
        };
        let response = match timeout(ANSWER_MAX, answer).await {
            Ok(answer) => answer.map_err(ClientError::Broken)?,
            Err(_) => return Err(silent()),
        };
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let fault = body
            .ok()
            .and_then(|body| serde_json::from_slice::<Fault>(&body.to_bytes()).ok())
            .map_or_else(
                || format!("castellan answered with status {status}"),
                |fault| fault.error,
            );
        Err(ClientError::Refused { status, fault })
    }
}

fn silent() -> ClientError {
    ClientError::Silent { seconds: ANSWER_MAX.as_secs() }
}

/// A stream of events.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Events {
    /// The next event; nothing when castellan has ended. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the connection breaks or an event cannot be read.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.take()? {
                return Ok(Some(event));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(ClientError::Broken(error)),
                Some(Ok(frame)) => {
                    self.buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                }
            }
            if self.buffer.len() > EVENT_BYTES_MAX {
                return Err(ClientError::Strange { what: "an event without an end".to_owned() });
            }
        }
    }

    /// Takes the first whole event out of the buffer. Ours has one `data:` line an event.
    fn take(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") else {
                return Ok(None);
            };
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let text = str::from_utf8(&block)
                .map_err(|error| ClientError::Strange { what: error.to_string() })?;
            let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) else {
                continue; // a comment that keeps the connection open
            };
            return serde_json::from_str(data)
                .map(Some)
                .map_err(|error| ClientError::Strange { what: error.to_string() });
        }
    }
}
