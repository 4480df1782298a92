//! One look at an agent: for the check before an execution, and for its verification.

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use crate::incident::Look;
use crate::pool::{AgentName, Health, ProviderSignal, Signal, Signals};
use crate::probe::{self, GatewayAnswer, UnitAnswer};

/// Whether the newest snapshot of `agent` is young enough to act on: of this run, and younger than
/// two intervals. What an earlier run saw says nothing of what it is now.
pub fn is_fresh(gateway: &Gateway, agent: &AgentName) -> bool {
    let fresh_for = gateway.in_force().config.gate.schedule.interval * 2;
    gateway.watches.of(agent).is_some_and(|watch| {
        !matches!(watch.health, Health::Unknown(_)) && gateway.clock.now().since(watch.probed_at) < fresh_for
    })
}

/// Probes one agent within `deadline`, and lets the watch know.
pub async fn look(gateway: &Arc<Gateway>, agent: &AgentName, deadline: Duration) -> Look {
    let in_force = gateway.in_force();
    let Some(member) = in_force.member(agent) else {
        let why = "it is not in the registry".to_owned();
        return Look { begun: gateway.clock.now(), health: Health::Unknown(why), invocation: None, offer: None };
    };
    let seen = gateway.sweeper.probe_one(&member.target, deadline).await;
    // Set back meanwhile, the clock must not have looks ahead of it.
    let begun = seen.begun.min(gateway.clock.now());
    let signals = signals(gateway, agent, seen, member.provider);
    let health = signals.health();
    let interval = in_force.config.gate.schedule.interval;
    gateway.watches.observe(agent, health.clone(), begun, begun, interval);
    Look { begun, health, invocation: signals.invocation, offer: None }
}

/// What a probe brought, and the agent's own heartbeat, in the core's words.
pub fn signals(
    gateway: &Gateway,
    agent: &AgentName,
    seen: probe::Signals,
    provider: Option<ProviderSignal>,
) -> Signals {
    let in_force = gateway.in_force();
    let now = gateway.clock.now();
    let rule = in_force.config.gate.agents.as_ref().and_then(|agents| agents.heartbeats.get(agent));
    let busy = rule.and_then(|_| gateway.heartbeats.busy(agent, now));
    let invocation = match &seen.service {
        Some(UnitAnswer::Known { invocation_id, .. }) => invocation_id.clone(),
        Some(UnitAnswer::NoAnswer { .. }) | None => None,
    };
    Signals {
        gateway: seen.gateway.map(|answer| match answer {
            GatewayAnswer::Answered { .. } => Signal::Good,
            // Inside one long operation it need not answer; that its unit is gone counts all the same.
            GatewayAnswer::Unreachable { .. } if busy.is_some() => Signal::NoAnswer("it says that it is busy".into()),
            GatewayAnswer::Unreachable { why } => Signal::Bad(why.to_string()),
            GatewayAnswer::NoAnswer { why } => Signal::NoAnswer(format!("the gateway could not be asked: {why}")),
        }),
        service: seen.service.map(|answer| match (answer.alive(), answer) {
            (Some(true), _) => Signal::Good,
            (Some(false), UnitAnswer::Known { active_state, sub_state, .. }) => {
                Signal::Bad(format!("{} ({sub_state})", active_state.as_str()))
            }
            (None, UnitAnswer::Known { active_state, sub_state, .. }) => {
                Signal::NoAnswer(format!("the unit is {} ({sub_state})", active_state.as_str()))
            }
            (_, UnitAnswer::NoAnswer { why }) => Signal::NoAnswer(format!("the unit could not be asked: {why}")),
        }),
        heartbeat: rule.map(|rule| gateway.heartbeats.signal(agent, rule, now, gateway.clock.elapsed())),
        provider,
        invocation,
    }
}
