//! Who speaks for the gateway: a key that is here, or a signer somewhere else. Everything that is signed, sealed
//! or opened in the gateway's name goes through here.

use futures_util::FutureExt as _;
use nostr_sdk::nips::nip44;
use nostr_sdk::signer::{SignerBackend, SignerError};
use nostr_sdk::util::BoxedFuture;
use nostr_sdk::{Event, JsonUtil as _, Keys, NostrSigner, PublicKey, Timestamp as Seconds, UnsignedEvent};

use super::compose::{expiration, seal, wrap_signed};
use super::evidence::Evidence;
use super::identity::Identity;
use super::remote::{NotSigned, RemoteSigner};
use super::utterance::Utterance;
use super::wrap::{Layer, NotUnwrapped, first_layer, is_worth_opening, of_signer};

/// Speaks for the gateway.
#[derive(Clone, Debug)]
pub enum Signer {
    /// With a key that is here.
    Local(Identity),
    /// With one that is somewhere else; the public key is what it has said of itself.
    Remote(RemoteSigner, PublicKey),
}

impl Signer {
    /// The public key in whose name it speaks.
    pub fn public(&self) -> PublicKey {
        match self {
            Self::Local(identity) => identity.public(),
            Self::Remote(_, public) => *public,
        }
    }

    /// The same in lower-case hexadecimal.
    pub fn hex(&self) -> String {
        self.public().to_hex()
    }

    /// `event`, signed.
    ///
    /// # Errors
    /// It was not.
    pub async fn sign(&self, event: &UnsignedEvent) -> Result<Event, NotSigned> {
        match self {
            Self::Local(identity) => {
                event.clone().sign_with_keys(identity.keys()).map_err(|error| NotSigned::Unfit(error.to_string()))
            }
            Self::Remote(remote, _) => remote.sign(event).await,
        }
    }

    /// `rumor` in a seal and a wrap (NIP-59), for `to` alone. The times are said to be `back` before `at`, which
    /// hides when it was really sent; `ephemeral` signs the wrap, and nothing else ever.
    ///
    /// # Errors
    /// It is too long to be encrypted, which people's texts are not; or as [`Self::sign`].
    pub async fn wrap(
        &self,
        rumor: &UnsignedEvent,
        to: &PublicKey,
        ephemeral: &Keys,
        at: Seconds,
        back: [u64; 2],
    ) -> Result<Event, NotSigned> {
        let sealed = match self {
            Self::Local(identity) => {
                nip44::encrypt(identity.keys().secret_key(), to, rumor.as_json(), nip44::Version::V2)
                    .map_err(|error| NotSigned::Unfit(error.to_string()))?
            }
            Self::Remote(remote, _) => remote.encrypt(to, &rumor.as_json()).await?,
        };
        let before = |seconds: u64| Seconds::from(at.as_secs().saturating_sub(seconds));
        let seal = self.sign(&seal(self.public(), sealed, before(back[0]))).await?;
        wrap_signed(&seal, to, ephemeral, before(back[1]), expiration(rumor)).map_err(NotSigned::Unfit)
    }
}

/// As [`unwrap()`](super::unwrap), by a signer that is somewhere else: it opens what is wrapped, and shows no keys.
///
/// # Errors
/// Nothing came of it, or nobody knows yet, because the signer did not open it.
pub async fn unwrap_remotely(
    wrap: &Event,
    remote: &RemoteSigner,
    us: &str,
    is_known: impl Fn(&str) -> bool,
) -> Result<Result<(Evidence, Utterance), NotUnwrapped>, NotSigned> {
    if let Err(why) = is_worth_opening(wrap) {
        return Ok(Err(why));
    }
    let inner = match remote.open_of_anybody(&wrap.pubkey, &wrap.content).await {
        Err(NotSigned::Refused(_) | NotSigned::Unfit(_)) => return Ok(Err(NotUnwrapped::Foreign)),
        inner => inner?,
    };
    let seal = match first_layer(&inner, us, is_known) {
        Ok(Layer::Decision(evidence, said)) => return Ok(Ok((evidence, said))),
        Ok(Layer::Seal(seal)) => seal,
        Err(why) => return Ok(Err(why)),
    };
    let rumor = match remote.open_of_person(&seal.event().pubkey, &seal.event().content).await {
        Err(NotSigned::Refused(_) | NotSigned::Unfit(_)) => return Ok(Err(NotUnwrapped::Foreign)),
        rumor => rumor?,
    };
    Ok(of_signer(&seal, rumor, us))
}

/// What the library signs by itself: who we are, to relays that want to know (NIP-42).
impl NostrSigner for Signer {
    fn backend(&self) -> SignerBackend<'_> {
        match self {
            Self::Local(_) => SignerBackend::Keys,
            Self::Remote(..) => SignerBackend::NostrConnect,
        }
    }

    fn get_public_key(&self) -> BoxedFuture<'_, Result<PublicKey, SignerError>> {
        std::future::ready(Ok(self.public())).boxed()
    }

    fn sign_event(&self, unsigned: UnsignedEvent) -> BoxedFuture<'_, Result<Event, SignerError>> {
        async move { self.sign(&unsigned).await.map_err(SignerError::backend) }.boxed()
    }

    fn nip04_encrypt<'a>(&'a self, _: &'a PublicKey, _: &'a str) -> BoxedFuture<'a, Result<String, SignerError>> {
        unused()
    }

    fn nip04_decrypt<'a>(&'a self, _: &'a PublicKey, _: &'a str) -> BoxedFuture<'a, Result<String, SignerError>> {
        unused()
    }

    fn nip44_encrypt<'a>(&'a self, _: &'a PublicKey, _: &'a str) -> BoxedFuture<'a, Result<String, SignerError>> {
        unused()
    }

    fn nip44_decrypt<'a>(&'a self, _: &'a PublicKey, _: &'a str) -> BoxedFuture<'a, Result<String, SignerError>> {
        unused()
    }
}

/// Nothing that the library does for us needs it.
fn unused<'a>() -> BoxedFuture<'a, Result<String, SignerError>> {
    std::future::ready(Err(SignerError::backend(NotSigned::Unfit("the library encrypts nothing".to_owned())))).boxed()
}
