//! Whatever the bytes: an answer, and the right one.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use base64ct::{Base64, Encoding as _};
use conex_core::model::crypto::{Namespace, Signatures as _, Signer as _};
use conex_core::model::key::{PublicKey, Signature};
use conex_crypto::{SecretKey, StandardCrypto, public_keys};
use proptest::prelude::*;

fn armour(binary: &[u8]) -> String {
    format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
        Base64::encode_string(binary)
    )
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

proptest! {
    #[test]
    fn any_bytes_as_a_key_file_are_refused(bytes in bytes()) {
        prop_assert!(SecretKey::read(&bytes, Some(b"secret")).is_err());
        prop_assert!(SecretKey::read(armour(&bytes).as_bytes(), Some(b"secret")).is_err());
        let begun = [b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none\0\0\0\0", &bytes[..]].concat();
        prop_assert!(SecretKey::read(armour(&begun).as_bytes(), None).is_err());
    }

    #[test]
    fn any_edit_of_a_key_file_gives_an_answer(
        seed: [u8; 32],
        at in any::<prop::sample::Index>(),
        cut in 0_usize..8,
        insert in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let key = SecretKey::from_seed(seed);
        let file = key.write("bob", None).unwrap();
        let mut edited = file.as_bytes().to_vec();
        let at = at.index(edited.len());
        let end = edited.len().min(at + cut);
        edited.splice(at..end, insert);
        if let Ok(read) = SecretKey::read(&edited, None) {
            prop_assert_eq!(read.public_key(), key.public_key());
        }
    }

    #[test]
    fn any_bytes_as_a_signature_are_refused(bytes in bytes(), message in bytes()) {
        let key = SecretKey::from_seed([7; 32]);
        let honest = key.sign(Namespace::Page, &message).unwrap();
        let cut = honest.blob().len() - 83;
        for blob in [bytes.clone(), [&honest.blob()[..cut], &bytes].concat()] {
            let signature = Signature::from_blob(blob).unwrap();
            let verdict =
                StandardCrypto.verify(key.public_key(), Namespace::Page, &message, &signature);
            prop_assert!(verdict.is_err());
        }
        let verdict = StandardCrypto.verify(key.public_key(), Namespace::Page, &message, &honest);
        prop_assert!(verdict.is_ok());
    }

    #[test]
    fn any_bytes_as_a_key_get_one_answer(bytes in bytes(), point: [u8; 32]) {
        if let Ok(key) = PublicKey::from_blob(bytes.clone()) {
            prop_assert!(StandardCrypto.accept(&key).is_err());
        }
        let head = b"\0\0\0\x0bssh-ed25519";
        let key = PublicKey::from_blob([&head[..], &bytes].concat()).unwrap();
        prop_assert!(StandardCrypto.accept(&key).is_err());
        let key = PublicKey::from_blob([&head[..], &[0, 0, 0, 32], &point].concat()).unwrap();
        let _ = StandardCrypto.accept(&key);
    }

    #[test]
    fn any_bytes_behind_a_name_get_an_answer(bytes in bytes(), fields in prop::collection::vec(bytes(), 0..4)) {
        let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
        let fields: Vec<u8> = fields.iter().flat_map(|field| string(field)).collect();
        for name in [
            "ecdsa-sha2-nistp256",
            "ssh-rsa",
            "sk-ssh-ed25519@openssh.com",
            "sk-ecdsa-sha2-nistp256@openssh.com",
        ] {
            for rest in [&bytes, &fields, &[string(b"nistp256"), fields.clone()].concat()] {
                let key = PublicKey::from_blob([string(name.as_bytes()), rest.clone()].concat()).unwrap();
                let _ = StandardCrypto.accept(&key);
                let signature = Signature::from_blob(bytes.clone()).unwrap();
                let verdict = StandardCrypto.verify(&key, Namespace::Page, b"message", &signature);
                prop_assert!(verdict.is_err());
            }
        }
    }

    /// Honest keys, and anything inside an honest envelope.
    #[test]
    fn any_bytes_as_an_inner_signature_are_refused(bytes in bytes(), at in any::<prop::sample::Index>(), byte: u8) {
        for case in include_str!("schemes.txt").split("\n\n").skip(1) {
            let [name, key, armour] = case.splitn(3, '\n').collect::<Vec<_>>().try_into().unwrap();
            if !name.starts_with("accepted-") {
                continue;
            }
            let key = PublicKey::parse(key).unwrap();
            let honest = Signature::parse(&format!("{}\n", armour.trim_end())).unwrap();
            let accepts = |blob: Vec<u8>| {
                let signature = Signature::from_blob(blob).unwrap();
                StandardCrypto.verify(&key, Namespace::Page, b"message", &signature).is_ok()
            };
            prop_assert!(accepts(honest.blob().to_vec()));
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            let front = b"SSHSIG\0\0\0\x01".len() + 4 + key.blob().len() + 4 + 12 + 4 + 4 + 6;
            prop_assert!(!accepts([&honest.blob()[..front], &length, &bytes].concat()));
            let mut edited = honest.blob().to_vec();
            let at = at.index(edited.len());
            edited[at] = byte;
            prop_assert_eq!(accepts(edited.clone()), edited == honest.blob());
        }
    }

    #[test]
    fn any_text_as_keys_gets_an_answer(text in any::<String>(), lines in "([a-z0-9 \t#=+/-]{0,40}\n){0,5}") {
        let _ = public_keys(&text);
        let _ = public_keys(&lines);
    }
}
