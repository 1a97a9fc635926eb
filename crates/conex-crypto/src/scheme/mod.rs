//! One module for each signature algorithm. The trusted key alone selects the algorithm.
//!
//! A new algorithm needs a module and a variant here. Each module gets the whole inner signature, whose
//! shape depends on the algorithm: security keys append flags and a counter, RSA names its hash there.

pub(crate) mod ecdsa;
pub(crate) mod ed25519;
pub(crate) mod rsa;
pub(crate) mod security_key;

use conex_core::model::crypto::{BadKey, BadSignature};
use conex_core::model::key::PublicKey;

/// A usable public key, with its algorithm.
#[derive(Debug, Clone)]
pub(crate) enum Scheme {
    Ed25519(ed25519::Key),
    Ecdsa(ecdsa::Key),
    Rsa(rsa::Key),
    SecurityKey(security_key::Key),
}

impl Scheme {
    /// Parses a key.
    ///
    /// # Errors
    /// [`BadKey`] if the algorithm is unknown, or the key is malformed, weak, too large or meant for
    /// another purpose.
    pub(crate) fn of(key: &PublicKey) -> Result<Self, BadKey> {
        match key.algorithm() {
            ed25519::NAME => ed25519::Key::parse(key.blob()).map(Self::Ed25519),
            ecdsa::NAME => ecdsa::Key::parse(key.blob()).map(Self::Ecdsa),
            rsa::NAME => rsa::Key::parse(key.blob()).map(Self::Rsa),
            security_key::ED25519 | security_key::ECDSA => {
                security_key::Key::parse(key.blob()).map(Self::SecurityKey)
            }
            other => Err(BadKey::Unsupported(other.into())),
        }
    }

    /// Verifies an inner signature over exactly these bytes.
    pub(crate) fn verify(&self, bytes: &[u8], inner: &[u8]) -> Result<(), BadSignature> {
        match self {
            Self::Ed25519(key) => key.verify(bytes, inner),
            Self::Ecdsa(key) => key.verify(bytes, inner),
            Self::Rsa(key) => key.verify(bytes, inner),
            Self::SecurityKey(key) => key.verify(bytes, inner),
        }
    }
}
