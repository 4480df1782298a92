//! ```text
//!            ┌─► answered   a person who may decide for its mission was there
//!  pending ──┤
//!            └─► expired    nobody was, in time
//! ```
//! One way only. A drill asks whether people would be reached; whatever becomes of it, nothing runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Channel, Code, People, PersonId};
use crate::pool::{MissionName, Timestamp};

/// How long a drill waits if nobody says otherwise.
pub const DRILL_WAIT: Duration = Duration::from_secs(600);
/// How long a drill waits at least: less reaches nobody.
pub const DRILL_MIN: Duration = Duration::from_secs(1);
/// How long a drill waits at most.
pub const DRILL_MAX: Duration = Duration::from_secs(86_400);

/// A question to people that means nothing but "are you there?". Kept on disk: add optional fields,
/// change none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// The input that started it, so that the same input again starts nothing.
    pub id: String,
    /// Whose approvers are asked.
    pub mission: MissionName,
    /// By which it is answered.
    pub code: Code,
    /// Who started it: a person, or the store's owner.
    pub started_by: String,
    /// When.
    pub started_at: Timestamp,
    /// From when on it is too late.
    pub ends_at: Timestamp,
    /// Where it stands.
    pub state: DrillState,
}

/// Where a drill stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum DrillState {
    /// Nobody has answered yet.
    Pending,
    /// Somebody was there.
    Answered {
        /// Who was first.
        by: PersonId,
        /// On which channel.
        via: Channel,
        /// When the answer entered the inbox.
        at: Timestamp,
    },
    /// Nobody was, in time.
    Expired {
        /// When that was found.
        at: Timestamp,
    },
}

impl DrillState {
    /// The word the store and `--json` use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Answered { .. } => "answered",
            Self::Expired { .. } => "expired",
        }
    }
}

/// Why an answer to a drill does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotHere {
    /// The person does not approve its mission: a request would not take their word either.
    NotAllowed,
    /// Somebody answered before, or nobody did in time.
    Over,
}

impl Drill {
    /// Whether it can still be answered.
    pub fn is_pending(&self) -> bool {
        self.state == DrillState::Pending
    }

    /// How long it waits in all.
    pub fn wait(&self) -> Duration {
        self.ends_at.since(self.started_at)
    }

    /// How long the answer took, if there is one.
    pub fn took(&self) -> Option<Duration> {
        match self.state {
            DrillState::Answered { at, .. } => Some(at.since(self.started_at)),
            DrillState::Pending | DrillState::Expired { .. } => None,
        }
    }

    /// Somebody says "here", in an input that entered the inbox at `entered`. Authority is that of a vote
    /// on a request of the same mission (invariant 5).
    ///
    /// # Errors
    /// It does not count, and changes nothing.
    pub fn here(&mut self, by: &PersonId, via: Channel, entered: Timestamp, people: &People) -> Result<(), NotHere> {
        if !people.may_decide(by, &self.mission) {
            return Err(NotHere::NotAllowed);
        }
        if !self.is_pending() || entered >= self.ends_at {
            return Err(NotHere::Over);
        }
        self.state = DrillState::Answered { by: by.clone(), via, at: entered };
        Ok(())
    }

    /// Ends it if its time is over; tells whether it did.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        let over = self.is_pending() && now >= self.ends_at;
        if over {
            self.state = DrillState::Expired { at: now };
        }
        over
    }

    /// The clock was set: it keeps the time it had left.
    pub fn move_by(&mut self, by_ms: i64) {
        let moved = |at: Timestamp| Timestamp::from_millis(at.as_millis().saturating_add(by_ms));
        self.started_at = moved(self.started_at);
        self.ends_at = moved(self.ends_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::{Approves, Person, Speaker};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn id(name: &str) -> PersonId {
        PersonId::new(name).unwrap()
    }

    fn people() -> People {
        let person = |name: &str, uid: u32, mission: &str| Person {
            id: id(name),
            speaks_as: [Speaker::LocalUser(uid)].into(),
            approves: Approves::Missions([MissionName::new(mission).unwrap()].into()),
        };
        People::new([person("kim", 1, "forge"), person("lee", 2, "archive")]).unwrap()
    }

    fn drill() -> Drill {
        Drill {
            id: "cli:0:1".into(),
            mission: MissionName::new("forge").unwrap(),
            code: Code::from_random(7),
            started_by: "kim".into(),
            started_at: at(100),
            ends_at: at(200),
            state: DrillState::Pending,
        }
    }

    #[test]
    fn only_who_could_decide_is_here() {
        let mut asked = drill();
        assert_eq!(asked.here(&id("lee"), Channel::Telegram, at(110), &people()), Err(NotHere::NotAllowed));
        assert_eq!(asked.here(&id("max"), Channel::Telegram, at(110), &people()), Err(NotHere::NotAllowed));
        assert_eq!(asked, drill(), "a refused answer changes nothing");
        assert_eq!(asked.here(&id("kim"), Channel::Telegram, at(110), &people()), Ok(()));
        assert_eq!(asked.took(), Some(Duration::from_secs(10)));
        let answered = asked.clone();
        assert_eq!(asked.here(&id("kim"), Channel::Cli, at(111), &people()), Err(NotHere::Over));
        assert!(!asked.expire(at(1000)));
        assert_eq!(asked, answered, "the first answer stands");
    }

    #[test]
    fn an_answer_counts_by_when_it_came_in() {
        let mut late = drill();
        assert_eq!(late.here(&id("kim"), Channel::Telegram, at(200), &people()), Err(NotHere::Over));
        assert!(!late.expire(at(199)) && late.expire(at(200)));
        assert_eq!(late.state, DrillState::Expired { at: at(200) });
        assert_eq!(late.here(&id("kim"), Channel::Telegram, at(150), &people()), Err(NotHere::Over));
        let mut moved = drill();
        moved.move_by(-3_600_000);
        assert_eq!((moved.wait(), moved.ends_at), (Duration::from_secs(100), at(-3400)));
    }
}
