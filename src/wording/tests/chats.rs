//! What is read in a chat: cards with markup and buttons, answers to taps, texts.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::approval::{Approves, Person, Withdrawal};
use crate::wording::html::{ANSWER_MAX, CHAT_MAX, units};

/// The entity parser of the Bot API server that the stories play against.
#[path = "../../../tests/bot_api/html.rs"]
#[allow(dead_code, reason = "only the parser is used here")]
mod parser;

const RECENT: [&str; 2] = ["05:00:00 CEST  restarted: the command ended well", "05:00:07 CEST  alive again"];

fn card_of(incident: &Incident, request: &Request, execution: Option<&Execution>, setting: &Setting) -> Card {
    let recent: Vec<String> =
        if request.is_pending() { RECENT.iter().map(ToString::to_string).collect() } else { Vec::new() };
    let known = CardFacts { execution, approval_ttl: Duration::from_secs(3600), recent: &recent };
    card(incident, request, &known, setting, NOW)
}

/// The card as a chat shows it: markup, and a line a row of buttons.
fn shown(card: &Card) -> String {
    let rows = card.button_rows().into_iter();
    let rows = rows.map(|row| row.into_iter().map(|(label, _)| format!("[{label}]")).collect::<Vec<_>>().join(" "));
    std::iter::once(card.to_html()).chain(rows).collect::<Vec<_>>().join("\n")
}

fn after_approval(action: Action, state: ExecutionState) -> String {
    let request = Request {
        state: match approved(action.clone()) {
            RequestState::Approved { decision } => {
                RequestState::Approved { decision: Decision { via: Channel::Telegram, ..decision } }
            }
            other => other,
        },
        ..request()
    };
    shown(&card_of(&incident(), &request, Some(&execution(action, state)), &setting()))
}

#[test]
fn a_card_that_asks_in_a_chat() {
    assert_snapshot!(shown(&card_of(&incident(), &request(), None, &setting())), @r#"
    <b>[#882] Approval required to revive ezra for mission 'archive'.</b>
    Reasons: gateway_unreachable, service_inactive. Suggested substitute: timmy.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later (limit 10 min).
    Host: this machine.
    <blockquote expandable>Lately:
    05:00:00 CEST restarted: the command ended well
    05:00:07 CEST alive again</blockquote>
    Or reply to this message, for example: deny because …
    Code <code>7K3QXM</code>, key ezra:archive:1776225846. Expires at 07:04:06 CEST.
    [Restart]
    [Substitute: timmy]
    [Deny] [Snooze 1 h]
    "#);
}

#[test]
fn a_card_under_a_banner() {
    let card = card_of(&incident(), &request(), None, &setting());
    let content = Content { text: card.to_text(), html: Some(card.to_html()), ..Content::default() };
    let banner = "Taps between 05:00:00 CEST and 06:00:00 CEST may not have reached me. If you tapped then, please \
                  tap again.";
    let html = content.under(Some(banner.into())).html.unwrap();
    assert_snapshot!(html.lines().take(2).collect::<Vec<_>>().join("\n"), @r#"
    <i>Taps between 05:00:00 CEST and 06:00:00 CEST may not have reached me. If you tapped then, please tap again.</i>
    <b>[#882] Approval required to revive ezra for mission 'archive'.</b>
    "#);
}

#[test]
fn a_card_with_many_substitutes_names_some_and_counts_the_rest() {
    let substitutes = (0..20).map(|n| agent(&format!("agent-{n}"))).collect();
    let request = Request { offers: Offers { restart: false, substitutes }, ..request() };
    assert_snapshot!(shown(&card_of(&incident(), &request, None, &setting())), @r#"
    <b>[#882] Approval required to revive ezra for mission 'archive'.</b>
    Reasons: gateway_unreachable, service_inactive. Suggested substitute: agent-0.
    It cannot be restarted from here, so `approve` is not offered.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later (limit 10 min).
    Host: this machine.
    <blockquote expandable>Lately:
    05:00:00 CEST restarted: the command ended well
    05:00:07 CEST alive again</blockquote>
    Or reply to this message, for example: deny because … More substitutes: agent-3, agent-4, agent-5, agent-6, agent-7, agent-8, agent-9, agent-10, agent-11, agent-12 and 7 others.
    Code <code>7K3QXM</code>, key ezra:archive:1776225846. Expires at 07:04:06 CEST.
    [Substitute: agent-0]
    [Substitute: agent-1]
    [Substitute: agent-2]
    [Deny] [Snooze 1 h]
    "#);
}

#[test]
fn a_card_on_hold_in_a_chat() {
    assert_snapshot!(shown(&card_of(&incident(), &request(), None, &on_hold())), @r#"
    <b>[#882] Approval required to revive ezra for mission 'archive'.</b>
    Reasons: gateway_unreachable, service_inactive. Suggested substitute: timmy.
    ON HOLD: nothing runs until somebody says `release`; an approval is recorded, not run. Held by kim since 05:35:06 CEST: moving racks.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later (limit 10 min).
    Host: this machine.
    <blockquote expandable>Lately:
    05:00:00 CEST restarted: the command ended well
    05:00:07 CEST alive again</blockquote>
    Or reply to this message, for example: deny because …
    Code <code>7K3QXM</code>, key ezra:archive:1776225846. Expires at 07:04:06 CEST.
    [Restart]
    [Substitute: timmy]
    [Deny] [Snooze 1 h]
    "#);
}

#[test]
fn each_end_of_a_card_in_a_chat() {
    let via = Channel::Telegram;
    let ends = [
        RequestState::Denied { by: kim(), via, at: NOW, reason: Some("it is <being> moved".into()) },
        RequestState::Denied { by: kim(), via: Channel::Cli, at: NOW, reason: None },
        RequestState::Expired { at: NOW },
        RequestState::Withdrawn { at: NOW, because: Withdrawal::Recovered },
    ];
    let all = ends.map(|state| shown(&card_of(&incident(), &Request { state, ..request() }, None, &setting())));
    assert_snapshot!(all.join("\n\n"), @r#"
    <b>[#882] ezra: denied by kim (Telegram) at 06:05:06 CEST: it is &lt;being&gt; moved.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later (limit 10 min).
    Host: this machine.
    Code <code>7K3QXM</code>, key ezra:archive:1776225846.

    <b>[#882] ezra: denied by kim (command line) at 06:05:06 CEST.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later (limit 10 min).
    Host: this machine.
    Code <code>7K3QXM</code>, key ezra:archive:1776225846.

    <b>[#882] ezra: expired at 06:05:06 CEST: nobody answered in time.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later (limit 10 min).
    Host: this machine.
    Code <code>7K3QXM</code>, key ezra:archive:1776225846.

    <b>[#882] ezra: withdrawn at 06:05:06 CEST: it is healthy again.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Last healthy at 05:53:06 CEST; taken for dead at 06:04:06 CEST, 11 min later (limit 10 min).
    Host: this machine.
    Code <code>7K3QXM</code>, key ezra:archive:1776225846.
    "#);
}

#[test]
fn each_step_after_an_approval_in_a_chat() {
    let restart = || Action::Restart;
    let all = [
        ExecutionState::Ready,
        ExecutionState::Done { verification: verification() },
        ExecutionState::Failed { at: NOW, why: "it ended with status 3: <oops> & more".into() },
        ExecutionState::Unknown { verification: verification(), why: "it timed out".into() },
        ExecutionState::Verified { at: NOW },
        ExecutionState::NotRecovered { at: NOW, why: "gateway_unreachable".into() },
        ExecutionState::CalledOff { at: NOW, because: CalledOff::Recovered },
    ]
    .map(|state| after_approval(restart(), state).lines().take(3).collect::<Vec<_>>().join("\n"));
    assert_snapshot!(all.join("\n\n"), @r#"
    <b>[#882] ezra: approved by kim (Telegram) at 06:05:06 CEST: restart.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Nothing has been started yet.

    <b>[#882] ezra: approved by kim (Telegram) at 06:05:06 CEST: restart.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    The command of the restart ended well at 06:05:06 CEST; whether ezra lives is being checked.

    <b>[#882] ezra: approved by kim (Telegram) at 06:05:06 CEST: restart.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    The restart failed at 06:05:06 CEST: it ended with status 3: &lt;oops&gt; &amp; more.

    <b>[#882] ezra: approved by kim (Telegram) at 06:05:06 CEST: restart.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Since 06:05:06 CEST nobody can say what the restart did: it timed out. Its command MAY STILL RUN; probes look whether ezra lives.

    <b>[#882] ezra: approved by kim (Telegram) at 06:05:06 CEST: restart.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Restarted, and verified at 06:05:06 CEST: ezra lives.

    <b>[#882] ezra: approved by kim (Telegram) at 06:05:06 CEST: restart.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    The restart did not help (given up at 06:05:06 CEST): gateway_unreachable.

    <b>[#882] ezra: approved by kim (Telegram) at 06:05:06 CEST: restart.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Not run because it is healthy again (called off at 06:05:06 CEST). Nothing was started.
    "#);
}

#[test]
fn a_substitution_in_a_chat() {
    let substitute = || Action::Substitute(agent("timmy"));
    let all = [ExecutionState::Ready, ExecutionState::Verified { at: NOW }]
        .map(|state| after_approval(substitute(), state).lines().take(3).collect::<Vec<_>>().join("\n"));
    assert_snapshot!(all.join("\n\n"), @r#"
    <b>[#882] ezra: approved by kim (Telegram) at 06:05:06 CEST: substitute timmy.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Nothing has been started yet.

    <b>[#882] ezra: approved by kim (Telegram) at 06:05:06 CEST: substitute timmy.</b>
    Mission 'archive', reasons: gateway_unreachable, service_inactive.
    Delivered, and verified at 06:05:06 CEST: timmy lives and has what ezra left.
    "#);
}

#[test]
fn every_text_of_a_chat() {
    let person = |approves| Person { id: kim(), speaks_as: Default::default(), approves };
    let forge = [mission("archive"), mission("forge")].into();
    let all = [
        whoami(1001, None, "-1001234567890/12"),
        whoami(1001, Some(&person(Approves::All)), "1001"),
        whoami(1001, Some(&person(Approves::Missions(forge))), "1001"),
        whoami(1001, Some(&person(Approves::Missions([].into()))), "1001"),
        unknown_button(),
        anonymous(),
        forwarded(),
        via_bot(),
        nothing_planned(),
        page_line(0, 3),
    ];
    assert_snapshot!(all.join("\n\n"), @r#"
    You are nobody here yet. Whoever runs this gateway adds you in `people` like this:
    NAME: {telegram: 1001, approves: [MISSION]}
    This chat: -1001234567890/12

    You are kim (Telegram user 1001); you decide for: all missions.
    This chat: 1001

    You are kim (Telegram user 1001); you decide for: archive, forge.
    This chat: 1001

    You are kim (Telegram user 1001); you decide for: no mission.
    This chat: 1001

    This button is not known here: it is too old, or belongs to another chat. /pending shows what waits.

    refused: you speak as an anonymous admin or a channel, so nobody can say who you are. Press a button instead (it tells me who you are), or write under your own name.

    refused: a forwarded message counts for nothing. Write it yourself.

    refused: what another bot wrote for you counts for nothing. Write it yourself.

    Nothing is dead, so nothing is planned.

    (1 of 3)
    "#);
    assert_snapshot!(help(), @r#"
    Press a button under a request, reply to it, or say:
    /approve CODE – restart the agent
    /deny CODE [reason] – leave it dead
    /substitute CODE AGENT – let AGENT take over
    /snooze CODE 2h – be quiet about it for a while
    /ask AGENT – ask anew about a dead agent
    /hold [reason] – stop all executions
    /release – end the hold
    /drill [MISSION] [for 10m] – ask whether people are there; nothing runs
    /here CODE – answer a drill
    /handback AGENT – offer an agent that is back its work again
    On missions:
    /missions – list the missions
    /mission NAME – show one, and who takes part
    /newmission NAME title – make one and lead it
    /join MISSION AGENT ROLE – say who takes part, as lead, write, read or audit
    /publish MISSION TOPIC TEXT – publish a message
    /checkpoint MISSION SUMMARY – write down how far the work is; attach its state as JSON
    /handoff MISSION RECIPIENT [CHECKPOINT|last] [note] – hand the work over; shown before it is posted
    /post HANDOFF – post the handoff that you were shown
    /cancel HANDOFF – do not post it
    /accept HANDOFF – take over what you were offered
    /decline HANDOFF reason – do not take it over
    /resume HANDOFF – get the packet to go on with
    /log MISSION [N] – show the newest events
    /isolation MISSION PROFILE – choose the isolation profile
    To read:
    /pending – what waits for an answer
    /show CODE – one request, with its buttons
    /status – how the gateway and its fleet are
    /plan – what is going to be done about each death
    /history [AGENT] – what happened
    /explain AGENT – why things stand with an agent as they do
    /whoami – who you are here
    /help – this list
    In a reply to a request, the code can be left out: deny because it is being moved
    "#);
}

#[test]
fn answers_to_taps_fit_and_say_the_most_important_first() {
    let mut all: Vec<String> =
        super::answers::refusals().iter().map(|why| tap_answer(&refusal(why, &setting(), NOW))).collect();
    all.extend(super::answers::replies().iter().map(|reply| tap_answer(&reply.text(&setting(), NOW))));
    all.push(tap_answer(&stranger(&crate::approval::Speaker::Telegram(1001))));
    all.push(tap_answer(&unknown_button()));
    assert!(all.iter().all(|answer| units(answer) <= ANSWER_MAX && !answer.contains('\n')), "{all:#?}");
    assert_snapshot!(all.join("\n"), @r#"
    refused: kim does not approve the mission 'forge'; it takes a person whose `approves` in `people` names it.
    refused: too late, it expired at 06:03:06 CEST. Nothing was done. `ask AGENT` asks anew.
    refused: still pending. Say it once more.
    refused: already approved by kim (command line) at 06:05:06 CEST: restart. `history AGENT` tells what became of it.
    refused: already approved by kim (command line) at 06:05:06 CEST: substitute timmy. `history AGENT` tells what became of it.
    refused: already denied by kim (command line) at 06:02:06 CEST: moving. `ask AGENT` asks anew.
    refused: already expired at 06:02:06 CEST: nobody answered in time. `ask AGENT` asks anew.
    refused: already withdrawn at 06:02:06 CEST: it is healthy again. `explain AGENT` tells how it stands.
    refused: it cannot be restarted from here: no `restart` template applies to it. Could take over right now: timmy. Say `substitute CODE timmy`.
    refused: it cannot be restarted from here: no `restart` template applies to it. Nobody else could take over right now; the request stays as it is.
    refused: bezalel is no configured substitute of it. Could take over right now: timmy. Say `substitute CODE timmy`.
    refused: another execution touches this agent right now. Say it again when that has ended; `status` shows it.
    refused: a snooze lasts 1 d at most. Snooze for less, or `deny CODE`.
    refused: the agent left the registry; there is nothing to decide.
    refused: it is being revived right now. `status` shows how far it is; you are told how it ends.
    refused: ezra is not dead (or not for long enough), so there is nothing to ask. `explain ezra` tells how it stands.
    refused: the policy says no for the mission 'archive'; asking by hand does not change it. Change its mode in the policy file.
    refused: timmy is no configured substitute of it. Nobody else could take over right now; the request stays as it is.
    refused: timmy is not healthy itself. Nobody else could take over right now; the request stays as it is.
    refused: timmy is not free: something is being done with it, or it stands in for another. Nobody else could take over right now; the request stays as it is.
    refused: nothing could tell timmy: there is no `substitute` command. Nobody else could take over right now; the request stays as it is.
    on hold: nothing is begun until `release`.
    on hold: nothing is begun until `release`. 1 command that had begun before: not stopped.
    on hold already; `release` ends it.
    released: 1 open incident is planned anew, and checked again before anything runs.
    released: 3 open incidents are planned anew, and checked again before anything runs.
    there is no hold; nothing changed.
    revoked: kim decides nothing any more. Take kim out of `people`, too.
    revoked: kim decides nothing any more. Now nobody approves: archive. Name somebody in `people`.
    kim was revoked already; nothing changed.
    the input 0199-ab is run again.
    refused: there is no request 7K3QXM. `pending` lists those that can be answered.
    refused: 7K3QXM is over; the newer request is 100000: `show 100000`.
    refused: 7K3QXM is over. `pending` lists the requests that can be answered.
    refused: the registry has no agent ezra. `status` lists those there are.
    refused: `people` has no kim; names are told apart by case.
    refused: no input 0199-ab was set aside. `status` lists those there are.
    refused: kim approves no mission, and that is needed here. `approves` in `people` says who does.
    could not be worked off three times, so it was set aside and nothing was done. Whoever runs this gateway is told, and can say `inbox retry 0199-ab`.
    issued: whoever has this token acts as ezra at the door for agents.
    issued: whoever has this token acts as ezra at the door for agents; the one before counts no more.
    revoked: nobody acts as ezra at the door for agents, until it is given a new token.
    refused: ezra has no token. `lazarus-gate agent list` shows who has one.
    offered: ezra can accept its work again (handoff h-7k3qxm); until it does, whoever has it keeps it.
    refused: ezra is offered nothing: it has its work.
    refused: on the mission bus ezra is kim; a token under that name would act as them. Choose another name for the agent.
    refused: an agent's token acts in all missions that the agent takes part in, and kim does not approve all; it takes a person with `approves: '*'`, or the user that the gateway runs as.
    refused: you are not in `people` (Telegram user 1001), so your word does not count. Whoever runs this gateway can add `telegram: 1001` to a person there.
    This button is not known here: it is too old, or belongs to another chat. /pending shows what waits.
    "#);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whatever_others_supply_a_card_is_markup_that_telegram_takes(
        text in super::hostile::hostile(),
        times in prop_oneof![Just(1usize), Just(20), Just(200)],
        substitutes in 0usize..60,
    ) {
        let text = text.repeat(times);
        let hold = HoldInfo { by: text.clone(), since: ago(1), reason: Some(text.clone()) };
        let setting = Setting { hold: Some(hold), ..setting() };
        let long = "x".repeat(50);
        let substitutes = (0..substitutes).map(|n| agent(&format!("a{n}-{long}"))).collect();
        let request = Request { host: Some(text.clone()), offers: Offers { restart: true, substitutes }, ..request() };
        let denied = RequestState::Denied { by: kim(), via: Channel::Telegram, at: NOW, reason: Some(text.clone()) };
        let closed = Request { state: denied, ..request.clone() };
        let run = Request { state: approved(Action::Restart), ..request.clone() };
        let failed = execution(Action::Restart, ExecutionState::Failed { at: NOW, why: text.clone() });
        let recent = [text.clone(), text.clone(), text.clone()];
        let known = |execution| CardFacts { execution, approval_ttl: Duration::from_secs(3600), recent: &recent };
        for (request, execution) in [(&request, None), (&closed, None), (&run, Some(&failed))] {
            let card = card(&incident(), request, &known(execution), &setting, NOW);
            let banner = "Taps between 05:00:00 CEST and 06:00:00 CEST may not have reached me. This request stands \
                          again below; it can be answered here, too.";
            let content = Content { html: Some(card.to_html()), ..Content::default() }.under(Some(banner.into()));
            let html = content.html.unwrap();
            let (plain, entities) = parser::parse(&html).map_err(TestCaseError::fail)?;
            prop_assert!(units(&plain) <= CHAT_MAX, "{} units", units(&plain));
            let kinds: Vec<_> = entities.iter().map(|entity| entity["type"].as_str().unwrap_or_default()).collect();
            let known = ["bold", "italic", "code", "blockquote", "expandable_blockquote"];
            prop_assert!(kinds.iter().all(|kind| known.contains(kind)), "{kinds:?}");
            prop_assert!(plain.contains("7K3QXM"), "the code stands there");
            prop_assert!(!plain.chars().any(|c| c != '\n' && super::plain::is_invisible(c)), "{plain:?}");
        }
    }
}
