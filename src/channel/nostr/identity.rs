use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use nostr_sdk::{Keys, PublicKey, SecretKey, ToBech32 as _};

use crate::config::gate::{NOSTR_CREDENTIAL, NOSTR_KEY_VARIABLE, Nostr};

/// A secret key with its public one: whoever has it speaks in this name. The secret prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(Keys);

/// Why there is no secret key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read.
    #[error("the secret key cannot be read from {}; make a file that only its user can read: `lazarus-gate keys generate`", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It does not hold one.
    #[error("{from} holds no secret key; it is nsec1… or 64 hexadecimal digits, and stands there alone")]
    Shape {
        /// Where it came from.
        from: String,
    },
    /// The remote signer's file cannot be read.
    #[error("the address of the remote signer cannot be read from {}; make a file that only its user can read", path.display())]
    NoBunker {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It does not hold one.
    #[error("{} {why}", path.display())]
    Bunker {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nobody can say which is meant.
    #[error("there are two keys, the credentials `nostr-secret-key` and `nostr-remote-signer`; hand over one of them")]
    Both,
    /// There is none.
    #[error(
        "there is no secret key: name a file in `channels.nostr.secret_key_file` (`lazarus-gate keys generate FILE` makes \
         one), or give a systemd credential `nostr-secret-key`, or set LAZARUS_NOSTR_SECRET_KEY; or name a remote signer in \
         `channels.nostr.remote_signer_file`"
    )]
    None,
}

impl Identity {
    /// Of a key pair.
    pub fn new(keys: Keys) -> Self {
        Self(keys)
    }

    /// A secret key as people keep it: `nsec1…` or hexadecimal.
    pub fn parse(text: &str) -> Option<Self> {
        SecretKey::parse(text.trim()).ok().map(|secret| Self(Keys::new(secret)))
    }

    /// The gateway's own: from its file, else from the environment, else from the credential that systemd
    /// hands over.
    ///
    /// # Errors
    /// There is none, or what is there is none.
    pub fn find(config: &Nostr, environment: &BTreeMap<String, String>) -> Result<Self, IdentityError> {
        if let Some(path) = &config.secret_key_file {
            return Self::read(path.clone());
        }
        if let Some(text) = environment.get(NOSTR_KEY_VARIABLE) {
            let from = format!("the variable {NOSTR_KEY_VARIABLE}");
            return Self::parse(text).ok_or(IdentityError::Shape { from });
        }
        match environment.get("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(NOSTR_CREDENTIAL)) {
            Some(path) if path.exists() => Self::read(path),
            Some(_) | None => Err(IdentityError::None),
        }
    }

    /// The one in a file.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn read(path: PathBuf) -> Result<Self, IdentityError> {
        let text = std::fs::read_to_string(&path)
            .map_err(|source| IdentityError::Unreadable { path: path.clone(), source })?;
        Self::parse(&text).ok_or_else(|| IdentityError::Shape { from: path.display().to_string() })
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.0.public_key()
    }

    /// The public key in lower-case hexadecimal.
    pub fn hex(&self) -> String {
        self.0.public_key().to_hex()
    }

    /// Both keys, to sign and to open with.
    pub fn keys(&self) -> &Keys {
        &self.0
    }
}

/// A public key as people hand it on.
pub fn npub(hex: &str) -> String {
    let key = PublicKey::from_hex(hex).ok();
    key.and_then(|key| key.to_bech32().ok()).unwrap_or_else(|| hex.to_owned())
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, …)", self.hex())
    }
}
