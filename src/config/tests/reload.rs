//! What a reload finds.

use super::*;

#[test]
fn a_removal_counts_although_the_rest_is_broken() {
    let before = Folder::gate("people: {kim: {local_user: kim, approves: '*'}, lee: {local_user: lee, approves: '*'}}");
    let before = before.config().gate.people.clone();
    let seen = |text: &str| -> Option<PeopleSeen> {
        let folder = Folder::gate(text);
        load_people_only(&folder.path("lazarus-gate.yaml"), &users)
    };
    let left = |text: &str| -> Vec<(String, Option<u32>, bool)> {
        let left = seen(text).unwrap().narrow(&before);
        left.into_iter().map(|person| (person.id.into(), person.uid, person.approves == Approves::All)).collect()
    };
    let kim = ("kim".to_owned(), Some(1000), true);
    let lee = ("lee".to_owned(), Some(1001), true);
    // Another section is wrong, or is no YAML at all, or lee's own entry is wrong.
    assert_eq!(left("people:\n  kim: {local_user: kim, approves: '*'}\nlog: {level: x}\n"), std::slice::from_ref(&kim));
    assert_eq!(left("people:\n  kim: {local_user: kim, approves: '*'}\nlog: {{{ [\n"), std::slice::from_ref(&kim));
    assert_eq!(left("people:\n  lee: {local_user: 1001, telegram: oops}\nx: 1\n"), [lee]);
    // Less authority counts, more does not.
    let narrowed = left("people:\n  kim: {local_user: 77, approves: [forge]}\n  new: {local_user: 5, approves: '*'}\n");
    assert_eq!(narrowed, [("kim".to_owned(), None, false)]);
    assert_eq!(left("people: {}\nlog: [}\n"), []);
    // Nothing can be read there.
    for unreadable in [
        "",
        "people:\n",
        "people: 5\n",
        "log: {}\n",
        "people:\n  kim: {\n",
        "people: []\nlog: {[\n",
        "people:\n  lee: {local_user: lee}\nx: [\npeople:\n",
    ] {
        assert_eq!(seen(unreadable), None, "{unreadable}");
    }
    // Half-written: the block may go on, so its end is not known.
    assert_eq!(seen("log: [}\npeople:\n  kim: {local_user: kim}\n"), None);
}

#[test]
fn a_reload_tells_what_changed() {
    let folder = Folder::gate(
        "people: {kim: {local_user: kim, approves: '*'}, lee: {local_user: 5}}\nschedule: {interval: 30s, heartbeat_url: 'https://a/secret'}\n",
    );
    let old = folder.config();
    assert_eq!(diff(&old, &folder.config()), Vec::<String>::new());
    folder.write(
        "lazarus-gate.yaml",
        "people: {kim: {local_user: kim, approves: [forge, archive]}, ann: {local_user: 6}}\nschedule: {interval: 20s, heartbeat_url: 'https://b/secret'}\nobserve: true\n",
    );
    folder.write("lazarus-registry.yaml", format!("{}  cy: {{host: ''}}\n", REGISTRY.replace("10.0.0.7", "10.0.0.8")));
    folder.write(
        "resurrection_pool.json",
        r#"{"dead_timeout_seconds": 5, "agents": {"ada": {"mode": "ask"}}, "default_policy": {"mode": "ask"}}"#,
    );
    let people = "cy";
    folder.write(
        "lazarus-gate.yaml",
        std::fs::read_to_string(folder.path("lazarus-gate.yaml"))
            .unwrap()
            .replace("[forge, archive]", &format!("[forge, archive, {people}]")),
    );
    assert_eq!(
        diff(&old, &folder.config()),
        [
            "observe is now true (was not set)",
            "people.ann was added",
            "people.kim.approves is now [\"forge\",\"archive\",\"cy\"] (was \"*\")",
            "people.lee was removed",
            "schedule.heartbeat_url changed",
            "schedule.interval is now \"20s\" (was \"30s\")",
            "agent bob changed in the registry",
            "agent cy is new in the registry",
            "policy: dead_timeout_seconds is now 5 (was 600)",
            "agent ada is new in the policy",
        ]
    );
}
