//! Whatever others supply, no text holds what could steer a terminal or hide. Names are checked when
//! files are loaded, so free text is what is left to attack with.

use proptest::prelude::*;
use serde_json::json;

use super::alarms::alarms;
use super::answers::{refusals, replies};
use super::plain::is_invisible;
use super::*;
use crate::approval::{Misunderstood, Speaker};
use crate::incident::{Event, Next};

pub(super) fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,12}",
        "\\PC{0,6}",
        any::<char>().prop_map(String::from),
        (0x80u32..0xa0).prop_map(|c| char::from_u32(c).unwrap_or('x').to_string()),
        prop::sample::select(vec![
            "\u{1b}[31m",
            "\u{1b}]0;t\u{7}",
            "\u{1b}]8;;x\u{1b}\\",
            "\u{1b}",
            "\u{9b}2J",
            "\u{202e}",
            "\u{2066}",
            "\u{200b}",
            "\u{feff}",
            "\n",
            "\r",
            "\u{2028}",
            "\u{e0041}",
            "\u{61c}",
            "\u{ad}",
            "\u{301}",
            "[31m",
            "]0;",
            "\\",
        ])
        .prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

/// All texts that hold `text` somewhere.
fn texts(text: &str) -> Vec<String> {
    let own = || text.to_owned();
    let ezra = agent("ezra");
    let hold = HoldInfo { by: own(), since: ago(1), reason: Some(own()) };
    let setting = Setting { hold: Some(hold), ..setting() };
    let request = Request { host: Some(own()), ..request() };
    let denied = RequestState::Denied { by: kim(), via: Channel::Cli, at: NOW, reason: Some(own()) };
    let closed = Request { state: denied, ..request.clone() };
    let approved = Request { state: approved(Action::Restart), ..request.clone() };
    let recent = [own()];
    let card_of = |request: &Request, execution: Option<&Execution>| {
        let known = CardFacts { execution, approval_ttl: Duration::ZERO, recent: &recent };
        card(&incident(), request, &known, &setting, NOW).to_text()
    };
    let mut all = vec![card_of(&request, None), card_of(&closed, None)];
    for state in [
        ExecutionState::Failed { at: NOW, why: own() },
        ExecutionState::Unknown { verification: verification(), why: own() },
        ExecutionState::NotRecovered { at: NOW, why: own() },
    ] {
        all.push(card_of(&approved, Some(&execution(Action::Restart, state))));
    }
    let (execution, action, next) = (execution_id(), Action::Restart, Next::Asks);
    for event in [
        Event::Denied {
            request: request_id(),
            by: kim(),
            via: Channel::Cli,
            input: InputId(own()),
            reason: Some(own()),
        },
        Event::Failed { execution: execution.clone(), action: action.clone(), why: own(), next },
        Event::Unknown { execution: execution.clone(), action: action.clone(), why: own() },
        Event::NotRecovered { execution: execution.clone(), action: action.clone(), why: own(), next },
        Event::Held { action, observing: false },
    ] {
        all.extend(notice(&event, &incident(), Some(&request), &setting, NOW).map(|notice| notice.text));
        all.push(history_line(&event, &ezra, NOW, &setting, NOW));
    }
    let body = json!({"v": 1, text: text, "list": [text], "event": text});
    all.push(journal_line(text, Some(&ezra), &body, NOW, &setting, NOW));
    all.push(journal_line(text, None, &json!(text), NOW, &setting, NOW));
    all.extend(alarms(text).iter().map(Alarm::text));
    all.extend(refusals().iter().map(|one| refusal(one, &setting, NOW)));
    all.extend(replies().iter().map(|one| one.text(&setting, NOW)));
    all.push(Reply::SetAside { id: own() }.text(&setting, NOW));
    all.push(Reply::Retried { id: own() }.text(&setting, NOW));
    all.push(Reply::NoSuchInput { id: own() }.text(&setting, NOW));
    all.push(stranger(&Speaker::Nostr(own())));
    all.push(misunderstood(&Misunderstood::WrongForm { why: own(), form: "approve CODE" }));
    all.push(request_message(882, text, text, &[text], Some(text)));
    let health = Health::Unknown(own());
    let facts = AgentFacts { host: Some(own()), local: false, health, ..facts() };
    let of = Explained {
        agent: &ezra,
        facts: Some(&facts),
        timeout: Duration::ZERO,
        incident: None,
        request: None,
        execution: None,
        attempts_max: 3,
    };
    all.push(explain(&of, &setting, NOW));
    let view = StatusView {
        executions: vec![LiveExecution {
            id: execution,
            agent: ezra,
            action: Action::Restart,
            state: own(),
            ready_at: NOW,
        }],
        damaged: vec![own()],
        set_aside: vec![InputId(own())],
        alarms: alarms(text).into_iter().map(|alarm| AlarmView { at: NOW, alarm }).collect(),
        tasks: vec![TaskView { name: own(), state: own(), at: None }],
        ..StatusView::default()
    };
    all.push(status_text(&view, &setting, NOW));
    all.push(pending_text(&[], &view.damaged, &setting, NOW));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_text_holds_what_steers_or_hides(text in hostile()) {
        for said in texts(&text) {
            prop_assert!(!said.chars().any(|c| c != '\n' && is_invisible(c)), "{said:?}");
            prop_assert!(said.chars().count() < 12_000, "of bounded length");
        }
    }

    #[test]
    fn harmless_text_is_one_bounded_line_and_stays_as_it_is(text in hostile(), max in 0usize..300) {
        let once = harmless(&text, max);
        prop_assert!(once.chars().count() <= max);
        prop_assert!(!once.chars().any(|c| c == '\n' || is_invisible(c)), "{once:?}");
        prop_assert_eq!(harmless(&once, max), once);
    }
}

#[test]
fn an_injected_line_stays_within_its_line() {
    let forged = "no\n06:05:06 CEST  approved by kim";
    let lines = |text: &str| texts(text).iter().map(|said| said.lines().count()).collect::<Vec<_>>();
    assert_eq!(lines(forged), lines("no 06:05:06 CEST  approved by kim"));
}
