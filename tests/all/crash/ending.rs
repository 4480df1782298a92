//! What must be true when a flow has ended, besides what every world checks.

use std::collections::BTreeMap;

use lazarus_gate::store::executions::ExecutionPhase;
use lazarus_gate::store::requests::{self, RequestPhase, RequestRow};
use lazarus_gate::store::votes;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::play::{Flow, Play};
use crate::world::World;

impl Play {
    /// Checks the end. Panics with the whole story.
    pub fn check(&mut self) {
        self.world.check();
        let mut broken = Vec::new();
        self.check_votes(&mut broken);
        self.check_executions(&mut broken);
        self.check_counts(&mut broken);
        check_messages(&self.world, &mut broken);
        assert!(broken.is_empty(), "broken: {broken:#?}; votes: {:?}", self.votes);
    }

    /// A vote that was answered "taken" counts, once; and each request of a decision has one.
    fn check_votes(&self, broken: &mut Vec<String>) {
        let right_end = if self.flow == Flow::Deny { RequestPhase::Denied } else { RequestPhase::Approved };
        for vote in self.votes.iter().filter(|vote| vote.exit == Some(0)) {
            let state = request(&self.world, &vote.code).map(|request| request.state);
            if state != Some(right_end) {
                broken.push(format!("the vote about {} was taken, and the request is {state:?}", vote.code));
            }
        }
        for entry in self.world.journaled("ada", "asked") {
            let code = entry.body["code"].as_str().unwrap_or_default();
            let Some(request) = request(&self.world, code) else {
                broken.push(format!("there is no request {code}"));
                continue;
            };
            let votes = self.world.read(async |read| votes::of_request(read, &request.id).await).unwrap_or_default();
            match request.state {
                RequestPhase::Pending => broken.push(format!("{code} is still pending")),
                state if state == right_end && votes.len() != 1 => {
                    broken.push(format!("{code} is {state:?} by {} votes", votes.len()));
                }
                _ => {}
            }
        }
        let approved = self.world.journaled("ada", "approved").len();
        let by_request = self.world.journaled("ada", "ready").iter().filter(|e| e.body["by_policy"] == false).count();
        if approved != by_request {
            broken.push(format!("{approved} approvals led to {by_request} executions"));
        }
    }

    /// What did not take effect was told so, plainly.
    fn check_executions(&self, broken: &mut Vec<String>) {
        let mut effects: BTreeMap<String, usize> = BTreeMap::new();
        let runs = self.world.runs();
        for entry in self.world.journaled("ada", "started") {
            let (run, id) = (text(&entry.body["run"]), text(&entry.body["execution"]));
            *effects.entry(id).or_default() += runs.iter().filter(|(_, ran)| *ran == run).count();
        }
        // Commands whose shim was dead before they could ask for its name.
        let nameless = runs.iter().filter(|(_, run)| run.is_empty()).count();
        let (mut surely, mut maybe) = (0, 0);
        for entry in self.world.journaled("ada", "ready") {
            let id = text(&entry.body["execution"]);
            let times = effects.get(&id).copied().unwrap_or(0);
            let state = self.world.execution(&id).map(|row| row.state);
            let in_journal = |kind| self.world.journaled("ada", kind).iter().any(|e| text(&e.body["execution"]) == id);
            match (times, state) {
                (1, Some(ExecutionPhase::Verified)) => {}
                (1, Some(ExecutionPhase::NotRecovered)) if in_journal("unknown") => {}
                (0, Some(ExecutionPhase::Verified)) if in_journal("unknown") => surely += 1,
                (0, Some(ExecutionPhase::NotRecovered)) if in_journal("unknown") => {
                    maybe += 1;
                    if !self.world.was_told("may still") && !self.world.was_told("Nothing else starts by itself") {
                        broken.push(format!("nobody was told that it is unknown what {id} did"));
                    }
                }
                (0, Some(ExecutionPhase::Failed)) if in_journal("never_started") => {
                    if !self.world.was_told("could not be started") {
                        broken.push(format!("nobody was told that {id} never started"));
                    }
                }
                (0, Some(ExecutionPhase::CalledOff)) if self.flow == Flow::ComesBack => {
                    if !self.world.was_told("Nothing was started.") {
                        broken.push(format!("nobody was told that {id} was called off"));
                    }
                }
                (times, state) => broken.push(format!("execution {id} took effect {times} times and is {state:?}")),
            }
        }
        if nameless < surely || nameless > surely + maybe {
            broken
                .push(format!("{nameless} commands ran without a name, for {surely} to {} executions", surely + maybe));
        }
    }

    /// One death, one incident; nobody is asked twice without a reason. The daemon's death alone is
    /// no reason: commands outlive it.
    fn check_counts(&self, broken: &mut Vec<String>) {
        let count = |kind| self.world.journaled("ada", kind).len();
        if !self.shims_died {
            for kind in ["unknown", "failed", "not_recovered", "not_run"] {
                if count(kind) > 0 {
                    broken.push(format!("it came to {kind:?}, and only the daemon had died"));
                }
            }
            let due = usize::from(!matches!(self.flow, Flow::Deny | Flow::ComesBack));
            let ran = self.world.runs_of("ada");
            if ran != due {
                broken.push(format!("the command ran {ran} times, not {due}"));
            }
        }
        let fruitless = count("failed") + count("not_recovered");
        let recovered = usize::from(!matches!(self.flow, Flow::Deny | Flow::Substitute));
        let asked = usize::from(self.flow != Flow::PolicyYes) + fruitless;
        for (kind, at_least, at_most) in [
            ("opened", 1, 1),
            ("recovered", recovered, recovered),
            ("asked", usize::from(self.flow != Flow::PolicyYes), asked),
            ("expired", 0, 0),
            ("relapsed", 0, 0),
        ] {
            let times = count(kind);
            if times < at_least || times > at_most {
                broken.push(format!("{kind} {times} times, not {at_least} to {at_most}"));
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn request(world: &World, code: &str) -> Option<RequestRow> {
    world.read(async |read| requests::by_code(read, code).await).flatten()
}

/// Everything that people were to be told they were told, at least once; every input has its answer.
fn check_messages(world: &World, broken: &mut Vec<String>) {
    let db = Connection::open_with_flags(world.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store opens");
    type Message = (Option<String>, String, String);
    for (about, state, body) in rows::<Message>(&db, "SELECT about, state, body FROM messages") {
        let body: Value = serde_json::from_str(&body).expect("a message's body is JSON");
        if state == "due" && about.is_none() {
            // An alarm that came last (this machine is slow) waits for the next start.
        } else if state != "sent" {
            broken.push(format!("a message is {state}: {body}"));
        } else if !world.was_told(body["text"].as_str().unwrap_or_default()) {
            broken.push(format!("marked as sent, and never told: {body}"));
        }
    }
    type Input = (String, String, Option<String>);
    for (id, state, answer) in rows::<Input>(&db, "SELECT id, state, answer FROM inputs") {
        if state == "new" || state == "handled" && answer.is_none() {
            broken.push(format!("input {id} is {state}, with the answer {answer:?}"));
        }
    }
}

fn rows<T>(db: &Connection, question: &str) -> Vec<T>
where
    T: for<'r> TryFrom<&'r rusqlite::Row<'r>, Error = rusqlite::Error>,
{
    let mut statement = db.prepare(question).expect("a question");
    let rows = statement.query_map([], |row| T::try_from(row)).expect("an answer");
    rows.collect::<Result<_, _>>().expect("rows")
}
