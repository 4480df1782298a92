//! Fake agents: real little HTTP servers on loopback. A silenced one keeps its port and hangs up on
//! everybody; it comes back when it is told to, or when the restart command left its sign.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// One agent of the fleet.
pub struct FakeAgent {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

struct Shared {
    silent: AtomicBool,
    ends: AtomicBool,
    /// Answers and hang-ups so far.
    probes: AtomicU64,
    /// The restart command makes this file; a silent agent that finds it lives again.
    sign_of_life: PathBuf,
}

impl FakeAgent {
    /// Starts it; `sign_of_life` is the file that brings it back.
    pub fn start(sign_of_life: PathBuf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            silent: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            probes: AtomicU64::new(0),
            sign_of_life,
        });
        let served = Arc::clone(&shared);
        let server = std::thread::spawn(move || serve(&listener, &served));
        Self { address, shared, server: Some(server) }
    }

    /// Where its health endpoint is.
    pub fn url(&self) -> String {
        format!("http://{}/health", self.address)
    }

    /// From now on it hangs up.
    pub fn silence(&self) {
        forget(&self.shared.sign_of_life);
        self.shared.silent.store(true, Ordering::SeqCst);
    }

    /// It answers again.
    pub fn revive(&self) {
        self.shared.silent.store(false, Ordering::SeqCst);
    }

    /// How often it was looked at so far.
    pub fn probes(&self) -> u64 {
        self.shared.probes.load(Ordering::SeqCst)
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Wakes the server, so that it sees the end.
        let _ = TcpStream::connect(self.address);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Shared) {
    for connection in listener.incoming() {
        if shared.ends.load(Ordering::SeqCst) {
            return;
        }
        if shared.silent.load(Ordering::SeqCst) && forget(&shared.sign_of_life) {
            shared.silent.store(false, Ordering::SeqCst);
        }
        // Whoever goes away in the middle has seen enough.
        let _ = connection.and_then(|stream| answer(stream, shared.silent.load(Ordering::SeqCst)));
        shared.probes.fetch_add(1, Ordering::SeqCst);
    }
}

/// Removes a file; whether it was there.
fn forget(file: &Path) -> bool {
    std::fs::remove_file(file).is_ok()
}

fn answer(mut stream: TcpStream, silent: bool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let (mut head, mut chunk) = (Vec::new(), [0; 512]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 8192 {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
    if silent {
        return Ok(());
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}
