use std::sync::Arc;
use std::time::Duration;

use super::Gateway;

/// How long a call may take: it must not hold up the next sweep.
const DEADLINE: Duration = Duration::from_secs(5);

/// Tells something outside that the gate lives: whoever does not hear from it raises the alarm.
pub struct Heartbeat {
    client: Option<reqwest::Client>,
}

impl Heartbeat {
    /// A client of its own, so that a slow watcher takes no connection from the probes.
    pub fn new() -> Self {
        Self { client: reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().ok() }
    }

    /// Calls the configured URL. It may hold a secret, so neither it nor the error is logged whole.
    pub async fn beat(&self, gateway: &Arc<Gateway>) {
        let in_force = gateway.in_force();
        let (Some(client), Some(url)) = (&self.client, &in_force.config.gate.schedule.heartbeat_url) else { return };
        if let Err(error) = client.get(url.reveal()).send().await.and_then(reqwest::Response::error_for_status) {
            tracing::warn!(error = %error.without_url(), "the heartbeat was not heard");
        }
    }
}

/// Sweeps that may be missed before the daemon counts as hung.
const SWEEPS_MISSED_MAX: u32 = 3;

/// systemd's readiness and watchdog, where we run under it.
pub struct Watchdog {
    every: Duration,
}

impl Watchdog {
    /// There is one if systemd asks for signs of life.
    pub fn of_systemd() -> Option<Self> {
        sd_notify::watchdog_enabled().map(|within| Self { every: within / 2 })
    }

    /// Gives a sign of life as often as systemd wants one, for as long as sweeps come to their end: a
    /// daemon whose probes hang is to be restarted, one with a long interval is not.
    pub async fn run(&self, gateway: Arc<Gateway>) {
        while !gateway.bells.is_stopping() {
            let schedule = &gateway.in_force().config.gate.schedule;
            let patience = schedule.interval * SWEEPS_MISSED_MAX + schedule.probe_deadline;
            let last = gateway.status.sweep().map_or(Duration::ZERO, |sweep| sweep.ended);
            if gateway.clock.elapsed().saturating_sub(last) <= patience {
                notify(&[sd_notify::NotifyState::Watchdog]);
            }
            tokio::select! {
                () = tokio::time::sleep(self.every) => {}
                () = gateway.bells.stopped() => {}
            }
        }
    }

    /// Everything is up.
    pub fn ready() {
        notify(&[sd_notify::NotifyState::Ready]);
    }

    /// We are going down.
    pub fn stopping() {
        notify(&[sd_notify::NotifyState::Stopping]);
    }
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %error, "the service manager could not be told");
    }
}
