//! ```text
//!           ┌─► called off   recovered, policy changed, approver revoked, unfit substitute, …
//!  ready ───┤
//!    ▲      └─► running ─┬─► done ─────┬─► verified
//!    │                   │             └─► not recovered
//!    └── never started ──┤
//!        (three times:   ├─► unknown ──┬─► verified
//!         failed)        │             └─► not recovered
//!                        └─► failed    could not start, or ended by itself with a status
//! ```
//! *Unknown* is what a timeout, a signal, a cut connection or a vanished shim leave: what the
//! command began may go on, so nothing starts by itself after it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::approval::{Action, PersonId, RequestId};
use crate::pool::{AgentName, Health, IncidentId, MissionName, Timestamp};

/// How often a command that never started is tried again before it counts as failed.
pub const STARTS_MAX: u32 = 3;

/// Identifies one attempt to carry something out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(pub String);

impl std::fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// What gives the right to run (invariant 1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The policy says yes.
    Policy,
    /// A person signed it off.
    Request {
        /// Which request.
        request: RequestId,
        /// Who.
        by: PersonId,
    },
}

/// Why an execution was not begun after all (invariant 7); people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalledOff {
    /// The agent is healthy again.
    Recovered,
    /// The agent left the registry.
    Gone,
    /// The policy no longer allows it.
    PolicyChanged,
    /// The agent's mission or host is another one now.
    Moved,
    /// The person who signed it off no longer may.
    ApproverRevoked,
    /// The substitute is not a configured, healthy and free candidate any more.
    SubstituteUnfit,
    /// There is no way to do it any more: no template, no `substitute` command.
    NoMeans,
    /// Somebody said no before it began.
    LaterDeny,
    /// It waited too long to begin.
    TooOld,
    /// Executions are on hold.
    OnHold,
    /// The gateway only observes.
    Observing,
    /// The store is a restored backup.
    Restored,
    /// The dead agent's work cannot be handed over.
    NotHandedOver {
        /// Why not, in a few words.
        why: String,
    },
    /// The key or account that signed it off was taken from its person.
    IdentityRevoked,
}

/// What verification waits for: two healthy probes, begun after `since` and apart from each other,
/// and, for a restart, a new incarnation where the service manager tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// When the command returned.
    pub since: Timestamp,
    /// Until when it may take.
    pub deadline: Timestamp,
    /// The first healthy probe of an unbroken series.
    pub first_healthy: Option<Timestamp>,
}

/// Where an execution stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ExecutionState {
    /// May begin.
    Ready,
    /// Its shim may have been started; the run file tells.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// It was never begun.
    CalledOff {
        /// When.
        at: Timestamp,
        /// Why.
        because: CalledOff,
    },
    /// The command ended well; whether it helped is being looked at.
    Done {
        /// What verification saw so far.
        verification: Verification,
    },
    /// The command failed.
    Failed {
        /// When.
        at: Timestamp,
        /// How, in a few words.
        why: String,
    },
    /// Nobody can say what the command did; probes look.
    Unknown {
        /// What verification saw so far.
        verification: Verification,
        /// Why nobody can say.
        why: String,
    },
    /// The agent (or its substitute) really lives.
    Verified {
        /// When that was seen.
        at: Timestamp,
    },
    /// It does not.
    NotRecovered {
        /// When that was given up.
        at: Timestamp,
        /// What is missing, in a few words.
        why: String,
    },
}

impl ExecutionState {
    /// The word the store and `--json` use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running { .. } => "running",
            Self::CalledOff { .. } => "called_off",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
            Self::Verified { .. } => "verified",
            Self::NotRecovered { .. } => "not_recovered",
        }
    }
}

/// How the offer stands by which a substitute takes the dead agent's part of the mission over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stands")]
pub enum OfferStands {
    /// It waits for the substitute's answer.
    Offered,
    /// The part is the substitute's.
    Accepted,
    /// The substitute does not want it.
    Declined {
        /// Why not, in its words.
        reason: String,
    },
    /// The substitute did not answer in time, or the gateway took the offer back.
    Expired,
}

/// The handoff that the gateway made in its own name, for a substitute that is told of it and answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// The handoff's id, in the execution's mission.
    pub handoff: String,
    /// How it stood when it was looked at last.
    #[serde(flatten)]
    pub stands: OfferStands,
}

/// One attempt to carry a decision, or a *yes* of the policy, out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Its identity in the store.
    pub id: ExecutionId,
    /// The death it answers.
    pub incident: IncidentId,
    /// Who is dead.
    pub agent: AgentName,
    /// In which mission.
    pub mission: MissionName,
    /// On which host it was to happen.
    pub host: Option<String>,
    /// What is done.
    pub action: Action,
    /// With what right.
    pub basis: Basis,
    /// When it became ready.
    pub ready_at: Timestamp,
    /// How many starts were begun.
    pub attempt: u32,
    /// The newest start's run file.
    pub run: Option<String>,
    /// The handoff that the substitute accepts or declines; none where it is only told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<Takeover>,
    /// The unit's incarnation before the command, where there is one.
    pub invocation_before: Option<String>,
    /// Where it stands.
    pub state: ExecutionState,
}

impl Execution {
    /// Whether it may still come to something: no other one may touch its agents meanwhile.
    pub fn is_live(&self) -> bool {
        match self.state {
            ExecutionState::Ready
            | ExecutionState::Running { .. }
            | ExecutionState::Done { .. }
            | ExecutionState::Unknown { .. } => true,
            ExecutionState::CalledOff { .. }
            | ExecutionState::Failed { .. }
            | ExecutionState::Verified { .. }
            | ExecutionState::NotRecovered { .. } => false,
        }
    }

    /// Whether it touches `agent`, as the dead one or as its substitute.
    pub fn touches(&self, agent: &AgentName) -> bool {
        self.agent == *agent || self.substitute() == Some(agent)
    }

    /// Who takes over, if that is what it is about.
    pub fn substitute(&self) -> Option<&AgentName> {
        match &self.action {
            Action::Restart => None,
            Action::Substitute(who) => Some(who),
        }
    }

    /// The substitute's answer is not waited for any more.
    pub(super) fn take_offer_back(&mut self) {
        if let Some(takeover) = self.takeover.as_mut().filter(|one| one.stands == OfferStands::Offered) {
            takeover.stands = OfferStands::Expired;
        }
    }

    /// The agent that verification looks at: the restarted one, or the substitute.
    pub fn looked_at(&self) -> &AgentName {
        self.substitute().unwrap_or(&self.agent)
    }

    /// Whether `look` may change anything: while an agent stays dead each look says the same, and need not be kept.
    pub fn learns_from(&self, look: &Look, gap: Duration) -> bool {
        let (ExecutionState::Done { verification } | ExecutionState::Unknown { verification, .. }) = &self.state else {
            return true;
        };
        let mut after = verification.clone();
        let verdict = after.look(look, self.invocation_before.as_deref(), gap);
        // A substitute may have answered its offer.
        self.substitute().is_some() || verdict != Verdict::Undecided || after != *verification
    }
}

/// One probe, as verification sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// When the probe began.
    pub begun: Timestamp,
    /// What it saw.
    pub health: Health,
    /// The unit's incarnation, where there is one.
    pub invocation: Option<String>,
    /// How the substitute's offer stands, where there is one.
    pub offer: Option<OfferStands>,
}

/// What verification comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on looking.
    Undecided,
    /// It lives.
    Lives,
    /// It was given up; the text says what is missing.
    GivenUp(String),
}

impl Verification {
    /// Looks from `since` on, for `at_most`.
    pub fn begin(since: Timestamp, at_most: Duration) -> Self {
        Self { since, deadline: since.plus(at_most), first_healthy: None }
    }

    /// Takes in one probe. Two healthy ones count, begun after the command returned and at least
    /// `gap` apart, with nothing unhealthy or unknown between them. `before` is the incarnation that
    /// died: as long as the same one is seen, nothing was restarted, however healthy it looks.
    pub fn look(&mut self, look: &Look, before: Option<&str>, gap: Duration) -> Verdict {
        if look.begun < self.since {
            return self.undecided(look.begun, "no probe began after the command returned");
        }
        let same_incarnation = before.is_some() && look.invocation.as_deref() == before;
        if !look.health.is_healthy() || same_incarnation {
            self.first_healthy = None;
            let missing = match &look.health {
                Health::Healthy => "the service manager still shows the incarnation that died".to_owned(),
                Health::Unhealthy(reasons) => {
                    reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ")
                }
                Health::Unknown(why) => format!("no answer: {why}"),
                Health::Unobservable => "it has no health signal to look at".to_owned(),
            };
            return self.undecided(look.begun, &missing);
        }
        match self.first_healthy {
            Some(first) if look.begun >= first.plus(gap) => Verdict::Lives,
            // Whoever looks healthy is not given up: the gateway may have been down until after the
            // deadline. It takes one gap more at most.
            Some(_) => Verdict::Undecided,
            None => {
                self.first_healthy = Some(look.begun);
                Verdict::Undecided
            }
        }
    }

    fn undecided(&self, now: Timestamp, missing: &str) -> Verdict {
        if now >= self.deadline { Verdict::GivenUp(missing.to_owned()) } else { Verdict::Undecided }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Reason;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn look(begun: i64, health: Health, invocation: Option<&str>) -> Look {
        Look { begun: at(begun), health, invocation: invocation.map(Into::into), offer: None }
    }

    const GAP: Duration = Duration::from_millis(5000);

    #[test]
    fn two_healthy_probes_after_the_return_and_apart_from_each_other() {
        let mut seen = Verification::begin(at(1000), Duration::from_secs(60));
        assert_eq!(seen.look(&look(999, Health::Healthy, None), None, GAP), Verdict::Undecided);
        assert_eq!(seen.look(&look(1000, Health::Healthy, None), None, GAP), Verdict::Undecided);
        assert_eq!(seen.look(&look(5999, Health::Healthy, None), None, GAP), Verdict::Undecided);
        assert_eq!(seen.look(&look(6000, Health::Healthy, None), None, GAP), Verdict::Lives);
    }

    #[test]
    fn flapping_begins_anew() {
        let mut seen = Verification::begin(at(0), Duration::from_secs(60));
        let sick = Health::Unhealthy(vec![Reason::GatewayUnreachable]);
        seen.look(&look(1000, Health::Healthy, None), None, GAP);
        seen.look(&look(3000, sick, None), None, GAP);
        assert_eq!(seen.look(&look(6500, Health::Healthy, None), None, GAP), Verdict::Undecided);
        seen.look(&look(8000, Health::Unknown("timed out".into()), None), None, GAP);
        assert_eq!(seen.look(&look(12_000, Health::Healthy, None), None, GAP), Verdict::Undecided);
        assert_eq!(seen.look(&look(17_000, Health::Healthy, None), None, GAP), Verdict::Lives);
    }

    #[test]
    fn the_incarnation_that_died_is_no_revival() {
        let mut seen = Verification::begin(at(0), Duration::from_secs(20));
        for begun in [1000, 7000, 14_000] {
            assert_eq!(seen.look(&look(begun, Health::Healthy, Some("old")), Some("old"), GAP), Verdict::Undecided);
        }
        assert_eq!(
            seen.look(&look(20_000, Health::Healthy, Some("old")), Some("old"), GAP),
            Verdict::GivenUp("the service manager still shows the incarnation that died".into())
        );
    }

    #[test]
    fn who_looks_healthy_is_not_given_up_because_the_time_is_over() {
        let mut seen = Verification::begin(at(0), Duration::from_secs(20));
        assert_eq!(seen.look(&look(90_000, Health::Healthy, None), None, GAP), Verdict::Undecided);
        assert_eq!(seen.look(&look(94_999, Health::Healthy, None), None, GAP), Verdict::Undecided);
        assert_eq!(seen.clone().look(&look(95_000, Health::Healthy, None), None, GAP), Verdict::Lives);
        let sick = Health::Unhealthy(vec![Reason::GatewayUnreachable]);
        assert!(matches!(seen.look(&look(95_000, sick, None), None, GAP), Verdict::GivenUp(_)));
    }

    #[test]
    fn given_up_says_what_is_missing() {
        let mut seen = Verification::begin(at(0), Duration::from_secs(10));
        let sick = Health::Unhealthy(vec![Reason::GatewayUnreachable, Reason::ServiceInactive]);
        assert_eq!(
            seen.look(&look(10_000, sick, None), None, GAP),
            Verdict::GivenUp("gateway_unreachable, service_inactive".into())
        );
    }
}
