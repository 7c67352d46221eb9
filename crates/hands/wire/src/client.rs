//! The client of the control socket.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{io, str};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::{Accepted, ChangePlan, Event, Fault, ManifestProblem, Snapshot, Verb};

/// The time a call may take from the connection to the end of the answer, unless told otherwise; a
/// stream of events has no end, but its head has.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How often a connection is tried while castellan takes none.
const CONNECT_INTERVAL: Duration = Duration::from_millis(20);
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
    /// It listens and does not answer in time: whether it works is not known.
    #[error("castellan does not answer within {seconds} s")]
    Silent {
        /// The limit that passed.
        seconds: u64,
    },
    /// The socket cannot be used by this process: whether castellan works is not known.
    #[error("cannot connect to `{path}`", path = path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
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
        /// Everything that is wrong with the manifest that was sent, if that is it.
        problems: Vec<ManifestProblem>,
    },
}

impl ClientError {
    /// Whether castellan may well be there and at work, and only this call did not show it.
    pub const fn leaves_unknown(&self) -> bool {
        match self {
            Self::Silent { .. }
            | Self::Unreachable { .. }
            | Self::Broken(_)
            | Self::Strange { .. } => true,
            Self::NotRunning { .. } | Self::Refused { .. } => false,
        }
    }
}

/// Speaks with castellan. Each call is a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    answer_max: Duration,
}

impl Client {
    /// A client of the castellan behind `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), answer_max: ANSWER_MAX }
    }

    /// The same with another limit: the time a call may take from the connection to the end of the
    /// answer.
    #[must_use]
    pub fn with_answer_max(self, answer_max: Duration) -> Self {
        Self { answer_max, ..self }
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
        self.ask(Method::GET, "/v1/snapshot", Bytes::new()).await
    }

    /// Orders something of a component. Not cancel safe: the order may have been taken.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when there is no such component.
    pub async fn order(&self, component: &str, verb: Verb) -> Result<Accepted, ClientError> {
        let path = format!("/v1/components/{component}/{}", verb.as_str());
        self.call(Method::POST, &path, Bytes::new()).await
    }

    /// What castellan would do with this manifest. Touches nothing; cancel safe.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`], with all its problems, when it is not a good one.
    pub async fn plan(&self, manifest: &str) -> Result<ChangePlan, ClientError> {
        self.ask(Method::POST, "/v1/plan", manifest.to_owned().into()).await
    }

    /// Puts this manifest in force. Returns what is being done. Not cancel safe: it may have been
    /// taken.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`], with all its problems, when it is not a good one; nothing is
    /// changed then.
    pub async fn apply(&self, manifest: &str) -> Result<ChangePlan, ClientError> {
        self.call(Method::POST, "/v1/apply", manifest.to_owned().into()).await
    }

    /// Stops everything and castellan itself. Returns when the order is taken.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn shutdown(&self) -> Result<Accepted, ClientError> {
        self.call(Method::POST, "/v1/shutdown", Bytes::new()).await
    }

    /// Ends castellan and leaves its children to the next one.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn handover(&self) -> Result<Accepted, ClientError> {
        self.call(Method::POST, "/v1/handover", Bytes::new()).await
    }

    /// The events after `since`, as they come.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn events(&self, since: u64) -> Result<Events, ClientError> {
        let path = format!("/v1/events?since={since}");
        let response = self.in_time(self.request(Method::GET, &path, Bytes::new())).await?;
        Ok(Events { body: response.into_body(), buffer: Vec::new() })
    }

    /// Asks what may be asked twice: a connection that breaks is made anew, since castellan may
    /// just have been replaced, or be gone.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        self.in_time(async {
            loop {
                match self.exchange(method.clone(), path, body.clone()).await {
                    Err(ClientError::Broken(_)) => sleep(CONNECT_INTERVAL).await,
                    other => return other,
                }
            }
        })
        .await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        self.in_time(self.exchange(method, path, body)).await
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let body = self.request(method, path, body).await?.into_body();
        let body =
            Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| match error
                .downcast::<hyper::Error>(
            ) {
                Ok(error) => ClientError::Broken(*error),
                Err(error) => ClientError::Strange { what: error.to_string() },
            })?;
        serde_json::from_slice(&body.to_bytes())
            .map_err(|error| ClientError::Strange { what: error.to_string() })
    }

    /// Holds an exchange, its connection included, to the limit.
    async fn in_time<T>(
        &self,
        exchange: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        timeout(self.answer_max, exchange)
            .await
            .unwrap_or_else(|_| Err(ClientError::Silent { seconds: self.answer_max.as_secs() }))
    }

    /// A socket that nobody has open is castellan's absence. A queue that is full is not: somebody
    /// listens and takes nobody.
    async fn connect(&self) -> Result<UnixStream, ClientError> {
        loop {
            let path = self.socket.clone();
            let source = match UnixStream::connect(&self.socket).await {
                Ok(stream) => return Ok(stream),
                Err(source) => source,
            };
            let is = |kinds: [io::ErrorKind; 2]| kinds.contains(&source.kind());
            if is([io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]) {
                return Err(ClientError::NotRunning { path, source });
            }
            if !is([io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted]) {
                return Err(ClientError::Unreachable { path, source });
            }
            sleep(CONNECT_INTERVAL).await;
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(ClientError::Broken)?;
        #[expect(clippy::disallowed_methods, reason = "ends with the one connection it drives")]
        drop(tokio::spawn(connection));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "castellan")
            .body(Full::new(body))
            .map_err(|error| ClientError::Strange { what: error.to_string() })?;
        let response = sender.send_request(request).await.map_err(ClientError::Broken)?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let fault = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok());
        let Fault { error, problems } = fault.unwrap_or_else(|| Fault {
            error: format!("castellan answered with status {status}"),
            problems: Vec::new(),
        });
        Err(ClientError::Refused { status, fault: error, problems })
    }
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    fn ask(socket: &Path) -> ClientError {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = Client::new(socket).with_answer_max(SHORT);
        runtime.block_on(client.snapshot()).unwrap_err()
    }

    #[test]
    fn no_socket_and_one_that_nobody_has_open_are_absence() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("sock");
        assert!(matches!(ask(&socket), ClientError::NotRunning { .. }));
        drop(UnixListener::bind(&socket).unwrap());
        assert!(matches!(ask(&socket), ClientError::NotRunning { .. }));
    }

    #[test]
    fn one_who_listens_and_does_not_answer_is_silent_and_not_absent() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        let error = ask(&socket);
        assert!(matches!(error, ClientError::Silent { .. }) && error.leaves_unknown(), "{error}");
    }

    #[test]
    fn a_connection_that_breaks_is_made_anew_and_then_it_is_absent() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let closing = std::thread::spawn(move || drop(listener.accept().unwrap()));
        assert!(matches!(ask(&socket), ClientError::NotRunning { .. }));
        closing.join().unwrap();
    }

    #[test]
    fn a_full_queue_is_silence_and_not_absence() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        let mut waiting = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            while waiting.len() < 10_000
                && let Ok(stream) = UnixStream::connect(&socket).await
            {
                waiting.push(stream);
            }
        });
        assert!(matches!(ask(&socket), ClientError::Silent { .. }));
    }
}
