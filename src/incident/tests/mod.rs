//! A small language for the machines (`World`), stories told in it, and the properties.

mod properties;
mod stories;

use std::time::Duration;

use super::*;
use crate::approval::{Approves, Channel, Code, InputId, People, Person, PersonId, RequestId, Speaker};
use crate::pool::{AgentName, Health, IncidentId, MissionName, Mode, Reason, Timestamp};

pub(super) fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

pub(super) fn mission(name: &str) -> MissionName {
    MissionName::new(name).unwrap()
}

pub(super) fn sick() -> Health {
    Health::Unhealthy(vec![Reason::GatewayUnreachable])
}

/// One dead agent, `ezra` of the mission `archive`, whom `kim` may approve; `timmy` could take over.
pub(super) struct World {
    pub now: Timestamp,
    pub people: People,
    pub timing: Timing,
    pub agent: AgentFacts,
    pub on_hold: bool,
    pub observing: bool,
    pub expiry_waits: bool,
    made: u32,
}

impl World {
    pub fn new() -> Self {
        let person = |name: &str, uid, missions: &[&str]| Person {
            id: PersonId::new(name).unwrap(),
            speaks_as: [Speaker::LocalUser(uid)].into(),
            approves: Approves::Missions(missions.iter().map(|name| mission(name)).collect()),
        };
        Self {
            now: Timestamp::from_millis(1_776_225_600_000),
            people: People::new([person("kim", 1000, &["archive"]), person("lee", 1001, &["forge"])]).unwrap(),
            timing: Timing::default(),
            agent: AgentFacts {
                mission: mission("archive"),
                host: None,
                local: true,
                mode: Mode::Ask,
                health: sick(),
                seen_at: Timestamp::from_millis(0),
                healthy_since: None,
                last_healthy_at: None,
                can_restart: true,
                can_substitute: true,
                candidates: vec![Candidate {
                    agent: agent("timmy"),
                    health: Health::Healthy,
                    free: true,
                    reachable: true,
                }],
                stand_in_lost: false,
                touched_by_other: false,
            },
            on_hold: false,
            observing: false,
            expiry_waits: false,
            made: 0,
        }
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            now: self.now,
            agent: Some(AgentFacts { seen_at: self.now, ..self.agent.clone() }),
            on_hold: self.on_hold,
            observing: self.observing,
            expiry_waits: self.expiry_waits,
            people: &self.people,
            timing: &self.timing,
            fresh: Fresh {
                incident: IncidentId(format!("i{}", self.made)),
                request: RequestId(format!("r{}", self.made)),
                code: Code::from_random(self.made),
                last_key_second: Some(i64::from(self.made)),
                execution: ExecutionId(format!("x{}", self.made)),
            },
        }
    }

    pub fn dead(&self) -> Case {
        open(agent("ezra"), Duration::from_secs(600), &self.agent, &self.facts()).case
    }

    pub fn dead_with_request(&self) -> (Case, Facts<'_>) {
        let facts = self.facts();
        let case = delivered(tick(self.dead(), &facts).case, self.now, self.timing.approval_ttl);
        assert!(case.pending().is_some());
        (case, facts)
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        self.made += 1;
    }

    pub fn healthy(&mut self) {
        self.agent.health = Health::Healthy;
        self.agent.healthy_since = Some(self.now);
        self.agent.last_healthy_at = Some(self.now);
    }

    pub fn sick(&mut self) {
        self.agent.health = sick();
        self.agent.healthy_since = None;
    }

    pub fn says(&self, who: &str, ballot: Ballot) -> Vote {
        Vote {
            by: PersonId::new(who).unwrap(),
            via: Channel::Cli,
            input: InputId(format!("{who}-{}", self.made)),
            entered_at: self.now,
            ballot,
            speaker: None,
        }
    }

    /// Applies a step, and checks the promises.
    #[track_caller]
    pub fn checked(&self, before: &Case, step: Step) -> (Case, Vec<&'static str>) {
        assert_eq!(broken_promises(Some(before), &step, &self.facts()), []);
        (step.case, step.events.iter().map(Event::word).collect())
    }

    #[track_caller]
    pub fn tick(&self, case: Case) -> (Case, Vec<&'static str>) {
        let step = tick(case.clone(), &self.facts());
        let again = tick(step.case.clone(), &self.facts());
        assert_eq!((&again.case, again.events), (&step.case, vec![]), "planning twice must change nothing");
        self.checked(&case, step)
    }

    #[track_caller]
    pub fn vote(&self, case: Case, who: &str, ballot: Ballot) -> (Case, Vec<&'static str>) {
        let step = vote(case.clone(), &self.says(who, ballot), &self.facts()).expect("the vote is taken");
        self.checked(&case, step)
    }

    #[track_caller]
    pub fn refused(&self, case: &Case, who: &str, ballot: Ballot) -> Refusal {
        vote(case.clone(), &self.says(who, ballot), &self.facts()).expect_err("the vote is refused")
    }

    #[track_caller]
    pub fn begin(&self, case: Case) -> (Case, Vec<&'static str>) {
        let step = begin(case.clone(), Beginning { run: Some("run-1".into()), ..Beginning::default() }, &self.facts());
        self.checked(&case, step)
    }

    #[track_caller]
    pub fn returned(&self, case: Case, conclusion: Conclusion) -> (Case, Vec<&'static str>) {
        let step = returned(case.clone(), conclusion, &self.facts());
        self.checked(&case, step)
    }

    #[track_caller]
    pub fn looked(&self, case: Case, health: Health) -> (Case, Vec<&'static str>) {
        let look = Look { begun: self.now, health, invocation: None, offer: None };
        let step = looked(case.clone(), &look, &self.facts());
        self.checked(&case, step)
    }
}
