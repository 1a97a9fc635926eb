//! The algorithms of conex: the implementation of the traits of [`conex_core::model::crypto`].
//!
//! Bytes in, bytes out: this crate touches no file, terminal or environment. It asks the operating system
//! only for randomness, for new keys. Everything here follows `docs/spec.md`, section 5.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod agent;
mod digests;
pub mod keyfile;
mod keylist;
mod scheme;
mod sshsig;
mod wire;

use conex_core::model::crypto::{BadKey, BadSignature, Digests, Namespace, Signatures};
use conex_core::model::digest::{Context, Digest, FileDigest};
use conex_core::model::key::{PublicKey, Signature};

pub use agent::AgentKey;
pub use keyfile::{KeyFile, KeyFileError, SecretKey};
pub use keylist::{KeyListError, public_keys};

use scheme::Scheme;

/// The algorithms of format 1: SHA-256, BLAKE3, and SSHSIG with Ed25519, ECDSA, RSA and security keys (spec
/// section 5).
///
/// It has no state, so it is free to create and copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StandardCrypto;

impl Digests for StandardCrypto {
    fn sha256(&self, bytes: &[u8]) -> FileDigest {
        digests::sha256(bytes)
    }

    fn blake3(&self, context: Context, bytes: &[u8]) -> Digest {
        digests::blake3(context, bytes)
    }
}

impl Signatures for StandardCrypto {
    fn accept(&self, key: &PublicKey) -> Result<(), BadKey> {
        Scheme::of(key).map(|_| ())
    }

    fn verify(
        &self,
        key: &PublicKey,
        namespace: Namespace,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        sshsig::verify(key, namespace, message, signature)
    }
}
