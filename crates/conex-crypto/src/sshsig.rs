//! SSHSIG, the signature format of `ssh-keygen -Y` (OpenSSH `PROTOCOL.sshsig`; spec section 5).
//!
//! A verifier knows everything in a signature beforehand but the innermost bytes: the trusted key,
//! the namespace and the hash. So nothing is read and then believed: what should be there is
//! written down and compared, and a signature has exactly one spelling.

use alloc::vec::Vec;

use conex_core::crypto::{BadSignature, Namespace};
use conex_core::key::{KeyError, PublicKey, Signature};
use sha2::{Digest as _, Sha512};

use crate::scheme::Scheme;
use crate::wire::{Reader, push_string};

const MAGIC: &[u8; 6] = b"SSHSIG";
const VERSION: u32 = 1;
/// Must be empty in version 1.
const RESERVED: &[u8] = b"";
/// What `ssh-keygen -Y sign` hashes the message with unless told otherwise. The format knows
/// sha256 too; nothing needs it, so it is refused.
const HASH: &[u8] = b"sha512";

/// Verifies `signature` over `message`, made with `key`, in `namespace`.
pub(crate) fn verify(
    key: &PublicKey,
    namespace: Namespace,
    message: &[u8],
    signature: &Signature,
) -> Result<(), BadSignature> {
    let scheme = Scheme::of(key).map_err(|_| BadSignature)?;
    let inner = inner(key, namespace, signature.blob()).ok_or(BadSignature)?;
    scheme.verify(&signed_bytes(namespace, message), inner)
}

/// The bytes that the key itself signs.
pub(crate) fn signed_bytes(namespace: Namespace, message: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    push_string(&mut bytes, namespace.as_str().as_bytes());
    push_string(&mut bytes, RESERVED);
    push_string(&mut bytes, HASH);
    push_string(&mut bytes, &Sha512::digest(message));
    bytes
}

/// Wraps what the key made of [`signed_bytes`].
///
/// # Errors
/// [`KeyError::TooLarge`] when that is no size for a signature.
pub(crate) fn wrap(
    key: &PublicKey,
    namespace: Namespace,
    inner: &[u8],
) -> Result<Signature, KeyError> {
    let mut blob = header(key, namespace);
    push_string(&mut blob, inner);
    Signature::from_blob(blob)
}

/// The innermost signature, if all around it is as it has to be, and nothing follows.
fn inner<'a>(key: &PublicKey, namespace: Namespace, blob: &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = Reader::new(blob.strip_prefix(header(key, namespace).as_slice())?);
    let inner = rest.string()?;
    rest.end()?;
    Some(inner)
}

/// All that stands in front of the innermost signature.
fn header(key: &PublicKey, namespace: Namespace) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    push_string(&mut bytes, key.blob());
    push_string(&mut bytes, namespace.as_str().as_bytes());
    push_string(&mut bytes, RESERVED);
    push_string(&mut bytes, HASH);
    bytes
}
