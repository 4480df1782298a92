use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::config::section::{Section, kind};
use crate::config::words::spell_duration;

/// When probes run and how long they may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// From the start of one sweep to the start of the next.
    pub interval: Duration,
    /// By up to which share of the interval a tick may come later, 0 to 0.5. Never earlier: two probes of
    /// an agent count as two only if an interval lies between them.
    pub jitter: f64,
    /// How long one probe may take in all.
    pub probe_deadline: Duration,
    /// How many probes are under way at once, at most.
    pub concurrency: usize,
    /// The program that asks systemd.
    pub systemctl: String,
    /// How long it may take to answer.
    pub systemctl_timeout: Duration,
    /// Called after every good tick, so that something outside notices when the gate itself dies.
    pub heartbeat_url: Option<HeartbeatUrl>,
}

/// A URL to call; such URLs often hold the secret that lets one call them, so it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct HeartbeatUrl(String);

impl HeartbeatUrl {
    /// The URL itself, for the call and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HeartbeatUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeartbeatUrl(…)")
    }
}

const MS: Duration = Duration::from_millis(1);

impl Schedule {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let schedule = Self {
            interval: section.duration("interval", Duration::from_secs(30), MS),
            jitter: read_jitter(&mut section),
            probe_deadline: section.duration("probe_deadline", Duration::from_secs(10), MS),
            concurrency: section.number("concurrency", 4096, 1, 1_000_000) as usize,
            systemctl: section.text("systemctl").unwrap_or("systemctl").to_owned(),
            systemctl_timeout: section.duration("systemctl_timeout", Duration::from_secs(10), MS),
            heartbeat_url: read_heartbeat(&mut section),
        };
        // A sweep must be able to end before the next begins, or lateness is the normal state.
        if schedule.interval < schedule.probe_deadline {
            let key = if section.has("interval") { "interval" } else { "probe_deadline" };
            let (interval, deadline) = (spell_duration(schedule.interval), spell_duration(schedule.probe_deadline));
            section.error(
                key,
                format!(
                    "the interval ({interval}) is shorter than the probe deadline ({deadline}); write an `interval` \
                     of at least {deadline} or a `probe_deadline` of at most {interval}"
                ),
            );
        }
        section.finish();
        schedule
    }
}

fn read_jitter(section: &mut Section<'_>) -> f64 {
    const DEFAULT: f64 = 0.1;
    const RIGHT: &str = "write a share from 0 to 0.5, or a percentage from 0% to 50%";
    let Some(value) = section.take("jitter") else { return DEFAULT };
    let share = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
            None => None,
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    match share {
        Some(share) if (0.0..=0.5).contains(&share) => share,
        Some(_) => {
            section.error("jitter", format!("is out of range; {RIGHT}"));
            DEFAULT
        }
        None => {
            section.error("jitter", format!("is {} that is no share; {RIGHT}", kind(value)));
            DEFAULT
        }
    }
}

fn read_heartbeat(section: &mut Section<'_>) -> Option<HeartbeatUrl> {
    let text = section.text("heartbeat_url")?;
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(HeartbeatUrl(text.to_owned())),
        Ok(_) | Err(_) => {
            section.error("heartbeat_url", "is no web address; write http://… or https://…");
            None
        }
    }
}
