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
        if let Some(watchdog) = &gateway.watchdog {
            watchdog.alive();
        }
        let in_force = gateway.in_force();
        let (Some(client), Some(url)) = (&self.client, &in_force.config.gate.schedule.heartbeat_url) else { return };
        if let Err(error) = client.get(url.reveal()).send().await.and_then(reqwest::Response::error_for_status) {
            tracing::warn!(error = %error.without_url(), "the heartbeat was not heard");
        }
    }
}

/// systemd's readiness and watchdog, where we run under it.
pub struct Watchdog;

impl Watchdog {
    /// There is one if systemd asks for signs of life.
    pub fn of_systemd() -> Option<Self> {
        sd_notify::watchdog_enabled().map(|_| Self)
    }

    /// A good tick is the sign of life: a daemon whose probes hang is to be restarted.
    pub fn alive(&self) {
        notify(&[sd_notify::NotifyState::Watchdog]);
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
