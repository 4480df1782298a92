use std::sync::Arc;

use super::*;
use crate::channel::nostr::embedded::House;

fn house(outside: bool) -> House {
    let people = [us().public_key().to_hex(), kim().public_key().to_hex()];
    let knows: super::super::Knows = Arc::new(move |key: &str| people.iter().any(|one| one == key));
    House { clock: Arc::new(|| Seconds::from(NOW)), knows: outside.then_some(knows) }
}

fn at(at: u64, kind: u16, text: &str) -> Event {
    let event =
        UnsignedEvent::new(kim().public_key(), Seconds::from(at), Kind::from_u16(kind), Vec::<Tag>::new(), text);
    event.sign_with_keys(&kim()).unwrap()
}

#[test]
fn size_and_time_are_bounded_wherever_it_listens() {
    for outside in [false, true] {
        let refuses = |event: &Event| house(outside).refuses(event);
        assert_eq!(refuses(&at(NOW, 1, "good morning")), None);
        assert_eq!(refuses(&at(NOW, 1, &"x".repeat(128 * 1024))), None);
        assert_eq!(refuses(&at(NOW, 1, &"x".repeat(128 * 1024 + 1))), Some("it is too large"));
        let tags = vec![["t", "x"]; 2_000];
        let tags: Vec<&[&str]> = tags.iter().map(<[&str; 2]>::as_slice).collect();
        assert_eq!(refuses(&signed(&kim(), 1, &tags, "")), Some("it is too large"));
        for (time, why) in [
            (0, Some("it is too old")),
            (NOW - 33 * 86_400, Some("it is too old")),
            (NOW - 31 * 86_400, None),
            (NOW + 2 * 86_400, None),
            (NOW + 3 * 86_400, Some("its time is too far ahead")),
            (u64::MAX, Some("its time is too far ahead")),
        ] {
            assert_eq!(refuses(&at(time, 1, "")), why, "{time}");
        }
        assert_eq!(refuses(&at(NOW - 400 * 86_400, 10_050, "")), None, "a list stands until there is another");
    }
}

#[test]
fn from_outside_only_what_is_said_between_the_gateway_and_its_people_is_kept() {
    let stranger = keys(7);
    let (us, nobody) = (us().public_key().to_hex(), stranger.public_key().to_hex());
    let wrap = |to: &str| signed(&keys(9), 1059, &[&["p", to]], "");
    for (event, is_kept) in [
        (signed(&kim(), 1, &[], ""), true),
        (signed(&kim(), 4717, &[], ""), true),
        (signed(&kim(), 0, &[], ""), true),
        (signed(&kim(), 3, &[], ""), false),
        (signed(&kim(), 30_023, &[], ""), false),
        (signed(&stranger, 1, &[&["p", &us]], ""), false),
        (signed(&stranger, 4717, &[&["p", &us]], ""), false),
        (signed(&stranger, 10_050, &[], ""), false),
        (wrap(&us), true),
        (wrap(&nobody), false),
        (signed(&stranger, 24_133, &[&["p", &nobody]], ""), true),
    ] {
        assert_eq!(house(true).refuses(&event).is_none(), is_kept, "{event:?}");
        assert_eq!(house(false).refuses(&event), None);
    }
}
