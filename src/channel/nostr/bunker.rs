use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use nostr_sdk::{Keys, PublicKey, RelayUrl, SecretKey, Url};
use sha2::{Digest as _, Sha256};

use super::identity::{Identity, IdentityError};
use crate::config::gate::{NOSTR_CREDENTIAL, NOSTR_KEY_VARIABLE, NOSTR_SIGNER_CREDENTIAL, Nostr};

/// The least that a secret has, in characters, of which our own key can be made: whoever guesses it is us.
const SECRET_MIN: usize = 12;

/// Where a remote signer is (NIP-46), and what it knows us by. Whoever has this can ask it for signatures, so it
/// prints without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Bunker {
    /// The signer's own key, to which requests go. It need not be the key that signs.
    pub signer: PublicKey,
    /// Where it listens.
    pub relays: Vec<RelayUrl>,
    pub(super) secret: Option<String>,
    /// The key that asks. The signer remembers it, so it is the same at each start.
    pub(super) client: Keys,
}

impl Bunker {
    /// Reads `bunker://…` and, on a line of its own, the secret key that asks; without one it is made of the
    /// secret in the address.
    ///
    /// # Errors
    /// What is wrong with it, without telling what stands there.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let address = lines.next().ok_or("is empty")?;
        let url = Url::parse(address).map_err(|_| "holds no address `bunker://…`")?;
        if url.scheme() != "bunker" {
            return Err("holds no address `bunker://…`; `nostrconnect://…` begins at the signer, and is not taken");
        }
        let signer = url.host_str().and_then(|key| PublicKey::from_hex(key).ok());
        let signer = signer.ok_or("holds an address without the signer's public key")?;
        let values = |name: &str| -> Vec<String> {
            url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
        };
        let relays: Option<Vec<RelayUrl>> = values("relay").iter().map(|url| RelayUrl::parse(url).ok()).collect();
        let relays = relays.filter(|relays| !relays.is_empty());
        let relays = relays.ok_or("holds an address without relays (`relay=wss://…`), or with one that is none")?;
        let secret = values("secret").into_iter().next().filter(|secret| !secret.is_empty());
        let client = match lines.next() {
            Some(key) => {
                Keys::new(SecretKey::parse(key).map_err(|_| "holds no secret key (nsec1…) on its second line")?)
            }
            None => Keys::new(made_of(&signer, secret.as_deref())?),
        };
        if lines.next().is_some() {
            return Err("holds more than an address and a key");
        }
        Ok(Self { signer, relays, secret, client })
    }

    /// The one in a file.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn read(path: PathBuf) -> Result<Self, IdentityError> {
        let text =
            std::fs::read_to_string(&path).map_err(|source| IdentityError::NoBunker { path: path.clone(), source })?;
        Self::parse(&text).map_err(|why| IdentityError::Bunker { path, why })
    }

    /// The public key that asks.
    pub fn client(&self) -> PublicKey {
        self.client.public_key()
    }
}

/// The relays may change, and the key stays the same.
fn made_of(signer: &PublicKey, secret: Option<&str>) -> Result<SecretKey, &'static str> {
    let secret = secret.filter(|secret| secret.chars().count() >= SECRET_MIN).ok_or(
        "holds an address without a long secret; add the key that is to ask on a line of its own (`keys generate` makes \
         one)",
    )?;
    let digest = Sha256::new()
        .chain_update("lazarus-gate: the key that asks a remote signer\n")
        .chain_update(signer.to_hex())
        .chain_update(secret);
    SecretKey::from_slice(&digest.finalize()).map_err(|_| "holds an address of which no key can be made")
}

impl fmt::Debug for Bunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bunker({}, …)", self.signer.to_hex())
    }
}

/// Where the gateway's key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Here.
    Here(Identity),
    /// At a remote signer.
    Remote(Bunker),
}

impl Key {
    /// The gateway's own: as the configuration says, else from the environment, else from a credential that
    /// systemd hands over.
    ///
    /// # Errors
    /// There is none, or what is there is none.
    pub fn find(config: &Nostr, environment: &BTreeMap<String, String>) -> Result<Self, IdentityError> {
        if let Some(path) = &config.remote_signer_file {
            return Bunker::read(path.clone()).map(Self::Remote);
        }
        let credential = |name: &str| {
            let folder = environment.get("CREDENTIALS_DIRECTORY")?;
            Some(PathBuf::from(folder).join(name)).filter(|path| path.exists())
        };
        let is_told = config.secret_key_file.is_some() || environment.contains_key(NOSTR_KEY_VARIABLE);
        match credential(NOSTR_SIGNER_CREDENTIAL).filter(|_| !is_told) {
            Some(_) if credential(NOSTR_CREDENTIAL).is_some() => Err(IdentityError::Both),
            Some(path) => Bunker::read(path).map(Self::Remote),
            None => Identity::find(config, environment).map(Self::Here),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNER: &str = "79dff8f82963424e0bb02708a22e44b4980893e3a4be0fa3cb60a43b946764e3";

    #[test]
    fn an_address_of_a_bunker() {
        let text =
            format!("bunker://{SIGNER}?relay=wss%3A%2F%2Fr.example&relay=wss://s.example&secret=0123456789abcdef\n");
        let bunker = Bunker::parse(&text).unwrap();
        assert_eq!(bunker.signer.to_hex(), SIGNER);
        assert_eq!(
            bunker.relays.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["wss://r.example", "wss://s.example"]
        );
        assert_eq!(bunker, Bunker::parse(&text).unwrap(), "the same key asks at each start");
        assert!(!format!("{bunker:?}").contains("0123456789abcdef"));
        let other = Bunker::parse(&text.replace("0123456789abcdef", "0123456789abcdee")).unwrap();
        assert_ne!(bunker.client(), other.client());
        let own = Bunker::parse(&format!("bunker://{SIGNER}?relay=wss://r.example\n{}\n", "07".repeat(32))).unwrap();
        assert_eq!(own.client, Keys::new(SecretKey::from_slice(&[7; 32]).unwrap()));
    }

    #[test]
    fn what_is_no_address() {
        for (text, why) in [
            (String::new(), "is empty"),
            ("nsec1abc".into(), "no address"),
            (format!("nostrconnect://{SIGNER}?relay=wss://r.example&secret=0123456789abcdef"), "begins at the signer"),
            ("bunker://kim?relay=wss://r.example&secret=0123456789abcdef".into(), "public key"),
            (format!("bunker://{SIGNER}?secret=0123456789abcdef"), "without relays"),
            (format!("bunker://{SIGNER}?relay=http://r.example&secret=0123456789abcdef"), "without relays"),
            (format!("bunker://{SIGNER}?relay=wss://r.example"), "without a long secret"),
            (format!("bunker://{SIGNER}?relay=wss://r.example&secret=1234"), "without a long secret"),
            (format!("bunker://{SIGNER}?relay=wss://r.example\nnpub1"), "second line"),
            (format!("bunker://{SIGNER}?relay=wss://r.example\n{}\nmore", "07".repeat(32)), "more than"),
        ] {
            let found = Bunker::parse(&text).unwrap_err();
            assert!(found.contains(why), "{text}: {found}");
        }
    }
}
