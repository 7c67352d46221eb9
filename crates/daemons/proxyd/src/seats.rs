//! Who answers: the seats, what they serve, and the way to each.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tower_service::Service;

use crate::config::{ModelConfig, Patience, SeatConfig};

/// How long an unused connection to a seat is kept: below the 5 s after which common servers
/// close it, so that a request does not meet a connection that is being closed.
const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(4);
/// Unused connections kept per seat.
const IDLE_CONNECTIONS_MAX: usize = 32;

/// A seat, ready to be asked.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) name: Arc<str>,
    /// Where chat completions are asked for.
    pub(crate) chat_url: Uri,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) patience: Patience,
    pub(crate) client: Client<TimedConnector, Full<Bytes>>,
    models: Vec<Model>,
}

/// A model of a seat.
#[derive(Debug)]
struct Model {
    name: String,
    upstream: Arc<str>,
    rank: u32,
}

impl Seat {
    pub(crate) fn new(
        config: &SeatConfig,
        authorization: Option<HeaderValue>,
        tls: ClientConfig,
    ) -> Self {
        let model = |model: &ModelConfig| Model {
            name: model.name.clone(),
            upstream: model.upstream.as_str().into(),
            rank: model.rank,
        };
        let chat_url = format!("{}/chat/completions", config.base_url).parse();
        Self {
            name: Arc::clone(&config.name),
            chat_url: chat_url.expect("a checked URL with a plain path behind it is a URL"),
            authorization,
            patience: config.patience,
            client: client(tls, config.patience.connect),
            models: config.models.iter().map(model).collect(),
        }
    }
}

/// All seats, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct Seats(Vec<Arc<Seat>>);

impl Seats {
    pub(crate) fn new(seats: Vec<Arc<Seat>>) -> Self {
        Self(seats)
    }

    /// The seats that serve a model, in the order of trying, with what each calls it.
    pub(crate) fn serving(&self, name: &str) -> Vec<(Arc<Seat>, Arc<str>)> {
        let mut serving: Vec<_> = self.all().filter(|(_, model)| model.name == name).collect();
        serving.sort_by_key(|(_, model)| model.rank);
        serving
            .into_iter()
            .map(|(seat, model)| (Arc::clone(seat), Arc::clone(&model.upstream)))
            .collect()
    }

    /// Every model that can be asked for, once, with the seat that is asked first.
    pub(crate) fn models(&self) -> Vec<(&str, Arc<str>)> {
        let mut models: Vec<(&str, Arc<str>)> = Vec::new();
        for (_, Model { name, .. }) in self.all() {
            if !models.iter().any(|(known, _)| known == name) {
                let first = self.serving(name).into_iter().next();
                models.extend(first.map(|(seat, _)| (name.as_str(), Arc::clone(&seat.name))));
            }
        }
        models
    }

    fn all(&self) -> impl Iterator<Item = (&Arc<Seat>, &Model)> {
        self.0.iter().flat_map(|seat| seat.models.iter().map(move |model| (seat, model)))
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|seat| &*seat.name).collect()
    }
}

/// A client with a pool of connections. What it repeats by itself was never sent: a request whose
/// pooled connection was closed before its first byte went out.
fn client(tls: ClientConfig, connect_max: Duration) -> Client<TimedConnector, Full<Bytes>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .build(TimedConnector { inner: connector.wrap_connector(tcp), limit: connect_max })
}

/// Connects within a limit that holds for name lookup, TCP and TLS together.
#[derive(Clone, Debug)]
pub(crate) struct TimedConnector {
    inner: HttpsConnector<HttpConnector>,
    limit: Duration,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl Service<Uri> for TimedConnector {
    type Response = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.limit, self.inner.call(uri));
        Box::pin(async { connecting.await? })
    }
}
