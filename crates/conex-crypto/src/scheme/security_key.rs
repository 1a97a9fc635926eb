//! `sk-ssh-ed25519@openssh.com` and `sk-ecdsa-sha2-nistp256@openssh.com`: keys in FIDO tokens (OpenSSH
//! `PROTOCOL.u2f`). A person has to be present at each signature.

use alloc::vec::Vec;

use conex_core::model::crypto::{BadKey, BadSignature};
use sha2::{Digest as _, Sha256};

use super::{ecdsa, ed25519};
use crate::wire::Reader;

/// The algorithms' names, in keys and in signatures.
pub(crate) const ED25519: &str = "sk-ssh-ed25519@openssh.com";
pub(crate) const ECDSA: &str = "sk-ecdsa-sha2-nistp256@openssh.com";

/// The prefix of the application of an SSH key. Keys for websites have a domain instead, and pages of those
/// websites can request signatures.
const APPLICATION: &[u8] = b"ssh:";

/// The flag by which a token says that it was touched. The other flags (verified by PIN, backed up, ...)
/// may have any value. All of them are signed.
const USER_PRESENT: u8 = 1;

/// A public key, and the data that its signatures cover besides the message.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    key: Inner,
    application: [u8; 32],
}

#[derive(Debug, Clone)]
enum Inner {
    Ed25519(ed25519::Key),
    Ecdsa(ecdsa::Key),
}

impl Key {
    /// Parses a key's blob (`PROTOCOL.u2f`, "SSH U2F Key formats").
    ///
    /// # Errors
    /// As for the inner keys; [`BadKey::Purpose`] for an application that does not begin with `ssh:`.
    pub(crate) fn parse(blob: &[u8]) -> Result<Self, BadKey> {
        let mut reader = Reader::new(blob);
        let name = reader.string().unwrap_or_default();
        let key = if name == ED25519.as_bytes() {
            let point = reader.string().ok_or(BadKey::Malformed)?;
            Inner::Ed25519(ed25519::Key::from_point(point)?)
        } else if name == ECDSA.as_bytes() {
            Inner::Ecdsa(ecdsa::Key::read(&mut reader).ok_or(BadKey::Malformed)?)
        } else {
            return Err(BadKey::Malformed);
        };
        let application = reader.string().ok_or(BadKey::Malformed)?;
        reader.end().ok_or(BadKey::Malformed)?;
        if !application.starts_with(APPLICATION) {
            return Err(BadKey::Purpose);
        }
        Ok(Self {
            key,
            application: Sha256::digest(application).into(),
        })
    }

    /// Verifies the inner signature of an SSHSIG (`PROTOCOL.u2f`, "SSH U2F signatures").
    pub(crate) fn verify(&self, bytes: &[u8], inner: &[u8]) -> Result<(), BadSignature> {
        let made = Made::parse(inner)
            .filter(|made| made.name == self.name().as_bytes())
            .filter(|made| made.flags & USER_PRESENT != 0)
            .ok_or(BadSignature)?;
        let mut signed = Vec::with_capacity(32 + 1 + 4 + 32);
        signed.extend_from_slice(&self.application);
        signed.push(made.flags);
        signed.extend_from_slice(&made.counter.to_be_bytes());
        signed.extend_from_slice(&Sha256::digest(bytes));
        match &self.key {
            Inner::Ed25519(key) => key.verify_value(&signed, made.value),
            Inner::Ecdsa(key) => key.verify_value(&signed, made.value),
        }
    }

    fn name(&self) -> &'static str {
        match self.key {
            Inner::Ed25519(_) => ED25519,
            Inner::Ecdsa(_) => ECDSA,
        }
    }
}

/// The parts of a signature by a token.
struct Made<'a> {
    name: &'a [u8],
    value: &'a [u8],
    flags: u8,
    counter: u32,
}

impl<'a> Made<'a> {
    fn parse(inner: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(inner);
        let made = Self {
            name: reader.string()?,
            value: reader.string()?,
            flags: reader.byte()?,
            counter: reader.uint32()?,
        };
        reader.end()?;
        Some(made)
    }
}
