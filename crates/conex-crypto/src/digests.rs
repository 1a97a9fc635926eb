//! The two digests of format 1 (spec section 5).

use blake3::Hasher;
use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use conex_core::model::digest::{Context, Digest, FileDigest};
use sha2::{Digest as _, Sha256};

/// SHA-256 (FIPS 180-4).
pub(crate) fn sha256(bytes: &[u8]) -> FileDigest {
    FileDigest::from_bytes(Sha256::digest(bytes).into())
}

/// BLAKE3 in key derivation mode (BLAKE3 paper, section 2.3).
pub(crate) fn blake3(context: Context, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new_from_context_key(&context_key(context));
    hasher.update(bytes);
    Digest::from_bytes(hasher.finalize().into())
}

/// Returns the key derived from the context's string. Deriving it is half the work of hashing a small
/// statement, so it is done once per context.
#[cfg(feature = "std")]
fn context_key(context: Context) -> ContextKey {
    use std::sync::LazyLock;

    static KEYS: LazyLock<[ContextKey; Context::ALL.len()]> =
        LazyLock::new(|| Context::ALL.map(|context| hash_derive_key_context(context.as_str())));

    // `ALL` is in the order of declaration. A test compares every context with `derive_key`.
    KEYS.get(context as usize)
        .copied()
        .unwrap_or_else(|| hash_derive_key_context(context.as_str()))
}

#[cfg(not(feature = "std"))]
fn context_key(context: Context) -> ContextKey {
    hash_derive_key_context(context.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn sha256_is_the_published_one() {
        // FIPS 180-4, the one-block example.
        assert_eq!(
            sha256(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn every_context_derives_with_its_own_string() {
        for context in Context::ALL {
            for length in [0, 1, 64, 65, 1_024, 1_025, 100_000] {
                let bytes = vec![0x5a; length];
                assert_eq!(
                    blake3(context, &bytes).as_bytes(),
                    &blake3::derive_key(context.as_str(), &bytes),
                    "{context:?}, {length} bytes"
                );
            }
        }
    }
}
