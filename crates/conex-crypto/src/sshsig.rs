//! SSHSIG, the signature format of `ssh-keygen -Y` (OpenSSH `PROTOCOL.sshsig`; spec section 5).
//!
//! A verifier knows everything in a signature beforehand except the innermost bytes: the trusted key, the
//! namespace and the hash. It therefore does not parse these fields but builds what they have to be and
//! compares. Each signature has exactly one encoding.

use alloc::vec::Vec;

use conex_core::model::crypto::{BadSignature, Namespace};
use conex_core::model::key::{KeyError, PublicKey, Signature};
use sha2::{Digest as _, Sha512};

use crate::scheme::Scheme;
use crate::wire::{Reader, push_string};

const MAGIC: &[u8; 6] = b"SSHSIG";
const VERSION: u32 = 1;
/// This field must be empty in version 1.
const RESERVED: &[u8] = b"";
/// The default hash of `ssh-keygen -Y sign`. The format also allows sha256, but nothing needs it, so it is
/// refused.
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

/// Returns the bytes that the key itself signs.
pub(crate) fn signed_bytes(namespace: Namespace, message: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    push_string(&mut bytes, namespace.as_str().as_bytes());
    push_string(&mut bytes, RESERVED);
    push_string(&mut bytes, HASH);
    push_string(&mut bytes, &Sha512::digest(message));
    bytes
}

/// Wraps a signature of [`signed_bytes`] by a key.
///
/// # Errors
/// [`KeyError::TooLarge`] if it is not of an acceptable size.
pub(crate) fn wrap(
    key: &PublicKey,
    namespace: Namespace,
    inner: &[u8],
) -> Result<Signature, KeyError> {
    let mut blob = header(key, namespace);
    push_string(&mut blob, inner);
    Signature::from_blob(blob)
}

/// Returns the innermost signature, if everything around it is as required and nothing follows.
fn inner<'a>(key: &PublicKey, namespace: Namespace, blob: &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = Reader::new(blob.strip_prefix(header(key, namespace).as_slice())?);
    let inner = rest.string()?;
    rest.end()?;
    Some(inner)
}

/// Returns everything before the innermost signature.
fn header(key: &PublicKey, namespace: Namespace) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    push_string(&mut bytes, key.blob());
    push_string(&mut bytes, namespace.as_str().as_bytes());
    push_string(&mut bytes, RESERVED);
    push_string(&mut bytes, HASH);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SecretKey, StandardCrypto};
    use alloc::vec;
    use conex_core::model::crypto::{Signatures as _, Signer as _};
    use ed25519_dalek::{Signer as _, SigningKey};
    use sha2::Sha256;

    const SEED: [u8; 32] = [7; 32];
    const MESSAGE: &[u8] = b"signer = \"bob\"\n";

    fn secret() -> SecretKey {
        SecretKey::from_seed(SEED)
    }

    fn verdict(key: &PublicKey, namespace: Namespace, message: &[u8], blob: &[u8]) -> bool {
        Signature::from_blob(blob.to_vec())
            .is_ok_and(|signature| verify(key, namespace, message, &signature).is_ok())
    }

    /// A signature whose parts can be chosen freely. It is written without the code under test, and signed
    /// with a key that matches its contents.
    struct Forge<'a> {
        magic: &'a [u8],
        version: u32,
        key: Vec<u8>,
        namespace: &'a [u8],
        reserved: &'a [u8],
        hash: &'a [u8],
        inner_name: &'a [u8],
        inner_tail: &'a [u8],
        tail: &'a [u8],
    }

    impl Forge<'_> {
        fn honest() -> Self {
            Self {
                magic: b"SSHSIG",
                version: 1,
                key: secret().public_key().blob().to_vec(),
                namespace: b"conex-1-page",
                reserved: b"",
                hash: b"sha512",
                inner_name: b"ssh-ed25519",
                inner_tail: b"",
                tail: b"",
            }
        }

        fn blob(&self) -> Vec<u8> {
            fn string(bytes: &[u8]) -> Vec<u8> {
                let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
                [&length[..], bytes].concat()
            }
            let digest = match self.hash {
                b"sha256" => Sha256::digest(MESSAGE).to_vec(),
                _ => Sha512::digest(MESSAGE).to_vec(),
            };
            let about = [
                string(self.namespace),
                string(self.reserved),
                string(self.hash),
            ]
            .concat();
            let signed = [b"SSHSIG".to_vec(), about.clone(), string(&digest)].concat();
            let value = SigningKey::from_bytes(&SEED).sign(&signed).to_bytes();
            let inner = [&string(self.inner_name), &string(&value), self.inner_tail].concat();
            [
                self.magic,
                &self.version.to_be_bytes(),
                &string(&self.key),
                &about,
                &string(&inner),
                self.tail,
            ]
            .concat()
        }
    }

    type Change<'a> = &'a dyn Fn(&mut Forge<'a>);

    fn accepted(forge: &Forge<'_>) -> bool {
        verdict(
            secret().public_key(),
            Namespace::Page,
            MESSAGE,
            &forge.blob(),
        )
    }

    #[test]
    fn the_forge_is_honest_when_nothing_is_changed() {
        let signature = secret().sign(Namespace::Page, MESSAGE).unwrap();
        assert_eq!(Forge::honest().blob(), signature.blob());
        assert!(accepted(&Forge::honest()));
    }

    #[test]
    fn only_version_1_is_accepted() {
        for version in [0, 2, 0x100, u32::MAX] {
            let forge = Forge {
                version,
                ..Forge::honest()
            };
            assert!(!accepted(&forge), "{version}");
        }
    }

    #[test]
    fn only_the_expected_namespace_is_accepted() {
        let key = secret();
        let namespaces = [Namespace::Page, Namespace::Root, Namespace::Possession];
        for signed in namespaces {
            let blob = key.sign(signed, MESSAGE).unwrap();
            for expected in namespaces {
                assert_eq!(
                    verdict(key.public_key(), expected, MESSAGE, blob.blob()),
                    signed == expected
                );
            }
        }
        for namespace in [
            &b""[..],
            b"file",
            b"git",
            b"conex-1-page\0",
            b"Conex-1-page",
        ] {
            let forge = Forge {
                namespace,
                ..Forge::honest()
            };
            assert!(!accepted(&forge), "{namespace:?}");
        }
    }

    #[test]
    fn every_other_field_has_one_value() {
        let other = SecretKey::from_seed([8; 32]).public_key().blob().to_vec();
        let labelled_rsa = [b"\0\0\0\x07ssh-rsa", &Forge::honest().key[15..]].concat();
        let long_key = [&Forge::honest().key[..], b"\0"].concat();
        let changes: [(&str, Change<'_>); 16] = [
            ("magic", &|forge| forge.magic = b"SSHSIH"),
            ("no magic", &|forge| forge.magic = b""),
            ("another key", &|forge| forge.key.clone_from(&other)),
            ("RSA label", &|forge| forge.key.clone_from(&labelled_rsa)),
            ("long key", &|forge| forge.key.clone_from(&long_key)),
            ("no key", &|forge| forge.key.clear()),
            ("reserved", &|forge| forge.reserved = b"\0"),
            ("sha256", &|forge| forge.hash = b"sha256"),
            ("SHA512", &|forge| forge.hash = b"SHA512"),
            ("no hash", &|forge| forge.hash = b""),
            ("inner RSA", &|forge| forge.inner_name = b"rsa-sha2-512"),
            ("inner sk", &|forge| {
                forge.inner_name = b"sk-ssh-ed25519@openssh.com";
            }),
            ("no inner name", &|forge| forge.inner_name = b""),
            ("inner flags and counter", &|forge| {
                forge.inner_tail = &[1, 0, 0, 0, 9];
            }),
            ("trailing byte", &|forge| forge.tail = b"\0"),
            ("trailing newline", &|forge| forge.tail = b"\n"),
        ];
        for (what, change) in changes {
            let mut forge = Forge::honest();
            assert!(accepted(&forge));
            change(&mut forge);
            assert!(!accepted(&forge), "{what}");
        }
    }

    #[test]
    fn the_key_is_the_trusted_one_and_not_the_embedded_one() {
        let (bob, mallory) = (secret(), SecretKey::from_seed([8; 32]));
        let signature = mallory.sign(Namespace::Page, MESSAGE).unwrap();
        let accepts =
            |key: &SecretKey| verdict(key.public_key(), Namespace::Page, MESSAGE, signature.blob());
        assert!(accepts(&mallory));
        assert!(!accepts(&bob));
    }

    #[test]
    fn an_unsuitable_trusted_key_verifies_nothing() {
        let point_1 = [&[1][..], &[0; 31]].concat();
        let mut weak = Forge::honest().key[..19].to_vec();
        weak.extend_from_slice(&point_1);
        let weak = PublicKey::from_blob(weak).unwrap();
        // R = A = the neutral point and S = 0 satisfy the equation for every message.
        let mut inner = Vec::new();
        push_string(&mut inner, b"ssh-ed25519");
        push_string(&mut inner, &[&point_1[..], &[0; 32]].concat());
        let signature = wrap(&weak, Namespace::Page, &inner).unwrap();
        assert!(verify(&weak, Namespace::Page, MESSAGE, &signature).is_err());

        let rsa = [b"\0\0\0\x07ssh-rsa", &Forge::honest().key[15..]].concat();
        let rsa = PublicKey::from_blob(rsa).unwrap();
        let forge = Forge {
            key: rsa.blob().to_vec(),
            ..Forge::honest()
        };
        assert!(!verdict(&rsa, Namespace::Page, MESSAGE, &forge.blob()));
        assert!(StandardCrypto.accept(&rsa).is_err());
        assert!(StandardCrypto.accept(secret().public_key()).is_ok());
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let key = secret();
        let honest = key.sign(Namespace::Page, MESSAGE).unwrap();
        let page = Namespace::Page;
        assert!(verdict(key.public_key(), page, MESSAGE, honest.blob()));
        let flips = |bytes: &[u8]| -> Vec<Vec<u8>> {
            (0..bytes.len() * 8)
                .map(|bit| {
                    let mut flipped = bytes.to_vec();
                    flipped[bit / 8] ^= 1 << (bit % 8);
                    flipped
                })
                .collect()
        };
        for blob in flips(honest.blob()) {
            assert!(!verdict(key.public_key(), page, MESSAGE, &blob));
        }
        for message in flips(MESSAGE) {
            assert!(!verdict(key.public_key(), page, &message, honest.blob()));
        }
        for flipped in flips(key.public_key().blob()) {
            let Ok(flipped) = PublicKey::from_blob(flipped) else {
                continue;
            };
            assert!(!verdict(&flipped, page, MESSAGE, honest.blob()));
            // It is also refused if the signature names the flipped key.
            let mut inner = Vec::new();
            let value = &honest.blob()[honest.blob().len() - 64..];
            push_string(&mut inner, b"ssh-ed25519");
            push_string(&mut inner, value);
            let renamed = wrap(&flipped, page, &inner).unwrap();
            assert!(!verdict(&flipped, page, MESSAGE, renamed.blob()));
        }
        for namespace in flips(b"conex-1-page") {
            let forge = Forge {
                namespace: &namespace,
                ..Forge::honest()
            };
            assert!(!accepted(&forge));
        }
    }

    #[test]
    fn shorter_and_longer_blobs_are_refused() {
        let key = secret();
        let honest = key.sign(Namespace::Page, MESSAGE).unwrap();
        let accepts = |blob: &[u8]| verdict(key.public_key(), Namespace::Page, MESSAGE, blob);
        assert!(accepts(honest.blob()));
        for length in 0..honest.blob().len() {
            assert!(!accepts(&honest.blob()[..length]), "{length} bytes");
            assert!(!accepts(&honest.blob()[length + 1..]), "without {length}");
        }
        for more in [1, 4, 64, 10_000] {
            for filler in [0, 1, 0xff] {
                assert!(!accepts(&[honest.blob(), &vec![filler; more]].concat()));
            }
        }
        assert!(!accepts(&[honest.blob(), honest.blob()].concat()));
    }
}
