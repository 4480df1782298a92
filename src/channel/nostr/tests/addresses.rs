use super::*;

#[test]
fn only_what_everybody_can_reach_is_public() {
    for public in
        ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "100.128.0.1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
    {
        assert!(address::is_public(public.parse().unwrap()), "{public}");
    }
    for other in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2001:db8::1",
        "2001::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "ff02::1",
    ] {
        assert!(!address::is_public(other.parse().unwrap()), "{other}");
    }
}

#[test]
fn of_a_list_the_first_few_relays_count() {
    let list = |tags: &[&[&str]]| {
        let list = Verified::new(signed(&kim(), 10_050, tags, "")).unwrap();
        lists::inbox_relays(&list).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let tags: &[&[&str]] = &[
        &["relay", "wss://a.example"],
        &["relay", "wss://a.example/"],
        &["relay", "http://b.example"],
        &["relay", "no relay"],
        &["relay"],
        &["r", "wss://c.example"],
        &["relay", "ws://d.example:7447"],
    ];
    assert_eq!(list(tags), ["wss://a.example", "ws://d.example:7447"]);
    let many: Vec<String> = (0..50).map(|number| format!("wss://{number}.example")).collect();
    let many: Vec<[&str; 2]> = many.iter().map(|url| ["relay", url.as_str()]).collect();
    let many: Vec<&[&str]> = many.iter().map(<[&str; 2]>::as_slice).collect();
    assert_eq!(list(&many).len(), lists::RELAYS_MAX);
    let note = Verified::new(signed(&kim(), 1, tags, "")).unwrap();
    assert_eq!(lists::inbox_relays(&note), []);
}

#[test]
fn what_we_say_of_ourselves() {
    let relays = [nostr_sdk::RelayUrl::parse("wss://r.example").unwrap()];
    let [profile, relay_list, inbox] = lists::own(us().public_key(), "gate", &relays, Seconds::from(NOW));
    assert!(profile.content.contains("\"name\":\"gate\""));
    assert_eq!((profile.kind.as_u16(), relay_list.kind.as_u16(), inbox.kind.as_u16()), (0, 10_002, 10_050));
    assert_eq!(relay_list.tags.first().unwrap().as_slice(), ["r", "wss://r.example"]);
    assert_eq!(inbox.tags.first().unwrap().as_slice(), ["relay", "wss://r.example"]);
}
