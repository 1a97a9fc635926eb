//! The algorithms verification needs, as traits; `conex-crypto` has the implementations.

use core::fmt;

use crate::model::digest::{Context, Digest, FileDigest};
use crate::model::key::{Fingerprint, PublicKey, Signature};

/// What a signature is for. Each is an SSHSIG namespace of its own, so that a signature made for
/// one purpose is never one for another (spec section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// A page of vouches.
    Page,
    /// A root.
    Root,
    /// A proof that somebody holds the key they list.
    Possession,
}

impl Namespace {
    /// The SSHSIG namespace.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "conex-1-page",
            Self::Root => "conex-1-root",
            Self::Possession => "conex-1-key",
        }
    }
}

/// The two digests of format 1.
pub trait Digests: Sync {
    /// SHA-256 (FIPS 180-4) of a file's bytes.
    fn sha256(&self, bytes: &[u8]) -> FileDigest;

    /// BLAKE3 in key derivation mode with the context's string.
    fn blake3(&self, context: Context, bytes: &[u8]) -> Digest;

    /// The fingerprint of a public key: SHA-256 of its blob.
    fn fingerprint(&self, key: &PublicKey) -> Fingerprint {
        Fingerprint::from_bytes(*self.sha256(key.blob()).as_bytes())
    }
}

/// A signature that does not verify. Says no more, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct BadSignature;

/// A public key that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadKey {
    /// An algorithm this build does not know.
    #[error("keys of type {0} are not supported")]
    Unsupported(alloc::string::String),
    /// The bytes are not a key of that algorithm, or not in its one encoding.
    #[error("the key is malformed")]
    Malformed,
    /// A key anybody can sign for, or one that is too short.
    #[error("the key is weak")]
    Weak,
    /// A key with which every check would take long.
    #[error("the key is too large")]
    TooLarge,
    /// A security key that was made for something else than SSH.
    #[error("the security key was made for something else than SSH")]
    Purpose,
}

/// Checks keys and signatures. The algorithm comes from the trusted key, never from the message.
pub trait Signatures: Sync {
    /// Accepts a key that is well-formed, strong enough, and of a known algorithm.
    ///
    /// # Errors
    /// [`BadKey`].
    fn accept(&self, key: &PublicKey) -> Result<(), BadKey>;

    /// Verifies an SSHSIG signature over `message`, made with `key`, in `namespace`.
    ///
    /// # Errors
    /// [`BadSignature`], whatever the reason.
    fn verify(
        &self,
        key: &PublicKey,
        namespace: Namespace,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature>;
}

/// All the algorithms verification needs.
pub trait Crypto: Digests + Signatures {}

impl<T: Digests + Signatures> Crypto for T {}

/// Makes signatures with one key: a key file, an agent, a token.
pub trait Signer {
    /// Why it could not sign.
    type Error: fmt::Display;

    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message` in `namespace` as SSHSIG.
    ///
    /// # Errors
    /// Whatever keeps this signer from signing.
    fn sign(&self, namespace: Namespace, message: &[u8]) -> Result<Signature, Self::Error>;
}
