//! The gate inside the test's own process, on a clock that the story moves: for long waits and for
//! clocks that jump. Probes, store and wording are real; only time is not.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::future::BoxFuture;
use lazarus_gate::approval::{Channel, InputId, Said, Speaker};
use lazarus_gate::channel::{Delivery, Outgoing, Terminal};
use lazarus_gate::config::{self, Lookup};
use lazarus_gate::gateway::SteadyClock;
use lazarus_gate::gateway::sweep::Sweeping;
use lazarus_gate::gateway::{
    Clock as _, Gateway, InForce, Parts, SetClock, TaskName, arrival, deliver, inbox, plan, revive, start,
};
use lazarus_gate::pool::Timestamp;
use lazarus_gate::probe::{DescriptorBudget, HttpProber, HttpSettings, Sweeper};
use lazarus_gate::revival::{self, Launcher};
use lazarus_gate::store::inbox::Input;
use lazarus_gate::store::{self, OpenOptions, Store};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{Entry, GATE, World, Written, own_uid};

/// A gate on a clock of its own. Its times are the real ones: a sweep a minute, requests that live
/// for an hour.
pub struct Inside {
    /// The folder, the agents and the record.
    pub world: World,
    gateway: Arc<Gateway>,
    clock: Arc<SetClock>,
    sweeping: Sweeping,
    terminal: Terminal,
    runtime: tokio::runtime::Runtime,
    said: Cell<u32>,
    carrying_out: RefCell<Option<JoinHandle<()>>>,
}

/// When the stories begin.
const BEGIN: Timestamp = Timestamp::from_millis(1_790_000_000_000);
/// From sweep to sweep.
const INTERVAL: Duration = Duration::from_secs(60);

/// A machine without service manager and users.
struct Bare;

impl Lookup for Bare {
    fn uid_of(&self, _: &str) -> Option<u32> {
        None
    }

    fn has_service_manager(&self) -> bool {
        false
    }
}

/// A terminal with one target that takes nothing, and one that tells when it is reached.
struct Uneven {
    slow: &'static str,
    quick: &'static str,
    reached: Notify,
}

impl lazarus_gate::channel::Channel for Uneven {
    fn name(&self) -> &'static str {
        "terminal"
    }

    fn deliver<'a>(&'a self, message: Outgoing<'a>) -> BoxFuture<'a, Delivery> {
        Box::pin(async move {
            if message.target == self.slow {
                std::future::pending::<()>().await;
            }
            if message.target == self.quick {
                self.reached.notify_one();
            }
            Delivery::Delivered { remote_id: None }
        })
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Inside {
    /// Starts over `world`, with the default times.
    pub fn of(world: World) -> Self {
        Self::with_times(world, json!({}))
    }

    /// Starts over `world`, with these times and otherwise the default ones.
    pub fn with_times(mut world: World, timing: Value) -> Self {
        // Nobody carries executions out here, unless a story wants it: stories of time may end before that.
        world.may_end_half_done();
        world.gate["schedule"] = json!({"interval": "1m"});
        world.gate["timing"] = timing;
        world.save();
        let clock = Arc::new(SetClock::at(BEGIN));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (gateway, sweeping) = runtime.block_on(begin(&world, &clock));
        let terminal = Terminal::new(Box::new(world.told.clone())).expect("a thread that writes");
        let inside = Self {
            world,
            gateway,
            clock,
            sweeping,
            terminal,
            runtime,
            said: Cell::new(0),
            carrying_out: RefCell::default(),
        };
        inside.sweep();
        inside
    }

    /// The gate ends; its world stays.
    pub fn ends(mut self) -> World {
        self.world.forget_reader();
        std::mem::replace(&mut self.world, World::with_agents(&[]))
    }

    /// One sweep, and what follows from it.
    pub fn sweep(&self) {
        self.runtime.block_on(async {
            self.sweeping.step(&self.gateway, Duration::ZERO).await.expect("a sweep");
        });
        self.plan();
    }

    /// What follows from what is known: cases are planned, messages delivered.
    pub fn plan(&self) {
        self.runtime.block_on(async {
            plan::step(&self.gateway).await.expect("a plan");
            deliver::step(&self.gateway, &self.terminal, &tokio::sync::Notify::new()).await.expect("a delivery");
        });
    }

    /// Cases are to be planned, and the store does not take it.
    pub fn plans_in_vain(&self) {
        assert!(self.runtime.block_on(plan::step(&self.gateway)).is_err());
    }

    /// Time passes as it does, with a sweep a minute.
    pub fn pass(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(INTERVAL);
            self.clock.pass(step);
            self.sweep();
            left -= step;
        }
    }

    /// Time passes until the journal tells something of an agent so many times; returns the minutes.
    pub fn pass_until(&self, agent: &str, kind: &str, times: usize) -> u64 {
        let from = self.clock.elapsed();
        while self.count(agent, kind) < times {
            self.pass(INTERVAL);
            let passed = self.clock.elapsed().saturating_sub(from);
            assert!(passed < Duration::from_secs(24 * 3600), "no {kind:?} of {agent} in a day");
        }
        self.clock.elapsed().saturating_sub(from).as_secs() / 60
    }

    /// Time passes and the gate does not notice: the machine slept, or the gate was busy.
    pub fn pass_unnoticed(&self, time: Duration) {
        self.clock.pass(time);
    }

    /// Somebody sets the clock of the machine.
    pub fn set_clock_by(&self, seconds: i64) {
        self.clock.jump(seconds * 1000);
    }

    /// Executions are carried out from now on, by real commands and in real time, until the gate ends.
    pub fn carries_out(&self) {
        let carrying_out = self.runtime.spawn(revive::run(Arc::clone(&self.gateway)));
        self.carrying_out.replace(Some(carrying_out));
        self.world.until("an execution is taken up", |_| {
            let (_, state) = self.gateway.status.tasks().into_iter().find(|(task, _)| *task == TaskName::Revive)?;
            state.filter(|state| state.says.contains("taken up"))
        });
    }

    /// The gate's time.
    pub fn now(&self) -> Timestamp {
        self.gateway.clock.now()
    }

    /// Something is written to the store.
    pub fn writes<F>(&self, job: F)
    where
        F: for<'t> FnOnce(&'t mut store::Tx) -> BoxFuture<'t, Result<(), store::StoreError>> + Send + 'static,
    {
        self.runtime.block_on(self.gateway.store.write(job)).expect("it is kept");
    }

    /// Whether a message reaches the target `quick` while another one never takes what it is sent.
    pub fn delivers_although(&self, slow: &'static str, quick: &'static str) -> bool {
        let channel = Uneven { slow, quick, reached: Notify::new() };
        let rung = Notify::new();
        self.runtime.block_on(async {
            let reached = tokio::time::timeout(super::DEADLINE, channel.reached.notified());
            tokio::select! {
                reached = reached => reached.is_ok(),
                sent = deliver::step(&self.gateway, &channel, &rung) => panic!("it came to an end: {sent:?}"),
            }
        })
    }

    /// Nothing is written to the store until what is returned is dropped.
    pub fn keeps_the_store_busy(&self) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel();
        let (tell, begun) = mpsc::channel();
        let store = self.gateway.store.clone();
        self.runtime.spawn(async move {
            let busy = store.write(move |_| {
                Box::pin(async move {
                    let _ = (tell.send(()), released.recv());
                    Ok(())
                })
            });
            busy.await.expect("it keeps nothing");
        });
        begun.recv().expect("the store is busy");
        release
    }

    /// The files as they are on disk are in force.
    pub fn reloads(&self) {
        self.world.save();
        let config = config::load(&self.world.config(), &Bare).unwrap_or_else(|problems| panic!("{problems}")).config;
        self.gateway.put_in_force(InForce::new(config, false));
    }

    /// `me` says something and is gone before it is in the inbox; tells whether anybody is called to work it off.
    pub fn says_and_leaves(&self, line: &str) -> bool {
        let (id, said) = self.said(line);
        let release = self.keeps_the_store_busy();
        self.runtime.block_on(async {
            let submitted = tokio::time::timeout(Duration::ZERO, inbox::submit(&self.gateway, id, said)).await;
            assert!(submitted.is_err(), "{submitted:?}");
            drop(release);
            tokio::time::timeout(super::DEADLINE, self.gateway.bells.inbox.notified()).await.is_ok()
        })
    }

    fn said(&self, line: &str) -> (InputId, Said) {
        let id = InputId(format!("story-{}", self.said.replace(self.said.get() + 1)));
        let said = Said {
            speaker: Speaker::LocalUser(own_uid()),
            via: Channel::Cli,
            line: line.to_owned(),
            context: None,
            document: None,
        };
        (id, said)
    }

    /// `me` says something, and it is in the inbox when this returns.
    pub fn drops_into_the_inbox(&self, line: &str) -> InputId {
        let (id, said) = self.said(line);
        let input = Input {
            id: id.0.clone(),
            source: said.via.key().to_owned(),
            raw: json!(said).to_string(),
            entered_at: self.gateway.clock.now(),
        };
        let arrived = self.runtime.block_on(arrival::take_in(&self.gateway, vec![input], Vec::new()));
        arrived.expect("the inbox takes it");
        id
    }

    /// The inbox is worked off.
    pub fn work_off_the_inbox(&self) {
        self.runtime.block_on(inbox::step(&self.gateway)).expect("the inbox is worked off");
    }

    /// `me` says something, and it is worked off; returns the answer.
    pub fn says(&self, line: &str) -> String {
        let id = self.drops_into_the_inbox(line);
        self.work_off_the_inbox();
        self.plan();
        self.answer_to(&id)
    }

    /// The answer to something said.
    pub fn answer_to(&self, id: &InputId) -> String {
        let row = self.world.read(async |read| store::inbox::result(read, &id.0).await).flatten().expect("an input");
        let answer: serde_json::Value =
            serde_json::from_str(row.answer.as_deref().unwrap_or("null")).expect("an answer is JSON");
        answer["text"].as_str().unwrap_or_default().to_owned()
    }

    /// The newest request about an agent.
    pub fn newest_request(&self, agent: &str) -> Entry {
        self.world.journaled(agent, "asked").pop().unwrap_or_else(|| panic!("nobody was asked about {agent}"))
    }

    /// The code of the newest request about an agent.
    pub fn code(&self, agent: &str) -> String {
        self.newest_request(agent).body["code"].as_str().expect("a code").to_owned()
    }

    /// How many entries of a kind the journal has about an agent.
    pub fn count(&self, agent: &str, kind: &str) -> usize {
        self.world.journaled(agent, kind).len()
    }

    /// Whether a request about the agent can be answered.
    pub fn is_pending(&self, agent: &str) -> bool {
        let pending = self.world.read(async |read| store::requests::pending(read).await).unwrap_or_default();
        pending.iter().any(|request| request.agent.as_str() == agent)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.world.forget_reader();
        self.gateway.bells.stop();
        if let Some(carrying_out) = self.carrying_out.take() {
            self.runtime.block_on(carrying_out).expect("it ends with the gate");
        }
        let closed = self.runtime.block_on(self.gateway.store.close());
        if !std::thread::panicking() {
            closed.expect("the store closes");
        }
    }
}

/// What the daemon does at a start, but for its tasks.
async fn begin(world: &World, clock: &Arc<SetClock>) -> (Arc<Gateway>, Sweeping) {
    let config = config::load(&world.config(), &Bare).unwrap_or_else(|problems| panic!("{problems}")).config;
    let store = Store::open(&world.store(), OpenOptions::default()).await.expect("the store opens");
    let runs = world.path("store/runs");
    revival::prepare_runs(&runs).expect("the folder of the runs");
    let settings = HttpSettings { deadline: Duration::from_secs(2), ..HttpSettings::default() };
    let clock = Arc::new(SteadyClock::over(Arc::clone(clock) as Arc<_>));
    let probe_clock = Arc::clone(&clock);
    let now = Arc::new(move || probe_clock.now());
    let budget = DescriptorBudget { slots: 64, ..DescriptorBudget::raise() };
    let gateway = Gateway::new(Parts {
        store,
        clock,
        launcher: Launcher::new(GATE),
        runs,
        sweeper: Sweeper::new(HttpProber::new(&settings).expect("a prober"), None, budget, now),
        config,
        environment: Default::default(),
        has_manager: false,
        own_uid: own_uid(),
        observe: false,
    });
    let mut read = gateway.store.read().await.expect("the store can be read");
    let found = store::generation::detect(&mut read, gateway.store.path()).await.expect("a generation");
    drop(read);
    start::raise_generation(&gateway, found).await.expect("a new generation");
    let rows = start::remember(&gateway).await.expect("what was known");
    start::notice_clock_set_back(&gateway).await.expect("the clock");
    start::extend_pending(&gateway).await.expect("pending requests");
    (gateway, Sweeping::new(&rows))
}
