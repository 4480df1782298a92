use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::servers::{Server, read_head, status, to};
use crate::probe::answer::{AddressFault, GatewayAnswer, GatewayFault, Shortage};
use crate::probe::http::{Connection, HttpProber, HttpSettings};
use crate::probe::names::Names;

/// Long enough for what answers, never reached; and short enough to wait for where nothing does.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

fn prober() -> HttpProber {
    HttpProber::new(&HttpSettings { deadline: LONG, ..HttpSettings::default() }).unwrap()
}

fn answered(status: u16) -> GatewayAnswer {
    GatewayAnswer::Answered { status }
}

fn unreachable(why: GatewayFault) -> GatewayAnswer {
    GatewayAnswer::Unreachable { why }
}

fn silent() -> GatewayAnswer {
    unreachable(GatewayFault::Silent(SHORT))
}

#[tokio::test]
async fn any_http_status_is_reachable() {
    for code in [101, 200, 204, 304, 300, 401, 404, 429, 500, 503, 529, 600, 999] {
        let server = Server::answering(move |_, _| status(code)).await;
        assert_eq!(prober().probe(&server.url("/health")).await, answered(code), "{code}");
    }
}

#[tokio::test]
async fn where_head_is_refused_the_get_counts() {
    for (head, get, expected) in [(405, 200, 200), (501, 503, 503), (405, 405, 405), (404, 200, 404)] {
        let server = Server::answering(move |method, _| status(if method == "HEAD" { head } else { get })).await;
        assert_eq!(prober().probe(&server.url("/")).await, answered(expected), "{head} {get}");
    }
}

#[tokio::test]
async fn a_get_that_fails_takes_nothing_back() {
    let hangs = Server::answering(|method, _| if method == "HEAD" { status(405) } else { None }).await;
    assert_eq!(prober().probe_within(&hangs.url("/"), SHORT, Connection::Kept).await, answered(405));
    let closes = Server::start(|mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap_or_default();
        if head.starts_with("HEAD") {
            let _ = stream.write_all(b"HTTP/1.1 501 X\r\nContent-Length: 0\r\n\r\n").await;
        }
    })
    .await;
    assert_eq!(prober().probe(&closes.url("/")).await, answered(501));
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_they_go() {
    let other = Server::answering(|_, _| status(418)).await;
    let elsewhere = other.url("/there");
    let server = Server::answering(move |_, path| match path {
        "/on" => to("/end"),
        "/end" => status(200),
        "/other" => to(&elsewhere),
        "/loop" => to("/loop"),
        "/ping" => to("/pong"),
        "/pong" => to("/ping"),
        "/missing" => status(302),
        "/file" => to("file:///etc/passwd"),
        "/data" => to("data:text/plain,x"),
        "/user" => to("http://kim:secret@127.0.0.1/"),
        "/none" => status(303),
        _ => to(&format!("{path}x")),
    })
    .await;
    for (path, expected) in [
        ("/on", 200),
        ("/other", 418),
        ("/loop", 302),
        ("/ping", 302),
        ("/missing", 302),
        ("/none", 303),
        ("/file", 302),
        ("/data", 302),
        ("/user", 302),
        ("/longer", 302),
    ] {
        assert_eq!(prober().probe(&server.url(path)).await, answered(expected), "{path}");
    }
}

#[tokio::test]
async fn a_redirect_to_nobody_is_unreachable_as_in_the_reference() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server::answering(move |_, _| to(&format!("http://{free}/"))).await;
    assert_eq!(prober().probe(&server.url("/")).await, unreachable(GatewayFault::Refused));
}

#[tokio::test]
async fn a_redirect_is_followed_with_head_and_on_a_connection_that_is_not_kept() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let heads = seen.clone();
    let other = Server::start(move |mut stream, _| {
        let heads = heads.clone();
        async move {
            let head = read_head(&mut stream).await;
            heads.lock().unwrap().extend(head);
            let _ = stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n").await;
        }
    })
    .await;
    let place = other.url("/there?x=1#part");
    let server = Server::answering(move |_, _| to(&place)).await;
    assert_eq!(prober().probe(&server.url("/")).await, answered(200));
    let head = seen.lock().unwrap().concat().to_ascii_lowercase();
    assert!(head.starts_with("head /there?x=1 http/1.1\r\n"), "{head}");
    assert!(head.contains("connection: close") && head.contains("user-agent: lazarus-gate/"), "{head}");
}

#[tokio::test]
async fn nobody_there_is_refused() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(prober().probe(&format!("http://{free}/")).await, unreachable(GatewayFault::Refused));
}

#[tokio::test]
async fn a_connection_that_breaks_is_closed() {
    let resets = Server::start(|stream, _| async move {
        // Closing with an unread request makes the kernel send a reset.
        let _ = stream.readable().await;
    })
    .await;
    let closes = Server::saying("").await;
    let half = Server::saying("HTTP/1.1 200 OK\r\nContent-Le").await;
    for server in [resets, closes, half] {
        assert_eq!(prober().probe(&server.url("/")).await, unreachable(GatewayFault::Closed));
        assert_eq!(server.connections(), 2, "a kept connection is tried anew once, and no more");
    }
}

#[tokio::test]
async fn what_is_no_http_is_unreachable() {
    let many = (0..200).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    for (name, bytes) in [
        ("ssh", "SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
        ("chunked garbage for a head", "5\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("many headers", format!("HTTP/1.1 200 OK\r\n{many}\r\n")),
        ("a huge header", format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(4 << 20))),
        ("a status of four digits", "HTTP/1.1 1000 OK\r\n\r\n".to_owned()),
        ("a bare line feed in a name", "HTTP/1.1 200 OK\r\nX\nY: z\r\n\r\n".to_owned()),
    ] {
        let server = Server::saying(bytes).await;
        assert_eq!(prober().probe(&server.url("/")).await, unreachable(GatewayFault::NotHttp), "{name}");
    }
}

#[tokio::test]
async fn bodies_are_never_read() {
    for (first, again) in [
        ("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", "zz\r\nno chunk at all\r\n"),
        ("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n"),
        ("HTTP/1.1 200 X\r\nContent-Length: 99999999999\r\n\r\n", "endless"),
        ("HTTP/1.1 200 X\r\n\r\n", "endless"),
    ] {
        let server = Server::repeating(first, again).await;
        let prober = prober();
        // Twice: what is left on the first connection must not be taken for the second answer.
        assert_eq!(prober.probe(&server.url("/")).await, answered(200), "{again}");
        assert_eq!(prober.probe(&server.url("/")).await, answered(200), "{again}");
    }
}

#[tokio::test]
async fn no_server_stretches_the_deadline() {
    let black_hole = Server::answering(|_, _| None).await;
    let floods = Server::repeating("", "HTTP/1.1 102 Processing\r\n\r\n").await;
    let drips = Server::start(|mut stream, _| async move {
        read_head(&mut stream).await;
        for byte in b"HTTP/1.1 200 OK\r\nX: ".iter().chain(std::iter::repeat(&b'y')) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let hops = Server::start(|mut stream, _| async move {
        while read_head(&mut stream).await.is_some() {
            tokio::time::sleep(SHORT / 2).await;
            if stream.write_all(to("/again").unwrap_or_default().as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    for (name, server) in [("black hole", black_hole), ("1xx flood", floods), ("drip", drips), ("redirects", hops)] {
        for connection in [Connection::Kept, Connection::Fresh] {
            assert_eq!(prober().probe_within(&server.url("/"), SHORT, connection).await, silent(), "{name}");
        }
    }
}

#[tokio::test]
async fn an_interim_answer_is_skipped() {
    let server = Server::saying("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 204 X\r\n\r\n").await;
    assert_eq!(prober().probe(&server.url("/")).await, answered(204));
}

#[tokio::test]
async fn a_listener_that_never_accepts_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    assert_eq!(prober().probe_within(&url, SHORT, Connection::Fresh).await, silent());
}

#[tokio::test]
async fn connections_are_kept_or_not_as_asked() {
    let server = Server::answering(|_, _| status(200)).await;
    let prober = prober();
    for _ in 0..3 {
        assert_eq!(prober.probe(&server.url("/")).await, answered(200));
    }
    assert_eq!(server.connections(), 1);
    for _ in 0..3 {
        assert_eq!(prober.probe_within(&server.url("/"), LONG, Connection::Fresh).await, answered(200));
    }
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn a_kept_connection_closed_by_the_peer_proves_nothing() {
    // Each connection answers once, and is closed when the next request arrives on it.
    let server = Server::start(|mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n").await;
        read_head(&mut stream).await;
    })
    .await;
    let prober = prober();
    for _ in 0..4 {
        assert_eq!(prober.probe(&server.url("/")).await, answered(200));
    }
}

#[tokio::test]
async fn the_next_program_on_the_port_is_asked_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}/");
    let prober = prober();
    let first = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    });
    assert_eq!(prober.probe(&url).await, answered(200));
    first.await.unwrap();
    assert_eq!(prober.probe(&url).await, unreachable(GatewayFault::Refused));
}

#[tokio::test]
async fn tls_where_there_is_none_says_so() {
    let server = Server::start(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 X\r\n\r\n").await;
        read_head(&mut stream).await;
    })
    .await;
    let answer = prober().probe(&format!("https://{}/", server.address)).await;
    assert!(matches!(answer, GatewayAnswer::Unreachable { why: GatewayFault::Tls(_) }), "{answer:?}");
}

#[tokio::test]
async fn an_address_that_is_none_is_never_asked() {
    for (url, fault) in [
        ("file:///etc/passwd", AddressFault::Scheme),
        ("data:text/plain,x", AddressFault::Scheme),
        ("ws://127.0.0.1/", AddressFault::Scheme),
        ("http://kim:secret@127.0.0.1/", AddressFault::UserInfo),
        ("http://127.0.0.1/a b", AddressFault::Character),
        ("http://127.0.0.1:x/", AddressFault::Malformed),
    ] {
        assert_eq!(prober().probe(url).await, unreachable(GatewayFault::Address(fault)), "{url}");
    }
}

#[tokio::test]
async fn a_name_service_that_fails_is_not_the_agents_fault() {
    let answer = |name: &'static str| async move {
        let names = Names::asking(Arc::new(|name: &str| match name {
            "gone.example" => Err(std::io::Error::other("Name or service not known")),
            "flap.example" => Err(std::io::Error::other("Temporary failure in name resolution")),
            _ => Err(std::io::Error::from(rustix::io::Errno::MFILE)),
        }));
        let prober = HttpProber::with_names(&HttpSettings::default(), names).unwrap();
        prober.probe(&format!("http://{name}/")).await
    };
    assert_eq!(answer("gone.example").await, unreachable(GatewayFault::NoSuchHost));
    assert_eq!(answer("flap.example").await, GatewayAnswer::NoAnswer { why: Shortage::Names });
    assert_eq!(answer("full.example").await, GatewayAnswer::NoAnswer { why: Shortage::Descriptors });
}

#[tokio::test]
async fn a_name_service_that_hangs_is_not_the_agents_fault() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let names = Names::asking(Arc::new(move |_: &str| {
        let _ = held.lock().map(|held| held.recv());
        Ok(vec![([127, 0, 0, 1], 0).into()])
    }));
    let prober = HttpProber::with_names(&HttpSettings::default(), names).unwrap();
    let answer = prober.probe_within("http://slow.example:1/", SHORT, Connection::Kept).await;
    assert_eq!(answer, GatewayAnswer::NoAnswer { why: Shortage::Names });
    drop(release);
}

#[tokio::test]
async fn a_network_without_a_route_is_not_the_agents_fault() {
    // Never routed anywhere (a multicast address cannot be connected to).
    let answer = prober().probe("http://224.0.0.1:9/").await;
    assert_eq!(answer, GatewayAnswer::NoAnswer { why: Shortage::Route });
}
