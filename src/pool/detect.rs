use serde::Serialize;

/// Whether an agent is dead, and since when it is not well.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// When it was last seen healthy, in seconds since the epoch; None if never.
    pub last_healthy_at: Option<f64>,
    /// The dead timeout in force, in whole seconds.
    pub timeout_seconds: i64,
    /// For how many seconds it has not been healthy: infinite if it never was. JSON has no word
    /// for infinity, so it stands there as null.
    pub unhealthy_for_seconds: f64,
    /// Whether that is long enough.
    pub dead: bool,
}

/// The verdict on one agent at `now`; times are seconds since the epoch.
pub fn detect(healthy: bool, last_healthy_at: Option<f64>, timeout_seconds: i64, now: f64) -> Detection {
    let unhealthy_for_seconds = unhealthy_for_seconds(healthy, last_healthy_at, now);
    let dead = is_dead(healthy, unhealthy_for_seconds, timeout_seconds);
    Detection { last_healthy_at, timeout_seconds, unhealthy_for_seconds, dead }
}

/// Zero for the healthy; infinite for who was never seen healthy; else the time since, and never
/// less than zero though the clock may have gone back.
pub fn unhealthy_for_seconds(healthy: bool, last_healthy_at: Option<f64>, now: f64) -> f64 {
    match (healthy, last_healthy_at) {
        (true, _) => 0.0,
        (false, None) => f64::INFINITY,
        (false, Some(last)) => (now - last).max(0.0),
    }
}

/// Exactly the timeout is dead. The healthy never are, even with a timeout of zero or less.
///
/// The daemon counts in milliseconds and calls this with [`std::time::Duration::as_secs_f64`] of
/// its difference, which is exact where that of two floating point times may not be.
pub fn is_dead(healthy: bool, unhealthy_for_seconds: f64, timeout_seconds: i64) -> bool {
    !healthy && unhealthy_for_seconds >= timeout_seconds as f64
}
