//! The shipped files, the documents, and what loading costs.

use super::*;

#[test]
fn what_is_shipped_has_no_error() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/lazarus-gate.yaml");
    let loaded = load(&shipped, &users).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.config.gate.channels.targets("telegram").contains(&"ops-room"));
    assert!(loaded.config.gate.channels.targets("nostr").contains(&"nostr-ops"));
    assert_eq!(loaded.config.registry.fleet.len(), 4);
}

/// What is commented out in the shipped file shows the defaults, and means what it seems to.
#[test]
fn the_commented_keys_of_the_shipped_file_are_the_defaults() {
    let shipped = include_str!("../../../config/lazarus-gate.yaml");
    for section in ["schedule", "timing", "mission", "retention", "log"] {
        let start = shipped.find(&format!("# {section}:\n")).unwrap_or_else(|| panic!("{section}"));
        let mut lines = vec![PEOPLE.to_owned(), format!("{section}:\n")];
        for line in shipped[start..].lines().skip(1).take_while(|line| line.starts_with("#   ")) {
            if !line.contains("heartbeat_url") {
                lines.push(format!("{}\n", &line[1..]));
            }
        }
        assert!(lines.len() > 3, "{section}");
        let folder = Folder::gate(&lines.concat());
        let (mut spelled, mut default) = ((*folder.config().gate).clone(), (*Folder::new().config().gate).clone());
        (spelled.files, spelled.people) = (default.files.clone(), std::mem::take(&mut default.people));
        assert_eq!(
            format!("{spelled:?}"),
            format!("{:?}", crate::config::gate::Gate { people: spelled.people.clone(), ..default })
        );
    }
}

/// How much loading and checking costs beside the bare parse: `cargo test --release -- --ignored --nocapture beside_the_bare`.
#[test]
#[ignore = "prints figures; run it alone and optimised"]
fn load_and_check_beside_the_bare_parse() {
    let mut registry = String::from("provider_health_matrix: {p: {status: healthy}}\nfleet:\n");
    for at in 0..10_000 {
        registry.push_str(&format!(
            "  agent-{at}:\n    host: 10.0.{}.{}\n    mission: mission-{}\n    primary: {{provider: p, model: m}}\n    \
             health_endpoints:\n      gateway: http://10.0.{}.{}:8645/health\n    substitutes: [agent-{}, agent-{}]\n",
            at / 250,
            at % 250,
            at % 50,
            at / 250,
            at % 250,
            (at + 1) % 10_000,
            (at + 2) % 10_000,
        ));
    }
    let folder = Folder::new();
    folder.write("lazarus-registry.yaml", &registry);
    let best = |work: &dyn Fn()| {
        (0..9)
            .map(|_| {
                let start = std::time::Instant::now();
                work();
                start.elapsed()
            })
            .min()
            .unwrap()
    };
    let structs = best(&|| {
        serde_yaml::from_str::<serde::de::IgnoredAny>(&registry).unwrap();
    });
    let bare = best(&|| drop(serde_yaml::from_str::<serde_yaml::Value>(&registry).unwrap()));
    let strict = best(&|| drop(yaml_to_value(&registry).unwrap()));
    let whole = best(&|| drop(folder.load().unwrap()));
    println!(
        "parse alone {structs:?}, into values {bare:?}, strictly into values {strict:?}, load and check {whole:?}"
    );
    folder.write("lazarus-registry.yaml", registry.replace("substitutes", "substitute"));
    println!("with 10,000 warnings {:?}", best(&|| drop(folder.load().unwrap())));
}

#[test]
fn every_key_is_in_the_documents() {
    let docs = include_str!("../../../docs/configuration.md");
    let shipped = include_str!("../../../config/lazarus-gate.yaml");
    let keys = shipped.lines().filter_map(|line| {
        let line = line.trim_start_matches(['#', ' ', '-']);
        let (key, _) = line.split_once(':')?;
        (!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then_some(key)
    });
    let examples = ["kim", "root", "timmy"];
    for key in keys.filter(|key| !examples.contains(key)) {
        let documented = [format!("`{key}`"), format!(".{key}`"), format!("`{key}."), format!(".{key}.")];
        assert!(documented.iter().any(|form| docs.contains(form)), "docs/configuration.md does not name {key}");
    }
}

/// A person who reads the shipped configuration should know of each warning, and why it is there.
#[test]
fn the_shipped_warnings_are_the_expected_ones() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/lazarus-gate.yaml");
    let loaded = load(&shipped, &users).unwrap_or_else(|problems| panic!("{problems}"));
    let said: Vec<_> = loaded.warnings.0.iter().map(|problem| problem.message.as_str()).collect();
    let off = |channel| {
        format!(
            "`approval_channels.{channel}`: the channel is off in the gateway's file; people are asked on terminal only"
        )
    };
    assert_eq!(said, [off("telegram"), off("nostr")]);
}
