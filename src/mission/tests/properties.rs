//! Random histories, the same each time: whatever happens, the bus keeps what it promises.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::mission::chain::{Head, Link, Verified, Verifier};
use crate::mission::{
    Attachment, Claim, Incarnations, MissionBus, MissionRole, Nonce, Offer, Part, Raise, RaisedBy, Stamp,
};
use crate::pool::Timestamp;

const NAMES: [&str; 4] = ["ada", "bob", "cat", "dan"];

fn config(seed: u64) -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&NAMES[..])
}

#[derive(Clone, Debug)]
enum Life {
    Raise,
    Settle(RaisedBy),
    Attach(usize),
}

fn life() -> impl Strategy<Value = Life> {
    let end =
        proptest::sample::select(vec![RaisedBy::Failed, RaisedBy::NeverStarted, RaisedBy::Done, RaisedBy::Unknown]);
    prop_oneof![2 => Just(Life::Raise), 2 => end.prop_map(Life::Settle), 4 => (0..4usize).prop_map(Life::Attach)]
}

fn nonce(of: usize) -> Nonce {
    Nonce::from_hash(of.to_string())
}

/// The incarnations that could write right now, under whatever epoch they claim.
fn writers(known: &Incarnations) -> BTreeSet<usize> {
    let may = |of: &usize| {
        (0..=known.epoch() + 1).any(|epoch| known.admit(Some(&Claim { epoch, nonce: nonce(*of) })).is_ok())
    };
    (0..4).filter(may).collect()
}

fn live(history: &[Life]) -> Result<(), TestCaseError> {
    let mut known = Incarnations::default();
    // Who was certainly replaced: they had an epoch, and then something was done, or nobody knows.
    let mut replaced = BTreeSet::new();
    for (second, happens) in (1..).zip(history) {
        let at = Timestamp::from_millis(second * 1000);
        match happens {
            Life::Raise if known.raises.last().is_none_or(|raise| raise.by != RaisedBy::UnderWay) => {
                let epoch = known.epoch() + 1;
                known.raises.push(Raise { epoch, at, by: RaisedBy::UnderWay });
            }
            Life::Settle(how) => {
                if let Some(raise) = known.raises.last_mut().filter(|raise| raise.by == RaisedBy::UnderWay) {
                    raise.by = *how;
                    if !how.is_void() {
                        let (epoch, attached) = (raise.epoch, &known.attachments);
                        let new = attached.iter().find(|one| one.epoch == epoch).map(|one| one.nonce.clone());
                        let all = (0..4).filter(|of| attached.iter().any(|one| one.nonce == nonce(*of)));
                        replaced.extend(all.filter(|of| Some(nonce(*of)) != new));
                    }
                }
            }
            Life::Attach(who) => {
                let answer = known.attach(&nonce(*who));
                if let Ok(attach) = answer {
                    prop_assert!(!replaced.contains(who), "{who} was replaced and came back");
                    let epoch = attach.epoch();
                    prop_assert_eq!(epoch, known.epoch());
                    if matches!(attach, crate::mission::Attach::New { .. }) {
                        prop_assert!(known.attachments.iter().all(|one| one.epoch != epoch), "two have {}", epoch);
                        known.attachments.push(Attachment { epoch, nonce: nonce(*who), at });
                    }
                    let claim = Claim { epoch, nonce: nonce(*who) };
                    prop_assert_eq!(known.admit(Some(&claim)), Ok(epoch));
                }
            }
            Life::Raise => {}
        }
        let writers = writers(&known);
        prop_assert!(writers.len() <= 1, "two may write: {:?} of {:?}", writers, known);
        prop_assert!(writers.is_disjoint(&replaced), "{:?} of {:?}", writers, known);
        prop_assert_eq!(known.admit(None).is_ok(), known.attachments.is_empty());
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Hand {
    Offer { part: &'static str, by: &'static str, lead: bool, to: &'static str },
    Accept { part: &'static str, by: &'static str },
    Decline { part: &'static str, by: &'static str },
    Pass(u64),
}

fn hand() -> impl Strategy<Value = Hand> {
    prop_oneof![
        3 => (name(), name(), any::<bool>(), name()).prop_map(|(part, by, lead, to)| Hand::Offer { part, by, lead, to }),
        3 => (name(), name()).prop_map(|(part, by)| Hand::Accept { part, by }),
        1 => (name(), name()).prop_map(|(part, by)| Hand::Decline { part, by }),
        1 => (0..90u64).prop_map(Hand::Pass),
    ]
}

/// Beside the machine goes a plain book of who owns what, written from what was answered alone.
fn hand_over(history: &[Hand]) -> Result<(), TestCaseError> {
    let mut parts: BTreeMap<&str, Part> = NAMES.iter().map(|name| (*name, Part::new(*name))).collect();
    let mut owners: BTreeMap<&str, String> = NAMES.iter().map(|name| (*name, (*name).to_owned())).collect();
    let mut open: BTreeMap<&str, (String, u64)> = BTreeMap::new();
    let (mut now, mut drawn) = (0, 0);
    for happens in history {
        let at = Timestamp::from_millis(i64::try_from(now).unwrap_or(0) * 1000);
        match happens {
            Hand::Pass(seconds) => {
                now += seconds;
                let at = Timestamp::from_millis(i64::try_from(now).unwrap_or(0) * 1000);
                for (name, part) in &mut parts {
                    let over = part.expire(at);
                    prop_assert_eq!(over.is_some(), open.get(name).is_some_and(|(_, until)| now >= *until));
                    if let Some(after) = over {
                        *part = after;
                        open.remove(name);
                    }
                }
            }
            Hand::Offer { part: of, by, lead, to } => {
                drawn += 1;
                let offer = Offer::new(&format!("h{drawn}"), by, to, at, Duration::from_secs(60));
                let role = if *lead { MissionRole::Lead } else { MissionRole::Write };
                let answer = parts[of].offer(Some(role), offer);
                prop_assert_eq!(answer.is_ok(), !open.contains_key(of) && (*lead || owners[of] == *by));
                if let Ok(after) = answer {
                    open.insert(of, ((*to).to_owned(), now + 60));
                    parts.insert(of, after);
                }
            }
            Hand::Accept { part: of, by } | Hand::Decline { part: of, by } => {
                let id = parts[of].offer.as_ref().map_or("none".to_owned(), |offer| offer.handoff_id.clone());
                let accepts = matches!(happens, Hand::Accept { .. });
                let answer = if accepts { parts[of].accept(&id, by, at) } else { parts[of].decline(&id, by, at) };
                let may = open.get(of).is_some_and(|(to, until)| to == by && now < *until);
                prop_assert_eq!(answer.is_ok(), may);
                if let Ok(after) = answer {
                    open.remove(of);
                    if accepts {
                        owners.insert(of, (*by).to_owned());
                    }
                    parts.insert(of, after);
                }
            }
        }
        for (name, part) in &parts {
            prop_assert_eq!(&part.owner, &owners[name], "one owner, and the one of the book");
            prop_assert_eq!(part.offer.is_some(), open.contains_key(name));
        }
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Said {
    Join(&'static str, MissionRole),
    Publish(&'static str),
    Checkpoint(&'static str),
    Handoff(&'static str, &'static str, usize),
    Reload,
}

fn said() -> impl Strategy<Value = Said> {
    let role = proptest::sample::select(&MissionRole::ALL[..]);
    prop_oneof![
        2 => (name(), role).prop_map(|(name, role)| Said::Join(name, role)),
        3 => name().prop_map(Said::Publish),
        3 => name().prop_map(Said::Checkpoint),
        3 => (name(), name(), 0..12usize).prop_map(|(by, to, of)| Said::Handoff(by, to, of)),
        1 => Just(Said::Reload),
    ]
}

fn speak(history: &[Said]) -> Result<(), TestCaseError> {
    let mut drawn = 0;
    let mut new_id = || {
        drawn += 1;
        format!("id-{drawn}")
    };
    let stamp = &mut Stamp { at: "2026-04-15T04:00:00+00:00", new_id: &mut new_id };
    let mut bus = MissionBus::new("forge", "t", Value::Null).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let export = |bus: &MissionBus| serde_json::to_value(bus).unwrap_or_default();
    for happens in history {
        let before = export(&bus);
        let refused = match happens {
            Said::Join(name, role) => {
                bus.register_participant(name, *role, Value::Null);
                false
            }
            Said::Publish(by) => bus.publish(by, "t", json!({}), stamp).is_err(),
            Said::Checkpoint(by) => bus.create_checkpoint(by, "s", json!({}), vec![], stamp).is_err(),
            Said::Handoff(by, to, of) => bus.handoff(by, to, &format!("id-{of}"), "", stamp).is_err(),
            Said::Reload => {
                bus = MissionBus::from_value(before.clone(), stamp).map_err(|e| TestCaseError::fail(e.to_string()))?;
                prop_assert_eq!(&before, &export(&bus), "a round trip changes nothing");
                false
            }
        };
        if refused {
            prop_assert_eq!(before, export(&bus), "what is refused leaves nothing");
        }
        let numbers: Vec<i64> = bus.events().iter().map(|event| event.sequence()).collect();
        prop_assert_eq!(numbers, (1..).take(bus.events().len()).collect::<Vec<i64>>());
    }
    Ok(())
}

fn break_one(length: i64, at: i64, how: u8) -> Result<(), TestCaseError> {
    let at = at % length + 1;
    let mut head = Head::beginning();
    let mut rows = Vec::new();
    for seq in 1..=length {
        let (body, prev) = (format!("{{\"n\":{seq}}}"), head.hash.clone());
        let link =
            Link { mission: "m", seq, kind: "message", id: "i", sender: "s", epoch: 0, body: &body, prev: &prev };
        head = Head::after(&link);
        rows.push((seq, body, prev, head.hash.clone()));
    }
    let place = usize::try_from(at - 1).unwrap_or(0);
    match how {
        0 => rows[place].1.push(' '),
        1 => rows[place].3 = "f".repeat(64),
        2 => drop(rows.remove(place)),
        3 => rows.truncate(place),
        _ => rows[place].2 = "f".repeat(64),
    }
    let mut verifier = Verifier::default();
    let mut broken = None;
    for (seq, body, prev, hash) in &rows {
        let link = Link { mission: "m", seq: *seq, kind: "message", id: "i", sender: "s", epoch: 0, body, prev };
        if let Err(found) = verifier.next(&link, hash) {
            broken = Some(found);
            break;
        }
    }
    match broken.unwrap_or_else(|| verifier.finish(&head)) {
        Verified::Broken { seq, .. } => prop_assert_eq!(seq, at, "the first bad one is named"),
        whole @ Verified::Whole { .. } => prop_assert!(false, "{:?} although {} was broken", whole, at),
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(6))]

    #[test]
    fn whatever_happens_one_incarnation_at_most_may_write(history in prop::collection::vec(life(), 1..60)) {
        live(&history)?;
    }

    #[test]
    fn whatever_happens_a_part_has_one_owner(history in prop::collection::vec(hand(), 1..80)) {
        hand_over(&history)?;
    }

    #[test]
    fn whatever_is_said_the_stream_has_no_gap(history in prop::collection::vec(said(), 1..60)) {
        speak(&history)?;
    }

    #[test]
    fn whatever_is_broken_is_named(length in 1..40i64, at in 0..1000i64, how in 0..5u8) {
        break_one(length, at, how)?;
    }
}
