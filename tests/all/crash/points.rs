//! Every named point, and every commit.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::play::{Flow, Played, play};
use super::{all_is_asked_for, play_all};

/// All points that stand in the sources.
fn all_points() -> BTreeSet<String> {
    fn collect(folder: &Path, points: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("the sources can be listed").flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, points);
            } else if path.file_name().is_some_and(|name| name != "fail_point.rs") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let found = text.split("fail_point!(\"").skip(1).filter_map(|rest| rest.split('"').next());
                points.extend(found.map(str::to_owned));
            }
        }
    }
    let mut points = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut points);
    points
}

/// The flows that go from a death to an end.
const FLOWS: [Flow; 4] = [Flow::Approve, Flow::Deny, Flow::Substitute, Flow::PolicyYes];

/// Points that are played in the first flow only: in the others the same code does the same there.
const ONCE: [&str; 7] =
    ["generation.", "start.before_generation_file", "sweep.", "plan.", "deliver.", "outcome.", "shim."];

/// Points that need an earlier death to be come to, and a flow that leads there.
const AFTER_ANOTHER: [(Flow, &[&str]); 10] = [
    (Flow::Approve, &["revive.after_running", "settle.before_mark"]),
    (Flow::Approve, &["revive.after_running", "settle.in_mark"]),
    (Flow::Approve, &["start.before_spawn", "settle.after_mark"]),
    (Flow::Approve, &["start.after_spawn", "revive.before_returned"]),
    (Flow::Approve, &["run_file.created", "run_file.empty"]),
    (Flow::Approve, &["inbox.after_append", "inbox.in_handling"]),
    (Flow::Approve, &["inbox.after_append", "inbox.after_handled"]),
    (Flow::PolicyYes, &["revive.after_running", "settle.after_mark"]),
    (Flow::Substitute, &["inbox.after_handled", "revive.before_running"]),
    (Flow::ComesBack, &["inbox.after_handled", "run_file.half_removed"]),
];

/// A play with its deaths.
#[derive(Debug)]
struct Job {
    flow: Flow,
    points: Vec<String>,
}

impl Job {
    fn new(flow: Flow, points: &[&str]) -> Self {
        Self { flow, points: points.iter().map(|point| (*point).to_owned()).collect() }
    }

    fn play(&self) -> Played {
        let points: Vec<&str> = self.points.iter().map(String::as_str).collect();
        play(self.flow, &points, &[])
    }
}

#[test]
fn a_death_at_any_named_point_loses_nothing_and_does_nothing_twice() {
    // What there is to come to, by a play without a death.
    let traced = play_all(&FLOWS, |&flow| (flow, play(flow, &[], &[]).reached));
    let mut jobs: Vec<Job> = AFTER_ANOTHER.iter().map(|(flow, points)| Job::new(*flow, points)).collect();
    for (flow, reached) in &traced {
        let count = |name: &str| reached.iter().filter(|point| *point == name).count();
        for point in reached.iter().collect::<BTreeSet<_>>() {
            let once = ONCE.iter().any(|start| point.starts_with(start)) && !all_is_asked_for();
            if point.starts_with("store.") || (once && *flow != Flow::Approve) {
                continue;
            }
            jobs.push(Job::new(*flow, &[point]));
            // The later times differ from the first: another message, another sweep.
            let again = if point.starts_with("deliver.") { 2..count(point) } else { 4..count(point).min(5) };
            jobs.extend(again.map(|hit| Job::new(*flow, &[&format!("{point}:{hit}")])));
        }
    }
    let played = play_all(&jobs, |job| (format!("{job:?}"), job.play()));

    let mut reached: BTreeSet<&str> = traced.iter().flat_map(|(_, points)| points.iter().map(String::as_str)).collect();
    reached.extend(played.iter().flat_map(|(_, played)| played.reached.iter().map(String::as_str)));
    let missing: Vec<String> = all_points()
        .into_iter()
        .filter(|point| !reached.contains(point.as_str()))
        .filter(|point| !["telegram.", "nostr.", "door.", "takeover."].iter().any(|room| point.starts_with(room)))
        .collect();
    assert!(missing.is_empty(), "no flow comes to {missing:?}");
    let alive: Vec<&String> = played.iter().filter(|(_, played)| played.kills == 0).map(|(job, _)| job).collect();
    // A later time is not always reached: messages are sent together as it happens.
    assert!(alive.iter().all(|job| job.contains(':')), "nobody died in {alive:?}");
    tell("named points", &played);
}

#[test]
fn a_death_before_or_after_any_commit_loses_nothing_and_does_nothing_twice() {
    let traced = play_all(&FLOWS, |&flow| (flow, play(flow, &[], &[]).reached));
    let mut jobs = Vec::new();
    for (flow, reached) in traced {
        let commits = reached.iter().filter(|point| *point == "store.after_commit").count();
        for commit in 1..=commits {
            // What is stored before one commit was stored after the one before: without more time,
            // each of them in one flow, and some in the others.
            let (after, before) = match flow {
                _ if all_is_asked_for() => (true, true),
                Flow::Approve => (true, commit % 4 == 0),
                _ => (commit % 7 == 0, commit % 7 == 4),
            };
            jobs.extend(after.then(|| Job::new(flow, &[&format!("store.after_commit:{commit}")])));
            jobs.extend(before.then(|| Job::new(flow, &[&format!("store.before_commit:{commit}")])));
        }
    }
    let played = play_all(&jobs, |job| (format!("{job:?}"), job.play()));
    tell("commits", &played);
}

fn tell(what: &str, played: &[(String, Played)]) {
    let kills: usize = played.iter().map(|(_, played)| played.kills).sum();
    eprintln!("{what}: {} plays, {kills} kills", played.len());
}
