use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::servers::{Server, status, write_program};
use crate::pool::{AgentName, Timestamp};
use crate::probe::answer::{GatewayAnswer, GatewayFault, UnitAnswer, UnitSilence};
use crate::probe::descriptors::DescriptorBudget;
use crate::probe::http::{HttpProber, HttpSettings};
use crate::probe::sweep::{Clock, Progress, Sweeper, Target};
use crate::probe::systemd::{Systemd, SystemdSettings};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

/// Each reading is one later than the last.
fn counting_clock() -> Clock {
    let next = AtomicI64::new(0);
    Arc::new(move || Timestamp::from_millis(next.fetch_add(1, Ordering::SeqCst)))
}

fn sweeper(deadline: Duration, slots: usize, systemd: Option<Systemd>) -> Sweeper {
    let http = HttpProber::new(&HttpSettings { deadline, ..HttpSettings::default() }).unwrap();
    let budget = DescriptorBudget { slots, ..DescriptorBudget::of_limit(20_000, 1024) };
    Sweeper::new(http, systemd, budget, counting_clock())
}

fn target(agent: &str, url: Option<&str>, unit: Option<&str>) -> Target {
    Target { agent: AgentName::new(agent).unwrap(), gateway_url: url.map(Into::into), unit: unit.map(Into::into) }
}

fn answered(status: u16) -> Option<GatewayAnswer> {
    Some(GatewayAnswer::Answered { status })
}

#[tokio::test]
async fn everyone_gets_the_signals_they_have() {
    let server = Server::answering(|_, path| status(if path == "/sick" { 503 } else { 200 })).await;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("systemctl");
    write_program(&program, "#!/bin/sh\nprintf 'Id=%s\\nActiveState=active\\nSubState=running\\n' \"$4\"\n");
    let systemd = Systemd::new(SystemdSettings { program, deadline: LONG });
    let targets = [
        target("both", Some(&server.url("/")), Some("both.service")),
        target("web", Some(&server.url("/sick")), None),
        target("none", None, None),
        target("empty", Some(""), None),
        target("bad", Some("file:///etc/passwd"), Some("; rm")),
    ];
    let told = Mutex::new(Vec::new());
    let sweeper = sweeper(LONG, 10, Some(systemd));
    let seen = sweeper.sweep_telling(&targets, &|progress| told.lock().unwrap().push(progress)).await;

    let order: Vec<&str> = seen.iter().map(|(agent, _)| agent.as_str()).collect();
    assert_eq!(order, ["both", "web", "none", "empty", "bad"]);
    let of = |agent: usize| &seen[agent].1;
    assert_eq!(of(0).gateway, answered(200));
    assert_eq!(of(0).service.as_ref().and_then(UnitAnswer::alive), Some(true));
    assert_eq!((&of(1).gateway, &of(1).service), (&answered(503), &None));
    assert_eq!((&of(2).gateway, &of(2).service), (&None, &None));
    assert_eq!((&of(3).gateway, &of(3).service), (&None, &None));
    assert!(matches!(of(4).gateway, Some(GatewayAnswer::Unreachable { why: GatewayFault::Address(_) })));
    assert_eq!(of(4).service, Some(UnitAnswer::NoAnswer { why: UnitSilence::BadName }));
    assert!(seen.iter().all(|(_, signals)| signals.begun <= signals.ended));
    assert_eq!(told.lock().unwrap().last(), Some(&Progress { done: 5, total: 5 }));
}

#[tokio::test]
async fn without_a_service_manager_there_is_no_service_signal() {
    let seen = sweeper(LONG, 10, None).sweep(&[target("a", None, Some("a.service"))]).await;
    assert_eq!(seen[0].1.service, None);
    let one = sweeper(LONG, 10, None).probe_one(&target("a", None, Some("a.service")), SHORT).await;
    assert_eq!(one.service, None);
}

#[tokio::test]
async fn agents_behind_one_address_share_one_question() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let server = Server::answering(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        status(200)
    })
    .await;
    let targets: Vec<Target> =
        (0..100).map(|n| target(&format!("a{n}"), Some(&server.url(if n < 50 { "/x" } else { "/y" })), None)).collect();
    let seen = sweeper(LONG, 10, None).sweep(&targets).await;
    assert!(seen.iter().all(|(_, signals)| signals.gateway == answered(200)));
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_silent_minority_delays_nobody_else() {
    let server = Server::answering(|_, path| if path.starts_with("/hole") { None } else { status(200) }).await;
    let targets: Vec<Target> = (0..200)
        .map(|n| {
            let path = if n % 10 == 0 { format!("/hole{n}") } else { format!("/{n}") };
            target(&format!("a{n}"), Some(&server.url(&path)), None)
        })
        .collect();
    // Long enough for whoever answers on a machine that has much else to do.
    let patience = Duration::from_millis(1500);
    let sweeper = sweeper(patience, 40, None);
    // Twice: in the second sweep the silent ones are known and asked last.
    for _ in 0..2 {
        let seen = sweeper.sweep(&targets).await;
        for (n, (_, signals)) in seen.iter().enumerate() {
            let silent = Some(GatewayAnswer::Unreachable { why: GatewayFault::Silent(patience) });
            assert_eq!(signals.gateway, if n % 10 == 0 { silent } else { answered(200) }, "{n}");
        }
    }
}

#[tokio::test]
async fn who_was_silent_is_asked_last() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = asked.clone();
    let server = Server::answering(move |_, path| {
        heard.lock().unwrap().push(path.to_owned());
        if path == "/a" { None } else { status(200) }
    })
    .await;
    let targets = ["/a", "/b", "/c"].map(|path| target(&path[1..], Some(&server.url(path)), None));
    let sweeper = sweeper(SHORT, 1, None);
    sweeper.sweep(&targets).await;
    sweeper.sweep(&targets).await;
    assert_eq!(*asked.lock().unwrap(), ["/a", "/b", "/c", "/b", "/c", "/a"]);
}

#[tokio::test]
async fn kept_connections_stay_within_the_descriptors() {
    let servers = [
        Server::answering(|_, _| status(200)).await,
        Server::answering(|_, _| status(200)).await,
        Server::answering(|_, _| status(200)).await,
    ];
    let targets: Vec<Target> =
        servers.iter().enumerate().map(|(n, server)| target(&format!("a{n}"), Some(&server.url("/")), None)).collect();
    for (for_probes, kept) in [(100, 3), (5, 2), (3, 0), (1, 0)] {
        let http = HttpProber::new(&HttpSettings { deadline: LONG, ..HttpSettings::default() }).unwrap();
        let budget = DescriptorBudget { for_probes, ..DescriptorBudget::of_limit(20_000, 1024) };
        let sweeper = Sweeper::new(http, None, budget, counting_clock());
        let before: usize = servers.iter().map(Server::connections).sum();
        sweeper.sweep(&targets).await;
        sweeper.sweep(&targets).await;
        let opened = servers.iter().map(Server::connections).sum::<usize>() - before;
        assert_eq!(opened, 6 - kept, "{for_probes}");
    }
}

#[tokio::test]
async fn one_probe_is_on_a_connection_of_its_own() {
    let server = Server::answering(|_, _| status(200)).await;
    let sweeper = sweeper(LONG, 10, None);
    let agent = target("a", Some(&server.url("/")), None);
    sweeper.sweep(std::slice::from_ref(&agent)).await;
    let signals = sweeper.probe_one(&agent, LONG).await;
    assert_eq!((signals.gateway, server.connections()), (answered(200), 2));
    let signals = sweeper.probe_one(&target("b", None, None), LONG).await;
    assert_eq!((signals.gateway, signals.service), (None, None));
}

#[tokio::test]
async fn looks_at_the_same_time_share_calls_of_systemctl() {
    let folder = tempfile::tempdir().unwrap();
    let (program, calls) = (folder.path().join("systemctl"), folder.path().join("calls"));
    let script = format!(
        "#!/bin/sh\nshift 3\necho $# >> '{}'\nfor unit; do printf 'Id=%s\\nActiveState=active\\n\\n' \"$unit\"; done\n",
        calls.display()
    );
    write_program(&program, &script);
    let sweeper = sweeper(LONG, 10, Some(Systemd::new(SystemdSettings { program, deadline: LONG })));
    let targets: Vec<Target> =
        (0..300).map(|n| target(&format!("a{n}"), None, Some(&format!("a{n}.service")))).collect();
    let seen = futures_util::future::join_all(targets.iter().map(|target| sweeper.probe_one(target, LONG))).await;
    assert!(seen.iter().all(|signals| signals.service.as_ref().and_then(UnitAnswer::alive) == Some(true)));
    // The first asks at once; those who came meanwhile share the next calls.
    assert_eq!(std::fs::read_to_string(calls).unwrap(), "1\n200\n99\n");
}

#[tokio::test]
async fn a_look_that_is_called_off_leaves_nobody_without_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (program, go_on) = (folder.path().join("systemctl"), folder.path().join("go-on"));
    let script = format!(
        "#!/bin/sh\nwhile [ ! -e '{}' ]; do sleep 0.05; done\nshift 3\n\
         for unit; do printf 'Id=%s\\nActiveState=active\\n\\n' \"$unit\"; done\n",
        go_on.display()
    );
    write_program(&program, &script);
    let sweeper = sweeper(LONG, 10, Some(Systemd::new(SystemdSettings { program, deadline: LONG })));
    let (a, b) = (target("a", None, Some("a.service")), target("b", None, Some("b.service")));
    let late = sweeper.probe_one(&a, SHORT).await;
    assert!(matches!(late.service, Some(UnitAnswer::NoAnswer { why: UnitSilence::TimedOut(of) }) if of == SHORT));
    let mut first = Box::pin(sweeper.probe_one(&a, LONG));
    let second = sweeper.probe_one(&b, LONG);
    tokio::pin!(second);
    // Both are under way; then the one that put the call is dropped.
    let both = async { tokio::join!(&mut first, &mut second) };
    assert!(tokio::time::timeout(SHORT, both).await.is_err());
    drop(first);
    std::fs::write(&go_on, "").unwrap();
    let seen = second.await;
    assert_eq!(seen.service.as_ref().and_then(UnitAnswer::alive), Some(true));
}
