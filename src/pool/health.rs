//! Three values: healthy, unhealthy, **unknown**. Any configured signal bad makes an agent
//! unhealthy; else any without an answer makes it unknown; else it is healthy. Unknown neither
//! opens nor closes an incident, verifies nothing and makes nobody a substitute.

use serde::{Deserialize, Serialize};

use super::Reason;

/// What one probe of an agent brought, one field a signal; `None` where it has no such signal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signals {
    /// The HTTP gateway.
    pub gateway: Option<Signal>,
    /// The service manager's word on the unit.
    pub service: Option<Signal>,
    /// The agent's own heartbeat.
    #[serde(default)]
    pub heartbeat: Option<Signal>,
    /// The model provider, as the registry's matrix has it.
    pub provider: Option<ProviderSignal>,
    /// The unit's incarnation (systemd's InvocationID), where there is one.
    pub invocation: Option<String>,
}

/// One signal's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// It speaks for health.
    Good,
    /// It speaks against it; the text says how.
    Bad(String),
    /// It says nothing, by no fault of the agent's; the text says why.
    NoAnswer(String),
}

/// What the provider matrix says of an agent's primary provider, where that is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderSignal {
    /// `degraded`
    Degraded,
    /// `dead`
    Dead,
    /// Anything else, `unknown` too.
    Fine,
}

/// An agent's health at one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Every signal is good.
    Healthy,
    /// At least one signal is bad; in the reference's order.
    Unhealthy(Vec<Reason>),
    /// No signal is bad, and at least one has no answer: why.
    Unknown(String),
    /// It has no signal at all.
    Unobservable,
}

impl Health {
    /// Whether every signal is good.
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }

    /// The word the store and `--json` use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy(_) => "unhealthy",
            Self::Unknown(_) => "unknown",
            Self::Unobservable => "unobservable",
        }
    }
}

impl Signals {
    /// The health these signals speak of.
    pub fn health(&self) -> Health {
        let mut reasons = Vec::new();
        let mut unanswered = None;
        for (signal, reason) in [
            (&self.gateway, Reason::GatewayUnreachable),
            (&self.service, Reason::ServiceInactive),
            (&self.heartbeat, Reason::HeartbeatLost),
        ] {
            match signal {
                Some(Signal::Bad(_)) => reasons.push(reason),
                Some(Signal::NoAnswer(why)) => unanswered = unanswered.or(Some(why.clone())),
                Some(Signal::Good) | None => {}
            }
        }
        match self.provider {
            Some(ProviderSignal::Dead) => reasons.push(Reason::PrimaryDead),
            Some(ProviderSignal::Degraded) => reasons.push(Reason::PrimaryDegraded),
            Some(ProviderSignal::Fine) | None => {}
        }
        match (reasons.is_empty(), unanswered) {
            (false, _) => Health::Unhealthy(reasons),
            (true, Some(why)) => Health::Unknown(why),
            // A provider that is fine is no sign of life by itself.
            (true, None) if self.gateway.is_none() && self.service.is_none() && self.heartbeat.is_none() => {
                Health::Unobservable
            }
            (true, None) => Health::Healthy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_beats_unknown_beats_healthy() {
        let good = Some(Signal::Good);
        let bad = Some(Signal::Bad("refused".into()));
        let silent = Some(Signal::NoAnswer("timed out".into()));
        let unknown = Health::Unknown("timed out".into());
        for (gateway, service, provider, expected) in [
            (&good, &good, None, Health::Healthy),
            (&good, &None, None, Health::Healthy),
            (&None, &None, None, Health::Unobservable),
            (&None, &None, Some(ProviderSignal::Fine), Health::Unobservable),
            (&bad, &silent, None, Health::Unhealthy(vec![Reason::GatewayUnreachable])),
            (&silent, &bad, None, Health::Unhealthy(vec![Reason::ServiceInactive])),
            (&good, &silent, None, unknown.clone()),
            (&silent, &None, Some(ProviderSignal::Fine), unknown),
            (&good, &good, Some(ProviderSignal::Degraded), Health::Unhealthy(vec![Reason::PrimaryDegraded])),
            (
                &bad,
                &bad,
                Some(ProviderSignal::Dead),
                Health::Unhealthy(vec![Reason::GatewayUnreachable, Reason::ServiceInactive, Reason::PrimaryDead]),
            ),
        ] {
            let (gateway, service) = (gateway.clone(), service.clone());
            let signals = Signals { gateway, service, provider, ..Signals::default() };
            assert_eq!(signals.health(), expected, "{signals:?}");
        }
    }

    #[test]
    fn a_heartbeat_is_a_signal_like_the_others() {
        for (gateway, heartbeat, expected) in [
            (None, Signal::Good, Health::Healthy),
            (None, Signal::Bad("no heartbeat".into()), Health::Unhealthy(vec![Reason::HeartbeatLost])),
            (None, Signal::NoAnswer("none yet".into()), Health::Unknown("none yet".into())),
            (Some(Signal::Bad("refused".into())), Signal::Good, Health::Unhealthy(vec![Reason::GatewayUnreachable])),
        ] {
            let signals = Signals { gateway, heartbeat: Some(heartbeat), ..Signals::default() };
            assert_eq!(signals.health(), expected, "{signals:?}");
        }
    }
}
