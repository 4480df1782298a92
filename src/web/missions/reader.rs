//! For whom something of a mission is read, and why it may not be shown to them.

use crate::mission::{Capability, MissionError, MissionRole};
use crate::pool::{AgentName, MissionName, Timestamp};
use crate::store::missions::{self, MissionPhase, MissionRow};
use crate::store::{Reads, StoreError};
use crate::web::Shown;
use crate::wording::{self, Holders, Setting};

/// For whom something is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusReader {
    /// Whoever owns the store.
    Owner,
    /// Somebody under their name in the mission.
    Participant {
        /// The name.
        name: AgentName,
        /// The role that the files give, for who has not joined yet; once they have, the bus says it.
        role: Option<MissionRole>,
    },
    /// Somebody who acts under no name there.
    Nobody {
        /// What to tell them.
        text: String,
    },
}

/// Why something is not shown.
#[derive(Clone, Debug, PartialEq)]
pub enum NotShown {
    /// The bus refuses it.
    Refused {
        /// Who was refused; None for the owner, to whom only what is not there is refused.
        name: Option<AgentName>,
        /// In which mission.
        mission: Option<MissionName>,
        /// What.
        refused: MissionError,
        /// For the person.
        text: String,
    },
    /// Whoever asks is nobody in that mission.
    Nobody {
        /// For the person.
        text: String,
    },
}

impl NotShown {
    /// For the person.
    pub fn text(&self) -> &str {
        match self {
            Self::Refused { text, .. } | Self::Nobody { text } => text,
        }
    }
}

/// Something that is read: shown, or not.
pub type Seen<T = Shown> = Result<T, NotShown>;

/// How texts are written.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// The zone and the like.
    pub setting: &'a Setting,
    /// The moment.
    pub now: Timestamp,
}

/// Whether an entry of the journal on a mission may be shown: refusals take `audit` there, everything else `read`.
///
/// # Errors
/// As of the store.
pub async fn may_see(
    db: &mut impl Reads,
    mission: &MissionName,
    reader: &BusReader,
    kind: &str,
) -> Result<bool, StoreError> {
    let (who, given) = match reader {
        BusReader::Owner => return Ok(true),
        BusReader::Nobody { .. } => return Ok(false),
        BusReader::Participant { name, role } => (name, *role),
    };
    let capability = if kind == "mission.refused" { Capability::Audit } else { Capability::Read };
    let roles = missions::roles(db, mission).await?;
    let role = roles.iter().find(|(name, _)| name == who).map(|(_, role)| *role).or(given);
    Ok(missions::permissions(db, mission).await?.require(who.as_str(), role, capability).is_ok())
}

/// As [`readable`], and not closed for an import.
pub(super) async fn open(
    db: &mut impl Reads,
    name: &MissionName,
    reader: &BusReader,
    telling: Telling<'_>,
) -> Result<Seen<()>, StoreError> {
    match readable(db, name, reader, telling).await? {
        Ok(row) if row.state == MissionPhase::Importing => {
            let refused = MissionError::Importing(name.to_string());
            Ok(Err(refusal(db, name, reader, refused, telling).await?))
        }
        Ok(_) => Ok(Ok(())),
        Err(not) => Ok(Err(not)),
    }
}

/// The mission, if the reader may read it.
pub(super) async fn readable(
    db: &mut impl Reads,
    name: &MissionName,
    reader: &BusReader,
    telling: Telling<'_>,
) -> Result<Seen<MissionRow>, StoreError> {
    allowed(db, name, reader, Capability::Read, telling).await
}

/// The mission, if the reader has the capability there.
pub(super) async fn allowed(
    db: &mut impl Reads,
    name: &MissionName,
    reader: &BusReader,
    capability: Capability,
    telling: Telling<'_>,
) -> Result<Seen<MissionRow>, StoreError> {
    let Some(row) = missions::mission(db, name).await? else {
        let refused = MissionError::UnknownMission(name.to_string());
        return Ok(Err(refusal(db, name, reader, refused, telling).await?));
    };
    let (who, given) = match reader {
        BusReader::Owner => return Ok(Ok(row)),
        BusReader::Nobody { text } => return Ok(Err(NotShown::Nobody { text: text.clone() })),
        BusReader::Participant { name, role } => (name, *role),
    };
    let roles = missions::roles(db, name).await?;
    let role = roles.iter().find(|(name, _)| name == who).map(|(_, role)| *role).or(given);
    match missions::permissions(db, name).await?.require(who.as_str(), role, capability) {
        Ok(()) => Ok(Ok(row)),
        Err(refused) => Ok(Err(refusal(db, name, reader, refused, telling).await?)),
    }
}

/// A refusal with what is told of it.
pub(super) async fn refusal(
    db: &mut impl Reads,
    mission: &MissionName,
    reader: &BusReader,
    refused: MissionError,
    telling: Telling<'_>,
) -> Result<NotShown, StoreError> {
    let text = told(db, mission, &refused, telling).await?;
    let name = match reader {
        BusReader::Participant { name, .. } => Some(name.clone()),
        BusReader::Owner | BusReader::Nobody { .. } => None,
    };
    Ok(NotShown::Refused { name, mission: Some(mission.clone()), refused, text })
}

/// What is told of a refusal: which capability is missing, and who has it.
///
/// # Errors
/// As of the store.
pub async fn told(
    db: &mut impl Reads,
    mission: &MissionName,
    refused: &MissionError,
    telling: Telling<'_>,
) -> Result<String, StoreError> {
    let holders = match refused {
        MissionError::Lacks { capability, .. } => {
            let permissions = missions::permissions(db, mission).await?;
            Holders::of(&permissions, *capability, &missions::roles(db, mission).await?)
        }
        _ => Holders::default(),
    };
    Ok(wording::bus_refusal(refused, &holders, telling.setting, telling.now))
}
