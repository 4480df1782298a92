use crate::mission::chain::{Head, Link, Verified, Verifier};

#[derive(Clone)]
struct Row {
    seq: i64,
    sender: String,
    epoch: i64,
    body: String,
    prev: String,
    hash: String,
}

impl Row {
    fn link(&self) -> Link<'_> {
        let (mission, kind, id) = ("forge", "message", "m");
        let Self { seq, sender, epoch, body, prev, .. } = self;
        Link { mission, seq: *seq, kind, id, sender, epoch: *epoch, body, prev }
    }
}

fn stream(length: i64) -> Vec<Row> {
    let mut head = Head::beginning();
    (1..=length)
        .map(|seq| {
            let body = format!("{{\"n\":{seq}}}");
            let mut row =
                Row { seq, sender: "ada".into(), epoch: 0, body, prev: head.hash.clone(), hash: String::new() };
            head = Head::after(&row.link());
            row.hash.clone_from(&head.hash);
            row
        })
        .collect()
}

fn head(rows: &[Row]) -> Head {
    rows.last().map_or_else(Head::beginning, |row| Head { seq: row.seq, hash: row.hash.clone() })
}

fn verify(rows: &[Row], noted: &Head) -> Verified {
    let mut verifier = Verifier::default();
    for row in rows {
        if let Err(broken) = verifier.next(&row.link(), &row.hash) {
            return broken;
        }
    }
    verifier.finish(noted)
}

fn broken_at(verified: Verified) -> i64 {
    match verified {
        Verified::Broken { seq, why } if !why.is_empty() => seq,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_stream_is_whole() {
    for length in [0, 1, 7] {
        let rows = stream(length);
        assert_eq!(verify(&rows, &head(&rows)), Verified::Whole { head: head(&rows) });
    }
}

#[test]
fn the_first_event_that_is_wrong_is_named() {
    let whole = stream(7);
    let noted = head(&whole);
    let edited = |edit: &dyn Fn(&mut Vec<Row>)| {
        let mut rows = whole.clone();
        edit(&mut rows);
        broken_at(verify(&rows, &noted))
    };
    assert_eq!(edited(&|rows| rows[3].body.push(' ')), 4, "a body");
    assert_eq!(edited(&|rows| rows[3].sender = "eve".into()), 4, "a sender");
    assert_eq!(edited(&|rows| rows[3].epoch = 2), 4, "an epoch");
    assert_eq!(edited(&|rows| rows[3].hash = "0".repeat(64)), 4, "a hash");
    assert_eq!(edited(&|rows| rows[3].prev = "0".repeat(64)), 4, "what it follows");
    assert_eq!(edited(&|rows| drop(rows.remove(3))), 4, "a gap");
    assert_eq!(edited(&|rows| drop(rows.remove(0))), 1, "no beginning");
    assert_eq!(edited(&|rows| rows.truncate(5)), 6, "no end");
    assert_eq!(edited(&|rows| rows.clear()), 1, "nothing at all");
    assert_eq!(edited(&|rows| rows.insert(3, rows[2].clone())), 3, "twice");
    assert_eq!(edited(&|rows| rows.swap(2, 3)), 3, "out of order");
    assert_eq!(edited(&|rows| rows[2].seq = 9), 3, "a number");
    let with_fresh_hash = |rows: &mut Vec<Row>| {
        rows[3].body.push(' ');
        rows[3].hash = Head::after(&rows[3].link()).hash;
    };
    assert_eq!(edited(&with_fresh_hash), 5, "an edit with its own hash breaks the next");
    let longer = stream(8);
    assert_eq!(broken_at(verify(&longer, &noted)), 8, "one too many");
    let mut last = whole.clone();
    with_fresh_hash(&mut last);
    last.truncate(4);
    assert_eq!(
        broken_at(verify(&last, &Head { seq: 4, hash: whole[3].hash.clone() })),
        4,
        "the last, with its own hash"
    );
}
