use clap::Parser;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    init: InitArgs,
}

fn parse(dir: &Path, flags: &[&str]) -> InitArgs {
    let whole = ["init", "--dir", dir.to_str().unwrap()].into_iter().chain(flags.iter().copied());
    Line::try_parse_from(whole).unwrap_or_else(|error| panic!("{flags:?}: {error}")).init
}

fn users(name: &str) -> Option<u32> {
    ["root", "kim", "svc$"].iter().position(|known| *known == name).map(|at| at as u32)
}

#[test]
fn what_is_written_passes_the_check() {
    let elsewhere = tempfile::tempdir().unwrap();
    let state = elsewhere.path().join("x: y # z").display().to_string();
    for (flags, warnings) in [
        (vec!["--agent", "ada"], 0),
        (vec!["--agent", "ada=10.0.0.7=http://10.0.0.7:80/?a=b", "--user", "kim"], 0),
        (vec!["--agent", "ada==http://localhost:1", "--agent", "bob=[::1]", "--user", "1000"], 1),
        (vec!["--agent", "on", "--agent", "null", "--agent", "123", "--mission", "1e3=yes=on,null"], 0),
        (vec!["--agent", "a", "--agent", "b", "--mission", "forge=no=a", "--mission", "rest", "--user", "svc$"], 0),
        (vec!["--agent", "a", "--mission", "forge=", "--state", &state, "--user", "root"], 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("new/config");
        let gate = write(&parse(&dir, &flags), &users, 1234, None).unwrap();
        let loaded = config::load(&gate, &users).unwrap_or_else(|problems| panic!("{flags:?}\n{problems}"));
        assert_eq!(loaded.warnings.0.len(), warnings, "{flags:?}\n{}", loaded.warnings);
        assert_eq!(loaded.config.gate.people.len(), 1);
        assert!(loaded.config.gate.people[0].uid.is_some());
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 4, "no draft stays behind");
    }
}

#[test]
fn nothing_is_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("resurrection_pool.json");
    std::fs::write(&policy, "mine").unwrap();
    let error = write(&parse(folder.path(), &["--agent", "a"]), &users, 0, None).unwrap_err().to_string();
    assert!(error.contains("resurrection_pool.json is there already, and nothing was written"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    write(&parse(folder.path(), &["--agent", "a", "--force"]), &users, 0, None).unwrap();
    assert_ne!(std::fs::read_to_string(&policy).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn contradictions_are_refused() {
    for (flags, why) in [
        (vec![], "no agent was named"),
        (vec!["--agent", "a", "--agent", "a"], "named twice"),
        (vec!["--agent", "a", "--mission", "m=ask=b"], "names b, which is none of the agents"),
        (vec!["--agent", "a", "--mission", "m=ask=a", "--mission", "n=ask=a"], "a has two missions, m and n"),
        (vec!["--agent", "a", "--mission", "m", "--mission", "n"], "both name no agents"),
        (vec!["--agent", "a", "--mission", "m", "--mission", "m"], "the mission m was named twice"),
        (vec!["--agent", "a", "--user", "ghost"], "there is no user \"ghost\""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("c");
        let error = write(&parse(&dir, &flags), &users, 0, None).unwrap_err().to_string();
        assert!(error.contains(why), "{flags:?}: {error}");
        assert!(!dir.exists());
    }
    for bad in ["-x", "a=b c", "a=h=ftp://x", "a=h=nonsense", ""] {
        assert!(bad.parse::<Agent>().is_err(), "{bad}");
    }
    for bad in ["", "m=maybe", "m=ask=a b"] {
        assert!(bad.parse::<Mission>().is_err(), "{bad}");
    }
}

#[test]
fn the_questions_lead_to_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let answers = format!(
        "{}\n\nada=10.0.0.7=oops\nada=10.0.0.7=http://10.0.0.7/\nbob\n\nforge=maybe\nforge=yes\n\n0\n\n",
        folder.path().display()
    );
    let mut out = Vec::new();
    let users = Users::default();
    let args = ask(parse(Path::new("x"), &[]), &users, 7, &mut answers.as_bytes(), &mut out).unwrap();
    let said = String::from_utf8(out).unwrap();
    assert!(said.contains("at least one is needed") && said.contains("is no mode") && said.contains("[7]"), "{said}");
    assert_eq!((args.agents.len(), args.missions.len(), args.user.as_deref()), (2, 1, Some("0")));
    let gate = write(&args, &users, 7, None).unwrap();
    assert!(config::load(&gate, &users).is_ok());
    let cut = ask(parse(Path::new("x"), &[]), &users, 7, &mut "x\nada\n".as_bytes(), &mut Vec::new());
    assert!(cut.unwrap_err().to_string().contains("nothing was written"));
}

#[test]
fn a_bot_is_written_with_its_chat_and_its_person() {
    let folder = tempfile::tempdir().unwrap();
    let bot = Bot {
        token: "123456789:AAF-abcdefghijklmnopqrstuvwxyz_012345".into(),
        api_url: Some("http://127.0.0.1:9".into()),
        place: "-1001/12".parse().unwrap(),
        user: 4242,
    };
    let gate = write(&parse(folder.path(), &["--agent", "a", "--user", "kim"]), &users, 0, Some(&bot)).unwrap();
    let loaded = config::load(&gate, &users).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.0.is_empty(), "{}", loaded.warnings);
    let telegram = &loaded.config.gate.channels.telegram;
    assert!(telegram.enabled);
    assert_eq!((telegram.chats[CHAT].chat, telegram.chats[CHAT].topic), (-1001, Some(12)));
    assert_eq!(telegram.api_url, "http://127.0.0.1:9");
    assert_eq!(loaded.config.gate.people[0].telegram, Some(4242));
    let token = folder.path().join(TOKEN_FILE);
    assert_eq!(telegram.token_file.as_ref(), Some(&token));
    let mode = std::os::unix::fs::PermissionsExt::mode(&token.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    for file in ["lazarus-gate.yaml", "resurrection_pool.json"] {
        assert!(!std::fs::read_to_string(folder.path().join(file)).unwrap().contains("AAF"), "{file}");
    }
}
