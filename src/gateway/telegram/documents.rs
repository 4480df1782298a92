//! Fetches the documents that came with a command, beside everything else: nobody's vote waits for a download.
//! A command whose document is here is carried out as if it had been said with it; one whose document cannot be
//! had is answered so. Both are committed together with the end of the row that stood for it, so that a crash
//! in between only means to fetch it again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SOURCE;
use super::hear::{answer_in, show_of_the_bus};
use crate::approval::{Channel, Said};
use crate::channel::telegram::payloads::GetFile;
use crate::channel::telegram::types::FileId;
use crate::channel::telegram::{Api, Attached, Fault};
use crate::gateway::ledger::{Entry, from_body};
use crate::gateway::mission::{self, Understood};
use crate::gateway::speak::{self, Outlet};
use crate::gateway::{Gateway, inbox};
use crate::pool::Timestamp;
use crate::store::documents::DocumentRow;
use crate::store::inbox::Input;
use crate::store::missions::STATE_BYTES;
use crate::store::{self, StoreError, Tx};
use crate::wording::{self, Alarm};

/// Documents that are fetched at once.
const TOGETHER: u32 = 4;
/// The first wait after an attempt that failed; it doubles.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest such wait.
const AGAIN_MAX: Duration = Duration::from_secs(30);
/// After so long it is given up: whoever sent it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is to be fetched, and what for. Kept on disk: add optional fields, change none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// What was said.
    pub said: Said,
    /// When that came in.
    pub entered_at: Timestamp,
    /// By which the document is fetched.
    pub file_id: String,
    /// The chat where it is answered.
    pub target: String,
    /// The message that is answered.
    pub message: String,
}

/// The command waits for its document from now on; None if that is too large to be fetched: why.
pub(super) async fn wait_for(
    tx: &mut Tx,
    entry: &Entry,
    input: &Input,
    wanted: Wanted,
    attached: &Attached,
) -> Result<Option<String>, StoreError> {
    if let Some(bytes) = attached.bytes.filter(|bytes| *bytes > STATE_BYTES as u64) {
        return Ok(Some(too_large(&format!("{bytes} bytes"))));
    }
    store::documents::insert(tx, &input.id, SOURCE, entry.now, &json!(wanted).to_string()).await?;
    Ok(None)
}

fn too_large(size: &str) -> String {
    format!("it has {size}, and at most {STATE_BYTES} bytes are kept")
}

/// Runs until the channel or the daemon stops.
pub(super) async fn run(gateway: Arc<Gateway>, api: Api) {
    while !gateway.bells.is_stopping() && !gateway.telegram.is_stopped() {
        let step = tokio::select! {
            step = step(&gateway, &api) => step,
            // What is left is fetched after the next start.
            () = gateway.bells.stopped() => return,
        };
        let fetched = match step {
            Ok(fetched) => fetched,
            Err(error) => {
                tracing::error!(error = inbox::chain(&error), "documents wait");
                0
            }
        };
        if fetched > 0 {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(gateway.in_force().config.gate.timing.idle_tick) => {}
            () = gateway.bells.stopped() => {}
        }
    }
}

/// Fetches what is due; tells how many commands were answered by it.
async fn step(gateway: &Arc<Gateway>, api: &Api) -> Result<usize, StoreError> {
    let now = gateway.clock.now();
    let rows = store::documents::due(&mut gateway.store.read().await?, SOURCE, now, TOGETHER).await?;
    let done = join_all(rows.into_iter().map(|row| work_off(gateway, api, row))).await;
    let mut answered = 0;
    for done in done {
        answered += usize::from(done?);
    }
    Ok(answered)
}

/// Whether the command was answered. What goes wrong here is tried again, and given up with an answer like a document
/// that Telegram does not give.
async fn work_off(gateway: &Arc<Gateway>, api: &Api, row: DocumentRow) -> Result<bool, StoreError> {
    let error = match attempt(gateway, api, row.clone()).await {
        Ok(answered) => return Ok(answered),
        Err(error) => inbox::chain(&error),
    };
    let now = gateway.clock.now();
    if now.since(row.created_at) < PATIENCE {
        tracing::error!(error, "a document could not be worked off, and is tried again");
        let next_at = now.plus(AGAIN.saturating_mul(1 << row.attempts.min(5)).min(AGAIN_MAX));
        let failed = gateway
            .store
            .write(move |tx| Box::pin(async move { store::documents::failed(tx, &row.id, next_at).await }));
        failed.await?;
        return Ok(false);
    }
    let job = Arc::clone(gateway);
    let given_up = gateway.store.write(move |tx| {
        Box::pin(async move {
            if !store::documents::done(tx, &row.id).await? {
                return Ok(());
            }
            let entry = Entry::open(tx, &job).await?;
            let why = format!("the document of a command could not be worked off: {error}");
            speak::alarm(tx, &job, &Alarm::StorePressure { why }, entry.now).await?;
            let wanted: Wanted = from_body("documents", &row.id, &row.body)?;
            let outlet = Outlet { channel: Channel::Telegram, target: wanted.target };
            let text = wording::bad_document("the gateway could not keep it; nothing was done");
            answer_in(tx, &entry, &outlet, wanted.message, &text).await
        })
    });
    given_up.await?;
    gateway.bells.deliver();
    Ok(true)
}

async fn attempt(gateway: &Arc<Gateway>, api: &Api, row: DocumentRow) -> Result<bool, StoreError> {
    let wanted: Wanted = match from_body("documents", &row.id, &row.body) {
        Ok(wanted) => wanted,
        Err(error) => {
            tracing::error!(error = inbox::chain(&error), "a document's row cannot be read, and is given up");
            gateway.store.write(move |tx| Box::pin(async move { store::documents::done(tx, &row.id).await })).await?;
            return Ok(true);
        }
    };
    let fetched = match fetch(gateway, api, &wanted.file_id).await? {
        Fetched::Here(document) => Ok(document),
        Fetched::Unusable(why) => Err(why),
        Fetched::NotNow { after, why } => {
            let now = gateway.clock.now();
            if now.since(row.created_at) < PATIENCE {
                tracing::warn!(why, "a document could not be fetched, and is tried again");
                let wait = after.unwrap_or_else(|| AGAIN.saturating_mul(1 << row.attempts.min(5)).min(AGAIN_MAX));
                let failed = gateway.store.write(move |tx| {
                    Box::pin(async move { store::documents::failed(tx, &row.id, now.plus(wait)).await })
                });
                failed.await?;
                return Ok(false);
            }
            Err(format!("Telegram does not give it ({why})"))
        }
    };
    let job = Arc::clone(gateway);
    let carried_out =
        gateway.store.write(move |tx| Box::pin(async move { carry_out(tx, &job, row, wanted, fetched).await }));
    carried_out.await?;
    mission::committed(gateway);
    Ok(true)
}

/// What fetching came to.
enum Fetched {
    /// The document, as an event may hold it.
    Here(Value),
    /// It will never be of use.
    Unusable(String),
    /// It may be had later.
    NotNow {
        /// Not before this time has passed.
        after: Option<Duration>,
        /// Why not now.
        why: String,
    },
}

#[derive(Deserialize)]
struct Place {
    file_path: Option<String>,
}

async fn fetch(gateway: &Arc<Gateway>, api: &Api, file_id: &str) -> Result<Fetched, StoreError> {
    let place = GetFile::new(FileId(file_id.to_owned()));
    let content = match api.ask::<_, Place>(&place).await {
        Ok(Place { file_path: Some(path) }) => api.download(&path, STATE_BYTES).await,
        Ok(Place { file_path: None }) => return Ok(Fetched::Unusable("Telegram does not give it".into())),
        Err(fault) => Err(fault),
    };
    let content = match content {
        Ok(Some(content)) => content,
        Ok(None) => return Ok(Fetched::Unusable(too_large("more"))),
        Err(Fault::Flood { after }) => {
            return Ok(Fetched::NotNow { after: Some(after), why: "too many calls".into() });
        }
        Err(
            fault @ (Fault::Server { .. }
            | Fault::Network { .. }
            | Fault::Unreadable { .. }
            | Fault::Unauthorized
            | Fault::Conflict { .. }),
        ) => return Ok(Fetched::NotNow { after: None, why: fault.to_string() }),
        Err(fault) => return Ok(Fetched::Unusable(fault.to_string())),
    };
    Ok(match mission::small_document(gateway, content).await? {
        Ok(document) => Fetched::Here(document),
        Err(error) => Fetched::Unusable(format!("it is no JSON ({error})")),
    })
}

/// The command with its document, as if it had come with it.
async fn carry_out(
    tx: &mut Tx,
    gateway: &Arc<Gateway>,
    row: DocumentRow,
    wanted: Wanted,
    fetched: Result<Value, String>,
) -> Result<(), StoreError> {
    if !store::documents::done(tx, &row.id).await? {
        return Ok(());
    }
    let entry = Entry::open(tx, gateway).await?;
    let outlet = Outlet { channel: Channel::Telegram, target: wanted.target };
    let said = Said { document: None, ..wanted.said };
    let document = match fetched {
        Ok(document) => document,
        Err(why) => return answer_in(tx, &entry, &outlet, wanted.message, &wording::bad_document(&why)).await,
    };
    let input = Input { id: row.id, source: SOURCE.into(), raw: String::new(), entered_at: wanted.entered_at };
    let person = entry.people().who(&said.speaker).cloned();
    let (Some(person), Understood::Bus(command)) = (person, mission::understand(&said.line, None, Some(document)))
    else {
        // Who was removed meanwhile says nothing more.
        let text = wording::stranger(&said.speaker);
        return answer_in(tx, &entry, &outlet, wanted.message, &text).await;
    };
    let speaking = mission::Speaking { input: &input, said: &said, person: &person, heard_in: Some(&outlet.target) };
    let obeyed = mission::obey(tx, &entry, &speaking, command).await?;
    show_of_the_bus(tx, &entry, &outlet, wanted.message, obeyed).await
}
