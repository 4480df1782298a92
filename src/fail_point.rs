//! Crash points for the tests.
//!
//! Built with the feature `failpoints`, a process that has `LAZARUS_FAIL_POINT=name` in its
//! environment kills itself with SIGKILL, as a crash or the kernel would, when it comes to
//! `fail_point!("name")`; with `name:3`, when it comes there the third time. Without the feature
//! the macro expands to nothing, so no release build knows the variable.

/// The variable that names the point at which this process is to die.
pub const FAIL_POINT_VARIABLE: &str = "LAZARUS_FAIL_POINT";

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
pub use armed::{hit, setting};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::FAIL_POINT_VARIABLE;

    /// What the variable says, read once.
    struct Armed {
        setting: String,
        name: String,
        hits_left: AtomicU64,
    }

    fn armed() -> Option<&'static Armed> {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        #[expect(clippy::disallowed_methods, reason = "a test's switch, absent from release builds")]
        fn read() -> Option<Armed> {
            let setting = std::env::var(FAIL_POINT_VARIABLE).ok()?;
            let (name, hits) = match setting.rsplit_once(':') {
                Some((name, hits)) => (name.to_owned(), hits.parse().unwrap_or(1)),
                None => (setting.clone(), 1),
            };
            Some(Armed { setting, name, hits_left: AtomicU64::new(hits) })
        }
        ARMED.get_or_init(read).as_ref()
    }

    /// The variable's value as this process got it, to be passed on to a shim.
    pub fn setting() -> Option<&'static str> {
        armed().map(|armed| armed.setting.as_str())
    }

    /// Dies here, if this is the point and the hit that the variable names.
    pub fn hit(name: &str) {
        let Some(armed) = armed() else { return };
        if armed.name != name || armed.hits_left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        // Nothing of the process may go on after its death was asked for.
        while rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).is_ok() {
            std::thread::park();
        }
    }
}
