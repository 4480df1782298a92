//! Watches the files. A change that is right is put in force whole; one with an error changes
//! nothing, except that whoever was removed from `people` is out at once.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::in_force::{InForce, people_of};
use super::{Gateway, TaskName, ledger, nostr, speak};
use crate::approval::{People, PersonId};
use crate::config::gate::Gate;
use crate::config::{self, Config, Lookup, Users};
use crate::store::StoreError;
use crate::wording::Alarm;

/// What this machine says to the loader.
pub struct Machine {
    users: Users,
    has_manager: bool,
}

impl Machine {
    /// Reads the users of this machine.
    pub fn read(has_manager: bool) -> Self {
        Self { users: Users::of_this_machine(), has_manager }
    }
}

impl Lookup for Machine {
    fn uid_of(&self, user: &str) -> Option<u32> {
        self.users.uid_of(user)
    }

    fn has_service_manager(&self) -> bool {
        self.has_manager
    }
}

/// What tells that a file is another one than before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(Vec<Option<(SystemTime, u64, u64)>>);

/// How the files look right now.
pub fn seen(config: &Config) -> Seen {
    use std::os::unix::fs::MetadataExt as _;
    let files = &config.gate.files;
    let paths: [&PathBuf; 4] = [&config.path, &files.registry, &files.policy, &files.profiles];
    let look = |path: &&PathBuf| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len(), data.ino()))
    };
    Seen(paths.iter().map(look).collect())
}

/// What is in force and was not told yet. The next load compares with what is in force by then, and would not find it
/// any more; so it stays here until it is on record.
type Owed = VecDeque<Alarm>;

/// Tells what is owed, and forgets what is on record.
async fn tell(gateway: &Arc<Gateway>, owed: &mut Owed) -> Result<(), StoreError> {
    while let Some(alarm) = owed.front() {
        speak::raise(gateway, alarm.clone()).await?;
        owed.pop_front();
    }
    Ok(())
}

/// Loads the files anew, and puts them in force if they are right.
async fn step(gateway: &Arc<Gateway>, owed: &mut Owed) -> Result<bool, StoreError> {
    let old = gateway.in_force();
    let (path, has_manager) = (old.config.path.clone(), gateway.has_manager);
    let loaded = tokio::task::spawn_blocking(move || {
        let machine = Machine::read(has_manager);
        let loaded = config::load(&path, &machine);
        let people = if loaded.is_err() { config::load_people_only(&path, &machine) } else { None };
        (loaded, people)
    })
    .await;
    match loaded {
        Ok((Ok(loaded), _)) => {
            let changes = config::diff(&old.config, &loaded.config).into_iter().map(from_when).collect::<Vec<_>>();
            let new = InForce::new(loaded.config, gateway.has_manager);
            put_in_force(gateway, &old.people, new, owed);
            if !changes.is_empty() {
                owed.push_back(Alarm::NewConfig { changes });
            }
            record(gateway, Revocations::OfThoseWhoLeftEnd).await?;
            gateway.status.set_stale_config(None);
            gateway.bells.mended.notify_one();
            gateway.bells.mended_nostr.notify_one();
            gateway.status.settle("reload");
            Ok(true)
        }
        Ok((Err(problems), people)) => {
            let first = problems.errors().next().map_or_else(|| "unreadable".to_owned(), ToString::to_string);
            let count = u32::try_from(problems.errors().count()).unwrap_or(u32::MAX);
            if let Some(seen) = people {
                let left = seen.narrow(&old.config.gate.people);
                let people = people_of(&left);
                // The narrowed list is the one to be narrowed next, so that a second broken file gives nothing back.
                let gate = Gate { people: left, ..Gate::clone(&old.config.gate) };
                let mut config = old.config.clone();
                config.gate = Arc::new(gate);
                let narrowed = InForce::with_people(config, people, gateway.has_manager);
                put_in_force(gateway, &old.people, narrowed, owed);
                record(gateway, Revocations::Stay).await?;
            }
            gateway.status.set_stale_config(Some(first.clone()));
            let alarm = Alarm::ReloadFailed { problem: first, problems: count };
            gateway.status.settle("reload");
            gateway.status.raise("reload", alarm.clone(), gateway.clock.now());
            speak::raise(gateway, alarm).await?;
            Ok(false)
        }
        Err(_) => {
            let problem = "the loader broke off inside, please report it".to_owned();
            speak::raise(gateway, Alarm::ReloadFailed { problem, problems: 1 }).await?;
            Ok(false)
        }
    }
}

/// Keys that are read once, at the start.
const FROM_THE_NEXT_START: [&str; 15] = [
    "store",
    "socket",
    "import_state",
    "log",
    "schedule.probe_deadline",
    "schedule.concurrency",
    "schedule.systemctl",
    "channels.terminal.input",
    "channels.telegram.enabled",
    "channels.nostr.enabled",
    "channels.nostr.relays",
    "channels.nostr.secret_key_file",
    "channels.nostr.remote_signer_file",
    "channels.nostr.embedded_relay",
    "channels.nostr.name",
];

/// A change, and whether it waits for the next start: nobody is told that something is in force that is not.
fn from_when(change: String) -> String {
    let waits = FROM_THE_NEXT_START.iter().any(|key| change.trim_start_matches('`').starts_with(key));
    if waits { format!("{change} (from the next start on)") } else { change }
}

/// What becomes of `revoke`s at a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Revocations {
    /// The file is broken: it can take away, and give nothing back.
    Stay,
    /// The file is right, and whoever has left it has left.
    OfThoseWhoLeftEnd,
}

/// Puts `new` in force; who is out by it and which mission nobody approves any more is owed.
fn put_in_force(gateway: &Gateway, before: &People, new: InForce, owed: &mut Owed) {
    let gone = before.iter().map(|person| person.id.clone()).filter(|id| new.people.get(id).is_none());
    let orphaned_before: BTreeSet<_> = new.missions_without_approvers(before).into_iter().collect();
    let orphaned = new.missions_without_approvers(&new.people).into_iter();
    let orphaned = orphaned.filter(|mission| !orphaned_before.contains(mission));
    owed.extend(gone.map(|person| Alarm::PersonRevoked { person, by: None }));
    owed.extend(orphaned.map(|mission| Alarm::MissionWithoutApprovers { mission }));
    gateway.put_in_force(new);
    gateway.bells.committed();
}

/// What the files in force mean for the store. Doing it again changes nothing.
async fn record(gateway: &Arc<Gateway>, revocations: Revocations) -> Result<(), StoreError> {
    note_keys(gateway).await?;
    if revocations == Revocations::OfThoseWhoLeftEnd {
        // Whoever was revoked and has left the file is forgotten: they may come back by it.
        let in_force = gateway.in_force();
        gateway
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let revoked = ledger::revoked(tx).await?;
                    let left: BTreeSet<PersonId> =
                        revoked.iter().filter(|id| in_force.people.get(id).is_some()).cloned().collect();
                    if left == revoked { Ok(()) } else { ledger::set_revoked(tx, &left).await }
                })
            })
            .await?;
    }
    Ok(())
}

/// Journals whose key is whose on Nostr, if that is new.
pub async fn note_keys(gateway: &Arc<Gateway>) -> Result<(), StoreError> {
    let job = Arc::clone(gateway);
    gateway
        .store
        .write(move |tx| Box::pin(async move { nostr::note_keys(tx, &job.in_force(), job.clock.now()).await }))
        .await
}

/// Runs until the daemon stops.
pub async fn run(gateway: Arc<Gateway>, mut last: Seen) {
    let mut owed = Owed::new();
    loop {
        let period = gateway.in_force().config.gate.timing.reload_check;
        let asked = tokio::select! {
            () = tokio::time::sleep(period) => false,
            () = gateway.bells.reload.notified() => true,
            () = gateway.bells.stopped() => return,
        };
        let now = seen(&gateway.in_force().config);
        if !asked && now == last {
            continue;
        }
        last = now;
        let taken = step(&gateway, &mut owed).await;
        let told = tell(&gateway, &mut owed).await;
        match taken.and_then(|taken| told.map(|()| taken)) {
            Ok(taken) => {
                let says = if taken { "the files were loaded" } else { "the files have an error; the old ones hold" };
                gateway.status.task(TaskName::Reload, taken, says, gateway.clock.now());
            }
            Err(error) => {
                // Not recorded, so not done: it is tried again at the next look.
                last = Seen::default();
                let says = super::inbox::chain(&error);
                tracing::error!(error = says, "a change of the files could not be recorded, and is tried again");
                gateway.status.task(TaskName::Reload, false, says, gateway.clock.now());
            }
        }
    }
}
