use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

/// How a connection ended before its time.
pub(super) enum Cut {
    /// The peer went away, or spoke no HTTP.
    Early(hyper::Error),
    /// Its time was over.
    TooLong,
}

/// Answers the one request of a connection: its head comes `arrive_within`, and all is over `within`.
pub(super) async fn converse<S>(stream: S, router: Router, arrive_within: Duration, within: Duration) -> Result<(), Cut>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(arrive_within)
        .keep_alive(false)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(within, connection).await {
        Ok(ended) => ended.map_err(Cut::Early),
        Err(_) => Err(Cut::TooLong),
    }
}
