//! The local inference seat: one program, one process per seat, one model.
//!
//! It answers OpenAI chat completions on loopback. It holds no provider's key, reaches nothing
//! over the network, and keeps nothing on disk.

pub mod config;
pub mod engine;
pub mod executor;
pub mod patience;
pub mod request;
pub mod sampler;
mod server;
pub mod template;
pub mod text;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use minijinja::context;
use sanctum_daemon::Shutdown;
use tokio::net::TcpListener;

use config::Config;
use executor::{Executor, StartError};
use template::{ChatTemplate, TemplateError};

/// The time answers in progress get when the seat is told to stop.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// The time the engine gets to end its step after that.
const ENGINE_GRACE: Duration = Duration::from_secs(2);

/// Why the seat is not served, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The engine cannot be had.
    #[error("cannot start the engine")]
    Start(#[from] StartError),
    /// The model's chat template is not usable.
    #[error("cannot use the model")]
    Template(#[from] TemplateError),
    /// The address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The async runtime or the signals failed.
    #[error("cannot run the server")]
    Runtime(#[source] io::Error),
    /// The thread that owns the engine is gone.
    #[error("the engine's thread ended by itself")]
    EngineEnded,
}

/// Loads the model, serves it until told to stop, and lets answers in progress end.
///
/// # Errors
///
/// When it cannot be served, or the engine dies.
pub fn run(config: Config) -> Result<(), RunError> {
    let executor = Executor::start(config.engine.clone(), config.queue_length_max)?;
    let about = &executor.about;
    let template = ChatTemplate::parse(&about.template, &about.beginning, &about.end)?;
    // A template that cannot take the plainest question is of no use for any other.
    let question = context! { role => "user", content => "Hi" };
    drop(template.render(&[question], None, &Zoned::now())?);
    tracing::info!(
        engine = about.engine,
        architecture = about.architecture,
        context_tokens = about.context_tokens,
        weights_bytes = about.weights_bytes,
        cache_bytes = about.cache_bytes,
        "model loaded"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    runtime.block_on(serve(config, executor, template))
}

async fn serve(config: Config, executor: Executor, template: ChatTemplate) -> Result<(), RunError> {
    let Executor { about, queue, pulse, mut ended } = executor;
    let bind = |source| RunError::Bind { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let seat =
        server::Seat::new(config, address.port(), about, template, Arc::clone(&queue), pulse);
    let router = server::router(Arc::new(seat));

    let shutdown = Shutdown::default();
    let token = shutdown.token();
    shutdown.spawn(async move {
        let told = token.cancelled_owned();
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(told).await {
            tracing::error!(%error, "the server failed");
        }
    });
    tracing::info!(%address, "listening");

    let stopping = shutdown.clone();
    let outcome = tokio::select! {
        outcome = shutdown.on_signal(STOP_GRACE) => outcome.map_err(RunError::Runtime),
        _ = &mut ended => {
            stopping.begin();
            return Err(RunError::EngineEnded);
        }
    };
    queue.close();
    if tokio::time::timeout(ENGINE_GRACE, ended).await.is_err() {
        tracing::warn!("the engine is still busy, leaving it behind");
    }
    outcome
}
