use super::name::AgentName;
use super::policy::Policy;
use super::registry::AgentSpec;

/// Who stands in for `agent`: the first healthy one of those that the policy names, then of
/// those that its registry entry names.
///
/// Nobody is ruled out but the unhealthy: one substitute may be named for several agents, and
/// whether it is free is for the one who acts to ask.
pub fn choose_substitute<'a>(
    agent: &AgentName,
    spec: Option<&'a AgentSpec>,
    policy: &'a Policy,
    is_healthy: impl Fn(&AgentName) -> bool,
) -> Option<&'a AgentName> {
    policy.candidates_with_repeats(agent, spec).find(|candidate| is_healthy(candidate))
}
