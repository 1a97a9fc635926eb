//! Private key files that are not what they should be; `openssh.rs` has the honest ones.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use base64ct::{Base64, Encoding as _};
use conex_core::model::crypto::{Namespace, Signatures as _, Signer as _};
use conex_crypto::{KeyFile, KeyFileError, SecretKey, StandardCrypto};

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
const END: &str = "-----END OPENSSH PRIVATE KEY-----\n";

fn key() -> SecretKey {
    SecretKey::from_seed([7; 32])
}

fn unarmour(file: &str) -> Vec<u8> {
    let body = file.strip_prefix(BEGIN).unwrap().strip_suffix(END).unwrap();
    Base64::decode_vec(&body.replace('\n', "")).unwrap()
}

fn armour(binary: &[u8]) -> String {
    format!("{BEGIN}{}\n{END}", Base64::encode_string(binary))
}

/// Replaces the one occurrence.
fn replace(binary: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut found = (0..binary.len()).filter(|at| binary.split_at(*at).1.starts_with(from));
    let (front, rest) = binary.split_at(found.next().unwrap());
    assert!(found.next().is_none(), "more than once");
    [front, to, rest.split_at(from.len()).1].concat()
}

fn refused(binary: &[u8]) -> KeyFileError {
    SecretKey::read(armour(binary).as_bytes(), Some(b"secret")).unwrap_err()
}

#[test]
fn what_is_written_is_read() {
    for passphrase in [None, Some(&b"secret"[..])] {
        let file = key().write("bob@host", passphrase).unwrap();
        let parsed = KeyFile::parse(file.as_bytes()).unwrap();
        assert_eq!(parsed.is_encrypted(), passphrase.is_some());
        assert_eq!(parsed.public_key(), key().public_key());
        let again = parsed.unlock(passphrase).unwrap();
        assert_eq!(again.public_key(), key().public_key());
        let signature = again.sign(Namespace::Page, b"message").unwrap();
        assert_eq!(
            StandardCrypto.verify(key().public_key(), Namespace::Page, b"message", &signature),
            Ok(())
        );
    }
}

#[test]
fn a_generated_key_is_new_and_acceptable() {
    let (one, two) = (
        SecretKey::generate().unwrap(),
        SecretKey::generate().unwrap(),
    );
    assert_ne!(one.public_key(), two.public_key());
    assert_eq!(StandardCrypto.accept(one.public_key()), Ok(()));
}

#[test]
fn encrypting_twice_gives_two_files() {
    let write = || key().write("", Some(b"secret")).unwrap();
    assert_ne!(*write(), *write());
}

#[test]
fn debug_shows_the_public_half_only() {
    let file = key().write("", None).unwrap();
    let shown = format!("{:?} {:?}", key(), KeyFile::parse(file.as_bytes()).unwrap());
    assert!(shown.contains(&key().public_key().as_line()));
    for secret in ["07, 7", "7, 7", "0707", "BwcH"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn other_files_are_not_key_files() {
    let file = key().write("", None).unwrap();
    for other in [
        "",
        "x",
        &key().public_key().as_line(),
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        &format!(" {}", *file),
        &format!("{}{}", *file, " ".repeat(1 << 17)),
    ] {
        assert_eq!(
            SecretKey::read(other.as_bytes(), None).err(),
            Some(KeyFileError::NotAKeyFile),
            "{other:.40}"
        );
    }
    assert_eq!(
        SecretKey::read(b"\xff", None).err(),
        Some(KeyFileError::NotAKeyFile)
    );
}

#[test]
fn line_ends_do_not_matter() {
    let file = key().write("", None).unwrap();
    for spelled in [
        file.replace('\n', "\r\n"),
        file.trim_end().to_owned(),
        armour(&unarmour(&file)),
    ] {
        let read = SecretKey::read(spelled.as_bytes(), None).unwrap();
        assert_eq!(read.public_key(), key().public_key());
    }
}

#[test]
fn every_flipped_bit_is_refused_or_does_not_matter() {
    let binary = unarmour(&key().write("bob", None).unwrap());
    let mut unchanged = Vec::new();
    for bit in 0..binary.len() * 8 {
        let mut flipped = binary.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = SecretKey::read(armour(&flipped).as_bytes(), None) {
            assert_eq!(read.public_key(), key().public_key());
            unchanged.push(bit / 8);
        }
    }
    // The three letters of the comment, and nothing else.
    unchanged.dedup();
    let comment = binary.windows(3).position(|at| at == b"bob").unwrap();
    assert_eq!(unchanged, [comment, comment + 1, comment + 2]);
}

#[test]
fn shorter_and_longer_files_are_refused() {
    for passphrase in [None, Some(&b"secret"[..])] {
        let binary = unarmour(&key().write("bob", passphrase).unwrap());
        // The body of an encrypted file is opened for each length: a few will do.
        let step = if passphrase.is_some() { 29 } else { 1 };
        for length in (0..binary.len()).step_by(step) {
            assert_eq!(
                refused(&binary[..length]),
                KeyFileError::Damaged,
                "{length}"
            );
        }
        assert_eq!(
            refused(&[&binary[..], b"\0"].concat()),
            KeyFileError::Damaged
        );
    }
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    let binary = unarmour(&key().write("", None).unwrap());
    let other = SecretKey::from_seed([8; 32]);
    // The secret half of another key under the same public half.
    assert_eq!(
        refused(&replace(&binary, &[7; 32], &[8; 32])),
        KeyFileError::Damaged
    );
    // The public half of another key in front of an encrypted body.
    let locked = unarmour(&key().write("", Some(b"secret")).unwrap());
    let swapped = replace(
        &locked,
        key().public_key().blob(),
        other.public_key().blob(),
    );
    assert_eq!(refused(&swapped), KeyFileError::Damaged);
}

#[test]
fn an_endless_key_derivation_is_refused_at_once() {
    let locked = unarmour(&key().write("", Some(b"secret")).unwrap());
    let options = |rounds: u32| {
        // 24 rounds, one key.
        let from = [0, 0, 0, 24, 0, 0, 0, 1];
        let mut to = from;
        to[..4].copy_from_slice(&rounds.to_be_bytes());
        replace(&locked, &from, &to)
    };
    assert!(SecretKey::read(armour(&options(24)).as_bytes(), Some(b"secret")).is_ok());
    assert_eq!(refused(&options(25)), KeyFileError::Passphrase);
    for rounds in [4_097, u32::MAX] {
        assert_eq!(
            refused(&options(rounds)),
            KeyFileError::Encryption(format!("{rounds} rounds of bcrypt"))
        );
    }
}

#[test]
fn unknown_encryption_is_named() {
    let locked = unarmour(&key().write("", Some(b"secret")).unwrap());
    assert_eq!(
        refused(&replace(&locked, b"aes256-ctr", b"aes512-ctr")),
        KeyFileError::Encryption("aes512-ctr".into())
    );
    assert_eq!(
        refused(&replace(&locked, b"bcrypt", b"argon2")),
        KeyFileError::Encryption("argon2".into())
    );
    // A name that would play with the terminal is not repeated.
    assert_eq!(
        refused(&replace(&locked, b"aes256-ctr", b"aes\x1b[2Jctr")),
        KeyFileError::Damaged
    );
}

#[test]
fn nothing_is_written_that_protects_or_says_nothing() {
    assert_eq!(
        key().write("", Some(b"")).err(),
        Some(KeyFileError::EmptyPassphrase)
    );
    for comment in ["a\nb", "a\0", "\u{1b}[2J"] {
        assert_eq!(
            key().write(comment, None).err(),
            Some(KeyFileError::Comment)
        );
    }
    assert!(key().write("Bj\u{f6}rn's key", None).is_ok());
}
