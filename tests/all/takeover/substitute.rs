//! The endpoint of a substitute: keeps what is sent to it, and answers as it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A packet as it came.
#[derive(Clone, Debug)]
pub struct Packet {
    pub headers: String,
    pub body: Value,
}

/// What stands behind `delivery.bob.post`.
pub struct Endpoint {
    at: SocketAddr,
    got: Arc<Mutex<Vec<Packet>>>,
    says: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
}

impl Endpoint {
    /// Answers `says`: a status line's end and a body, such as `200 OK\r\n\r\n{}`.
    pub fn that_says(says: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Self {
            at: listener.local_addr().unwrap(),
            got: Arc::default(),
            says: Arc::new(Mutex::new(says.to_owned())),
            stop: Arc::default(),
        };
        let (got, says, stop) = (Arc::clone(&endpoint.got), Arc::clone(&endpoint.says), Arc::clone(&endpoint.stop));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                if let Some(packet) = read(&stream) {
                    got.lock().unwrap().push(packet);
                    let says = says.lock().unwrap().clone();
                    let _ = (&stream).write_all(format!("HTTP/1.1 {says}").as_bytes());
                }
            }
        });
        endpoint
    }

    /// Takes the packet and says nothing of whether it takes over.
    pub fn that_takes_it() -> Self {
        Self::that_says("202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }

    /// Takes the packet, and answers with this JSON.
    pub fn that_answers(body: &str) -> Self {
        Self::that_says(&format!("200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()))
    }

    pub fn url(&self) -> String {
        format!("http://{}/resume", self.at)
    }

    pub fn packets(&self) -> Vec<Packet> {
        self.got.lock().unwrap().clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.at);
    }
}

fn read(stream: &TcpStream) -> Option<Packet> {
    let mut reader = BufReader::new(stream);
    let mut headers = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        headers.push_str(&line.to_lowercase());
    }
    let length = headers.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Packet { headers, body: serde_json::from_slice(&body).ok()? })
}
