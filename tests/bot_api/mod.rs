//! A Bot API server of our own, for tests and benches.
//!
//! It listens on loopback, speaks HTTP as `api.telegram.org` does, and keeps a small world: a bot,
//! people, chats, messages and the queue of updates. A test drives both of its ends: it says and taps
//! as people do, and looks at what the bot did.
//!
//! ```ignore
//! let api = BotApi::start();
//! let kim = api.add_user(1001, "Kim");
//! let ops = api.add_supergroup(-1001234567890, "ops", &[kim]);
//! // ... a bot is started with api.url() and api.token() ...
//! api.say(ops, kim, "/pending");
//! let card = api.wait_message(ops, |message| message.text.contains("ada"));
//! let tap = api.tap(ops, card.id, "Restart", kim);
//! assert_eq!(api.wait_answer(&tap).text, "Restarting ada");
//! ```
//!
//! Its time is virtual: it stands still from the start on, until [`BotApi::advance`]. Only waiting in
//! a long poll, delays asked for, and rate limits are on real time. Whoever waits in vain is shown
//! every call that came in.
//!
//! What it answers is written after the official server's texts. It has no end-to-end of its own with
//! the real thing: `foreign/` runs two widespread bot libraries against it instead.
#![allow(dead_code, unused_imports, reason = "every suite and bench uses its own part of it")]

mod clock;
mod fault;
mod html;
mod http;
mod keyboard;
mod log;
mod methods;
mod params;
mod people;
mod places;
mod render;
mod server;
mod updates;
mod watch;
mod world;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

pub use fault::{Fault, When};
pub use log::Call;
pub use people::{CallbackId, Said, Which};
pub use watch::Answer;
pub use world::{Button, Message, Role};

use clock::Clock;
use fault::Faults;
use log::Log;
use methods::Settings;
use server::Control;
use updates::Queue;
use world::World;

/// The bot's token, in the shape of real ones: libraries only hide such tokens from their errors.
pub const TOKEN: &str = "7654321098:AAFfake-token_of_the_tests-01234567";
/// The bot's user id: the digits of its token.
pub const BOT: i64 = 7_654_321_098;
/// The bot's user name.
pub const BOT_NAME: &str = "lazarus_test_bot";
/// How long a test waits for anything, in real time.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The server, and everything a test does with it. It stops when dropped.
pub struct BotApi {
    shared: Arc<Shared>,
    port: u16,
    control: mpsc::UnboundedSender<Control>,
    thread: Option<JoinHandle<()>>,
}

/// What the test's thread and the server's thread share.
struct Shared {
    state: Mutex<State>,
    /// Wakes tests that wait.
    changed: Condvar,
    /// Wakes long polls.
    news: Notify,
}

/// Everything the server knows.
struct State {
    clock: Clock,
    world: World,
    queue: Queue,
    settings: Settings,
    faults: Faults,
    log: Log,
}

impl BotApi {
    /// Starts a server on a free port of 127.0.0.1, with the bot and nobody else in its world.
    pub fn start() -> Self {
        let state = State {
            clock: Clock::start(),
            world: World::default(),
            queue: Queue::default(),
            settings: Settings::default(),
            faults: Faults::default(),
            log: Log::start(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), news: Notify::new() });
        let (port, control, thread) = server::start(Arc::clone(&shared));
        Self { shared, port, control, thread: Some(thread) }
    }

    /// Where it listens, without a slash at the end: what takes the place of `https://api.telegram.org`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The only token it knows.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// Stops listening and cuts all connections; whoever connects is refused, until
    /// [`open_port`](Self::open_port). People go on talking meanwhile.
    pub fn close_port(&self) {
        self.tell(Control::Close);
    }

    /// Listens again, on the same port.
    pub fn open_port(&self) {
        self.tell(Control::Open);
    }

    /// Has the server's thread do it, and waits until it has.
    fn tell(&self, make: fn(std::sync::mpsc::Sender<()>) -> Control) {
        let (done, is_done) = std::sync::mpsc::channel();
        let sent = self.control.send(make(done)).is_ok();
        assert!(sent && is_done.recv_timeout(DEADLINE).is_ok(), "the Bot API server's thread has ended");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// Does something in the world that others may be waiting for.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        self.shared.change(act)
    }
}

impl Drop for BotApi {
    fn drop(&mut self) {
        let _ = self.control.send(Control::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// A panic of another thread is reported by that thread; the state is still good to show.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let done = act(&mut self.lock());
        self.changed.notify_all();
        self.news.notify_waiters();
        done
    }
}
