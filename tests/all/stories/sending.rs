//! What waits to be sent, on a channel of the story's own.

use lazarus_gate::store::messages::{self, MessageKind, NewMessage};

use crate::world::{Inside, World};

/// More than is read at once.
const MANY: u32 = 600;

#[test]
fn whoever_is_told_a_lot_hides_nobody_else() {
    let inside = Inside::of(World::with_agents(&["ada"]));
    inside.plan();
    let to = |target: &str, id: String| NewMessage {
        id,
        channel: "terminal".into(),
        target: target.into(),
        about: None,
        kind: MessageKind::Note,
        priority: 0,
        created_at: inside.now(),
        body: r#"{"text":"x"}"#.into(),
    };
    let mut all: Vec<NewMessage> = (0..MANY).map(|nth| to("slow", format!("a{nth:04}"))).collect();
    all.push(to("quick", "b".into()));
    inside.writes(move |tx| Box::pin(async move { messages::insert(tx, &all).await }));
    assert!(inside.delivers_although("slow", "quick"), "it waits behind a target that takes nothing");
}
