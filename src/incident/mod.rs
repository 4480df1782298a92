//! One death of one agent, from its opening to its end.
//!
//! A [`Case`] is the aggregate: the incident, the request that asks people about it, and the
//! execution that answers it. These three move together, so they are moved in one place, by
//! functions that take the case and [`Facts`] and give back a [`Step`]: the case as it is then, and
//! the [`Event`]s that led there. One transaction stores a step whole; a crash leaves the case before
//! it or after it, and replaying an input finds a case that no longer takes it.
//!
//! ```text
//!  incident    open ──────────────────────────────► recovered | gone
//!              │ each tick plans it anew under the policy in force
//!              ├─ asks ────► request    (approval/request.rs)
//!              └─ acts ────► execution  (execution.rs)
//! ```
//!
//! * [`tick`] plans an open case: what is next, or a typed reason why nothing is;
//! * [`vote`] and [`ask`] take in what people say, or refuse it by name;
//! * [`begin`], [`returned`] and [`looked`] carry an execution through its machine;
//! * [`broken_promises`] reads any step a second time, independently, for what must never be.

mod case;
mod checker;
mod event;
mod execution;
mod facts;
#[expect(clippy::module_inception, reason = "the room's main word")]
mod incident;
mod plan;
mod revive;
mod vote;

#[cfg(test)]
mod tests;

pub use case::{Case, Step, deadlines_moved, delivered, extended, open, restored};
pub use checker::{BrokenPromise, broken_promises, crossed_promises};
pub use event::{Event, Next};
pub use execution::{
    Basis, CalledOff, Execution, ExecutionId, ExecutionState, Look, OfferStands, STARTS_MAX, Takeover, Verdict,
    Verification,
};
pub use facts::{AgentFacts, Candidate, Facts, Fresh, Timing};
pub use incident::{Awaited, Disposition, Incident, IncidentState, Keeper, Standing, Tally, Told};
pub use plan::tick;
pub use revive::{Beginning, Conclusion, begin, call_off, looked, may_run, recheck, returned};
pub use vote::{Ballot, Refusal, Unfit, Vote, ask, vote};
