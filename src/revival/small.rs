use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::shim::{CONTRACT, CONTRACT_FLAG};

/// It answers in a millisecond or two; what does not answer is something else.
const ANSWERS_IN: Duration = Duration::from_secs(2);

/// The shim's own program, of this very build, held open: an upgrade that puts another one in its place does not
/// change what is started.
#[derive(Debug)]
pub(super) struct SmallShim {
    file: File,
    as_found: Look,
}

/// What changes when somebody writes into a file.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    size: u64,
    modified: (i64, i64),
}

impl SmallShim {
    /// The program at `path`, if it agrees with this one; else why not, in a few words.
    pub(super) async fn find(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let small = Self { as_found: look(&file)?, file };
        let asked = Command::new(small.path())
            .arg(CONTRACT_FLAG)
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output();
        let said = match tokio::time::timeout(ANSWERS_IN, asked).await {
            Ok(said) => said.map_err(|error| error.to_string())?.stdout,
            Err(_) => return Err("it does not answer".to_owned()),
        };
        if said.trim_ascii_end() != format!("{CONTRACT:016x}").as_bytes() {
            return Err("it is of another build".to_owned());
        }
        Ok(small)
    }

    /// A path that names this very file, in this process and in one that is just being started from it.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }

    /// Nobody has written into it since it was found.
    pub(super) fn is_unchanged(&self) -> bool {
        look(&self.file).is_ok_and(|look| look == self.as_found)
    }
}

fn look(file: &File) -> Result<Look, String> {
    let found = file.metadata().map_err(|error| error.to_string())?;
    Ok(Look { size: found.size(), modified: (found.mtime(), found.mtime_nsec()) })
}
