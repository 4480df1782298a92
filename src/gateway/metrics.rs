//! The daemon's figures in the Prometheus text format. They are computed from what the tasks keep
//! anyway, when somebody asks.

use super::Gateway;

/// All metrics.
pub fn text(gateway: &Gateway) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: f64| {
        text.push_str(&format!("# HELP lazarus_{name} {help}\n# TYPE lazarus_{name} gauge\nlazarus_{name} {value}\n"));
    };
    let status = &gateway.status;
    if let Some(sweep) = status.sweep() {
        gauge("sweep_lateness_seconds", "How much later than due the last sweep began.", sweep.late.as_secs_f64());
        gauge("sweep_duration_seconds", "How long the last sweep took.", sweep.took.as_secs_f64());
        gauge("sweep_begun_seconds", "When the last sweep began, since 1970.", sweep.begun.as_secs_f64());
    }
    let (mut healthy, mut unhealthy, mut unknown, mut unobservable) = (0u32, 0u32, 0u32, 0u32);
    for (_, watch) in gateway.watches.all() {
        match watch.health {
            crate::pool::Health::Healthy => healthy += 1,
            crate::pool::Health::Unhealthy(_) => unhealthy += 1,
            crate::pool::Health::Unknown(_) => unknown += 1,
            crate::pool::Health::Unobservable => unobservable += 1,
        }
    }
    gauge("agents_healthy", "Agents whose newest probe was healthy.", f64::from(healthy));
    gauge("agents_unhealthy", "Agents whose newest probe was unhealthy.", f64::from(unhealthy));
    gauge("agents_unknown", "Agents whose newest probe had no answer.", f64::from(unknown));
    gauge("agents_unobservable", "Agents without any signal.", f64::from(unobservable));
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    gauge("alarms", "Alarms that last.", status.alarms().len() as f64);
    if !gateway.nostr.relays().is_empty() {
        let relays = gateway.nostr.relays();
        let connected = relays.values().filter(|relay| relay.connected).count();
        let read = relays.values().filter(|relay| relay.caught_up).count();
        let (strangers, refused) = gateway.nostr.counts();
        #[expect(clippy::cast_precision_loss, reason = "a handful, and counts for a graph")]
        for (name, help, value) in [
            ("nostr_relays_connected", "Relays with a connection.", connected as f64),
            ("nostr_relays_read", "Relays of which all that waited is here.", read as f64),
            ("nostr_strangers", "Events of nobody in `people` since the start.", strangers as f64),
            ("nostr_refused", "Events that proved nothing since the start.", refused as f64),
            ("nostr_waited", "Events that had to wait because too many came at once.", gateway.nostr.waits() as f64),
        ] {
            gauge(name, help, value);
        }
    }
    for (task, state) in status.tasks() {
        let ok = state.is_none_or(|state| state.ok);
        gauge(&format!("task_ok_{}", task.word()), "Whether the task's last run went well.", f64::from(u8::from(ok)));
    }
    text
}
