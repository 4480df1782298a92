use insta::assert_snapshot;
use serde_json::json;

use super::notices::events;
use super::*;
use crate::incident::{Awaited, Keeper, Refusal};

fn dispositions() -> Vec<Disposition> {
    let all = vec![
        Disposition::New,
        Disposition::Asking { request: request_id() },
        Disposition::Snoozed { until: later(60) },
        Disposition::Held { by: Keeper::Hold },
        Disposition::Held { by: Keeper::Observe },
        Disposition::Reviving { execution: execution_id(), action: Action::Restart },
        Disposition::Recovering { since: ago(1) },
        Disposition::Substituted { by: agent("timmy") },
        Disposition::Denied { by: kim() },
        Disposition::Suppressed,
        Disposition::Waiting { for_: Awaited::Time { until: later(5) } },
        Disposition::Waiting { for_: Awaited::Answer },
        Disposition::Waiting { for_: Awaited::OtherExecution },
        Disposition::GaveUp,
    ];
    covers(&all, 11, |disposition| match disposition {
        Disposition::New => 0,
        Disposition::Asking { .. } => 1,
        Disposition::Snoozed { .. } => 2,
        Disposition::Held { .. } => 3,
        Disposition::Reviving { .. } => 4,
        Disposition::Recovering { .. } => 5,
        Disposition::Substituted { .. } => 6,
        Disposition::Denied { .. } => 7,
        Disposition::Suppressed => 8,
        Disposition::Waiting { .. } => 9,
        Disposition::GaveUp => 10,
    });
    all
}

fn explained(facts: Option<&AgentFacts>, incident: Option<&Incident>, setting: &Setting) -> String {
    let (request, agent) = (request(), agent("ezra"));
    let running = execution(Action::Restart, ExecutionState::Running { since: NOW });
    let reviving = incident.is_some_and(|one| matches!(one.disposition, Disposition::Reviving { .. }));
    let of = Explained {
        agent: &agent,
        facts,
        timeout: Duration::from_secs(600),
        incident,
        request: incident.map(|_| &request),
        execution: Some(&running).filter(|_| reviving),
        attempts_max: 3,
    };
    explain(&of, setting, NOW)
}

#[test]
fn why_each_open_incident_stands_as_it_does() {
    let texts = dispositions().into_iter().map(|disposition| {
        let name = disposition.word().to_owned();
        let incident = Incident { disposition, ..incident() };
        (name, explained(Some(&facts()), Some(&incident), &setting()))
    });
    assert_snapshot!(table(texts), @r"
    -- new
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    It is planned at the next tick.
    -- asking
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    People are asked by the request 7K3QXM; it expires at 07:04:06 CEST. It takes an
      answer: `show 7K3QXM`.
    -- snoozed
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Snoozed until 07:05:06 CEST; nobody is asked anew before that. The request
      7K3QXM can be answered all the same.
    -- held
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    It would be acted on, but nothing runs: executions are on hold.
    -- held
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    It would be acted on, but nothing runs: this gateway only observes.
    -- reviving
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Under way: restarting ezra. Restarting ezra since 06:05:06 CEST; its command has
      not ended yet.
    -- recovering
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Healthy again since 06:04:06 CEST; the incident closes if it stays so.
    -- substituted
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    timmy does its work. Nothing more is done until timmy dies, or ezra is healthy.
    -- denied
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Denied by kim. Nothing is done until it was healthy, or an approver says
      `ask ezra`.
    -- suppressed
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Nothing is done and nobody is asked, because the policy says no. Another mode in
      the policy file changes that.
    -- waiting
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Waits for 06:10:06 CEST, before the next attempt or request. `ask ezra` asks
      people at once.
    -- waiting
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Waits for an answer from its health signals. No answer is no evidence: nothing
      new is begun meanwhile.
    -- waiting
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    Waits for the end of another execution that touches it.
    -- gave_up
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    There is nothing the gateway could do: it cannot be restarted from here, and no
      substitute is healthy and free. It goes on as soon as there is a template or a
      substitute.
    ");
}

#[test]
fn why_an_agent_that_is_not_dead_is_left_alone() {
    let healths = vec![
        Health::Healthy,
        Health::Unhealthy(vec![Reason::PrimaryDead]),
        Health::Unknown("systemctl timed out".into()),
        Health::Unobservable,
    ];
    covers(&healths, 4, |health| match health {
        Health::Healthy => 0,
        Health::Unhealthy(_) => 1,
        Health::Unknown(_) => 2,
        Health::Unobservable => 3,
    });
    let mut texts: Vec<_> = healths
        .into_iter()
        .map(|health| {
            let name = health.word().to_owned();
            let healthy_since = health.is_healthy().then_some(ago(90));
            let facts = AgentFacts { health, healthy_since, ..facts() };
            (name, explained(Some(&facts), None, &setting()))
        })
        .collect();
    texts.push(("not in the registry".into(), explained(None, None, &setting())));
    texts.push(("left the registry".into(), explained(None, Some(&incident()), &setting())));
    assert_snapshot!(table(texts), @r"
    -- healthy
    ezra: healthy since 04:35:06 CEST.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Nothing is to be done.
    -- unhealthy
    ezra: unhealthy: primary_dead.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Not taken for dead yet (last healthy at 05:53:06 CEST): that takes 10 min
      without health, and two unhealthy probes in an unbroken watch.
    -- unknown
    ezra: unknown, its signals give no answer: systemctl timed out.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    Nothing is done without an answer: unknown is no evidence of death. After 10 min
      it becomes an alarm.
    -- unobservable
    ezra: unobservable: it has no health signal at all.
    Policy for the mission 'archive': ask. On this machine; can be restarted; could
      take over: timmy.
    It can never be taken for dead. Give it a gateway URL or a unit in the registry.
    -- not in the registry
    ezra: the registry has no such agent, so it is neither watched nor revived.
    -- left the registry
    ezra: the registry has no such agent, so it is neither watched nor revived.
    Its death of 06:04:06 CEST is closed soon.
    ");
}

#[test]
fn why_a_yes_asks_and_what_keeps_things_from_running() {
    let yes = AgentFacts {
        mode: crate::pool::Mode::Yes,
        host: Some("10.0.0.7".into()),
        local: false,
        can_restart: false,
        ..facts()
    };
    let tallies = [
        ("attempts", Tally { attempts: 3, ..Tally::default() }),
        ("unknown", Tally { attempts: 1, may_still_run: true, ..Tally::default() }),
        ("by hand", Tally { asked_by_hand: true, ..Tally::default() }),
    ];
    let mut texts: Vec<_> = tallies
        .map(|(name, tally)| {
            (name.to_owned(), explained(Some(&yes), Some(&Incident { tally, ..incident() }), &setting()))
        })
        .into();
    let provider = Incident { reasons: vec![Reason::PrimaryDead], ..incident() };
    texts.push(("the provider".into(), explained(Some(&yes), Some(&provider), &setting())));
    let approved = Standing::ApprovedNotRun { request: request_id() };
    let held = Incident { standing: approved, disposition: Disposition::Held { by: Keeper::Hold }, ..incident() };
    texts.push(("on hold".into(), explained(Some(&yes), Some(&held), &on_hold())));
    assert_snapshot!(table(texts), @r"
    -- attempts
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': yes (acts by itself). On remote host 10.0.0.7;
      cannot be restarted from here; could take over: timmy. Yet people are asked: 3
      attempts did not help.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    People are asked by the request 7K3QXM; it expires at 07:04:06 CEST. It takes an
      answer: `show 7K3QXM`.
    -- unknown
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': yes (acts by itself). On remote host 10.0.0.7;
      cannot be restarted from here; could take over: timmy. Yet people are asked:
      nobody can say what the last command did.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    People are asked by the request 7K3QXM; it expires at 07:04:06 CEST. It takes an
      answer: `show 7K3QXM`.
    CARE: a command of an earlier attempt MAY STILL BE RUNNING; nobody can say what
      it did. Look before you approve another one.
    -- by hand
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': yes (acts by itself). On remote host 10.0.0.7;
      cannot be restarted from here; could take over: timmy. Yet people are asked:
      an approver wanted it.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    People are asked by the request 7K3QXM; it expires at 07:04:06 CEST. It takes an
      answer: `show 7K3QXM`.
    -- the provider
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': yes (acts by itself). On remote host 10.0.0.7;
      cannot be restarted from here; could take over: timmy. Yet people are asked:
      only its model provider is bad, and a restart does not mend that.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    People are asked by the request 7K3QXM; it expires at 07:04:06 CEST. It takes an
      answer: `show 7K3QXM`.
    -- on hold
    ezra: unhealthy: gateway_unreachable.
    Policy for the mission 'archive': yes (acts by itself). On remote host 10.0.0.7;
      cannot be restarted from here; could take over: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later
      (limit 10 min).
    It was approved, and is not run: executions are on hold.
    ON HOLD: nothing runs until somebody says `release`; an approval is recorded,
      not run. Held by kim since 05:35:06 CEST: moving racks.
    ");
}

fn view() -> StatusView {
    let incidents = dispositions().into_iter().map(|disposition| IncidentView {
        agent: agent("ezra"),
        mission: mission("archive"),
        opened_at: ago(1),
        code: matches!(disposition, Disposition::Asking { .. }).then_some(request().code),
        disposition,
    });
    StatusView {
        daemon_since: Some(ago(3000)),
        sweep: Some(SweepView { ended_at: ago(0), took: Duration::from_millis(1_230), late: Duration::from_secs(4) }),
        health: HealthCounts { healthy: 997, unhealthy: 2, unknown: 1, unobservable: 0 },
        incidents: incidents.collect(),
        executions: vec![LiveExecution {
            id: execution_id(),
            agent: agent("bezalel"),
            action: Action::Restart,
            state: "running".into(),
            ready_at: ago(0),
        }],
        damaged: vec!["incidents.body of 0199-ac: missing field `id`".into()],
        messages_due: 2,
        set_aside: vec![InputId("0199-ab".into())],
        alarms: vec![AlarmView { at: ago(5), alarm: Alarm::SweepLate { by: Duration::from_secs(4) } }],
        relays: Vec::new(),
        tasks: vec![
            TaskView { name: "expiry".into(), state: "nothing due".into(), at: Some(ago(0)) },
            TaskView { name: "probe".into(), state: "sweeping".into(), at: None },
        ],
    }
}

#[test]
fn the_status() {
    assert_snapshot!(status_text(&view(), &on_hold(), NOW), @r"
    Daemon: at work since 2026-04-13 04:05:06 CEST.
    ON HOLD: nothing runs until somebody says `release`; an approval is recorded, not run. Held by kim since 05:35:06 CEST: moving racks.
    Last sweep: 06:05:06 CEST, took 1.2 s, 4 s late.
    Agents: 997 healthy, 2 unhealthy, 1 unknown, 0 unobservable.
    Open incidents: 14
      ezra ('archive'): dead since 06:04:06 CEST; to be planned
      ezra ('archive') [7K3QXM]: dead since 06:04:06 CEST; people are asked
      ezra ('archive'): dead since 06:04:06 CEST; snoozed until 07:05:06 CEST
      ezra ('archive'): dead since 06:04:06 CEST; on hold
      ezra ('archive'): dead since 06:04:06 CEST; observed only
      ezra ('archive'): dead since 06:04:06 CEST; under way: restart ezra
      ezra ('archive'): dead since 06:04:06 CEST; healthy again since 06:04:06 CEST
      ezra ('archive'): dead since 06:04:06 CEST; timmy does its work
      ezra ('archive'): dead since 06:04:06 CEST; denied by kim
      ezra ('archive'): dead since 06:04:06 CEST; nothing is done: the policy says no
      ezra ('archive'): dead since 06:04:06 CEST; waits for 06:10:06 CEST, before the next attempt or request
      ezra ('archive'): dead since 06:04:06 CEST; waits for an answer from its health signals
      ezra ('archive'): dead since 06:04:06 CEST; waits for the end of another execution that touches it
      ezra ('archive'): dead since 06:04:06 CEST; cannot be revived from here
    Executions: 1
      bezalel: restart, running (since 06:05:06 CEST)
    CANNOT BE READ: 1
      incidents.body of 0199-ac: missing field `id`
    Alarms: 1
      06:00:06 CEST  [sweep_late] the probes are 4 s behind their schedule. Deaths are noticed later. Is this machine overloaded, or `interval` too short for the fleet?
    Inputs set aside (`inbox retry ID`): 0199-ab.
    Messages not sent yet: 2.
    Tasks: 2
      expiry: nothing due (06:05:06 CEST)
      probe: sweeping
    ");
    assert_snapshot!(status_text(&StatusView::default(), &setting(), NOW), @r"
    Daemon: NOT RUNNING. What follows is what the store last knew.
    Last sweep: none has ended yet.
    Agents: 0 healthy, 0 unhealthy, 0 unknown, 0 unobservable.
    Open incidents: none.
    Executions: none.
    Alarms: none.
    Messages not sent yet: 0.
    Tasks: none.
    ");
    let kept = serde_json::to_string(&view()).unwrap();
    assert_eq!(serde_json::from_str::<StatusView>(&kept).unwrap(), view());
}

#[test]
fn what_is_pending() {
    let one = PendingView { request: request(), opened_at: ago(1), snoozed_until: None };
    let undelivered = RequestState::Pending { expires: None };
    let two = PendingView {
        request: Request { state: undelivered, offers: Offers::default(), ..request() },
        opened_at: ago(2000),
        snoozed_until: Some(later(30)),
    };
    assert_snapshot!(pending_text(&[one, two], &[], &setting(), NOW), @r"
    7K3QXM  ezra ('archive'): dead since 06:04:06 CEST; expires at 07:04:06 CEST; offers: restart, substitute timmy
    7K3QXM  ezra ('archive'): dead since 2026-04-13 20:45:06 CEST; has reached nobody yet; snoozed until 06:35:06 CEST; offers: nothing to run
    2 requests: `show CODE` shows one, with the answers it takes.
    ");
    assert_snapshot!(pending_text(&[], &[], &setting(), NOW), @"Nothing is asked.");
    let damaged = ["requests.body of 0199-ab: missing field `id`".to_owned()];
    assert_snapshot!(pending_text(&[], &damaged, &setting(), NOW), @"CANNOT BE READ: requests.body of 0199-ab: missing field `id`");
}

#[test]
fn the_journal_in_words() {
    let ezra = agent("ezra");
    let with_version = |mut body: serde_json::Value| {
        body["v"] = json!(1);
        body
    };
    let alarm = with_version(serde_json::to_value(Alarm::DescriptorsCapped { slots: 768 }).unwrap());
    let mut refused = with_version(serde_json::to_value(Refusal::Busy).unwrap());
    refused["by"] = json!("kim");
    let newer = json!({"v": 2, "event": "levitated", "height_m": 3, "why": "\u{1b}[2Jmagic"});
    let lines = [
        journal_line("descriptors_capped", None, &alarm, ago(1), &setting(), NOW),
        journal_line("refused", Some(&ezra), &refused, ago(1), &setting(), NOW),
        journal_line("levitated", Some(&ezra), &newer, ago(2000), &setting(), NOW),
        journal_line("odd", None, &json!("text"), ago(1), &setting(), NOW),
    ];
    assert_snapshot!(lines.join("\n"), @r"
    06:04:06 CEST  [descriptors_capped] only 768 probes at once: too few file descriptors for more. Sweeps take longer. Raise the limit (`LimitNOFILE=` in the unit, `ulimit -n`).
    06:04:06 CEST  ezra: kim: refused: another execution touches this agent right now. Say it again when that has ended; `status` shows it.
    2026-04-13 20:45:06 CEST  ezra: levitated event=levitated height_m=3 why=magic
    06:04:06 CEST  odd text
    ");
    for event in events() {
        let body = with_version(serde_json::to_value(&event).unwrap());
        let line = journal_line(event.word(), Some(&ezra), &body, NOW, &setting(), NOW);
        assert_eq!(line, format!("06:05:06 CEST  ezra: {}", happened(&event, &ezra, &setting(), NOW)));
    }
}
