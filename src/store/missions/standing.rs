use super::super::error::StoreError;
use super::super::executions::ExecutionPhase;
use super::super::row::{self, sql, stored};
use super::super::tx::{Reads, from_json};
use super::{Decided, MissionPhase};
use crate::mission::chain::Head;
use crate::mission::{
    Attachment, Capability, Claim, Incarnations, MissionConfig, MissionError, MissionRole, Nonce, Raise, RaisedBy,
};
use crate::pool::{AgentName, MissionName, Timestamp};

stored! { "missions",
    pub struct StandingRow {
        pub name: MissionName,
        pub state: MissionPhase,
        pub config: String,
        pub seq: i64,
        pub hash: String,
        pub role: Option<String>,
        pub attached: i64,
    }
}

/// What one name is in one mission, and where its stream ends.
pub(super) struct Standing {
    pub name: AgentName,
    pub config: MissionConfig,
    pub head: Head,
    pub role: Option<MissionRole>,
    /// Whether some incarnation of this name attached, so that its writes need a claim.
    attached: bool,
}

impl Standing {
    /// Reads it; a mission that does not exist or takes no events is a refusal.
    pub async fn load(
        db: &mut impl Reads,
        mission: &MissionName,
        name: &AgentName,
    ) -> Result<Decided<Self>, StoreError> {
        let select = sql("SELECT m.name, m.state, m.config, h.seq, h.hash, p.role,
             (SELECT COUNT(*) FROM mission_attachments a WHERE a.mission = m.name AND a.agent = $2) AS attached
             FROM missions m JOIN mission_heads h ON h.mission = m.name
             LEFT JOIN mission_participants p ON p.mission = m.name AND p.name = $2 WHERE m.name = $1")
        .bind(mission.as_str().to_owned())
        .bind(name.as_str().to_owned());
        let Some(row) = row::optional::<StandingRow>(db, select).await? else {
            return Ok(Err(MissionError::UnknownMission(mission.to_string())));
        };
        if row.state == MissionPhase::Importing {
            return Ok(Err(MissionError::Importing(mission.to_string())));
        }
        Ok(Ok(Self {
            name: name.clone(),
            config: config(mission, &row.config)?,
            head: Head { seq: row.seq, hash: row.hash },
            role: row.role.map(|word| role(mission, &word)).transpose()?,
            attached: row.attached > 0,
        }))
    }

    /// That the name has the capability.
    pub fn require(&self, capability: Capability) -> Decided<()> {
        self.config.permissions().require(self.name.as_str(), self.role, capability)
    }

    /// The epoch under which a write counts, or why it does not.
    pub async fn admit(
        &self,
        db: &mut impl Reads,
        mission: &MissionName,
        claim: Option<&Claim>,
    ) -> Result<Decided<i64>, StoreError> {
        if !self.attached && claim.is_none() {
            return Ok(Ok(0));
        }
        Ok(incarnations(db, mission, &self.name).await?.admit(claim))
    }
}

pub(super) fn config(mission: &MissionName, text: &str) -> Result<MissionConfig, StoreError> {
    let value = from_json("missions", "config", mission.as_str(), text)?;
    MissionConfig::from_value(value).map_err(|error| StoreError::Inconsistent {
        table: "missions",
        column: "config",
        row: mission.to_string(),
        why: error.to_string(),
    })
}

pub(super) fn role(mission: &MissionName, word: &str) -> Result<MissionRole, StoreError> {
    word.parse().map_err(|error: MissionError| StoreError::Inconsistent {
        table: "mission_participants",
        column: "role",
        row: mission.to_string(),
        why: error.to_string(),
    })
}

stored! { "epochs",
    pub struct RaiseRow {
        pub epoch: i64,
        pub raised_at: Timestamp,
        pub state: ExecutionPhase,
    }
}

stored! { "mission_attachments",
    pub struct AttachmentRow {
        pub epoch: i64,
        pub nonce: String,
        pub attached_at: Timestamp,
    }
}

/// All that is known of the agent's incarnations in the mission.
pub(super) async fn incarnations(
    db: &mut impl Reads,
    mission: &MissionName,
    agent: &AgentName,
) -> Result<Incarnations, StoreError> {
    // An execution that is not kept any more is taken as one that nobody knows the end of.
    let raises = sql("SELECT e.epoch, e.raised_at, COALESCE(x.state, 'unknown') AS state FROM epochs e
         LEFT JOIN executions x ON x.id = e.execution_id WHERE e.mission = $1 AND e.agent = $2")
    .bind(mission.as_str().to_owned())
    .bind(agent.as_str().to_owned());
    let raises: Vec<RaiseRow> = row::all(db, raises).await?;
    let attachments =
        sql("SELECT epoch, nonce, attached_at FROM mission_attachments WHERE mission = $1 AND agent = $2")
            .bind(mission.as_str().to_owned())
            .bind(agent.as_str().to_owned());
    let attachments: Vec<AttachmentRow> = row::all(db, attachments).await?;
    let raise = |row: RaiseRow| Raise { epoch: row.epoch, at: row.raised_at, by: raised_by(row.state) };
    let attachment =
        |row: AttachmentRow| Attachment { epoch: row.epoch, nonce: Nonce::from_hash(row.nonce), at: row.attached_at };
    Ok(Incarnations {
        raises: raises.into_iter().map(raise).collect(),
        attachments: attachments.into_iter().map(attachment).collect(),
    })
}

fn raised_by(state: ExecutionPhase) -> RaisedBy {
    match state {
        ExecutionPhase::Ready | ExecutionPhase::Running => RaisedBy::UnderWay,
        ExecutionPhase::CalledOff => RaisedBy::NeverStarted,
        ExecutionPhase::Failed => RaisedBy::Failed,
        ExecutionPhase::Done | ExecutionPhase::Verified | ExecutionPhase::NotRecovered => RaisedBy::Done,
        ExecutionPhase::Unknown => RaisedBy::Unknown,
    }
}
