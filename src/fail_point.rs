//! Crash points for the tests.
//!
//! Built with the feature `failpoints`, a process that has `LAZARUS_FAIL_POINT=name` in its
//! environment kills itself with SIGKILL, as a crash or the kernel would, when it comes to
//! `fail_point!("name")`; with `name:3`, when it comes there the third time. With `name!` or `name:3!` only
//! its thread panics there. With
//! `LAZARUS_FAIL_POINT_LOG=file` it adds the name of each point that it comes to as a line to that
//! file, so that a test knows which there are. Without the feature the macro expands to nothing, so
//! no release build knows the variables.

/// The variable that names the point at which this process is to die.
pub const FAIL_POINT_VARIABLE: &str = "LAZARUS_FAIL_POINT";

/// The variable that names the file in which each point that is come to leaves its name.
pub const FAIL_POINT_LOG_VARIABLE: &str = "LAZARUS_FAIL_POINT_LOG";

/// A place where a test may let the process die; nothing at all without the feature `failpoints`.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {
        $crate::fail_point::hit($name)
    };
}

/// A place where a test may let the process die; nothing at all without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {};
}

#[cfg(feature = "failpoints")]
pub use armed::{hit, is_armed_in, settings};

#[cfg(feature = "failpoints")]
mod armed {
    use std::fs::File;
    use std::io::Write as _;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{FAIL_POINT_LOG_VARIABLE, FAIL_POINT_VARIABLE};

    /// What the variables say, read once.
    struct Armed {
        settings: Vec<(&'static str, String)>,
        name: String,
        panics: bool,
        hits_left: AtomicU64,
        log: Option<File>,
    }

    fn armed() -> &'static Armed {
        static ARMED: OnceLock<Armed> = OnceLock::new();
        ARMED.get_or_init(read)
    }

    #[expect(clippy::disallowed_methods, reason = "a test's switches, absent from release builds")]
    fn read() -> Armed {
        let settings: Vec<_> = [FAIL_POINT_VARIABLE, FAIL_POINT_LOG_VARIABLE]
            .into_iter()
            .filter_map(|variable| Some((variable, std::env::var(variable).ok()?)))
            .collect();
        let of = |name| settings.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.as_str());
        let point = of(FAIL_POINT_VARIABLE).unwrap_or_default();
        let (point, panics) = point.strip_suffix('!').map_or((point, false), |point| (point, true));
        let (name, hits) = match point.rsplit_once(':') {
            Some((name, hits)) => (name, hits.parse().unwrap_or(1)),
            None => (point, 1),
        };
        let name = name.to_owned();
        let log = of(FAIL_POINT_LOG_VARIABLE).and_then(|log| File::options().append(true).create(true).open(log).ok());
        Armed { settings, name, panics, hits_left: AtomicU64::new(hits), log }
    }

    /// The variables as this process got them, to be passed on to a shim.
    pub fn settings() -> &'static [(&'static str, String)] {
        &armed().settings
    }

    /// Whether the point that is named is one of those whose names begin like this.
    pub fn is_armed_in(room: &str) -> bool {
        armed().name.starts_with(room)
    }

    /// Dies here, if this is the point and the hit that the variable names.
    pub fn hit(name: &str) {
        let armed = armed();
        if let Some(mut log) = armed.log.as_ref() {
            // One write a line: several processes write to it.
            let _ = log.write_all(format!("{name}\n").as_bytes());
        }
        if armed.name != name || armed.hits_left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        assert!(!armed.panics, "a panic is wanted at {name}");
        // Nothing of the process may go on after its death was asked for.
        while rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).is_ok() {
            std::thread::park();
        }
    }
}
