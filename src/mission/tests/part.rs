use std::time::Duration;

use crate::mission::{MissionError, MissionRole, Offer, Part};
use crate::pool::Timestamp;

const TTL: Duration = Duration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

fn offered(to: &str) -> Part {
    let offer = Offer::new("h1", "ada", to, at(0), TTL);
    Part::new("ada").offer(Some(MissionRole::Write), offer).unwrap()
}

#[test]
fn a_part_stays_where_it_is_until_it_is_accepted() {
    let part = offered("bob");
    assert_eq!(part.owner, "ada");
    let accepted = part.accept("h1", "bob", at(59)).unwrap();
    assert_eq!((accepted.owner.as_str(), &accepted.offer), ("bob", &None));
    let declined = part.decline("h1", "bob", at(59)).unwrap();
    assert_eq!((declined.owner.as_str(), &declined.offer), ("ada", &None));
}

#[test]
fn an_offer_ends_by_itself() {
    let part = offered("bob");
    assert_eq!(part.expire(at(59)), None);
    let over = part.expire(at(60)).unwrap();
    assert_eq!((over.owner.as_str(), &over.offer), ("ada", &None));
    let late = part.accept("h1", "bob", at(60)).unwrap_err();
    assert_eq!(late.to_string(), "handoff h1 is expired; ask for a new one");
    assert_eq!(over.expire(at(99)), None);
}

#[test]
fn only_the_recipient_answers_and_only_once() {
    let part = offered("bob");
    for by in ["ada", "eve"] {
        let refused = part.accept("h1", by, at(1)).unwrap_err();
        assert_eq!(refused.to_string(), format!("handoff h1 is for bob, not for {by}"));
        assert!(part.decline("h1", by, at(1)).is_err());
    }
    assert!(part.accept("h2", "bob", at(1)).is_err());
    let accepted = part.accept("h1", "bob", at(1)).unwrap();
    assert!(matches!(accepted.decline("h1", "bob", at(2)), Err(MissionError::OfferClosed { .. })));
}

#[test]
fn the_owner_or_a_lead_hands_over_and_one_offer_is_open() {
    let part = Part::new("ada");
    let by = |from: &str| Offer::new("h1", from, "bob", at(0), TTL);
    assert!(part.offer(Some(MissionRole::Write), by("ada")).is_ok());
    assert!(part.offer(Some(MissionRole::Lead), by("kim")).is_ok());
    let refused = part.offer(Some(MissionRole::Write), by("eve")).unwrap_err();
    assert_eq!(refused.to_string(), "the part of ada belongs to ada; only ada or a lead can hand it over");
    let refused = offered("bob").offer(Some(MissionRole::Lead), Offer::new("h2", "kim", "cat", at(1), TTL));
    assert!(matches!(refused, Err(MissionError::AlreadyOffered { to, .. }) if to == "bob"));
    let moved = offered("bob").accept("h1", "bob", at(1)).unwrap();
    assert!(moved.offer(Some(MissionRole::Write), by("ada")).is_err(), "it is bob's now");
    assert!(moved.offer(Some(MissionRole::Write), by("bob")).is_ok());
}
