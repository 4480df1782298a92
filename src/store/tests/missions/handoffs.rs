use super::*;
use crate::mission::{HandoffRef, MissionError};
use crate::store::missions::{HandoffPhase, HandoffRow};

/// How long a handoff waits unless set otherwise.
const TTL_MS: i64 = 15 * 60 * 1000;

async fn accept(store: &Store, who: &str, id: &'static str, ms: i64) -> Decided<HandoffRow> {
    let who = agent(who);
    job!(store, |tx| missions::accept(tx, &mission("forge"), id, Actor::plain(&who), at(ms), at(ms)).await).unwrap()
}

async fn decline(store: &Store, who: &str, id: &'static str, ms: i64) -> Decided<HandoffRow> {
    let who = agent(who);
    job!(store, |tx| missions::decline(tx, &mission("forge"), id, Actor::plain(&who), "no time", (at(ms), at(ms)))
        .await)
    .unwrap()
}

async fn owner(store: &Store, part: &str) -> String {
    let parts = missions::parts(&mut store.read().await.unwrap(), &mission("forge")).await.unwrap();
    let owners: Vec<String> =
        parts.into_iter().filter(|row| row.part.as_str() == part).map(|row| row.owner.into()).collect();
    assert_eq!(owners.len(), 1, "exactly one owner");
    owners.into_iter().next().unwrap()
}

async fn offered() -> (Place, Store) {
    let place = Place::new();
    let store = forge(&place).await;
    append_as(&store, "ada", None, 0, vec![checkpoint("c1"), handoff("h1", "bob", "c1")]).await.unwrap();
    (place, store)
}

#[tokio::test]
async fn a_handoff_is_offered_and_then_accepted() {
    let (_place, store) = offered().await;
    assert_eq!(owner(&store, "ada").await, "ada");
    let open = missions::open_offers(&mut store.read().await.unwrap(), &mission("forge")).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].part.as_str(), open[0].expires_at), ("ada", at(TTL_MS)));
    let refused = accept(&store, "kim", "h1", 5).await.unwrap_err();
    assert_eq!(refused.to_string(), "handoff h1 is for bob, not for kim");
    let accepted = accept(&store, "bob", "h1", 5).await.unwrap();
    assert_eq!((accepted.state, accepted.closed_at), (HandoffPhase::Accepted, Some(at(5))));
    assert_eq!(owner(&store, "ada").await, "bob");
    assert_eq!(accept(&store, "bob", "h1", 9).await.unwrap(), accepted, "again changes nothing");
    assert!(matches!(decline(&store, "bob", "h1", 9).await, Err(MissionError::OfferClosed { state: "accepted", .. })));
    assert_eq!(stream(&store).await.len(), 2, "the stream is the reference's");
    let back = append_as(&store, "ada", None, 10, vec![handoff("h2", "kim", "c1")]).await.unwrap_err();
    assert_eq!(back.to_string(), "the part of ada belongs to bob; only bob or a lead can hand it over");
}

#[tokio::test]
async fn a_declined_handoff_leaves_the_part_where_it_was() {
    let (_place, store) = offered().await;
    let declined = decline(&store, "bob", "h1", 5).await.unwrap();
    assert_eq!((declined.state, declined.reason.as_deref()), (HandoffPhase::Declined, Some("no time")));
    assert_eq!(owner(&store, "ada").await, "ada");
    assert!(matches!(accept(&store, "bob", "h1", 6).await, Err(MissionError::OfferClosed { state: "declined", .. })));
    append_as(&store, "ada", None, 10, vec![handoff("h2", "kim", "c1")]).await.expect("the next may be offered");
}

#[tokio::test]
async fn one_offer_is_open_until_it_expires() {
    let (_place, store) = offered().await;
    let refused = append_as(&store, "kim", None, 5, vec![handoff("h2", "kim", "c1")]).await.unwrap_err();
    assert!(refused.to_string().starts_with("the part of ada is offered to bob already, until 1970"), "{refused}");
    assert_eq!(job!(store, |tx| missions::expire_due(tx, at(TTL_MS - 1), 10).await).unwrap(), []);
    assert!(matches!(
        accept(&store, "bob", "h1", TTL_MS).await,
        Err(MissionError::OfferClosed { state: "expired", .. })
    ));
    let expired = job!(store, |tx| missions::expire_due(tx, at(TTL_MS), 10).await).unwrap();
    assert_eq!(
        expired.iter().map(|row| (row.id.as_str(), row.state)).collect::<Vec<_>>(),
        [("h1", HandoffPhase::Expired)]
    );
    assert_eq!(owner(&store, "ada").await, "ada");
    append_as(&store, "ada", None, TTL_MS, vec![handoff("h2", "bob", "c1")]).await.unwrap();
    // Its time is over, and nobody has looked yet: the next one closes it.
    append_as(&store, "ada", None, 3 * TTL_MS, vec![handoff("h3", "kim", "c1")]).await.unwrap();
    let h2 = missions::handoff(&mut store.read().await.unwrap(), &mission("forge"), "h2").await.unwrap();
    assert_eq!(h2.map(|row| row.state), Some(HandoffPhase::Expired));
}

#[tokio::test]
async fn what_came_in_in_time_counts_although_it_is_worked_off_late() {
    let (_place, store) = offered().await;
    let accepted = job!(store, |tx| {
        missions::accept(tx, &mission("forge"), "h1", Actor::plain(&agent("bob")), at(TTL_MS - 1), at(TTL_MS + 5)).await
    });
    accepted.unwrap().unwrap();
    assert_eq!(owner(&store, "ada").await, "bob");
}

#[tokio::test]
async fn the_gateway_hands_over_for_the_dead_in_its_own_name() {
    let place = Place::new();
    let store = place.open().await;
    job!(store, |tx| {
        let forge = mission("forge");
        let config = Value::Null;
        let new = NewMission { name: &forge, title: "", config: &config, lead: None, created_by: "gateway", at: at(1) };
        missions::ensure(tx, new.clone(), &agent("ada"), MissionRole::Write).await?.unwrap();
        missions::ensure(tx, new.clone(), &agent("sub"), MissionRole::Write).await?.unwrap();
        missions::ensure(tx, new, &agent("sub"), MissionRole::Read).await
    })
    .unwrap()
    .unwrap();
    let names: Vec<(String, String)> = missions::participants(&mut store.read().await.unwrap(), &mission("forge"))
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.name.into(), row.role))
        .collect();
    let due = [("gateway", "lead"), ("ada", "write"), ("sub", "write")];
    assert_eq!(names, due.map(|(name, role)| (name.to_owned(), role.to_owned())));
    // No checkpoint of ada's is there, so the gateway makes one that says what is known.
    let takeover = NewEvent { part: Some(agent("ada")), ..handoff("h1", "sub", "c1") };
    append_as(&store, "gateway", None, 0, vec![checkpoint("c1"), takeover]).await.unwrap();
    accept(&store, "sub", "h1", 5).await.unwrap();
    assert_eq!(owner(&store, "ada").await, "sub");
    assert_eq!(owner(&store, "gateway").await, "gateway");
}

#[tokio::test]
async fn a_resume_packet_is_the_references() {
    let (_place, store) = offered().await;
    let mut db = store.read().await.unwrap();
    let forge = mission("forge");
    let packet = missions::resume_packet(&mut db, &forge, &agent("rae"), "h1").await.unwrap().unwrap();
    let packet = serde_json::to_value(packet).unwrap();
    assert_eq!(packet["checkpoint"]["state"], json!({"step": 3}));
    assert_eq!((&packet["stream_length"], &packet["handoff_note"]), (&json!(2), &json!("go on")));
    assert_eq!(packet["participants"]["rae"], json!({"name": "rae", "role": "read", "metadata": {}}));
    assert_eq!(packet["isolation_profiles"].as_array().map(Vec::len), Some(3));
    for (reader, id, why) in [
        ("eve", "h1", "eve lacks 'read' permission"),
        ("rae", "nope", "Unknown handoff: nope"),
        ("rae", "c1", "Unknown handoff: c1"),
    ] {
        let refused = missions::resume_packet(&mut db, &forge, &agent(reader), id).await.unwrap().unwrap_err();
        assert_eq!(refused.to_string(), why);
    }
    let last = missions::last_checkpoint(&mut db, &forge, Some(&agent("ada"))).await.unwrap();
    assert_eq!(last.map(|row| row.id), Some("c1".into()));
    assert_eq!(missions::last_checkpoint(&mut db, &forge, Some(&agent("bob"))).await.unwrap(), None);
}

#[tokio::test]
async fn a_handoff_is_found_by_its_id_alone_where_that_is_clear() {
    let (_place, store) = offered().await;
    let meant = |mission: Option<&str>, id: &str| HandoffRef { mission: mission.map(super::mission), id: id.into() };
    let find = |meant: HandoffRef| {
        let store = &store;
        async move { missions::find_handoff(&mut store.read().await.unwrap(), &meant).await.unwrap() }
    };
    for (meant, found) in [
        (meant(None, "h1"), true),
        (meant(Some("forge"), "h1"), true),
        (meant(Some("other"), "h1"), false),
        (meant(None, "h2"), false),
    ] {
        assert_eq!(find(meant.clone()).await.is_some(), found, "{meant:?}");
    }
    job!(store, |tx| {
        make(tx, "other").await?;
        let (other, kim) = (mission("other"), agent("kim"));
        let by = Append { mission: &other, by: Actor::plain(&kim), at: at(0), limits: Limits::default() };
        missions::append(tx, &by, vec![checkpoint("c1"), handoff("h1", "bob", "c1")]).await
    })
    .unwrap()
    .unwrap();
    assert_eq!(find(meant(None, "h1")).await, None, "it is not clear which");
    assert_eq!(find(meant(Some("other"), "h1")).await.map(|row| row.mission), Some(mission("other")));
}

#[tokio::test]
async fn who_is_refused_can_be_told_who_could() {
    let (_place, store) = offered().await;
    let mut db = store.read().await.unwrap();
    let forge = mission("forge");
    let permissions = missions::permissions(&mut db, &forge).await.unwrap();
    let roles = missions::roles(&mut db, &forge).await.unwrap();
    let audit: Vec<&str> =
        roles.iter().filter(|(_, role)| permissions.allows(*role, "audit")).map(|(name, _)| name.as_str()).collect();
    assert_eq!(audit, ["kim", "gateway", "amy"]);
}
