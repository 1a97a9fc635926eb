//! Every algorithm, honest and hostile: signatures made here by other means than the code under
//! test, as a person, a token or an attacker would make them.
//!
//! `schemes.txt` holds what comes out, for the vectors: it follows from the names and numbers here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands"
)]

use core::fmt::Write as _;

use conex_core::model::crypto::{BadKey, Namespace, Signatures as _};
use conex_core::model::key::{PublicKey, Signature};
use conex_crypto::StandardCrypto;
use ed25519_dalek::Signer as _;
use p256::elliptic_curve::PrimeField as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, PrivateKey};
use sha2::{Digest as _, Sha256, Sha512};

const MESSAGE: &[u8] = b"message";

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[..], bytes].concat()
}

/// A positive number, of any encoding with leading zeros.
fn mpint(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let magnitude = &bytes[zeros..];
    let sign: &[u8] = if magnitude.first().is_some_and(|byte| *byte >= 0x80) {
        &[0]
    } else {
        &[]
    };
    string(&[sign, magnitude].concat())
}

fn key(blob: Vec<u8>) -> PublicKey {
    PublicKey::from_blob(blob).unwrap()
}

/// What a key signs in a signature over [`MESSAGE`].
fn signed() -> Vec<u8> {
    [
        b"SSHSIG".to_vec(),
        string(b"conex-1-page"),
        string(b""),
        string(b"sha512"),
        string(&Sha512::digest(MESSAGE)),
    ]
    .concat()
}

fn wrap(key: &PublicKey, inner: &[u8]) -> Signature {
    let blob = [
        b"SSHSIG\0\0\0\x01".to_vec(),
        string(key.blob()),
        string(b"conex-1-page"),
        string(b""),
        string(b"sha512"),
        string(inner),
    ]
    .concat();
    Signature::from_blob(blob).unwrap()
}

fn verifies(key: &PublicKey, inner: &[u8]) -> bool {
    StandardCrypto
        .verify(key, Namespace::Page, MESSAGE, &wrap(key, inner))
        .is_ok()
}

mod ecdsa {
    use super::*;
    use p256::ecdsa::{Signature, SigningKey};

    pub(super) fn secret() -> SigningKey {
        SigningKey::from_slice(&Sha256::digest(b"ecdsa")).unwrap()
    }

    pub(super) fn point(compressed: bool) -> Vec<u8> {
        secret()
            .verifying_key()
            .to_sec1_point(compressed)
            .as_bytes()
            .to_vec()
    }

    pub(super) fn named(name: &[u8], curve: &[u8], point: &[u8]) -> PublicKey {
        key([string(name), string(curve), string(point)].concat())
    }

    pub(super) fn public() -> PublicKey {
        named(b"ecdsa-sha2-nistp256", b"nistp256", &point(false))
    }

    /// R and S of the deterministic signature (RFC 6979), and the other S.
    pub(super) fn numbers(bytes: &[u8]) -> [[u8; 32]; 3] {
        let signature: Signature = secret().sign(bytes);
        let (r, s) = signature.split_scalars();
        [*r, *s, -*s].map(|scalar| scalar.to_repr().into())
    }

    pub(super) fn value(r: &[u8], s: &[u8]) -> Vec<u8> {
        [mpint(r), mpint(s)].concat()
    }

    pub(super) fn inner(value: &[u8]) -> Vec<u8> {
        [string(b"ecdsa-sha2-nistp256"), string(value)].concat()
    }
}

mod rsa_keys {
    use super::*;
    use ::rsa::pkcs1v15::Pkcs1v15Sign;

    /// Two primes each, from nowhere special.
    const P: &str = "e12430e6fef8775eef63ace3ba27c311c1e8606730038aeb4f0a5246ede0dcab9e11ffccf12c7b70462b83d32f3de0baf3b017df7c0d30656427508db8f06c4cd4ee7a90d9ba411ff4b1f25583c39c0c80f493504d7afdef14d229882ecce2c7160211a7a0d4593d55fe3433c7a809d8971f04365807ae2c69000ce57488bc6f";
    const Q: &str = "cff31f2564549b831a740344bf55cd49a44cf8d6fc5235c578dee5721c63912c2ed5775ed4c4ea01550c5eb55b1a28dff31ac04a94f27b386f43bfc697f2738fb2bb6041f33a6bd6be073bfc96ec6e565fe945398949bddb177a062d73fa83cdf523d3b757b4de301e0f4e382305aa9deaf308db9dd9f30c5ba90de749f5d12d";
    const SHORT_P: &str = "e96daa05adc8e46042dbd6703466d401c92fe3ca20bb8bcf0a1f1a5f0c87cf426323883c7adce3181db02fc7ab3f3892ab154aac0b25828f8c84face2736fba5";
    const SHORT_Q: &str = "ebe25d4726ff475d3fd87cedac9367bb90bff5f8c0b3530143d63ed4db338261ef802a1075b573d6a580e517f3dbe4cb1b357e1d1b38ad40daa746df40988c89";

    fn from(p: &str, q: &str) -> PrivateKey {
        let number = |hex: &str| {
            let bytes: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            BoxedUint::from_be_slice_vartime(&bytes)
        };
        PrivateKey::from_p_q(number(p), number(q), BoxedUint::from(65_537_u64)).unwrap()
    }

    pub(super) fn secret() -> PrivateKey {
        from(P, Q)
    }

    pub(super) fn short() -> PrivateKey {
        from(SHORT_P, SHORT_Q)
    }

    pub(super) fn modulus(secret: &PrivateKey) -> Vec<u8> {
        secret.n_bytes().to_vec()
    }

    pub(super) fn named(exponent: &[u8], modulus: &[u8]) -> PublicKey {
        key([string(b"ssh-rsa"), mpint(exponent), mpint(modulus)].concat())
    }

    pub(super) fn public(secret: &PrivateKey) -> PublicKey {
        named(&[1, 0, 1], &modulus(secret))
    }

    pub(super) fn inner(name: &str, value: &[u8]) -> Vec<u8> {
        [string(name.as_bytes()), string(value)].concat()
    }

    pub(super) fn sha512(secret: &PrivateKey, bytes: &[u8]) -> Vec<u8> {
        secret
            .sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(bytes))
            .unwrap()
    }

    pub(super) fn sha256(secret: &PrivateKey, bytes: &[u8]) -> Vec<u8> {
        secret
            .sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(bytes))
            .unwrap()
    }

    /// The SHA-1 of what is signed, and what RFC 8017 puts in front of it.
    pub(super) fn sha1(secret: &PrivateKey) -> Vec<u8> {
        const PREFIX: &[u8] = b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14";
        const DIGEST: &[u8] =
            b"\x8f\x2a\xb3\x0e\xd6\x71\x72\xa5\xf5\x0e\xfa\xc4\x64\xb9\xac\x36\x88\xbf\x33\x28";
        let info = [PREFIX, DIGEST].concat();
        secret.sign(Pkcs1v15Sign::new_unprefixed(), &info).unwrap()
    }

    /// What a signature raised to the exponent has to be: for the exponent 1, the signature.
    pub(super) fn padded(bytes: &[u8], size: usize) -> Vec<u8> {
        const PREFIX: &[u8] =
            b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40";
        let info = [PREFIX, &Sha512::digest(bytes)].concat();
        let filler = vec![0xff; size - info.len() - 3];
        [&[0, 1], &filler[..], &[0], &info].concat()
    }
}

/// A security key in software.
mod token {
    use super::*;

    pub(super) fn ed25519_secret() -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&Sha256::digest(b"token").into())
    }

    pub(super) fn ed25519(application: &[u8]) -> PublicKey {
        let point = ed25519_secret().verifying_key();
        key([
            string(b"sk-ssh-ed25519@openssh.com"),
            string(point.as_bytes()),
            string(application),
        ]
        .concat())
    }

    pub(super) fn ecdsa(application: &[u8]) -> PublicKey {
        key([
            string(b"sk-ecdsa-sha2-nistp256@openssh.com"),
            string(b"nistp256"),
            string(&super::ecdsa::point(false)),
            string(application),
        ]
        .concat())
    }

    pub(super) fn signed_by_token(application: &[u8], flags: u8, counter: u32) -> Vec<u8> {
        [
            &Sha256::digest(application)[..],
            &[flags],
            &counter.to_be_bytes(),
            &Sha256::digest(signed()),
        ]
        .concat()
    }

    pub(super) fn tail(flags: u8, counter: u32) -> Vec<u8> {
        [&[flags][..], &counter.to_be_bytes()].concat()
    }

    pub(super) fn ed25519_value(application: &[u8], flags: u8, counter: u32) -> Vec<u8> {
        let bytes = signed_by_token(application, flags, counter);
        ed25519_secret().sign(&bytes).to_bytes().to_vec()
    }

    pub(super) fn ed25519_inner(application: &[u8], flags: u8, counter: u32) -> Vec<u8> {
        [
            string(b"sk-ssh-ed25519@openssh.com"),
            string(&ed25519_value(application, flags, counter)),
            tail(flags, counter),
        ]
        .concat()
    }

    pub(super) fn ecdsa_inner(application: &[u8], flags: u8, counter: u32) -> Vec<u8> {
        let [r, s, _] = super::ecdsa::numbers(&signed_by_token(application, flags, counter));
        [
            string(b"sk-ecdsa-sha2-nistp256@openssh.com"),
            string(&super::ecdsa::value(&r, &s)),
            tail(flags, counter),
        ]
        .concat()
    }
}

/// Name, key and inner signature of each case; the name says whether it verifies.
fn cases() -> Vec<(&'static str, PublicKey, Vec<u8>)> {
    let mut cases = ecdsa_cases();
    cases.extend(rsa_cases());
    cases.extend(token_cases());
    cases
}

fn ecdsa_cases() -> Vec<(&'static str, PublicKey, Vec<u8>)> {
    use ecdsa::{inner, named, point, public, value};
    let [r, s, other] = ecdsa::numbers(&signed());
    let honest = inner(&value(&r, &s));
    let mut flipped = honest.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let padded = [string(&[&[0, 0], &r[..]].concat()), mpint(&s)].concat();
    let der = {
        let number = |bytes: &[u8]| [&[2][..], &mpint(bytes)[3..]].concat();
        let numbers = [number(&r), number(&s)].concat();
        [&[0x30, u8::try_from(numbers.len()).unwrap()], &numbers[..]].concat()
    };
    let order = [
        &[0xff; 4][..],
        &[0; 4],
        &[0xff; 8],
        b"\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51",
    ]
    .concat();
    let name = b"ecdsa-sha2-nistp256";
    let compressed = named(name, b"nistp256", &point(true));
    let mut off = point(false);
    *off.last_mut().unwrap() ^= 1;
    vec![
        ("accepted-ecdsa", public(), honest.clone()),
        (
            "accepted-ecdsa-other-s",
            public(),
            inner(&value(&r, &other)),
        ),
        ("refused-ecdsa-bit", public(), flipped),
        ("refused-ecdsa-padded", public(), inner(&padded)),
        (
            "refused-ecdsa-fixed-size",
            public(),
            inner(&[r, s].concat()),
        ),
        ("refused-ecdsa-der", public(), inner(&der)),
        ("refused-ecdsa-zero", public(), inner(&value(&[], &[]))),
        ("refused-ecdsa-order", public(), inner(&value(&r, &order))),
        (
            "refused-ecdsa-trailing",
            public(),
            [&honest[..], &[0]].concat(),
        ),
        (
            "refused-ecdsa-name",
            public(),
            [string(b"ssh-ed25519"), string(&value(&r, &s))].concat(),
        ),
        ("refused-ecdsa-compressed-key", compressed, honest.clone()),
        (
            "refused-ecdsa-curve",
            named(name, b"nistp384", &point(false)),
            honest.clone(),
        ),
        (
            "refused-ecdsa-off-curve",
            named(name, b"nistp256", &off),
            honest.clone(),
        ),
        (
            "refused-ecdsa-neutral-key",
            named(name, b"nistp256", &[0]),
            honest,
        ),
    ]
}

fn rsa_cases() -> Vec<(&'static str, PublicKey, Vec<u8>)> {
    use rsa_keys::{inner, modulus, named, padded, public, secret, sha1, sha256, sha512, short};
    let bytes = signed();
    let secret = secret();
    let honest = sha512(&secret, &bytes);
    let modulus = modulus(&secret);
    let even: Vec<u8> = [&modulus[..255], &[modulus[255] ^ 1]].concat();
    let needless_zero = key([
        string(b"ssh-rsa"),
        mpint(&[1, 0, 1]),
        string(&[&[0, 0], &modulus[..]].concat()),
    ]
    .concat());
    let negative = key([string(b"ssh-rsa"), mpint(&[1, 0, 1]), string(&modulus)].concat());
    let mut flipped = honest.clone();
    flipped[100] ^= 1;
    let two = |value| inner("rsa-sha2-512", value);
    vec![
        ("accepted-rsa-sha2-512", public(&secret), two(&honest)),
        (
            "accepted-rsa-sha2-256",
            public(&secret),
            inner("rsa-sha2-256", &sha256(&secret, &bytes)),
        ),
        ("refused-rsa-bit", public(&secret), two(&flipped)),
        (
            "refused-rsa-sha1",
            public(&secret),
            inner("ssh-rsa", &sha1(&secret)),
        ),
        (
            "refused-rsa-unnamed-hash",
            public(&secret),
            inner("ssh-rsa", &honest),
        ),
        (
            "refused-rsa-other-hash",
            public(&secret),
            inner("rsa-sha2-256", &honest),
        ),
        (
            "refused-rsa-leading-zero",
            public(&secret),
            two(&[&[0], &honest[..]].concat()),
        ),
        (
            "refused-rsa-short-signature",
            public(&secret),
            two(&honest[1..]),
        ),
        (
            "refused-rsa-trailing",
            public(&secret),
            [two(&honest), vec![0]].concat(),
        ),
        (
            "refused-rsa-1024",
            public(&short()),
            two(&sha512(&short(), &bytes)),
        ),
        (
            "refused-rsa-exponent-1",
            named(&[1], &modulus),
            two(&padded(&bytes, 256)),
        ),
        (
            "refused-rsa-exponent-even",
            named(&[1, 0, 0], &modulus),
            two(&honest),
        ),
        (
            "refused-rsa-exponent-long",
            named(&[1, 0, 0, 0, 1], &modulus),
            two(&honest),
        ),
        (
            "refused-rsa-modulus-even",
            named(&[1, 0, 1], &even),
            two(&honest),
        ),
        ("refused-rsa-modulus-zero", needless_zero, two(&honest)),
        ("refused-rsa-modulus-negative", negative, two(&honest)),
    ]
}

fn token_cases() -> Vec<(&'static str, PublicKey, Vec<u8>)> {
    use token::{ecdsa, ecdsa_inner, ed25519, ed25519_inner, ed25519_value, tail};
    let ssh: &[u8] = b"ssh:";
    let name = b"sk-ssh-ed25519@openssh.com";
    let with = |value: &[u8], tail: &[u8]| [&string(name), &string(value), tail].concat();
    let value = ed25519_value(ssh, 1, 7);
    let bare = token::ed25519_secret().sign(&signed()).to_bytes();
    let plain = key([
        string(b"ssh-ed25519"),
        string(token::ed25519_secret().verifying_key().as_bytes()),
    ]
    .concat());
    vec![
        (
            "accepted-sk-ed25519",
            ed25519(ssh),
            ed25519_inner(ssh, 1, 7),
        ),
        (
            "accepted-sk-ed25519-verified",
            ed25519(ssh),
            ed25519_inner(ssh, 5, u32::MAX),
        ),
        (
            "accepted-sk-ed25519-application",
            ed25519(b"ssh:conex"),
            ed25519_inner(b"ssh:conex", 1, 0),
        ),
        ("accepted-sk-ecdsa", ecdsa(ssh), ecdsa_inner(ssh, 1, 7)),
        (
            "refused-sk-ed25519-absent",
            ed25519(ssh),
            ed25519_inner(ssh, 0, 7),
        ),
        (
            "refused-sk-ed25519-absent-verified",
            ed25519(ssh),
            ed25519_inner(ssh, 4, 7),
        ),
        (
            "refused-sk-ed25519-flag-added",
            ed25519(ssh),
            with(&ed25519_value(ssh, 0, 7), &tail(1, 7)),
        ),
        (
            "refused-sk-ed25519-counter",
            ed25519(ssh),
            with(&value, &tail(1, 8)),
        ),
        (
            "refused-sk-ed25519-other-application",
            ed25519(b"ssh:conex"),
            ed25519_inner(ssh, 1, 7),
        ),
        (
            "refused-sk-ed25519-website",
            ed25519(b"example.org"),
            ed25519_inner(b"example.org", 1, 7),
        ),
        ("refused-sk-ed25519-bare", ed25519(ssh), with(&bare, &[])),
        (
            "refused-sk-ed25519-bare-flagged",
            ed25519(ssh),
            with(&bare, &tail(1, 7)),
        ),
        (
            "refused-sk-ed25519-trailing",
            ed25519(ssh),
            [ed25519_inner(ssh, 1, 7), vec![0]].concat(),
        ),
        (
            "refused-sk-ed25519-plain-name",
            ed25519(ssh),
            [string(b"ssh-ed25519"), string(&bare)].concat(),
        ),
        ("refused-ed25519-by-token", plain, ed25519_inner(ssh, 1, 7)),
        (
            "refused-sk-ecdsa-absent",
            ecdsa(ssh),
            ecdsa_inner(ssh, 0, 7),
        ),
        (
            "refused-sk-ecdsa-website",
            ecdsa(b"example.org"),
            ecdsa_inner(b"example.org", 1, 7),
        ),
    ]
}

#[test]
fn each_case_is_judged_as_its_name_says() {
    for (name, key, inner) in cases() {
        assert_eq!(
            verifies(&key, &inner),
            name.starts_with("accepted-"),
            "{name}"
        );
    }
}

#[test]
fn the_text_of_the_cases_is_up_to_date() {
    let mut text =
        String::from("# Cases of tests/schemes.rs: a name, a key, a signature of `message`.\n");
    for (name, key, inner) in cases() {
        write!(
            text,
            "\n{name}\n{}\n{}",
            key.as_line(),
            wrap(&key, &inner).armour()
        )
        .unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemes.txt");
    if std::env::var_os("CONEX_WRITE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == text,
        "write it with CONEX_WRITE=1, and look at what changes"
    );
}

#[test]
fn every_key_is_accepted_or_told_what_is_wrong() {
    let secret = rsa_keys::secret();
    let modulus = rsa_keys::modulus(&secret);
    let of_bits = |bits: usize| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        rsa_keys::named(&[1, 0, 1], &modulus)
    };
    let unsupported = |name: &str| {
        let key = key([string(name.as_bytes()), string(b"x")].concat());
        (key, Err(BadKey::Unsupported(name.into())))
    };
    let mut weak_point = [0; 32];
    weak_point[0] = 1;
    let weak_token = key([
        string(b"sk-ssh-ed25519@openssh.com"),
        string(&weak_point),
        string(b"ssh:"),
    ]
    .concat());
    for (key, verdict) in [
        (ecdsa::public(), Ok(())),
        (rsa_keys::public(&secret), Ok(())),
        (rsa_keys::named(&[3], &modulus), Ok(())),
        (rsa_keys::named(&[0xff; 4], &modulus), Ok(())),
        (token::ed25519(b"ssh:"), Ok(())),
        (token::ecdsa(b"ssh:anything"), Ok(())),
        (of_bits(2_048), Ok(())),
        (of_bits(2_047), Err(BadKey::Weak)),
        (of_bits(16_384), Ok(())),
        (of_bits(16_385), Err(BadKey::TooLarge)),
        (rsa_keys::named(&[1], &modulus), Err(BadKey::Weak)),
        (
            rsa_keys::named(&[1, 0, 0, 0, 1], &modulus),
            Err(BadKey::TooLarge),
        ),
        (rsa_keys::named(&[2], &modulus), Err(BadKey::Malformed)),
        (rsa_keys::named(&[], &modulus), Err(BadKey::Malformed)),
        (rsa_keys::named(&[1, 0, 1], &[]), Err(BadKey::Malformed)),
        (
            ecdsa::named(b"ecdsa-sha2-nistp256", b"nistp256", &ecdsa::point(true)),
            Err(BadKey::Malformed),
        ),
        (token::ed25519(b""), Err(BadKey::Purpose)),
        (token::ed25519(b"SSH:"), Err(BadKey::Purpose)),
        (token::ecdsa(b"https://example.org"), Err(BadKey::Purpose)),
        (weak_token, Err(BadKey::Weak)),
        unsupported("ssh-dss"),
        unsupported("ecdsa-sha2-nistp384"),
        unsupported("rsa-sha2-512"),
        unsupported("ssh-ed25519-cert-v01@openssh.com"),
    ] {
        assert_eq!(StandardCrypto.accept(&key), verdict, "{}", key.as_line());
        let trailing = PublicKey::from_blob([key.blob(), &[0]].concat()).unwrap();
        assert!(StandardCrypto.accept(&trailing).is_err());
    }
}

/// A flipped bit anywhere in the signature is refused; of a security key's too.
#[test]
fn every_flipped_bit_is_refused() {
    for (key, inner) in [
        (ecdsa::public(), ecdsa_cases().swap_remove(0).2),
        (token::ed25519(b"ssh:"), token::ed25519_inner(b"ssh:", 1, 7)),
        (token::ecdsa(b"ssh:"), token::ecdsa_inner(b"ssh:", 1, 7)),
    ] {
        assert!(verifies(&key, &inner));
        for bit in 0..inner.len() * 8 {
            let mut flipped = inner.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !verifies(&key, &flipped),
                "bit {bit} under {}",
                key.algorithm()
            );
        }
        for length in 0..inner.len() {
            assert!(!verifies(&key, &inner[..length]));
        }
    }
}
