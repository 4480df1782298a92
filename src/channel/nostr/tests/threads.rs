use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

#[test]
fn the_parent_is_found_as_clients_write_it() {
    for (name, kind, tags, parent) in [
        ("a direct reply", 1, &[&["e", A, "", "root"] as &[&str]] as &[&[&str]], Some(A)),
        ("a deeper one", 1, &[&["e", A, "", "root"], &["e", B, "", "reply"]], Some(B)),
        ("the other way round", 1, &[&["e", B, "", "reply"], &["e", A, "", "root"]], Some(B)),
        ("a lone reply", 1, &[&["e", A, "", "reply"]], Some(A)),
        ("positional", 1, &[&["e", A], &["e", C], &["e", B, "wss://r"]], Some(B)),
        ("a mention is no parent", 1, &[&["e", A, "", "mention"]], None),
        ("nor is a quote", 1, &[&["q", A]], None),
        ("nothing", 1, &[], None),
        ("no id", 1, &[&["e", "x", "", "root"]], None),
        ("an empty tag", 1, &[&["e"]], None),
        ("a comment", 1111, &[&["E", A], &["K", "1"], &["e", B], &["k", "1"]], Some(B)),
        ("a private message", 14, &[&["e", A]], Some(A)),
        ("a private one with a mark", 14, &[&["e", A, "", "reply"]], Some(A)),
        ("a private quote", 14, &[&["q", A]], Some(A)),
        ("a private reply with a quote", 14, &[&["e", A], &["q", B]], Some(A)),
        ("a reaction takes the last", 7, &[&["e", A], &["e", B]], Some(B)),
    ] {
        let said = said(&kim(), kind, tags, "approve");
        assert_eq!(Thread::of(&said).parent.as_deref(), parent, "{name}");
    }
}

#[test]
fn all_that_is_named_is_known() {
    let named = |kind, tags: &[&[&str]]| Thread::of(&said(&kim(), kind, tags, "approve")).named;
    assert_eq!(named(1, &[&["e", A, "", "root"], &["e", B, "", "mention"]]), [A, B]);
    assert_eq!(named(1, &[&["e", A, "", "root"], &["q", B]]), [A], "a quote names nothing in the open");
    assert_eq!(named(14, &[&["e", A], &["q", B]]), [A, B]);
    assert_eq!(named(1111, &[&["E", A], &["e", B]]), [B, A]);
}

#[test]
fn few_reactions_say_anything() {
    for (content, expected) in [
        ("+", Some(Reaction::Approve)),
        ("👍", Some(Reaction::Approve)),
        ("👍🏽", Some(Reaction::Approve)),
        ("✅", Some(Reaction::Approve)),
        ("-", Some(Reaction::Deny)),
        ("👎🏿", Some(Reaction::Deny)),
        ("❌\u{fe0f}", Some(Reaction::Deny)),
        ("", None),
        ("🤙", None),
        ("❤️", None),
        (":approve:", None),
        ("++", None),
        ("approve", None),
    ] {
        assert_eq!(reaction(content), expected, "{content}");
    }
}

#[test]
fn whom_a_line_addresses_is_not_part_of_it() {
    let npub = npub(&us().public_key().to_hex());
    for (content, expected) in [
        ("  approve 7K3QXM\n", "approve 7K3QXM".to_owned()),
        (&format!("nostr:{npub} deny because of\nthat"), "deny because of\nthat".to_owned()),
        (&format!("@{npub}\n\nnostr:nprofile1xyz approve"), "approve".to_owned()),
        (&format!("nostr:{npub}"), format!("nostr:{npub}")),
    ] {
        assert_eq!(line(content), expected);
    }
    assert_eq!(line(&"x".repeat(70_000)).len(), 2_000);
}
