use super::super::super::row::sql;
use super::super::super::{epochs, executions};
use super::*;
use crate::mission::{MissionError, Nonce};

fn nonce(boot: &str) -> Nonce {
    Nonce::new(&format!("{boot}-nonce-of-its-boot")).unwrap()
}

async fn attach(store: &Store, boot: &'static str, ms: i64) -> Decided<i64> {
    job!(store, |tx| missions::attach(tx, &mission("forge"), &agent("ada"), &nonce(boot), at(ms)).await).unwrap()
}

fn claim(epoch: i64, boot: &str) -> Option<Claim> {
    Some(Claim { epoch, nonce: nonce(boot) })
}

/// An execution for ada starts.
async fn raise(store: &Store, execution: &'static str, ms: i64) -> i64 {
    job!(store, |tx| {
        open_incident(tx, execution, "ada").await?;
        let body = json!({"v": 1});
        let new = executions::NewExecution {
            id: execution,
            incident_id: execution,
            request_id: None,
            agent: &agent("ada"),
            substitute: None,
            created_at: at(ms),
            body: &body,
        };
        executions::insert(tx, new).await?;
        epochs::raise(tx, &mission("forge"), &agent("ada"), execution, at(ms)).await?;
        epochs::current(tx, &mission("forge"), &agent("ada")).await
    })
    .unwrap()
}

async fn becomes(store: &Store, execution: &'static str, state: &'static str) {
    job!(store, |tx| {
        tx.execute(sql("UPDATE incidents SET state = 'recovered' WHERE id = $1").bind(execution)).await?;
        tx.execute(sql("UPDATE executions SET state = $1 WHERE id = $2").bind(state).bind(execution)).await
    })
    .unwrap();
}

fn replaced(refused: Decided<impl std::fmt::Debug>) -> i64 {
    match refused {
        Err(error @ MissionError::Replaced { at, .. }) => {
            assert!(error.to_string().starts_with("you were replaced at 19"), "{error}");
            at.as_millis()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stale_incarnation_cannot_overwrite_its_successor() {
    let place = Place::new();
    let store = forge(&place).await;
    assert_eq!(append(&store, "ada", message("m1")).await.unwrap()[0].epoch, 0, "who never attached writes");
    assert_eq!(attach(&store, "old", 10).await, Ok(0));
    assert_eq!(attach(&store, "old", 11).await, Ok(0), "again is the same");
    assert_eq!(replaced(append(&store, "ada", message("m2")).await), 10, "from now on writes need a claim");
    append_as(&store, "ada", claim(0, "old"), 12, vec![checkpoint("c1")]).await.unwrap();

    assert_eq!(raise(&store, "x1", 20).await, 1);
    assert_eq!(replaced(append_as(&store, "ada", claim(0, "old"), 21, vec![message("m3")]).await), 20);
    assert_eq!(replaced(attach(&store, "old", 22).await), 20, "not while it is under way");
    assert_eq!(attach(&store, "new", 23).await, Ok(1));
    becomes(&store, "x1", "verified").await;
    let appended = append_as(&store, "ada", claim(1, "new"), 24, vec![checkpoint("c2")]).await.unwrap();
    assert_eq!(appended[0].epoch, 1);
    assert_eq!(replaced(append_as(&store, "ada", claim(0, "old"), 25, vec![message("m4")]).await), 23);
    assert_eq!(replaced(append_as(&store, "ada", claim(1, "old"), 25, vec![message("m4")]).await), 23);
    assert_eq!(replaced(attach(&store, "late", 26).await), 23, "the first has it");
    let ids: Vec<String> = stream(&store).await.into_iter().map(|row| row.id).collect();
    assert_eq!(ids, ["m1", "c1", "c2"]);
    append(&store, "bob", message("m5")).await.expect("others are not concerned");
}

#[tokio::test]
async fn what_became_of_the_execution_decides_whether_the_old_one_returns() {
    for (state, returns) in [
        ("ready", false),
        ("running", false),
        ("called_off", true),
        ("failed", true),
        ("done", false),
        ("unknown", false),
        ("verified", false),
        ("not_recovered", false),
    ] {
        let place = Place::new();
        let store = forge(&place).await;
        attach(&store, "old", 10).await.unwrap();
        raise(&store, "x1", 20).await;
        becomes(&store, "x1", state).await;
        let answer = attach(&store, "old", 30).await;
        assert_eq!(answer.is_ok(), returns, "{state}: {answer:?}");
        let write = append_as(&store, "ada", claim(1, "old"), 31, vec![message("m1")]).await;
        assert_eq!(write.is_ok(), returns, "{state}: {write:?}");
    }
}

#[tokio::test]
async fn an_execution_that_is_not_kept_any_more_is_unknown() {
    let place = Place::new();
    let store = forge(&place).await;
    attach(&store, "old", 10).await.unwrap();
    job!(store, |tx| epochs::raise(tx, &mission("forge"), &agent("ada"), "long-gone", at(20)).await).unwrap();
    assert_eq!(replaced(attach(&store, "old", 30).await), 20);
    assert_eq!(attach(&store, "new", 31).await, Ok(1));
}

#[tokio::test]
async fn only_participants_attach_and_only_those_who_attached_answer() {
    let place = Place::new();
    let store = forge(&place).await;
    let stranger =
        job!(store, |tx| missions::attach(tx, &mission("forge"), &agent("eve"), &nonce("x"), at(1)).await).unwrap();
    assert!(matches!(stranger, Err(MissionError::Lacks { .. })));
    append(&store, "bob", checkpoint("c1")).await.unwrap();
    append(&store, "bob", handoff("h1", "ada", "c1")).await.unwrap();
    attach(&store, "old", 10).await.unwrap();
    let stale = job!(store, |tx| {
        missions::accept(tx, &mission("forge"), "h1", Actor::plain(&agent("ada")), at(1001), at(1001)).await
    });
    assert_eq!(replaced(stale.unwrap()), 10);
    let accepted = job!(store, |tx| {
        let claim = claim(0, "old");
        missions::accept(
            tx,
            &mission("forge"),
            "h1",
            Actor { name: &agent("ada"), claim: claim.as_ref() },
            at(1001),
            at(1001),
        )
        .await
    });
    accepted.unwrap().unwrap();
}
