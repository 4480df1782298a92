use std::collections::BTreeMap;
use std::time::Duration;

use super::super::error::StoreError;
use super::super::row::{self, sql};
use super::super::statement::Value;
use super::super::tx::{Reads, Tx, to_json};
use super::standing::Standing;
use super::{Actor, Decided, EventRow, HandoffPhase, HandoffRow, handoff_columns};
use crate::mission::chain::Head;
use crate::mission::{Draft, MissionError, MissionEvent, Offer, Part, event_time, limit};
use crate::pool::{AgentName, MissionName, Timestamp};

/// Rows of one INSERT: 9 values each, far below SQLite's 32,766 and PostgreSQL's 65,535.
const ROWS: usize = 100;
/// Up to this many rows the statement is kept prepared.
const KEPT: usize = 4;

/// Who appends, where and when.
#[derive(Clone, Debug)]
pub struct Append<'a> {
    /// To which mission.
    pub mission: &'a MissionName,
    /// Who.
    pub by: Actor<'a>,
    /// When.
    pub at: Timestamp,
    /// What is allowed.
    pub limits: Limits,
}

/// What a mission allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of an event's JSON.
    pub event_bytes: usize,
    /// How long a handoff waits for its recipient.
    pub handoff_ttl: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { event_bytes: limit::EVENT_BYTES, handoff_ttl: Duration::from_secs(15 * 60) }
    }
}

/// An event to be appended.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its id, never given before.
    pub id: String,
    /// What it says.
    pub draft: Draft,
    /// Of a handoff, whose part it moves; None: of whom the checkpoint is.
    pub part: Option<AgentName>,
}

impl NewEvent {
    /// An event under `id`; a handoff moves the part of whom its checkpoint is.
    pub fn new(id: impl Into<String>, draft: Draft) -> Self {
        Self { id: id.into(), draft, part: None }
    }
}

/// Where an event came to stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Appended {
    /// The event, with its number.
    pub event: MissionEvent,
    /// The epoch under which it was taken.
    pub epoch: i64,
    /// Its hash.
    pub hash: String,
    /// Of a handoff, whose part it moves once it is accepted.
    pub part: Option<AgentName>,
}

/// Appends `events` in their order, all or none: the sender's role and incarnation are checked, each
/// gets the next number and the hash of the one before.
pub async fn append(tx: &mut Tx, by: &Append<'_>, events: Vec<NewEvent>) -> Result<Decided<Vec<Appended>>, StoreError> {
    let (batch, from, head) = match checked(tx, by, events).await? {
        Ok(checked) => checked,
        Err(refused) => return Ok(Err(refused)),
    };
    if head == from {
        return Ok(Ok(Vec::new()));
    }
    // From here on there is no refusal any more.
    insert_rows(tx, by.mission, batch.rows).await?;
    move_head(tx, by.mission, &from, &head).await?;
    for part in batch.expired {
        close(tx, by.mission, &part, HandoffPhase::Expired, by.at, None).await?;
    }
    for offer in batch.offers {
        insert_offer(tx, by.mission, offer).await?;
    }
    Ok(Ok(batch.appended))
}

/// What [`append`] would come to at this moment; nothing is written.
pub async fn would_append(
    tx: &mut Tx,
    by: &Append<'_>,
    events: Vec<NewEvent>,
) -> Result<Decided<Vec<Appended>>, StoreError> {
    Ok(checked(tx, by, events).await?.map(|(batch, ..)| batch.appended))
}

/// What is to be written, and where the stream ends before and after.
async fn checked(
    tx: &mut Tx,
    by: &Append<'_>,
    events: Vec<NewEvent>,
) -> Result<Decided<(Batch, Head, Head)>, StoreError> {
    let standing = match Standing::load(tx, by.mission, by.by.name).await? {
        Ok(standing) => standing,
        Err(refused) => return Ok(Err(refused)),
    };
    let epoch = match standing.admit(tx, by.mission, by.by.claim).await? {
        Ok(epoch) => epoch,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut batch = Batch { rows: Vec::with_capacity(events.len()), ..Batch::default() };
    let mut head = standing.head.clone();
    for new in events {
        match batch.take(tx, by, &standing, &mut head, epoch, new).await? {
            Ok(()) => {}
            Err(refused) => return Ok(Err(refused)),
        }
    }
    Ok(Ok((batch, standing.head, head)))
}

/// What a batch will write, once all of it has passed.
#[derive(Default)]
struct Batch {
    rows: Vec<EventRow>,
    appended: Vec<Appended>,
    parts: BTreeMap<AgentName, Part>,
    /// Handoffs whose time was over when a new one came for the same part.
    expired: Vec<String>,
    offers: Vec<(i64, AgentName, Offer)>,
}

impl Batch {
    async fn take(
        &mut self,
        tx: &mut Tx,
        by: &Append<'_>,
        standing: &Standing,
        head: &mut Head,
        epoch: i64,
        new: NewEvent,
    ) -> Result<Decided<()>, StoreError> {
        if let Err(refused) = standing.require(new.draft.capability()) {
            return Ok(Err(refused));
        }
        let part = match self.offer(tx, by, standing, head.seq + 1, &new).await? {
            Ok(part) => part,
            Err(refused) => return Ok(Err(refused)),
        };
        let event = new.draft.into_event(by.by.name.as_str(), head.seq + 1, &event_time(by.at), new.id);
        let body = to_json("mission_events", event.id(), &event)?;
        if let Err(refused) = limit::check(body.len(), by.limits.event_bytes) {
            return Ok(Err(refused));
        }
        let row = EventRow::chained(by.mission, head, &event, body, epoch);
        *head = Head { seq: row.seq, hash: row.hash.clone() };
        self.appended.push(Appended { event, epoch, hash: row.hash.clone(), part });
        self.rows.push(row);
        Ok(Ok(()))
    }

    /// Checks a handoff and puts its offer down; whose part it moves.
    async fn offer(
        &mut self,
        tx: &mut Tx,
        by: &Append<'_>,
        standing: &Standing,
        seq: i64,
        new: &NewEvent,
    ) -> Result<Decided<Option<AgentName>>, StoreError> {
        let Draft::Handoff { recipient, checkpoint_id, .. } = &new.draft else { return Ok(Ok(None)) };
        if !is_participant(tx, by.mission, recipient).await? {
            return Ok(Err(MissionError::UnknownRecipient(recipient.clone())));
        }
        let Some(maker) = self.maker_of(tx, by.mission, checkpoint_id).await? else {
            return Ok(Err(MissionError::UnknownCheckpoint(checkpoint_id.clone())));
        };
        let named = new.part.clone().map_or_else(|| AgentName::new(maker), Ok);
        let Ok(name) = named else { return Ok(Err(MissionError::UnknownCheckpoint(checkpoint_id.clone()))) };
        let mut part = match self.parts.remove(&name) {
            Some(part) => part,
            None => load_part(tx, by.mission, &name).await?.unwrap_or_else(|| Part::new(name.as_str())),
        };
        if let Some(over) = part.expire(by.at) {
            self.expired.extend(part.offer.map(|offer| offer.handoff_id));
            part = over;
        }
        let offer = Offer::new(&new.id, by.by.name.as_str(), recipient, by.at, by.limits.handoff_ttl);
        match part.offer(standing.role, offer.clone()) {
            Ok(part) => self.parts.insert(name.clone(), part),
            Err(refused) => return Ok(Err(refused)),
        };
        self.offers.push((seq, name.clone(), offer));
        Ok(Ok(Some(name)))
    }

    /// Who made the checkpoint, in the stream or earlier in this batch.
    async fn maker_of(&self, tx: &mut Tx, mission: &MissionName, id: &str) -> Result<Option<String>, StoreError> {
        let select = sql("SELECT sender FROM mission_events
             WHERE mission = $1 AND kind = 'checkpoint' AND id = $2 ORDER BY seq LIMIT 1")
        .bind(mission.as_str().to_owned())
        .bind(id.to_owned());
        if let Some(maker) = row::text(tx, select).await? {
            return Ok(Some(maker));
        }
        let here = self.rows.iter().find(|row| row.kind == "checkpoint" && row.id == id);
        Ok(here.map(|row| row.sender.clone()))
    }
}

async fn is_participant(tx: &mut Tx, mission: &MissionName, name: &str) -> Result<bool, StoreError> {
    let select = sql("SELECT 1 FROM mission_participants WHERE mission = $1 AND name = $2")
        .bind(mission.as_str().to_owned())
        .bind(name.to_owned());
    Ok(row::number(tx, select).await?.is_some())
}

/// The part with its open offer; None if nobody of that name ever took part.
pub(super) async fn load_part(
    db: &mut impl Reads,
    mission: &MissionName,
    name: &AgentName,
) -> Result<Option<Part>, StoreError> {
    let owner = sql("SELECT owner FROM mission_parts WHERE mission = $1 AND part = $2")
        .bind(mission.as_str().to_owned())
        .bind(name.as_str().to_owned());
    let Some(owner) = row::text(db, owner).await? else { return Ok(None) };
    let open = sql(concat!(handoff_columns!(), "WHERE mission = $1 AND part = $2 AND state = 'offered'"))
        .bind(mission.as_str().to_owned())
        .bind(name.as_str().to_owned());
    let open: Option<HandoffRow> = row::optional(db, open).await?;
    let offer = open.map(|row| Offer {
        handoff_id: row.id,
        from: row.sender.into(),
        to: row.recipient.into(),
        offered_at: row.offered_at,
        expires_at: row.expires_at,
    });
    Ok(Some(Part { name: name.to_string(), owner, offer }))
}

pub(super) async fn insert_rows(tx: &mut Tx, mission: &MissionName, rows: Vec<EventRow>) -> Result<(), StoreError> {
    let mut rows = rows.into_iter();
    loop {
        let slice: Vec<EventRow> = rows.by_ref().take(ROWS).collect();
        let Some(first) = slice.first().map(|row| row.seq.to_string()) else { return Ok(()) };
        let keep_prepared = slice.len() <= KEPT;
        let mut insert = sql("INSERT INTO mission_events (mission, seq, kind, id, sender, epoch, body, prev, hash)");
        insert.push_rows(slice.into_iter().map(|row| -> [Value; 9] {
            let EventRow { seq, kind, id, sender, epoch, body, prev, hash } = row;
            let mission = mission.as_str().to_owned().into();
            let (kind, id, sender) = (kind.into(), id.into(), sender.into());
            [mission, seq.into(), kind, id, sender, epoch.into(), body.into(), prev.into(), hash.into()]
        }));
        let insert = if keep_prepared { insert } else { insert.once() };
        tx.insert("mission_events", &first, insert).await?;
    }
}

/// Moves the end of the stream from where it was read to where it is now.
pub(super) async fn move_head(tx: &mut Tx, mission: &MissionName, from: &Head, to: &Head) -> Result<(), StoreError> {
    let update = sql("UPDATE mission_heads SET seq = $1, hash = $2 WHERE mission = $3 AND seq = $4")
        .bind(to.seq)
        .bind(to.hash.clone())
        .bind(mission.as_str().to_owned())
        .bind(from.seq);
    tx.update("mission_heads", mission.as_str(), &format!("its end at event {}", from.seq), update).await
}

async fn insert_offer(
    tx: &mut Tx,
    mission: &MissionName,
    (seq, part, offer): (i64, AgentName, Offer),
) -> Result<(), StoreError> {
    let id = offer.handoff_id.clone();
    let insert = sql("INSERT INTO mission_handoffs
         (mission, id, seq, part, sender, recipient, state, offered_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'offered', $7, $8)")
    .bind(mission.as_str().to_owned())
    .bind(offer.handoff_id)
    .bind(seq)
    .bind(String::from(part))
    .bind(offer.from)
    .bind(offer.to)
    .bind(offer.offered_at.as_millis())
    .bind(offer.expires_at.as_millis());
    tx.insert("mission_handoffs", &id, insert).await
}

/// Ends a handoff that is open.
pub(super) async fn close(
    tx: &mut Tx,
    mission: &MissionName,
    id: &str,
    state: HandoffPhase,
    at: Timestamp,
    reason: Option<String>,
) -> Result<(), StoreError> {
    let update = sql("UPDATE mission_handoffs SET state = $1, closed_at = $2, reason = $3
         WHERE mission = $4 AND id = $5 AND state = 'offered'")
    .bind(state.as_str())
    .bind(at.as_millis())
    .bind(reason)
    .bind(mission.as_str().to_owned())
    .bind(id.to_owned());
    tx.update("mission_handoffs", id, HandoffPhase::Offered.as_str(), update).await
}
