use std::path::PathBuf;

/// Why the socket could not be opened or served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// Another process answers on the socket.
    #[error("{path}: another lazarus-gate answers on this socket; stop it first, or set another `socket`")]
    Answered {
        /// The socket.
        path: PathBuf,
    },
    /// What is at the socket's place is something else.
    #[error("{path}: there is a file that is no socket; remove it, or set another `socket`")]
    NotASocket {
        /// The place.
        path: PathBuf,
    },
    /// Others could put a socket of their own in the place of ours.
    #[error("{path}: {why}")]
    UnsafeFolder {
        /// The folder of the socket.
        path: PathBuf,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// The file system said no.
    #[error("{doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
}
