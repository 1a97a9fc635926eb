//! One module for each signature algorithm, chosen by the trusted key and by nothing else.
//!
//! A further algorithm (`sk-ssh-ed25519@openssh.com`, `ecdsa-sha2-nistp256`, `ssh-rsa`) is a module
//! and a variant here. Each gets the whole inner signature, whose shape is the algorithm's own:
//! security keys append flags and a counter, RSA names its hash there.

pub(crate) mod ed25519;

use conex_core::crypto::{BadKey, BadSignature};
use conex_core::key::PublicKey;

/// A public key that is fit for use, with the algorithm it is for.
#[derive(Debug, Clone)]
pub(crate) enum Scheme {
    Ed25519(ed25519::Key),
}

impl Scheme {
    /// Takes a key apart.
    ///
    /// # Errors
    /// [`BadKey`] when the algorithm is unknown, or the key is malformed or weak.
    pub(crate) fn of(key: &PublicKey) -> Result<Self, BadKey> {
        match key.algorithm() {
            ed25519::NAME => ed25519::Key::parse(key.blob()).map(Self::Ed25519),
            other => Err(BadKey::Unsupported(other.into())),
        }
    }

    /// Verifies an inner signature over exactly these bytes.
    pub(crate) fn verify(&self, bytes: &[u8], inner: &[u8]) -> Result<(), BadSignature> {
        match self {
            Self::Ed25519(key) => key.verify(bytes, inner),
        }
    }
}
