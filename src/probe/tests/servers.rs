//! Small, badly behaved servers on loopback.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server that does the same with each connection. It ends with the test's runtime.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub(super) async fn start<F, D>(each: F) -> Self
    where
        F: Fn(TcpStream, usize) -> D + Send + 'static,
        D: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(each(stream, number));
            }
        });
        Self { address, connections }
    }

    /// Answers each request of a connection with what `answer` says to its method and path; `None` never answers.
    pub(super) async fn answering(
        answer: impl Fn(&str, &str) -> Option<String> + Send + Sync + Clone + 'static,
    ) -> Self {
        Self::start(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                while let Some(head) = read_head(&mut stream).await {
                    let mut words = head.split(' ');
                    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
                    match answer(method, path) {
                        Some(text) if stream.write_all(text.as_bytes()).await.is_ok() => {}
                        Some(_) => return,
                        None => std::future::pending().await,
                    }
                }
            }
        })
        .await
    }

    /// Sends these bytes after the first request, then closes.
    pub(super) async fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = Arc::new(bytes.into());
        Self::start(move |mut stream, _| {
            let bytes = bytes.clone();
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(&bytes).await;
            }
        })
        .await
    }

    /// Sends `first`, then `again` for as long as somebody listens.
    pub(super) async fn repeating(first: &'static str, again: &'static str) -> Self {
        Self::start(move |mut stream, _| async move {
            read_head(&mut stream).await;
            if stream.write_all(first.as_bytes()).await.is_ok() {
                while stream.write_all(again.as_bytes()).await.is_ok() {
                    tokio::task::yield_now().await;
                }
            }
        })
        .await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The head of the next request, or none if the client left.
pub(super) async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// An answer without a body.
pub(super) fn status(status: u16) -> Option<String> {
    Some(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"))
}

/// A redirect.
pub(super) fn to(location: &str) -> Option<String> {
    Some(format!("HTTP/1.1 302 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))
}

/// Makes a program of a shell script. Another process writes it: a file that we hold open for writing would be
/// inherited, for a moment, by what another test starts just then, and cannot be executed as long.
pub(super) fn write_program(path: &Path, script: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, script).unwrap();
    let status = std::process::Command::new("install").args(["-m", "755"]).args([&draft, path]).status().unwrap();
    assert!(status.success());
}
