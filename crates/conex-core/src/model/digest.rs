//! Digests, and the contexts that keep them apart (spec section 5).

use alloc::string::String;
use core::fmt;

use serde::Serialize;

/// What a statement digest is a digest of. Each context is a key derivation string of its own, so a digest
/// of one kind is never a digest of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    /// A root.
    Root,
    /// An author's statement.
    Author,
    /// A team's statement.
    Team,
    /// An authorisation.
    Authorisation,
    /// A package's releases.
    Releases,
    /// A release's checksums.
    Checksums,
    /// The repository files.
    Repository,
    /// The source of a release.
    Source,
    /// A page, signature included.
    Page,
    /// A batch.
    Batch,
}

impl Context {
    /// All contexts, in the order of the specification.
    pub const ALL: [Self; 10] = [
        Self::Root,
        Self::Author,
        Self::Team,
        Self::Authorisation,
        Self::Releases,
        Self::Checksums,
        Self::Repository,
        Self::Source,
        Self::Page,
        Self::Batch,
    ];

    /// The key derivation string of BLAKE3 (frozen by the vectors).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "conex 2026 format 1 root",
            Self::Author => "conex 2026 format 1 author",
            Self::Team => "conex 2026 format 1 team",
            Self::Authorisation => "conex 2026 format 1 authorisation",
            Self::Releases => "conex 2026 format 1 releases",
            Self::Checksums => "conex 2026 format 1 checksums",
            Self::Repository => "conex 2026 format 1 repository",
            Self::Source => "conex 2026 format 1 source",
            Self::Page => "conex 2026 format 1 page",
            Self::Batch => "conex 2026 format 1 batch",
        }
    }
}

/// Why a text is not a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is exactly 64 hexadecimal digits in lower case")]
pub struct DigestError;

macro_rules! digest {
    ($(#[$doc:meta])* $Name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $Name([u8; 32]);

        impl $Name {
            /// Wraps what a digest algorithm gave.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Parses 64 hexadecimal digits in lower case.
            ///
            /// # Errors
            /// [`DigestError`] for anything else.
            pub fn parse(text: &str) -> Result<Self, DigestError> {
                parse_hex(text).map(Self)
            }

            /// Appends the 64 hexadecimal digits to a text.
            pub fn push_to(&self, text: &mut String) {
                for byte in self.0 {
                    text.push(hex_digit(byte >> 4));
                    text.push(hex_digit(byte & 15));
                }
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = String::with_capacity(64);
                self.push_to(&mut text);
                f.write_str(&text)
            }
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

digest! {
    /// The BLAKE3 digest of a statement, page, batch or root, in one of the [`Context`]s.
    Digest
}

digest! {
    /// The SHA-256 digest of a file's bytes.
    FileDigest
}

fn hex_digit(value: u8) -> char {
    char::from(if value < 10 {
        b'0' + value
    } else {
        b'a' + value - 10
    })
}

/// The value of each hexadecimal digit, and what no digit has for all other bytes.
const DIGITS: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let digit = if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        };
        #[expect(clippy::indexing_slicing, reason = "a byte is a position among 256")]
        {
            values[digit as usize] = value;
        }
        value += 1;
    }
    values
};
const NO_DIGIT: u8 = 0xff;

#[expect(clippy::indexing_slicing, reason = "a byte is a position among 256")]
fn parse_hex(text: &str) -> Result<[u8; 32], DigestError> {
    let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| DigestError)?;
    let mut bytes = [0; 32];
    let mut seen = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        seen |= high | low;
        *byte = (high << 4) | (low & 15);
    }
    if seen > 15 {
        Err(DigestError)
    } else {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_digest_has_one_spelling() {
        let digest = Digest::from_bytes([0xa7; 32]);
        let text = digest.to_string();
        assert_eq!(Digest::parse(&text), Ok(digest));
        for bad in [
            text.to_uppercase(),
            text.replacen('a', " ", 1),
            text[1..].into(),
            text + "0",
        ] {
            assert_eq!(Digest::parse(&bad), Err(DigestError), "{bad}");
        }
    }

    #[test]
    fn contexts_are_distinct() {
        for (at, context) in Context::ALL.iter().enumerate() {
            assert!(
                Context::ALL
                    .iter()
                    .skip(at + 1)
                    .all(|other| other.as_str() != context.as_str())
            );
        }
    }
}
