use super::super::error::StoreError;
use super::super::row::{self, sql};
use super::super::tx::Reads;
use super::{Decided, EventRow, event_columns};
use crate::mission::MissionError;
use crate::mission::chain::{Head, Verified, Verifier};
use crate::pool::MissionName;

/// Events that are held in memory at once.
const PAGE: i64 = 1000;

/// Reads the mission's whole stream, page by page, in one snapshot, and names the first event that
/// is not as it was written. `progress` gets how many events were read and how many there are.
pub async fn verify(
    db: &mut impl Reads,
    mission: &MissionName,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<Decided<Verified>, StoreError> {
    let Some(noted) = head(db, mission).await? else {
        return Ok(Err(MissionError::UnknownMission(mission.to_string())));
    };
    let count = |seq: i64| u64::try_from(seq).unwrap_or(0);
    let (mut verifier, mut after) = (Verifier::default(), i64::MIN);
    loop {
        let next = sql(concat!(event_columns!(), "WHERE mission = $1 AND seq > $2 ORDER BY seq LIMIT $3"))
            .bind(mission.as_str().to_owned())
            .bind(after)
            .bind(PAGE);
        let rows: Vec<EventRow> = match row::all(db, next).await {
            Ok(rows) => rows,
            // A column that cannot even be read was changed as well.
            Err(StoreError::Inconsistent { row, column, why, .. }) => {
                let seq = row.parse().unwrap_or_else(|_| verifier.read() + 1);
                return Ok(Ok(Verified::Broken { seq, why: format!("{column}: {why}") }));
            }
            Err(error) => return Err(error),
        };
        let Some(last) = rows.last() else { return Ok(Ok(verifier.finish(&noted))) };
        after = last.seq;
        for row in &rows {
            if let Err(broken) = verifier.next(&row.link(mission), &row.hash) {
                return Ok(Ok(broken));
            }
        }
        progress(count(verifier.read()), count(noted.seq));
    }
}

/// The end of the stream as the mission notes it.
pub(super) async fn head(db: &mut impl Reads, mission: &MissionName) -> Result<Option<Head>, StoreError> {
    let seq = sql("SELECT seq FROM mission_heads WHERE mission = $1").bind(mission.as_str().to_owned());
    let hash = sql("SELECT hash FROM mission_heads WHERE mission = $1").bind(mission.as_str().to_owned());
    Ok(match (row::number(db, seq).await?, row::text(db, hash).await?) {
        (Some(seq), Some(hash)) => Some(Head { seq, hash }),
        _ => None,
    })
}
