//! `ssh-ed25519` (RFC 8032, RFC 8709), strictly: what two verifiers might judge differently is
//! refused.

use alloc::vec::Vec;

use conex_core::crypto::{BadKey, BadSignature};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::wire::{Reader, push_string};

/// The algorithm's name, in keys and in signatures.
pub(crate) const NAME: &str = "ssh-ed25519";

/// A public key in its one encoding, of no small order.
#[derive(Debug, Clone)]
pub(crate) struct Key(VerifyingKey);

impl Key {
    /// Parses a key's blob (RFC 8709 section 4).
    ///
    /// # Errors
    /// [`BadKey::Malformed`] for anything but the one encoding of a point, [`BadKey::Weak`] for a
    /// point of small order.
    pub(crate) fn parse(blob: &[u8]) -> Result<Self, BadKey> {
        Self::from_point(field(blob).ok_or(BadKey::Malformed)?)
    }

    /// Decodes a point (RFC 8032 section 5.1.3).
    fn from_point(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| BadKey::Malformed)?;
        // The library decodes y >= p, and x = 0 with a sign: second spellings of a key.
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(BadKey::Malformed);
        }
        if key.is_weak() {
            return Err(BadKey::Weak);
        }
        Ok(Self(key))
    }

    /// Verifies the inner signature of an SSHSIG (RFC 8709 section 6).
    pub(crate) fn verify(&self, bytes: &[u8], inner: &[u8]) -> Result<(), BadSignature> {
        self.verify_raw(bytes, field(inner).ok_or(BadSignature)?)
    }

    /// Refuses also a scalar that is not reduced and a point R that is of small order or not in its
    /// one encoding.
    fn verify_raw(&self, bytes: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        self.0
            .verify_strict(bytes, &Signature::from_bytes(signature))
            .map_err(|_| BadSignature)
    }
}

/// The blob of a public key.
pub(crate) fn blob(key: &VerifyingKey) -> Vec<u8> {
    encode(key.as_bytes())
}

/// Signs exactly these bytes, giving the inner signature of an SSHSIG.
pub(crate) fn sign(key: &SigningKey, bytes: &[u8]) -> Vec<u8> {
    encode(&key.sign(bytes).to_bytes())
}

/// The algorithm's name and one field of so many bytes: the shape of both keys and signatures.
fn field<const N: usize>(bytes: &[u8]) -> Option<&[u8; N]> {
    let mut reader = Reader::new(bytes);
    let name = reader.string()?;
    let value = reader.string()?;
    reader.end()?;
    if name != NAME.as_bytes() {
        return None;
    }
    value.try_into().ok()
}

fn encode(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_string(&mut bytes, NAME.as_bytes());
    push_string(&mut bytes, value);
    bytes
}
