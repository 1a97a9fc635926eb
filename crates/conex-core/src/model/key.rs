//! Public keys, fingerprints and signatures as data; no algorithm is known here (spec section 5).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use serde::{Serialize, Serializer};

use crate::model::limits;

/// Why a text is not a key, fingerprint or signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not `ALGORITHM BASE64`, or more than that.
    #[error("a public key is written as its algorithm, one space and base64, without a comment")]
    Key,
    /// The algorithm on the line is not the one inside the key.
    #[error("the algorithm named in front of the key is not the one inside it")]
    Algorithm,
    /// Not `SHA256:` and 43 characters of base64.
    #[error("a fingerprint is written as SHA256: and 43 characters of base64")]
    Fingerprint,
    /// Not an armoured SSH signature in the exact form that `ssh-keygen -Y sign` writes.
    #[error("a signature is written as `ssh-keygen -Y sign` writes it")]
    Signature,
    /// More bytes than allowed.
    #[error("the key or signature is too large")]
    TooLarge,
}

/// A public key in OpenSSH's form: an algorithm and the blob that holds it again.
///
/// Says nothing of whether the key is any good: that is [`crate::model::crypto::Signatures::accept`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    algorithm: Box<str>,
    blob: Box<[u8]>,
}

/// Whether a character may stand in the name of an algorithm: one that needs no escaping in any file.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && byte != b'"' && byte != b'\\'
}

impl PublicKey {
    /// Parses `ssh-ed25519 AAAA...`: the one accepted spelling, no comment, padded base64.
    ///
    /// # Errors
    /// [`KeyError`] when it is spelled otherwise, or the algorithm is not the one inside the key.
    pub fn parse(line: &str) -> Result<Self, KeyError> {
        if line.len() as u64 > limits::SIGNATURE_FILE {
            return Err(KeyError::TooLarge);
        }
        let (algorithm, base64) = line.split_once(' ').ok_or(KeyError::Key)?;
        let blob = Base64::decode_vec(base64).map_err(|_| KeyError::Key)?;
        let key = Self::from_blob(blob)?;
        if &*key.algorithm != algorithm {
            return Err(KeyError::Algorithm);
        }
        if key.as_line() != line {
            return Err(KeyError::Key);
        }
        Ok(key)
    }

    /// Takes the binary form (RFC 4253 section 6.6): the algorithm as a length-prefixed text, then the rest.
    ///
    /// # Errors
    /// [`KeyError`] when no algorithm stands in front.
    pub fn from_blob(blob: Vec<u8>) -> Result<Self, KeyError> {
        let (length, rest) = blob.split_first_chunk::<4>().ok_or(KeyError::Key)?;
        let length = u32::from_be_bytes(*length) as usize;
        let algorithm = rest
            .get(..length)
            .filter(|name| (1..=64).contains(&name.len()))
            .filter(|name| name.iter().all(|byte| is_plain(*byte)))
            .and_then(|name| core::str::from_utf8(name).ok())
            .ok_or(KeyError::Key)?;
        Ok(Self {
            algorithm: algorithm.into(),
            blob: blob.into_boxed_slice(),
        })
    }

    /// The algorithm's name, such as `ssh-ed25519`.
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The binary form.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The line of text, without a comment.
    pub fn as_line(&self) -> String {
        format!("{} {}", self.algorithm, Base64::encode_string(&self.blob))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_line())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_line())
    }
}

impl Serialize for PublicKey {
    /// Encodes the blob, which holds the algorithm.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.blob)
    }
}

/// The SHA-256 of a public key's blob, as OpenSSH prints it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Wraps the SHA-256 of a key's blob.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The same as 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        format!("{}", crate::model::digest::FileDigest::from_bytes(self.0))
    }

    /// Parses `SHA256:` and 43 characters of unpadded base64.
    ///
    /// # Errors
    /// [`KeyError::Fingerprint`] for any other spelling.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let base64 = text.strip_prefix("SHA256:").ok_or(KeyError::Fingerprint)?;
        let mut bytes = [0; 32];
        let decoded =
            Base64Unpadded::decode(base64, &mut bytes).map_err(|_| KeyError::Fingerprint)?;
        if decoded.len() != 32 {
            return Err(KeyError::Fingerprint);
        }
        let fingerprint = Self(bytes);
        if format!("{fingerprint}") != text {
            return Err(KeyError::Fingerprint);
        }
        Ok(fingerprint)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", Base64Unpadded::encode_string(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An SSH signature (SSHSIG) in binary form, not yet checked against anything.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(Box<[u8]>);

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "-----END SSH SIGNATURE-----\n";
/// Characters of base64 on a line of the armour.
const LINE: usize = 70;

impl Signature {
    /// Wraps a binary signature.
    ///
    /// # Errors
    /// [`KeyError::TooLarge`] over [`limits::SIGNATURE_FILE`] bytes.
    pub fn from_blob(blob: Vec<u8>) -> Result<Self, KeyError> {
        if blob.len() as u64 > limits::SIGNATURE_FILE {
            return Err(KeyError::TooLarge);
        }
        Ok(Self(blob.into_boxed_slice()))
    }

    /// Parses the armoured form, in exactly the spelling of `ssh-keygen -Y sign`: lines of 70
    /// characters, padded base64, a final newline.
    ///
    /// # Errors
    /// [`KeyError`] for any other spelling, or when it is too large.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() as u64 > 2 * limits::SIGNATURE_FILE {
            return Err(KeyError::TooLarge);
        }
        let body = text
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(END))
            .ok_or(KeyError::Signature)?;
        let base64: String = body.lines().collect();
        let blob = Base64::decode_vec(&base64).map_err(|_| KeyError::Signature)?;
        let signature = Self::from_blob(blob)?;
        if signature.armour() != text {
            return Err(KeyError::Signature);
        }
        Ok(signature)
    }

    /// The binary form.
    pub fn blob(&self) -> &[u8] {
        &self.0
    }

    /// The armoured form.
    pub fn armour(&self) -> String {
        let base64 = Base64::encode_string(&self.0);
        let mut text =
            String::with_capacity(base64.len() * 72 / LINE + BEGIN.len() + END.len() + 2);
        text.push_str(BEGIN);
        let mut rest = base64.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at(rest.len().min(LINE));
            text.push_str(line);
            text.push('\n');
            rest = tail;
        }
        text.push_str(END);
        text
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64::encode_string(&self.0))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const LINE_OF_KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn a_key_has_one_spelling() {
        let key = PublicKey::parse(LINE_OF_KEY).unwrap();
        assert_eq!(key.algorithm(), "ssh-ed25519");
        assert_eq!(key.as_line(), LINE_OF_KEY);
        for bad in [
            format!("{LINE_OF_KEY} bob@host"),
            format!("{LINE_OF_KEY}\n"),
            LINE_OF_KEY.replace(' ', "  "),
            LINE_OF_KEY.replace("ssh-ed25519", "ssh-rsa"),
            LINE_OF_KEY.replace("ssh-ed25519 ", ""),
            format!("{LINE_OF_KEY}="),
        ] {
            assert!(PublicKey::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_has_one_spelling() {
        let fingerprint = Fingerprint::from_bytes([7; 32]);
        let text = format!("{fingerprint}");
        assert_eq!(Fingerprint::parse(&text), Ok(fingerprint));
        // The last character carries two bits that must be zero.
        let mut odd = text.clone();
        odd.pop();
        odd.push('d');
        for bad in [
            odd,
            format!("{text}="),
            text.replace("SHA256", "MD5"),
            text[..20].into(),
        ] {
            assert!(Fingerprint::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let signature = Signature::from_blob(vec![9; 200]).unwrap();
        let text = signature.armour();
        assert_eq!(Signature::parse(&text), Ok(signature));
        for bad in [
            text.replacen('\n', "\r\n", 1),
            text.trim_end().into(),
            text.replace("=\n", "\n"),
            format!("{text}\n"),
            text.replacen("CQ", "C\nQ", 1),
        ] {
            assert!(Signature::parse(&bad).is_err(), "{bad}");
        }
    }
}
