//! The server's thread: connections in, calls carried out, answers out, and faults in between.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::fault::Fault;
use super::http::{Connection, Request, response};
use super::methods::{ApiError, call, file_at};
use super::params::Params;
use super::updates::Conflict;
use super::{Shared, TOKEN};

/// What the test has the server's thread do; it is told when it is done.
pub(super) enum Control {
    Close(std_mpsc::Sender<()>),
    Open(std_mpsc::Sender<()>),
    Stop,
}

/// Starts the thread. Returns the port it listens on.
pub(super) fn start(shared: Arc<Shared>) -> (u16, mpsc::UnboundedSender<Control>, JoinHandle<()>) {
    let (control, orders) = mpsc::unbounded_channel();
    let (tell_port, port) = std_mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("bot-api".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(shared, orders, tell_port));
        })
        .expect("a thread");
    let port = port.recv().expect("the Bot API server's thread to start");
    (port, control, thread)
}

async fn serve(shared: Arc<Shared>, mut orders: mpsc::UnboundedReceiver<Control>, tell_port: std_mpsc::Sender<u16>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let _ = tell_port.send(address.port());
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = orders.recv() => match order {
                Some(Control::Close(done)) => {
                    listener = None;
                    connections.shutdown().await;
                    let _ = done.send(());
                }
                Some(Control::Open(done)) => {
                    listener = Some(listen_again(address).await);
                    let _ = done.send(());
                }
                Some(Control::Stop) | None => return,
            },
            Ok((stream, _)) = accepted => {
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&shared);
                // A connection that breaks is the bot's business.
                connections.spawn(async move { drop(talk(Connection::new(stream), &shared).await) });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// The port was ours and is wanted back, whatever the kernel still keeps of old connections.
async fn listen_again(address: SocketAddr) -> TcpListener {
    let ends = Instant::now() + super::DEADLINE;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < ends, "cannot listen on {address} again: {error}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// One connection, request after request.
async fn talk(mut connection: Connection, shared: &Shared) -> io::Result<()> {
    while let Some(request) = connection.request().await? {
        if let Some(path) = request.path.strip_prefix("/file/bot") {
            let out = file(shared, path);
            connection.stream.write_all(&out).await?;
            continue;
        }
        if !answer(&mut connection, shared, &request).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Answers one call. `false` when the connection is over.
async fn answer(connection: &mut Connection, shared: &Shared, request: &Request) -> io::Result<bool> {
    let target = request.path.strip_prefix("/bot").and_then(|rest| rest.split_once('/'));
    let Some((token, name)) = target else {
        return send(connection, Err(ApiError::new(404, "Not Found"))).await;
    };
    let revoked = shared.lock().settings.revoked;
    if let Err(error) = check_token(token, revoked) {
        shared.change(|state| {
            let place = state.log.open(state.clock.now_ms(), name, json!({}));
            state.log.close(place, outcome(&Err(error.clone())), false);
        });
        return send(connection, Err(error)).await;
    }
    let method = name.trim_end_matches('/').to_lowercase();
    let params = Params::of(request);
    let (place, fault) = shared.change(|state| {
        let shown = params.as_ref().map_or_else(|| json!("<unreadable>"), Params::shown);
        let chat = params.as_ref().and_then(|params| params.text("chat_id")?.parse().ok());
        (state.log.open(state.clock.now_ms(), name, shown), state.faults.strike(&method, chat))
    });
    let close = |what: String, applied| shared.change(|state| state.log.close(place, what, applied));
    let Some(params) = params else {
        let error = ApiError::bad("can't parse request");
        close(outcome(&Err(error.clone())), false);
        return send(connection, Err(error)).await;
    };

    // First what goes wrong before anything is done ...
    if let Some(fault) = &fault {
        let spared = matches!(
            fault,
            Fault::HangAfter
                | Fault::LoseAnswer
                | Fault::ResetMidBody
                | Fault::BrokenJson
                | Fault::Slow(_)
                | Fault::Late(_)
                | Fault::Drip(_)
        );
        if !spared {
            close(format!("{fault:?}"), false);
        }
        match fault {
            Fault::TooMany(after) => return send(connection, Err(ApiError::too_many(*after))).await,
            Fault::Refuse(code, text) => return send(connection, Err(ApiError::new(*code, *text))).await,
            Fault::Json(code) => return send(connection, Err(ApiError::new(*code, "Internal Server Error"))).await,
            Fault::Html(code) => {
                let page = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body>\r\n</html>\r\n";
                connection.stream.write_all(&response(*code, &[], "text/html", page)).await?;
                return Ok(true);
            }
            Fault::Conflict(delay) => {
                sleep(*delay).await;
                return send(connection, Err(ApiError::new(409, super::updates::OTHER_POLLER))).await;
            }
            Fault::Hang => return hang(connection).await,
            Fault::ResetBefore => return reset(connection),
            Fault::Late(time) => sleep(*time).await,
            Fault::HangAfter
            | Fault::LoseAnswer
            | Fault::ResetMidBody
            | Fault::BrokenJson
            | Fault::Slow(_)
            | Fault::Drip(_) => {}
        }
    }

    let result = if method == "getupdates" {
        tokio::select! {
            result = poll(shared, &params) => result,
            () = connection.gone() => {
                close("the bot went away".to_owned(), false);
                return Ok(false);
            }
        }
    } else {
        shared.change(|state| match state.faults.limited(&method, &params.text("chat_id").unwrap_or_default()) {
            Some(error) => Err(error),
            None => call(state, &method, &params),
        })
    };
    let said = outcome(&result);
    let said = fault.as_ref().map_or_else(|| said.clone(), |fault| format!("{said}, but {fault:?}"));
    close(said, result.is_ok());

    // ... and then what goes wrong with the answer.
    let Some(fault) = fault else { return send(connection, result).await };
    let out = answer_bytes(&result);
    match fault {
        Fault::HangAfter => return hang(connection).await,
        Fault::LoseAnswer => return reset(connection),
        Fault::ResetMidBody => {
            connection.stream.write_all(&out[..out.len() - out.len().min(12)]).await?;
            return reset(connection);
        }
        Fault::BrokenJson => {
            let body = body_of(&result);
            connection.stream.write_all(&response(200, &[], "application/json", &body[..body.len() / 2])).await?;
        }
        Fault::Slow(time) => {
            sleep(time).await;
            connection.stream.write_all(&out).await?;
        }
        Fault::Drip(time) => {
            for byte in out {
                sleep(time).await;
                connection.stream.write_all(&[byte]).await?;
            }
        }
        _ => connection.stream.write_all(&out).await?,
    }
    Ok(true)
}

/// `getUpdates`: waits for something to answer with.
async fn poll(shared: &Shared, params: &Params) -> Result<Value, ApiError> {
    let begun = shared.change(|state| {
        state.queue.forget_expired(state.clock.now_ms());
        state.queue.begin(params, !state.settings.webhook.is_empty())
    });
    let mut poll = match begun {
        Ok(poll) => poll,
        Err(conflict) => return Err(held_back(conflict).await),
    };
    loop {
        let mut news = pin!(shared.news.notified());
        // From here on nothing is missed between looking and waiting.
        news.as_mut().enable();
        let look = {
            let mut state = shared.lock();
            let webhook = !state.settings.webhook.is_empty();
            state.queue.look(&poll, webhook)
        };
        match look {
            Some(Ok(updates)) => return Ok(updates),
            Some(Err(conflict)) => return Err(held_back(conflict).await),
            None if std::time::Instant::now() >= poll.ends => return Ok(json!([])),
            None => {}
        }
        if shared.lock().queue.wait(&mut poll) {
            shared.news.notify_waiters();
            continue;
        }
        tokio::select! {
            () = news => {}
            () = sleep_until(poll.ends.into()) => {}
        }
    }
}

async fn held_back(conflict: Conflict) -> ApiError {
    sleep(conflict.delay).await;
    conflict.error
}

fn check_token(token: &str, revoked: bool) -> Result<(), ApiError> {
    let has_shape = token.split_once(':').is_some_and(|(id, _)| id.parse::<u64>().is_ok());
    if !has_shape || token.len() > 80 {
        return Err(ApiError::new(401, "Unauthorized: invalid token specified"));
    }
    if token != TOKEN || revoked {
        return Err(ApiError::new(401, "Unauthorized"));
    }
    Ok(())
}

/// The bytes of a file, at the path that `getFile` gave.
fn file(shared: &Shared, path: &str) -> Vec<u8> {
    let state = shared.lock();
    let found = path
        .split_once('/')
        .filter(|(token, _)| *token == TOKEN && !state.settings.revoked)
        .and_then(|(_, path)| file_at(&state, path));
    match found {
        Some(bytes) => response(200, &[], "application/octet-stream", bytes),
        None => answer_bytes(&Err(ApiError::new(404, "Not Found"))),
    }
}

async fn send(connection: &mut Connection, result: Result<Value, ApiError>) -> io::Result<bool> {
    connection.stream.write_all(&answer_bytes(&result)).await?;
    Ok(true)
}

fn answer_bytes(result: &Result<Value, ApiError>) -> Vec<u8> {
    let body = body_of(result);
    match result {
        Ok(_) => response(200, &[], "application/json", &body),
        Err(error) => {
            let after = error.parameters.as_ref().and_then(|parameters| parameters["retry_after"].as_u64());
            let headers: Vec<_> = after.map(|after| ("Retry-After", after.to_string())).into_iter().collect();
            response(error.code, &headers, "application/json", &body)
        }
    }
}

fn body_of(result: &Result<Value, ApiError>) -> Vec<u8> {
    let body = match result {
        Ok(result) => json!({"ok": true, "result": result}),
        Err(error) => error.body(),
    };
    body.to_string().into_bytes()
}

fn outcome(result: &Result<Value, ApiError>) -> String {
    match result {
        Ok(Value::Array(list)) => format!("ok, {}", list.len()),
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{} {}", error.code, error.description),
    }
}

/// Until the bot gives up.
async fn hang(connection: &Connection) -> io::Result<bool> {
    connection.gone().await;
    Ok(false)
}

/// Ends the connection with a reset, not with a good end.
fn reset(connection: &Connection) -> io::Result<bool> {
    connection.stream.set_zero_linger()?;
    Ok(false)
}
