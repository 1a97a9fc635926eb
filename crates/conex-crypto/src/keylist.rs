//! Public keys as people have them: `id_ed25519.pub`, a forge's `/<name>.keys`.

use alloc::vec::Vec;

use conex_core::key::{KeyError, PublicKey};

/// A line that is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not a public key with at most a comment")]
pub struct KeyListError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub error: KeyError,
}

/// Parses lines of `ALGORITHM BASE64 [COMMENT]`, skipping blank lines and those that begin with `#`.
///
/// Spaces and tabs separate; comments are dropped; a key that stands there twice comes once, in the
/// first place. The keys are of any algorithm: whether one can be used is for
/// [`conex_core::crypto::Signatures::accept`] to say.
///
/// # Errors
/// [`KeyListError`] with the first line that is anything else. Options in front of a key, as
/// `authorized_keys` may have them, are refused: they restrict a key, and nothing here would heed
/// them.
pub fn public_keys(text: &str) -> Result<Vec<PublicKey>, KeyListError> {
    let mut keys = Vec::new();
    let mut seen = alloc::collections::BTreeSet::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = public_key(line).map_err(|error| KeyListError {
            line: at + 1,
            error,
        })?;
        if seen.insert(key.clone()) {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn public_key(line: &str) -> Result<PublicKey, KeyError> {
    let mut fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
    let algorithm = fields.next().ok_or(KeyError::Key)?;
    let base64 = fields.next().ok_or(KeyError::Key)?;
    PublicKey::parse(&alloc::format!("{algorithm} {base64}"))
}
