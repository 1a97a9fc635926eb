//! The real `ssh-keygen` as an oracle, in both directions.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use conex_core::model::crypto::{BadKey, Namespace, Signatures as _, Signer as _};
use conex_core::model::key::{PublicKey, Signature};
use conex_crypto::{KeyFile, KeyFileError, SecretKey, StandardCrypto, public_keys};
use tempfile::TempDir;

const NAMESPACES: [Namespace; 3] = [Namespace::Page, Namespace::Root, Namespace::Possession];

/// Messages of the sizes that matter: none, one block, some pages.
fn messages() -> [Vec<u8>; 3] {
    [vec![], b"signer = \"bob\"\n".to_vec(), vec![0xa5; 100_000]]
}

fn ssh_keygen(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new("ssh-keygen")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A passphrase that is asked for must fail, not wait.
        .env("SSH_ASKPASS_REQUIRE", "never")
        .spawn()
        .expect("these tests compare with OpenSSH: put ssh-keygen on the PATH (openssh-client)");
    // A program that fails early does not read its input.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
    child
        .wait_with_output()
        .expect("ssh-keygen can be waited for")
}

fn succeed(arguments: &[&str], input: &[u8]) -> String {
    let output = ssh_keygen(arguments, input);
    assert!(
        output.status.success(),
        "ssh-keygen {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that only its owner may read, as ssh-keygen demands of private keys.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        path
    }

    /// Has ssh-keygen make a key.
    fn keygen(&self, name: &str, passphrase: &str, more: &[&str]) -> PathBuf {
        let path = self.path(name);
        let mut arguments = vec!["-q", "-C", "bob@host", "-N", passphrase, "-f", text(&path)];
        arguments.extend(more);
        succeed(&arguments, b"");
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn public_line(private: &Path) -> PublicKey {
    let line = fs::read_to_string(private.with_extension("pub")).unwrap();
    let [key] = public_keys(&line).unwrap().try_into().unwrap();
    key
}

fn sign(key: &Path, namespace: Namespace, message: &[u8]) -> Signature {
    let arguments = [
        "-q",
        "-Y",
        "sign",
        "-n",
        namespace.as_str(),
        "-f",
        text(key),
    ];
    Signature::parse(&succeed(&arguments, message)).unwrap()
}

#[test]
fn what_ssh_keygen_signs_is_accepted() {
    let scratch = Scratch::new();
    for (name, options) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("ecdsa", &["-t", "ecdsa", "-b", "256"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("larger", &["-t", "rsa", "-b", "3072"]),
    ] {
        let file = scratch.keygen(name, "", options);
        let key = public_line(&file);
        StandardCrypto.accept(&key).unwrap();
        for namespace in NAMESPACES {
            for message in messages() {
                let signature = sign(&file, namespace, &message);
                let verdict = StandardCrypto.verify(&key, namespace, &message, &signature);
                assert_eq!(verdict, Ok(()), "{name}");
                let other = [message.as_slice(), b"x"].concat();
                assert!(
                    StandardCrypto
                        .verify(&key, namespace, &other, &signature)
                        .is_err()
                );
                if name == "ed25519" {
                    // Deterministic, so ours is the same to the last byte.
                    let secret = SecretKey::read(&fs::read(&file).unwrap(), None).unwrap();
                    assert_eq!(secret.sign(namespace, &message).unwrap(), signature);
                }
            }
        }
    }
}

#[test]
fn what_we_sign_ssh_keygen_accepts() {
    let scratch = Scratch::new();
    let secret = SecretKey::generate().unwrap();
    let allowed = format!("bob {}\n", secret.public_key().as_line());
    let allowed = scratch.write("allowed", allowed.as_bytes());
    for namespace in NAMESPACES {
        for message in messages() {
            let signature = secret.sign(namespace, &message).unwrap().armour();
            let signature = scratch.write("signature", signature.as_bytes());
            let namespace = namespace.as_str();
            let verify = [
                "-Y",
                "verify",
                "-f",
                text(&allowed),
                "-I",
                "bob",
                "-n",
                namespace,
                "-s",
                text(&signature),
            ];
            succeed(&verify, &message);
            let check = [
                "-Y",
                "check-novalidate",
                "-n",
                namespace,
                "-s",
                text(&signature),
            ];
            succeed(&check, &message);

            let other = [message.as_slice(), b"x"].concat();
            assert!(!ssh_keygen(&verify, &other).status.success());
        }
    }
}

#[test]
fn a_signature_with_another_hash_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.keygen("key", "", &["-t", "ed25519"]);
    let key = public_line(&file);
    for (hash, accepted) in [("sha512", true), ("sha256", false)] {
        let option = format!("hashalg={hash}");
        let arguments = [
            "-q",
            "-Y",
            "sign",
            "-O",
            &option,
            "-n",
            Namespace::Page.as_str(),
            "-f",
            text(&file),
        ];
        let signature = Signature::parse(&succeed(&arguments, b"message")).unwrap();
        let verdict = StandardCrypto.verify(&key, Namespace::Page, b"message", &signature);
        assert_eq!(verdict.is_ok(), accepted, "{hash}");
    }
}

#[test]
fn keys_that_are_not_good_enough_are_refused() {
    let scratch = Scratch::new();
    for (name, options, error) in [
        ("short", &["-t", "rsa", "-b", "1024"][..], BadKey::Weak),
        (
            "p384",
            &["-t", "ecdsa", "-b", "384"],
            BadKey::Unsupported("ecdsa-sha2-nistp384".into()),
        ),
    ] {
        let file = scratch.keygen(name, "", options);
        let key = public_line(&file);
        assert_eq!(StandardCrypto.accept(&key), Err(error), "{name}");
        let signature = sign(&file, Namespace::Page, b"message");
        let verdict = StandardCrypto.verify(&key, Namespace::Page, b"message", &signature);
        assert!(verdict.is_err(), "{name}");
    }
}

/// Their private halves are for an agent.
#[test]
fn private_keys_of_other_algorithms_are_named_and_refused() {
    let scratch = Scratch::new();
    for (name, options, algorithm) in [
        ("rsa", &["-t", "rsa", "-b", "2048"][..], "ssh-rsa"),
        ("p256", &["-t", "ecdsa", "-b", "256"], "ecdsa-sha2-nistp256"),
    ] {
        for passphrase in ["", "secret"] {
            let file = scratch.keygen(&format!("{name}{passphrase}"), passphrase, options);
            assert_eq!(
                SecretKey::read(&fs::read(&file).unwrap(), Some(b"secret")).err(),
                Some(KeyFileError::Unsupported(algorithm.into()))
            );
        }
    }
}

/// What ssh-keygen lets through, or some of its versions do, and conex does not.
const STRICTER: [&str; 9] = [
    "refused-ecdsa-padded",
    "refused-rsa-1024",
    "refused-rsa-exponent-1",
    "refused-rsa-modulus-zero",
    "refused-sk-ed25519-absent",
    "refused-sk-ed25519-absent-verified",
    "refused-sk-ed25519-website",
    "refused-sk-ecdsa-absent",
    "refused-sk-ecdsa-website",
];

/// The cases of `schemes.rs`, those of tokens among them, as ssh-keygen judges them.
#[test]
fn ssh_keygen_agrees_on_every_case_but_where_conex_is_stricter() {
    let scratch = Scratch::new();
    let mut accepted = 0;
    for case in include_str!("schemes.txt").split("\n\n").skip(1) {
        let [name, key, armour] = case.splitn(3, '\n').collect::<Vec<_>>().try_into().unwrap();
        let allowed = scratch.write("allowed", format!("bob {key}\n").as_bytes());
        let signature = format!("{}\n", armour.trim_end());
        let signature = scratch.write("signature", signature.as_bytes());
        let (allowed, signature) = (text(&allowed), text(&signature));
        let namespace = Namespace::Page.as_str();
        let verify = [
            "-Y", "verify", "-f", allowed, "-I", "bob", "-n", namespace, "-s", signature,
        ];
        let theirs = ssh_keygen(&verify, b"message").status.success();
        let ours = name.starts_with("accepted-");
        assert!(
            theirs == ours || (theirs && STRICTER.contains(&name)),
            "{name}"
        );
        accepted += usize::from(ours);
    }
    assert_eq!(accepted, 8);
}

#[test]
fn encrypted_files_of_ssh_keygen_open_with_their_passphrase_only() {
    let scratch = Scratch::new();
    for (at, cipher) in [
        "",
        "aes256-ctr",
        "aes192-ctr",
        "aes128-ctr",
        "aes256-cbc",
        "aes192-cbc",
        "aes128-cbc",
        "aes256-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
    ]
    .into_iter()
    .enumerate()
    {
        let mut options = vec!["-t", "ed25519", "-a", "4"];
        if !cipher.is_empty() {
            options.extend(["-Z", cipher]);
        }
        let path = scratch.keygen(&format!("key{at}"), "pass \u{fc}", &options);
        let file = fs::read(&path).unwrap();
        let parsed = KeyFile::parse(&file).unwrap();
        assert!(parsed.is_encrypted());
        assert_eq!(parsed.public_key(), &public_line(&path));
        let secret = SecretKey::read(&file, Some("pass \u{fc}".as_bytes()))
            .unwrap_or_else(|error| panic!("{cipher}: {error}"));
        assert_eq!(secret.public_key(), &public_line(&path));
        assert_eq!(parsed.unlock(None).err(), Some(KeyFileError::Encrypted));
        for wrong in [&b""[..], b"pass", b"pass \xfc"] {
            assert_eq!(
                parsed.unlock(Some(wrong)).err(),
                Some(KeyFileError::Passphrase),
                "{cipher}"
            );
        }
    }
    let path = scratch.keygen("old", "secret", &["-t", "ed25519", "-Z", "3des-cbc"]);
    assert_eq!(
        SecretKey::read(&fs::read(path).unwrap(), Some(b"secret")).err(),
        Some(KeyFileError::Encryption("3des-cbc".into()))
    );
}

#[test]
fn files_we_write_are_read_by_ssh_keygen() {
    let scratch = Scratch::new();
    let secret = SecretKey::generate().unwrap();
    let line = secret.public_key().as_line();
    for (name, passphrase) in [("plain", None), ("locked", Some("pass word"))] {
        let file = secret
            .write("bob@host", passphrase.map(str::as_bytes))
            .unwrap();
        let path = scratch.write(name, file.as_bytes());
        let passphrase = passphrase.unwrap_or("");
        let printed = succeed(&["-y", "-P", passphrase, "-f", text(&path)], b"");
        assert_eq!(printed.trim_end(), format!("{line} bob@host"));

        if !passphrase.is_empty() {
            let wrong = ssh_keygen(&["-y", "-P", "other", "-f", text(&path)], b"");
            assert!(!wrong.status.success());
            // It takes the passphrase off, and what it writes then is read here again.
            succeed(
                &["-q", "-p", "-P", passphrase, "-N", "", "-f", text(&path)],
                b"",
            );
        }
        let signature = sign(&path, Namespace::Root, b"root");
        assert_eq!(secret.sign(Namespace::Root, b"root").unwrap(), signature);
        let again = SecretKey::read(&fs::read(&path).unwrap(), None).unwrap();
        assert_eq!(again.public_key(), secret.public_key());
    }
}

#[test]
fn fingerprints_are_those_of_ssh_keygen() {
    use conex_core::model::crypto::Digests as _;
    let scratch = Scratch::new();
    let file = scratch.keygen("key", "", &["-t", "ed25519"]);
    let printed = succeed(&["-l", "-f", text(&file)], b"");
    let ours = StandardCrypto.fingerprint(&public_line(&file)).to_string();
    assert_eq!(printed.split(' ').nth(1), Some(ours.as_str()));
}
