use std::io;

use super::super::error::StoreError;
use super::super::open::Reader;
use super::super::row::{self, sql};
use super::super::tx::{Read, to_json};
use super::read::{readable, registered};
use super::{EventRow, MissionRow, event_columns, verify};
use crate::mission::MissionError;
use crate::pool::{AgentName, MissionName};
use crate::store::SLICE;

/// Why a mission was not exported; what was written until then is to be thrown away.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The rules of the bus do not allow it.
    #[error(transparent)]
    Refused(#[from] MissionError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it was to be written to failed.
    #[error("what was exported cannot be written")]
    Write(#[from] io::Error),
}

/// Writes the mission in the reference's form, slice by slice, as it stands when this begins: one
/// event a line. `reader` must be allowed to read; None is the owner of the store.
///
/// Events are never changed, so each slice is a read of its own and holds up nothing.
pub async fn export(
    store: &Reader,
    mission: &MissionName,
    reader: Option<&AgentName>,
    mut write: impl FnMut(&[u8]) -> io::Result<()> + Send,
) -> Result<i64, ExportError> {
    let mut db = store.read().await?;
    if let Some(reader) = reader {
        readable(&mut db, mission, reader).await??;
    }
    let unknown = || MissionError::UnknownMission(mission.to_string());
    let row = super::mission(&mut db, mission).await?.ok_or_else(unknown)?;
    let head = verify::head(&mut db, mission).await?.ok_or_else(unknown)?;
    write(beginning(&mut db, &row).await?.as_bytes())?;
    drop(db);
    let mut after = 0;
    while after < head.seq {
        let rows = slice(store, mission, after, head.seq).await?;
        let Some(last) = rows.last() else {
            let (row, why) = (mission.to_string(), format!("event {} is missing", after + 1));
            return Err(StoreError::Inconsistent { table: "mission_events", column: "seq", row, why }.into());
        };
        let mut text = String::new();
        for row in &rows {
            text.push_str(if row.seq == 1 { "\n" } else { ",\n" });
            text.push_str(&row.body);
        }
        after = last.seq;
        write(text.as_bytes())?;
    }
    write(b"]}\n")?;
    Ok(head.seq)
}

/// All that stands before the events.
async fn beginning(db: &mut Read, mission: &MissionRow) -> Result<String, StoreError> {
    let name = mission.name.as_str();
    Ok(format!(
        "{{\"mission_id\":{},\"title\":{},\"config\":{},\"participants\":{},\"events\":[",
        to_json("missions", name, name)?,
        to_json("missions", name, &mission.title)?,
        mission.config,
        to_json("mission_participants", name, &registered(db, &mission.name).await?)?,
    ))
}

async fn slice(store: &Reader, mission: &MissionName, after: i64, last: i64) -> Result<Vec<EventRow>, StoreError> {
    let select = sql(concat!(event_columns!(), "WHERE mission = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"))
        .bind(mission.as_str().to_owned())
        .bind(after)
        .bind(last)
        .bind(i64::from(SLICE));
    row::all(&mut store.read().await?, select).await
}
