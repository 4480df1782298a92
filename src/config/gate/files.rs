use std::path::{Path, PathBuf};

use crate::config::report::below;
use crate::config::section::Section;

/// Where the other three files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The fleet (YAML).
    pub registry: PathBuf,
    /// The policy (JSON).
    pub policy: PathBuf,
    /// Isolation profiles and roles of the mission bus (JSON).
    pub profiles: PathBuf,
}

impl Files {
    pub(super) fn read(mut section: Section<'_>, folder: &Path) -> Self {
        let files = Self {
            registry: path(&mut section, "registry", "lazarus-registry.yaml", folder),
            policy: path(&mut section, "policy", "resurrection_pool.json", folder),
            profiles: path(&mut section, "profiles", "mission_bus_profiles.json", folder),
        };
        section.finish();
        files
    }
}

/// Where the truth is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The SQLite file; run files, the lock and the generation file lie beside it.
    pub path: PathBuf,
    /// State of the script this gateway replaces, imported once at the first start.
    pub import_state: Option<PathBuf>,
}

impl Store {
    pub(super) fn read(root: &mut Section<'_>, folder: &Path) -> Self {
        let mut section = root.section("store");
        let path = path(&mut section, "path", "/var/lib/lazarus-gate/gate.db", folder);
        section.finish();
        Self { path, import_state: optional_path(root, "import_state", folder) }
    }
}

/// Longest path of a unix socket that Linux takes, in bytes.
const SOCKET_PATH_MAX: usize = 107;

pub(super) fn read_socket(root: &mut Section<'_>, folder: &Path) -> PathBuf {
    let socket = path(root, "socket", "/run/lazarus-gate/gate.sock", folder);
    let length = socket.as_os_str().len();
    if length > SOCKET_PATH_MAX {
        let trail = below(&[], "socket");
        let message = format!(
            "`socket`: the whole path has {length} bytes, a unix socket takes at most {SOCKET_PATH_MAX}; choose a shorter one"
        );
        root.notes.error(&trail, message);
    }
    socket
}

fn path(section: &mut Section<'_>, key: &'static str, default: &str, folder: &Path) -> PathBuf {
    optional_path(section, key, folder).unwrap_or_else(|| folder.join(default))
}

pub(super) fn optional_path(section: &mut Section<'_>, key: &'static str, folder: &Path) -> Option<PathBuf> {
    let text = section.text(key)?;
    if text.starts_with('~') {
        section.error(key, "`~` is not expanded here; write the whole path, or one relative to this file");
    }
    if text.contains('\0') {
        section.error(key, "a path cannot hold a NUL character");
    }
    Some(folder.join(text))
}
