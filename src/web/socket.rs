//! The place of the socket: a folder of its own that everybody may enter and only the daemon may
//! change, so that nobody can put another socket there and be taken for the daemon.

use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use super::error::WebError;

/// How long a process at the old socket has to take the connection; one that is too busy for that
/// is there all the same.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The open socket. Its file goes when this is dropped, unless another has taken the place since.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

impl Socket {
    /// Opens the socket at `path` for every user of the machine (mode 0666 in a folder of 0755): who
    /// counts is decided by the uid that the kernel tells, not by who can connect.
    ///
    /// A socket that is there already is replaced only if nobody answers on it. The caller holds
    /// the daemon's lock, so that two starting daemons do not replace each other's.
    ///
    /// # Errors
    /// [`WebError`]: somebody answers, something else is there, others can change the folder.
    pub async fn open(path: &Path) -> Result<Self, WebError> {
        prepare_folder(&folder_of(path))?;
        clear(path).await?;
        let listener = UnixListener::bind(path).map_err(io("open", path))?;
        fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(io("set the mode of", path))?;
        let seen = fs::symlink_metadata(path).map_err(io("look at", path))?;
        Ok(Self { listener, path: path.to_owned(), file: (seen.dev(), seen.ino()) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|seen| (seen.dev(), seen.ino()) == self.file) {
            // A file that is left behind is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn prepare_folder(folder: &Path) -> Result<(), WebError> {
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(io("create", parent))?;
    }
    match DirBuilder::new().mode(0o755).create(folder) {
        // The umask may have taken away what callers need to get to the socket.
        Ok(()) => {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(io("set the mode of", folder))?;
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io("create", folder)(error)),
    }
    match folder_fault(folder)? {
        Some(why) => Err(WebError::UnsafeFolder { path: folder.to_owned(), why }),
        None => Ok(()),
    }
}

/// What is wrong with the folder of a socket, if anything is; `doctor` asks too.
///
/// # Errors
/// If it cannot be looked at.
pub fn folder_fault(folder: &Path) -> Result<Option<String>, WebError> {
    const STICKY: u32 = 0o1000;
    let seen = fs::metadata(folder).map_err(io("look at", folder))?;
    let own = rustix::process::geteuid().as_raw();
    if !seen.is_dir() {
        return Ok(Some("it is no folder; set another `socket`".into()));
    }
    if seen.uid() != own && seen.uid() != 0 {
        let why = format!("it belongs to uid {}, who could put a socket of their own there; ", seen.uid());
        return Ok(Some(why + "give the socket a folder of its own"));
    }
    // In a sticky folder like /tmp nobody can take away what is another's.
    if seen.mode() & 0o022 != 0 && seen.mode() & STICKY == 0 {
        let mode = seen.mode() & 0o7777;
        return Ok(Some(format!("mode {mode:04o}: others could put a socket of their own there; `chmod 755` it")));
    }
    Ok(None)
}

/// Removes what an earlier daemon has left at `path`.
async fn clear(path: &Path) -> Result<(), WebError> {
    let seen = match fs::symlink_metadata(path) {
        Ok(seen) => seen,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("look at", path)(error)),
    };
    if !seen.file_type().is_socket() {
        return Err(WebError::NotASocket { path: path.to_owned() });
    }
    match tokio::time::timeout(ANSWER_WITHIN, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(io("remove", path))
        }
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(Ok(_)) | Err(_) => Err(WebError::Answered { path: path.to_owned() }),
        Ok(Err(error)) => Err(io("connect to", path)(error)),
    }
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> WebError {
    move |source| WebError::Io { doing, path: path.to_owned(), source }
}
