//! Takes connections and hands their requests to the gateway.
//!
//! A caller that closes its connection, or its sending half, is gone: the work for it is dropped
//! at that moment, because nothing here runs apart from the connection's own task.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sanctum_daemon::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;

/// Connections at once; further ones wait in the listener's queue.
const CONNECTIONS_MAX: usize = 128;
/// The time a caller has to send the head of a request, and that it may keep a connection unused.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);
/// The wait after a connection could not be taken, for lack of file handles most likely.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves until told to stop; connections that still answer then are tasks of `shutdown`.
pub(crate) async fn serve(listener: TcpListener, gateway: Arc<Gateway>, shutdown: Shutdown) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let stop = shutdown.token();
    loop {
        let (stream, place) = tokio::select! {
            () = stop.cancelled() => return,
            taken = take(&listener, &places) => match taken {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            },
        };
        let gateway = Arc::clone(&gateway);
        let stop = stop.clone();
        shutdown.spawn(async move {
            converse(stream, gateway, stop).await;
            drop(place);
        });
    }
}

async fn take(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

async fn converse(stream: TcpStream, gateway: Arc<Gateway>, stop: CancellationToken) {
    let service = service_fn(|request| {
        let gateway = Arc::clone(&gateway);
        async move { Ok::<_, Infallible>(gateway.answer(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A caller that left is told by its request's own line.
        tracing::debug!(%error, "connection ended early");
    }
}
