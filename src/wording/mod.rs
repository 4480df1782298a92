//! Every message a person reads: a value goes in, text comes out (and the answers that buttons are
//! made of). Pure: `now` and the zone are arguments, and equal values give equal texts.
//!
//! Two rules hold for all of them. A message never claims more than the store knows (invariant 8):
//! "approved" is not "restarted", and "restarted" is not "alive". And whatever others supplied
//! passes [`harmless`] before it reaches a terminal or a chat (invariant 11).
//!
//! * [`card()`]: a request, pending or closed, and how to answer it;
//! * [`notice()`]: what people are told of an event;
//! * [`answer_to`], [`refusal`], [`Reply`], [`stranger`], [`misunderstood`]: what a speaker is answered;
//! * [`drill_text`], [`drill_report`]: a drill, and what became of it;
//! * [`Alarm`]: what is wrong with the gateway itself;
//! * [`handoff_card`], [`mission_text`], [`bus_reply`], [`bus_refusal`]: what is told of missions;
//! * [`explain()`], [`status_text`], [`pending_text`], [`journal_line`]: what is read on demand.

mod alarm;
mod answer;
mod bus;
mod card;
mod chat;
mod content;
mod drill;
mod explain;
mod happened;
mod html;
mod journal;
mod mission;
mod nostr;
mod notice;
mod phrase;
mod plain;
mod setting;
mod status;
mod time;

#[cfg(test)]
mod tests;

pub use alarm::Alarm;
pub use answer::{Reply, answer_to, misunderstood, refusal, stranger};
pub use bus::{
    NotPosted, bad_document, broken, imported, log_text, may_make_none, may_not_create, misunderstood_of_the_bus,
    no_name, no_refusals, not_posted, packet_left_out, packet_text, preview_hint, state_left_out, verified,
};
pub use card::{AnswerOption, Card, CardFacts, answers, card};
pub use chat::{anonymous, forwarded, help, nothing_planned, page_line, unknown_button, via_bot, whoami};
pub use content::{Button, Content, Document, Packet};
pub use drill::{
    DrillCopy, NoDrill, drill_button, drill_here, drill_html, drill_over, drill_report, drill_started, drill_text,
    no_drill, no_such_drill, only_a_drill,
};
pub use explain::{Explained, explain};
pub use happened::happened;
pub use html::{ANSWER_MAX, CHAT_MAX, escaped, pages, tap_answer, units};
pub use journal::{history_line, journal_line};
pub use mission::{
    BusReply, HandoffStands, HandoffView, Holders, MissionLine, MissionView, RecipientHealth, bus_refusal, bus_reply,
    event_line, handoff_card, handoff_line, mission_text, missions_text,
};
pub use nostr::{
    ask_in_private, foreign_code, no_decision, not_your_packet, two_keys, two_packets, whoami_nostr, wrong_time,
};
pub use notice::{Notice, Urgency, mark, notice, rings, speaks_of, told_in_thread};
pub use plain::{REASON_MAX, SHORT_MAX, WIDTH, harmless};
pub use setting::{HoldInfo, Setting, request_message};
pub use status::{
    AlarmView, HealthCounts, IncidentView, LiveExecution, PendingView, RelayView, StatusView, SweepView, TaskView,
    pending_text, status_text,
};
pub use time::{clock_time, human};
