use crate::mission::{Attach, Attachment, Claim, Incarnations, MissionError, Nonce, Raise, RaisedBy};
use crate::pool::Timestamp;

fn nonce(name: &str) -> Nonce {
    Nonce::new(&format!("{name}-nonce-of-its-boot")).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

/// Epochs 1, 2, … raised at 101 s, 102 s, …; attachments at 201 s, …
fn known(raises: &[RaisedBy], attached: &[(i64, &str)]) -> Incarnations {
    let raise = |(n, by): (i64, &RaisedBy)| Raise { epoch: n, at: at(100 + n), by: *by };
    let attachment = |&(epoch, name): &(i64, &str)| Attachment { epoch, nonce: nonce(name), at: at(201 + epoch) };
    Incarnations {
        raises: (1..).zip(raises).map(raise).collect(),
        attachments: attached.iter().map(attachment).collect(),
    }
}

fn claim(epoch: i64, name: &str) -> Option<Claim> {
    Some(Claim { epoch, nonce: nonce(name) })
}

fn replaced_at(result: Result<impl std::fmt::Debug, MissionError>) -> i64 {
    match result {
        Err(error @ MissionError::Replaced { at, .. }) => {
            assert!(error.to_string().starts_with("you were replaced at "), "{error}");
            at.as_secs()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_agent_that_never_attaches_writes_as_epoch_0_until_the_first_attach() {
    use RaisedBy::Done;
    assert_eq!(known(&[], &[]).admit(None), Ok(0));
    assert_eq!(known(&[Done], &[]).admit(None), Ok(0), "a restart does not shut out who knows nothing of epochs");
    assert_eq!(replaced_at(known(&[], &[(0, "old")]).admit(None)), 201);
    assert_eq!(replaced_at(known(&[Done], &[(1, "new")]).admit(None)), 202);
}

#[test]
fn only_the_first_attach_of_an_epoch_wins() {
    let nobody = known(&[], &[]);
    assert_eq!(nobody.attach(&nonce("a")), Ok(Attach::New { epoch: 0 }));
    let taken = known(&[], &[(0, "a")]);
    assert_eq!(taken.attach(&nonce("a")), Ok(Attach::Again { epoch: 0 }));
    assert_eq!(replaced_at(taken.attach(&nonce("b"))), 201);
    let raised = known(&[RaisedBy::UnderWay], &[(0, "a")]);
    assert_eq!(raised.attach(&nonce("b")), Ok(Attach::New { epoch: 1 }));
}

#[test]
fn whoever_was_replaced_writes_no_more() {
    use RaisedBy::{Done, Failed, UnderWay, Unknown};
    let table = [
        (known(&[], &[(0, "a")]), claim(0, "a"), Ok(0)),
        (known(&[], &[(0, "a")]), claim(0, "b"), Err(201)),
        (known(&[Done], &[(0, "a")]), claim(0, "a"), Err(101)),
        (known(&[UnderWay], &[(0, "a")]), claim(0, "a"), Err(101)),
        (known(&[Unknown], &[(0, "a")]), claim(0, "a"), Err(101)),
        (known(&[Failed], &[(0, "a")]), claim(0, "a"), Err(101)),
        (known(&[Failed], &[(0, "a"), (1, "a")]), claim(1, "a"), Ok(1)),
        (known(&[Failed], &[(0, "a"), (1, "a")]), claim(0, "a"), Err(101)),
        (known(&[Done], &[(0, "a"), (1, "b")]), claim(0, "a"), Err(202)),
        (known(&[Done], &[(0, "a"), (1, "b")]), claim(1, "a"), Err(202)),
        (known(&[Done], &[(0, "a"), (1, "b")]), claim(1, "b"), Ok(1)),
        (known(&[Done, Done], &[(0, "a"), (1, "b")]), claim(1, "b"), Err(102)),
    ];
    for (incarnations, claim, due) in table {
        match due {
            Ok(epoch) => assert_eq!(incarnations.admit(claim.as_ref()), Ok(epoch)),
            Err(second) => assert_eq!(replaced_at(incarnations.admit(claim.as_ref())), second, "{incarnations:?}"),
        }
    }
}

#[test]
fn who_did_not_attach_does_not_write() {
    for (incarnations, epoch) in
        [(known(&[], &[]), 0), (known(&[RaisedBy::Done], &[(0, "a")]), 1), (known(&[RaisedBy::Done], &[(0, "a")]), 7)]
    {
        let refused = incarnations.admit(claim(epoch, "x").as_ref()).unwrap_err();
        assert_eq!(refused, MissionError::NotAttached { epoch });
    }
}

#[test]
fn the_old_one_returns_after_a_failure_and_never_after_done_or_unknown() {
    use RaisedBy::{Done, Failed, NeverStarted, UnderWay, Unknown};
    for (raises, may) in [
        (vec![Failed], true),
        (vec![NeverStarted], true),
        (vec![Failed, NeverStarted], true),
        (vec![UnderWay], false),
        (vec![Done], false),
        (vec![Unknown], false),
        (vec![Unknown, Failed], false),
        (vec![Failed, UnderWay], false),
    ] {
        let epoch = i64::try_from(raises.len()).unwrap();
        let answer = known(&raises, &[(0, "a")]).attach(&nonce("a"));
        assert_eq!(answer.is_ok(), may, "{raises:?}");
        match answer {
            Ok(attach) => assert_eq!(attach, Attach::New { epoch }),
            Err(error) => drop(replaced_at(Err::<(), _>(error))),
        }
    }
    let taken = known(&[Failed], &[(0, "a"), (1, "b")]);
    assert_eq!(replaced_at(taken.attach(&nonce("a"))), 202, "somebody else was first");
}

#[test]
fn a_nonce_is_long_plain_and_never_shown() {
    for bad in ["", "short", "with spaces in it, long enough", "é-------------------", &"x".repeat(129)] {
        assert_eq!(Nonce::new(bad), Err(MissionError::BadNonce), "{bad}");
    }
    let nonce = Nonce::new("0123456789abcdef").unwrap();
    assert_eq!(format!("{nonce:?}"), "Nonce(…)");
    assert_ne!(nonce.as_hash(), "0123456789abcdef");
}
